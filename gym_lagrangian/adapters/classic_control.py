r"""Adapters of Gymnasium's classic control environments.

The `step` of each is one method, which cannot be split into the motion and the rest. So reward and
termination are stated here again, as in Gymnasium 1.4 and without the motion.

`Pendulum-v1`, `CartPole-v1` and `MountainCarContinuous-v0` step by one of Euler's methods, whose
position and velocity belong to different instants. No model of q̈ makes such a step: its q⁺ − q is
about ½ (q̇ + q̇⁺) dt, theirs q̇ dt or q̇⁺ dt, and that difference stays however long it is trained.
An MLP, which learns the step itself, has no such limit. `Acrobot-v1` integrates by Runge and Kutta.

Source: gymnasium.envs.classic_control, `step` of each environment.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np

from gym_lagrangian.adapters import observations, tasks
from gym_lagrangian.adapters.base import Adapter, Outcome, Watched, own_step
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.systems.coordinates import Coordinates, Parameter
from gym_lagrangian.systems.task import Task


class _ClassicAdapter(Adapter):
    """What the environments below share.

    Attributes:
        name, names, angular, cyclic: of the coordinates.
        parameters: a name → the environment's attribute and its unit.
        pure: the environment's task as pure functions; None where it is not known.
    """

    name: ClassVar[str]
    names: ClassVar[tuple[str, ...]]
    angular: ClassVar[tuple[bool, ...]]
    cyclic: ClassVar[tuple[str, ...]] = ()
    parameters: ClassVar[dict[str, tuple[str, str]]]
    pure: ClassVar[type[Task] | None] = None

    def coordinates(self, env: Any) -> Coordinates:
        parameters = {
            name: Parameter(float(getattr(env, attribute)), unit, positive=False)
            for name, (attribute, unit) in self.parameters.items()
        }
        return Coordinates(
            self.names,
            angular=self.angular,
            cyclic=self.cyclic,
            parameters=parameters,
            name=self.name,
        )

    def task(self, env: Any) -> Task:
        return (
            super().task(env) if self.pure is None else self.pure(coordinates=self.coordinates(env))
        )

    def step(self, env: Any, action: Any, q: np.ndarray, qd: np.ndarray) -> Outcome:
        outcome = self._outcome(env, action, q, qd)
        if env.render_mode == "human":
            env.render()
        return outcome

    @abstractmethod
    def _outcome(self, env: Any, action: Any, q: np.ndarray, qd: np.ndarray) -> Outcome:
        """A step but for the picture."""


class PendulumAdapter(_ClassicAdapter):
    """`Pendulum-v1`: θ counted from upright, |u| ≤ 2 N·m, |θ̇| clipped at 8 rad/s. The reward is
    that of the state before the step.
    """

    name = "Pendulum-v1"
    pure = tasks.Pendulum
    names = ("theta",)
    angular = (True,)
    parameters: ClassVar = {"g": ("g", "m/s²"), "m": ("m", "kg"), "l": ("l", "m")}

    def dt(self, env: Any) -> float:
        return env.dt

    def state(self, env: Any) -> tuple[Any, Any]:
        return [env.state[0]], [env.state[1]]

    def state_of(self, env: Any, observation: Any) -> observations.Pair:
        return observations.pendulum(observation)

    def set_state(self, env: Any, q: np.ndarray, qd: np.ndarray) -> None:
        env.state = np.array([q[0], np.clip(qd[0], -env.max_speed, env.max_speed)])

    def generalized_force(self, env: Any, action: Any) -> Any:
        return [np.clip(action, -env.max_torque, env.max_torque)[0]]

    def watched(self, env: Any, action: Any) -> Watched:
        outcome = own_step(env, action)
        return Watched(outcome, free=bool(abs(env.state[1]) < env.max_speed))

    def _outcome(self, env: Any, action: Any, q: np.ndarray, qd: np.ndarray) -> Outcome:
        theta, speed = env.state
        u = np.clip(action, -env.max_torque, env.max_torque)[0]
        env.last_u = u  # for its picture
        around = ((theta + np.pi) % (2 * np.pi)) - np.pi
        costs = around**2 + 0.1 * speed**2 + 0.001 * (u**2)
        self.set_state(env, q, qd)
        return env._get_obs(), -costs, False, False, {}


class CartPoleAdapter(_ClassicAdapter):
    """`CartPole-v1`: cart and pole, θ clockwise from upright; a force of ±10 N by two actions."""

    name = "CartPole-v1"
    pure = tasks.CartPole
    names = ("x", "theta")
    cyclic = ("x",)
    angular = (False, True)
    parameters: ClassVar = {
        "g": ("gravity", "m/s²"),
        "m_cart": ("masscart", "kg"),
        "m_pole": ("masspole", "kg"),
        "half_length": ("length", "m"),
    }

    def dt(self, env: Any) -> float:
        return env.tau

    def state(self, env: Any) -> tuple[Any, Any]:
        x, x_dot, theta, theta_dot = env.state
        return [x, theta], [x_dot, theta_dot]

    def state_of(self, env: Any, observation: Any) -> observations.Pair:
        return observations.cart_pole(observation)

    def set_state(self, env: Any, q: np.ndarray, qd: np.ndarray) -> None:
        env.state = np.array((q[0], qd[0], q[1], qd[1]), dtype=np.float64)

    def generalized_force(self, env: Any, action: Any) -> Any:
        return [env.force_mag if action == 1 else -env.force_mag, 0.0]

    def _outcome(self, env: Any, action: Any, q: np.ndarray, qd: np.ndarray) -> Outcome:
        if not env.action_space.contains(action):
            raise ConfigurationError(f"action = {action!r}: expected one of {env.action_space}")
        self.set_state(env, q, qd)
        terminated = bool(abs(q[0]) > env.x_threshold or abs(q[1]) > env.theta_threshold_radians)
        reward = self._reward(env, terminated)
        return np.array(env.state, dtype=np.float32), reward, terminated, False, {}

    @staticmethod
    def _reward(env: Any, terminated: bool) -> float:
        """1 a step until the pole has fallen, or Sutton and Barto's: −1 when it has."""
        alive, fallen = (0.0, -1.0) if env._sutton_barto_reward else (1.0, 1.0)
        if not terminated:
            return alive
        if env.steps_beyond_terminated is None:
            env.steps_beyond_terminated = 0
            return fallen
        env.steps_beyond_terminated += 1
        return -1.0 if env._sutton_barto_reward else 0.0


