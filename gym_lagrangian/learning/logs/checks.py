"""Checks of logs for likely mistakes, before transitions are made of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gym_lagrangian.learning.logs.extremes import at_extremes
from gym_lagrangian.learning.logs.local import estimate
from gym_lagrangian.learning.logs.machine import Joint, Machine
from gym_lagrangian.learning.logs.recording import Recording, ranges
from gym_lagrangian.learning.logs.units import TIMES
from gym_lagrangian.learning.suspicions import Suspicion, degrees, unambiguous, velocities

# Seconds between rows outside which the unit of the clock is doubtful.
_RATES = (2e-5, 0.9)

# Stamps above which seconds since 1970 are something finer.
_SECONDS = 1e11

# Reading of a whole turn in each unit, for jumps.
_TURNS = {"radians": 2 * np.pi, "degrees": 360.0, "turns": 1.0}


def of_recordings(
    machine: Machine, recordings: Sequence[Recording], widths: Sequence[int]
) -> tuple[Suspicion, ...]:
    """Everything that looks wrong.

    Arguments:
        widths: half the window, in rows, that each coordinate is smoothed with.
    """
    found = [*_clock(machine, recordings)]
    for i, joint in enumerate(machine.joints):
        motionless = _constant(joint, [r.q[:, i] for r in recordings])
        found += motionless or _angle(joint, recordings, i, widths[i])
        if not motionless:
            found += _measured(joint, recordings, i, widths[i])
        found += _forces(joint, [r.tau[:, i] for r in recordings])
    return (*found, *_extremes(machine, recordings))


def _clock(machine: Machine, recordings: Sequence[Recording]) -> list[Suspicion]:
    """Stamps in another unit than the description says."""
    unit = next(name for name, size in TIMES.items() if size == machine.time_unit)
    for one in recordings:
        since = one.clock * machine.time_unit
        if since > _SECONDS:
            text = f"its first stamp is {one.clock:.6g} {unit}, which no clock since 1970 shows"
        elif not _RATES[0] < one.interval < _RATES[1]:
            text = f"its rows are {one.interval:.3g} s apart"
        else:
            continue
        return [
            Suspicion(
                "unit of time",
                f"{one.label}: {text}: is the clock in "
                f"{' or '.join(name for name in TIMES if name != unit)} rather than {unit}?",
            )
        ]
    return []


def _constant(joint: Joint, positions: Sequence[np.ndarray]) -> list[Suspicion]:
    """A coordinate that never moves."""
    if any(np.ptp(q) > 0 for q in positions):
        return []
    return [
        Suspicion(
            "constant column",
            f"the position of {joint.name}, column {joint.position!r}, is "
            f"{positions[0][0] + 0.0:.6g} in all rows: is it the right column, or is the joint "
            "locked?",
        )
    ]


def _angle(
    joint: Joint, recordings: Sequence[Recording], i: int, half_width: int
) -> list[Suspicion]:
    """An angle in another unit, by the size of its jumps or by range and acceleration."""
    if not joint.angular:
        return []
    turn = 2 * np.pi / joint.unit
    for name, jump in _TURNS.items():
        if abs(jump / turn - 1) > 0.01 and any(_jumps(r.raw[:, i], jump) for r in recordings):
            return [
                Suspicion(
                    "degrees" if name == "degrees" else "unit",
                    f"{joint.name}, column {joint.position!r}, jumps by {jump:.4g} again and "
                    f"again, the whole turn of {name}: say unit = "
                    f'"{ {"radians": "rad", "degrees": "deg", "turns": "turn"}[name] }"',
                )
            ]
    if abs(turn - 2 * np.pi) > 0.01:
        return []
    longest = max(recordings, key=lambda r: len(r.raw))
    return _as_degrees(joint, longest, i, half_width)


def _jumps(raw: np.ndarray, turn: float) -> bool:
    """Whether readings jump by a whole turn several times, and hardly move between."""
    size = np.abs(np.diff(raw))
    near = np.abs(size / turn - 1) < 0.1
    between = size[~near]
    return bool(near.sum() >= 2 and len(between) and np.quantile(between, 0.99) < 0.3 * turn)


def _as_degrees(joint: Joint, one: Recording, i: int, half_width: int) -> list[Suspicion]:
    """Radians whose range and acceleration are those of degrees."""
    raw = one.raw[one.episode[: len(one.raw)] == one.episode[0], i]
    time = one.time[: len(raw)]
    if len(raw) < 8 * half_width or np.any(np.diff(time) <= 0):
        return []
    at = np.linspace(time[0], time[-1], len(time))
    q, qd = estimate(time, raw, at, half_width)
    qdd = estimate(at, qd, at, half_width)[1]
    tau = np.nan_to_num(one.tau[: len(raw)])
    return degrees(joint.name, q, qd, qdd, tau)


def _measured(
    joint: Joint, recordings: Sequence[Recording], i: int, half_width: int
) -> list[Suspicion]:
    """Measured velocities that are not the slope of the positions, or zero in some rows."""
    if joint.velocity is None:
        return []
    qd = np.concatenate([r.qd[:, i] for r in recordings])
    if not np.any(qd):
        return [
            Suspicion(
                "no velocity",
                f"the velocity of {joint.name}, column {joint.velocity!r}, is 0 in all rows: leave "
                "it out, and velocities are taken from positions",
            )
        ]
    one = max(recordings, key=lambda r: len(r.time))
    rows = _longest(one)
    time, q, measured = one.time[rows], one.q[rows, i], one.qd[rows, i]
    steps = np.diff(time)
    change, mean = np.diff(q), 0.5 * (measured[1:] + measured[:-1])
    kept = unambiguous(change, steps * mean) if joint.angular else slice(None)
    slope, mean = (change / steps)[kept], mean[kept]
    found = velocities(joint.name, slope, mean, np.zeros(len(mean)), 1.0)
    return found + _zeros(joint, recordings, i)


def _longest(one: Recording) -> slice:
    """The rows of the longest episode."""
    starts = np.flatnonzero(np.diff(one.episode, prepend=-1))
    counts = np.diff(np.append(starts, len(one.time)))
    first = int(starts[np.argmax(counts)])
    return slice(first, first + int(counts.max()))


def _zeros(joint: Joint, recordings: Sequence[Recording], i: int) -> list[Suspicion]:
    """Rows whose velocity is exactly 0 while the position changes from row to row."""
    for one in recordings:
        still = (one.qd[1:-1, i] == 0) & (one.q[2:, i] != one.q[1:-1, i])
        still &= one.q[1:-1, i] != one.q[:-2, i]
        fast = np.abs(np.diff(one.q[:, i]))[1:] > 0.5 * np.median(np.abs(np.diff(one.q[:, i])))
        count = int(np.sum(still & fast))
        if count > max(3, 0.002 * len(one.time)):
            named = ", ".join(ranges(one.numbers[1:-1][still & fast]))
            return [
                Suspicion(
                    "q̇ = 0 rows",
                    f"{one.label}: the velocity of {joint.name} is 0 in {count} rows while its "
                    f"position changes, {one.unit} {named}",
                    fatal=False,
                )
            ]
    return []


def _forces(joint: Joint, forces: Sequence[np.ndarray]) -> list[Suspicion]:
    """A force that never changes."""
    if joint.force is None or any(np.ptp(tau) > 0 for tau in forces):
        return []
    return [
        Suspicion(
            "constant column",
            f"the force on {joint.name}, column {joint.force!r}, is {forces[0][0] + 0.0:.4g} in "
            "all rows: no model can learn what it does",
            fatal=False,
        )
    ]


def _extremes(machine: Machine, recordings: Sequence[Recording]) -> list[Suspicion]:
    """Rows at saturation or at an end stop."""
    words = {"saturation": "the force on {} is at its limit", "stops": "{} is at an end stop"}
    found = []
    for kind, flags in at_extremes(machine, list(recordings)).items():
        for i, joint in enumerate(machine.joints):
            count = sum(int(one[:, i].sum()) for one in flags)
            total = sum(len(one) for one in flags)
            if count:
                text = words[kind].format(joint.name)
                found.append(
                    Suspicion(
                        kind,
                        f"{text} in {count} of {total} rows: steps there are left out of a fit, "
                        f"--keep {kind} keeps them",
                        fatal=False,
                    )
                )
    return found
