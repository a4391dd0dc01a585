"""Rows at an end: forces at saturation, positions at an end stop.

Where a reading is cut off, many rows have its extreme value and few come close to it. (For a sine,
the second thousandth of its height below the top has .41 times as many rows as the first.) Limits
that the machine's description states take precedence over the data.
"""

from __future__ import annotations

import numpy as np

from gym_lagrangian.learning.logs.machine import Joint, Machine
from gym_lagrangian.learning.logs.recording import Recording

# How close to the extreme a row is at it, as a share of the range.
_NEAR = 1e-3

# The least share of rows at an end, and how many times as many as next to it.
_SHARE, _SPIKE = 0.003, 6.0

# Levels of a force below which it is switched rather than cut off.
_LEVELS = 10

KINDS = ("saturation", "stops")


def at_extremes(machine: Machine, recordings: list[Recording]) -> dict[str, list[np.ndarray]]:
    """For each kind and recording, which rows (N, n) are at an end."""
    found: dict[str, list[np.ndarray]] = {
        kind: [np.zeros(r.q.shape, bool) for r in recordings] for kind in KINDS
    }
    for i, joint in enumerate(machine.joints):
        for kind, ends in (
            ("saturation", _saturation(joint, [r.tau[:, i] for r in recordings])),
            ("stops", _stops(joint, [r.q[:, i] for r in recordings])),
        ):
            for flags, recorded in zip(found[kind], recordings, strict=True):
                values = recorded.tau[:, i] if kind == "saturation" else recorded.q[:, i]
                flags[:, i] = (values <= ends[0]) | (values >= ends[1])
    return found


def _saturation(joint: Joint, forces: list[np.ndarray]) -> tuple[float, float]:
    """The forces at or beyond which a motor is saturated."""
    if joint.force is None:
        return -np.inf, np.inf
    if joint.force_max is not None:
        limit = (1.0 - _NEAR) * joint.force_max
        return -limit, limit
    thinned = np.concatenate([_thinned(force) for force in forces])
    if len(np.unique(thinned)) < _LEVELS:
        return -np.inf, np.inf
    return _cut_off(thinned)


def _stops(joint: Joint, positions: list[np.ndarray]) -> tuple[float, float]:
    """The positions at or beyond which a coordinate is at a stop; an angle that turns has none."""
    if joint.limits is not None:
        low, high = joint.limits
        near = _NEAR * (high - low)
        return low + near, high - near
    thinned = np.concatenate([_thinned(position) for position in positions])
    if joint.angular and np.ptp(thinned) > 2 * np.pi:
        return -np.inf, np.inf
    return _cut_off(thinned)


def _cut_off(values: np.ndarray) -> tuple[float, float]:
    """The ends at which values pile up; ±∞ where they do not."""
    low, high = float(values.min()), float(values.max())
    near = _NEAR * (high - low)
    if near == 0:
        return -np.inf, np.inf
    piled = [_piles_up(values - low, near), _piles_up(high - values, near)]
    return (low + near if piled[0] else -np.inf), (high - near if piled[1] else np.inf)


def _piles_up(distance: np.ndarray, near: float) -> bool:
    at = int(np.sum(distance <= near))
    beside = int(np.sum((distance > near) & (distance <= 3 * near)))
    return at >= max(10, _SHARE * len(distance)) and at >= _SPIKE * max(beside, 1)


def _thinned(values: np.ndarray, most: int = 200_000) -> np.ndarray:
    return values[:: max(1, len(values) // most)]
