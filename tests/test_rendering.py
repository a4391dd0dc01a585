"""The picture shows the geometry where it is, in bands that do not overlap, in any window."""

import itertools
import os
import subprocess
import sys

os.environ.setdefault("SDL_VIDEODRIVER", "dummy")

import numpy as np
import pygame
import pytest

from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.rendering import Layout, Panels, Renderer, colours
from gym_lagrangian.rendering.history import History
from gym_lagrangian.rendering.panels import CHART_HEIGHT
from gym_lagrangian.systems import DoublePendulum
from gym_lagrangian.systems.projection import circle, projected
from gym_lagrangian.systems.scene import (
    Bob,
    Box,
    Curve,
    Force,
    Gauge,
    Rod,
    Scene,
    Torque,
    curves_of,
    force,
)

SIZES = (100, 137, 500, 1000)
ANGLES = np.random.default_rng(0).uniform(-np.pi, np.pi, (12, 2))
CAPTIONS = ("time 1.25 s", "energy -12.34 J", "model energy -12.31 J")


def pendulum(first: float, second: float, shoulder: float = 0.0, elbow: float = 0.0) -> Scene:
    joint = (np.sin(first), -np.cos(first))
    tip = (joint[0] + np.sin(second), joint[1] - np.cos(second))
    return Scene(
        extent=(2.3, 2.3),
        rods=(Rod((0.0, 0.0), joint), Rod(joint, tip)),
        bobs=(Bob(joint, 1.0), Bob(tip, 1.0)),
        torques=(Torque((0.0, 0.0), shoulder), Torque(joint, elbow)),
        trace=tip,
    )


def particle(q: float, force: float = 0.0, value: float = 0.0) -> Scene:
    return Scene(
        extent=(8.0, 4.0),
        bobs=(Bob((q, 0.0), 1.0),),
        forces=(Force((q, 0.0), force),),
        gauges=(Gauge("v / c", value),),
        track=True,
        target=(0.0, 0.0),
    )


def layout_of(size: int, scene: Scene) -> Layout:
    return Layout(size, scene.extent, len(scene.gauges))


def picture(scene: Scene, size: int = 200, **options) -> np.ndarray:
    return Renderer(size, mode="rgb_array", fps=20).draw(scene, **{"step": 0, **options})


def colour_at(frame: np.ndarray, scene: Scene, point) -> tuple[int, ...]:
    column, row = layout_of(len(frame), scene).to_pixels(point)
    return tuple(frame[int(row), int(column)])


def count(frame: np.ndarray, colour: colours.Colour) -> int:
    return int(np.all(frame == colour, axis=-1).sum())


# -- geometry -----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
def test_the_tip_is_where_the_geometry_says(size):
    renderer = Renderer(size, mode="rgb_array", fps=20)
    for step, (first, second) in enumerate(ANGLES):
        scene = pendulum(first, second, shoulder=0.7, elbow=-1.0)
        frame = renderer.draw(scene, step=step, captions=CAPTIONS)
        assert colour_at(frame, scene, scene.trace) == colours.BOB


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("q", [-7.9, -2.0, 0.0, 5.5])
def test_the_particle_is_where_the_geometry_says(size, q):
    scene = particle(q, force=-1.0, value=0.9)
    frame = picture(scene, size, captions=CAPTIONS)
    assert colour_at(frame, scene, (q, 0.0)) == colours.BOB


@pytest.mark.parametrize("size", SIZES)
def test_the_centroid_of_a_bob_is_its_centre(size):
    scene = Scene(extent=(2.0, 2.0), bobs=(Bob((0.7, -0.4), 1.0),))
    # By how much of each pixel is covered, so to a fraction of a pixel.
    covered = (255.0 - picture(scene, size)[..., 0]) / 255.0
    rows, columns = np.indices(covered.shape) + 0.5
    centroid = np.array([(columns * covered).sum(), (rows * covered).sum()]) / covered.sum()
    np.testing.assert_allclose(centroid, layout_of(size, scene).to_pixels((0.7, -0.4)), atol=0.6)


@pytest.mark.parametrize("size", [100, 333, 2000])
@pytest.mark.parametrize("extent", [(2.3, 2.3), (8.0, 4.0), (1.0, 9.0)])
@pytest.mark.parametrize("gauges", [0, 1, 2])
def test_the_world_fits_its_band_with_one_scale(size, extent, gauges):
    layout = Layout(size, extent, gauges)
    (x0, y0), (x1, y1) = (layout.to_pixels((s * extent[0], s * extent[1])) for s in (-1, 1))
    assert 0 <= x0 < x1 <= size
    assert layout.world.top <= y1 < y0 <= layout.world.bottom
    assert (x1 - x0) / extent[0] == pytest.approx((y0 - y1) / extent[1])


def test_the_centre_of_the_world_can_move():
    """A scene and its centre moved together make the same picture."""
    here = Scene((2.0, 2.0), bobs=(Bob((0.5, 0.2), 1.0),))
    there = Scene((2.0, 2.0), bobs=(Bob((7.5, -2.8), 1.0),), centre=(7.0, -3.0))
    np.testing.assert_array_equal(picture(here), picture(there))


