"""A strip of curves: the energy drift of one or several motions over the last seconds.

Drift is energy beyond what the actions have put in, so that exact physics is a flat line
whatever is done, and whoever gains energy rises from it. The scale is the same up and down, a
round number, and never below `LEAST_PERCENT`: a drift too small to matter looks flat.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pygame

from gym_lagrangian.rendering.canvas import Canvas, round_number
from gym_lagrangian.rendering.colours import FAINT, INK, Colour
from gym_lagrangian.rendering.history import History

SECONDS = 20.0
LEAST_PERCENT = 0.1
MOST_POINTS = 400


class Chart:
    """Remembers energy drifts, and draws them.

    Arguments:
        colours: of the curves, from the lowest to the one on top.
        fps: steps in a second.
    """

    def __init__(self, colours: Sequence[Colour], fps: int):
        self._colours = tuple(colours)
        self._history = History(SECONDS, fps, most=MOST_POINTS)

    def add(self, step: int, drifts: Sequence[float] | None) -> None:
        """Remember the drifts of a step, one a curve, as shares of the energy scale."""
        self._history.add(step, drifts)

    def draw(
        self,
        canvas: Canvas,
        band: pygame.Rect,
        *,
        row: int,
        thin: int,
        names: Sequence[str] = (),
    ) -> None:
        """Draw the latest drifts beside their names, the curves, and their scale.

        Arguments:
            band: where, in pixels.
            row: height of a line of text.
            thin: width of a thin line.
            names: of the curves; without them the legend is elsewhere.
        """
        steps, shares = self._history.columns()
        percents = 100 * shares
        limit = round_number(max(LEAST_PERCENT, float(np.abs(percents).max())))
        row = min(row, band.height // 3)
        if band.width > 20 * row:
            lines, legend = ("energy drift", *map(_line, names, percents[-1])), round(8.5 * row)
        else:  # no space for numbers beside the curves
            lines, legend = ("drift", *names), 4 * row
        scale = round(4.2 * row)
        plot = pygame.Rect(
            band.left + legend, band.top, band.width - legend - scale, band.height - thin
        )
        canvas.text(lines, band.left, band.top, legend - row / 2, row, (INK, *self._colours))
        _draw_scale(canvas, plot, row, thin, limit)
        start = max(steps[0], steps[-1] - self._history.memory)
        x = plot.left + plot.width * (steps - start) / self._history.memory
        y = plot.centery - 0.5 * plot.height * percents / limit
        for values, colour in zip(y.T, self._colours, strict=True):
            canvas.curve(np.stack([x, values], axis=-1), 1.5 * thin, colour)


def _line(name: str, percent: float) -> str:
    digits = "+z.3f" if abs(percent) < 100 else "+.3g"
    return f"{name} {percent:{digits}} %"


def _draw_scale(canvas: Canvas, plot: pygame.Rect, row: int, thin: int, limit: float) -> None:
    """Lines at zero and at both ends, each with its number on the right."""
    left, width = plot.right + row // 3, 4 * row
    for share, text in ((0.0, f"+{limit:g} %"), (0.5, "0"), (1.0, f"-{limit:g} %")):
        canvas.box(plot.left, plot.top + share * plot.height, plot.width, thin, FAINT)
        middle = plot.top + share * (plot.height + thin - row)
        canvas.text([text], left, middle, width, row)
