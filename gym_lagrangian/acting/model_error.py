r"""The error of a model on data it has not seen: the steps of the newest episode.

    error = Σ_k Σ_i |x̂_i(t_{k+1}) − x_i(t_{k+1})| / s_i  ÷  Σ_k Σ_i |x_i(t_{k+1}) − x_i(t_k)| / s_i,

with x̂ the prediction from the state and the force at t_k, s the typical magnitudes of q and q̇, and
differences of angles taken on the circle. 0 is perfect; 1 is the error of a model in which nothing
moves. The error of a component counts for at most its typical magnitude, so that one prediction
that diverges does not hide all others.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from gym_lagrangian.acting.planning import substeps_of
from gym_lagrangian.checkpoints import Checkpoint
from gym_lagrangian.envs.functional import dynamics_of
from gym_lagrangian.learning.transitions import Transitions

# Rows that are predicted in one call, so that every episode is predicted by the same program.
_ROWS = 64


def one_step_error(found: Checkpoint, data: Transitions) -> float:
    """The error above of a model in transitions that it was not fitted to."""
    dynamics = dynamics_of(found, integrator="rk4", substeps=substeps_of(data.dt, data.coordinates))
    before, after = (np.hstack(x) for x in ((data.q, data.qd), (data.next_q, data.next_qd)))
    parts = _parts(before, data.tau, data.m)
    predicted = np.concatenate([_predicted(dynamics, *part, dt=data.dt) for part in parts])
    typical = found.card.model_coordinates().magnitudes
    angular = [*data.coordinates.angular, *[False] * data.coordinates.n]
    scale = np.array([*typical.q, *typical.qd])
    missed, moved = (
        np.abs(_difference(a, after, angular) / scale) for a in (predicted[: len(data)], before)
    )
    missed = np.where(missed < 1.0, missed, 1.0)  # NaN too
    return float(missed.sum() / max(moved.sum(), np.finfo(float).tiny))


def _difference(a: np.ndarray, b: np.ndarray, angular: list[bool]) -> np.ndarray:
    with np.errstate(invalid="ignore"):  # a prediction may be infinite
        return np.where(angular, np.arctan2(np.sin(a - b), np.cos(a - b)), a - b)


def _parts(*arrays: np.ndarray) -> list[Any]:
    """The rows in parts of `_ROWS`, the last filled with copies of the last row."""
    count = -(-len(arrays[0]) // _ROWS) * _ROWS
    rows = np.minimum(np.arange(count), len(arrays[0]) - 1)
    full = [array[rows].astype(np.float32) for array in arrays]
    return list(zip(*(np.split(array, count // _ROWS) for array in full), strict=True))


def _predicted(dynamics: Any, x: Any, tau: Any, m: Any, *, dt: float) -> np.ndarray:
    return np.asarray(_stepped(dynamics, x, tau, m, np.float32(dt)), np.float64)


@eqx.filter_jit
def _stepped(dynamics: Any, x: Any, tau: Any, m: Any, dt: Any) -> Any:
    def one(x: Any, tau: Any, m: Any) -> Any:
        return dynamics.step(x, tau, m, dt)

    return jax.vmap(one)(jnp.asarray(x), tau, m)
