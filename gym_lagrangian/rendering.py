"""Geometry to picture, with numpy and pygame only: nothing here knows any physics.

A picture is a white square of up to four bands, which never overlap at any size:

    captions   a strip of fixed height, there whether or not anything is written in it
    world      the scene to scale, the same in x and y, cut off at the band's edges
    gauges     one row for each, no band when the scene has none
    strip      both energies over the last seconds, no band unless energies are given

`Layout` holds that arithmetic and is public, so that a test or an overlay can ask which pixel a
point of the world is at. `Renderer` draws, into an array or a window.

pygame's shapes have hard edges, and its small text loses its full stops. A picture is therefore
drawn at twice its size and scaled down, which smooths everything at once and works with pygame
and pygame-ce alike. Translucency is a pale opaque colour: on white that looks the same and
costs nothing. The colours are those of Okabe and Ito, which the colour-blind can tell apart.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import numbers
import os
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import ClassVar, Generic, TypeVar

import numpy as np

from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.geometry import Force, Gauge, Point, Scene, Torque

os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")  # a library does not greet on stdout
import pygame
from pygame import Vector2

Colour = tuple[int, int, int]
Energies = tuple[float, float]  # of what is drawn and of its ghost, in joules
Value = TypeVar("Value")

MODES = ("rgb_array", "human")
LEAST_SIZE = 100  # pixels; below, text and world no longer fit one above the other

WHITE: Colour = (255, 255, 255)
INK: Colour = (50, 50, 50)
FAINT: Colour = (190, 190, 190)
BLUE: Colour = (0, 114, 178)
SKY_BLUE: Colour = (86, 180, 233)
GREEN: Colour = (0, 158, 115)
VERMILLION: Colour = (213, 94, 0)
PURPLE: Colour = (204, 121, 167)

BOB, GHOST_BOB, GHOST_ROD = BLUE, (185, 185, 185), (215, 215, 215)
TRUTH: Colour = (120, 120, 120)  # the ghost's grey, dark enough for text and thin lines
POSITIVE, NEGATIVE, TARGET, TRACE = GREEN, VERMILLION, PURPLE, SKY_BLUE

CAPTION_ROWS = 3
TRACE_SECONDS = 2.0
STRIP_SECONDS = 20.0
STRIP_JOULES = 1.0  # the strip shows at least so much: a drift too small to matter looks flat
FULL_SWEEP = 270.0  # degrees of arc of a torque at its limit
TRACE_PIECES = 4  # straight lines between two points of a trace
SUPERSAMPLING = 2


@dataclass(frozen=True)
class Layout:
    """Where everything goes on a picture.

    Attributes:
        size: width and height of the picture in pixels.
        extent: half-width and half-height of the world, in metres (`Scene.extent`).
        gauges: number of gauges (`len(Scene.gauges)`).
        strip: whether there is a chart of energies at the bottom.
    """

    size: int
    extent: Point
    gauges: int = 0
    strip: bool = False

    @cached_property
    def row(self) -> int:
        """Height of a line of text in pixels."""
        return max(11, round(0.032 * self.size))

    @cached_property
    def margin(self) -> int:
        """Free space around text in pixels."""
        return max(2, round(0.012 * self.size))

    @cached_property
    def world(self) -> pygame.Rect:
        """The band that shows the world."""
        top = CAPTION_ROWS * self.row + self.margin
        bottom = self.chart.top - self.gauges * self.gauge_row
        return pygame.Rect(0, top, self.size, bottom - top)

    @cached_property
    def chart(self) -> pygame.Rect:
        """The band that shows both energies; of no height without a strip."""
        height = max(2 * self.row + 2 * self.margin, round(0.18 * self.size)) if self.strip else 0
        return pygame.Rect(0, self.size - height, self.size, height)

    @cached_property
    def gauge_row(self) -> int:
        """Height of a gauge in pixels."""
        return self.row + 2 * self.margin

    @cached_property
    def scale(self) -> float:
        """Pixels per metre; a narrow border is left for what is drawn at the world's edge."""
        half_width, half_height = self.extent
        return 0.47 * min(self.world.width / half_width, self.world.height / half_height)

    @cached_property
    def unit(self) -> float:
        """Pixels of the world's longer half side, which all sizes of symbols are shares of."""
        return self.scale * max(self.extent)

    def to_pixels(self, point: Point) -> Point:
        """(column, row) of a point in metres; the pixel that shows it is the floor of both."""
        x, y = point
        centre_x, centre_y = self.world.width / 2, self.world.top + self.world.height / 2
        return centre_x + self.scale * x, centre_y - self.scale * y


