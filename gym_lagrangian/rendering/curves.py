"""The curves of a scene: a strip for each, one below the other, over the last seconds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pygame
from pygame import Vector2

from gym_lagrangian.rendering.canvas import Canvas, text_width
from gym_lagrangian.rendering.chart import Chart, draw_scale
from gym_lagrangian.rendering.colours import BOB, INK, TRUTH
from gym_lagrangian.rendering.layout import Layout
from gym_lagrangian.systems.scene import Curve, Scene

SECONDS = 10.0
TEXT = 0.65  # of the width at most, or long labels would leave no room for the curves
SCALE = 3  # rows that the numbers of the axis and the space before them are wide
LEAST_ROW = 6  # pixels; where lines of text would be lower, there are fewer of them


class Curves:
    """Remembers the curves of a scene and of its ghost, and draws them.

    Arguments:
        fps: steps in a second.
    """

    def __init__(self, fps: int):
        self._fps = fps
        self._charts: list[Chart] = []

    def add(self, step: int, scene: Scene, ghost: Scene | None) -> None:
        """Remember the values of a step. Another number of curves than before begins anew."""
        values = [curve.value for curve in scene.curves]
        below = [math.nan] * len(values)  # no ghost is a gap
        if ghost is not None and ghost.curves and values:
            below = [curve.value for curve in ghost.curves]
        if len(values) != len(self._charts):
            self._charts = [Chart((TRUTH, BOB), self._fps, SECONDS) for _ in values]
        for chart, *pair in zip(self._charts, below, values, strict=True):
            chart.add(step, pair)

    def draw(self, canvas: Canvas, layout: Layout, curves: Sequence[Curve]) -> None:
        """Draw the strips, the first on top."""
        bands = layout.curves(len(curves))
        texts = [_texts(*pair) for pair in zip(self._charts, curves, strict=True)]
        style = _style(layout, bands[0], texts)
        for i, chart in enumerate(self._charts):
            _draw_strip(canvas, bands[i], chart, chart.limit(curves[i].least), texts[i], style)


def _texts(chart: Chart, curve: Curve) -> list[str]:
    """The label, the newest value, and that of the ghost if there is one."""
    ghost, value = chart.newest()
    numbers = (value,) if math.isnan(ghost) else (value, ghost)
    return [curve.label, *(_number(number, chart.limit(curve.least)) for number in numbers)]


@dataclass(frozen=True)
class _Style:
    """What all strips of a picture have in common, in pixels.

    Attributes:
        row: height of a line of text.
        legend: width of the text on the left and the space after it.
        thin: width of a thin line.
    """

    row: int
    legend: int
    thin: int


def _style(layout: Layout, band: pygame.Rect, texts: Sequence[Sequence[str]]) -> _Style:
    """The largest text that fits a band, if need be without the lower lines."""
    labels = [label for label, *_ in texts]
    lines = min(max(map(len, texts)), max(1, band.height // LEAST_ROW))
    row = min(layout.row, band.height // lines)
    while row > 1 and _legend(labels, row) + SCALE * row > TEXT * band.width:
        row -= 1
    return _Style(row, _legend(labels, row), layout.thin)


def _legend(labels: Sequence[str], row: int) -> int:
    """Width of the widest label, or of a usual value, and of the space after it."""
    return round(text_width((*labels, "-00.00"), row) + row / 2)


def _draw_strip(
    canvas: Canvas,
    band: pygame.Rect,
    chart: Chart,
    limit: float,
    texts: Sequence[str],
    style: _Style,
) -> None:
    """Draw as many texts as fit, the scale, and the curves with a dot at their newest values."""
    row, thin = style.row, style.thin
    lines = texts[: band.height // row]
    canvas.text(lines, band.left, band.top, style.legend - row / 2, row, (INK, BOB, TRUTH))
    height = 2 * ((band.height - thin) // 2)  # even, or the line at zero would blur
    width = band.width - style.legend - SCALE * row
    plot = pygame.Rect(band.left + style.legend, band.top, width, height)
    draw_scale(canvas, plot, limit, row=row, width=round((SCALE - 0.5) * row), thin=thin)
    for points, colour in chart.curves(plot, limit):
        canvas.curve(points, 1.5 * thin, colour)
        if len(points):
            canvas.disc(Vector2(*points[-1]), min(2.5 * thin, 0.1 * band.height), colour)


def _number(value: float, limit: float) -> str:
    """A value to a few thousandths of the end of its scale."""
    if not 1e-3 <= limit < 1e5:
        return f"{value:+.2e}"
    decimals = max(0, 2 - math.floor(math.log10(limit)))
    return f"{value:+z.{decimals}f}"
