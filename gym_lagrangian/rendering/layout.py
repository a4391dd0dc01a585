"""The layout of a picture.

A picture is a white square of up to four bands, which never overlap at any size:

    captions   a strip of fixed height, there whether or not anything is written in it
    world      the scene to scale, the same in x and y, cut off at the band's edges; or its
               curves, one below the other
    gauges     one row for each, no band when the scene has none
    strip      energy drift over the last seconds, no band unless drifts are given
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import pygame
from pygame import Vector2

from gym_lagrangian.systems.scene import Point

CAPTION_ROWS = 2


@dataclass(frozen=True)
class Layout:
    """The bands of a picture, and which pixel a point of the world is at.

    Attributes:
        size: width and height of the picture in pixels.
        extent: half-width and half-height of the world, in metres (`Scene.extent`).
        gauges: number of gauges (`len(Scene.gauges)`).
        strip: whether there is a chart of energy drift at the bottom.
        centre: the point of the world in the middle of its band, in metres (`Scene.centre`).
    """

    size: int
    extent: Point
    gauges: int = 0
    strip: bool = False
    centre: Point = (0.0, 0.0)

    @cached_property
    def row(self) -> int:
        """Height of a line of text in pixels, more of a small picture than of a large one."""
        return max(11, round(4.5 + 0.025 * self.size))

    @cached_property
    def margin(self) -> int:
        """Free space around text in pixels."""
        return max(2, round(0.012 * self.size))

    @cached_property
    def captions(self) -> pygame.Rect:
        """The band of the captions."""
        return pygame.Rect(0, 0, self.size, CAPTION_ROWS * self.row + self.margin)

    @cached_property
    def world(self) -> pygame.Rect:
        """The band that shows the world."""
        top = self.captions.bottom
        bottom = self.chart.top - self.gauges * self.gauge_row
        return pygame.Rect(0, top, self.size, bottom - top)

    def curves(self, count: int) -> list[pygame.Rect]:
        """The bands of so many curves, all of one size, which share that of the world."""
        left, top, width, height = self.world.inflate(-2 * self.margin, -2 * self.margin)
        gap = max(1, height // (10 * count))
        pitch = max(2, (height + gap) // count)
        return [pygame.Rect(left, top + i * pitch, width, pitch - gap) for i in range(count)]

    @cached_property
    def chart(self) -> pygame.Rect:
        """The band that shows energy drift; of no height without a strip."""
        height = max(2 * self.row + 2 * self.margin, round(0.18 * self.size)) if self.strip else 0
        return pygame.Rect(0, self.size - height, self.size, height)

    @cached_property
    def thin(self) -> int:
        """Width of the thinnest lines in pixels, a whole number, or they would blur."""
        return max(1, round(self.size / 500))

    @cached_property
    def gauge_row(self) -> int:
        """Height of a gauge in pixels."""
        return self.row + 2 * self.margin

    @cached_property
    def scale(self) -> float:
        """Pixels per metre; a narrow border is left for what is drawn at the world's edge."""
        half_width, half_height = self.extent
        return 0.485 * min(self.world.width / half_width, self.world.height / half_height)

    @cached_property
    def unit(self) -> float:
        """Pixels of the world's longer half side, which all sizes of symbols are shares of."""
        return self.scale * max(self.extent)

    def to_pixels(self, point: Point) -> Point:
        """(column, row) of a point in metres; the pixel that shows it is the floor of both."""
        x, y = point[0] - self.centre[0], point[1] - self.centre[1]
        centre_x, centre_y = self.world.width / 2, self.world.top + self.world.height / 2
        return centre_x + self.scale * x, centre_y - self.scale * y

    def at(self, point: Point) -> Vector2:
        """`to_pixels` as a vector, to go on from there."""
        return Vector2(self.to_pixels(point))

    def length(self, share: float, least: float = 0.0) -> float:
        """Pixels of a share of the world's longer half side, but at least so many."""
        return max(share * self.unit, least)

    def radius(self, mass: float) -> float:
        """Radius of a bob in pixels: masses of one density, within what can be seen and fits."""
        return self.length(0.065 * min(max(mass ** (1 / 3), 0.6), 1.8), 2.5)