def test_a_cart_and_the_ends_of_its_track():
    size, scene = (
        333,
        Scene((2.0, 2.0), track=True, stops=(-1.5, 1.5), boxes=(Box((0.5, 0.0), 1, 0.4),)),
    )
    frame = picture(scene, size)
    column, row = layout_of(size, scene).to_pixels((0.5, 0.1))
    assert np.all(frame[int(row), int(column)] < 200), "inside the cart"
    for stop in scene.stops:
        column, row = map(int, layout_of(size, scene).to_pixels((stop, 0.05)))
        assert np.all(frame[row, column - 2 : column + 3].min(axis=0) < 100)
    column, row = map(int, layout_of(size, scene).to_pixels((1.8, 0.0)))
    assert np.all(frame[row - 2 : row + 3, column - 3 : column + 4] > 250), (
        "no track beyond its end"
    )


def test_heavier_bobs_are_larger_within_limits():
    def area(mass):
        return count(picture(Scene((2.0, 2.0), bobs=(Bob((0.0, 0.0), mass),))), colours.BOB)

    assert 0 < area(1e-9) == area(0.1) < area(1.0) < area(3.0) < area(10.0) == area(1e9)


def test_a_torque_is_an_arc_that_grows_with_its_share():
    green, red = colours.POSITIVE, colours.NEGATIVE
    frames = {s: picture(pendulum(0.0, 0.0, s)) for s in (-1.0, -0.5, 0.0, 0.3, 0.6, 1.0, 7.0)}
    greens = [count(frames[s], green) for s in (0.0, 0.3, 0.6, 1.0, 7.0)]
    assert greens[0] == 0 < greens[1] < greens[2] < greens[3] == greens[4]
    assert count(frames[1.0], red) == count(frames[-1.0], green) == 0
    assert 0 < count(frames[-0.5], red) < count(frames[-1.0], red)


def test_a_positive_torque_turns_counter_clockwise():
    def columns(share, colour):
        frame = picture(pendulum(0.0, 0.0, share))
        return np.flatnonzero(np.all(frame == colour, axis=-1).any(axis=0))

    # From straight up, so to the left of the pivot, which is at the centre.
    assert columns(0.3, colours.POSITIVE).mean() < 95
    assert columns(-0.3, colours.NEGATIVE).mean() > 105


@pytest.mark.parametrize(("share", "colour"), [(0.8, colours.POSITIVE), (-0.8, colours.NEGATIVE)])
def test_a_force_points_from_its_bob(share, colour):
    scene = particle(2.0, force=share)
    frame = picture(scene)
    columns = np.flatnonzero(np.all(frame == colour, axis=-1).any(axis=0))
    bob, _ = layout_of(200, scene).to_pixels((2.0, 0.0))
    assert len(columns) > 5
    assert np.all((columns > bob) == (share > 0))


@pytest.mark.parametrize("degrees", [0, 50, 90, 200, 315])
def test_a_force_points_along_its_direction(degrees):
    along = (np.cos(np.radians(degrees)), np.sin(np.radians(degrees)))
    for share, colour in ((1.0, colours.POSITIVE), (-1.0, colours.NEGATIVE)):
        scene = Scene((2.0, 2.0), (), (Bob((0.0, 0.0), 1.0),), (), (Force((0, 0), share, along),))
        frame = picture(scene, 400)
        rows, columns = np.nonzero(np.all(frame == colour, axis=-1))
        column, row = layout_of(400, scene).to_pixels((0.0, 0.0))
        offset = np.array([columns.mean() + 0.5 - column, row - rows.mean() - 0.5])
        distance = np.linalg.norm(offset)
        assert 15 < distance < 80
        np.testing.assert_allclose(offset / distance, share * np.array(along), atol=0.03)


@pytest.mark.parametrize(("x", "y"), [(0.3, -0.4), (0.0, 0.0), (-2.0, 0.0)])
def test_a_force_of_two_components(x, y):
    start, share, along = force((1.0, 2.0), (x, y))
    assert start == (1.0, 2.0)
    np.testing.assert_allclose(share * np.array(along), [x, y], atol=1e-12)
    assert np.hypot(*along) == pytest.approx(1.0)


@pytest.mark.parametrize("size", SIZES)
def test_lines_and_courses_go_through_their_points(size):
    points = ((-1.0, -1.0), (1.0, -0.5), (0.5, 1.0))
    middles = [np.mean(pair, axis=0) for pair in itertools.pairwise(points)]
    for name, shades in (("lines", (points,)), ("course", points)):
        scene = Scene((2.0, 2.0))._replace(**{name: shades})
        frame = picture(scene, size)
        for point in (*points, *middles):
            column, row = map(int, layout_of(size, scene).to_pixels(point))
            assert frame[row - 1 : row + 2, column - 1 : column + 2].min() < 245


@pytest.mark.parametrize("links", [2, 7])
@pytest.mark.parametrize("size", [300, 500])
def test_arcs_of_many_joints_are_apart(links, size):
    """Each reaches little further than halfway to the next joint, and is still seen."""
    joints = [(x, 0.0) for x in np.linspace(-1.0, 1.0, links)]
    shares = [1.0] + [0.0] * (links - 1)
    torques = tuple(Torque(*pair) for pair in zip(joints, shares, strict=True))
    scene = Scene((1.1, 1.1), torques=torques)
    frame, layout = picture(scene, size), layout_of(size, scene)
    rows, columns = np.nonzero(np.all(frame == colours.POSITIVE, axis=-1))
    column, row = layout.to_pixels(joints[0])
    distance = np.hypot(columns + 0.5 - column, rows + 0.5 - row)
    assert 7 < distance.max() < 0.62 * layout.scale * (joints[1][0] - joints[0][0])


