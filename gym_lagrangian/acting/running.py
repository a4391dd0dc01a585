"""Running one episode: reset, then act until it ends."""

from __future__ import annotations

from typing import Any

import numpy as np

from gym_lagrangian.acting.episode import Episode
from gym_lagrangian.acting.strategy import Actor
from gym_lagrangian.acting.world import World
from gym_lagrangian.errors import ConfigurationError


def run(world: World, actor: Actor, *, seed: int, steps: int, random: bool) -> Episode:
    """An episode from a reset, of at most so many steps. `info` is not looked at.

    Arguments:
        seed: of the reset.
        random: what the episode says of its actions.

    Raises:
        ConfigurationError: the environment cannot be reset, or its first observation shows no
            state.
    """
    observations, actions, rewards = [_reset(world, seed)], [], []
    state, ends = _first(world, observations[0]), (False, False)
    while len(rewards) < steps and not any(ends):
        share = np.asarray(actor(state, observations[-1], len(rewards) * world.dt))
        actions.append(world.action_of(share))
        observation, reward, terminated, truncated, _ = world.env.step(actions[-1])
        observations.append(np.array(observation))
        rewards.append(float(reward))
        state, ends = known(world.state_of(observation), state), (bool(terminated), bool(truncated))
    undone = ends[1] and world.limit is not None and len(rewards) < world.limit
    columns = (np.stack(observations), np.stack(actions), np.array(rewards))
    return Episode(*columns, *ends, undone, random)


def known(state: np.ndarray, before: np.ndarray) -> np.ndarray:
    """The state (2n,) with the entry before in place of what was not observed."""
    return np.where(np.isfinite(state), state, before)


def _reset(world: World, seed: int) -> np.ndarray:
    try:
        return np.array(world.env.reset(seed=seed)[0])
    except Exception as error:  # whatever the environment's own reset may raise
        raise ConfigurationError(
            f"{world.env} cannot be reset: {type(error).__name__}: {error}. An agent begins every "
            "episode with a reset"
        ) from error


def _first(world: World, observation: Any) -> np.ndarray:
    state = world.state_of(observation)
    if not np.isfinite(state).all():
        raise ConfigurationError(
            f"the first observation {observation} of {world.env} shows no finite state: {state}"
        )
    return state
