"""Recording transitions of environments that have an adapter."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv, VectorEnv

from gym_lagrangian.adapters.registry import adapter_for
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.learning.remote import RemoteWatchers
from gym_lagrangian.learning.transitions import Transitions
from gym_lagrangian.learning.watcher import Row, Watcher, transitions_of

# Steps after which a recording that has got nothing ends.
_PATIENCE = 1000


class Watchers:
    """The watchers of an environment, or of those of a `SyncVectorEnv`, in this process."""

    def __init__(self, bases: list[Any], adapter: Any, *, keep: bool):
        found = [adapter_for(base, adapter) for base in bases]
        self._all = [Watcher(b, its, keep=keep) for b, its in zip(bases, found, strict=True)]
        self.coordinates, self.dt = self._all[0].coordinates, self._all[0].dt
        self.count = len(bases)

    @property
    def recorded(self) -> int:
        """How many transitions there are."""
        return sum(len(watcher.rows) for watcher in self._all)

    @property
    def disturbed(self) -> int:
        """How many steps were not free."""
        return sum(watcher.disturbed for watcher in self._all)

    def rows(self) -> list[list[Row]]:
        """Those of every environment."""
        return [watcher.rows for watcher in self._all]

    def stepped(self, terminated: Any, truncated: Any, limit: float) -> bool:
        """Take note of episodes that ended with the last step; whether the first one has."""
        late = np.array([watcher.steps >= limit for watcher in self._all])
        cut = np.atleast_1d(truncated) | late
        ended = np.atleast_1d(terminated) | cut
        for i in np.flatnonzero(ended):
            self._all[i].ended(truncated=bool(cut[i]))
        return bool(ended[0])

    def close(self) -> None:
        """Leave the environments as they were."""
        for watcher in self._all:
            watcher.close()


class WatchingRecorder:
    """Steps and resets an environment with adapters, or Gymnasium's vector environments of such."""

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
        self._options, self._limit, self._steps = options, episode_steps or np.inf, 0
        self._watchers: Watchers | RemoteWatchers
        if isinstance(env.unwrapped, AsyncVectorEnv):
            self._watchers = RemoteWatchers(env, adapter, keep=disturbed)
            self._env = self._watchers.env
        else:
            self._watchers = Watchers(_bases(env), adapter, keep=disturbed)
        self.count = self._watchers.count

    @property
    def recorded(self) -> int:
        """How many transitions there are."""
        return self._watchers.recorded

    def begin(self, seed: int) -> Any:
        return self._env.reset(seed=seed, options=self._options or None)[0]

    def step(self, observation: Any, policy: Callable[[Any], Any]) -> Any:
        observation, _, terminated, truncated, _ = self._env.step(policy(observation))
        self._steps += 1
        if self._steps == _PATIENCE and not self.recorded:
            raise ConfigurationError(f"{_PATIENCE} steps, and not one to learn from: {_WHY}")
        ended = self._watchers.stepped(terminated, truncated, self._limit)
        if self._vector or not ended:
            return observation
        return self._env.reset(options=self._options or None)[0]

    def transitions(self, count: int) -> Transitions:
        """`count` of them, the rows of one environment after those of another."""
        rows = _even(self._watchers.rows(), count)
        if self._watchers.disturbed:
            warnings.warn(f"{self._watchers.disturbed} steps were not free: {_WHY}", stacklevel=3)
        return transitions_of(rows, self._watchers.coordinates, self._watchers.dt)

    def close(self) -> None:
        """Leave the environments as they were."""
        self._watchers.close()


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
        f"{base} is a vector environment of its own kind, whose environments no adapter reads: "
        "expected an environment of gym_lagrangian, a SyncVectorEnv, an AsyncVectorEnv or a single "
        "environment"
    )
