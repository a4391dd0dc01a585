"""A strip of curves: the energy drift of one or several motions over the last seconds.

Drift is energy beyond what the actions have put in. Exact physics is a flat line whatever is done;
the curve of a motion that gains energy rises. The scale is never below
`LEAST_PERCENT`: a drift too small to matter looks flat.
"""

from __future__ import annotations

from collections.abc import Sequence

import pygame

from gym_lagrangian.rendering.canvas import Canvas
from gym_lagrangian.rendering.chart import Chart, draw_scale
from gym_lagrangian.rendering.colours import INK, Colour

SECONDS = 20.0
LEAST_PERCENT = 0.1


class Drifts:
    """Remembers energy drifts, and draws them.

    Arguments:
        colours: of the curves, from the lowest to the one on top.
        fps: steps in a second.
    """

    def __init__(self, colours: Sequence[Colour], fps: int):
        self._chart = Chart(colours, fps, SECONDS)

    def add(self, step: int, drifts: Sequence[float] | None) -> None:
        """Remember the drifts of a step, one a curve, as shares of the energy scale."""
        self._chart.add(step, drifts and [100 * float(drift) for drift in drifts])

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
        chart = self._chart
        limit = chart.limit(LEAST_PERCENT)
        row = min(row, band.height // 3)
        if band.width > 20 * row:
            legend = round(8.5 * row)
            lines = ("energy drift", *map(_line, names, chart.newest()))
        else:  # no space for numbers beside the curves
            lines, legend = ("drift", *names), 4 * row
        plot = pygame.Rect(
            band.left + legend,
            band.top,
            band.width - legend - round(4.2 * row),
            band.height - thin,
        )
        canvas.text(lines, band.left, band.top, legend - row / 2, row, (INK, *chart.colours))
        draw_scale(canvas, plot, limit, " %", row=row, width=4 * row, thin=thin)
        for points, colour in chart.curves(plot, limit):
            canvas.curve(points, 1.5 * thin, colour)


def _line(name: str, percent: float) -> str:
    digits = "+z.3f" if abs(percent) < 100 else "+.3g"
    return f"{name} {percent:{digits}} %"