class Renderer:
    """Draws scenes, and remembers the path of their traced point.

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
        large = SUPERSAMPLING * self._size
        self._large = pygame.Surface((large, large), 0, 32)
        self._frame = pygame.Surface((self._size, self._size), 0, 32)
        self._trace = _History[Point](round(TRACE_SECONDS * fps))
        self._energies = _History[Energies](round(STRIP_SECONDS * fps))
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
        energies: Energies | None = None,
    ) -> np.ndarray | None:
        """Draw a scene.

        Arguments:
            scene: what to draw.
            step: number of the step within the episode. The path of `Scene.trace` begins anew
                at 0 or when the number falls; the same number again adds nothing to it.
            captions: lines of text, up to three at full size; more, or longer than the
                picture is wide, are drawn smaller.
            ghost: a second scene to compare with, whose rods and bobs are drawn first, in grey.
            energies: of the scene and of the ghost, in joules, which a chart at the bottom then
                shows for the last 20 s. It remembers as the trace does.

        Returns:
            A new (size, size, 3) uint8 array for ``"rgb_array"``, None for ``"human"``.
        """
        if self._window is not None and not self._window.is_open:
            return None
        self._trace.add(step, scene.trace)
        self._energies.add(step, energies)
        layout = Layout(self._size, scene.extent, len(scene.gauges), strip=energies is not None)
        canvas = _Canvas(self._large, layout)
        with canvas.clipped():
            self._draw_world(canvas, scene, ghost)
        _draw_captions(canvas, captions)
        for i, gauge in enumerate(scene.gauges):
            _draw_gauge(canvas, gauge, i)
        if energies is not None:
            _draw_strip(canvas, self._energies, energies)
        pygame.transform.smoothscale(self._large, self._frame.get_size(), self._frame)
        if self._window is None:
            return _to_array(self._frame)
        self._window.show(self._frame)
        return None

    def close(self) -> None:
        """Close the window, and no other. Safe to call again; nothing to do without one."""
        if self._window is not None:
            self._window.close()

    def _draw_world(self, canvas: _Canvas, scene: Scene, ghost: Scene | None) -> None:
        _draw_trace(canvas, self._trace)
        if ghost is not None:
            _draw_body(canvas, ghost, GHOST_ROD, GHOST_BOB)
        if scene.track:
            _draw_track(canvas)
        if scene.target is not None:
            canvas.ring(canvas.at(scene.target), canvas.length(0.11, 5), TARGET)
        for torque in scene.torques:
            _draw_torque(canvas, torque)
        for force in scene.forces:
            _draw_force(canvas, force, scene)
        _draw_body(canvas, scene, INK, BOB)


class _Canvas:
    """The picture at twice its size, with the few shapes that pictures are made of.

    Shapes take places and lengths as `at` and `length` give them; boxes and text, whose place is
    a matter of layout, take pixels of the final picture.
    """

    def __init__(self, surface: pygame.Surface, layout: Layout):
        self.surface = surface
        self.layout = layout
        surface.fill(WHITE)

    @contextlib.contextmanager
    def clipped(self) -> Iterator[None]:
        """Draw in the world's band only."""
        self.surface.set_clip([SUPERSAMPLING * side for side in self.layout.world])
        yield
        self.surface.set_clip(None)

    def at(self, point: Point) -> Vector2:
        """Where a point in metres is."""
        return SUPERSAMPLING * Vector2(self.layout.to_pixels(point))

    def length(self, share: float, least: float = 0.0) -> float:
        """A share of the world's half side, but at least so many pixels of the final picture."""
        return SUPERSAMPLING * max(share * self.layout.unit, least)

    def radius(self, mass: float) -> float:
        """Radius of a bob: masses of one density, within what can be seen and fits."""
        return self.length(0.065 * min(max(mass ** (1 / 3), 0.6), 1.8), 2.5)

    def disc(self, centre: Vector2, radius: float, colour: Colour) -> None:
        pygame.draw.circle(self.surface, colour, centre, radius)

    def ring(self, centre: Vector2, radius: float, colour: Colour) -> None:
        pygame.draw.circle(self.surface, colour, centre, radius, round(self.length(0.018, 1)))

    def line(self, points: Sequence[Vector2], width: float, colour: Colour) -> None:
        left, right = _edges(np.array(points), width)
        pygame.draw.polygon(self.surface, colour, left + right[::-1])

    def arrow(self, points: Sequence[Vector2], colour: Colour) -> None:
        """A line through the points, of which the last stretch is the head."""
        *shaft, tip = points
        self.line(shaft, self.length(0.022, 1.2), colour)
        side = 0.55 * (tip - shaft[-1]).rotate(90)
        pygame.draw.polygon(self.surface, colour, [tip, shaft[-1] + side, shaft[-1] - side])

    def box(self, left: float, top: float, width: float, height: float, colour: Colour) -> None:
        """A filled rectangle."""
        corners = [SUPERSAMPLING * side for side in (left, top, width, height)]
        pygame.draw.rect(self.surface, colour, corners)

    def curve(self, points: np.ndarray, width: float, colour: Colour) -> None:
        """A thin line through (n, 2) points of the final picture."""
        if len(points) > 1:
            thickness = max(2, round(SUPERSAMPLING * width))
            pygame.draw.lines(self.surface, colour, False, SUPERSAMPLING * points, thickness)

    def text(
        self,
        lines: Sequence[str],
        left: float,
        top: float,
        width: float,
        row: float,
        colours: Sequence[Colour] = (),
    ) -> None:
        """Lines of text, each `row` high, all smaller if one is wider than `width`."""
        font = _fitting_font(lines, SUPERSAMPLING * row, SUPERSAMPLING * width)
        for i, line in enumerate(lines):
            image = font.render(line, True, colours[i] if colours else INK)
            middle = SUPERSAMPLING * (top + (i + 0.5) * row)
            self.surface.blit(image, image.get_rect(left=SUPERSAMPLING * left, centery=middle))


