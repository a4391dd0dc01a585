"""The animated pictures of the systems, made by hand when a system or its picture changes.

    python -m sitegen.pictures [NAME...]

writes ``docs/assets/systems/NAME.gif``: four seconds under slow random actions, as strong as the
episode can bear.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

import gym_lagrangian  # noqa: F401  its ids
from gym_lagrangian.registration import SYSTEMS, find

FOLDER = Path(__file__).parents[1] / "assets" / "systems"
SIZE, SECONDS, RATE = 270, 4.0, 20
STEPS_A_FRAME = 2  # a trail has a point at every step
STRENGTHS = (1.0, 0.7, 0.5, 0.3, 0.2, 0.1, 0.05)
COLOURS = (32, 24, 16)  # as many as the size of the file allows
LARGEST = 200_000


def made(name: str, **options: Any) -> gymnasium.Env:
    """The exact system, stepped as finely as it is drawn."""
    dt = 1 / RATE / STEPS_A_FRAME
    return gymnasium.make(find(name).id, dt=dt, max_episode_steps=10_000, **options)


def actions(size: int, strength: float) -> Iterator[np.ndarray]:
    """Slow random actions (size,), each within `strength` of zero."""
    draw, action = np.random.default_rng(0), np.zeros(size)
    while True:
        action = 0.95 * action + 0.2 * draw.choice([-1.0, 1.0], size)
        yield (strength * np.clip(action, -1, 1)).astype(np.float32)


def steps(env: gymnasium.Env, strength: float) -> Iterator[bool]:
    """Step for SECONDS, and say whether the episode ended; it begins anew where it did."""
    env.reset(seed=3)
    acts = actions(env.action_space.shape[0], strength)
    for step in range(round(SECONDS * RATE * STEPS_A_FRAME)):
        *_, terminated, truncated, _ = env.step(next(acts))
        yield terminated or truncated
        if terminated or truncated:
            env.reset(seed=step)


def lasts(env: gymnasium.Env, strength: float) -> int:
    """Steps until the first end of an episode."""
    ends = [*steps(env, strength), True]
    return ends.index(True)


def frames(name: str) -> Iterator[np.ndarray]:
    """Pictures (SIZE, SIZE, 3) of the exact system, under the actions that last longest."""
    with made(name) as blind:
        strength = max(STRENGTHS, key=lambda each: (lasts(blind, each), each))
    with made(name, render_mode="rgb_array", render_size=SIZE) as env:
        for step, _ in enumerate(steps(env, strength)):
            picture = env.render()
            if step % STEPS_A_FRAME == 0:
                yield picture


def write(name: str) -> Path:
    """One picture, in the colours of its own frames."""
    from PIL import Image

    images = [Image.fromarray(frame) for frame in frames(name)]
    path = FOLDER / f"{name}.gif"
    path.parent.mkdir(parents=True, exist_ok=True)
    for colours in COLOURS:
        _save(path, images, colours)
        if path.stat().st_size < LARGEST:
            break
    return path


def _save(path: Path, images: list[Any], colours: int) -> None:
    from PIL import Image

    seen = np.concatenate([np.asarray(image) for image in images[:: len(images) // 6]])
    palette = Image.fromarray(seen).quantize(colours, Image.Quantize.MAXCOVERAGE)
    first, *rest = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    first.save(path, save_all=True, append_images=rest, duration=round(1000 / RATE), loop=0)


if __name__ == "__main__":
    for name in sys.argv[1:] or SYSTEMS:
        print(write(name))
