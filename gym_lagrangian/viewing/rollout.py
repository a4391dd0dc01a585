"""Environments beside each other, from the same state with the same actions."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import gymnasium
import numpy as np

from gym_lagrangian.checks import one_of, seed_number, whole_number
from gym_lagrangian.registration import find, find_model
from gym_lagrangian.rendering import Panels
from gym_lagrangian.systems.base import System

ACTIONS = ("random", "zero")

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
    def error(self) -> np.ndarray:
        """Largest difference of a coordinate between the two, as long as both run; 0 without a
        twin.
        """
        truth = self.truth or self.trajectory
        n, steps = len(self.coordinates), min(len(self.trajectory.time), len(truth.time))
        gap = self.trajectory.states[:steps, :n] - truth.states[:steps, :n]
        return np.abs(gap).max(axis=1)

    @property
    def parting_time(self) -> float | None:
        """Seconds until a coordinate of the two differs by more than `PARTED`; None if never."""
        if self.truth is None:
            return None
        apart = np.flatnonzero(self.error > PARTED)
        return float(self.trajectory.time[apart[0]]) if apart.size else None


def rollout(
    env_id: str,
    *,
    steps: int = 500,
    seed: int = 0,
    start: Sequence[float] | None = None,
    actions: str = "random",
    on_step: Callable[[], object] | None = None,
) -> Rollout:
    """Step `env_id` and its true twin under the same actions.

    Arguments:
        steps: steps at most; an episode that ends earlier ends its trajectory.
        seed: of the starting state and the actions.
        start: the exact starting state (q, q̇) instead.
        actions: ``"random"`` or ``"zero"``.
        on_step: called after every step of either.

    Raises:
        ConfigurationError: `env_id` is not an id of this package, `steps` < 1, or a start that
            the system does not have.
    """
    row, steps, seed = find(env_id), whole_number("steps", steps), seed_number(seed)
    choose = _chooser(one_of("actions", actions, ACTIONS), seed)
    trajectory, system = _follow(env_id, start, steps, seed, choose, on_step)
    truth = None
    if row.model is not None:
        start = trajectory.states[0].tolist()
        truth, _ = _follow(f"{row.system}-v0", start, steps, seed, choose, on_step)
    units = ("rad" if angular else "m" for angular in system.angular)
    labels = tuple(f"{c} ({u})" for c, u in zip(system.coordinates, units, strict=True))
    return Rollout(trajectory, truth, labels)


class Film(NamedTuple):
    """Pictures that are made as they are asked for.

    Attributes:
        frames: (H, W, 3) uint8, one for the start and one for every step.
        fps: pictures per second of the simulated time.
        size: (W, H) in pixels.
    """

    frames: Iterator[np.ndarray]
    fps: int
    size: tuple[int, int]


def film(
    env_id: str,
    *,
    compare: Sequence[str] = (),
    steps: int = 500,
    seed: int = 0,
    start: Sequence[float] | None = None,
    actions: str = "random",
    size: int = 500,
) -> Film:
    """Pictures of `env_id`, its exact twin as a ghost where it is learned.

    Arguments:
        compare: names of models: then the exact system and these models of it side by side.
        steps, seed, start, actions: as for `rollout`.
        size: width and height of each picture in pixels.

    Raises:
        ConfigurationError: as `rollout`, or for a model that is not trained for the system.
    """
    row, steps, seed = find(env_id), whole_number("steps", steps), seed_number(seed)
    choose = _chooser(one_of("actions", actions, ACTIONS), seed)
    ids = [row.id]
    if compare:
        ids = [f"{row.system}-v0", *(find_model(row.system, model).id for model in compare)]
    extras = {} if compare or row.model is None else {"show_truth": True}
    envs = [gymnasium.make(i, render_mode="rgb_array", render_size=size, **extras) for i in ids]
    infos = _start_together(envs, seed, start)
    fps = envs[0].metadata["render_fps"]
    panels = Panels(["exact", *compare], size, fps) if compare else None
    frames = _frames(envs, infos, panels, steps, choose)
    first = next(frames)
    return Film(itertools.chain([first], frames), fps, (first.shape[1], first.shape[0]))


def _chooser(actions: str, seed: int) -> Callable[[gymnasium.Space], Callable[[], Any]]:
    """For an action space, what draws the next action; the same sequence every time."""

    def choose(space: gymnasium.Space) -> Callable[[], Any]:
        if actions == "zero":
            return lambda: np.zeros(space.shape or (), space.dtype)
        space.seed(seed)
        return space.sample

    return choose


def _start_together(
    envs: Sequence[gymnasium.Env], seed: int, start: Sequence[float] | None
) -> list[dict[str, Any]]:
    """Reset them all to `start`, or to what the first draws; what each says of it."""
    infos = []
    for env in envs:
        _, info = _reset(env, seed, start)
        start = info["state"]
        infos.append(info)
    return infos


def _reset(env: gymnasium.Env, seed: int, start: Sequence[float] | None) -> tuple[Any, dict]:
    return env.reset(seed=seed, options=None if start is None else {"state": np.asarray(start)})


def _frames(
    envs: Sequence[gymnasium.Env],
    infos: list[dict[str, Any]],
    panels: Panels | None,
    steps: int,
    choose: Callable,
) -> Iterator[np.ndarray]:
    """One picture after every step; an environment that has ended keeps its last one."""
    action = choose(envs[0].action_space)
    pictures: list[Any] = [env.render() for env in envs]
    running = dict(enumerate(envs))

    def picture(step: int) -> np.ndarray:
        if panels is None:
            return pictures[0]
        return panels.picture(pictures, step=step, drifts=[i["energy_drift"] for i in infos])

    try:
        yield picture(0)
        for step in range(1, steps + 1):
            if not running:
                break
            chosen = action()
            for i, env in tuple(running.items()):
                _, _, terminated, truncated, infos[i] = env.step(chosen)
                pictures[i] = env.render()
                if terminated or truncated:
                    del running[i]
            yield picture(step)
    finally:
        for env in envs:
            env.close()


def _follow(
    env_id: str,
    start: Sequence[float] | None,
    steps: int,
    seed: int,
    choose: Callable,
    on_step: Callable[[], object] | None,
) -> tuple[Trajectory, System]:
    env = gymnasium.make(env_id, render_mode="rgb_array")
    _, info = _reset(env, seed, start)
    action = choose(env.action_space)
    infos, total = [info], 0.0
    frame = env.render()
    for _ in range(steps):
        _, reward, terminated, truncated, info = env.step(action())
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
