r"""Errors that grow with time: energy and velocity along free motion.

Energy discrepancy, by which the paper judges the double pendulum, is |E(x_pred(t)) − E(x_true(t))|
divided by the system's energy scale (29.4 J for the paper's double pendulum, "the max potential
energy"), both energies with the true energy function. With friction this says little, since both
motions come to rest whatever the model is. `energy_drift` is measured there: the change of the true
energy along the model's motion, plus the heat that true friction takes out along it. Velocity error
is max_t max_i |q̇_pred − q̇_true| over the first second of such a motion, as the paper's Figure 3
shows the particle.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from gym_lagrangian.envs.functional import (
    FunctionalEnv,
    Params,
    State,
    cast,
    dynamics_of,
    energy_scale,
    make,
)
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.models.base import Model
from gym_lagrangian.registration import distributions_of
from gym_lagrangian.systems.base import System
from gym_lagrangian.systems.coordinates import REFERENCE_DT
from gym_lagrangian.systems.sample import Ranges, Sample, varied

ENERGY_TIMES = (10.0, 100.0)

# Steps in one call of a compiled program, and starts in it where there are few steps: the same
# program then serves motions of any length, and the velocity error beside the energy's.
_BLOCK, _TOGETHER = 50, 40

# How the velocity error is measured: over so many seconds, seen so often, from so many starts.
VELOCITY_SECONDS, VELOCITY_POINTS, VELOCITY_STATES = 1.0, 50, 200


@dataclass(frozen=True)
class EnergyDiscrepancy:
    """Energy discrepancies at one time, as shares of the energy scale.

    Attributes:
        time: seconds since the start.
        values: one a starting state.
        diverged: how many left the valid range before that time; they are judged at their
            last valid state.
    """

    time: float
    values: tuple[float, ...]
    diverged: int

    def summary(self) -> dict[str, Any]:
        """Mean, median, geometric mean, 95th percentile and maximum, JSON-able."""
        values = np.array(self.values)
        floor = np.finfo(np.float64).tiny
        return {
            "time": self.time,
            "mean": float(values.mean()),
            "median": float(np.median(values)),
            "geometric_mean": float(np.exp(np.log(np.maximum(values, floor)).mean())),
            "percentile_95": float(np.percentile(values, 95)),
            "max": float(values.max()),
            "diverged": self.diverged,
            "values": list(self.values),
        }


class FreeMotion(NamedTuple):
    """N free motions, from the evaluation states drawn with one seed.

    Attributes:
        time: seconds since the start (T,), after every step.
        states: q then q̇ (T, N, 2n).
        energy: the true one, in joules (T, N).
        drift: `energy_drift` (T, N), a share of the scale.
        diverged: whether a motion has left the valid range (T, N); its state is then its last
            valid one.
        scale: the system's energy scale (N,), by which errors are divided.
    """

    time: np.ndarray
    states: np.ndarray
    energy: np.ndarray
    drift: np.ndarray
    diverged: np.ndarray
    scale: np.ndarray

    def error(self, truth: FreeMotion) -> np.ndarray:
        """The energy discrepancy (T, N), as a share of the scale."""
        return np.abs(self.energy - truth.energy) / self.scale

    def velocity_error(self, truth: FreeMotion) -> np.ndarray:
        """The largest |q̇_i − q̇_i^true| on the way (N,)."""
        n = self.states.shape[-1] // 2
        return np.abs(self.states - truth.states)[..., n:].max(axis=(0, 2))


def free_motion(
    env: FunctionalEnv,
    params: Params,
    *,
    states: int,
    seed: int,
    seconds: float,
    together: int | None = None,
) -> FreeMotion:
    """Free motion (zero action) from the evaluation states drawn with `seed`.

    The first 40 of 400 states are the 40 that the same seed draws.

    Arguments:
        env, params: the environment; `params` must hold arrays of the precision wanted
            (float64 inside `jax.enable_x64`).
        together: states that are followed together; default all of them.

    Raises:
        ConfigurationError: the true equations are unknown.
    """
    if env.system is None:
        raise ConfigurationError(
            f"the true equations of {env.coordinates.name} are unknown: there is nothing to "
            "measure a model against but recordings that were held out"
        )
    samples = evaluation_states(env.system, states, seed, told(env.system, params.m_bounds))
    x, m = starts(samples, params)
    dt, many = float(params.dt), together or states
    params = dataclasses.replace(params, dynamics=params.dynamics.rolled())
    groups = [slice(first, first + many) for first in range(0, states, many)]
    found = [_followed(env, params, x[rows], m[rows], round(seconds / dt)) for rows in groups]
    visited, energy, drift, diverged = (
        np.concatenate(parts, axis=1) for parts in zip(*(parts for parts, _ in found), strict=True)
    )
    scale = np.concatenate([scale for _, scale in found])
    time = dt * np.arange(1, len(energy) + 1)
    return FreeMotion(time, visited, energy, drift, np.cumsum(diverged, axis=0) > 0, scale)


def evaluation_states(
    system: System, states: int, seed: int, ranges: Ranges | None = None
) -> Sample:
    """The states from which free motion is judged, `states` rows: the paper's for its systems.

    Arguments:
        ranges: of the parameters that are drawn anew for every state.
    """
    return _drawn(system, states, jax.random.key(seed), ranges or {})


@eqx.filter_jit
def _drawn(system: System, states: int, key: Array, ranges: Ranges) -> Sample:
    draw = varied(distributions_of(system).starts, system, ranges)
    return jax.vmap(draw)(jax.random.split(key, states))


def told(system: System, m_bounds: Any) -> dict[str, tuple[float, float]]:
    """What an environment with parameters within bounds (2, k) was told of them, beside what its
    system says: name → (low, high).
    """
    own, bounds = system.parameter_bounds(), np.asarray(m_bounds, np.float64)
    rows = zip(system.parameters, own.T, bounds.T, strict=True)
    told = {name: given for name, usual, given in rows if not np.allclose(given, usual, rtol=1e-6)}
    return {name: (float(low), float(high)) for name, (low, high) in told.items()}


def starts(samples: Sample, params: Params) -> tuple[Array, Array]:
    """Starting states x (N, 2n) and parameters m (N, k) in the precision of `params`; what is
    fixed there is taken from there.
    """
    dtype = params.dt.dtype
    x = jnp.concatenate([samples.q, samples.qd], axis=1).astype(dtype)
    low, high = params.m_bounds
    return x, jnp.where(low == high, low, samples.m.astype(dtype))


def _followed(
    env: FunctionalEnv, params: Params, x: Array, m: Array, steps: int
) -> tuple[list[np.ndarray], np.ndarray]:
    """States, energies, drifts and divergence flags (steps, N, …) with zero action, and the energy
    scales (N,).
    """
    state, scale = _begun(env, params, x, m)
    blocks = []
    for _ in range(0, steps, _BLOCK):
        state, block = _run(env, params, state)
        blocks.append(jax.tree.map(np.asarray, block))
    parts = [np.concatenate(part)[:steps] for part in zip(*blocks, strict=True)]
    return parts, np.asarray(scale)


@eqx.filter_jit
def _begun(env: FunctionalEnv, params: Params, x: Array, m: Array) -> tuple[State, Array]:
    """N states at the start, and their energy scales (N,)."""
    system: Any = env.system  # which there is
    goal = jnp.asarray(params.goal_bounds)[0]
    state = jax.vmap(lambda x, m: env.start(x, m, goal, params)[0])(x, m)
    return state, jax.vmap(partial(energy_scale, system))(m)


@eqx.filter_jit
def _run(env: FunctionalEnv, params: Params, state: State) -> tuple[State, tuple]:
    """N states after a block of steps, and what was met on the way (steps, N, …)."""
    action = jnp.zeros(env.task.action_size, state.x.dtype)

    def one(state):
        state, timestep = env.step(None, state, action, params)
        info = timestep.info
        return state, (state.x, info.energy, info.energy_drift, info.diverged)

    return jax.lax.scan(lambda state, _: jax.vmap(one)(state), state, length=_BLOCK)


def energy_discrepancy(
    motion: FreeMotion, truth: FreeMotion, *, times: tuple[float, ...] = ENERGY_TIMES
) -> list[EnergyDiscrepancy]:
    """The discrepancies of free motion against the exact one at the times named."""
    return _at_times(motion, motion.error(truth), times)


def energy_balance(
    motion: FreeMotion, *, times: tuple[float, ...] = ENERGY_TIMES
) -> list[EnergyDiscrepancy]:
    """What the balance of true energy is wrong by, |`energy_drift`|, at the times named."""
    return _at_times(motion, np.abs(motion.drift), times)


def _at_times(
    motion: FreeMotion, error: np.ndarray, times: tuple[float, ...]
) -> list[EnergyDiscrepancy]:
    rows = [int(np.argmin(np.abs(motion.time - t))) for t in times]
    return [
        EnergyDiscrepancy(t, tuple(error[row].tolist()), int(motion.diverged[row].sum()))
        for t, row in zip(times, rows, strict=True)
    ]


def free_motion_of(
    model: Model | None,
    system: System,
    *,
    dt: float,
    states: int,
    seconds: float,
    seed: int = 0,
    ranges: Ranges | None = None,
    together: int | None = None,
) -> FreeMotion:
    """The free motion that a model, or None for the exact equations, makes of a system's starts, in
    float64, as `free_motion`; with the parameters in `ranges` drawn from there.
    """
    longest = max(dt, REFERENCE_DT)  # shorter steps take as many substeps: one program for both
    with jax.enable_x64(True):
        options: dict[str, Any] = {**system.options, **(ranges or {})}
        env, params = make(type(system), dt=longest, dtype="float64", **options)
        params = dataclasses.replace(params, dt=np.asarray(dt, np.float64))
        if model is not None:
            names = model.embedding.m_names
            substeps = system.default_substeps(longest, learned=True, conditioned_on=names)
            dynamics = dynamics_of(model, integrator="dop853", substeps=substeps)
            params = dataclasses.replace(params, dynamics=cast(dynamics, "float64"))
        how: Any = {"states": states, "seed": seed, "seconds": seconds, "together": together}
        return free_motion(env, params, **how)


def free_motions(model: Model, system: System, **how: Any) -> tuple[FreeMotion, FreeMotion]:
    """`free_motion_of` a model, and of the exact equations."""
    return free_motion_of(model, system, **how), free_motion_of(None, system, **how)


def velocity_error(
    model: Model,
    system: System,
    *,
    states: int = VELOCITY_STATES,
    seed: int = 0,
    ranges: Ranges | None = None,
) -> dict[str, Any]:
    """The velocity error from `states` starts: its median, 95th percentile and maximum, and how
    many motions left the valid range; JSON-able.
    """
    dt = step_of(model, VELOCITY_SECONDS / VELOCITY_POINTS)
    how: Any = {"states": states, "seed": seed, "seconds": VELOCITY_SECONDS, "ranges": ranges}
    motion, truth = free_motions(model, system, dt=dt, together=_TOGETHER, **how)
    error = motion.velocity_error(truth)
    return {
        "median": float(np.median(error)),
        "percentile_95": float(np.percentile(error, 95)),
        "max": float(error.max()),
        "diverged": int(motion.diverged[-1].sum()),
        "states": states,
    }


def step_of(model: Model, dt: float) -> float:
    """`dt`, or the only step that the model can take."""
    fixed = dynamics_of(model, integrator="dop853", substeps=1).fixed_dt
    return dt if fixed is None else fixed
