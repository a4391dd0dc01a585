r"""The return of a sequence of actions: the rewards along the motion that it causes.

    R(s_0, u) = Σ_k γ^k r(s_k, u_k, s_{k+1}),    s_{k+1} = F(s_k, u_k, m, dt),    k = 0 … H − 1,

with F the dynamics of `params`, true or learned, and r the reward of the environment. The discount
γ < 1 is for unstable equilibria. Small differences grow large there within a second, and without a
discount the first actions would be judged by rewards at the end that are hardly due to them.

A terminal value V adds γ^H V(s_H): the discounted rewards beyond the horizon, from the state s_H in
which it ends.

A motion that the task terminates gets no further rewards and no V, as its episode is over. A motion
that leaves the task's range, or is not finite, is outside of what the dynamics describe. Its
sequence ranks below every one that stays, whatever the signs of the rewards; of two that leave, the
later one ranks higher.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from gym_lagrangian.envs.functional import FunctionalEnv, Params
from gym_lagrangian.systems.task import TaskState

# What a state is worth from there on: a pure function (q, q̇, m, goal) → scalar. An equinox module
# is one whose weights are arguments of what is compiled.
Value = Callable[[Array, Array, Array, Array], Any]


class PlanReturn(NamedTuple):
    """What one sequence of actions came to.

    Attributes:
        value: the return R, a scalar.
        valid: the share of its actions before the motion left the valid range; 1 if it never did.
    """

    value: Array
    valid: Array


def plan_return(
    env: FunctionalEnv,
    params: Params,
    start: TaskState,
    actions: Array,
    discount: float = 1.0,
    value: Value | None = None,
) -> PlanReturn:
    """The return of one sequence of actions from one state.

    Arguments:
        start: where it begins.
        actions: (H, a) in [-1, 1], each held for `params.dt` seconds.
        discount: γ in (0, 1], the weight of a reward relative to the one before.
        value: what the last state is worth, in the reward's units; None for nothing.
    """

    def step(
        carry: tuple[TaskState, Array, Array], action: Array
    ) -> tuple[tuple[TaskState, Array, Array], tuple[Array, Array]]:
        before, valid, running = carry
        after = env.next(before, action, params)
        valid &= env.is_valid(after) | ~running
        running &= valid
        after = jax.tree.map(lambda new, old: jnp.where(running, new, old), after, before)
        reward = jnp.where(running, env.reward(before, action, after), 0.0)
        return (after, valid, running & ~env.task.terminated(after)), (reward, valid)

    running = ~env.task.terminated(start)
    first = (start, jnp.ones((), bool), running)
    (end, _, running), (rewards, valid) = jax.lax.scan(step, first, actions)
    total = jnp.sum(discount ** jnp.arange(len(rewards)) * rewards)
    if value is not None:
        further = jnp.asarray(value(end.q, end.qd, end.m, end.goal), total.dtype)
        total += jnp.where(running, discount ** len(rewards) * further, 0.0)
    return PlanReturn(total, jnp.mean(valid))


def ranked(returns: PlanReturn) -> Array:
    """The returns (N,) of N sequences as one number each to compare them by: the return itself
    where a motion stays valid, less than the least of those where it does not.
    """
    value, whole = returns.value, returns.valid == 1.0
    any_whole = jnp.any(whole)
    least = jnp.where(any_whole, jnp.min(value, where=whole, initial=jnp.inf), 0.0)
    most = jnp.where(any_whole, jnp.max(value, where=whole, initial=-jnp.inf), 0.0)
    step_down = jnp.maximum(most - least, 1.0)
    return jnp.where(whole, value, least - step_down * (2.0 - returns.valid))