class AcrobotAdapter(_ClassicAdapter):
    """`Acrobot-v1`: the second angle relative to the first link, −1, 0 or 1 N·m in the elbow,
    angles wrapped to ±π, speeds clipped at 4π and 9π rad/s.
    """

    name = "Acrobot-v1"
    pure = tasks.Acrobot
    names = ("theta1", "theta2")
    angular = (True, True)
    parameters: ClassVar = {
        "m1": ("LINK_MASS_1", "kg"),
        "m2": ("LINK_MASS_2", "kg"),
        "l1": ("LINK_LENGTH_1", "m"),
        "l2": ("LINK_LENGTH_2", "m"),
        "c1": ("LINK_COM_POS_1", "m"),
        "c2": ("LINK_COM_POS_2", "m"),
        "inertia": ("LINK_MOI", "kg·m²"),
    }

    def dt(self, env: Any) -> float:
        return env.dt

    def state(self, env: Any) -> tuple[Any, Any]:
        return env.state[:2], env.state[2:]

    def state_of(self, env: Any, observation: Any) -> observations.Pair:
        return observations.acrobot(observation)

    def set_state(self, env: Any, q: np.ndarray, qd: np.ndarray) -> None:
        fastest = np.array([env.MAX_VEL_1, env.MAX_VEL_2])
        angles = [_wrapped(angle) for angle in q]
        env.state = np.concatenate([angles, np.clip(qd, -fastest, fastest)])

    def generalized_force(self, env: Any, action: Any) -> Any:
        if env.torque_noise_max > 0:
            raise ConfigurationError(
                f"torque_noise_max = {env.torque_noise_max}: the torque of a noisy Acrobot is not "
                "known; expected 0"
            )
        return [0.0, env.AVAIL_TORQUE[action]]

    def watched(self, env: Any, action: Any) -> Watched:
        outcome, fastest = own_step(env, action), np.array([env.MAX_VEL_1, env.MAX_VEL_2])
        return Watched(outcome, free=bool(np.all(np.abs(env.state[2:]) < fastest)))

    def _outcome(self, env: Any, action: Any, q: np.ndarray, qd: np.ndarray) -> Outcome:
        self.set_state(env, q, qd)
        terminated = env._terminal()
        return env._get_ob(), 0.0 if terminated else -1.0, terminated, False, {}


def _wrapped(angle: float) -> float:
    """An angle between −π and π, by whole turns as Gymnasium makes them."""
    while angle > math.pi:
        angle = angle - 2 * math.pi
    while angle < -math.pi:
        angle = angle + 2 * math.pi
    return angle


class MountainCarAdapter(_ClassicAdapter):
    """`MountainCarContinuous-v0`: a car of 1 kg on a slope, by its horizontal position; one step
    is one second. Steps that end at a wall or at the largest speed are not free.
    """

    name = "MountainCarContinuous-v0"
    names = ("x",)
    angular = (False,)
    parameters: ClassVar = {}

    def dt(self, env: Any) -> float:
        return 1.0

    def state(self, env: Any) -> tuple[Any, Any]:
        return [env.state[0]], [env.state[1]]

    def state_of(self, env: Any, observation: Any) -> observations.Pair:
        return observations.mountain_car(observation)

    def set_state(self, env: Any, q: np.ndarray, qd: np.ndarray) -> None:
        x = min(max(q[0], env.min_position), env.max_position)
        speed = min(max(qd[0], -env.max_speed), env.max_speed)
        stopped = x == env.min_position and speed < 0
        env.state = np.array([x, 0.0 if stopped else speed], dtype=np.float32)

    def generalized_force(self, env: Any, action: Any) -> Any:
        return [min(max(action[0], env.min_action), env.max_action) * env.power]

    def watched(self, env: Any, action: Any) -> Watched:
        outcome, (x, speed) = own_step(env, action), env.state
        within = env.min_position < x < env.max_position
        return Watched(outcome, free=bool(within and abs(speed) < np.float32(env.max_speed)))

    def _outcome(self, env: Any, action: Any, q: np.ndarray, qd: np.ndarray) -> Outcome:
        self.set_state(env, q, qd)
        x, speed = env.state
        terminated = bool(x >= env.goal_position and speed >= env.goal_velocity)
        reward = (100.0 if terminated else 0) - math.pow(action[0], 2) * 0.1
        return env.state, reward, terminated, False, {}
