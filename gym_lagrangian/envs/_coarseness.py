"""How far an integrator that was given is from the default, seen from one step."""

from __future__ import annotations

import functools

import jax
import numpy as np
from jax import Array

from gym_lagrangian.physics.dynamics import ContinuousDynamics
from gym_lagrangian.physics.integrators import DEFAULT_INTEGRATOR
from gym_lagrangian.physics.numbers import evaluated
from gym_lagrangian.systems.base import System

# An error of one step, in typical magnitudes, that is worth a warning. With five times as much, as
# by one substep of rk4, the double pendulum loses all its energy in 20 s.
NOTABLE_ERROR = 2e-5

# The states that are tried.
_STATES = 32


@functools.lru_cache(maxsize=256)
def step_error(
    system: System, integrator: str, substeps: int, dt: float, m: tuple[float, ...]
) -> float:
    """The largest difference between one step and that of the default integrator, over states
    within the typical magnitudes and in units of them, without forces.

    Arguments:
        substeps: of the given integrator.
        dt: seconds in the step.
        m: parameters (k,).
    """
    reach = np.concatenate([np.where(system.angular, np.pi, system.magnitudes.q), _speeds(system)])
    unit = np.concatenate([np.where(system.angular, 1.0, system.magnitudes.q), _speeds(system)])
    x = np.random.default_rng(0).uniform(-1.0, 1.0, (_STATES, 2 * system.n)) * reach
    usual = system.default_substeps(dt, learned=False, m_bounds=np.array([m, m]))
    given = ContinuousDynamics(system, integrator, substeps).rolled()
    default = ContinuousDynamics(system, DEFAULT_INTEGRATOR, usual).rolled()

    def apart(x: Array, m: Array, dt: Array) -> Array:
        tau = 0.0 * x[: system.n]
        return given.step(x, tau, m, dt) - default.step(x, tau, m, dt)

    found = evaluated(jax.vmap(apart, (0, None, None)), x, np.array(m), np.array(dt))
    error = np.abs(found / unit).max(axis=1)
    return float(error[np.isfinite(error)].max(initial=0.0))


def _speeds(system: System) -> np.ndarray:
    return np.array(system.magnitudes.qd)
