"""The agent's knowledge of an environment before it acts, and its reading of observations.

The agent is given the task (what an action does, what is rewarded, where the episode ends), the
names and kinds of the coordinates, the seconds in a step, and the delay of the motors in steps. It
is not given the motion: the equations of a system are not used, and neither the state nor `info` of
the environment is read. Coordinates are computed from observations, by the inverse that the task or
the adapter states.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import VectorEnv

from gym_lagrangian.adapters.registry import adapter_for
from gym_lagrangian.checks import positive_number, vector
from gym_lagrangian.envs.functional import FunctionalEnv
from gym_lagrangian.envs.scalar import LagrangianEnv
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.planning.policy import REWARD_WRAPPERS
from gym_lagrangian.registration import load_task
from gym_lagrangian.systems.base import System
from gym_lagrangian.systems.coordinates import Coordinates
from gym_lagrangian.systems.task import Task, check_task

StateOf = Callable[[Any], tuple[Any, Any]]


@dataclass(frozen=True)
class World:
    """The agent's knowledge of an environment.

    Attributes:
        env: to be reset and stepped, nothing else.
        functional: the task as pure functions, with the environment's reward and motors without
            delay.
        moved: the coordinates, without equations.
        system: the system whose coordinates they are, so that a checkpoint can say whose model it
            is; None where its equations are unknown. No equation of it is used.
        friction: the kind of friction that models learn by default.
        m: the parameters (k,) of the motion.
        goal_bounds: bounds (2, g) of those of the task, equal where they are fixed.
        dt: seconds in a step.
        delay: whole steps by which the motors are late.
        limit: steps after which the environment truncates an episode; None where it is unknown.
        inverse: from an observation to (q, q̇).
    """

    env: gymnasium.Env
    functional: FunctionalEnv
    moved: Coordinates
    system: System | None
    friction: str
    m: np.ndarray
    goal_bounds: np.ndarray
    dt: float
    delay: int
    limit: int | None
    inverse: StateOf

    @property
    def task(self) -> Task:
        """The task of the environment."""
        return self.functional.task

    def state_of(self, observation: Any) -> np.ndarray:
        """The state (2n,), q then q̇, that an observation shows; NaN where it does not show it."""
        q, qd = self.inverse(observation)
        state = np.concatenate([np.ravel(q), np.ravel(qd)])
        return vector("the state of an observation", state, 2 * self.moved.n, "q, then q̇")

    def goal_of(self, observation: Any) -> np.ndarray:
        """The goal (g,) of the episode: the fixed one, or the one that an observation shows."""
        low, high = self.goal_bounds
        if np.all(low == high):
            return low
        goal = self.task.goal_of(observation, self.m)
        return vector("the goal of an observation", goal, len(low), ", ".join(self.task.goal))

    def action_of(self, share: np.ndarray) -> Any:
        """The environment's own action for shares (a,) in [-1, 1] of the full forces: in a box
        from its low to its high end, of several discrete ones the nearest.
        """
        space = self.env.action_space
        if isinstance(space, spaces.Discrete):
            return int(space.start + np.rint((share[0] + 1.0) / 2.0 * (space.n - 1)))
        low, high = np.asarray(space.low), np.asarray(space.high)  # type: ignore[attr-defined]
        return (low + (high - low) * (share + 1.0) / 2.0).astype(space.dtype)

    def share_of(self, action: Any) -> np.ndarray:
        """The shares (a,) of the full forces that the environment's own action is."""
        space = self.env.action_space
        if isinstance(space, spaces.Discrete):
            return np.array([2.0 * (action - space.start) / (space.n - 1) - 1.0])
        low, high = np.asarray(space.low), np.asarray(space.high)  # type: ignore[attr-defined]
        return 2.0 * (np.asarray(action, np.float64) - low) / (high - low) - 1.0


def world_of(env: gymnasium.Env, *, adapter: Any = None, task: Any = None) -> World:
    """The agent's knowledge of an environment of this package, or of one with an adapter.

    Arguments:
        adapter: of an environment of another package; default the one registered for its class.
        task: of an environment of another package, a `Task` or a subclass; default the adapter's.

    Raises:
        ConfigurationError: a vector environment, no adapter, no task as pure functions, a wrapper
            that changes rewards, observations or actions, or parameters that are drawn at reset.
    """
    if not isinstance(env, gymnasium.Env) or isinstance(env.unwrapped, VectorEnv):
        raise ConfigurationError(
            f"env = {env!r}: expected an id, or one environment that can be reset and stepped"
        )
    base: Any = env.unwrapped
    _refuse_wrappers(env, base)
    if isinstance(base, LagrangianEnv):
        return _of_own(env, base, task)
    return _of_adapted(env, base, adapter_for(base, adapter), task)


