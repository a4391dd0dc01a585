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

from gym_lagrangian.planning.sampling import Returns, SamplingPlanner, Search


@dataclass(frozen=True)
class CEM(SamplingPlanner):
    """The cross-entropy method.

    Attributes:
        samples, elites, horizon, discount, sigma, smoothness, through, pessimism: as for
            `SamplingPlanner`; samples and elites are those of every iteration.
        iterations: how often noise is fitted in one decision.

    Raises:
        ConfigurationError: a number that makes no sense; the message names it.
    """

    samples: int = 256
    elites: int = 16
    iterations: int = 4

    def improved(self, returns: Returns, search: Search, key: Array) -> Search:
        actions = self.sample(search.plan, search.spread, key)
        _, best = jax.lax.top_k(returns(actions), self.elites)
        elites = actions[best]
        return Search(jnp.mean(elites, axis=0), jnp.std(elites, axis=0))
