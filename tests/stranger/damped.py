"""Systems that lose energy."""

import jax.numpy as jnp

from gym_lagrangian import Parameter, System, Task
from gym_lagrangian.physics.friction import coulomb, viscous
from stranger.systems import CartPole


class Swing(Task):
    """Drive it, with room for fast motion."""

    force_max: float = 2.0
    velocity_max: float = 60.0


class Torque(Swing):
    """What is rewarded is the torque itself."""

    def reward(self, q, qd, tau, m):
        return tau[0]


class Pendulum(System):
    """A damped pendulum of mass m and length l."""

    coordinates = ("theta",)
    angular = True
    parameters = {  # noqa: RUF012
        "m": Parameter(1.0, "kg"),
        "l": Parameter(1.0, "m"),
        "g": 9.81,
        "b": Parameter.of_friction(0.5, "N·m·s"),
    }
    task = Swing

    def lagrangian(self, q, qd, m):
        p = self.named(m)
        return 0.5 * p.m * (p.l * qd[0]) ** 2 + p.m * p.g * p.l * jnp.cos(q[0])

    def friction(self, q, qd, m):
        return viscous(qd, self.named(m).b)


class Sticky(Pendulum):
    """The same with Coulomb friction, as wide as its option says."""

    width: float = 0.25

    def friction(self, q, qd, m):
        return viscous(qd, 0.02) + coulomb(qd, self.named(m).b, self.width)


class Rough(Pendulum):
    """The same where only one side resists."""

    def friction(self, q, qd, m):
        return viscous(qd, self.named(m).b * (1.0 + jnp.sin(q)))


class DampedCartPole(CartPole):
    """Friction of the cart and of the hinge."""

    task = Swing

    def friction(self, q, qd, m):
        return viscous(qd, jnp.array([0.1, 0.005], qd.dtype))
