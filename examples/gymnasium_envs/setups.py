"""A feedback for each environment, and what PPO is given there.

A feedback is a pure function of the state as a task of `gym_lagrangian.adapters.tasks` sees it, so
that it acts in learned twins as well.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np


def held(gains, at, task):
    """Linear in the offset from the goal state: −K x̃, angles within ±π."""
    x = task.goal_state(at.m, at.goal)[: len(at.q)]
    angles = np.array(task.coordinates.angular)
    away = jnp.where(angles, jnp.mod(at.q - x + jnp.pi, 2 * jnp.pi) - jnp.pi, at.q - x)
    return -np.array(gains) @ jnp.concatenate([away, at.qd])


def pendulum(at, task):
    """Energy to that of standing up, E = θ̇²/6 + 5 cos θ, and linear near it."""
    pumped = at.qd * (5.0 - at.qd**2 / 6 - 5.0 * jnp.cos(at.q))
    near = (jnp.cos(at.q) > 0.9) & (jnp.abs(at.qd) < 2.0)
    return jnp.where(near, held([[5.0, 1.5]], at, task), pumped)


def acrobot(at, task):
    """Energy: the elbow's motor pushes wherever the elbow goes."""
    return jnp.sign(at.qd[1:])


def cart_pole(at, task):
    """The sign of what a linear feedback asks for."""
    return jnp.where(held([[1.0, 20.0, 2.0, 4.0]], at, task) < 0, 1.0, -1.0)


class Setup(NamedTuple):
    """The feedback of an environment, a function of (TaskState, task) that gives shares of full
    actions; what PPO is given; and the speeds at which the environment clips velocities.
    """

    feedback: Callable
    steps: int
    discount: float = 0.99
    rate: float = 3e-4
    fastest: tuple[float, ...] = (np.inf,)


# Gains for q and then q̇, of a regulator at the goal (InvertedPendulum's are negative: its motor
# pushes the cart under the pole).
SETUPS = {
    "Pendulum-v1": Setup(pendulum, 200_000, 0.9, 1e-3, (8.0,)),
    "Acrobot-v1": Setup(acrobot, 200_000, 0.99, 1e-3, (4 * np.pi, 9 * np.pi)),
    "CartPole-v1": Setup(cart_pole, 100_000, rate=1e-3),
    "InvertedPendulum-v5": Setup(partial(held, [[-0.58, -3.24, -0.6, -0.57]]), 100_000),
    "InvertedDoublePendulum-v5": Setup(
        partial(held, [[0.23, 1.55, 4.94, 0.31, 0.8, 0.76]]), 400_000
    ),
    "Reacher-v5": Setup(partial(held, [[0.5, 0, 0.1, 0], [0, 0.5, 0, 0.1]]), 500_000, 0.95),
}
