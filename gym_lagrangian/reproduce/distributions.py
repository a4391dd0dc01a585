"""The paper's distributions of states, on which its losses and trajectories are judged."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from gym_lagrangian.systems.double_pendulum import DoublePendulum
from gym_lagrangian.systems.relativistic_particle import RelativisticParticle
from gym_lagrangian.systems.sample import Distributions, Sample, uniform_state

LABEL = "the paper's distribution"


def double_pendulum(system: DoublePendulum) -> Distributions:
    """Losses on θ ~ U(0, 2π)², ω ~ U(−10, 10)²; motion from ω ~ U(0, 0.1)²."""

    def states(key: Array, m: Array | None = None) -> Sample:
        return uniform_state(key, system, (0.0, 2 * jnp.pi), (-10.0, 10.0), m)

    def starts(key: Array, m: Array | None = None) -> Sample:
        key_state, key_qd = jax.random.split(key)
        qd = jax.random.uniform(key_qd, (2,), minval=0.0, maxval=0.1)
        return states(key_state, m)._replace(qd=qd)

    return Distributions(states, starts, LABEL)


def relativistic_particle(system: RelativisticParticle) -> Distributions:
    """Losses on `RelativisticParticle.fast_state`; motion from v ~ U(−0.99, 0.99)."""

    def starts(key: Array, m: Array | None = None) -> Sample:
        key_state, key_qd = jax.random.split(key)
        beta = jax.random.uniform(key_qd, (1,), minval=-0.99, maxval=0.99)
        state = system.fast_state(key_state, m)
        return state._replace(qd=system.named(state.m).c * beta)

    return Distributions(system.fast_state, starts, LABEL)