@pytest.mark.parametrize("size", [300, 500])
def test_a_pendulum_fills_its_half_of_the_frame(size):
    """From the pivot in the middle of the world to near its edge, in every direction."""
    system, m = DoublePendulum(), np.array([1.0, 1.0, 1.0, 1.0, 9.8])
    for angle in np.linspace(-np.pi, np.pi, 9):
        scene = system.scene(np.full(2, angle), np.zeros(2), np.zeros(2), m)
        frame = picture(scene, size, captions=CAPTIONS[:2])
        band = layout_of(size, scene).world
        marked = np.argwhere(np.any(frame[band.top : band.bottom] < 200, axis=2))
        assert np.hypot(*np.ptp(marked, axis=0)) > 0.42 * size
        tip = np.array(layout_of(size, scene).to_pixels(scene.trace))
        far = np.max(np.abs(tip - np.array([size / 2, band.top + band.height / 2])))
        assert far < 0.5 * band.height - layout_of(size, scene).radius(1.0)


@pytest.mark.parametrize("size", [300, 500])
def test_captions_are_legible(size):
    """Letters of the captions are at least 8 pixels high, with the rows of their smoothed edges:
    where these fall differs between the builds of pygame.
    """
    frame = picture(Scene((1.0, 1.0)), size, captions=("HT", "HT"))
    rows = np.flatnonzero((frame < 200).any(axis=(1, 2)))
    first = rows[: np.argmax(np.diff(rows) > 1) + 1]
    assert len(first) >= 8


# -- projection -----------------------------------------------------------------------------------


def test_a_projection_keeps_what_is_across_the_line_of_sight():
    azimuth, elevation = 0.7, 0.4
    eye = np.array([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth)])
    eye = np.array([*eye, np.sin(elevation)])
    points = np.random.default_rng(0).normal(size=(50, 3))
    found = projected(points, azimuth, elevation)
    np.testing.assert_allclose(projected(eye, azimuth, elevation), 0.0, atol=1e-12)
    across = points - np.outer(points @ eye, eye)
    np.testing.assert_allclose(
        np.linalg.norm(found, axis=1), np.linalg.norm(across, axis=1), rtol=1e-12
    )


def test_the_vertical_is_upright_and_y_goes_away():
    x, y, z = projected(np.eye(3))
    assert z[0] == pytest.approx(0.0)
    assert z[1] > 0.8
    assert x[0] > 0.8
    assert 0.0 < y[1] < 0.5
    ring = projected(circle(2.0, height=1.0))
    np.testing.assert_allclose(ring[0], ring[-1], atol=1e-12)
    np.testing.assert_allclose(ring.mean(axis=0), projected([0.0, 0.0, 1.0]), atol=0.1)
    assert np.ptp(ring[:, 0]) == pytest.approx(4.0, rel=0.01)


def test_a_gauge_is_as_long_as_its_value_and_ends_at_its_limits():
    def length(value):
        frame = picture(particle(0.0, value=value), 500)[
            layout_of(500, particle(0.0)).world.bottom :
        ]
        return np.all(frame == colours.BOB, axis=-1).sum(axis=1).max()

    assert length(0.0) == 0
    assert length(0.5) == pytest.approx(length(1.0) / 2, abs=2)
    assert length(-0.5) == pytest.approx(length(0.5), abs=2)
    assert length(1.0) == length(3.0)


def test_an_empty_scene_is_white():
    assert np.all(picture(Scene(extent=(1.0, 1.0))) == 255)


# -- frames and bands ---------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
def test_frames_are_new_arrays(size):
    renderer = Renderer(size, mode="rgb_array", fps=20)
    first = renderer.draw(pendulum(0.3, 0.5), step=0)
    assert first.shape == (size, size, 3)
    assert first.dtype == np.uint8
    kept = first.copy()
    second = renderer.draw(pendulum(2.0, 0.5), step=1)
    second[:] = 0
    np.testing.assert_array_equal(first, kept)


def test_sizes_may_be_numpy_integers():
    assert picture(pendulum(0.0, 0.0), np.int64(120)).shape == (120, 120, 3)


@pytest.mark.parametrize("size", [100, 500, 2000])
@pytest.mark.parametrize(
    "captions", [CAPTIONS, ("a line as long as no picture is wide " * 2,) * 12]
)
def test_captions_change_their_strip_only(size, captions):
    scene = particle(6.0, force=1.0, value=-1.0)
    without, with_captions = picture(scene, size), picture(scene, size, captions=captions)
    changed = np.flatnonzero(np.any(without != with_captions, axis=(1, 2)))
    assert changed.size > 0
    assert changed.max() < layout_of(size, scene).world.top
    # Nor does the text run out of the picture on the right.
    assert np.all(with_captions[: changed.max() + 1, -1] == 255)


