r"""Tasks of Gymnasium's environments, as pure functions.

With a task of this module a model that was learned of an environment is also a jitted vector
environment, a functional one and what planners need:

    gymnasium.make_vec("gym_lagrangian:Lagrangian-v0", num_envs=4096, dt=0.05,
                       checkpoint="idp.safetensors", vectorization_mode="vector_entry_point",
                       task="gym_lagrangian.adapters.tasks:InvertedDoublePendulum")

Observation (in float32), reward and termination are the original's, in the coordinates of its
adapter. The differences are these. Actions are shares of the largest force in [-1, 1], also where
the original has a few discrete ones. Velocities are not clipped. Nothing stops a cart at the end of
its rail: a step that leads beyond is undone, and ends the episode. `dt` is not the task's: give it
to `make`.

Source: Gymnasium 1.4, gymnasium.envs.mujoco (v5) and gymnasium.envs.classic_control.
"""

from __future__ import annotations

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from gym_lagrangian.adapters import observations
from gym_lagrangian.physics.shapes import AnyArray, Flag, Parameters, Scalar
from gym_lagrangian.systems.chain_kinematics import two_link_angles
from gym_lagrangian.systems.task import Action, Goal, Observation, Task, TaskState

# Faster than anything moves: a range that no model is refused by.
_FAST = 1e3


