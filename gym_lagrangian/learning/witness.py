"""Records the inputs and outputs of an unwrapped environment's step, as columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

# What is seen of a step: arrays by name.
Seen = dict[str, np.ndarray]


class Witness:
    """Stands in for `step` and `reset` of an unwrapped environment, scalar or vector.

    Attributes:
        seen: of the last step, ``observation``, ``action``, ``reward``, ``next_observation``,
            ``terminated`` and ``truncated``, as the unwrapped environment has them. The entries of
            a dictionary or tuple have names of their own, such as ``observation.goal``.
    """

    def __init__(self, base: Any, step: Callable[[Any], Any] | None = None):
        """Takes the place of both methods until `close`.

        Arguments:
            step: how a step is made; default as until now.
        """
        self._base = base
        self._replaced = {name: vars(base).get(name) for name in ("step", "reset")}
        self._step, self._reset = step or base.step, base.reset
        self._observation: Seen = {}
        self.seen: Seen = {}
        base.step, base.reset = self.step, self.reset

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> Any:
        observation, info = self._reset(seed=seed, options=options)
        self._observation = columns("observation", observation)
        return observation, info

    def step(self, action: Any) -> Any:
        taken, outcome = columns("action", action), self._step(action)
        observation, reward, terminated, truncated, _ = outcome
        after = columns("observation", observation)
        ends = {"reward": reward, "terminated": terminated, "truncated": truncated}
        self.seen = {
            **self._observation,
            **taken,
            **{f"next_{name}": array for name, array in after.items()},
            **{name: np.array(value) for name, value in ends.items()},
        }
        self._observation = after
        return outcome

    def close(self) -> None:
        """Leave the environment as it was."""
        for name, replaced in self._replaced.items():
            if replaced is None:
                vars(self._base).pop(name, None)
            else:
                setattr(self._base, name, replaced)


def columns(name: str, value: Any) -> Seen:
    """A value as arrays of its own by name: one, or one for every entry of a mapping or tuple."""
    if isinstance(value, dict):
        entries = value.items()
    elif isinstance(value, tuple):
        entries = enumerate(value)
    else:
        return {name: np.array(value)}
    return {k: v for key, entry in entries for k, v in columns(f"{name}.{key}", entry).items()}
