"""The animated pictures of the systems, made by hand when a system or its picture changes.

    python -m sitegen.pictures [NAME...]

writes ``docs/assets/systems/NAME.gif``: four seconds under slow random actions of full strength.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import gymnasium
import numpy as np

import gym_lagrangian  # noqa: F401  its ids
from gym_lagrangian.registration import SYSTEMS, find

FOLDER = Path(__file__).parents[1] / "assets" / "systems"
SIZE, SECONDS, RATE = 220, 4.0, 12.5


def frames(name: str) -> Iterator[np.ndarray]:
    """Pictures (SIZE, SIZE, 3) of the exact system."""
    env = gymnasium.make(find(name).id, render_mode="rgb_array", render_size=SIZE)
    env.reset(seed=3)
    dt, draw = env.unwrapped.dt, np.random.default_rng(0)
    every, action = max(1, round(1 / RATE / dt)), np.zeros(env.action_space.shape)
    for step in range(round(SECONDS / dt)):
        action = 0.9 * action + 0.4 * draw.choice([-1.0, 1.0], action.shape)
        *_, terminated, truncated, _ = env.step(np.clip(action, -1, 1).astype(np.float32))
        if terminated or truncated:
            env.reset(seed=step)
        if step % every == 0:
            yield env.render()
    env.close()


def write(name: str) -> Path:
    """One picture."""
    from PIL import Image

    images = [Image.fromarray(frame) for frame in frames(name)]
    colours = images[-1].quantize(24)
    first, *rest = [image.quantize(palette=colours, dither=Image.Dither.NONE) for image in images]
    path = FOLDER / f"{name}.gif"
    path.parent.mkdir(parents=True, exist_ok=True)
    first.save(path, save_all=True, append_images=rest, duration=round(1000 / RATE), loop=0)
    return path


if __name__ == "__main__":
    for name in sys.argv[1:] or SYSTEMS:
        print(write(name))
