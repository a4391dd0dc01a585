"""One environment and its true twin, from the same state with the same actions."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import gymnasium
import numpy as np

from gym_lagrangian.checks import seed_number, whole_number
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.registration import environments
from gym_lagrangian.systems.base import System

# Two motions have parted once a coordinate differs by so much (radians or metres).
PARTED = 0.1


class Trajectory(NamedTuple):
    """What one environment went through; T + 1 states, T steps.

    Attributes:
        label: id of the environment.
        time: seconds, (T + 1,).
        states: (T + 1, 2n).
        energy, energy_drift: true energy in joules and its drift as a share of the scale.
        total_reward: the return.
        diverged: whether it left the valid range.
        last_frame: the picture at the end, with the trace of the last seconds, (H, W, 3) uint8.
    """

    label: str
    time: np.ndarray
    states: np.ndarray
    energy: np.ndarray
    energy_drift: np.ndarray
    total_reward: float
    diverged: bool
    last_frame: np.ndarray


class Rollout(NamedTuple):
    """A trajectory beside its true twin.

    Attributes:
        trajectory: of the id itself.
        truth: of its exact twin; None where the id is exact.
        coordinates: names of the n coordinates with their units.
    """

    trajectory: Trajectory
    truth: Trajectory | None
    coordinates: tuple[str, ...]

    @property
    def parting_time(self) -> float | None:
        """Seconds until a coordinate of the two differs by more than `PARTED`; None if never."""
        if self.truth is None:
            return None
        n = len(self.coordinates)
        steps = min(len(self.trajectory.time), len(self.truth.time))
        gap = self.trajectory.states[:steps, :n] - self.truth.states[:steps, :n]
        apart = np.flatnonzero(np.abs(gap).max(axis=1) > PARTED)
        return float(self.trajectory.time[apart[0]]) if apart.size else None


def rollout(
    env_id: str,
    *,
    steps: int = 500,
    seed: int = 0,
    on_step: Callable[[], object] | None = None,
) -> Rollout:
    """Step `env_id` and its true twin under the same random actions.

    Arguments:
        steps: steps at most; an episode that ends earlier ends its trajectory.
        seed: of the starting state and the actions.
        on_step: called after every step of either.

    Raises:
        ConfigurationError: `env_id` is not an id of this package, or `steps` < 1.
    """
    rows = {row.id: row for row in environments()}
    if env_id not in rows:
        raise ConfigurationError(f"unknown id {env_id!r}; choose one of {', '.join(rows)}")
    steps, seed = whole_number("steps", steps), seed_number(seed)
    row = rows[env_id]
    trajectory, system = _follow(env_id, None, steps, seed, on_step)
    truth = None
    if row.model is not None:
        start = trajectory.states[0]
        truth, _ = _follow(f"{row.system}-v0", start, steps, seed, on_step)
    units = ("rad" if angular else "m" for angular in system.angular)
    labels = tuple(f"{c} ({u})" for c, u in zip(system.coordinates, units, strict=True))
    return Rollout(trajectory, truth, labels)


def _follow(
    env_id: str,
    start: np.ndarray | None,
    steps: int,
    seed: int,
    on_step: Callable[[], object] | None,
) -> tuple[Trajectory, System]:
    env = gymnasium.make(env_id, render_mode="rgb_array")
    options = None if start is None else {"state": start}
    _, info = env.reset(seed=seed, options=options)
    env.action_space.seed(seed)
    infos, total = [info], 0.0
    frame = env.render()
    for _ in range(steps):
        _, reward, terminated, truncated, info = env.step(env.action_space.sample())
        infos.append(info)
        total += float(reward)
        frame = env.render()
        if on_step is not None:
            on_step()
        if terminated or truncated:
            break
    system = env.get_wrapper_attr("system")
    env.close()
    trajectory = Trajectory(
        label=env_id,
        time=np.array([info["time"] for info in infos]),
        states=np.array([info["state"] for info in infos]),
        energy=np.array([info["energy"] for info in infos]),
        energy_drift=np.array([info["energy_drift"] for info in infos]),
        total_reward=total,
        diverged=infos[-1]["diverged"],
        last_frame=np.asarray(frame),
    )
    return trajectory, system
