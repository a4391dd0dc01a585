"""Experience: the transitions of the agent's episodes, as a fit takes them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import numpy as np

from gym_lagrangian.acting.delay import exerted
from gym_lagrangian.acting.episode import Episode
from gym_lagrangian.acting.world import World
from gym_lagrangian.learning.transitions import Transitions
from gym_lagrangian.systems.task import Task


def states_of(world: World, episode: Episode) -> np.ndarray:
    """The states (T + 1, 2n) that were observed; NaN where an observation does not show them."""
    return np.stack([world.state_of(observation) for observation in episode.observations])


def transitions(world: World, episodes: Sequence[Episode]) -> Transitions | None:
    """The transitions that can be learned from; None where there are none.

    A step that the environment undid is no motion, and one whose two states were not wholly
    observed cannot be learned from. The force of an action is that in the state where it began.
    """
    rows = [_rows(world, episode) for episode in episodes]
    found: dict[str, Any] = {k: np.concatenate([row[k] for row in rows]) for k in rows[0]}
    if not len(found["q"]):
        return None
    m = np.broadcast_to(world.m, (len(found["q"]), len(world.m)))
    return Transitions(world.moved, **found, m=m, dt=world.dt)


def _rows(world: World, episode: Episode) -> dict[str, np.ndarray]:
    states, tau = states_of(world, episode), forces(world, episode)
    (q, qd), (next_q, next_qd) = (np.split(x, 2, axis=1) for x in (states[:-1], states[1:]))
    arrays = {"q": q, "qd": qd, "tau": tau, "next_q": next_q, "next_qd": next_qd}
    seen = np.all(np.isfinite(states), axis=1, keepdims=True)[:, 0]
    kept = seen[:-1] & seen[1:]
    kept[-1] &= not episode.undone
    return {name: array[kept] for name, array in arrays.items()}


def forces(world: World, episode: Episode) -> np.ndarray:
    """The generalized forces (T, n) that the motors exerted, by what the task says of actions."""
    states = np.nan_to_num(states_of(world, episode)[:-1]).astype(np.float32)
    asked = np.stack([world.share_of(action) for action in episode.actions]).astype(np.float32)
    shares = exerted(asked, world.delay)
    force: Any = partial(_force, world.task)
    pairs = zip(np.split(states, 2, axis=1)[0], np.split(states, 2, axis=1)[1], shares, strict=True)
    return np.stack([np.asarray(force(*row), np.float64) for row in pairs])


@partial(jax.jit, static_argnums=0)
def _force(task: Task, q: Any, qd: Any, share: Any) -> Any:
    """One row a call: whatever the length of an episode, nothing compiles anew."""
    return task.generalized_force(q, qd, share)
