"""Tasks whose every step costs something."""

import jax.numpy as jnp

from gym_lagrangian.systems.double_pendulum import SwingUp


class Nothing(SwingUp):
    """−1 a step, whatever is done: an agent that can end the episode early will."""

    def reward(self, q, qd, tau, m):
        return -jnp.ones(())


class Effort(SwingUp):
    """Height, less what the motors use: a reward of both signs."""

    def reward(self, before, action, after):
        return -jnp.sum(jnp.cos(after.q)) - 5.0 * jnp.sum(action**2)
