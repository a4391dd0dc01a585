r"""The paper's measurements: acceleration loss, energy discrepancy and velocity error; and the
one-step error.

Energy discrepancy, by which the paper judges the double pendulum, is
|E(x_pred(t)) − E(x_true(t))| divided by the system's energy scale (29.4 J for the paper's
double pendulum, "the max potential energy"), both energies with the true energy function, for
free motion from the system's evaluation states. Velocity error is max_t max_i |q̇_pred − q̇_true|
over the first second of such a motion, as the paper's Figure 3 shows the particle.

The one-step error is Σ |x_pred − x_true| / dt over the 2n components of the state after one
step of dt: the discrepancy of ẋ, as the acceleration loss is, for models that have no ẋ. As
dt → 0 it becomes the acceleration loss.
"""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from typing import Any, NamedTuple

import equinox as eqx
import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from gym_lagrangian.checkpoint import Card
from gym_lagrangian.checks import seed_number, whole_number
from gym_lagrangian.dynamics import AccelerationField, ContinuousDynamics, Dynamics
from gym_lagrangian.functional import FunctionalEnv, Params, cast, dynamics_of, make
from gym_lagrangian.models.base import AccelerationModel, Model
from gym_lagrangian.registration import find
from gym_lagrangian.sample import Sample
from gym_lagrangian.systems.base import REFERENCE_DT, System

ENERGY_TIMES = (10.0, 100.0)

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
        diverged: whether a motion has left the valid range (T, N); its state is then its last
            valid one.
        scale: the system's energy scale (N,), by which errors are divided.
    """

    time: np.ndarray
    states: np.ndarray
    energy: np.ndarray
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
    env: FunctionalEnv, params: Params, *, states: int, seed: int, seconds: float
) -> FreeMotion:
    """Free motion (zero action) from the evaluation states drawn with `seed`.

    The first 40 of 400 states are the 40 that the same seed draws.

    Arguments:
        env, params: the environment; `params` must hold arrays of the precision wanted
            (float64 inside `jax.enable_x64`).
    """
    samples = evaluation_states(env.system, states, seed)
    x, m = starts(samples, params)
    dt = float(params.dt)
    parts = _run(env, params, x, m, round(seconds / dt))
    visited, energy, diverged = (np.asarray(part) for part in parts)
    scale = np.asarray(jax.vmap(env.system.energy_scale)(m))
    time = dt * np.arange(1, len(energy) + 1)
    return FreeMotion(time, visited, energy, np.cumsum(diverged, axis=0) > 0, scale)


def evaluation_states(system: System, states: int, seed: int) -> Sample:
    """The paper's starting states, `states` rows."""
    keys = jax.random.split(jax.random.key(seed), states)
    return jax.vmap(system.evaluation_sample)(keys)


def starts(samples: Sample, params: Params) -> tuple[Array, Array]:
    """Starting states x (N, 2n) and parameters m (N, k) in the precision of `params`; what is
    fixed there is taken from there.
    """
    dtype = params.dt.dtype
    x = jnp.concatenate([samples.q, samples.qd], axis=1).astype(dtype)
    low, high = params.m_bounds
    return x, jnp.where(low == high, low, samples.m.astype(dtype))


@eqx.filter_jit
def _run(env: FunctionalEnv, params: Params, x: Array, m: Array, steps: int) -> tuple[Array, ...]:
    """States, energies and divergence flags (steps, N, …) of steps with zero action."""
    action = jnp.zeros(env.system.action_size, x.dtype)

    def one(x, m):
        def step(state, _):
            state, timestep = env.step(None, state, action, params)
            return state, (state.x, timestep.info.energy, timestep.info.diverged)

        return jax.lax.scan(step, env.start(x, m, params)[0], None, length=steps)[1]

    return jax.vmap(one, out_axes=1)(x, m)


def energy_discrepancy(
    motion: FreeMotion, truth: FreeMotion, *, times: tuple[float, ...] = ENERGY_TIMES
) -> list[EnergyDiscrepancy]:
    """The discrepancies of free motion against the exact one at the times named."""
    error = motion.error(truth)
    rows = [int(np.argmin(np.abs(motion.time - t))) for t in times]
    return [
        EnergyDiscrepancy(t, tuple(error[row].tolist()), int(motion.diverged[row].sum()))
        for t, row in zip(times, rows, strict=True)
    ]


