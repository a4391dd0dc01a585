"""The number of planner iterations that fit into a time, from the durations of the last ones."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from gym_lagrangian.checks import positive_number

# The weight of the last decision in the mean of what an iteration takes.
_NEWS = 0.2

# Iterations of the longer of the two measurements.
_MANY = 4


class Budget:
    """Seconds for one decision, of which compilation is no part.

    Raises:
        ConfigurationError: not a positive number of seconds.
    """

    def __init__(self, seconds: float):
        self.seconds = positive_number("budget", seconds, "seconds")
        self._fixed, self._each = 0.0, 0.0
        self._shape: Any = None

    def decide(self, shape: Any, run: Callable[[int], Any]) -> Any:
        """The result of `run` with as many iterations as fit, at least one.

        Arguments:
            shape: what `run` is compiled for; another one is measured anew.
            run: a decision of so many iterations, which waits for its result and changes nothing.
        """
        if shape != self._shape:
            self._shape = shape
            self._measure(run)
        count = max(1, int((self.seconds - self._fixed) / self._each))
        result, seconds = _timed(run, count)
        each = max(1e-7, (seconds - self._fixed) / count)
        self._each += _NEWS * (each - self._each)
        return result

    def _measure(self, run: Callable[[int], Any]) -> None:
        run(1)  # compiles
        one, many = (min(_timed(run, count)[1] for _ in range(2)) for count in (1, _MANY))
        self._each = max(1e-7, (many - one) / (_MANY - 1))
        self._fixed = max(0.0, one - self._each)


def _timed(run: Callable[[int], Any], count: int) -> tuple[Any, float]:
    began = time.perf_counter()
    return run(count), time.perf_counter() - began
