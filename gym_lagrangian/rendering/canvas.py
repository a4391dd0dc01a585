"""The canvas that pictures are drawn on: a few shapes and text, all smooth.

pygame's shapes have hard edges, and its small text loses its full stops. A picture is therefore
drawn at twice its size and scaled down, which smooths everything at once and works with pygame
and pygame-ce alike.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Iterator, Sequence

import numpy as np
import pygame
from pygame import Vector2

from gym_lagrangian.rendering.colours import INK, WHITE, Colour

SUPERSAMPLING = 2


class Canvas:
    """A white picture to draw on. Every place and length is in pixels of the final picture.

    Arguments:
        width, height: of the final picture.
    """

    def __init__(self, width: int, height: int):
        self._large = pygame.Surface((SUPERSAMPLING * width, SUPERSAMPLING * height), 0, 32)
        self._picture = pygame.Surface((width, height), 0, 32)

    @property
    def rect(self) -> pygame.Rect:
        """All of the picture."""
        return self._picture.get_rect()

    def clear(self) -> None:
        self._large.fill(WHITE)

    def picture(self) -> pygame.Surface:
        """What has been drawn; the next call overwrites it."""
        pygame.transform.smoothscale(self._large, self._picture.get_size(), self._picture)
        return self._picture

    @contextlib.contextmanager
    def clipped(self, band: pygame.Rect) -> Iterator[None]:
        """Draw within this band only."""
        self._large.set_clip([SUPERSAMPLING * side for side in band])
        yield
        self._large.set_clip(None)

    def disc(self, centre: Vector2, radius: float, colour: Colour) -> None:
        pygame.draw.circle(self._large, colour, SUPERSAMPLING * centre, SUPERSAMPLING * radius)

    def ring(self, centre: Vector2, radius: float, width: float, colour: Colour) -> None:
        middle, outer = SUPERSAMPLING * centre, SUPERSAMPLING * radius
        pygame.draw.circle(self._large, colour, middle, outer, round(SUPERSAMPLING * width))

    def line(self, points: Sequence[Vector2] | np.ndarray, width: float, colour: Colour) -> None:
        self.ribbon(points, width, [colour])

    def ribbon(
        self, points: Sequence[Vector2] | np.ndarray, width: float, colours: Sequence[Colour]
    ) -> None:
        """A line through the points, cut into equally many stretches of each colour."""
        left, right = _edges(SUPERSAMPLING * np.array(points), SUPERSAMPLING * width)
        stretch = (len(points) - 1) // len(colours)
        for i, colour in enumerate(colours):
            piece = slice(i * stretch, (i + 1) * stretch + 1)
            pygame.draw.polygon(self._large, colour, left[piece] + right[piece][::-1])

    def arrow(self, points: Sequence[Vector2], width: float, colour: Colour) -> None:
        """A line through the points, of which the last stretch is the head."""
        *shaft, tip = points
        self.line(shaft, width, colour)
        side = 0.55 * (tip - shaft[-1]).rotate(90)
        corners = [SUPERSAMPLING * corner for corner in (tip, shaft[-1] + side, shaft[-1] - side)]
        pygame.draw.polygon(self._large, colour, corners)

    def box(self, left: float, top: float, width: float, height: float, colour: Colour) -> None:
        """A filled rectangle."""
        corners = [SUPERSAMPLING * side for side in (left, top, width, height)]
        pygame.draw.rect(self._large, colour, corners)

    def curve(self, points: np.ndarray, width: float, colour: Colour) -> None:
        """A thin line through (n, 2) points: faster than `line`, and rougher at its corners."""
        if len(points) > 1:
            thickness = max(SUPERSAMPLING, round(SUPERSAMPLING * width))
            corners = (SUPERSAMPLING * points).tolist()
            pygame.draw.lines(self._large, colour, False, corners, thickness)

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
        size = fitting_size(lines, SUPERSAMPLING * row, SUPERSAMPLING * width)
        for i, line in enumerate(lines):
            image = letters(line, size, colours[i] if colours else INK)
            middle = SUPERSAMPLING * (top + (i + 0.5) * row)
            self._large.blit(image, image.get_rect(left=SUPERSAMPLING * left, centery=middle))


def to_array(picture: pygame.Surface) -> np.ndarray:
    """A new (H, W, 3) uint8 array of a picture."""
    # A channel at a time: a dozen times as fast as surfarray.array3d.
    width, height = picture.get_size()
    pixels = np.array(picture.get_view("3"), copy=False)
    array = np.empty((height, width, 3), np.uint8)
    for channel in range(3):
        array[..., channel] = pixels[..., channel].T
    return array


def from_array(array: np.ndarray) -> pygame.Surface:
    """An (H, W, 3) uint8 array as a picture."""
    height, width, _ = array.shape
    return pygame.image.frombuffer(np.ascontiguousarray(array).tobytes(), (width, height), "RGB")


def _edges(points: np.ndarray, width: float) -> tuple[list, list]:
    """What lies left and right of a line through (n, 2) points.

    Filled between, that makes a line without gaps at its corners and with square ends, which
    pygame's own thick lines have not.
    """
    along = np.empty_like(points)
    along[1:-1] = points[2:] - points[:-2]
    along[0], along[-1] = points[1] - points[0], points[-1] - points[-2]
    length = np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-9)[:, None]
    side = 0.5 * width * along[:, ::-1] * (1, -1) / length
    return (points + side).tolist(), (points - side).tolist()


# -- text ---------------------------------------------------------------------------------------


def fitting_size(lines: Sequence[str], row: float, width: float) -> int:
    """The font's size at which lines are `row` high, smaller where one is wider than `width`."""
    size = round(1.3 * row)  # a row is lower than what pygame calls its size
    while True:
        excess = max(_font(size).size(line)[0] for line in lines) / width
        if excess <= 1 or size == 1:
            return size
        # Widths are not quite proportional to sizes, so one division may not be enough.
        size = max(1, min(size - 1, int(size / excess)))


def text_width(lines: Sequence[str], row: float) -> float:
    """Pixels that the widest of these lines takes, each `row` high."""
    font = _font(fitting_size(lines, SUPERSAMPLING * row, math.inf))
    return max(font.size(line)[0] for line in lines) / SUPERSAMPLING


def letters(line: str, size: int, colour: Colour) -> pygame.Surface:
    """A line of text on nothing. Most of the text of a picture is that of the last one: kept."""
    _font(size)
    return _cached_letters(line, size, colour)


def _font(size: int) -> pygame.font.Font:
    if not pygame.font.get_init():
        _forget_fonts()
        pygame.font.init()
    return _cached_font(size)


@functools.lru_cache(maxsize=64)
def _cached_font(size: int) -> pygame.font.Font:
    # Kept because a new font draws every letter anew, which took as long as the whole picture.
    # But pygame.quit(), which other environments call, breaks every font: pygame crashes on one.
    pygame.register_quit(_forget_fonts)
    return pygame.font.Font(None, size)


@functools.lru_cache(maxsize=256)
def _cached_letters(line: str, size: int, colour: Colour) -> pygame.Surface:
    return _cached_font(size).render(line, True, colour)


def _forget_fonts() -> None:
    _cached_font.cache_clear()
    _cached_letters.cache_clear()


def round_number(least: float) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that is not below `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least)
