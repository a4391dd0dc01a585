"""States (q, q̇) from the observations of Gymnasium's own environments.

Angles are within ±π. Velocities are NaN where they were clipped.

Source: `_get_obs` and the like of gymnasium.envs.classic_control and gymnasium.envs.mujoco.
"""

from __future__ import annotations

from typing import Any

import numpy as np

# q and q̇ (n,).
Pair = tuple[np.ndarray, np.ndarray]


def pendulum(seen: Any) -> Pair:
    """Of (cos θ, sin θ, θ̇)."""
    cos, sin, speed = _numbers(seen)
    return np.arctan2([sin], [cos]), np.array([speed])


def cart_pole(seen: Any) -> Pair:
    """Of (x, ẋ, θ, θ̇)."""
    return _numbers(seen)[0::2], _numbers(seen)[1::2]


def acrobot(seen: Any) -> Pair:
    """Of (cos θ1, sin θ1, cos θ2, sin θ2, θ̇1, θ̇2)."""
    cos1, sin1, cos2, sin2, *speeds = _numbers(seen)
    return np.arctan2([sin1, sin2], [cos1, cos2]), np.array(speeds)


def mountain_car(seen: Any) -> Pair:
    """Of (x, ẋ)."""
    return _numbers(seen)[:1], _numbers(seen)[1:]


def inverted_pendulum(seen: Any) -> Pair:
    """Of (x, θ, ẋ, θ̇)."""
    return _numbers(seen)[:2], _numbers(seen)[2:4]


def inverted_double_pendulum(seen: Any) -> Pair:
    """Of (x, sin θ1, sin θ2, cos θ1, cos θ2, q̇ clipped at ±10, …)."""
    x, sines, cosines, speeds, _ = np.split(_numbers(seen), [1, 3, 5, 8])
    speeds = np.where(np.abs(speeds) < 10.0, speeds, np.nan)
    return np.concatenate([x, np.arctan2(sines, cosines)]), speeds


def reacher(seen: Any) -> Pair:
    """Of (cos θ, sin θ, target, θ̇, …)."""
    cosines, sines, _, speeds, _ = np.split(_numbers(seen), [2, 4, 6, 8])
    return np.arctan2(sines, cosines), speeds


def _numbers(seen: Any) -> np.ndarray:
    return np.asarray(seen, np.float64)
