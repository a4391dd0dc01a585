r"""Accelerations from logs: slopes of measured velocities, or second derivatives of positions.

Both are estimated by the local polynomials of `local`, each with the width that suits it, and the
one that errs by less is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gym_lagrangian.learning.logs.local import Choice, choose, derivatives, resolution
from gym_lagrangian.learning.logs.recording import Recording

# Rows of which the step of a sensor is found.
_MANY = 20_000


class Accelerating(NamedTuple):
    """How the acceleration of one coordinate is estimated.

    Attributes:
        choice: the windows.
        measured: whether it is the slope of the measured velocity.
    """

    choice: Choice
    measured: bool


class Instants(NamedTuple):
    """N instants of motion: what inverse dynamics is about.

    Attributes:
        q, qd, qdd: coordinates, velocities and accelerations (N, n).
        tau: measured forces (N, n), 0 where none were measured.
    """

    q: np.ndarray
    qd: np.ndarray
    qdd: np.ndarray
    tau: np.ndarray


def accelerating(recordings: Sequence[Recording], joint: int) -> Accelerating:
    """The windows of the acceleration of one coordinate, by all recordings."""
    time, episode = time_and_episode(recordings)
    q, qd = (np.concatenate([getattr(r, k)[:, joint] for r in recordings]) for k in ("q", "qd"))
    step = max(r.resolution[joint] for r in recordings)
    position = choose(time, q, episode, step, order=2)
    if not np.isfinite(qd).all():
        return Accelerating(position, measured=False)
    velocity = choose(time, qd, episode, resolution(qd[:_MANY]), order=1)
    measured = velocity.error < position.error
    return Accelerating(velocity if measured else position, measured)


def accelerations(
    recorded: Recording, rows: slice, at: np.ndarray, how: Sequence[Accelerating], scale: float
) -> np.ndarray:
    """q̈ (G, n) at the instants `at` (G,) of one episode.

    Arguments:
        rows: of the episode.
        scale: how many rows of this recording there are for one of a typical recording.
    """
    columns = [_along(recorded, rows, at, i, one, scale) for i, one in enumerate(how)]
    return np.stack(columns, axis=1)


def _along(
    recorded: Recording, rows: slice, at: np.ndarray, joint: int, how: Accelerating, scale: float
) -> np.ndarray:
    width = max(2, round(how.choice.half_width * scale))
    read = (recorded.qd if how.measured else recorded.q)[rows, joint]
    return derivatives(recorded.time[rows], read, at, width)[1 if how.measured else 2]


def time_and_episode(recordings: Sequence[Recording]) -> tuple[np.ndarray, np.ndarray]:
    """The time (N,) of all rows, and their episodes counted on from log to log."""
    counts = np.cumsum([0, *(int(r.episode[-1]) + 1 for r in recordings)])
    pairs = zip(recordings, counts[:-1], strict=True)
    episode = np.concatenate([r.episode + first for r, first in pairs])
    return np.concatenate([r.time for r in recordings]), episode
