"""Kepler's problem against Newton's law and Kepler's, and what is conserved."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from system_helpers import (
    QUICK,
    accelerations,
    make,
    motion,
    passes_the_checker,
    random_parameters,
    random_states,
    task_state,
)

from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.systems.kepler import HoldOrbit, Kepler

PATH = "kepler:Kepler"
MU = 4.0


def newton(q, tau, m) -> np.ndarray:
    """−μ x / (x² + y² + s²)^(3/2) + F / m."""
    mass, mu, softening = m
    return -mu * q / (q @ q + softening**2) ** 1.5 + tau / mass


def test_accelerations_of_newton():
    system = Kepler()
    (q, qd, tau), m = random_states(2), random_parameters(system)
    m[::2, 2] = 0.0  # half of them without softening
    expected = [newton(*row) for row in zip(q, tau, m, strict=True)]
    np.testing.assert_allclose(accelerations(system, q, qd, tau, m), expected, rtol=1e-11)


def pericentre_start(a: float, eccentricity: float) -> list[float]:
    """The state on the x axis nearest to the centre, of an orbit of semi-major axis a."""
    near = a * (1.0 - eccentricity)
    return [near, 0.0, 0.0, np.sqrt(MU * (2.0 / near - 1.0 / a))]


@pytest.mark.parametrize(("a", "eccentricity"), [(1.0, 0.0), (1.6, 0.5)])
def test_period_of_keplers_third_law(a, eccentricity):
    start = pericentre_start(a, eccentricity)
    period = 2 * np.pi * np.sqrt(a**3 / MU)
    states, _ = motion(make(PATH, dt=period / 50), start, 50)
    np.testing.assert_allclose(states[-1], start, atol=1e-8)
    far = np.array([-a * (1 + eccentricity), 0.0])
    np.testing.assert_allclose(states[25, :2], far, atol=1e-8)


def test_energy_angular_momentum_and_the_vector_of_laplace_runge_and_lenz_are_kept():
    """Over 100 s, on an orbit from just outside of a collision to near escape."""
    start = pericentre_start(1.6, 0.72)
    states, info = motion(make(PATH), start, 2000)
    (x, y), (v, w) = states[:, :2].T, states[:, 2:].T
    momentum, distance = x * w - y * v, np.hypot(x, y)
    lenz = np.stack([w * momentum - MU * x / distance, -v * momentum - MU * y / distance])
    assert abs(info["energy_drift"]) < 1e-8
    assert 0.44 < distance.min() < 0.5
    assert 2.7 < distance.max() < 2.8
    np.testing.assert_allclose(momentum, momentum[0], rtol=1e-9)
    np.testing.assert_allclose(lenz.T, np.tile([0.72 * MU, 0.0], (len(x), 1)), atol=1e-7)


def test_forced_motion_of_scipy():
    env = make(PATH, softening=0.3, m=2.0)
    m = env.system.parameter_bounds(softening=0.3, m=2.0)[0]
    push = np.full(2, 0.5 * 0.5)

    def derivative(_, y):
        return [*y[2:], *newton(y[:2], push, m)]

    start = [1.0, 0.2, -0.3, 1.8]
    options = {"method": "DOP853", "rtol": 1e-12, "atol": 1e-12}
    truth = solve_ivp(derivative, (0, 2), start, **options).y[:, -1]
    states, _ = motion(env, start, 40, action=0.5)
    np.testing.assert_allclose(states[-1], truth, atol=1e-8)


# -- task -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("angle", [0.0, 2.0])
def test_the_orbit_is_worth_most(angle):
    system, radius = Kepler(), 1.44
    task, action = HoldOrbit(coordinates=system), jnp.zeros(2)
    out = np.array([np.cos(angle), np.sin(angle)])
    along = np.array([-out[1], out[0]]) * np.sqrt(MU / radius)
    on, back, far = (
        task_state(system, place, speed, goal=(radius,))
        for place, speed in ((radius * out, along), (radius * out, -along), (2 * out, along))
    )
    assert float(task.reward(far, action, on)) == pytest.approx(1.0, abs=1e-5)
    assert float(task.reward(on, action, back)) == pytest.approx(0.5, abs=1e-5)
    assert float(task.reward(on, action, far)) < 0.2
    assert task.at_goal(on)
    assert not task.at_goal(back)
    assert not task.at_goal(far)


def test_free_motion_stays_on_the_orbit_to_reach():
    env = make(PATH, radius=1.0, **{**QUICK, "substeps": 4})
    env.reset(options={"state": [1.0, 0.0, 0.0, 2.0]})
    for _ in range(100):
        _, reward, terminated, _, info = env.step(np.zeros(2, np.float32))
        assert reward > 0.99
        assert not terminated
    assert info["success"]


class TestTermination:
    def test_a_collision(self):
        env = make(PATH)
        env.reset(options={"state": [1.0, 0.0, 0.0, 0.3]})
        distances, terminated = [], False
        while not terminated:
            _, _, terminated, truncated, info = env.step(np.zeros(2, np.float32))
            distances.append(np.hypot(*info["state"][:2]))
            assert not truncated
            assert not info["diverged"]
            assert len(distances) < 40
        assert distances[-1] < 0.4 < distances[-2]
        assert abs(info["energy_drift"]) < 1e-8

    def test_an_escape(self):
        env = make(PATH, **QUICK)
        env.reset(options={"state": [0.0, 2.95, 0.0, 2.0]})
        observation, _, terminated, truncated, info = env.step(np.zeros(2, np.float32))
        assert terminated
        assert not truncated
        assert not info["diverged"]
        assert info["state"][1] > 3.0
        assert env.observation_space.contains(observation)


def test_check_env_finds_nothing():
    passes_the_checker(PATH)


def test_states_to_learn_from_keep_clear_of_the_centre():
    system = Kepler()
    keys = jax.random.split(jax.random.key(0), 500)
    distances = np.linalg.norm(jax.vmap(system.sample)(keys).q, axis=1)
    assert distances.min() >= 0.35
    assert distances.max() <= 3.3
    starts = jax.vmap(system.distributions().starts)(keys)
    q, qd = (np.asarray(part, np.float64) for part in (starts.q, starts.qd))
    r, momentum = np.linalg.norm(q, axis=1), q[:, 0] * qd[:, 1] - q[:, 1] * qd[:, 0]
    energy = 0.5 * np.sum(qd**2, axis=1) - MU / r
    eccentricity = np.sqrt(np.maximum(0.0, 1 + 2 * energy * momentum**2 / MU**2))
    assert np.all(energy < 0.0)
    assert np.all(-MU / (2 * energy) * (1 - eccentricity) > 0.4), "none of them collides"
    assert 0.3 < np.mean(momentum > 0) < 0.7


def test_the_picture():
    system = Kepler()
    scene = HoldOrbit(coordinates=system).scene(
        task_state(system, [0.6, -1.1], goal=(1.5,), tau=np.array([0.0, 0.5]))
    )
    assert scene.bobs[-1].centre == scene.trace == (0.6, -1.1)
    np.testing.assert_allclose(np.linalg.norm(scene.course, axis=1), 1.5)
    radii = [np.linalg.norm(line, axis=1) for line in scene.lines]
    np.testing.assert_allclose([r.mean() for r in radii], [0.4, 3.0])
    assert scene.extent[0] > 3.0
    assert scene.forces[0].along == (0.0, 1.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"m": -1.0}, "Kepler parameter m = -1.0: expected a positive number"),
        ({"mu": 0.0}, "Kepler parameter mu = 0.0: expected a positive number"),
        ({"softening": -0.1}, "Kepler parameter softening = -0.1: expected at least 0"),
        ({"radius": -1.0}, "HoldOrbit parameter radius = -1.0: expected a positive number"),
        ({"collision": 0.0}, "HoldOrbit collision = 0.0: expected a positive number"),
        ({"escape": 0.3}, "HoldOrbit escape = 0.3: expected more than collision = 0.4 m"),
        ({"force_max": 0.0}, "HoldOrbit.force_max = 0.0: expected a positive number"),
        ({"G": 1.0}, "Kepler takes no argument 'G'; it takes m, mu, softening, "),
    ],
)
def test_bad_input(options, message):
    with pytest.raises(ConfigurationError, match=message):
        make(PATH, **options)
