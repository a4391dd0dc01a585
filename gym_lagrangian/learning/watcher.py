"""The watcher of one unwrapped environment that an adapter reads.

It replaces the `step` of the unwrapped environment. So a row is a step that the environment itself
has made, whatever its wrappers do with actions and resets.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from gym_lagrangian.adapters.base import (
    Adapter,
    Outcome,
    Watched,
    checked_state,
    checked_vector,
)
from gym_lagrangian.learning.transitions import Transitions
from gym_lagrangian.learning.witness import Seen, Witness
from gym_lagrangian.systems.coordinates import Coordinates


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


def transitions_of(rows: list[Row], moved: Coordinates, dt: float) -> Transitions:
    """Rows as arrays."""
    before, tau, after = (np.stack(column) for column in list(zip(*rows, strict=True))[:3])
    (q, qd), (next_q, next_qd) = (np.split(x, 2, axis=1) for x in (before, after))
    seen = {name: np.stack([row.seen[name] for row in rows]) for name in rows[0].seen}
    how: dict[str, Any] = {"dt": dt, "columns": seen}
    return Transitions(moved, q=q, qd=qd, tau=tau, next_q=next_q, next_qd=next_qd, **how)
