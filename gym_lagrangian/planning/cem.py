r"""The cross-entropy method: fit the noise to the best samples, and sample again.

In every iteration the samples u_i = clip(ū + σ ε_i) are ranked by return, and mean and standard
deviation of the best, the elites, become the ū and σ (one number for every action of the
sequence) of the next. σ starts wide at every decision, ū where the last one ended.

References: Rubinstein, "The Cross-Entropy Method for Combinatorial and Continuous Optimization",
Methodology and Computing in Applied Probability 1 (1999); Pinneri et al., "Sample-efficient
Cross-Entropy Method for Real-time Planning", CoRL (2020), for noise correlated in time.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array

from gym_lagrangian.checks import whole_number
from gym_lagrangian.envs.functional import FunctionalEnv, Params
from gym_lagrangian.planning.planner import Planner
from gym_lagrangian.systems.task import TaskState


@dataclass(frozen=True)
class CEM(Planner):
    """The cross-entropy method.

    Attributes:
        samples, elites, horizon, discount, sigma, smoothness, through, pessimism: as for
            `Planner`; samples and elites are those of every iteration.
        iterations: how often noise is fitted in one decision.

    Raises:
        ConfigurationError: a number that makes no sense; the message names it.
    """

    samples: int = 256
    elites: int = 16
    iterations: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        whole_number("iterations", self.iterations)

    def plan(
        self, env: FunctionalEnv, params: Params, start: TaskState, plan: Array, key: Array
    ) -> Array:
        def improve(carry: tuple[Array, Array], key: Array) -> tuple[tuple[Array, Array], None]:
            actions = self.sample(*carry, key)
            _, best = jax.lax.top_k(self.returns(env, params, start, actions), self.elites)
            elites = actions[best]
            return (jnp.mean(elites, axis=0), jnp.std(elites, axis=0)), None

        wide = jnp.full_like(plan, self.sigma)
        keys = jax.random.split(key, self.iterations)
        (plan, _), _ = jax.lax.scan(improve, (plan, wide), keys)
        return plan