def _of_own(env: gymnasium.Env, base: LagrangianEnv, task: Any) -> World:
    if task is not None:
        raise ConfigurationError(
            f"task = {task!r}: an environment of this package has its own; make it with that task"
        )
    functional, params = base.functional
    return World(
        env=env,
        functional=dataclasses.replace(functional, action_delay=0),
        moved=_without_equations(base.coordinates),
        system=base.system,
        friction=base.coordinates.friction_to_learn(np.asarray(params.m_bounds)),
        m=_fixed(base, params.m_bounds),
        goal_bounds=_seen(functional.task, params.goal_bounds),
        dt=float(base.dt),
        delay=functional.action_delay,
        limit=_limit(env),
        inverse=functional.task.state_of,
    )


def _of_adapted(env: gymnasium.Env, base: Any, adapter: Any, task: Any) -> World:
    built = adapter.task(base) if task is None else _built(task, adapter.coordinates(base))
    _refuse_impure(built)
    return World(
        env=env,
        functional=FunctionalEnv(task=built),
        moved=adapter.coordinates(base),
        system=None,
        friction="none",
        m=_fixed(base, adapter.coordinates(base).parameter_bounds()),
        goal_bounds=_seen(built, built.goal_bounds()),
        dt=positive_number("dt", float(adapter.dt(base)), "seconds"),
        delay=0,
        limit=_limit(env),
        inverse=lambda observation: adapter.state_of(base, observation),
    )


def _without_equations(coordinates: Coordinates) -> Coordinates:
    """The same names, kinds and typical magnitudes, which are units, and nothing else."""
    known = coordinates.physics is not None or not coordinates.estimated
    return coordinates.with_magnitudes(coordinates.magnitudes) if known else coordinates


def _built(task: Any, coordinates: Coordinates) -> Task:
    return task if isinstance(task, Task) else load_task(task)(coordinates=coordinates)


def _refuse_impure(task: Task) -> None:
    """Refuse a task whose functions jax cannot trace."""
    try:
        check_task(task)
    except TypeError as error:  # what jax raises of a traced value that is not treated as one
        raise ConfigurationError(
            f"{task.label} cannot be planned for: its reward, or another of its methods, is not a "
            f"pure function of jax arrays ({str(error).splitlines()[0]})"
        ) from error


def _refuse_wrappers(env: gymnasium.Env, base: Any) -> None:
    wrapper: Any = env
    while wrapper is not base:
        if isinstance(wrapper, REWARD_WRAPPERS):
            raise ConfigurationError(
                f"{type(wrapper).__name__} changes the reward, and planning needs the reward as a "
                "pure function: give that as reward= to gymnasium.make, without the wrapper"
            )
        wrapper = wrapper.env
    for what in ("observation_space", "action_space"):
        if getattr(env, what) != getattr(base, what):
            raise ConfigurationError(
                f"a wrapper changes the {what.replace('_', ' ')} of {base}: coordinates are read "
                "from its own observations; leave the wrapper out"
            )


def _fixed(base: Any, bounds: Any) -> np.ndarray:
    low, high = np.asarray(bounds, np.float64)
    if np.any(low != high):
        raise ConfigurationError(
            f"{base} draws its parameters at every reset, between {low} and {high}, and no "
            "observation shows them: give numbers in place of the ranges"
        )
    return low


def _seen(task: Task, bounds: Any) -> np.ndarray:
    """The bounds of a goal, which an observation has to show where it is drawn."""
    found = np.asarray(bounds, np.float64)
    if np.any(found[0] != found[1]):
        m_bounds = task.coordinates.parameter_bounds()
        task.goal_of(task.observation_bounds(m_bounds, found)[1], m_bounds[0])
    return found


def _limit(env: gymnasium.Env) -> int | None:
    return None if env.spec is None else env.spec.max_episode_steps
