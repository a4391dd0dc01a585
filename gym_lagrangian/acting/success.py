"""Success of an episode, and the real seconds before it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from gym_lagrangian.acting.episode import Episode
from gym_lagrangian.acting.world import World
from gym_lagrangian.systems.chain_tasks import ChainTask
from gym_lagrangian.systems.task import TaskState

# The share of the length within which the tip is at its goal, and for how many seconds at the end.
_NEAR, _LAST = 0.1, 1.0

# Successes after the first that make it *always*.
_AFTER = 5


class Lived(NamedTuple):
    """An episode that is to be judged.

    Attributes:
        world: where it was.
        episode: what was observed, done and rewarded.
        states: (T + 1, 2n), as observed; NaN where they were not.
    """

    world: World
    episode: Episode
    states: np.ndarray


Criterion = Callable[[Lived], bool]


def tip_at_goal(lived: Lived) -> bool:
    """Whether a chain's tip is within 10 % of its length of the goal in the whole last second.

    An episode that the task ended, or that is shorter than a second, is none.
    """
    world, last = lived.world, round(_LAST / lived.world.dt)
    if lived.episode.terminated or lived.episode.undone or len(lived.episode) < last:
        return False
    goal = world.goal_of(lived.episode.observations[0])
    return all(_distance(world, state, goal) <= _NEAR for state in lived.states[-last:])


def _distance(world: World, state: np.ndarray, goal: np.ndarray) -> float:
    task: Any = world.task
    q, qd = np.split(state, 2)
    here: Any = (q, qd, world.m, goal, np.zeros(()), 0.0 * q)
    return float(task.tip_distance(TaskState(*here)))


def usual_criterion(world: World) -> Criterion | None:
    """`tip_at_goal` for the tasks of chains, None for others."""
    return tip_at_goal if isinstance(world.task, ChainTask) else None


def seconds_until_first(history: Sequence[dict[str, Any]]) -> float | None:
    """Real seconds before the first successful episode, random ones included; None without one."""
    return next((one["began"] for one in history if one["success"]), None)


def seconds_until_always(history: Sequence[dict[str, Any]]) -> float | None:
    """Real seconds before the first successful episode after which the next five succeed too."""
    won = [bool(one["success"]) for one in history]
    starts = range(len(won) - _AFTER)
    return next((history[i]["began"] for i in starts if all(won[i : i + _AFTER + 1])), None)


def in_a_row(history: Sequence[dict[str, Any]]) -> int:
    """How many of the last episodes succeeded without a failure between them."""
    won = [bool(one["success"]) for one in history]
    return won[::-1].index(False) if False in won else len(won)
