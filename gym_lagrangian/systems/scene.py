"""What a system looks like, in metres: the plain data that passes from physics to pictures."""

from __future__ import annotations

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


class Torque(NamedTuple):
    """A torque about a point, as a share of its limit in [-1, 1], counter-clockwise positive."""

    centre: Point
    share: float


class Force(NamedTuple):
    """A force along x at a point, as a share of its limit in [-1, 1]."""

    start: Point
    share: float


class Gauge(NamedTuple):
    """A labelled quantity in [-1, 1], drawn as a bar with its limits marked."""

    label: str
    value: float


class Scene(NamedTuple):
    """Everything to draw of one state.

    Attributes:
        extent: half-width and half-height of the visible world, in metres, centred on the
            origin.
        trace: the point whose path is worth drawing, or None.
        track: whether the system moves along a horizontal line, which is then drawn.
        target: a point to reach, marked, or None.
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