def acceleration_loss(
    model: AccelerationField,
    system: System,
    *,
    forced: bool,
    states: int = 20_000,
    seed: int = 1,
) -> float:
    """Mean over fresh states of the paper's distribution of Σ_i |q̈_i − q̈_i^true|, weighted.

    Arguments:
        forced: under the forces of random actions, uniform in [-1, 1], instead of none.
    """
    return acceleration_error(model, system, protocol_samples(system, forced, states, seed))


def acceleration_error(model: AccelerationField, system: System, samples: Sample) -> float:
    """The weighted mean over `samples` of Σ_i |q̈_i − q̈_i^true|."""
    return float(_acceleration_error(model, system, samples))


@eqx.filter_jit
def _acceleration_error(model: AccelerationField, system: System, samples: Sample) -> Array:
    arguments = (samples.q, samples.qd, samples.tau, samples.m)
    error = jax.vmap(model.acceleration)(*arguments) - jax.vmap(system.acceleration)(*arguments)
    return _weighted_mean(jnp.sum(jnp.abs(error), axis=1), samples.weight)


def one_step_error(
    dynamics: Dynamics,
    system: System,
    *,
    dt: float,
    forced: bool,
    states: int = 20_000,
    seed: int = 1,
) -> float:
    """Mean of Σ |x_pred − x_true| / dt after one step, over the states of `acceleration_loss`.

    Arguments:
        dynamics: what is judged.
        dt: the step in seconds.
        forced: as for `acceleration_loss`.
    """
    samples = protocol_samples(system, forced, states, seed)
    return float(_one_step_error(dynamics, system, samples, dt))


@eqx.filter_jit
def _one_step_error(dynamics: Dynamics, system: System, samples: Sample, dt: float) -> Array:
    x = jnp.concatenate([samples.q, samples.qd], axis=1)
    substeps = system.default_substeps(dt, learned=False)
    exact = ContinuousDynamics(system, "dop853", substeps)
    predicted, true = (
        jax.vmap(lambda x, tau, m, d=d: d.step(x, tau, m, dt))(x, samples.tau, samples.m)
        for d in (dynamics, exact)
    )
    # Where the exact motion leaves the domain of L within the step there is nothing to compare.
    valid = jnp.all(jnp.isfinite(true), axis=1)
    error = jnp.sum(jnp.abs(jnp.where(valid[:, None], predicted - true, 0.0)), axis=1) / dt
    return _weighted_mean(error, jnp.where(valid, samples.weight, 0.0))


def protocol_samples(system: System, forced: bool, states: int, seed: int) -> Sample:
    """States of the paper's distribution, under the forces of random actions or none."""
    return _protocol_samples(system, forced, states, jax.random.key(seed))


@eqx.filter_jit
def _protocol_samples(system: System, forced: bool, states: int, key: Array) -> Sample:
    key_state, key_action = jax.random.split(key)
    samples = jax.vmap(system.protocol_sample)(jax.random.split(key_state, states))
    if forced:
        shape = (states, system.action_size)
        actions = jax.random.uniform(key_action, shape, minval=-1.0, maxval=1.0)
        samples = samples._replace(tau=jax.vmap(system.generalized_force)(actions))
    return samples


def _weighted_mean(values: Array, weight: Array) -> Array:
    return jnp.mean(weight * values) / jnp.mean(weight)


def losses(
    model: Model, system: System, *, dt: float, forced: bool = True, states: int = 20_000
) -> dict[str, float]:
    """One-step errors at `dt` and, where the model has accelerations, their losses; under
    random forces too (``…_forced``), unless the model does not take any.
    """
    dynamics = dynamics_of(model, integrator="dop853", substeps=_substeps(system, dt))
    result: dict[str, float] = {}
    for suffix, push in (("", False), ("_forced", True))[: 1 + forced]:
        how = {"forced": push, "states": states}
        if isinstance(model, AccelerationModel):
            result[f"acceleration_loss{suffix}"] = acceleration_loss(model, system, **how)
        result[f"one_step_error{suffix}"] = one_step_error(dynamics, system, dt=dt, **how)
    return result


def _substeps(system: System, dt: float) -> int:
    return system.default_substeps(dt, learned=True)


