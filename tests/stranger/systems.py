"""A cart-pole; the angle is zero upright."""

import jax.numpy as jnp

from gym_lagrangian import System, Task


class Balance(Task):
    """Keep the pole up and the cart near the middle."""

    actuated = ("x",)
    force_max: float = 10.0

    def reward(self, q, qd, tau, m):
        return jnp.cos(q[1]) - 0.1 * q[0] ** 2

    def terminated(self, after):
        return jnp.abs(after.q[1]) > 0.8


class CartPole(System):
    """A pole of length l and mass m on a cart of mass M."""

    coordinates = ("x", "theta")
    angular = (False, True)
    parameters = {"M": 1.0, "m": 0.1, "l": 0.5, "g": 9.81}  # noqa: RUF012
    task = Balance

    def lagrangian(self, q, qd, m):
        p = self.named(m)
        speed = p.l * qd[1]
        kinetic = 0.5 * (p.M + p.m) * qd[0] ** 2 + 0.5 * p.m * speed**2
        kinetic += p.m * qd[0] * speed * jnp.cos(q[1])
        return kinetic - p.m * p.g * p.l * jnp.cos(q[1])


class ArrayCartPole(CartPole):
    """The same in natural array code."""

    def lagrangian(self, q, qd, m):
        p = self.named(m)
        across = p.m * p.l * jnp.cos(q[1])
        mass_matrix = jnp.array([[p.M + p.m, across], [across, p.m * p.l**2]])
        return 0.5 * qd @ mass_matrix @ qd - p.m * p.g * p.l * jnp.cos(q[1])
