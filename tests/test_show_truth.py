"""The exact twin drawn behind a learned environment, and play with the arrow keys."""

import gymnasium
import numpy as np
import pygame
import pytest
from gymnasium.utils.play import play

import gym_lagrangian  # noqa: F401
from gym_lagrangian.rendering import Layout
from gym_lagrangian.rendering.colours import BOB, GHOST_BOB, TRUTH

START = np.array([2.0, 1.0, 0.0, 0.0])


def drawn(env: gymnasium.Env, steps: int) -> np.ndarray:
    env.reset(seed=0, options={"state": START})
    for _ in range(steps):
        env.step(np.array([0.5, -0.5], np.float32))
    return env.render()


def share_of(frame: np.ndarray, colour: tuple[int, int, int]) -> float:
    return float(np.mean(np.all(frame == np.array(colour, np.uint8), axis=-1)))


@pytest.fixture(scope="module")
def learned(lnn_checkpoint):
    """An untrained model: it parts from the truth at once."""
    env = gymnasium.make(
        "DoublePendulum-v0", checkpoint=lnn_checkpoint, render_mode="rgb_array", show_truth=True
    )
    yield env
    env.close()


def test_ghost_is_where_the_exact_environment_is(learned):
    frame = drawn(learned, 10)
    exact = gymnasium.make("DoublePendulum-v0")
    exact.reset(seed=0, options={"state": START})
    for _ in range(10):
        *_, info = exact.step(np.array([0.5, -0.5], np.float32))
    system = exact.unwrapped.system
    q, qd = np.split(info["state"], 2)
    scene = system.scene(q, qd, np.zeros(2), np.array([1.0, 1.0, 1.0, 1.0, 9.8]))
    layout = Layout(500, scene.extent, strip=True)
    column, row = (round(value) for value in layout.to_pixels(scene.bobs[1].centre))
    near = frame[row - 2 : row + 3, column - 2 : column + 3].reshape(-1, 3)
    assert any(tuple(pixel) == GHOST_BOB for pixel in near)


def test_the_strip_tells_the_baseline_from_the_lnn():
    """On one scale, from one energetic start: the truth flat, the LNN nearly so."""

    def unrest(model: str, colour: tuple[int, int, int]) -> float:
        """Standard deviation of a curve's height, in pixels of a strip of ±0.1 %."""
        env = gymnasium.make(f"DoublePendulum{model}-v0", render_mode="rgb_array", show_truth=True)
        env.reset(options={"state": (2.8, 3, 2, -2)})
        for _ in range(200):
            env.step(np.zeros(2, np.float32))
            frame = env.render()
        band = frame[Layout(500, (1.0, 1.0), strip=True).chart.top :, 150:400]
        rows, columns = np.nonzero(np.all(band == np.array(colour, np.uint8), axis=-1))
        return float(np.std([rows[columns == column].mean() for column in np.unique(columns)]))

    assert unrest("LNN", TRUTH) < 1.5
    assert unrest("Baseline", BOB) > max(4.0, 1.5 * unrest("LNN", BOB))


def test_steps_that_are_not_drawn_are_in_the_picture_of_a_later_one(learned):
    """The chart of energies and the path of the tip are those of every step."""

    def last(every: int) -> np.ndarray:
        learned.reset(seed=0, options={"state": START})
        for step in range(30):
            learned.step(np.array([0.5, -0.5], np.float32))
            if step % every == 0:
                learned.render()
        return learned.render()

    np.testing.assert_array_equal(last(every=30), last(every=1))


def test_no_ghost_unless_asked_for(lnn_checkpoint, learned):
    plain = gymnasium.make("DoublePendulum-v0", checkpoint=lnn_checkpoint, render_mode="rgb_array")
    assert share_of(drawn(plain, 10), GHOST_BOB) < 1e-4  # a few blended pixels at most
    assert share_of(drawn(learned, 10), GHOST_BOB) > 1e-3


def test_twin_changes_nothing_of_what_is_simulated(lnn_checkpoint, learned):
    plain = gymnasium.make("DoublePendulum-v0", checkpoint=lnn_checkpoint)
    for env in (plain, learned):
        env.reset(seed=3)
    for _ in range(5):
        one = plain.step(np.array([1.0, 0.0], np.float32))
        two = learned.step(np.array([1.0, 0.0], np.float32))
    np.testing.assert_array_equal(one[0], two[0])


def test_twin_is_not_stepped_where_nothing_is_drawn(lnn_checkpoint):
    env = gymnasium.make("DoublePendulum-v0", checkpoint=lnn_checkpoint, show_truth=True)
    env.reset(seed=0)
    assert env.unwrapped._twin is None


def test_set_state_takes_the_twin_along(learned):
    drawn(learned, 20)
    learned.unwrapped.set_state(START)
    system = learned.unwrapped.system
    scene = system.scene(START[:2], START[2:], np.zeros(2), np.array([1.0, 1.0, 1.0, 1.0, 9.8]))
    frame = learned.render()
    # Both are at the start: the model's bobs and rods cover the ghost's.
    assert share_of(frame, GHOST_BOB) < 0.0005
    assert scene.trace is not None


def test_arrow_keys_drive_the_actuators(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    env = gymnasium.make("DoublePendulum-v0", render_mode="rgb_array", render_size=120)
    actions = []

    def watch(_before, _after, action, *_):
        actions.append(np.array(action))
        if len(actions) == 2:
            pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=pygame.K_RIGHT))
        if len(actions) == 4:
            pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=pygame.K_DOWN))
        if len(actions) == 6:
            pygame.event.post(pygame.event.Event(pygame.QUIT))

    play(env, callback=watch, noop=np.zeros(2, np.float32), fps=200)
    np.testing.assert_array_equal(actions[0], [0, 0])
    np.testing.assert_array_equal(actions[3], [1, 0])
    np.testing.assert_array_equal(actions[5], [1, -1])