@pytest.mark.parametrize("size", [100, 500, 2000])
def test_the_world_stays_in_its_band(size):
    everywhere = np.linspace(-12.0, 12.0, 25)
    crowd = tuple(Bob((x, y), 10.0) for x in everywhere for y in everywhere)
    band = layout_of(size, particle(0.0)).world
    alone = picture(particle(0.0, value=0.4), size)
    crowded = picture(particle(0.0, value=0.4)._replace(bobs=crowd), size)
    assert np.any(alone[band.top : band.bottom] != crowded[band.top : band.bottom])
    np.testing.assert_array_equal(alone[: band.top], crowded[: band.top])
    np.testing.assert_array_equal(alone[band.bottom :], crowded[band.bottom :])


def test_a_ghost_is_drawn_at_its_own_place_beneath_the_scene():
    scene, ghost = pendulum(0.5, 1.5), pendulum(-1.0, -2.0)
    frame = picture(scene, 500, ghost=ghost)
    assert colour_at(frame, scene, ghost.trace) == colours.GHOST_BOB
    assert colour_at(frame, scene, scene.trace) == colours.BOB
    np.testing.assert_array_equal(picture(scene, ghost=scene), picture(scene))


# -- trace --------------------------------------------------------------------------------------


def traced(renderer: Renderer, *steps: int) -> np.ndarray:
    for step in steps:
        frame = renderer.draw(pendulum(0.1 * step, 0.1 * step), step=step)
    return frame


@pytest.fixture
def renderer():
    return Renderer(200, mode="rgb_array", fps=20)


def test_the_trace_passes_through_earlier_points_and_fades(renderer):
    scene = pendulum(2.0, 2.0)
    frame = traced(renderer, *range(21))
    old, young = (
        np.array(colour_at(frame, scene, pendulum(0.1 * step, 0.1 * step).trace), int)
        for step in (5, 15)
    )
    distance_from_white = 255 - old[0], 255 - young[0]
    assert 20 < distance_from_white[0] < distance_from_white[1]


def test_the_trace_restarts_at_step_0_and_when_the_step_falls(renderer):
    fresh = picture(pendulum(0.0, 0.0))
    assert np.any(traced(renderer, 0, 1, 2, 3) != picture(pendulum(0.3, 0.3)))
    np.testing.assert_array_equal(traced(renderer, 0), fresh)
    traced(renderer, 1, 2, 3, 4)
    np.testing.assert_array_equal(traced(renderer, 2), picture(pendulum(0.2, 0.2)))


def test_the_same_step_again_adds_nothing(renderer):
    once = traced(renderer, 0, 1, 2)
    renderer.draw(pendulum(-1.0, -1.0), step=2)
    np.testing.assert_array_equal(traced(renderer, 2), once)


def test_the_trace_is_forgotten_after_two_seconds(renderer):
    traced(renderer, 0, 1, 2, 3)
    np.testing.assert_array_equal(traced(renderer, 50), picture(pendulum(5.0, 5.0)))


# -- strip of energy drifts ---------------------------------------------------------------------


def charted(renderer: Renderer, *drifts: tuple[float, float], first: int = 0) -> np.ndarray:
    """The band of the strip after these drifts, one pair a step."""
    for step, pair in enumerate(drifts, first):
        frame = renderer.draw(pendulum(0.3, 0.5), step=step, drifts=pair)
    return frame[Layout(len(frame), (2.3, 2.3), strip=True).chart.top :]


def curve_of(band: np.ndarray, colour: colours.Colour) -> np.ndarray:
    """Mean row of a curve of this colour in every column, between the legend and the scale."""
    rows, columns = np.nonzero(np.all(band == colour, axis=-1))
    inside = (columns > 0.3 * band.shape[1]) & (columns < 0.85 * band.shape[1])
    rows, columns = rows[inside], columns[inside]
    return np.array([rows[columns == c].mean() for c in np.unique(columns)])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scene", [pendulum(0.5, 1.5, 0.5), particle(2.0, 0.5, 0.5)])
def test_the_strip_has_a_band_of_its_own(size, scene):
    layout = Layout(size, scene.extent, len(scene.gauges), strip=True)
    assert layout.chart.bottom == size
    assert layout.world.height > 0.1 * size
    drawn = [
        picture(scene, size, captions=CAPTIONS, drifts=drifts)
        for drifts in ((0.0, 0.0), (-123.456, 9876.5))
    ]
    top = layout.chart.top
    np.testing.assert_array_equal(drawn[0][:top], drawn[1][:top])
    assert np.any(drawn[0][top:] != drawn[1][top:])
    # Text and curves end before the picture does.
    assert np.all(drawn[1][top:, [0, -1]] == 255)
    column, row = map(int, layout.to_pixels(scene.bobs[-1].centre))
    assert tuple(drawn[0][row, column]) == colours.BOB


@pytest.mark.parametrize("size", SIZES)
def test_without_drifts_there_is_no_strip(size):
    scene = particle(2.0)
    assert Layout(size, scene.extent, 1).world == Layout(size, scene.extent, 1, strip=False).world
    assert Layout(size, scene.extent, 1).chart.height == 0
    renderer = Renderer(size, mode="rgb_array", fps=20)
    renderer.draw(scene, step=0, drifts=(1.0, 2.0))
    np.testing.assert_array_equal(renderer.draw(scene, step=0), picture(scene, size))