class _History(Generic[Value]):
    """The latest values of something, by the step that they belong to."""

    def __init__(self, memory: int):
        self.memory = max(memory, 1)
        self.entries: deque[tuple[int, Value]] = deque()

    def add(self, step: int, value: Value | None) -> None:
        entries = self.entries
        if step == 0 or (entries and step < entries[-1][0]):
            entries.clear()
        if value is not None and (not entries or step > entries[-1][0]):
            entries.append((step, value))
        while entries and entries[0][0] < step - self.memory:
            entries.popleft()

    def values(self) -> np.ndarray:
        return np.array([value for _, value in self.entries])


def _draw_trace(canvas: _Canvas, trace: _History[Point]) -> None:
    """The older, the paler, as a fading line would look on white."""
    entries = trace.entries
    if len(entries) < 2:
        return
    latest, width = entries[-1][0], canvas.length(0.018, 1)
    curve = _smooth(np.array([canvas.at(point) for _, point in entries]))
    left, right = _edges(curve, width)
    for i, (step, _) in enumerate(itertools.islice(entries, len(entries) - 1)):
        piece = slice(i * TRACE_PIECES, (i + 1) * TRACE_PIECES + 1)
        colour = _blend(TRACE, WHITE, (latest - step) / trace.memory)
        pygame.draw.polygon(canvas.surface, colour, left[piece] + right[piece][::-1])


