"""Roll-outs: environments side by side, from the same state with the same actions."""

from __future__ import annotations

import contextlib
import copy
import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium import spaces

from gym_lagrangian.checkpoints import SUFFIX
from gym_lagrangian.checks import one_of, seed_number, whole_number
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.registration import GENERIC_ID, find_model
from gym_lagrangian.rendering import Panels
from gym_lagrangian.viewing._painter import Painter
from gym_lagrangian.viewing.subject import Moment, Subject, Twin, Viewed, exact_id, row_of, subject

ACTIONS = ("random", "zero")

# Two motions have parted once a coordinate differs by so much (radians or metres).
PARTED = 0.1


class Trajectory(NamedTuple):
    """What one environment went through; T + 1 states, T steps.

    Attributes:
        label: what the environment is called.
        time: seconds, (T + 1,).
        states: (T + 1, 2n).
        energy, energy_drift: true energy in joules and its drift as a share of the scale; None
            where the true energy is unknown.
        total_reward: the return.
        diverged: whether it left the valid range.
        last_frame: the picture at the end, with the trace of the last seconds, (H, W, 3) uint8.
        model_energy: the energy of a learned model, in joules; None without one.
        work: what the actions did since the start, in joules.
        dissipated, model_dissipated: heat that the true friction and that of the model took since
            the start, in joules; None where it is unknown.
    """

    label: str
    time: np.ndarray
    states: np.ndarray
    energy: np.ndarray | None
    energy_drift: np.ndarray | None
    total_reward: float
    diverged: bool
    last_frame: np.ndarray
    model_energy: np.ndarray | None = None
    work: np.ndarray | None = None
    dissipated: np.ndarray | None = None
    model_dissipated: np.ndarray | None = None


