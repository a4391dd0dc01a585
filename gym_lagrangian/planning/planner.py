r"""The settings that all planners share: number, length and noise of the sequences tried."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from gym_lagrangian.checks import finite_number, one_of, positive_number, whole_number
from gym_lagrangian.envs.functional import FunctionalEnv, Params
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.planning.members import THROUGH, returns_through
from gym_lagrangian.planning.noise import correlated
from gym_lagrangian.planning.returns import PlanReturn, Value, plan_return, ranked
from gym_lagrangian.systems.task import TaskState

# What sequences of actions (samples, horizon, a) are worth, (samples,), the more the better.
Returns = Callable[[Array], Array]


class Search(NamedTuple):
    """A search under way, between two iterations.

    Attributes:
        plan: the actions (horizon, a) found so far.
        spread: standard deviation of the noise around each of them, (horizon, a).
    """

    plan: Array
    spread: Array


@dataclass(frozen=True)
class Planner(ABC):
    """A search for the sequence of actions of the highest return.

    A planner is static: it hashes and compares by value, so that it can be a static argument of a
    jitted function. A planner of your own states `improved`.

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
        iterations: how often the plan is improved in one decision.

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
    iterations: int = 1

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
        whole_number("iterations", self.iterations)

    @abstractmethod
    def improved(self, returns: Returns, search: Search, key: Array) -> Search:
        """A search after one more iteration: pure, for anyone's jit and vmap.

        Arguments:
            returns: what sequences (samples, horizon, a) are worth, (samples,).
            search: the search so far.
            key: a jax key, for the noise.
        """

    def plan(
        self,
        env: FunctionalEnv,
        params: Params,
        start: TaskState,
        plan: Array,
        key: Array,
        *,
        value: Value | None = None,
        iterations: Array | int | None = None,
    ) -> Array:
        """A better plan (horizon, a) than `plan`, from one state: pure, for anyone's jit and vmap.

        Arguments:
            env, params: the task, and the dynamics and dt in which to plan.
            start: the state from which to plan, with its parameters, goal and time.
            plan: actions (horizon, a) to start from; zeros where nothing is known.
            key: a jax key, for the noise.
            value: what the state at the end of a sequence is worth; None for nothing.
            iterations: in place of the planner's own; may be traced.
        """
        returns = partial(self.returns, env, params, start, value=value)

        def improve(i: Array, search: Search) -> Search:
            return self.improved(returns, search, jax.random.fold_in(key, i))

        search = Search(plan, jnp.full_like(plan, self.sigma))
        count = self.iterations if iterations is None else iterations
        return jax.lax.fori_loop(0, count, improve, search).plan

    def returns(
        self,
        env: FunctionalEnv,
        params: Params,
        start: TaskState,
        actions: Array,
        *,
        value: Value | None = None,
    ) -> Array:
        """What sequences of actions (samples, horizon, a) from one state are worth (samples,), see
        `returns.ranked`.
        """

        def worth(params: Params, actions: Array) -> PlanReturn:
            return plan_return(env, params, start, actions, self.discount, value=value)

        return ranked(returns_through(worth, params, actions, self.through, self.pessimism))

    def sample(self, plan: Array, spread: Array | float, key: Array) -> Array:
        """Sequences (samples, horizon, a) around a plan, the first of them the plan itself.

        Arguments:
            spread: standard deviations of the noise that broadcast to that shape.
        """
        noise = correlated(key, self.samples, plan, self.smoothness)
        around = jnp.broadcast_to(spread, noise.shape) * noise
        return jnp.clip(plan[None] + around, -1.0, 1.0).at[0].set(plan)


def share(what: str, value: float) -> None:
    """Refuse what is not a number in (0, 1].

    Raises:
        ConfigurationError: naming it.
    """
    if positive_number(what, value) > 1:
        raise ConfigurationError(f"{what} = {value!r}: expected at most 1")