@pytest.mark.parametrize("sign", [1, -1])
def test_the_strip_shows_what_gains_and_what_loses_energy(sign):
    band = charted(
        Renderer(500, mode="rgb_array", fps=20), *((sign * 5e-6 * i, 0.0) for i in range(300))
    )
    drawn, truth = (curve_of(band, colour) for colour in (colours.BOB, colours.TRUTH))
    assert np.ptp(truth) < 1.5
    assert len(drawn) > 80
    assert np.all(sign * np.diff(drawn) <= 0.5)  # ever up, or ever down
    assert sign * (drawn[0] - drawn[-1]) > 0.2 * len(band)


def test_equal_drifts_lie_on_each_other_the_drawn_on_top():
    band = charted(Renderer(500, mode="rgb_array", fps=20), *[(0.001, 0.001)] * 100)
    assert len(curve_of(band, colours.BOB)) > 20
    assert not len(curve_of(band, colours.TRUTH))


def test_a_drift_too_small_to_matter_looks_flat():
    renderer = Renderer(500, mode="rgb_array", fps=20)
    drawn = curve_of(charted(renderer, *((i * 1e-8, 0.0) for i in range(100))), colours.BOB)
    assert len(drawn) > 20
    assert np.ptp(drawn) < 1.5


@pytest.mark.parametrize("largest", [0.001, 0.04, 3.0, 1e9])
def test_the_scale_holds_whatever_is_reached(largest):
    """A curve stays within the strip, and the largest drift takes up a good part of it."""
    renderer = Renderer(500, mode="rgb_array", fps=20)
    drawn = curve_of(
        charted(renderer, *((largest * i / 300, 0.0) for i in range(301))), colours.BOB
    )
    height = Layout(500, (2.3, 2.3), strip=True).chart.height
    assert 0 < drawn.min() < drawn.max() < height
    assert np.ptp(drawn) > 0.15 * height


def test_the_strip_begins_anew_with_the_episode(renderer):
    fresh = charted(Renderer(200, mode="rgb_array", fps=20), (1.0, 1.0))
    charted(renderer, (1.0, 1.0), (5.0, 1.0), (9.0, 1.0))
    np.testing.assert_array_equal(charted(renderer, (1.0, 1.0)), fresh)
    charted(renderer, (8.0, 1.0), (9.0, 1.0), first=5)
    np.testing.assert_array_equal(charted(renderer, (1.0, 1.0), first=3), fresh)


def test_the_same_step_again_adds_nothing_to_the_strip(renderer):
    once = charted(renderer, (1.0, 1.0), (2.0, 1.0))
    again = charted(renderer, (2.0, 1.0), first=1)
    np.testing.assert_array_equal(once, again)


def test_the_strip_forgets_after_twenty_seconds(renderer):
    charted(renderer, (99.0, -99.0), first=0)
    late = charted(renderer, (1.0, 1.0), first=401)
    np.testing.assert_array_equal(
        late, charted(Renderer(200, mode="rgb_array", fps=20), (1.0, 1.0), first=401)
    )


@pytest.mark.parametrize(("fps", "every"), [(20, 1), (1000, 1), (1000, 7), (3, 1)])
def test_a_history_stays_short_and_even_and_keeps_the_newest(fps, every):
    history = History(2.0, fps, most=40)
    for step in range(0, 4 * history.memory, every):
        history.add(step, (float(step),))
        steps, values = history.columns()
        assert steps[-1] == step
        assert len(steps) <= 42
        np.testing.assert_array_equal(steps, values[:, 0])
        assert step - steps[0] <= history.memory
    assert np.ptp(np.diff(steps[:-1])) == 0
    assert step - steps[0] > 0.8 * history.memory


# -- panels -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("models", "rows", "columns"), [(1, 1, 2), (3, 1, 4), (4, 2, 3), (6, 2, 4), (7, 2, 4)]
)
@pytest.mark.parametrize("size", [100, 300])
def test_panels_keep_each_picture_under_its_title_above_the_chart(models, rows, columns, size):
    titles = ["exact", "a title wider than its picture " * 3, *"ABCDEF"][: models + 1]
    shades = [10 + 20 * i for i in range(models + 1)]
    plain = [np.full((size, size, 3), shade, np.uint8) for shade in shades]
    joined = Panels(titles, size, 20).picture(plain, step=0, drifts=[0.0] * (models + 1))
    height, width, _ = joined.shape
    assert width == columns * size
    assert rows * size < height < 1.5 * rows * size
    for i, shade in enumerate(shades):
        left = size * (i % columns)
        column = joined[:, left : left + size]
        place = np.flatnonzero(np.all(column == shade, axis=(1, 2)))
        np.testing.assert_array_equal(place, np.arange(place[0], place[0] + size))
        assert place[-1] < height - 20
        title = column[place[0] - 14 : place[0]]
        assert title.min() < 200
        assert np.all(title[:, -4:] == 255)


def test_each_panel_has_a_colour_of_its_own_in_title_and_chart():
    models, size = 8, 500
    panels = Panels([str(i) for i in range(models)], size, 20)
    white = [np.full((size, size, 3), 255, np.uint8)] * models
    for step in range(200):
        drifts = [1e-5 * step * (i - 3) / 4 for i in range(models)]
        joined = panels.picture(white, step=step, drifts=drifts)
    band = joined[-round(CHART_HEIGHT * size) :]
    late = band[:, int(0.4 * band.shape[1]) : int(0.45 * band.shape[1])]
    rows = [
        np.median(np.all(late == colour, axis=-1).nonzero()[0])
        for colour in (colours.TRUTH, *colours.MODELS)
    ]
    assert np.all(np.diff(rows) < 0)  # the larger the drift, the higher its curve
    for i, colour in enumerate((colours.TRUTH, *colours.MODELS)):
        assert count(joined, colour) > count(band, colour), f"no title of colour {i}"