def measure(model: Model, card: Card) -> dict[str, Any]:
    """The metrics that a checkpoint carries: `losses` and energy discrepancies."""
    system = card.build_system()
    dt = step_of(model, REFERENCE_DT)
    metrics: dict[str, Any] = {"dt": dt, **losses(model, system, dt=dt, forced=card.forced)}
    motions = free_motions(model, system, dt=dt, states=40, seconds=max(ENERGY_TIMES))
    for result in energy_discrepancy(*motions):
        summary = result.summary()
        del summary["values"]
        metrics[f"energy_discrepancy_{result.time:g}s"] = summary
    metrics["velocity_error"] = velocity_error(model, system)
    return metrics


def step_of(model: Model, dt: float) -> float:
    """`dt`, or the only step that the model can take."""
    fixed = dynamics_of(model, integrator="dop853", substeps=1).fixed_dt
    return dt if fixed is None else fixed


def free_motions(
    model: Model, system: System, *, dt: float, states: int, seconds: float, seed: int = 0
) -> tuple[FreeMotion, FreeMotion]:
    """A model's free motion and the exact one, in float64, as `free_motion`."""
    with jax.enable_x64(True):
        options: dict[str, Any] = dict(system.options)
        env, truth = make(system.name, dt=dt, dtype="float64", **options)
        dynamics = dynamics_of(model, integrator="dop853", substeps=_substeps(system, dt))
        params = dataclasses.replace(truth, dynamics=cast(dynamics, "float64"))
        how: Any = {"states": states, "seed": seed, "seconds": seconds}
        return free_motion(env, params, **how), free_motion(env, truth, **how)


def velocity_error(
    model: Model, system: System, *, states: int = VELOCITY_STATES, seed: int = 0
) -> dict[str, Any]:
    """The velocity error from `states` starts: its median, 95th percentile and maximum, and how
    many motions left the valid range; JSON-able.
    """
    dt = step_of(model, VELOCITY_SECONDS / VELOCITY_POINTS)
    how: Any = {"states": states, "seed": seed, "seconds": VELOCITY_SECONDS}
    motion, truth = free_motions(model, system, dt=dt, **how)
    error = motion.velocity_error(truth)
    return {
        "median": float(np.median(error)),
        "percentile_95": float(np.percentile(error, 95)),
        "max": float(error.max()),
        "diverged": int(motion.diverged[-1].sum()),
        "states": states,
    }


def evaluate(
    env_id: str,
    *,
    states: int = 40,
    seed: int = 0,
    checkpoint: str | os.PathLike[str] | None = None,
    **options: Any,
) -> dict[str, Any]:
    """The paper's protocol, measured through a registered id; JSON-able.

    Free motion (zero action) from `states` starting states, energy discrepancies at 10 s and
    100 s against the true twin, and the `losses` and `velocity_error` of a learned model.

    Arguments:
        checkpoint: the path of a model of your own to move the id instead.
        options: of the system, such as ``lagrangian="special_relativity"``.

    Raises:
        ConfigurationError: `env_id` is not an id of this package, or `states` < 1.
        CheckpointError: the checkpoint is damaged, or a model of something else.
    """
    row, states, seed = find(env_id), whole_number("states", states), seed_number(seed)
    moved_by: dict[str, Any] = row.kwargs | options
    if checkpoint is not None:
        moved_by["checkpoint"] = os.fspath(checkpoint)
    learned: Any = gymnasium.make(env_id, **moved_by).unwrapped
    exact: Any = gymnasium.make(f"{row.system}-v0", **options).unwrapped
    report: dict[str, Any] = {
        "id": env_id,
        "checkpoint": moved_by.get("checkpoint"),
        "starting_states": states,
        "seed": seed,
        "dt": learned.dt,
    }
    with learned.scope():
        env, params = learned.functional
        found = learned.checkpoint
        if found is not None:
            model = cast(found.model, "float64")
            report |= losses(model, env.system, dt=learned.dt, forced=found.card.forced)
            report["velocity_error"] = velocity_error(model, env.system, seed=seed)
        how: Any = {"states": states, "seed": seed, "seconds": max(ENERGY_TIMES)}
        motion, true = (free_motion(env, p, **how) for p in (params, exact.functional[1]))
    results = energy_discrepancy(motion, true)
    report["energy_discrepancy"] = [result.summary() for result in results]
    return report
