r"""Planners that try sequences of actions and rank them by their returns."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from gym_lagrangian.checks import finite_number, one_of
from gym_lagrangian.envs.functional import FunctionalEnv, Params
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.planning.members import THROUGH, returns_through
from gym_lagrangian.planning.planner import Planner, share
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
class SamplingPlanner(Planner):
    """A search for the sequence of actions of the highest return, by trying many.

    A planner of your own states `improved`.

    Attributes:
        samples, elites, horizon, sigma, smoothness, iterations: as for `Planner`.
        discount: γ in (0, 1], the weight of a reward relative to the one an action before.
        through: which members of an ensemble follow a sequence, ``"mean"``, ``"own"`` or ``"all"``,
            see `planning.members`.
        pessimism: with ``"all"``, what the standard deviation of the members' returns costs;
            negative for optimism.

    Raises:
        ConfigurationError: a number that makes no sense; the message names it.
    """

    discount: float = 0.9  # pyright: ignore[reportIncompatibleVariableOverride]
    through: str = "mean"
    pessimism: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        share("discount", self.discount)
        one_of("through", self.through, THROUGH)
        if finite_number("pessimism", self.pessimism, "a weight") and self.through != "all":
            raise ConfigurationError(
                f"pessimism = {self.pessimism} weighs what members disagree about, and of "
                f'through = {self.through!r} there is one return a sequence: give through="all"'
            )

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
        """As `Planner.plan`."""
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
