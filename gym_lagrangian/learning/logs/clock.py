r"""Clocks: the stamps of rows as seconds since the first one.

The first stamp is subtracted in float64 before anything else, as UNIX seconds are large. Stamps may
be coarser than the rows are frequent. Rows that share a stamp and differ were recorded between it
and the next one and are spread evenly; rows that repeat all numbers were recorded twice and count
once. Stamps on a coarse grid that a steady clock explains to within its step are those of the
steady clock, if what was recorded is smoother in its time.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gym_lagrangian.learning.logs.local import roughness

# The share of a typical interval above which the step of a clock matters.
_COARSE = 0.01


class Clock(NamedTuple):
    """Read stamps.

    Attributes:
        time: (K,) seconds since the first row, of the rows that are kept; it falls only where the
            clock was set back.
        kept: (N,) which rows are kept.
        repeated: how many rows repeat another.
        shared: how many share a stamp with another and were spread.
        steady: whether a steady clock replaced coarse stamps.
    """

    time: np.ndarray
    kept: np.ndarray
    repeated: int
    shared: int
    steady: bool


def read_clock(stamps: np.ndarray, values: np.ndarray, unit: float) -> Clock:
    """Seconds since the first row.

    Arguments:
        stamps: (N,) as recorded, finite.
        values: (N, C) what was recorded, to tell rows that are recorded twice.
        unit: seconds in one unit of a stamp.
    """
    raw = np.asarray(stamps, np.float64)
    time = (raw - raw[0]) * unit
    still = np.concatenate([[False], np.diff(time) == 0])
    same = still & np.concatenate([[False], np.all(np.diff(values, axis=0) == 0, axis=1)])
    twice = same if 2 * same.sum() > still.sum() else np.zeros_like(same)
    time, shared = time[~twice], int((still & ~twice).sum())
    if shared:
        time = _spread(time)
    settled = _steady(time, _resolution(raw[~twice]) * unit)
    steady = settled is not None and (shared > 0 or _smoother(settled, time, values[~twice]))
    return Clock(settled if steady else time, ~twice, int(twice.sum()), shared, steady)  # type: ignore[arg-type]


def _smoother(one: np.ndarray, other: np.ndarray, values: np.ndarray) -> bool:
    """Whether what was recorded is a smoother function of one time than of the other."""
    episode = np.zeros(len(one), int)
    both = [[roughness(time, v, episode, 3) for time in (one, other)] for v in values.T]
    ratios = [np.log(a / b) for a, b in both if a and b]
    return bool(ratios) and float(np.sum(ratios)) < 0


def _spread(time: np.ndarray) -> np.ndarray:
    """Rows of one stamp evenly between it and the next; the last as far apart as is typical."""
    first = np.flatnonzero(np.diff(time, prepend=time[0] - 1) != 0)
    counts = np.diff(np.append(first, len(time)))
    steps = np.diff(time[first])
    typical = np.median(steps / counts[:-1]) if len(steps) else 0.0
    last = typical * counts[-1]
    length = np.append(np.where(steps > 0, steps, typical * counts[:-1]), last)
    rank = np.arange(len(time)) - np.repeat(first, counts)
    return time + rank * np.repeat(np.minimum(length, 3 * typical * counts) / counts, counts)


def _resolution(raw: np.ndarray) -> float:
    """The step of the clock in its own unit: that of float32 if the stamps are such numbers, or
    the last decimal that they have, down to 1e-6; 0 for a finer one.
    """
    moved = np.unique(np.abs(np.diff(raw)))
    moved = moved[moved > 0]
    decimals = (10.0**-d for d in range(7))
    step = next((s for s in decimals if len(moved) and _divides(s, moved)), 0.0)
    if step == 0.0 and np.array_equal(raw.astype(np.float32), raw):
        return float(np.spacing(np.float32(np.abs(raw).max())))
    return step


def _divides(step: float, moved: np.ndarray) -> bool:
    """Whether intervals are multiples of a step."""
    parts = moved / step
    return bool(parts[0] > 0.5 and np.all(np.abs(parts - np.round(parts)) < 0.01))


def _steady(time: np.ndarray, step: float) -> np.ndarray | None:
    """The stamps of a steady clock, where these are within one step of it and the step matters."""
    moved = np.diff(time)
    if len(time) < 4 or step == 0 or np.any(moved < 0):
        return None
    typical = (time[-1] - time[0]) / (len(time) - 1)
    if step < _COARSE * typical or np.ptp(moved) <= 1e-6 * typical:
        return None
    if moved.max() > typical + 1.5 * step:
        return None
    count = np.arange(len(time))
    slope, start = np.polyfit(count, time, 1)
    line = start + slope * count
    return line if np.abs(line - time).max() <= 1.05 * step else None
