r"""Model predictive path integral control: the average of the samples, weighted by their returns.

With samples u_i = clip(ū + s_i ε_i) around the plan ū and their returns R_i,

    w_i ∝ exp(R_i / (λ · std R)),    ū ← Σ_i w_i u_i,

sums and standard deviation over the elites alone, the samples of the highest returns. This is the
paper's update but for three things. The temperature λ is relative to the spread of the elites'
returns, so that it means the same whatever a task's rewards are and however badly the other
samples are. The noise has many sizes, s_i spaced evenly in log from `finest` σ to σ: wide noise
finds a swing-up, narrow noise balances an unstable equilibrium, and the weights select the useful
ones. Neither actions nor their noise have a cost, since these tasks have none.

References: Williams, Aldrich and Theodorou, "Model Predictive Path Integral Control: From Theory to
Parallel Computation", J. Guidance, Control, and Dynamics 40 (2017); Hansen, Wang and Su, "Temporal
Difference Learning for Model Predictive Control", ICML (2022), for elites.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array

from gym_lagrangian.checks import positive_number
from gym_lagrangian.planning.noise import sizes
from gym_lagrangian.planning.planner import share
from gym_lagrangian.planning.sampling import Returns, SamplingPlanner, Search


@dataclass(frozen=True)
class MPPI(SamplingPlanner):
    """Model predictive path integral control.

    Attributes:
        samples, elites, horizon, discount, sigma, smoothness, through, pessimism, iterations: as
            for `SamplingPlanner`.
        temperature: λ > 0, as a share of the standard deviation of the elites' returns; towards 0
            the best sample alone counts.
        finest: the smallest noise as a share of `sigma`, in (0, 1].

    Raises:
        ConfigurationError: a number that makes no sense; the message names it.
    """

    temperature: float = 0.6
    finest: float = 0.03

    def __post_init__(self) -> None:
        super().__post_init__()
        positive_number("temperature", self.temperature, "share of the spread of the returns")
        share("finest", self.finest)

    def improved(self, returns: Returns, search: Search, key: Array) -> Search:
        spread = sizes(self.samples, self.finest, search.plan) * search.spread[None]
        actions = self.sample(search.plan, spread, key)
        values, best = jax.lax.top_k(returns(actions), self.elites)
        spread = jnp.std(values) + 1e-6  # where all are worth the same, their average
        weights = jax.nn.softmax((values - values[0]) / (self.temperature * spread))
        return search._replace(plan=jnp.tensordot(weights, actions[best], axes=1))
