r"""A recording: one log in SI units, its clock read, angles unwound, cut where it has gaps.

Angles are wrapped and unwound in float64 before anything else, by their differences on the circle,
so that wound-up, wrapped and half-wrapped readings of one motion are the same numbers up to a whole
turn at the start.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gym_lagrangian.errors import DataError
from gym_lagrangian.learning.logs.clock import read_clock
from gym_lagrangian.learning.logs.local import resolution
from gym_lagrangian.learning.logs.machine import Joint, Machine
from gym_lagrangian.learning.logs.tables import Table
from gym_lagrangian.learning.transitions import wrapped

# How many rows a message names before it counts the rest.
_NAMED = 5

# How many positions are kept as they were recorded.
_RAW = 20_000


class Recording(NamedTuple):
    """N rows of one log, in radians, metres, seconds, N·m and N.

    Attributes:
        label: the log's file, for messages.
        time: (N,) seconds since its first row.
        q: (N, n) coordinates, angles unwound.
        qd, tau: (N, n) velocities and forces, NaN in the columns that were not recorded.
        episode: (N,) counted from 0; rows of one are consecutive.
        numbers: (N,) lines of the file, or rows.
        unit: ``"line"`` or ``"row"``.
        interval: the typical seconds between rows.
        raw: (≤ 20 000, n) its first positions as they were recorded, for suspicions about units.
        resolution: (n,) steps of the sensors of position in radians or metres, 0 for unknown.
        clock: the first stamp as it was recorded; NaN without a clock.
        notes: what was left out or put right, in words.
    """

    label: str
    time: np.ndarray
    q: np.ndarray
    qd: np.ndarray
    tau: np.ndarray
    episode: np.ndarray
    numbers: np.ndarray
    unit: str
    interval: float
    raw: np.ndarray
    resolution: np.ndarray
    clock: float
    notes: tuple[str, ...]

    @property
    def duration(self) -> float:
        """Seconds of motion, gaps left out."""
        same = np.diff(self.episode) == 0
        return float(np.diff(self.time)[same].sum())

    def first(self, count: int) -> Recording:
        """Its first `count` rows."""
        names = ("time", "q", "qd", "tau", "episode", "numbers", "raw")
        return self._replace(**{name: getattr(self, name)[:count] for name in names})


def recording(machine: Machine, table: Table) -> Recording:
    """What a table recorded.

    Raises:
        DataError: fewer than two usable rows, or a clock that stands still.
    """
    column = dict(zip(machine.columns, table.values.T, strict=True))
    usable = np.all(np.isfinite(table.values), axis=1)
    notes = list(table.notes) + _left_out(table, ~usable)
    if usable.sum() < 2:
        raise DataError(f"{table.label} has {int(usable.sum())} usable rows: expected at least two")
    column = _of_rows(column, usable)
    numbers, break_before = table.numbers[usable], _breaks(usable)
    time, kept, told = _time(machine, column, numbers, table)
    column = _of_rows(column, kept)
    break_before = np.logical_or.reduceat(break_before, np.flatnonzero(kept))
    interval = _typical(time, table)
    raw = np.stack([column[j.position][:_RAW] for j in machine.joints], axis=1)
    sizes = [abs(joint.unit * joint.gain) for joint in machine.joints]
    episode, cuts = _cut(machine, time, column, break_before, interval)
    gaps = [f"{table.label}: {cut}" for cut in cuts]
    return Recording(
        label=table.label,
        time=time,
        q=np.stack([_position(column, joint) for joint in machine.joints], axis=1),
        qd=_others(column, machine, "velocity"),
        tau=_others(column, machine, "force"),
        episode=episode,
        numbers=numbers[kept],
        unit=table.unit,
        interval=interval,
        raw=raw,
        resolution=np.array([resolution(one) for one in raw.T]) * sizes,
        clock=float("nan") if machine.time is None else float(column[machine.time][0]),
        notes=(*notes, *told, *gaps),
    )


def _of_rows(column: dict, kept: Any) -> dict:
    """Some rows of every column; the columns themselves where they are all."""
    return column if kept.all() else {name: values[kept] for name, values in column.items()}


def _left_out(table: Table, bad: Any) -> list[str]:
    """Which rows have no number somewhere."""
    if not bad.any():
        return []
    named = ", ".join(ranges(table.numbers[bad]))
    return [f"{table.label}: left out {int(bad.sum())} rows without a number, {table.unit} {named}"]


def ranges(numbers: np.ndarray) -> list[str]:
    """The first few stretches of consecutive numbers, and how many more there are."""
    ends = np.flatnonzero(np.diff(numbers) != 1)
    firsts, lasts = numbers[np.append(0, ends + 1)], numbers[np.append(ends, -1)]
    shown = [
        f"{first}" if first == last else f"{first}–{last}"
        for first, last in zip(firsts[:_NAMED].tolist(), lasts[:_NAMED].tolist(), strict=True)
    ]
    return shown + ([f"and {len(firsts) - _NAMED} more places"] if len(firsts) > _NAMED else [])


def _breaks(usable: Any) -> np.ndarray:
    """Of the usable rows, whether rows before it were left out."""
    rows = np.flatnonzero(usable)
    return np.diff(rows, prepend=rows[0] - 1) > 1


def _time(
    machine: Machine, column: dict, numbers: np.ndarray, table: Table
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Seconds of the rows that are kept, which these are, and what was done to get them."""
    if machine.time is None:
        elapsed = (numbers - numbers[0]) * (machine.interval or 1.0)
        return elapsed, np.ones(len(numbers), bool), []
    stamps = column[machine.time]
    others = [values for name, values in column.items() if name != machine.time]
    clock = read_clock(stamps, np.stack(others, axis=1), machine.time_unit)
    told = []
    if clock.repeated:
        told.append(f"{table.label}: left out {clock.repeated} rows that repeat the one before")
    if clock.shared:
        told.append(
            f"{table.label}: {clock.shared} rows have the stamp of the one before: spread evenly "
            "until the next stamp"
        )
    if clock.steady:
        told.append(f"{table.label}: the coarse stamps are those of a steady clock, which is used")
    return clock.time, clock.kept, told


