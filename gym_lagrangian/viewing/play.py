"""Live in a window: watch a film, or drive an environment with the arrow keys."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import gymnasium
import numpy as np
import pygame

from gym_lagrangian.checks import seed_number
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.registration import GENERIC_ID
from gym_lagrangian.rendering import Window
from gym_lagrangian.rendering.canvas import from_array
from gym_lagrangian.viewing._painter import Painter
from gym_lagrangian.viewing.rollout import Film
from gym_lagrangian.viewing.subject import Subject, Viewed, subject

KEYS = "arrows: force   R: reset   space: pause   N: one step   Esc: close"


def watch(film: Film, title: str = "gym_lagrangian") -> None:
    """Show a film in real time, until it ends or its window is closed."""
    window = Window(title, film.size, film.fps)
    try:
        for frame in film.frames:
            window.show(from_array(frame))
            if not window.is_open:
                break
    finally:
        window.close()


def play(
    what: Viewed = GENERIC_ID,
    *,
    seed: int = 0,
    start: Sequence[float] | None = None,
    size: int = 500,
    **arguments: Any,
) -> None:
    """Drive an environment in real time, its exact twin as a ghost where it is learned.

    Left and right drive the first actuator, down and up the second. R resets, space pauses and
    goes on, N makes a single step and pauses, Escape or the window's button ends. There is no
    time limit, unless an environment that was handed in has one.

    Arguments:
        what, arguments: as for `gym_lagrangian.viewing.rollout.rollout`.
        seed: of the starting states.
        start: the exact state (q, q̇) that every episode starts from instead.
        size: width and height of the picture in pixels.

    Raises:
        ConfigurationError: `what` is no environment of this package, its actions are not those
            of the arrow keys, or a bad seed, start or size.
        CheckpointError: the checkpoint is damaged, or a model of something else.
    """
    game = Game(what, seed=seed, start=start, size=size, **arguments)
    window = Window(f"{game.label}   {KEYS}", (size, size), game.fps)
    try:
        while window.is_open:
            game.obey(window.show(from_array(game.picture())))
            game.advance()
    finally:
        window.close()
        game.close()


class Game:
    """An environment, the keys that are held down and whether it is paused.

    Arguments:
        what, seed, start, size, arguments: as for `play`.
    """

    def __init__(
        self,
        what: Viewed = GENERIC_ID,
        *,
        seed: int = 0,
        start: Sequence[float] | None = None,
        size: int = 500,
        **arguments: Any,
    ):
        if not isinstance(what, gymnasium.Env):
            arguments = {"max_episode_steps": -1, **arguments}
        self._subject = subject(what, arguments)
        self.label, self.fps = self._subject.label, self._subject.fps
        self._start = start
        self._held: set[int] = set()
        self._single = False
        self.paused = False
        try:
            self._actions, self._noop = _keys(self._subject)
            self._painter = Painter(self._subject, size)
            self._subject.reset(seed=seed_number(seed), start=start)
        except BaseException:
            self._subject.close()
            raise

    def obey(self, events: Iterable[pygame.event.Event]) -> None:
        """Take note of keys that went down or up."""
        for event in events:
            if event.type == pygame.KEYDOWN:
                self._press(event.key)
            elif event.type == pygame.KEYUP:
                self._held.discard(event.key)

    def advance(self) -> None:
        """One step of `dt`, unless paused."""
        if self.paused and not self._single:
            return
        self._single = False
        if self._subject.step(self.action).ended:
            self.reset()

    @property
    def action(self) -> np.ndarray:
        """What the arrow keys ask for; zero where two ask for opposite things."""
        arrows = {key for keys in self._actions for key in keys}
        return self._actions.get(tuple(sorted(self._held & arrows)), self._noop)

    def reset(self) -> None:
        """Begin another episode."""
        self._subject.reset(start=self._start)

    def picture(self) -> np.ndarray:
        """(size, size, 3) uint8."""
        twin = self._subject.twin
        return self._painter.draw(self._subject.now, None if twin is None else twin.now)

    def close(self) -> None:
        """Let go of the environment, which stays open if it was handed in."""
        self._subject.close()

    def _press(self, key: int) -> None:
        self._held.add(key)
        if key == pygame.K_r:
            self.reset()
        elif key == pygame.K_SPACE:
            self.paused = not self.paused
        elif key == pygame.K_n:
            self.paused = self._single = True


def _keys(shown: Subject) -> tuple[dict[tuple[int, ...], np.ndarray], np.ndarray]:
    """The actions of the arrow keys, and that of none.

    Raises:
        ConfigurationError: a wrapper has changed what an action is.
    """
    space = shown.env.action_space
    if space != shown.base.action_space:
        raise ConfigurationError(
            f"arrow keys are actions of {shown.base.action_space}, and a wrapper has made them "
            f"{space}: hand in the environment without it"
        )
    return shown.base.get_keys_to_action(), np.zeros(space.shape or (), space.dtype)
