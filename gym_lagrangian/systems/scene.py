"""Scenes: what a system looks like, in metres, as plain data for the renderer."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

Point = tuple[float, float]


class Rod(NamedTuple):
    """A rigid link between two points."""

    start: Point
    end: Point


class Bob(NamedTuple):
    """A point mass; its radius is drawn by its mass (kg)."""

    centre: Point
    mass: float


class Box(NamedTuple):
    """A body that slides along x, such as a cart; width and height in metres."""

    centre: Point
    width: float
    height: float


class Torque(NamedTuple):
    """A torque about a point, as a share of its limit in [-1, 1], counter-clockwise positive."""

    centre: Point
    share: float


class Force(NamedTuple):
    """A force at a point, as a share of its limit in [-1, 1].

    Attributes:
        along: the direction of a positive share, of length 1.
    """

    start: Point
    share: float
    along: Point = (1.0, 0.0)


class Gauge(NamedTuple):
    """A labelled quantity in [-1, 1], drawn as a bar with its limits marked."""

    label: str
    value: float


class Curve(NamedTuple):
    """A labelled quantity, drawn as a curve over the last seconds.

    Attributes:
        label: what the quantity is, such as "theta (rad)".
        value: the quantity now.
        least: half-height of the axis at least, above 0. The axis grows to a round number when
            the curve exceeds it.
    """

    label: str
    value: float
    least: float


class Scene(NamedTuple):
    """Everything to draw of one state.

    Attributes:
        extent: half-width and half-height of the visible world, in metres.
        trace: the point whose path is worth drawing, or None.
        track: whether the system moves along a horizontal line, which is then drawn.
        target: a point to reach, marked, or None.
        curves: quantities over time, which are drawn in place of the world.
        boxes: carts, drawn behind the rods.
        stops: where the line to move along ends, in metres along x; empty where it does not.
        centre: the middle of the visible world, in metres, which follows what would leave it.
        lines: what stays where it is, such as a wall or a circle to follow, each a faint line
            through its points, drawn behind all else.
        course: a line to move along, through its points, in the colour of targets.
    """

    extent: Point
    rods: tuple[Rod, ...] = ()
    bobs: tuple[Bob, ...] = ()
    torques: tuple[Torque, ...] = ()
    forces: tuple[Force, ...] = ()
    gauges: tuple[Gauge, ...] = ()
    trace: Point | None = None
    track: bool = False
    target: Point | None = None
    curves: tuple[Curve, ...] = ()
    boxes: tuple[Box, ...] = ()
    stops: tuple[float, ...] = ()
    centre: Point = (0.0, 0.0)
    lines: tuple[tuple[Point, ...], ...] = ()
    course: tuple[Point, ...] = ()


def force(start: Point, components: Iterable[float]) -> Force:
    """A force by its two components, each a share of its limit."""
    x, y = (float(component) for component in components)
    size = math.hypot(x, y)
    return Force(start, size, (x / size, y / size)) if size > 0.0 else Force(start, 0.0)


def curves_of(
    coordinates: Sequence[str],
    units: Sequence[str],
    q: Iterable[float],
    least: Sequence[float],
) -> Scene:
    """A scene of the coordinates' curves: the picture of a system that states none.

    Arguments:
        coordinates: names, such as "theta".
        units: one a coordinate, such as "rad"; "" for none.
        q: values now. Angles are shown as they are, so unwrapped ones never jump.
        least: half-heights of the axes at least, above 0.
    """
    rows = zip(coordinates, units, q, least, strict=True)
    curves = tuple(
        Curve(_label(name, unit), float(value), half) for name, unit, value, half in rows
    )
    return Scene(extent=(1.0, 1.0), curves=curves)


def _label(name: str, unit: str) -> str:
    return f"{name} ({unit})" if unit else name
