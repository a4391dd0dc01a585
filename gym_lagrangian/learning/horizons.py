"""Horizons of a fit: how many transitions are predicted in a row, fixed or growing.

A schedule is a tuple of pairs (transitions, share of the steps), as ((8, 0.5), (40, 0.5)). Short
windows are easier to learn from with random weights. Long ones separate small errors of the
acceleration from noise.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from gym_lagrangian.checks import positive_number, whole_number
from gym_lagrangian.errors import ConfigurationError

# Transitions in a row, or pairs (transitions, share of the steps).
Horizons = int | tuple[tuple[int, float], ...]


def horizons(value: Any) -> Horizons:
    """The given horizon or schedule, checked; lists are taken as tuples.

    Raises:
        ConfigurationError: no whole number ≥ 1 and no schedule, transitions that do not grow, or
            shares whose sum is not 1.
    """
    if not isinstance(value, tuple | list):
        return whole_number("horizon", value)
    schedule = tuple(_pair(value, one) for one in value)
    grows = all(a < b for (a, _), (b, _) in pairwise(schedule))
    if not schedule or not grows or not np.isclose(sum(share for _, share in schedule), 1.0):
        _refuse(value)
    return schedule


def lengths(given: Horizons) -> tuple[int, ...]:
    """The transitions of every window, the longest last."""
    return (given,) if isinstance(given, int) else tuple(steps for steps, _ in given)


def ends(given: Horizons, steps: int) -> tuple[int, ...]:
    """The optimiser's step at which each of `lengths` ends; the last is `steps`."""
    shares = [1.0] if isinstance(given, int) else [share for _, share in given]
    return tuple(round(float(share) * steps) for share in np.cumsum(shares))


def _pair(schedule: Any, given: Any) -> tuple[int, float]:
    if not isinstance(given, tuple | list) or len(given) != 2:
        _refuse(schedule)
    return whole_number("horizon", given[0]), positive_number("horizon", given[1], "share")


def _refuse(value: Any) -> None:
    raise ConfigurationError(
        f"horizon = {value!r}: expected a whole number of transitions, or pairs (transitions, "
        "share of the steps) whose transitions grow and whose shares sum to 1, as "
        "((8, 0.5), (40, 0.5))"
    )
