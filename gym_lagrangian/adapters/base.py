r"""The adapter: how an environment of another package is read, set and stepped.

An environment of one's own gets an adapter in a few lines:

    class HoistAdapter(Adapter):
        def coordinates(self, env):
            return Coordinates(("height",), name="Hoist")
        def dt(self, env):
            return env.dt
        def state(self, env):
            return [env.height], [env.speed]
        def set_state(self, env, q, qd):
            env.height, env.speed = q[0], qd[0]
        def generalized_force(self, env, action):
            return [env.pull * action[0]]
        def step(self, env, action, q, qd):
            self.set_state(env, q, qd)
            return env.observation(), -abs(q[0]), abs(q[0]) > 2.0, False, {}

    register_adapter("mypackage.envs:Hoist", "mypackage.adapters:HoistAdapter")

The environment is then learned by `collect` and `fit`, and moved by `LearnedDynamicsEnv`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from gym_lagrangian.checks import vector
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.systems.coordinates import Coordinates
from gym_lagrangian.systems.task import Task

# What `step` of an environment returns: observation, reward, terminated, truncated, info.
Outcome = tuple[Any, Any, bool, bool, dict[str, Any]]


class Watched(NamedTuple):
    """A step of an environment by its own motion.

    Attributes:
        outcome: what it returned.
        free: whether mechanics, friction and motors alone acted in it: no contact, no end of a
            joint's range, no clipped velocity. What a Lagrangian can learn from.
    """

    outcome: Outcome
    free: bool


class Adapter(ABC):
    """What is known of a class of environments. `env` is always the unwrapped environment.

    An adapter holds options at most and nothing of an environment. Numbers are SI units, arrays
    are (n,) for n coordinates, or lists of n numbers.
    """

    @abstractmethod
    def coordinates(self, env: Any) -> Coordinates:
        """What moves. The name says whose motion a model has learned; numbers on which the motion
        depends and that may differ (a mass, g) are parameters, whose defaults are `env`'s.
        """

    @abstractmethod
    def dt(self, env: Any) -> float:
        """Seconds in one step."""

    @abstractmethod
    def state(self, env: Any) -> tuple[ArrayLike, ArrayLike]:
        """q and q̇."""

    @abstractmethod
    def set_state(self, env: Any, q: np.ndarray, qd: np.ndarray) -> None:
        """Put the environment into a state, as its own step would leave it there: with velocities
        clipped and angles wrapped where it does so.
        """

    @abstractmethod
    def generalized_force(self, env: Any, action: Any) -> ArrayLike:
        """τ that an action exerts in the present state, in N or N·m, clipped as `env` clips it."""

    @abstractmethod
    def step(self, env: Any, action: Any, q: np.ndarray, qd: np.ndarray) -> Outcome:
        """The environment's own step, but for the motion: it leads to the state (q, q̇).

        What it returns is computed from the state before, the action and (q, q̇) alone, never from
        the state that the environment itself would have reached.
        """

    def state_of(self, env: Any, observation: Any) -> tuple[ArrayLike, ArrayLike]:
        """q and q̇ that an observation of `env` shows: the inverse of its observation. What it does
        not show, such as a velocity beyond where it is clipped, is NaN.

        Raises:
            ConfigurationError: none is known, as of any adapter that does not state one.
        """
        raise ConfigurationError(
            f"{_name(self)} knows no state (q, q̇) of an observation of {env}: state it by "
            f"overriding {_name(self)}.state_of(env, observation)"
        )

    def task(self, env: Any) -> Task:
        """What `env` rewards and how it ends, as the pure functions that planning needs (see
        `gym_lagrangian.adapters.tasks`).

        Raises:
            ConfigurationError: none is known, as of any adapter that does not state one.
        """
        raise ConfigurationError(
            f"{_name(self)} knows no reward of {env} as a pure function, which planning needs: "
            f"state it by overriding {_name(self)}.task(env), or give task=MyTask"
        )

    def is_free(self, env: Any) -> bool:
        """Whether mechanics, friction and motors alone act in the present state. The default says
        so always.
        """
        return True

    def watched(self, env: Any, action: Any) -> Watched:
        """The environment's own step, watched. By default every step is free."""
        return Watched(own_step(env, action), free=True)


def own_step(env: Any, action: Any) -> Outcome:
    """A step by the environment's own motion, whatever stands in its place just now."""
    return type(env).step(env, action)


def checked_vector(adapter: Adapter, what: str, value: Any, n: int) -> np.ndarray:
    """What an adapter returned, as a float64 array (n,) of its own.

    Raises:
        ConfigurationError: another shape, or not numbers.
    """
    return vector(f"{_name(adapter)}.{what}", value, n, "one number a coordinate")


def checked_state(adapter: Adapter, env: Any, n: int) -> np.ndarray:
    """The state x = (q, q̇) (2n,) of an environment.

    Raises:
        ConfigurationError: the adapter returns something else, or the environment has no state,
            for it was not reset.
    """
    try:
        q, qd = adapter.state(env)
    except TypeError as error:
        raise ConfigurationError(
            f"{_name(adapter)}.state of {env} gives no pair (q, q̇): was the environment reset?"
        ) from error
    halves = checked_vector(adapter, "state: q", q, n), checked_vector(adapter, "state: q̇", qd, n)
    return np.concatenate(halves)


def _name(adapter: Adapter) -> str:
    return type(adapter).__name__
