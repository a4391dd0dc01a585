"""How far an integrator that was given is from the default, seen from one step."""

from __future__ import annotations

from functools import lru_cache, partial

import jax
import numpy as np
from jax import Array

from gym_lagrangian.physics.dynamics import ContinuousDynamics
from gym_lagrangian.physics.integrators import DEFAULT_INTEGRATOR
from gym_lagrangian.systems.base import System

# An error of one step, in typical magnitudes, that is worth a warning. With five times as much, as
# by one substep of rk4, the double pendulum loses all its energy in 20 s.
NOTABLE_ERROR = 2e-5

# The states that are tried.
_STATES = 32


@lru_cache(maxsize=256)
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
    with jax.enable_x64(True), jax.disable_jit(False):
        found = np.asarray(_apart(system, (integrator, substeps), usual, x, np.array(m), dt))
    error = np.abs(found / unit).max(axis=1)
    return float(error[np.isfinite(error)].max(initial=0.0))


@partial(jax.jit, static_argnames=("system", "given", "usual"))
def _apart(
    system: System, given: tuple[str, int], usual: int, x: Array, m: Array, dt: Array
) -> Array:
    """The states (N, 2n) after a step by the given integrator, minus those by the default one; one
    program for all parameters.
    """
    one, other = (
        ContinuousDynamics(system, *how).rolled() for how in (given, (DEFAULT_INTEGRATOR, usual))
    )

    def apart(x: Array) -> Array:
        tau = 0.0 * x[: system.n]
        return one.step(x, tau, m, dt) - other.step(x, tau, m, dt)

    return jax.vmap(apart)(x)


def _speeds(system: System) -> np.ndarray:
    return np.array(system.magnitudes.qd)
