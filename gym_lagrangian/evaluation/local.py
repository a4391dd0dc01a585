r"""Errors on single states: accelerations, and one step.

The acceleration loss is the paper's: the mean of Σ_i |q̈_i − q̈_i^true|. The one-step error is
Σ |x_pred − x_true| / dt over the 2n components of the state after one step of dt: the
discrepancy of ẋ, as the acceleration loss is, for models that have no ẋ. As dt → 0 it becomes
the acceleration loss.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from gym_lagrangian.physics.dynamics import AccelerationField, ContinuousDynamics, Dynamics
from gym_lagrangian.registration import distributions_of
from gym_lagrangian.systems.base import System
from gym_lagrangian.systems.sample import Ranges, Sample, varied


def acceleration_loss(
    model: AccelerationField,
    system: System,
    *,
    forced: bool,
    states: int = 20_000,
    seed: int = 1,
    ranges: Ranges | None = None,
) -> float:
    """Mean over fresh states of the system's `distributions` of Σ_i |q̈_i − q̈_i^true|, weighted.

    Arguments:
        forced: under the forces of random actions, uniform in [-1, 1], instead of none.
        ranges: of the parameters that are drawn anew for every state.
    """
    samples = protocol_samples(system, forced, states, seed, ranges)
    return acceleration_error(model, system, samples)


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
    ranges: Ranges | None = None,
) -> float:
    """Mean of Σ |x_pred − x_true| / dt after one step, over the states of `acceleration_loss`.

    Arguments:
        dynamics: what is judged.
        dt: the step in seconds.
        forced, ranges: as for `acceleration_loss`.
    """
    samples = protocol_samples(system, forced, states, seed, ranges)
    return float(_one_step_error(dynamics, system, samples, dt))


@eqx.filter_jit
def _one_step_error(dynamics: Dynamics, system: System, samples: Sample, dt: float) -> Array:
    x = jnp.concatenate([samples.q, samples.qd], axis=1)
    substeps = system.default_substeps(dt, learned=False)
    exact = ContinuousDynamics(system, "dop853", substeps, roll=True)
    predicted, true = (
        jax.vmap(lambda x, tau, m, d=d: d.step(x, tau, m, dt))(x, samples.tau, samples.m)
        for d in (dynamics, exact)
    )
    # Where the exact motion leaves the domain of L within the step there is nothing to compare.
    valid = jnp.all(jnp.isfinite(true), axis=1)
    error = jnp.sum(jnp.abs(jnp.where(valid[:, None], predicted - true, 0.0)), axis=1) / dt
    return _weighted_mean(error, jnp.where(valid, samples.weight, 0.0))


def protocol_samples(
    system: System, forced: bool, states: int, seed: int, ranges: Ranges | None = None
) -> Sample:
    """States on which models of a system are judged, under the forces of random actions or none."""
    acting = np.asarray(forced)  # an argument: one program serves both
    return _protocol_samples(system, acting, states, jax.random.key(seed), ranges or {})


@eqx.filter_jit
def _protocol_samples(
    system: System, acting: Array | np.ndarray, states: int, key: Array, ranges: Ranges
) -> Sample:
    key_state, key_action = jax.random.split(key)
    draw = varied(distributions_of(system).states, system, ranges)
    samples = jax.vmap(draw)(jax.random.split(key_state, states))
    task = system.task(coordinates=system)
    shape = (states, task.action_size)
    actions = jax.random.uniform(key_action, shape, minval=-1.0, maxval=1.0)
    forces = jax.vmap(task.generalized_force)(samples.q, samples.qd, actions)
    return samples._replace(tau=jnp.where(acting, forces, samples.tau))


def _weighted_mean(values: Array, weight: Array) -> Array:
    return jnp.mean(weight * values) / jnp.mean(weight)
