"""Curves of numbers over the last seconds, on one scale.

The scale is the same up and down and ends at a round number. Zero is in the middle, and all values
that are kept are within it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pygame

from gym_lagrangian.rendering.canvas import Canvas, round_number
from gym_lagrangian.rendering.colours import FAINT, Colour
from gym_lagrangian.rendering.history import History

MOST_POINTS = 400


class Chart:
    """Remembers numbers, and says where their curves lie.

    Arguments:
        colours: of the curves, from the lowest to the one on top.
        fps: steps in a second.
        seconds: how long a number is remembered.
    """

    def __init__(self, colours: Sequence[Colour], fps: int, seconds: float):
        self.colours = tuple(colours)
        self._history = History(seconds, fps, most=MOST_POINTS)

    def add(self, step: int, numbers: Sequence[float] | None) -> None:
        """Remember the numbers of a step, one a curve. One that is not finite leaves a gap."""
        self._history.add(step, numbers)

    def newest(self) -> list[float]:
        """The latest numbers, one a curve."""
        return self._history.columns()[1][-1].tolist()

    def limit(self, least: float) -> float:
        """The round number at which the scale ends, `least` (above 0) or more."""
        _, numbers = self._history.columns()
        known = np.abs(numbers[np.isfinite(numbers)])
        return round_number(float(known.max(initial=least)))

    def curves(self, plot: pygame.Rect, limit: float) -> list[tuple[np.ndarray, Colour]]:
        """The (n, 2) points of every curve, in pixels, and its colour.

        Arguments:
            plot: where, in pixels. Its top is at `limit`, its bottom at -`limit`.
            limit: the end of the scale.
        """
        steps, numbers = self._history.columns()
        start = max(steps[0], steps[-1] - self._history.memory)
        x = plot.left + plot.width * (steps - start) / self._history.memory
        y = plot.centery - 0.5 * plot.height * numbers / limit
        lines = [np.stack([x, column], axis=-1) for column in y.T]
        known = [line[np.isfinite(line[:, 1])] for line in lines]
        return list(zip(known, self.colours, strict=True))


def draw_scale(
    canvas: Canvas,
    plot: pygame.Rect,
    limit: float,
    unit: str = "",
    *,
    row: int,
    width: int,
    thin: int,
) -> None:
    """Draw lines at zero and at both ends, and their numbers on the right where there is room.

    Arguments:
        plot: where the curves are, in pixels.
        limit: the end of the scale.
        unit: what follows a number.
        row: height of a number.
        width: that a number has at most.
        thin: width of a line.
    """
    for share in (0.0, 0.5, 1.0):
        canvas.box(plot.left, plot.top + share * plot.height, plot.width, thin, FAINT)
    for share, text in _numbers(f"{limit:g}{unit}", rows=round((plot.height + thin) / row)):
        middle = plot.top + share * (plot.height + thin - row)
        canvas.text([text], plot.right + row // 3, middle, width, row)


def _numbers(limit: str, rows: int) -> list[tuple[float, str]]:
    """The numbers of a scale that so many rows have room for, and how far down each is."""
    if rows < 2:
        return [(0.5, f"±{limit}")]
    zero = [(0.5, "0")] if rows > 2 else []
    return [(0.0, f"+{limit}"), *zero, (1.0, f"-{limit}")]
