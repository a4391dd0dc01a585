"""Pictures of several motions beside each other, above one chart of their energy drifts."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from gym_lagrangian.rendering.canvas import Canvas, to_array
from gym_lagrangian.rendering.colours import MODELS, TRUTH
from gym_lagrangian.rendering.drifts import Drifts
from gym_lagrangian.rendering.layout import Layout

CHART_HEIGHT = 0.3  # of a picture's
MOST_COLUMNS = 4  # more are wrapped into rows, or a screen would shrink each beyond recognition


class Panels:
    """Puts pictures together: the truth first, then models of it.

    Each has its title in the colour of its curve in the chart.

    Arguments:
        titles: one a picture.
        size: width and height of each picture in pixels.
        fps: steps in a second.
    """

    def __init__(self, titles: Sequence[str], size: int, fps: int):
        rows = -(-len(titles) // MOST_COLUMNS)
        columns = -(-len(titles) // rows)
        self._size, self._title = size, max(14, round(0.048 * size))
        self._cells = list(itertools.product(range(rows), range(columns)))[: len(titles)]
        colours = (TRUTH, *itertools.islice(itertools.cycle(MODELS), len(titles) - 1))
        self._layout = Layout(size, (1.0, 1.0))
        self._drifts = Drifts(colours, fps)
        self._canvas = Canvas(columns * size, round(CHART_HEIGHT * size))
        height = rows * (self._title + size) + round(CHART_HEIGHT * size)
        self._blank = np.full((height, columns * size, 3), 255, np.uint8)
        for title, colour, (left, top) in zip(titles, colours, self._corners(), strict=True):
            canvas = Canvas(size, self._title)
            canvas.clear()
            margin = self._title // 3
            canvas.text([title], margin, 0, size - 2 * margin, self._title, [colour])
            self._blank[top - self._title : top, left : left + size] = to_array(canvas.picture())

    def picture(
        self, pictures: Sequence[np.ndarray], *, step: int, drifts: Sequence[float]
    ) -> np.ndarray:
        """One new (H, W, 3) uint8 picture of all.

        Arguments:
            pictures: (size, size, 3) uint8.
            step: number of the step, for the chart.
            drifts: of the energy of each, as shares of the energy scale.
        """
        joined = self._blank.copy()
        for picture, (left, top) in zip(pictures, self._corners(), strict=True):
            joined[top : top + self._size, left : left + self._size] = picture
        self._drifts.add(step, drifts)
        chart = self._draw_chart()
        joined[-len(chart) :] = chart
        return joined

    def _corners(self) -> list[tuple[int, int]]:
        """Left and top of every picture, in pixels."""
        size, title = self._size, self._title
        return [(column * size, row * (size + title) + title) for row, column in self._cells]

    def _draw_chart(self) -> np.ndarray:
        canvas, layout = self._canvas, self._layout
        canvas.clear()
        margin = layout.margin
        band = canvas.rect.inflate(-2 * margin, -2 * margin)
        self._drifts.draw(canvas, band, row=layout.row, thin=layout.thin)
        return to_array(canvas.picture())
