r"""When a regulator takes over from a planner: where the model predicts that it reaches the goal.

From a state the closed loop x' = F(x, u(x)) is followed for some seconds, its actions clipped to
those of the motors. The regulator takes over under two conditions. The remaining cost is below its
depth, the cost of a second at a start (elsewhere planning is faster). And along the closed loop the
motion stays valid, the task does not end, and the cost falls to a share of what it was.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from jax import Array

from gym_lagrangian.envs.functional import FunctionalEnv, Params
from gym_lagrangian.planning.lqr import LQR
from gym_lagrangian.systems.task import TaskState

# Seconds for which the closed loop is followed.
SECONDS = 2.0

# The share to which the cost has to fall, and the cost, in units of the depth, that counts as none.
_FALLEN, _NONE = 0.1, 1e-4


@partial(jax.jit, static_argnames=("env", "steps"))
def regulated(
    env: FunctionalEnv, params: Params, regulators: LQR, start: TaskState, steps: int
) -> tuple[Array, Array]:
    """Actions (N, a) of N regulators in N states, and which of them (N,) reach the goal."""

    def one(regulator: LQR, start: TaskState) -> tuple[Array, Array]:
        taken = converges(env, params, regulator, start, steps)
        return regulator.action(start.q, start.qd), taken

    return jax.vmap(one)(regulators, start)


def converges(
    env: FunctionalEnv, params: Params, regulator: LQR, start: TaskState, steps: int
) -> Array:
    """Whether the closed loop leads from a state to the goal, as the module says."""

    def step(carry: tuple[TaskState, Array], _: None) -> tuple[tuple[TaskState, Array], None]:
        before, fine = carry
        after = env.next(before, regulator.action(before.q, before.qd), params)
        return (after, fine & env.is_valid(after) & ~env.task.terminated(after)), None

    fine = ~env.task.terminated(start)
    (end, fine), _ = jax.lax.scan(step, (start, fine), None, length=steps)
    first, last = (regulator.remaining(at.q, at.qd) for at in (start, end))
    fallen = last <= jnp.maximum(_FALLEN * first, _NONE * regulator.depth)
    return fine & fallen & (first <= regulator.depth)
