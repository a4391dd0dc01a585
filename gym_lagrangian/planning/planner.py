r"""What every planner has in common: how many sequences it tries, how long, how they are spread."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import jax.numpy as jnp
from jax import Array

from gym_lagrangian.checks import finite_number, one_of, positive_number, whole_number
from gym_lagrangian.envs.functional import FunctionalEnv, Params
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.planning.members import THROUGH, returns_through
from gym_lagrangian.planning.noise import correlated
from gym_lagrangian.planning.returns import PlanReturn, plan_return, ranked
from gym_lagrangian.systems.task import TaskState


@dataclass(frozen=True)
class Planner(ABC):
    """A search for the sequence of actions of the highest return.

    A planner is static: it hashes and compares by value, so that it can be a static argument of a
    jitted function.

    Attributes:
        samples: sequences tried in one iteration.
        elites: how many of them, the best, make the next plan.
        horizon: actions in a sequence; it looks `horizon` × dt seconds ahead.
        discount: γ in (0, 1], the weight of a reward relative to the one an action before.
        sigma: standard deviation of the noise around the plan, as a share of a full action.
        smoothness: β in [0, 1), the correlation of the noise from one action to the next.
        through: which members of an ensemble follow a sequence, ``"mean"``, ``"own"`` or ``"all"``,
            see `planning.members`.
        pessimism: with ``"all"``, what the standard deviation of the members' returns costs;
            negative for optimism.

    Raises:
        ConfigurationError: a number that makes no sense; the message names it.
    """

    samples: int = 1024
    elites: int = 64
    horizon: int = 25
    discount: float = 0.9
    sigma: float = 0.6
    smoothness: float = 0.5
    through: str = "mean"
    pessimism: float = 0.0

    def __post_init__(self) -> None:
        whole_number("samples", self.samples)
        if whole_number("elites", self.elites) > self.samples:
            raise ConfigurationError(
                f"elites = {self.elites} of samples = {self.samples}: expected at most as many"
            )
        whole_number("horizon", self.horizon)
        share("discount", self.discount)
        positive_number("sigma", self.sigma, "share of a full action")
        if not 0 <= finite_number("smoothness", self.smoothness, "a correlation") < 1:
            raise ConfigurationError(f"smoothness = {self.smoothness}: expected a number in [0, 1)")
        one_of("through", self.through, THROUGH)
        if finite_number("pessimism", self.pessimism, "a weight") and self.through != "all":
            raise ConfigurationError(
                f"pessimism = {self.pessimism} weighs what members disagree about, and of "
                f'through = {self.through!r} there is one return a sequence: give through="all"'
            )

    @abstractmethod
    def plan(
        self, env: FunctionalEnv, params: Params, start: TaskState, plan: Array, key: Array
    ) -> Array:
        """A better plan (horizon, a) than `plan`, from one state: pure, for anyone's jit and vmap.

        Arguments:
            env, params: the task, and the dynamics and dt in which to plan.
            start: the state from which to plan, with its parameters, goal and time.
            plan: actions (horizon, a) to start from; zeros where nothing is known.
            key: a jax key, for the noise.
        """

    def returns(
        self, env: FunctionalEnv, params: Params, start: TaskState, actions: Array
    ) -> Array:
        """What sequences of actions (samples, horizon, a) from one state are worth (samples,), see
        `returns.ranked`.
        """

        def worth(params: Params, actions: Array) -> PlanReturn:
            return plan_return(env, params, start, actions, self.discount)

        return ranked(returns_through(worth, params, actions, self.through, self.pessimism))

    def sample(self, plan: Array, spread: Array | float, key: Array) -> Array:
        """Sequences (samples, horizon, a) around a plan, the first of them the plan itself.

        Arguments:
            spread: standard deviations of the noise that broadcast to that shape.
        """
        noise = correlated(key, self.samples, plan, self.smoothness)
        return jnp.clip(plan + spread * noise, -1.0, 1.0).at[0].set(plan)


def share(what: str, value: float) -> None:
    """Refuse what is not a number in (0, 1].

    Raises:
        ConfigurationError: naming it.
    """
    if positive_number(what, value) > 1:
        raise ConfigurationError(f"{what} = {value!r}: expected at most 1")
