"""Acting with delayed motors.

An action that is chosen now acts d steps later, in the state that the machine has reached by then.
The actions u_0 … u_{d−1} that are still to act are known, so the model predicts that state,

    x̂_{k+1} = step(x̂_k, u_k),    k = 0 … d − 1,    x̂_0 = x,

and the action is chosen for x̂_d, as if there were no delay. This is the predictor of O. J. Smith,
"A controller to overcome dead time" (1959).
"""

from __future__ import annotations

from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from gym_lagrangian.acting.strategy import Actor
from gym_lagrangian.acting.world import World
from gym_lagrangian.envs.functional import FunctionalEnv, Params, cast


def exerted(shares: np.ndarray, delay: int) -> np.ndarray:
    """The shares (T, a) that the motors exert where they are told `shares`; nothing at first."""
    late = np.concatenate([np.zeros((delay, shares.shape[1]), shares.dtype), shares])
    return late[: len(shares)]


def ahead(actor: Actor, world: World, params: Params) -> Actor:
    """The actor of an episode from its reset, which chooses for the state in which an action acts.

    Arguments:
        params: of the model's motion, see `acting.planning.params_of`.
    """
    later, waiting = world.delay * world.dt, np.zeros((world.delay, world.task.action_size))
    predicted = partial(_predicted, world.functional, cast(params, "float32"))

    def act(state: np.ndarray, observation: np.ndarray, time: float) -> np.ndarray:
        nonlocal waiting
        then = np.asarray(predicted(*_single(world, state, waiting)), np.float64)
        chosen = actor(then, observation, time + later)
        waiting = np.concatenate([waiting[1:], [np.clip(chosen, -1.0, 1.0)]])
        return chosen

    return act


def _single(world: World, *arrays: np.ndarray) -> list[Any]:
    return [np.asarray(array, np.float32) for array in (*arrays, world.m)]


@eqx.filter_jit
def _predicted(env: FunctionalEnv, params: Params, x: Any, actions: Any, m: Any) -> Any:
    """The state (2n,) after actions (d, a); where it would not be finite, the last that is."""

    def step(x: Any, action: Any) -> tuple[Any, None]:
        then = env.move(x, action, m, params).x
        return jnp.where(jnp.isfinite(then).all(), then, x), None

    return jax.lax.scan(step, x, actions)[0]
