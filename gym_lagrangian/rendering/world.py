"""The scene itself: bodies, forces, the path of a point, a line to move along."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
from pygame import Vector2

from gym_lagrangian.rendering.canvas import Canvas, round_number
from gym_lagrangian.rendering.colours import (
    BOB,
    FAINT,
    GHOST_BOB,
    GHOST_ROD,
    INK,
    NEGATIVE,
    POSITIVE,
    TARGET,
    TRACE,
    WHITE,
    Colour,
    fading,
)
from gym_lagrangian.rendering.history import History
from gym_lagrangian.rendering.layout import Layout
from gym_lagrangian.systems.scene import Box, Force, Point, Scene, Torque

TRACE_SHADES = 40
TRACE_PIECES = 4  # straight lines between two points of a trace
FULL_SWEEP = 270.0  # degrees of arc of a torque at its limit


def draw_world(
    canvas: Canvas, layout: Layout, scene: Scene, *, trace: History, ghost: Scene | None
) -> None:
    """Draw a scene over its ghost, and both over the path of the traced point."""
    with canvas.clipped(layout.world):
        for line in scene.lines:
            _draw_curve(canvas, layout, line, layout.thin, FAINT)
        _draw_curve(canvas, layout, scene.course, layout.length(0.012, 1), TARGET)
        _draw_trace(canvas, layout, trace)
        if ghost is not None:
            _draw_boxes(canvas, layout, ghost, GHOST_ROD)
            _draw_body(canvas, layout, ghost, GHOST_ROD, GHOST_BOB)
        if scene.track:
            _draw_track(canvas, layout, scene.stops)
        if scene.target is not None:
            radius, width = layout.length(0.11, 5), layout.length(0.018, 1)
            canvas.ring(layout.at(scene.target), radius, width, TARGET)
        _draw_boxes(canvas, layout, scene, INK)
        radius = _arc_radius(layout, scene.torques)
        for torque in scene.torques:
            _draw_torque(canvas, layout, torque, radius)
        for force in scene.forces:
            _draw_force(canvas, layout, force, scene)
        _draw_body(canvas, layout, scene, INK, BOB)


def _draw_curve(
    canvas: Canvas, layout: Layout, points: Sequence[Point], width: float, colour: Colour
) -> None:
    canvas.curve(np.array([layout.to_pixels(point) for point in points]), width, colour)


def _draw_trace(canvas: Canvas, layout: Layout, trace: History) -> None:
    """The older, the paler, as a fading line would look on white."""
    if len(trace) < 2:
        return
    steps, points = trace.columns()
    ages = TRACE_SHADES * (steps[-1] - steps[:-1]) / trace.memory
    shades = fading(TRACE, TRACE_SHADES)
    colours = [shades[min(int(age), TRACE_SHADES - 1)] for age in ages]
    pixels = np.array([layout.to_pixels((x, y)) for x, y in points.tolist()])
    canvas.ribbon(_smooth(pixels), layout.length(0.018, 1), colours)


def _smooth(points: np.ndarray) -> np.ndarray:
    """A Catmull–Rom curve through (n, 2) points, with more points between them.

    A fast pendulum turns by a quarter within a step, where straight lines would look broken.
    """
    padded = np.concatenate([points[:1], points, points[-1:]])
    before, start, end, after = (padded[i : i + len(points) - 1] for i in range(4))
    t = (np.arange(TRACE_PIECES) / TRACE_PIECES)[:, None, None]
    curve = 2 * start + (end - before) * t + (2 * before - 5 * start + 4 * end - after) * t**2
    curve += (3 * start - before - 3 * end + after) * t**3
    return np.concatenate([0.5 * curve.swapaxes(0, 1).reshape(-1, 2), points[-1:]])


def _draw_body(canvas: Canvas, layout: Layout, scene: Scene, rod: Colour, bob: Colour) -> None:
    """Rods and the hinges that they hang from, and bobs on top of all."""
    apart = _spacing(layout, [start for start, _ in scene.rods])
    width = min(layout.length(0.033, 1.5), max(0.16 * apart, 1.5))
    for start, end in scene.rods:
        canvas.line([layout.at(start), layout.at(end)], width, rod)
    radius = min(layout.length(0.042, 2.5), max(0.2 * apart, 2.5))
    for start, _ in scene.rods:
        hinge = layout.at(start)
        canvas.disc(hinge, radius, rod)
        canvas.disc(hinge, 0.45 * radius, WHITE)
    for centre, mass in scene.bobs:
        canvas.disc(layout.at(centre), _bob_radius(layout, mass, apart), bob)


def _bob_radius(layout: Layout, mass: float, apart: float) -> float:
    """Radius in pixels, smaller where hinges are close, or bobs would cover the arcs there."""
    return min(layout.radius(mass), max(0.24 * apart, 2.5))


def _spacing(layout: Layout, places: Sequence[Point]) -> float:
    """The least distance of two places in succession, in pixels; infinite for less than two."""
    pixels = [layout.at(place) for place in places]
    return min((a.distance_to(b) for a, b in itertools.pairwise(pixels)), default=math.inf)


def _arc_radius(layout: Layout, torques: Sequence[Torque]) -> float:
    """Radius of all torques' arcs, so small that those of neighbouring joints do not overlap."""
    apart = _spacing(layout, [torque.centre for torque in torques])
    return min(layout.length(0.19, 7), max(0.45 * apart, 7))