class Rollout(NamedTuple):
    """A trajectory beside its true twin.

    Attributes:
        trajectory: of the environment itself.
        truth: of its exact twin; None where the environment is exact or the truth is unknown.
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
    what: Viewed = GENERIC_ID,
    *,
    steps: int = 500,
    seed: int = 0,
    start: Sequence[float] | None = None,
    actions: str = "random",
    on_step: Callable[[], object] | None = None,
    **arguments: Any,
) -> Rollout:
    """Step an environment and its exact twin under the same actions.

        rollout("DoublePendulum-v0", checkpoint="mine.safetensors", g=9.8)

    The twin has the same task, options and parameters, those drawn at reset included. It goes on
    when a learned model ends first, unless the environment was handed in.

    Arguments:
        what: an id, a system's name, "module:Class" or a `System` subclass; or a scalar
            environment of this package, wrapped or not, which is reset and stays open. A
            checkpoint alone says itself what moves.
        steps: steps at most; an episode that ends earlier ends its trajectory.
        seed: of the starting state and the actions.
        start: the exact starting state (q, q̇) instead.
        actions: ``"random"`` or ``"zero"``.
        on_step: called after every step of both.
        arguments: of `gymnasium.make`, for an id: `checkpoint`, `dt`, parameters of the system …

    Raises:
        ConfigurationError: `what` is none of these, `steps` < 1, a start that the system does not
            have, or arguments that make no sense.
        CheckpointError: the checkpoint is damaged, or a model of something else.
    """
    with contextlib.closing(subject(what, arguments)) as shown:
        return follow(shown, steps=steps, seed=seed, start=start, actions=actions, on_step=on_step)


def follow(
    shown: Subject,
    *,
    steps: int,
    seed: int,
    start: Sequence[float] | None = None,
    actions: str,
    on_step: Callable[[], object] | None = None,
) -> Rollout:
    """The rollout of a subject; arguments and errors as for `rollout`."""
    steps, seed = whole_number("steps", steps), seed_number(seed)
    action = _chooser(shown, actions, seed)
    shown.reset(seed=seed, start=start)
    tracks = [_Track(shown, shown.label, Painter(shown, 500))]
    if shown.twin is not None:
        tracks.append(_Track(shown.twin, shown.twin_label, Painter(shown, 500)))
    for _ in range(steps):
        if not _step(shown, action()):
            break
        for track in tracks:
            track.note()
        if on_step is not None:
            on_step()
    found = [track.trajectory() for track in tracks]
    named = zip(shown.coordinates.coordinates, shown.coordinates.units, strict=True)
    labels = tuple(f"{name} ({unit})" for name, unit in named)
    return Rollout(found[0], found[1] if shown.twin is not None else None, labels)


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
    what: Viewed = GENERIC_ID,
    *,
    compare: Sequence[str] = (),
    steps: int = 500,
    seed: int = 0,
    start: Sequence[float] | None = None,
    actions: str = "random",
    size: int = 500,
    **arguments: Any,
) -> Film:
    """Pictures of an environment, its exact twin as a ghost where it is learned.

    An environment that was handed in must not be stepped elsewhere while the film goes on.

    Arguments:
        what, steps, seed, start, actions, arguments: as for `rollout`.
        compare: names of models or paths of checkpoints: then the exact system and these models
            of it side by side, an argument `checkpoint` before them.
        size: width and height of each picture in pixels.

    Raises:
        ConfigurationError: as `rollout`, or for a model that is not trained for the system.
        CheckpointError: as `rollout`.
    """
    steps, seed = whole_number("steps", steps), seed_number(seed)
    panels = _panels(what, compare, arguments) if compare else []
    chosen = [(panel.id, panel.arguments) for panel in panels] or [(what, arguments)]
    with contextlib.ExitStack() as stack:
        shown = [
            stack.enter_context(contextlib.closing(subject(*one, with_twin=not panels)))
            for one in chosen
        ]
        action = _chooser(shown[0], actions, seed)
        _start_together(shown, seed, start)
        titles = [panel.title for panel in panels]
        draw = _side_by_side(shown, titles, size) if panels else _alone(shown[0], size)
        frames = _frames(shown, draw, steps, action, stack.pop_all())
    picture = next(frames)
    size_of_all = picture.shape[1], picture.shape[0]
    return Film(itertools.chain([picture], frames), shown[0].fps, size_of_all)


class _Panel(NamedTuple):
    """One of several environments beside each other: its title, its id and its arguments."""

    title: str
    id: str
    arguments: dict[str, Any]


def _panels(what: Viewed, compare: Sequence[str], arguments: dict[str, Any]) -> list[_Panel]:
    """The exact system, then models of it.

    Raises:
        ConfigurationError: an environment, something without a system, or an unknown model.
    """
    if isinstance(what, gymnasium.Env):
        raise ConfigurationError("compare: only with an id; an environment moves in one way")
    system = row_of(what).system
    if system is None:
        raise ConfigurationError("compare: name the system too, by an id or as module:Class")
    exact = _Panel("exact", exact_id(system) or system, dict(arguments))
    own = exact.arguments.pop("checkpoint", None)
    mine = [] if own is None else [_of_checkpoint(exact, own)]
    return [exact, *mine, *(_of_model(exact, system, model) for model in compare)]


def _of_model(exact: _Panel, system: str, model: str) -> _Panel:
    if model.endswith(SUFFIX):
        return _of_checkpoint(exact, model)
    return exact._replace(title=model, id=find_model(system, model).id)


def _of_checkpoint(exact: _Panel, checkpoint: Any) -> _Panel:
    arguments = exact.arguments | {"checkpoint": checkpoint}
    return exact._replace(title=Path(checkpoint).stem, arguments=arguments)


def _start_together(shown: Sequence[Subject], seed: int, start: Sequence[float] | None) -> None:
    """Reset them all to `start`, or to what the first draws."""
    for one in shown:
        start = one.reset(seed=seed, start=start).info["state"]


def _chooser(shown: Subject, actions: str, seed: int) -> Callable[[], Any]:
    """What draws the next action: the same sequence every time.

    Raises:
        ConfigurationError: an unknown kind of actions, or no telling which action is no force.
    """
    space = copy.deepcopy(shown.env.action_space)
    if one_of("actions", actions, ACTIONS) == "random":
        space.seed(seed)
        return space.sample
    if not isinstance(space, spaces.Box) or not np.array_equal(space.low, -space.high):
        raise ConfigurationError(
            f'actions="zero": of {space} no action is known to be no force; hand in the '
            "environment without the wrapper that changes actions"
        )
    return lambda: np.zeros(space.shape, space.dtype)


def _step(shown: Subject, action: Any) -> bool:
    """Step what has not ended; whether there was something."""
    if not shown.now.ended:
        shown.step(action)
    elif shown.twin is not None and shown.twin_goes_on:
        shown.twin.advance(action)
    else:
        return False
    return True


class _Track:
    """The moments that one motion went through, and the picture of the last."""

    def __init__(self, motion: Subject | Twin, label: str, painter: Painter):
        self._motion, self._label, self._painter = motion, label, painter
        self._moments: list[Moment] = []
        self.note()

    def note(self) -> None:
        """Take down the present moment, where it is a new one."""
        now = self._motion.now
        if not self._moments or now is not self._moments[-1]:
            self._moments.append(now)
            self._frame = self._painter.draw(now)

    def trajectory(self) -> Trajectory:
        """What was taken down."""
        last = self._moments[-1]
        return Trajectory(
            label=self._label,
            time=np.array([moment.info["time"] for moment in self._moments], np.float64),
            states=np.array([moment.info["state"] for moment in self._moments], np.float64),
            energy=self._numbers("energy"),
            energy_drift=self._numbers("energy_drift"),
            total_reward=last.total_reward,
            diverged=bool(last.info["diverged"]),
            last_frame=self._frame,
            model_energy=self._numbers("model_energy"),
            work=np.array([moment.state.work for moment in self._moments], np.float64),
            dissipated=self._numbers("dissipated"),
            model_dissipated=self._numbers("model_dissipated"),
        )

    def _numbers(self, name: str) -> np.ndarray | None:
        if name not in self._moments[0].info:
            return None
        return np.array([moment.info[name] for moment in self._moments], np.float64)


def _alone(shown: Subject, size: int) -> Callable[[], np.ndarray]:
    """What draws a subject over its ghost."""
    painter = Painter(shown, size)
    return lambda: painter.draw(shown.now, None if shown.twin is None else shown.twin.now)


def _side_by_side(
    shown: Sequence[Subject], titles: Sequence[str], size: int
) -> Callable[[], np.ndarray]:
    """What draws subjects beside each other; one that has ended keeps its last picture."""
    painters = [Painter(one, size) for one in shown]
    panels = Panels(titles, size, shown[0].fps)
    steps = itertools.count()

    def picture() -> np.ndarray:
        drawn = [painter.draw(one.now) for painter, one in zip(painters, shown, strict=True)]
        drifts = [one.now.info["energy_drift"] for one in shown]
        return panels.picture(drawn, step=next(steps), drifts=drifts)

    return picture


def _frames(
    shown: Sequence[Subject],
    draw: Callable[[], np.ndarray],
    steps: int,
    action: Callable[[], Any],
    resources: contextlib.ExitStack,
) -> Iterator[np.ndarray]:
    """One picture of the start and one after every step, until all have ended."""
    with resources:
        yield draw()
        for _ in range(steps):
            running = [one for one in shown if not one.now.ended]
            if not running:
                break
            chosen = action()
            for one in running:
                one.step(chosen)
            yield draw()