def _smooth(points: np.ndarray) -> np.ndarray:
    """A Catmull–Rom curve through (n, 2) points, with more points between them.

    A fast pendulum turns by a quarter within a step, where straight lines would look broken.
    """
    padded = np.pad(points, ((1, 1), (0, 0)), mode="edge")
    before, start, end, after = (padded[i : i + len(points) - 1] for i in range(4))
    t = (np.arange(TRACE_PIECES) / TRACE_PIECES)[:, None, None]
    curve = 2 * start + (end - before) * t + (2 * before - 5 * start + 4 * end - after) * t**2
    curve += (3 * start - before - 3 * end + after) * t**3
    return np.vstack([0.5 * curve.swapaxes(0, 1).reshape(-1, 2), points[-1:]])


def _edges(points: np.ndarray, width: float) -> tuple[list, list]:
    """What lies left and right of a line through (n, 2) points.

    Filled between, that makes a line without gaps at its corners and with square ends, which
    pygame's own thick lines have not.
    """
    along = np.gradient(points, axis=0)
    length = np.maximum(np.hypot(*along.T), 1e-9)[:, None]
    side = 0.5 * width * along[:, ::-1] * (1, -1) / length
    return (points + side).tolist(), (points - side).tolist()


# -- the world ----------------------------------------------------------------------------------


def _draw_body(canvas: _Canvas, scene: Scene, rod: Colour, bob: Colour) -> None:
    """Rods, the pivot that they hang from, and bobs on top of both."""
    for start, end in scene.rods:
        canvas.line([canvas.at(start), canvas.at(end)], canvas.length(0.03, 1.5), rod)
    if scene.rods:
        hinge = canvas.at(scene.rods[0].start)
        canvas.disc(hinge, canvas.length(0.04, 2.5), rod)
        canvas.disc(hinge, canvas.length(0.018, 1), WHITE)
    for centre, mass in scene.bobs:
        canvas.disc(canvas.at(centre), canvas.radius(mass), bob)


def _draw_torque(canvas: _Canvas, torque: Torque) -> None:
    """An arc from straight up, counter-clockwise where positive."""
    share = min(max(torque.share, -1.0), 1.0)
    if abs(share) < 0.01:
        return
    arm = Vector2(0, -canvas.length(0.19, 7))
    sweep = math.copysign(math.degrees(_head(canvas, share) / arm.length()), share)
    angles = [*np.linspace(0.0, FULL_SWEEP * share, 3 + round(24 * abs(share)))]
    # The head lies along the arc. rotate() turns clockwise on a screen, whose y points down.
    centre = canvas.at(torque.centre)
    points = [centre + arm.rotate(-angle) for angle in (*angles, angles[-1] + sweep)]
    canvas.arrow(points, POSITIVE if share > 0 else NEGATIVE)


def _draw_force(canvas: _Canvas, force: Force, scene: Scene) -> None:
    """An arrow along x from the rim of the bob that is pushed, if one is."""
    share = min(max(force.share, -1.0), 1.0)
    if abs(share) < 0.01:
        return
    rim = max(
        (canvas.radius(bob.mass) for bob in scene.bobs if bob.centre == force.start), default=0
    )
    start = canvas.at(force.start) + Vector2(math.copysign(rim, share), 0)
    shaft = Vector2(canvas.length(0.095) * share, 0)
    head = Vector2(math.copysign(_head(canvas, share), share), 0)
    canvas.arrow([start, start + shaft, start + shaft + head], POSITIVE if share > 0 else NEGATIVE)


def _head(canvas: _Canvas, share: float) -> float:
    """Length of an arrow's head, which shrinks with the weakest arrows."""
    return canvas.length(0.075, 4) * min(1.0, 3 * abs(share))


def _draw_track(canvas: _Canvas) -> None:
    """A line through the origin with a tick at every round number of metres."""
    layout = canvas.layout
    half_width = layout.size / 2 / layout.scale
    width = canvas.length(0, max(1.0, layout.size / 500))
    canvas.line([canvas.at((-half_width, 0)), canvas.at((half_width, 0))], width, FAINT)
    spacing = _round_number(layout.extent[0] / 6)
    last = int(half_width / spacing)
    for i in range(-last, last + 1):
        tick = Vector2(0, canvas.length(0.05 if i == 0 else 0.03, 3 if i == 0 else 2))
        middle = canvas.at((i * spacing, 0))
        canvas.line([middle - tick, middle + tick], width, FAINT)


