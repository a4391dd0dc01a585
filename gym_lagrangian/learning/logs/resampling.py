r"""From recordings to transitions of one dt: smoothed states on a steady grid, mean forces.

A state at a grid instant comes from a local polynomial (see `local`): q is its value, q̇ its slope.
Where velocities were measured and the polynomial through them errs by less, q̇ is its value. The
force of a transition is the mean force between its two instants. Nothing crosses a gap.
Instants within half a window of a gap are left out where the episode is long enough, as a
polynomial is poor at its ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from gym_lagrangian.errors import DataError
from gym_lagrangian.learning.logs.accelerations import (
    Accelerating,
    Instants,
    accelerations,
    time_and_episode,
)
from gym_lagrangian.learning.logs.extremes import KINDS, at_extremes
from gym_lagrangian.learning.logs.local import Choice, choose, estimate, resolution
from gym_lagrangian.learning.logs.machine import Machine
from gym_lagrangian.learning.logs.recording import Recording
from gym_lagrangian.learning.scales import seen_as
from gym_lagrangian.learning.transitions import Transitions, wrapped

# Rows of which the step of a sensor is found.
_MANY = 20_000

# The fewest rows in an episode of which a cubic is more than a guess.
_FEWEST = 5

# The noise of the value of a cubic in the middle of its window, times the root of its rows.
_SMOOTHED = 1.5

# An episode is cut at its ends if it is so many times as long as what is cut.
_LONG = 6


class Smoothing(NamedTuple):
    """How one coordinate is smoothed.

    Attributes:
        position: the windows that its slope asks for.
        velocity: those of its measured velocity; None where none was measured.
        measured: whether q̇ is taken from the measured velocity.
        resolution: the step of its position in radians or metres, 0 for unknown.
    """

    position: Choice
    velocity: Choice | None
    measured: bool
    resolution: float

    @property
    def of_velocity(self) -> Choice:
        """The windows that q̇ is taken from."""
        return self.velocity if self.measured and self.velocity is not None else self.position


def smoothing(recordings: Sequence[Recording], joint: int) -> Smoothing:
    """The windows of one coordinate, by all recordings."""
    time, episode = time_and_episode(recordings)
    q = np.concatenate([r.q[:, joint] for r in recordings])
    qd = np.concatenate([r.qd[:, joint] for r in recordings])
    step = max(r.resolution[joint] for r in recordings)
    position = choose(time, q, episode, step, order=1)
    if not np.isfinite(qd).all():
        return Smoothing(position, None, measured=False, resolution=step)
    velocity = choose(time, qd, episode, resolution(recordings[0].qd[:_MANY, joint]), order=0)
    apart = _apart(recordings, joint, position, velocity)
    agree = apart < 4.0 * np.hypot(position.error, velocity.error) or apart < 0.05 * qd.std()
    measured = bool(agree and velocity.error < position.error)
    return Smoothing(position, velocity, measured=measured, resolution=step)


def usual_dt(recordings: Sequence[Recording], how: Sequence[Smoothing]) -> float:
    """A dt that the logs allow: a quarter of the narrowest window, as shorter steps tell little
    more, to two digits, and at least the interval between rows.
    """
    interval = float(np.median([r.interval for r in recordings]))
    half = min(smooth.of_velocity.half_width for smooth in how)
    return float(f"{interval * max(1, round(half / 2)):.2g}")


def noise_floor(data: Transitions, how: Sequence[Smoothing]) -> float:
    """About the held-out error, in 1/s, of a perfect model of transitions made of logs.

    Two states of errors σ differ by 2 σ / √π on average: the floor is the sum of that, over typical
    magnitudes and dt, for every q and q̇.
    """
    typical = seen_as(data).magnitudes
    errors = [
        _SMOOTHED * smooth.position.noise / np.sqrt(2 * smooth.position.half_width + 1) / q
        + smooth.of_velocity.error / qd
        for smooth, q, qd in zip(how, typical.q, typical.qd, strict=True)
    ]
    return float(2.0 / np.sqrt(np.pi) * sum(errors) / data.dt)


def resampled(
    machine: Machine,
    recordings: Sequence[Recording],
    *,
    dt: float | None = None,
    keep: Sequence[str] = (),
    how: Sequence[Smoothing] | None = None,
    faster: Sequence[Accelerating] | None = None,
) -> Transitions:
    """The transitions of all recordings.

    Arguments:
        dt: seconds in one; default the machine's, otherwise `usual_dt`.
        keep: of ``"saturation"`` and ``"stops"``: steps there are left out otherwise.
        how: default `smoothing` of every coordinate.
        faster: how accelerations are estimated; None for none.

    Raises:
        DataError: no episode is long enough for one step, or every step is left out.
    """
    how = how or [smoothing(recordings, i) for i in range(len(machine.joints))]
    dt = dt or machine.dt or usual_dt(recordings, how)
    ends = at_extremes(machine, list(recordings))
    typical = float(np.median([r.interval for r in recordings]))
    parts = []
    for i, one in enumerate(recordings):
        kept = [ends[kind][i].any(axis=1) for kind in KINDS if kind not in keep]
        out = np.any(kept, axis=0) if kept else np.zeros(len(one.time), bool)
        scale = typical / one.interval
        parts += [_episode(machine, one, rows, out, how, faster, dt, scale) for rows in _rows(one)]
    return _joined(machine, [part for part in parts if part is not None], recordings, dt)


def _joined(
    machine: Machine,
    parts: list[dict[str, np.ndarray]],
    recordings: Sequence[Recording],
    dt: float,
) -> Transitions:
    count = sum(len(part["q"]) for part in parts)
    if not count:
        rows = sum(len(r.time) for r in recordings)
        longest = max(float(np.ptp(r.time[rows_])) for r in recordings for rows_ in _rows(r))
        raise DataError(
            f"{rows} rows give not one step of {dt:g} s: the longest stretch without a gap has "
            f"{longest:.3g} s, and {_FEWEST} rows are needed; give longer logs, a smaller dt, a "
            f"larger gap, or keep={list(KINDS)}"
        )
    arrays: dict[str, Any] = {k: np.concatenate([part[k] for part in parts]) for k in parts[0]}
    moved = machine.coordinates if machine.dt == dt else machine.coordinates.used(dt=dt)
    return Transitions(moved, dt=dt, label=machine.name, **arrays)


def _rows(recorded: Recording) -> Iterator[slice]:
    """The rows of each episode."""
    starts = np.flatnonzero(np.diff(recorded.episode, prepend=-1))
    for first, end in zip(starts, np.append(starts[1:], len(recorded.time)), strict=True):
        yield slice(int(first), int(end))


def _episode(
    machine: Machine,
    recorded: Recording,
    rows: slice,
    out: np.ndarray,
    how: Sequence[Smoothing],
    faster: Sequence[Accelerating] | None,
    dt: float,
    scale: float,
) -> dict[str, np.ndarray] | None:
    """The transitions of one episode; None where it is too short."""
    time = recorded.time[rows]
    if len(time) < _FEWEST:
        return None
    widest = max(max(2, round(s.position.half_width * scale)) for s in how)
    grid = _grid(time, dt, 0.5 * widest * recorded.interval)
    if len(grid) < 2:
        return None
    q, qd = (np.empty((len(grid), len(how))) for _ in range(2))
    for i, smooth in enumerate(how):
        q[:, i], qd[:, i] = _states(recorded, rows, grid, i, smooth, scale)
    q = np.where(machine.coordinates.angular, wrapped(q), q)
    ok = ~_touches(time, out[rows], grid)
    tau = _mean_forces(time, np.nan_to_num(recorded.tau[rows]), grid, machine.forces == "held")
    found = {"q": q[:-1][ok], "qd": qd[:-1][ok], "tau": tau[ok],
             "next_q": q[1:][ok], "next_qd": qd[1:][ok]}  # fmt: skip
    if faster is not None:
        middles = 0.5 * (grid[:-1] + grid[1:])[ok]
        found["qdd"] = accelerations(recorded, rows, middles, faster, scale)
    return found


def instants(
    machine: Machine,
    recordings: Sequence[Recording],
    how: Sequence[Smoothing],
    faster: Sequence[Accelerating],
) -> Instants:
    """The rows of all recordings, those of episodes of fewer than five left out.

    Arguments:
        how, faster: as for `resampled`.
    """
    parts = []
    for one in recordings:
        long = [rows for rows in _rows(one) if rows.stop - rows.start >= _FEWEST]
        parts += [_instants(one, rows, how, faster) for rows in long]
    if not parts:
        raise DataError(f"{machine.name}: no episode has {_FEWEST} rows; give longer logs")
    return Instants(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _instants(
    recorded: Recording, rows: slice, how: Sequence[Smoothing], faster: Sequence[Accelerating]
) -> Instants:
    at = recorded.time[rows]
    states = [_states(recorded, rows, at, i, smooth, 1.0) for i, smooth in enumerate(how)]
    q, qd = (np.stack(columns, axis=1) for columns in zip(*states, strict=True))
    qdd = accelerations(recorded, rows, at, faster, 1.0)
    return Instants(q, qd, qdd, np.nan_to_num(recorded.tau[rows]))


def _grid(time: np.ndarray, dt: float, margin: float) -> np.ndarray:
    """Instants dt apart within an episode."""
    length = time[-1] - time[0]
    margin = margin if length > _LONG * max(margin, dt) else 0.0
    count = int(np.floor((length - 2 * margin) / dt + 1e-6)) + 1
    return np.minimum(time[0] + margin + dt * np.arange(count), time[-1])


def _states(
    recorded: Recording,
    rows: slice,
    grid: np.ndarray,
    joint: int,
    how: Smoothing,
    scale: float,
) -> tuple[np.ndarray, np.ndarray]:
    """q and q̇ (G,) of one coordinate."""
    time = recorded.time[rows]
    width = max(2, round(how.position.half_width * scale))
    q, slope = estimate(time, recorded.q[rows, joint], grid, width)
    if not how.measured or how.velocity is None:
        return q, slope
    width = max(1, round(how.velocity.half_width * scale))
    return q, estimate(time, recorded.qd[rows, joint], grid, width)[0]


def _mean_forces(time: np.ndarray, tau: np.ndarray, grid: np.ndarray, held: bool) -> np.ndarray:
    """The mean force (G − 1, n) between the instants of the grid."""
    during = tau[:-1] if held else 0.5 * (tau[:-1] + tau[1:])
    total = np.vstack([np.zeros(tau.shape[1]), np.cumsum(during * np.diff(time)[:, None], axis=0)])
    at = np.stack([np.interp(grid, time, column) for column in total.T], axis=1)
    return np.diff(at, axis=0) / np.diff(grid)[:, None]


def _touches(time: np.ndarray, flagged: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Which steps (G − 1,) overlap a flagged row, which counts until the next one."""
    before = np.concatenate([[0], np.cumsum(flagged)])
    first = np.maximum(np.searchsorted(time, grid[:-1], side="right") - 1, 0)
    last = np.searchsorted(time, grid[1:], side="left")
    return before[np.maximum(last, first)] > before[first]


def _apart(
    recordings: Sequence[Recording], joint: int, position: Choice, velocity: Choice
) -> float:
    """The root mean square of measured velocity less slope of position, both smoothed."""
    found = []
    for one in recordings:
        rows = max(_rows(one), key=lambda r: r.stop - r.start)
        time = one.time[rows]
        if len(time) < 2 * position.half_width + 1:
            continue
        m = position.half_width
        at = time[m : len(time) - m][:: max(1, len(time) // 2000)]
        slope = estimate(time, one.q[rows, joint], at, m)[1]
        found.append(estimate(time, one.qd[rows, joint], at, velocity.half_width)[0] - slope)
    return float(np.sqrt(np.mean(np.concatenate(found) ** 2))) if found else 0.0