def _draw_torque(canvas: Canvas, layout: Layout, torque: Torque, radius: float) -> None:
    """An arc from straight up, counter-clockwise where positive."""
    share = min(max(torque.share, -1.0), 1.0)
    if abs(share) < 0.01:
        return
    arm = Vector2(0, -radius)
    head = min(_head(layout, share), 0.5 * radius)
    sweep = math.copysign(math.degrees(head / radius), share)
    angles = [*np.linspace(0.0, FULL_SWEEP * share, 3 + round(24 * abs(share)))]
    # The head lies along the arc. rotate() turns clockwise on a screen, whose y points down.
    centre = layout.at(torque.centre)
    points = [centre + arm.rotate(-angle) for angle in (*angles, angles[-1] + sweep)]
    canvas.arrow(points, layout.length(0.022, 1.2), POSITIVE if share > 0 else NEGATIVE)


def _draw_force(canvas: Canvas, layout: Layout, force: Force, scene: Scene) -> None:
    """An arrow from the rim of the bob that is pushed, if one is."""
    share = min(max(force.share, -1.0), 1.0)
    if abs(share) < 0.01:
        return
    apart = _spacing(layout, [start for start, _ in scene.rods])
    pushed = [bob.mass for bob in scene.bobs if bob.centre == force.start]
    rim = max((_bob_radius(layout, mass, apart) for mass in pushed), default=0)
    x, y = force.along
    along = Vector2(x, -y) * math.copysign(1.0, share)  # y points down on a screen
    start = layout.at(force.start) + rim * along
    shaft, head = layout.length(0.095) * abs(share) * along, _head(layout, share) * along
    points = [start, start + shaft, start + shaft + head]
    canvas.arrow(points, layout.length(0.022, 1.2), POSITIVE if share > 0 else NEGATIVE)


def _head(layout: Layout, share: float) -> float:
    """Length of an arrow's head, which shrinks with the weakest arrows."""
    return layout.length(0.075, 4) * min(1.0, 3 * abs(share))


def _draw_boxes(canvas: Canvas, layout: Layout, scene: Scene, colour: Colour) -> None:
    for box in scene.boxes:
        _draw_box(canvas, layout, box, colour)


def _draw_box(canvas: Canvas, layout: Layout, box: Box, colour: Colour) -> None:
    """A cart: a box on two wheels, in a lighter shade so that the hinge on it is seen."""
    left, top = layout.to_pixels((box.centre[0] - box.width / 2, box.centre[1] + box.height / 2))
    width, height = layout.scale * box.width, layout.scale * box.height
    canvas.box(left, top, width, height, fading(colour, 4)[2])
    for side in (-0.3, 0.3):
        wheel = layout.at((box.centre[0] + side * box.width, box.centre[1] - box.height / 2))
        canvas.disc(wheel, 0.28 * height, colour)


def _draw_track(canvas: Canvas, layout: Layout, stops: tuple[float, ...]) -> None:
    """A line through y = 0 with a tick at every round number of metres, and its ends."""
    half_width, middle = layout.size / 2 / layout.scale, layout.centre[0]
    left, right = middle - half_width, middle + half_width
    if stops:
        left, right = max(left, min(stops)), min(right, max(stops))
    width = layout.length(0, max(1.0, layout.size / 500))
    canvas.line([layout.at((left, 0)), layout.at((right, 0))], width, FAINT)
    spacing = round_number(layout.extent[0] / 6)
    for i in range(math.ceil(left / spacing), math.floor(right / spacing) + 1):
        tick = Vector2(0, layout.length(0.05 if i == 0 else 0.03, 3 if i == 0 else 2))
        mark = layout.at((i * spacing, 0))
        canvas.line([mark - tick, mark + tick], width, FAINT)
    for stop in stops:
        end, half = layout.at((stop, 0)), Vector2(0, layout.length(0.08, 5))
        canvas.line([end - half, end + half], layout.length(0.03, 2), INK)