def _typical(time: np.ndarray, table: Table) -> float:
    moved = np.diff(time)
    forward = moved[moved > 0]
    if not len(forward):
        raise DataError(
            f"{table.label}: the clock stands still: all {len(time)} rows have one stamp; is it "
            "the right column, with enough digits?"
        )
    return float(np.median(forward))


def _cut(
    machine: Machine,
    time: np.ndarray,
    column: dict,
    break_before: np.ndarray,
    interval: float,
) -> tuple[np.ndarray, list[str]]:
    """The episode of every row, and what is said about the cuts."""
    moved = np.diff(time, prepend=time[0] - interval)
    late, back = moved > machine.gap * interval, moved <= 0
    new = late | back | break_before
    if machine.episode is not None:
        new |= np.diff(column[machine.episode], prepend=column[machine.episode][0]) != 0
    new[0] = False
    told = []
    if back[1:].any():
        told.append(f"cut where the clock was set back, {int(back[1:].sum())} times")
    if late.any():
        longest = float(moved[late].max())
        told.append(f"cut at gaps, {int(late.sum())} of them, the longest {longest:.3g} s")
    return np.cumsum(new), told


def _position(column: dict, joint: Joint) -> np.ndarray:
    """q (N,); an angle is unwound before its gain, as the sensor's own turn is what it repeats."""
    raw = column[joint.position] * joint.unit
    turned = unwound(raw) if joint.angular else raw
    return joint.gain * (turned - joint.zero * joint.unit)


def unwound(angle: np.ndarray) -> np.ndarray:
    """The angle (N,) that never jumps, from one that may have been wrapped anywhere."""
    small = wrapped(angle)
    steps = wrapped(np.diff(small))
    return small[0] + np.concatenate([[0.0], np.cumsum(steps)])


def _others(column: dict, machine: Machine, kind: str) -> np.ndarray:
    """q̇ or τ (N, n)."""
    rows = len(column[machine.joints[0].position])
    found = np.full((rows, len(machine.joints)), np.nan)
    for i, joint in enumerate(machine.joints):
        name = getattr(joint, kind)
        if name is not None:
            own = joint.force_gain if kind == "force" else joint.gain * joint.velocity_unit
            found[:, i] = own * column[name]
    return found
