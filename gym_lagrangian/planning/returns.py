r"""What a sequence of actions is worth: the rewards along the motion that it causes.

    R(x_0, u) = Σ_k γ^k r(x_{k+1}),    x_{k+1} = F(x_k, τ(u_k), m, dt),    k = 0 … H − 1,

with F the dynamics of `params`, true or learned, and r the task's own reward. The discount γ < 1
is for unstable equilibria: whatever a sequence does there is blown up within a second, and without
it the actions now are judged by the luck of those at the end. A motion that leaves
the task's range, or is not finite, ends there: rewards are in [0, 1], so that nothing is worse
than to earn none from then on.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from gym_lagrangian.envs.functional import FunctionalEnv, Params


def plan_return(
    env: FunctionalEnv,
    params: Params,
    x: Array,
    m: Array,
    actions: Array,
    discount: float = 1.0,
) -> Array:
    """The return of one sequence of actions from one state, a scalar in [0, H].

    Arguments:
        x: state (2n,).
        m: parameters (k,).
        actions: (H, a) in [-1, 1], each held for `params.dt` seconds.
        discount: γ in (0, 1], the weight of a reward relative to the one before.
    """
    system = env.system

    def step(carry: tuple[Array, Array], action: Array) -> tuple[tuple[Array, Array], Array]:
        x, running = carry
        tau = system.generalized_force(action)
        moved = params.dynamics.step(x, tau, m, params.dt)
        q, qd = jnp.split(moved, 2)
        running &= jnp.all(jnp.isfinite(moved)) & system.in_range(q, qd, m)
        reward = jnp.where(running, system.reward(q, qd, m), 0.0)
        return (jnp.where(running, moved, x), running), reward

    _, rewards = jax.lax.scan(step, (x, jnp.ones((), bool)), actions)
    return jnp.sum(discount ** jnp.arange(len(rewards)) * rewards)
