r"""What all planners share: number, length and noise of the sequences that they try."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp
from jax import Array

from gym_lagrangian.checks import finite_number, positive_number, whole_number
from gym_lagrangian.envs.functional import FunctionalEnv, Params
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.planning.noise import correlated
from gym_lagrangian.planning.returns import Value
from gym_lagrangian.systems.task import TaskState


@dataclass(frozen=True)
class Planner(ABC):
    """A search for a good sequence of actions.

    A planner is static: it hashes and compares by value, so that it can be a static argument of a
    jitted function. A planner of your own states `plan`; one that only ranks sequences by their
    returns is a `SamplingPlanner` and states `improved`.

    Attributes:
        rewarded: whether it plans for rewards and values, rather than for a goal state alone.
        discount: γ in (0, 1], the weight of a reward relative to the one an action before; 1 where
            a planner has no such setting.
        samples: sequences tried in one iteration.
        elites: how many of them, the best, are gone on with.
        horizon: actions in a sequence; it looks `horizon` × dt seconds ahead.
        sigma: standard deviation of the noise around the plan, as a share of a full action.
        smoothness: β in [0, 1), the correlation of the noise from one action to the next.
        iterations: how often the plan is improved in one decision.

    Raises:
        ConfigurationError: a number that makes no sense; the message names it.
    """

    samples: int = 1024
    elites: int = 64
    horizon: int = 25
    # A planner that makes it a field has it in this place among its arguments.
    discount: ClassVar[float] = 1.0
    sigma: float = 0.6
    smoothness: float = 0.5
    iterations: int = 1

    rewarded: ClassVar[bool] = True

    def __post_init__(self) -> None:
        whole_number("samples", self.samples)
        if whole_number("elites", self.elites) > self.samples:
            raise ConfigurationError(
                f"elites = {self.elites} of samples = {self.samples}: expected at most as many"
            )
        whole_number("horizon", self.horizon)
        positive_number("sigma", self.sigma, "share of a full action")
        if not 0 <= finite_number("smoothness", self.smoothness, "a correlation") < 1:
            raise ConfigurationError(f"smoothness = {self.smoothness}: expected a number in [0, 1)")
        whole_number("iterations", self.iterations)

    @abstractmethod
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