class _GymnasiumTask(Task):
    """What the tasks below share.

    Attributes:
        reach: the ends of the observation, which are symmetric.
    """

    reach: ClassVar[tuple[float, ...]]
    velocity_max = _FAST

    def observation_bounds(
        self, m_bounds: np.ndarray, goal_bounds: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The ends of what can be, wide where the original has none."""
        high = np.array(self.reach, np.float32)
        return -high, high


class _AtZero(_GymnasiumTask):
    """Whose goal is at rest where all coordinates are zero."""

    def goal_state(self, m: Parameters, goal: Goal) -> AnyArray:
        """Zero."""
        return jnp.zeros(2 * self.coordinates.n)


class Pendulum(_AtZero):
    """`Pendulum-v1`: −θ² − .1 θ̇² − .001 u², of the state before the step and the torque u.

    Attributes:
        force_max: N·m of a full action.
    """

    requires = ("theta",)
    reach = (1.0, 1.0, _FAST)
    force_max: float = 2.0
    reset_low = (-float(np.pi), -1.0)
    reset_high = (float(np.pi), 1.0)

    def reward(self, before: TaskState, action: Action, after: TaskState) -> Scalar:  # pyright: ignore[reportIncompatibleMethodOverride]
        """As the class says; θ between −π and π."""
        theta = jnp.mod(before.q[0] + jnp.pi, 2.0 * jnp.pi) - jnp.pi
        torque = self.force_max * action[0]
        return -(theta**2 + 0.1 * before.qd[0] ** 2 + 0.001 * torque**2)


class CartPole(_AtZero):
    """`CartPole-v1`: 1 a step, until |x| > 2.4 m or |θ| > 12°.

    Attributes:
        force_max: N of a full action.
    """

    requires = ("x", "theta")
    actuated = ("x",)
    reach = (10.0, _FAST, 2.0 * float(np.pi), _FAST)
    force_max: float = 10.0
    position_max = 10.0
    reset_low = -0.05
    reset_high = 0.05

    def observation(self, state: TaskState) -> Observation:
        """(x, ẋ, θ, θ̇)."""
        return jnp.stack([state.q[0], state.qd[0], state.q[1], state.qd[1]])

    def state_of(self, observation: Any) -> observations.Pair:
        return observations.cart_pole(observation)

    def reward(self, before: TaskState, action: Action, after: TaskState) -> Scalar:  # pyright: ignore[reportIncompatibleMethodOverride]
        """1, in the last step too."""
        return jnp.ones((), after.q.dtype)

    def terminated(self, after: TaskState) -> Flag:
        """Off the middle, or fallen."""
        ends = np.array([2.4, 12 * 2 * np.pi / 360])
        return jnp.any(jnp.abs(after.q) > ends)


class Acrobot(_GymnasiumTask):
    """`Acrobot-v1`: −1 a step, until the tip is a link's length above the pivot.

    Attributes:
        force_max: N·m of a full action.
    """

    requires = ("theta1", "theta2")
    actuated = ("theta2",)
    reach = (1.0, 1.0, 1.0, 1.0, _FAST, _FAST)
    force_max: float = 1.0
    reset_low = -0.1
    reset_high = 0.1

    def observation(self, state: TaskState) -> Observation:
        """(cos θ1, sin θ1, cos θ2, sin θ2, θ̇1, θ̇2)."""
        pairs = jnp.stack([jnp.cos(state.q), jnp.sin(state.q)], axis=1)
        return jnp.concatenate([pairs.ravel(), state.qd])

    def state_of(self, observation: Any) -> observations.Pair:
        return observations.acrobot(observation)

    def reward(self, before: TaskState, action: Action, after: TaskState) -> Scalar:  # pyright: ignore[reportIncompatibleMethodOverride]
        """0 in the last step, −1 before."""
        return jnp.where(self.terminated(after), 0.0, -1.0).astype(after.q.dtype)

    def terminated(self, after: TaskState) -> Flag:
        """The tip is up."""
        return -jnp.cos(after.q[0]) - jnp.cos(after.q[0] + after.q[1]) > 1.0

    def goal_state(self, m: Parameters, goal: Goal) -> AnyArray:
        """Both links upright at rest, where an episode has ended already."""
        return jnp.array([np.pi, 0.0, 0.0, 0.0])


class InvertedPendulum(_AtZero):
    """`InvertedPendulum-v5`: 1 a step, until |θ| > 0.2 rad.

    Attributes:
        force_max: N of a full action.
    """

    requires = ("slider", "hinge")
    actuated = ("slider",)
    reach = (1.0, float(np.pi), _FAST, _FAST)
    force_max: float = 300.0
    position_max = 1.0
    reset_low = -0.01
    reset_high = 0.01

    def observation(self, state: TaskState) -> Observation:
        """(q, q̇)."""
        return jnp.concatenate([state.q, state.qd])

    def state_of(self, observation: Any) -> observations.Pair:
        return observations.inverted_pendulum(observation)

    def reward(self, before: TaskState, action: Action, after: TaskState) -> Scalar:  # pyright: ignore[reportIncompatibleMethodOverride]
        """0 in the last step, 1 before."""
        return jnp.where(self.terminated(after), 0.0, 1.0).astype(after.q.dtype)

    def terminated(self, after: TaskState) -> Flag:
        """Fallen."""
        return jnp.abs(after.q[1]) > 0.2


class InvertedDoublePendulum(_AtZero):
    """`InvertedDoublePendulum-v5`: 10 a step until the tip is below 1 m, less its distance from
    upright and its speeds. The last entry of the observation, the force of the rail's end, is 0.
    Starting velocities are uniform, with the standard deviation of the original's normal ones.

    Attributes:
        force_max: N of a full action.
    """

    requires = ("slider", "hinge", "hinge2")
    actuated = ("slider",)
    reach = (1.0, 1.0, 1.0, 1.0, 1.0, 10.0, 10.0, 10.0, 10.0)
    force_max: float = 500.0
    position_max = 1.0
    reset_low = (-0.1,) * 3 + (-0.1 * 3**0.5,) * 3
    reset_high = (0.1,) * 3 + (0.1 * 3**0.5,) * 3

    def observation(self, state: TaskState) -> Observation:
        """(x, sin θ1, sin θ2, cos θ1, cos θ2, q̇ within ±10, 0)."""
        x, angles = state.q[:1], state.q[1:]
        speeds = jnp.clip(state.qd, -10.0, 10.0)
        return jnp.concatenate([x, jnp.sin(angles), jnp.cos(angles), speeds, 0.0 * x])

    def state_of(self, observation: Any) -> observations.Pair:
        return observations.inverted_double_pendulum(observation)

    def reward(self, before: TaskState, action: Action, after: TaskState) -> Scalar:  # pyright: ignore[reportIncompatibleMethodOverride]
        """10 (while up) − .01 x² − (y − 2)² − .001 θ̇1² − .005 θ̇2², with (x, y) of the tip."""
        (x, y), (v1, v2) = _tip(after.q), after.qd[1:]
        alive = jnp.where(self.terminated(after), 0.0, 10.0)
        return alive - 0.01 * x**2 - (y - 2.0) ** 2 - 1e-3 * v1**2 - 5e-3 * v2**2

    def terminated(self, after: TaskState) -> Flag:
        """The tip is low."""
        return _tip(after.q)[1] <= 1.0


def _tip(q: AnyArray) -> tuple[Array, Array]:
    """Where the upper end of two poles of .6 m on a cart is, x and height in m."""
    first, second = q[1], q[1] + q[2]
    height = 0.6 * (jnp.cos(first) + jnp.cos(second))
    return q[0] + 0.6 * (jnp.sin(first) + jnp.sin(second)), height


class Reacher(_GymnasiumTask):
    """`Reacher-v5`: minus the fingertip's distance from a target, less the squared action. The
    target is uniform in a disc of 0.2 m.

    Attributes:
        force_max: N·m of a full action.
    """

    requires = ("joint0", "joint1")
    goal: ClassVar = {"target_x": (-0.2, 0.2), "target_y": (-0.2, 0.2)}
    reach = (1.0, 1.0, 1.0, 1.0, 1.0, 1.0, _FAST, _FAST, 2.0, 2.0)
    force_max: float = 200.0
    reset_low = (-0.1, -0.1, -0.005, -0.005)
    reset_high = (0.1, 0.1, 0.005, 0.005)

    def observation(self, state: TaskState) -> Observation:
        """(cos θ, sin θ, target, θ̇, fingertip − target)."""
        parts = [jnp.cos(state.q), jnp.sin(state.q), state.goal, state.qd, self._offset(state)]
        return jnp.concatenate(parts)

    def state_of(self, observation: Any) -> observations.Pair:
        return observations.reacher(observation)

    def goal_of(self, observation: Any, m: np.ndarray) -> np.ndarray:
        """The target."""
        return np.asarray(observation, np.float64)[4:6]

    def reward(self, before: TaskState, action: Action, after: TaskState) -> Scalar:  # pyright: ignore[reportIncompatibleMethodOverride]
        """−|fingertip − target| − |action|²."""
        return -jnp.linalg.norm(self._offset(after)) - jnp.sum(action**2)

    def draw_goal(self, key: Array, low: Goal, high: Goal) -> Array:
        """Uniform in the disc; in the rectangle between other bounds than the default ones."""
        draw = jax.random.uniform(key, (2,), low.dtype)
        angle = 2.0 * jnp.pi * draw[1]
        disc = 0.2 * jnp.sqrt(draw[0]) * jnp.stack([jnp.cos(angle), jnp.sin(angle)])
        usual = jnp.all(jnp.abs(jnp.stack([low + 0.2, high - 0.2])) < 1e-6)
        return jnp.where(usual, disc, low + (high - low) * draw)

    def goal_state(self, m: Parameters, goal: Goal) -> AnyArray:
        """The fingertip at the target at rest, the elbow bent to the positive side."""
        down = jnp.stack([goal[1], -goal[0]])  # the angles here are from the x axis
        first, second = two_link_angles(down, 0.1, 0.11)
        return jnp.stack([first, second - first, 0.0 * first, 0.0 * first])

    def _offset(self, state: TaskState) -> Array:
        first, second = state.q[0], state.q[0] + state.q[1]
        x = 0.1 * jnp.cos(first) + 0.11 * jnp.cos(second)
        y = 0.1 * jnp.sin(first) + 0.11 * jnp.sin(second)
        return jnp.stack([x, y]) - state.goal