# -- windows ------------------------------------------------------------------------------------


@pytest.fixture(params=["pygame-ce", "pygame"])
def windows(request, monkeypatch):
    """Two renderers with windows, also where pygame has no `pygame.Window`."""
    if request.param == "pygame":
        monkeypatch.delattr(pygame, "Window", raising=False)
    elif not hasattr(pygame, "Window"):
        pytest.skip("this pygame has no pygame.Window")
    pygame.display.init()
    pygame.event.clear()
    pair = [Renderer(100, mode="human", fps=10_000) for _ in range(2)]
    yield pair
    for renderer in pair:
        renderer.close()


def is_open(renderer: Renderer) -> bool:
    return renderer._window.is_open


def test_a_window_shows_the_picture(windows):
    scene = pendulum(0.5, 1.5)
    assert windows[0].draw(scene, step=0) is None
    shown = windows[0]._window._window.get_surface()
    column, row = map(int, layout_of(100, scene).to_pixels(scene.trace))
    assert tuple(shown.get_at((column, row)))[:3] == colours.BOB


def test_closing_one_window_leaves_the_other(windows):
    first, second = windows
    for renderer in windows:
        renderer.draw(pendulum(0.5, 1.5), step=0)
    first.close()
    first.close()
    assert first.draw(pendulum(0.5, 1.5), step=1) is None
    assert not is_open(first)
    assert second.draw(pendulum(0.5, 1.5), step=1) is None
    assert is_open(second)


@pytest.mark.parametrize(
    "event",
    [
        pygame.event.Event(pygame.QUIT),
        pygame.event.Event(pygame.WINDOWCLOSE),
        pygame.event.Event(pygame.KEYDOWN, key=pygame.K_ESCAPE),
    ],
    ids=["quit", "close button", "escape"],
)
def test_the_user_can_close(windows, event):
    pygame.event.post(event)
    windows[0].draw(pendulum(0.5, 1.5), step=0)
    for renderer in windows:
        assert not is_open(renderer)
        assert renderer.draw(pendulum(0.5, 1.5), step=1) is None
        renderer.close()


def test_other_keys_do_not_close(windows):
    pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=pygame.K_SPACE))
    windows[0].draw(pendulum(0.5, 1.5), step=0)
    assert all(map(is_open, windows))


def test_an_event_reaches_its_window_whichever_is_drawn(windows):
    first, second = windows
    pygame.event.post(pygame.event.Event(pygame.WINDOWCLOSE, window=second._window._window))
    first.draw(pendulum(0.5, 1.5), step=0)
    assert is_open(first)
    assert not is_open(second)


@pytest.mark.parametrize("again", [False, True])
def test_another_part_of_the_program_may_quit_pygame(windows, renderer, again):
    before = renderer.draw(pendulum(0.5, 1.5), step=0, captions=CAPTIONS)
    windows[0].draw(pendulum(0.5, 1.5), step=0)
    pygame.quit()
    if again:
        pygame.display.init()
        pygame.font.init()
    windows[0].draw(pendulum(0.5, 1.5), step=1)
    assert not is_open(windows[0])
    after = renderer.draw(pendulum(0.5, 1.5), step=0, captions=CAPTIONS)
    np.testing.assert_array_equal(before, after)


def test_arrays_need_no_window_to_close(renderer):
    renderer.close()
    renderer.close()


# -- arguments and imports ----------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, -5, 99, 100.0, "500", None, True])
def test_a_bad_size_is_named(size):
    with pytest.raises(ConfigurationError, match=r"render_size = .*100 or more"):
        Renderer(size, mode="rgb_array", fps=20)


@pytest.mark.parametrize("mode", ["ansi", None, ["human"]])
def test_a_bad_mode_is_named(mode):
    with pytest.raises(ConfigurationError, match=r"render_mode = .*rgb_array, human"):
        Renderer(100, mode=mode, fps=20)


def test_rendering_imports_no_physics_and_prints_nothing():
    code = "import sys, gym_lagrangian.rendering; sys.exit('jax' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


# -- curves of systems that state no picture ------------------------------------------------------


def curves(*values: float, least: float = 1.0) -> Scene:
    names, units = [f"q{i}" for i in range(len(values))], ["rad"] * len(values)
    return curves_of(names, units, values, [least] * len(values))