def _round_number(least: float) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that is not below `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least)


def _blend(colour: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (round(a + share * (b - a)) for a, b in zip(colour, other, strict=True))
    return red, green, blue


# -- text and gauges ----------------------------------------------------------------------------


def _fitting_font(lines: Sequence[str], row: float, width: float) -> pygame.font.Font:
    size = round(1.3 * row)  # a row is lower than what pygame calls its size
    while True:
        font = _font(size)
        excess = max(font.size(line)[0] for line in lines) / width
        if excess <= 1 or size == 1:
            return font
        # Widths are not quite proportional to sizes, so one division may not be enough.
        size = max(1, min(size - 1, int(size / excess)))


def _font(size: int) -> pygame.font.Font:
    if not pygame.font.get_init():
        _cached_font.cache_clear()
        pygame.font.init()
    return _cached_font(size)


@lru_cache(maxsize=64)
def _cached_font(size: int) -> pygame.font.Font:
    # Kept because a new font draws every letter anew, which took as long as the whole picture.
    # But pygame.quit(), which other environments call, breaks every font: pygame crashes on one.
    pygame.register_quit(_cached_font.cache_clear)
    return pygame.font.Font(None, size)


def _draw_captions(canvas: _Canvas, captions: Sequence[str]) -> None:
    layout = canvas.layout
    if captions:
        row = layout.row * min(1.0, CAPTION_ROWS / len(captions))
        width = layout.size - 2 * layout.margin
        canvas.text(captions, layout.margin, layout.margin, width, row)


def _draw_gauge(canvas: _Canvas, gauge: Gauge, index: int) -> None:
    """The label, then a bar from the zero at its centre, between ticks at the limits."""
    layout = canvas.layout
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


def _draw_strip(canvas: _Canvas, history: _History[Energies], now: Energies) -> None:
    """Both energies over time: what they are now, their curves, and the chart's range."""
    layout, margin = canvas.layout, canvas.layout.margin
    band = layout.chart.inflate(-2 * margin, -2 * margin)
    legend, scale = round(0.27 * layout.size), round(0.11 * layout.size)
    row = min(layout.row, band.height / 3)
    lines = ("energy (J)", f"drawn {now[0]:.2f}", f"truth {now[1]:.2f}")
    canvas.text(lines, band.left, band.top, legend, row, colours=(INK, BOB, TRUTH))

    first, latest = history.entries[0][0], history.entries[-1][0]
    steps, energies = np.array([step for step, _ in history.entries]), history.values()
    low, high = _strip_range(energies)
    chart = pygame.Rect(band.left + legend + margin, band.top, 0, band.height)
    chart.width = band.right - scale - margin - chart.left
    for y, value in ((chart.top, high), (chart.bottom - row, low)):
        canvas.text([f"{value:.1f}"], chart.right + margin, y, scale, row)
    thin = max(1, layout.size // 500)
    for y in (chart.top, chart.bottom - thin):
        canvas.box(chart.left, y, chart.width, thin, FAINT)

    start = max(first, latest - history.memory)
    x = chart.left + chart.width * (steps - start) / history.memory
    y = chart.bottom - chart.height * (energies - low) / (high - low)
    for values, colour in ((y[:, 1], TRUTH), (y[:, 0], BOB)):
        canvas.curve(np.stack([x, values], axis=-1), 1.5 * layout.size / 500, colour)


def _strip_range(energies: np.ndarray) -> Energies:
    """The joules at the bottom and the top of the strip, around all energies shown."""
    low, high = float(energies.min()), float(energies.max())
    spare = max(0.1 * (high - low), 0.5 * (STRIP_JOULES - (high - low)))
    return low - spare, high + spare


# -- several pictures ---------------------------------------------------------------------------


def side_by_side(frames: Sequence[np.ndarray], titles: Sequence[str]) -> np.ndarray:
    """Pictures of one size in a row, each under its title, as one (H, W, 3) uint8 picture."""
    height, width, _ = frames[0].shape
    row = max(14, round(0.048 * height))
    picture = np.full((height + row, len(frames) * width, 3), 255, np.uint8)
    for i, (frame, title) in enumerate(zip(frames, titles, strict=True)):
        left, margin = i * width, row // 3
        image = _fitting_font([title], row, width - 2 * margin).render(title, True, INK, WHITE)
        letters = _to_array(image)[: row - 1]
        rows, columns, _ = letters.shape
        top = row - rows
        picture[top:row, left + margin : left + margin + columns] = letters
        picture[row:, left : left + width] = frame
    return picture


def from_array(frame: np.ndarray) -> pygame.Surface:
    """An (H, W, 3) uint8 picture as pygame has it."""
    height, width, _ = frame.shape
    return pygame.image.frombuffer(np.ascontiguousarray(frame).tobytes(), (width, height), "RGB")


# -- out ----------------------------------------------------------------------------------------


def _to_array(frame: pygame.Surface) -> np.ndarray:
    # Nine times as fast as surfarray.array3d; the copy makes it the caller's own, and writable.
    pixels = np.frombuffer(pygame.image.tobytes(frame, "RGB"), np.uint8)
    return pixels.reshape(frame.get_height(), frame.get_width(), 3).copy()


class Window:
    """A window on the screen.

    It closes by `close`, its button or Escape; `show` then does nothing.

    Arguments:
        title: what stands above it.
        size: width and height in pixels.
        fps: pictures per second of real time, at most.
    """

    # All that are open: there is one queue of events for all windows, so whichever is drawn
    # reads it for the others too.
    _open: ClassVar[list[Window]] = []

    def __init__(self, title: str, size: tuple[int, int], fps: int):
        pygame.display.init()
        make = pygame.Window if hasattr(pygame, "Window") else _Display
        self._window = make(title, size)
        self._clock = pygame.time.Clock()
        self._fps = fps
        Window._open.append(self)

    @property
    def is_open(self) -> bool:
        return self in Window._open

    def show(self, frame: pygame.Surface) -> list[pygame.event.Event]:
        """Put a picture up, wait until it is due to be replaced, obey the user.

        Returns:
            Everything that happened meanwhile, in any window.
        """
        if not self.is_open:
            return []
        try:
            surface = self._window.get_surface()
        except pygame.error:  # another part of the program has quit pygame
            self.close()
            return []
        surface.blit(frame, (0, 0))
        self._window.flip()
        self._clock.tick(self._fps)
        events = pygame.event.get()
        for event in events:
            for window in tuple(Window._open):
                window._obey(event)
        return events

    def close(self) -> None:
        if self.is_open:
            Window._open.remove(self)
            self._window.destroy()

    def _obey(self, event: pygame.event.Event) -> None:
        mine = getattr(event, "window", None) in (None, self._window)
        escape = event.type == pygame.KEYDOWN and event.key == pygame.K_ESCAPE
        button = event.type == pygame.WINDOWCLOSE
        if event.type == pygame.QUIT or (mine and (escape or button)):
            self.close()


class _Display:
    """pygame's one display in the guise of a `pygame.Window`, for pygame, which has none.

    Two renderers then share it, and it goes with the last of them.
    """

    _users: ClassVar[int] = 0

    def __init__(self, title: str, size: tuple[int, int]):
        pygame.display.set_mode(size)
        pygame.display.set_caption(title)
        _Display._users += 1

    def get_surface(self) -> pygame.Surface:
        surface = pygame.display.get_surface()
        if surface is None:
            raise pygame.error("the display has been closed")
        return surface

    def flip(self) -> None:
        pygame.display.flip()

    def destroy(self) -> None:
        _Display._users -= 1
        if _Display._users == 0:
            pygame.display.quit()
