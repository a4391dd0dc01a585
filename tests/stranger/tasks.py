"""Tasks and rewards on other people's coordinates."""

import jax.numpy as jnp

from gym_lagrangian import Task


class HoldStill(Task):
    """Do not move, wherever you are, and use little force."""

    force_max: float = 2.0

    def reward(self, before, action, after):
        return -jnp.sum(after.qd**2) - 0.01 * jnp.sum(action**2)


class Reach(Task):
    """Bring every coordinate to a target drawn at reset."""

    goal = {"target": (-1.0, 1.0)}  # noqa: RUF012

    def reward(self, before, action, after):
        return -jnp.sum((after.q - after.goal) ** 2)


class Thrust(Task):
    """A thruster at the tip of a link, which pushes along it: its torque depends on attitude."""

    strength: float = 3.0

    @property
    def action_size(self):
        return 1

    def generalized_force(self, q, qd, action):
        return self.strength * action[0] * jnp.sin(q)


def slow(q, qd, tau, m):
    """A reward in its short form: be slow."""
    return jnp.exp(-jnp.sum(qd**2))
