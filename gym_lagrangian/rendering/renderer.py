"""`Renderer`: scenes to pictures, into arrays or a window."""

from __future__ import annotations

import copy
import numbers
from collections.abc import Sequence

import numpy as np

from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.rendering.canvas import Canvas, to_array
from gym_lagrangian.rendering.colours import BOB, FAINT, INK, TRUTH
from gym_lagrangian.rendering.curves import Curves
from gym_lagrangian.rendering.drifts import Drifts
from gym_lagrangian.rendering.history import History
from gym_lagrangian.rendering.layout import CAPTION_ROWS, Layout
from gym_lagrangian.rendering.window import Window
from gym_lagrangian.rendering.world import draw_world
from gym_lagrangian.systems.scene import Gauge, Scene

MODES = ("rgb_array", "human")
LEAST_SIZE = 100  # pixels; below, text and world no longer fit one above the other

TRACE_SECONDS = 2.0
TRACE_POINTS = 40


class Renderer:
    """Draws scenes, and remembers the path of their traced point and their curves.

    A window stays closed once it was closed, by `close`, its button or Escape: drawing then
    does nothing. Windows take every event from pygame's one queue; a program that wants to
    steer with the keyboard meanwhile can read `pygame.key.get_pressed()`.

    Arguments:
        size: width and height of the picture in pixels, at least 100.
        mode: ``"rgb_array"`` for arrays, which needs no display, or ``"human"`` for a window.
        fps: pictures per second of real time, which a window keeps to.

    Raises:
        ConfigurationError: a size or mode that is none of these.
    """

    def __init__(self, size: int, *, mode: str, fps: int):
        if not isinstance(size, numbers.Integral) or size < LEAST_SIZE:
            raise ConfigurationError(
                f"render_size = {size!r}: must be a whole number of pixels, {LEAST_SIZE} or more"
            )
        if mode not in MODES:
            raise ConfigurationError(f"render_mode = {mode!r}: choose one of {', '.join(MODES)}")
        self._size = int(size)
        self._canvas = Canvas(self._size, self._size)
        self._trace = History(TRACE_SECONDS, fps, most=TRACE_POINTS)
        self._curves = Curves(fps)
        self._drifts = Drifts((TRUTH, BOB), fps)
        self._window = (
            Window("gym_lagrangian", (self._size, self._size), fps) if mode == "human" else None
        )

    def draw(
        self,
        scene: Scene,
        *,
        step: int,
        captions: Sequence[str] = (),
        ghost: Scene | None = None,
        drifts: tuple[float, float] | None = None,
    ) -> np.ndarray | None:
        """Draw a scene.

        Arguments:
            scene: what to draw.
            step: number of the step within the episode. The path of `Scene.trace` and the curves
                of the last 10 s begin anew at 0 or when the number falls; the same number again
                adds nothing to them.
            captions: lines of text, up to two at full size; more, or longer than the
                picture is wide, are drawn smaller.
            ghost: a second scene to compare with, whose rods and bobs, or curves, are drawn
                first, in grey.
            drifts: of the energy of the scene and of the ghost, as shares of the energy scale,
                which a chart at the bottom then shows for the last 20 s. It remembers as the
                trace does.

        Returns:
            A new (size, size, 3) uint8 array for ``"rgb_array"``, None for ``"human"``.
        """
        if self._window is not None and not self._window.is_open:
            return None
        self.remember(scene, step=step, ghost=ghost, drifts=drifts)
        canvas = self._canvas
        canvas.clear()
        layout = Layout(
            self._size,
            scene.extent,
            len(scene.gauges),
            strip=drifts is not None,
            centre=scene.centre,
        )
        if scene.curves:
            self._curves.draw(canvas, layout, scene.curves)
        else:
            draw_world(canvas, layout, scene, trace=self._trace, ghost=ghost)
        _draw_captions(canvas, layout, captions)
        for i, gauge in enumerate(scene.gauges):
            _draw_gauge(canvas, layout, gauge, i)
        if drifts is not None:
            margin = layout.margin
            band = layout.chart.inflate(-2 * margin, -2 * margin)
            names = ("truth", "model")
            self._drifts.draw(canvas, band, row=layout.row, thin=layout.thin, names=names)
        if self._window is None:
            return to_array(canvas.picture())
        self._window.show(canvas.picture())
        return None

    def remember(
        self,
        scene: Scene,
        *,
        step: int,
        ghost: Scene | None = None,
        drifts: tuple[float, float] | None = None,
    ) -> None:
        """Add a step that is not drawn to the path, the curves and the drifts of later pictures.

        Arguments: as `draw` has them.
        """
        self._trace.add(step, scene.trace)
        self._curves.add(step, scene, ghost)
        self._drifts.add(step, drifts and drifts[::-1])

    @property
    def memory(self) -> tuple[History, Curves, Drifts]:
        """A copy of the path, the curves and the drifts so far, for another to continue them."""
        return copy.deepcopy((self._trace, self._curves, self._drifts))

    @memory.setter
    def memory(self, memory: tuple[History, Curves, Drifts]) -> None:
        self._trace, self._curves, self._drifts = memory

    def close(self) -> None:
        """Close the window, and no other. Safe to call again; nothing to do without one."""
        if self._window is not None:
            self._window.close()


def _draw_captions(canvas: Canvas, layout: Layout, captions: Sequence[str]) -> None:
    if captions:
        row = layout.row * min(1.0, CAPTION_ROWS / len(captions))
        width = layout.size - 2 * layout.margin
        with canvas.clipped(layout.captions):
            canvas.text(captions, layout.margin, layout.margin, width, row)


def _draw_gauge(canvas: Canvas, layout: Layout, gauge: Gauge, index: int) -> None:
    """The label, then a bar from the zero at its centre, between ticks at the limits."""
    row, margin, column = layout.row, layout.margin, layout.size // 4
    top = layout.world.bottom + index * layout.gauge_row + margin
    end = round(1.2 * row)  # width of "-1" and "+1"
    canvas.text([gauge.label], margin, top, column - 2 * margin, row)
    canvas.text(["-1"], column, top, end, row)
    canvas.text(["+1"], layout.size - margin - end, top, end, row)

    # On whole pixels, or thin lines would blur.
    thin, thick = max(1, layout.size // 500), row // 2
    zero, middle = (column + layout.size - 2 * margin) // 2, top + row // 2
    half = zero - column - end
    value = half * min(max(gauge.value, -1.0), 1.0)
    canvas.box(zero - half, middle - thin // 2, 2 * half, thin, FAINT)
    canvas.box(min(zero, zero + value), middle - thick // 2, abs(value), thick, BOB)
    for x, colour in ((zero - half, INK), (zero, FAINT), (zero + half, INK)):
        canvas.box(x - thin // 2, top, thin, row, colour)
