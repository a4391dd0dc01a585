"""Systems, tasks and rewards with one oddity or mistake each."""

import jax.numpy as jnp

from gym_lagrangian import System
from stranger.systems import Balance, CartPole


class MovedCartPole(CartPole):
    """The same physics under another name."""


class Edited(CartPole):
    """A cart-pole whose Lagrangian was changed."""

    def lagrangian(self, q, qd, m):
        return super().lagrangian(q, qd, m) - 0.5 * q[0] ** 2


class Greedy(CartPole):
    """A parameter that is called as an argument of every environment."""

    parameters = {"M": 1.0, "m": 0.1, "l": 0.5, "g": 9.81, "dt": 0.1}  # noqa: RUF012


class Ball(System):
    """A ball that is thrown up: no parameter, one coordinate."""

    coordinates = ("height",)

    def lagrangian(self, q, qd, m):
        return 0.5 * qd[0] ** 2 - 9.81 * q[0]


class DoublePendulum(System):
    """Shares a name, and the names of all that it has, with a system of the package."""

    coordinates = ("theta1", "theta2")
    angular = True
    parameters = {"m1": 1.0, "m2": 1.0, "l1": 1.0, "l2": 1.0, "g": 9.8}  # noqa: RUF012

    def lagrangian(self, q, qd, m):
        return jnp.sum(qd**2) + jnp.sum(jnp.cos(q))


class Elsewhere(Balance):
    """Drives a coordinate that is not there."""

    actuated = ("y",)


def vector(q, qd, tau, m):
    """Rewards, not a reward."""
    return qd


def five(q, qd, tau, m, goal):
    """Neither of the two forms."""
    return goal


def not_a_number(q, qd, tau, m):
    """NaN everywhere."""
    return jnp.nan * q[0]


def later_not_a_number(before, action, after):
    """NaN once anything has moved."""
    return jnp.where(after.t > 0.0, jnp.nan, 0.0)
