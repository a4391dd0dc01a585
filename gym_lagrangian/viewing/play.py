"""Live in a window: watch a film, or drive an environment with the arrow keys."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import gymnasium
import numpy as np
import pygame

from gym_lagrangian.checks import seed_number
from gym_lagrangian.registration import find
from gym_lagrangian.rendering import Window
from gym_lagrangian.rendering.canvas import from_array
from gym_lagrangian.viewing.rollout import Film

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
    env_id: str,
    *,
    seed: int = 0,
    start: Sequence[float] | None = None,
    size: int = 500,
) -> None:
    """Drive `env_id` in real time, its exact twin as a ghost where it is learned.

    Left and right drive the first actuator, down and up the second. R resets, space pauses and
    goes on, N makes a single step and pauses, Escape or the window's button ends. There is no
    time limit.

    Arguments:
        seed: of the starting states.
        start: the exact state (q, q̇) that every episode starts from instead.
        size: width and height of the picture in pixels.

    Raises:
        ConfigurationError: `env_id` is not an id of this package, or a bad seed, start or size.
    """
    game = Game(env_id, seed=seed, start=start, size=size)
    window = Window(f"{env_id}   {KEYS}", (size, size), game.fps)
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
        env_id, seed, start, size: as for `play`.
    """

    def __init__(
        self, env_id: str, *, seed: int, start: Sequence[float] | None = None, size: int = 500
    ):
        row = find(env_id)
        extras = {} if row.model is None else {"show_truth": True}
        self._env = gymnasium.make(
            env_id, render_mode="rgb_array", render_size=size, max_episode_steps=-1, **extras
        )
        self._actions = self._env.get_wrapper_attr("get_keys_to_action")()
        space = self._env.action_space
        self._noop = np.zeros(space.shape or (), space.dtype)
        self._options = None if start is None else {"state": np.asarray(start)}
        self._env.reset(seed=seed_number(seed), options=self._options)
        self._held: set[int] = set()
        self._single = False
        self.paused = False
        self.fps: int = self._env.metadata["render_fps"]

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
        _, _, terminated, truncated, _ = self._env.step(self.action)
        if terminated or truncated:
            self.reset()

    @property
    def action(self) -> np.ndarray:
        """What the arrow keys ask for; zero where two ask for opposite things."""
        arrows = {key for keys in self._actions for key in keys}
        return self._actions.get(tuple(sorted(self._held & arrows)), self._noop)

    def reset(self) -> None:
        """Begin another episode."""
        self._env.reset(options=self._options)

    def picture(self) -> Any:
        """(size, size, 3) uint8."""
        return self._env.render()

    def close(self) -> None:
        self._env.close()

    def _press(self, key: int) -> None:
        self._held.add(key)
        if key == pygame.K_r:
            self.reset()
        elif key == pygame.K_SPACE:
            self.paused = not self.paused
        elif key == pygame.K_n:
            self.paused = self._single = True
