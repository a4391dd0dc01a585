r"""A summary of logs, in numbers and in words, to be read before a fit.

The energy that a joint takes in is ∫ max(τ q̇, 0) dt, the energy that it gives back
∫ max(−τ q̇, 0) dt. Over a motion that ends where it began, a machine with friction takes in more
than it gives back.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from gym_lagrangian.errors import DataError
from gym_lagrangian.learning.logs.machine import Joint
from gym_lagrangian.learning.logs.reading import Logs
from gym_lagrangian.learning.logs.recording import Recording, wrapped
from gym_lagrangian.learning.logs.resampling import Smoothing, usual_dt
from gym_lagrangian.learning.suspicions import Suspicion, of_transitions

# Bins of the circle, or of the range of a length, of which coverage is a share.
_BINS = 36

# Typical intervals between rows from which on one is missing.
_MISSED = 1.5

# Rows from which ranges and coverage are taken.
_THINNED = 200_000


class Sampling(NamedTuple):
    """The clock of one log.

    Attributes:
        label: the log's file.
        rows: how many are usable.
        episodes: how many stretches without a gap there are.
        duration: seconds in them.
        rate: rows a second.
        jitter: the standard deviation of the interval between rows, as a share of it, missing rows
            left out.
        longest_gap: seconds of the longest gap, 0 for none.
    """

    label: str
    rows: int
    episodes: int
    duration: float
    rate: float
    jitter: float
    longest_gap: float


class Coverage(NamedTuple):
    """The readings of one coordinate, in radians or metres, per second, in N·m or N.

    Attributes:
        name: of the coordinate.
        unit: ``"rad"`` or ``"m"``, whatever the logs have.
        low, high: the least and the largest q, an angle from −π to π.
        coverage: the share of 36 equal parts of the circle, or of the range, that was visited.
        resolution, noise: the step of the sensor (0 for unknown) and the noise of its readings.
        speed: the root mean square of q̇.
        velocity_noise: the noise of the measured velocity; None where none was measured.
        velocity_error: the error that is expected of q̇ as a fit will see it.
        source: ``"measured"`` or ``"positions"``: where q̇ comes from.
        window: seconds of motion behind one q̇.
        force: the least and the largest force; None where none was recorded.
        taken, given: joules that the joint took in and gave back; None without forces.
    """

    name: str
    unit: str
    low: float
    high: float
    coverage: float
    resolution: float
    noise: float
    speed: float
    velocity_noise: float | None
    velocity_error: float
    source: str
    window: float
    force: tuple[float, float] | None
    taken: float | None
    given: float | None


class Inspection(NamedTuple):
    """What logs hold.

    Attributes:
        machine: its name.
        sampling: a `Sampling` for each log.
        coordinates: a `Coverage` for each coordinate.
        dt: seconds in a transition that a fit will learn from.
        transitions: how many there are; 0 where there is none.
        notes: what was left out or put right.
        suspicions: what looks wrong.
    """

    machine: str
    sampling: tuple[Sampling, ...]
    coordinates: tuple[Coverage, ...]
    dt: float
    transitions: int
    notes: tuple[str, ...]
    suspicions: tuple[Suspicion, ...]

    def document(self) -> dict[str, Any]:
        """All of it as JSON-able data."""
        kept = self._asdict()
        for name in ("sampling", "coordinates", "suspicions"):
            kept[name] = [one._asdict() for one in kept[name]]
        return kept

    def lines(self) -> Iterator[str]:
        """The same as text for a terminal."""
        yield f"{self.machine}: {self.transitions} transitions of {self.dt:g} s"
        yield from _sampling_lines(self.sampling)
        for one in self.coordinates:
            yield from _coverage_lines(one)
        yield from (f"note: {note}" for note in self.notes)
        for one in self.suspicions:
            yield f"{'SUSPICION' if one.fatal else 'suspicion'} ({one.kind}): {one.text}"
        if not self.suspicions:
            yield "nothing looks wrong"


def inspection(logs: Logs) -> Inspection:
    """What `logs` hold."""
    dt = logs.machine.dt or usual_dt(logs.recordings, logs.smoothing)
    found, count = list(logs.suspicions), 0
    try:
        data = logs.transitions()
        found += of_transitions(data)
        count = len(data)
    except DataError as error:
        found += [] if any(one.fatal for one in found) else [Suspicion("too short", str(error))]
    coordinates = (
        _coverage(logs, joint, i, smooth)
        for i, (joint, smooth) in enumerate(zip(logs.machine.joints, logs.smoothing, strict=True))
    )
    sampling = tuple(_sampling(one) for one in logs.recordings)
    return Inspection(
        logs.machine.name, sampling, tuple(coordinates), dt, count, logs.notes, tuple(found)
    )


def _sampling(one: Recording) -> Sampling:
    moved = np.diff(one.time)
    same = np.diff(one.episode) == 0
    within, across = moved[same], moved[~same]
    usual = within[within < _MISSED * one.interval]
    jitter = float(usual.std() / one.interval) if len(usual) else 0.0
    return Sampling(
        label=one.label,
        rows=len(one.time),
        episodes=int(one.episode[-1]) + 1,
        duration=one.duration,
        rate=1.0 / one.interval,
        jitter=jitter,
        longest_gap=float(across.max()) if len(across) else 0.0,
    )


def _coverage(logs: Logs, joint: Joint, i: int, how: Smoothing) -> Coverage:
    q = _thinned([r.q[:, i] for r in logs.recordings])
    q = wrapped(q) if joint.angular else q
    interval = float(np.median([r.interval for r in logs.recordings]))
    tau = _thinned([r.tau[:, i] for r in logs.recordings])
    taken, given = _energies(logs, i) if joint.force is not None else (None, None)
    return Coverage(
        name=joint.name,
        unit=logs.machine.coordinates.units[i],
        low=float(q.min()),
        high=float(q.max()),
        coverage=_visited(q, joint),
        resolution=how.resolution,
        noise=how.position.noise,
        speed=_speed(logs, i),
        velocity_noise=None if how.velocity is None else how.velocity.noise,
        velocity_error=how.of_velocity.error,
        source="measured" if how.measured else "positions",
        window=(2 * how.of_velocity.half_width + 1) * interval,
        force=None if joint.force is None else (float(tau.min()), float(tau.max())),
        taken=taken,
        given=given,
    )


def _thinned(parts: list[np.ndarray]) -> np.ndarray:
    step = max(1, sum(map(len, parts)) // _THINNED)
    return np.concatenate([part[::step] for part in parts])


def _visited(q: np.ndarray, joint: Joint) -> float:
    low, high = (-np.pi, np.pi) if joint.angular else (float(q.min()), float(q.max()))
    counts = np.histogram(q, bins=_BINS, range=(low, high if high > low else low + 1.0))[0]
    return float(np.mean(counts > 0))


def _speed(logs: Logs, i: int) -> float:
    """The root mean square of the change of position over a few rows."""
    squares, total = 0.0, 0
    for one in logs.recordings:
        same = one.episode[4:] == one.episode[:-4]
        change = (one.q[4:, i] - one.q[:-4, i])[same] / (one.time[4:] - one.time[:-4])[same]
        squares, total = squares + float(np.sum(change**2)), total + len(change)
    return math.sqrt(squares / total) if total else 0.0


def _energies(logs: Logs, i: int) -> tuple[float, float]:
    """∫ max(±τ dq), the force of a row acting until the next one."""
    taken = given = 0.0
    for one in logs.recordings:
        work = one.tau[:-1, i] * np.diff(one.q[:, i])
        work = work[np.diff(one.episode) == 0]
        taken += float(work[work > 0].sum())
        given -= float(work[work < 0].sum())
    return taken, given


def _sampling_lines(sampling: tuple[Sampling, ...]) -> Iterator[str]:
    width = max(len(one.label) for one in sampling)
    yield f"{'log':{width}} {'rows':>9} {'episodes':>8} {'seconds':>9} {'Hz':>8} jitter  gap"
    for one in sampling:
        gap = f"{one.longest_gap:.3g} s" if one.longest_gap else "none"
        yield (
            f"{one.label:{width}} {one.rows:9d} {one.episodes:8d} {one.duration:9.2f} "
            f"{one.rate:8.4g} {one.jitter:6.1%}  {gap}"
        )


def _coverage_lines(one: Coverage) -> Iterator[str]:
    unit, force = one.unit, "N·m" if one.unit == "rad" else "N"
    step = f"steps of {one.resolution:.2g} {unit}, " if one.resolution else ""
    yield (
        f"{one.name}: {one.low:.3g} to {one.high:.3g} {unit}, {one.coverage:.0%} visited; "
        f"{step}noise {one.noise:.2g} {unit}"
    )
    noise = one.velocity_noise
    measured = "" if noise is None else f", measured with noise {noise:.2g} {unit}/s"
    source = "what was measured" if one.source == "measured" else "positions"
    yield (
        f"  velocity: {one.speed:.3g} {unit}/s rms{measured}; taken from {source} over "
        f"{one.window:.2g} s, expected error {one.velocity_error:.2g} {unit}/s"
    )
    if one.force is not None:
        yield (
            f"  force: {one.force[0]:.3g} to {one.force[1]:.3g} {force}; "
            f"energy in {one.taken:.3g} J, out {one.given:.3g} J"
        )
