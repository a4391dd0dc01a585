r"""Episodes one after another, as a pure function: what a vector environment vmaps.

`begin` starts an episode, `advance` steps it and, where it has ended, starts the next one in one
of Gymnasium's three ways:

next step
    The step after the last one ignores its action and returns the new episode's first
    observation, reward 0, no flags.
same step
    The last step itself returns the new episode's first observation; the timestep that ended
    the old one comes beside it.
disabled
    Nothing restarts by itself.

An episode's key advances only when it is reset, so that what one environment draws never
depends on how many steps another has taken.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from gymnasium.vector import AutoresetMode
from jax import Array

from gym_lagrangian.envs.functional import FunctionalEnv, Params, State, Timestep


class Episode(NamedTuple):
    """One environment between resets.

    Attributes:
        key: a jax key, from which the next reset draws.
        state: of the environment.
        elapsed: steps since the last reset, for the time limit.
        done: whether the last step ended the episode.
    """

    key: Array
    state: State
    elapsed: Array
    done: Array


def begin(env: FunctionalEnv, params: Params, key: Array) -> tuple[Episode, Timestep]:
    """A new episode, drawn with `key`."""
    key, draw = jax.random.split(key)
    state, timestep = env.reset(draw, params)
    return Episode(key, state, jnp.zeros((), jnp.int32), jnp.zeros((), bool)), timestep


def advance(
    env: FunctionalEnv,
    params: Params,
    episode: Episode,
    action: Array,
    *,
    mode: AutoresetMode,
    max_steps: int | None,
) -> tuple[Episode, Timestep, Timestep]:
    """One step of an episode under a time limit of `max_steps`, None for no limit.

    Returns the episode, the timestep to hand out, and the timestep of the step itself: they
    differ only where ``SAME_STEP`` has begun a new episode.
    """
    state, stepped = env.step(None, episode.state, action, params)
    elapsed = episode.elapsed + 1
    if max_steps is not None:
        stepped = stepped._replace(truncated=stepped.truncated | (elapsed >= max_steps))
    done = stepped.terminated | stepped.truncated
    after = Episode(episode.key, state, elapsed, done)
    if mode == AutoresetMode.DISABLED:
        return after, stepped, stepped
    restart = episode.done if mode == AutoresetMode.NEXT_STEP else done
    fresh, first = begin(env, params, episode.key)
    first = first._replace(reward=jnp.zeros_like(first.reward))
    if mode == AutoresetMode.SAME_STEP:
        first = stepped._replace(observation=first.observation, info=first.info)
        # The flags of the old episode have been handed out; the new one is under way.
    episode, timestep = select(restart, (fresh, first), (after, stepped))
    return episode, timestep, stepped


def select(condition: Array, if_true, if_false):
    """The one or the other pytree, by a boolean scalar."""
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), if_true, if_false)
