"""The six tasks, what moves in them, and what their authors report of them.

Machines, friction, motors and rewards are those of github.com/elasriz/PHIHP. The reward of its
cart-pole swing-up is that of its paper, with the middle of the pole for the state.
"""

from dataclasses import dataclass

import gymnasium
import jax.numpy as jnp
import numpy as np

from gym_lagrangian.acting import PPO, Planning, PolicySearch, Strategy
from gym_lagrangian.planning import ILQR
from gym_lagrangian.systems.chain_tasks import Balance, SwingUp


class Pendulum(SwingUp):
    """Gymnasium's cost, from anywhere."""

    force_max = 2.0
    reset_low, reset_high = (-np.pi, -1.0), (np.pi, 1.0)

    def reward(self, before, action, after):
        angle, effort = self.from_upright(after.q)[0], 2.0 * action[0]
        return -(angle**2) - 0.1 * after.qd[0] ** 2 - 0.001 * effort**2


class PendulumSwingUp(Pendulum):
    """The same from hanging."""

    reset_low, reset_high = (-np.pi / 32, -1.0), (np.pi / 32, 1.0)


class CartPole(Balance):
    """1 until it falls."""

    actuated, force_max, track = ("x",), 10.0, 2.4


class CartPoleSwingUp(SwingUp):
    """How near the middle of the pole is to where it would be upright above x = 0."""

    actuated, force_max = ("x",), 10.0
    reset_low = -0.05
    reset_high = 0.05

    def reward(self, before, action, after):
        angle = self.from_upright(after.q)[0]
        across, below = after.q[0] + 0.5 * jnp.sin(angle), 0.5 - 0.5 * jnp.cos(angle)
        return jnp.exp(-(across**2) - below**2)


class Acrobot(SwingUp):
    """−1 until the tip is one link's length above the pivot; 1 N·m in the elbow."""

    actuated, force_max = ("joint2",), 1.0

    def height(self, q):
        return -jnp.cos(q[0]) - jnp.cos(q[0] + q[1])

    def terminated(self, after):
        return self.height(after.q) > 1.0

    def reward(self, before, action, after):
        return jnp.where(self.terminated(after), 0.0, -1.0)


class AcrobotSwingUp(Acrobot):
    """The tip's height; 1 N·m in both joints."""

    actuated = ("joint1", "joint2")

    def terminated(self, after):
        return jnp.zeros((), bool)

    def reward(self, before, action, after):
        return 0.5 * self.height(after.q)


@dataclass(frozen=True)
class Setup:
    """A task, what moves, how many samples theirs needed for which return, and what acts here."""

    env_id: str
    friction: dict
    task: type
    steps: int
    samples: int
    theirs: float
    strategy: Strategy
    episode: float | None = None  # seconds of acting between two fits; None for whole episodes

    def made(self, **arguments):
        """The environment."""
        how = {"task": self.task, "max_episode_steps": self.steps, **self.friction, **arguments}
        return gymnasium.make(f"gym_lagrangian:{self.env_id}", **how)


def by_ilqr(*sizes, **given):
    """Planning by derivatives, with the regulator at the goal."""
    return Planning(ILQR(*sizes, **given), regulated=True)


PENDULUM = ("GymnasiumPendulum-v0", {"viscous1": 0.5 / 3.0})
CART_POLE = ("GymnasiumCartPole-v0", {"coulomb0": 0.1, "viscous1": 0.02})
ACROBOT = ("GymnasiumAcrobot-v0", {"viscous1": 0.01, "viscous2": 0.05})
SETUPS = {
    "pendulum": Setup(*PENDULUM, Pendulum, 200, 2000, -263, by_ilqr(256, 8, horizon=55)),
    "pendulum swing-up": Setup(
        *PENDULUM, PendulumSwingUp, 200, 5000, -356, by_ilqr(256, 8, horizon=55)
    ),
    "cart-pole": Setup(*CART_POLE, CartPole, 500, 5000, 500, by_ilqr(horizon=60)),
    "cart-pole swing-up": Setup(*CART_POLE, CartPoleSwingUp, 500, 5000, 453, by_ilqr(horizon=100)),
    # An episode ends on the way to the goal state, so that nothing can be driven there.
    "acrobot": Setup(*ACROBOT, Acrobot, 500, 5000, -138, PolicySearch(PPO(updates=200))),
    "acrobot swing-up": Setup(
        *ACROBOT, AcrobotSwingUp, 500, 15_000, 371, by_ilqr(horizon=40, again=3), episode=30.0
    ),
}
