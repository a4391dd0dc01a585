"""Recording transitions of other people's environments, which adapters read.

The step of the unwrapped environment is watched from within: whatever wrappers make of actions and
resets, a row is a step that the environment itself has made.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from gymnasium.vector import SyncVectorEnv, VectorEnv

from gym_lagrangian.adapters.base import (
    Adapter,
    Outcome,
    Watched,
    checked_state,
    checked_vector,
)
from gym_lagrangian.adapters.registry import adapter_for
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.learning.transitions import Transitions
from gym_lagrangian.learning.witness import Seen, Witness
from gym_lagrangian.systems.coordinates import Coordinates

# Steps after which a recording that has got nothing ends.
_PATIENCE = 1000


class Row(NamedTuple):
    """One step: the states (2n,) before and after it, the force (n,), and what else was seen."""

    before: np.ndarray
    tau: np.ndarray
    after: np.ndarray
    seen: Seen


class Watcher:
    """Stands in for the step of one unwrapped environment, and remembers where that led.

    Attributes:
        rows: the steps that are recorded.
        steps: how many were made since the last reset.
        disturbed: how many were not free, of all.
    """

    def __init__(self, base: Any, adapter: Adapter, *, keep: bool):
        self._base, self._adapter, self._keep = base, adapter, keep
        self.coordinates: Coordinates = adapter.coordinates(base)
        self.dt = float(adapter.dt(base))
        self.rows: list[Row] = []
        self.steps = self.disturbed = 0
        self._free = True
        self._moved: Callable[[Any], Outcome] | None = vars(base).get("step")
        self._witness = Witness(base, self._made)
        base.step = self.step

    def step(self, action: Any) -> Outcome:
        n, base, adapter = self.coordinates.n, self._base, self._adapter
        before = checked_state(adapter, base, n)
        force = adapter.generalized_force(base, action)
        tau = checked_vector(adapter, "generalized_force", force, n)
        outcome = self._witness.step(action)
        after = checked_state(adapter, base, n)
        self.steps, self.disturbed = self.steps + 1, self.disturbed + (not self._free)
        if self._kept:
            self.rows.append(Row(before, tau, after, self._witness.seen))
        return outcome

    def ended(self, *, truncated: bool) -> None:
        """The episode ended with the last step, perhaps because a wrapper cut it short."""
        self.steps = 0
        if truncated and self._kept and self.rows:
            self.rows[-1].seen["truncated"] = np.array(True)

    @property
    def _kept(self) -> bool:
        """Whether the last step is recorded."""
        return self._free or self._keep

    def _made(self, action: Any) -> Outcome:
        outcome, self._free = self._watched(action)
        return outcome

    def _watched(self, action: Any) -> Watched:
        """A step by the environment's own motion, or by the model that moves it already."""
        if self._moved is None:
            return self._adapter.watched(self._base, action)
        outcome = self._moved(action)
        return Watched(outcome, free=not outcome[4].get("diverged", False))

    def close(self) -> None:
        """Leave the environment as it was."""
        self._witness.close()


class WatchingRecorder:
    """Steps and resets an environment with adapters, or a `SyncVectorEnv` of such."""

    def __init__(
        self,
        env: Any,
        options: dict[str, Any],
        episode_steps: int | None,
        *,
        adapter: Any,
        disturbed: bool,
    ):
        self._env, self._vector = env, isinstance(env.unwrapped, VectorEnv)
        if self._vector and (options or episode_steps):
            raise ConfigurationError(
                "options, episode_steps: a vector environment resets itself; record a single "
                "environment with them"
            )
        self._options, self._limit = options, episode_steps or np.inf
        bases = _bases(env)
        found = [adapter_for(base, adapter) for base in bases]
        self.count, self._watchers, self._steps = len(bases), [], 0
        for base, its in zip(bases, found, strict=True):
            self._watchers.append(Watcher(base, its, keep=disturbed))

    @property
    def recorded(self) -> int:
        """How many transitions there are."""
        return sum(len(watcher.rows) for watcher in self._watchers)

    def begin(self, seed: int) -> Any:
        return self._env.reset(seed=seed, options=self._options or None)[0]

    def step(self, observation: Any, policy: Callable[[Any], Any]) -> Any:
        observation, _, terminated, truncated, _ = self._env.step(policy(observation))
        self._steps += 1
        if self._steps == _PATIENCE and not self.recorded:
            raise ConfigurationError(f"{_PATIENCE} steps, and not one to learn from: {_WHY}")
        late = np.array([watcher.steps >= self._limit for watcher in self._watchers])
        for i in np.flatnonzero(np.atleast_1d(terminated) | np.atleast_1d(truncated) | late):
            self._watchers[i].ended(truncated=bool(np.atleast_1d(truncated)[i] or late[i]))
        ended = terminated or truncated or late[0] if not self._vector else False
        if not ended:
            return observation
        return self._env.reset(options=self._options or None)[0]

    def transitions(self, count: int) -> Transitions:
        """`count` of them, the rows of one environment after those of another."""
        first = self._watchers[0]
        rows = _even([watcher.rows for watcher in self._watchers], count)
        self._warn()
        return transitions_of(rows, first.coordinates, first.dt)

    def close(self) -> None:
        """Leave the environments as they were."""
        for watcher in self._watchers:
            watcher.close()

    def _warn(self) -> None:
        disturbed = sum(watcher.disturbed for watcher in self._watchers)
        if disturbed:
            warnings.warn(f"{disturbed} steps were not free: {_WHY}", stacklevel=4)


def transitions_of(rows: list[Row], moved: Coordinates, dt: float) -> Transitions:
    """Rows as arrays."""
    before, tau, after = (np.stack(column) for column in list(zip(*rows, strict=True))[:3])
    (q, qd), (next_q, next_qd) = (np.split(x, 2, axis=1) for x in (before, after))
    seen = {name: np.stack([row.seen[name] for row in rows]) for name in rows[0].seen}
    how: dict[str, Any] = {"dt": dt, "columns": seen}
    return Transitions(moved, q=q, qd=qd, tau=tau, next_q=next_q, next_qd=next_qd, **how)


_WHY = (
    "a contact, the end of a joint's range, a wall or a clipped velocity acted in them, or a joint "
    "moved that is no coordinate. A Lagrangian has none of these, so they are left out unless "
    "disturbed=True. A machine that lives by its contacts, such as one that walks, cannot be "
    "learned in this way"
)


def _even(recordings: list[list[Row]], count: int) -> list[Row]:
    """The first of all, `count` in total."""
    lengths = np.zeros(len(recordings), int)
    while lengths.sum() < count:
        there = [i for i, rows in enumerate(recordings) if lengths[i] < len(rows)]
        lengths[min(there, key=lambda i: lengths[i])] += 1
    return [row for rows, n in zip(recordings, lengths, strict=True) for row in rows[:n]]


def _bases(env: Any) -> list[Any]:
    """The unwrapped environments to watch."""
    base = env.unwrapped
    if not isinstance(base, VectorEnv):
        return [base]
    if isinstance(base, SyncVectorEnv):
        return [one.unwrapped for one in base.envs]
    raise ConfigurationError(
        f"{base} runs its environments elsewhere, where no adapter reads them: expected an "
        "environment of gym_lagrangian, a SyncVectorEnv or a single environment"
    )