class TestCurves:
    """Strips of curves fill the band of the world, each on its own scale."""

    def film(self, size, scenes, ghosts=None, *, first=0, renderer=None, fps=20, **options):
        """The picture after these scenes, one a step."""
        renderer = renderer or Renderer(size, mode="rgb_array", fps=fps)
        scenes = list(scenes)
        for step, scene in enumerate(scenes, first):
            ghost = ghosts[step - first] if ghosts else None
            frame = renderer.draw(scene, step=step, ghost=ghost, **options)
        return frame

    def steady(self, size: int, scene: Scene, ghost: Scene | None = None, **options):
        """The picture after ten seconds of the same."""
        ghosts = None if ghost is None else [ghost] * 11
        return self.film(size, [scene] * 11, ghosts, fps=1, **options)

    def height_of(
        self, frame, index: int, strips: int, colour=colours.BOB, *, strip=False, end=0.8
    ):
        """How far up a curve is in every column it has, -1 and 1 at the ends of its scale."""
        size = len(frame)
        layout = Layout(size, (1.0, 1.0), strip=strip)
        band = layout.curves(strips)[index]
        inside = frame[band.top : band.bottom, size // 2 : round(end * size)]
        rows, columns = np.nonzero(np.all(inside == colour, axis=-1))
        middle = np.array([rows[columns == c].mean() + 0.5 for c in np.unique(columns)])
        return 1 - middle / ((band.height - layout.thin) // 2)

    @pytest.mark.parametrize("size", SIZES)
    @pytest.mark.parametrize("strips", [1, 2, 4, 7])
    @pytest.mark.parametrize("strip", [False, True])
    def test_a_curve_is_where_its_value_says(self, size, strips, strip):
        values = np.linspace(-0.8, 0.9, strips)
        options = {"drifts": (0.0, 0.0)} if strip else {}
        frame = self.steady(size, curves(*values), captions=CAPTIONS, **options)
        band = Layout(size, (1.0, 1.0), strip=strip).curves(strips)[0]
        for i, value in enumerate(values):
            drawn = self.height_of(frame, i, strips, strip=strip)
            assert len(drawn) > 0.2 * size
            np.testing.assert_allclose(drawn, value, atol=3 / band.height)

    def test_the_past_is_on_the_left(self):
        frame = self.film(500, (curves(-0.5 if step < 140 else 0.5) for step in range(200)))
        drawn = self.height_of(frame, 0, 1)
        np.testing.assert_allclose(drawn[:10], -0.5, atol=0.02)
        np.testing.assert_allclose(drawn[-10:], 0.5, atol=0.02)

    def test_the_newest_value_is_marked_at_once(self):
        frame = self.film(500, [curves(0.5)])
        band = Layout(500, (1.0, 1.0)).curves(1)[0]
        plot = frame[band.top + 100 : band.bottom]  # below the text
        rows, _ = np.nonzero(np.all(plot == colours.BOB, axis=-1))
        assert rows.mean() + 100 == pytest.approx(0.25 * band.height, abs=1.5)

    @pytest.mark.parametrize(("largest", "limit"), [(0.3, 1.0), (1.7, 2.0), (13.0, 20.0)])
    def test_the_axis_grows_to_a_round_number(self, largest, limit):
        frame = self.steady(500, curves(-largest))
        np.testing.assert_allclose(self.height_of(frame, 0, 1), -largest / limit, atol=0.01)

    def test_an_angle_that_turns_never_jumps(self):
        frame = self.film(500, (curves(0.05 * step, least=np.pi) for step in range(201)))
        drawn = self.height_of(frame, 0, 1)
        assert np.all(np.diff(drawn) > -0.01)
        assert drawn[-1] - drawn[0] > 0.25

    @pytest.mark.parametrize("size", SIZES)
    @pytest.mark.parametrize("strips", [1, 3, 7])
    def test_a_ghost_is_drawn_in_grey(self, size, strips):
        frame = self.steady(size, curves(*[0.9] * strips), curves(*[-0.9] * strips))
        band = Layout(size, (1.0, 1.0)).curves(strips)[0]
        for i in range(strips):
            # Short of the axis: edges of its numbers are grey as well.
            below = self.height_of(frame, i, strips, colours.TRUTH, end=0.75)
            assert len(below) > 0.2 * size
            np.testing.assert_allclose(below, -0.9, atol=3 / band.height)

    def test_a_ghost_is_drawn_below(self):
        scenes = [curves(np.sin(0.1 * step)) for step in range(200)]
        alone, over = self.film(500, scenes), self.film(500, scenes, scenes)
        np.testing.assert_array_equal(alone[:, 150:], over[:, 150:])
        assert count(over[:, :150], colours.TRUTH) > 0  # its value, beside the curves

    def test_a_ghost_makes_the_axis_grow_too(self):
        frame = self.steady(500, curves(1.0), curves(4.0))
        np.testing.assert_allclose(self.height_of(frame, 0, 1), 0.2, atol=0.01)

    def test_a_ghost_may_come_and_go_or_have_no_curves(self):
        ghosts = [None, curves(0.3), pendulum(0.1, 0.2), curves(0.5), None]
        self.film(200, [curves(0.1)] * 5, ghosts)
        with_bodies = picture(pendulum(0.1, 0.2), ghost=curves(0.3))
        np.testing.assert_array_equal(with_bodies, picture(pendulum(0.1, 0.2)))

    def test_a_value_that_is_not_finite_leaves_a_gap(self):
        values = [0.5] * 100 + [np.nan, np.inf, -np.inf] + [0.5] * 97
        frame = self.film(500, [curves(value) for value in values])
        np.testing.assert_allclose(self.height_of(frame, 0, 1), 0.5, atol=0.01)
        self.film(500, [curves(np.nan)] * 3)

    # -- memory ---------------------------------------------------------------------------------

    def test_memory_begins_anew_at_step_0_and_when_the_step_falls(self, renderer):
        scenes = [curves(0.1 * step) for step in range(6)]
        fresh = self.film(200, scenes[:1])
        assert np.any(self.film(200, scenes, renderer=renderer) != picture(scenes[-1]))
        np.testing.assert_array_equal(self.film(200, scenes[:1], renderer=renderer), fresh)
        self.film(200, scenes, renderer=renderer, first=7)
        again = self.film(200, scenes[:1], renderer=renderer, first=3)
        np.testing.assert_array_equal(again, fresh)

    def test_the_same_step_again_adds_nothing(self, renderer):
        once = self.film(200, [curves(0.1), curves(0.2)], renderer=renderer)
        again = renderer.draw(curves(0.9), step=1)
        np.testing.assert_array_equal(once, again)

    def test_another_number_of_curves_begins_anew(self, renderer):
        self.film(200, [curves(0.1), curves(0.9)], renderer=renderer)
        other = renderer.draw(curves(0.1, 0.2), step=2)
        np.testing.assert_array_equal(other, self.film(200, [curves(0.1, 0.2)], first=2))

    @pytest.mark.parametrize("fps", [5, 20, 1000])
    def test_a_curve_is_remembered_for_ten_seconds(self, fps):
        def late(step: int) -> np.ndarray:
            renderer = Renderer(200, mode="rgb_array", fps=fps)
            renderer.draw(curves(9.0), step=0)
            return renderer.draw(curves(0.2), step=step)

        assert np.any(late(10 * fps) != picture(curves(0.2)))
        np.testing.assert_array_equal(late(10 * fps + 1), picture(curves(0.2)))

    # -- bands ----------------------------------------------------------------------------------

    @pytest.mark.parametrize("size", [*SIZES, 250])
    @pytest.mark.parametrize("strips", range(1, 8))
    @pytest.mark.parametrize("strip", [False, True])
    def test_each_strip_has_a_band_of_its_own(self, size, strips, strip):
        layout = Layout(size, (1.0, 1.0), strip=strip)
        bands = layout.curves(strips)
        ends = [
            layout.world.top,
            *(end for b in bands for end in (b.top, b.bottom)),
            layout.chart.top,
        ]
        assert ends == sorted(ends)
        assert sum(band.height for band in bands) > 0.6 * layout.world.height

    @pytest.mark.parametrize("size", SIZES)
    @pytest.mark.parametrize("strips", [1, 2, 7])
    @pytest.mark.parametrize("options", [{}, {"drifts": (0.01, -0.01)}])
    def test_a_curve_changes_its_strip_only(self, size, strips, options):
        def drawn(i: int, value: float) -> np.ndarray:
            others = [0.0] * strips
            scenes = [curves(*others[:i], end, *others[i + 1 :]) for end in (-value, value)]
            return self.film(size, scenes, scenes[::-1], captions=CAPTIONS, **options)

        layout = Layout(size, (1.0, 1.0), strip=bool(options))
        bands = layout.curves(strips)
        tops = [layout.world.top, *(band.bottom for band in bands)]
        bottoms = [*(band.top for band in bands[1:]), layout.world.bottom]
        for i in range(strips):
            flat, steep = drawn(i, 0.0), drawn(i, 123456.0)
            changed = np.flatnonzero(np.any(flat != steep, axis=(1, 2)))
            assert tops[i] <= changed.min() < changed.max() < bottoms[i]
            assert np.all(steep[:, [0, -1]] == 255)

    @pytest.mark.parametrize("size", SIZES)
    def test_long_labels_leave_room_for_the_curve(self, size):
        names = ["a coordinate of a very long name", "x"]
        scene = curves_of(names, ["kg m / s", ""], [0.5, 0.5], [1.0, 1.0])
        frame = self.steady(size, scene)
        assert len(self.height_of(frame, 0, 2)) > 0.2 * size
        assert np.all(frame[:, [0, -1]] == 255)

    @pytest.mark.parametrize("size", SIZES)
    def test_captions_and_drifts_are_as_with_any_scene(self, size):
        options = {"captions": CAPTIONS, "drifts": (0.01, -0.01)}
        with_curves = self.film(size, [curves(0.1, 0.2, 0.3)] * 9, **options)
        with_bodies = self.film(size, [pendulum(0.1, 0.2)] * 9, **options)
        layout = Layout(size, (1.0, 1.0), strip=True)
        for band in (slice(0, layout.world.top), slice(layout.chart.top, size)):
            np.testing.assert_array_equal(with_curves[band], with_bodies[band])

    def test_gauges_stay_below_the_curves(self):
        scene = curves(0.1)._replace(gauges=(Gauge("v / c", 0.5),))
        top = Layout(500, (1.0, 1.0), 1).world.bottom
        with_gauge, without = picture(scene, 500), picture(particle(0.0, value=0.5), 500)
        np.testing.assert_array_equal(with_gauge[top:], without[top:])

    # -- scenes ---------------------------------------------------------------------------------

    def test_curves_of_coordinates(self):
        scene = curves_of(("theta", "n"), ("rad", ""), np.array([7.5, -1.0]), (np.pi, 2.0))
        assert scene.curves == (Curve("theta (rad)", 7.5, np.pi), Curve("n", -1.0, 2.0))
        assert all(type(curve.value) is float for curve in scene.curves)
        assert scene == Scene(extent=(1.0, 1.0), curves=scene.curves)

    def test_a_coordinate_without_a_value_is_refused(self):
        with pytest.raises(ValueError, match="shorter"):
            curves_of(("x", "y"), ("m", "m"), [1.0], [1.0, 1.0])
