"""Pictures of a moment, with that of the exact twin drawn pale behind it."""

from __future__ import annotations

from typing import Any

import numpy as np

from gym_lagrangian.envs.functional import scene_of
from gym_lagrangian.rendering import Renderer
from gym_lagrangian.viewing.subject import Moment, Subject


class Painter:
    """Draws one motion of a subject, its own or its twin's, moment by moment.

    It draws as the environment itself would, whatever the environment's own render mode is.

    Arguments:
        subject: what is drawn.
        size: width and height of the picture in pixels.

    Raises:
        ConfigurationError: a bad size.
    """

    def __init__(self, subject: Subject, size: int):
        self._base = subject.base
        self._renderer = Renderer(size, mode="rgb_array", fps=subject.fps)

    def draw(self, moment: Moment, ghost: Moment | None = None) -> np.ndarray:
        """A new (size, size, 3) uint8 picture."""
        beside: dict[str, Any] = {}
        if ghost is not None:
            drifts = (float(one.info["energy_drift"]) for one in (moment, ghost))
            beside = {"ghost": self._scene(ghost), "drifts": tuple(drifts)}
        step = int(moment.state.steps)
        captions = _captions(moment, ghost)
        picture = self._renderer.draw(self._scene(moment), step=step, captions=captions, **beside)
        assert picture is not None  # it draws into arrays
        return picture

    def _scene(self, moment: Moment) -> Any:
        return scene_of(self._base.task, moment.state, self._base.dt)


def _captions(moment: Moment, ghost: Moment | None) -> list[str]:
    """Time and, where the truth is known, energy."""
    info, lines = moment.info, [f"{moment.info['time']:.2f} s"]
    if ghost is not None:
        lines.append(f"energy {info['energy']:.2f} J, truth {ghost.info['energy']:.2f} J")
    elif "energy_drift" in info:
        lines.append(f"energy drift {100 * info['energy_drift']:+.3g} %")
    return lines
