"""Tasks whose every step costs something."""

import jax.numpy as jnp

from gym_lagrangian.systems.double_pendulum import SwingUp


class Nothing(SwingUp):
    """−1 a step, whatever is done: an agent that can end the episode early will."""

    def reward(self, q, qd, tau, m):
        return -jnp.ones(())
