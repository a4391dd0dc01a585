"""A charged particle against Newton's law with Lorentz's force, and what follows from it."""

from typing import ClassVar

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

from gym_lagrangian.checkpoints import Card, fresh_model, save
from gym_lagrangian.envs.functional import make as make_functional
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.systems.charged_particle import ChargedParticle, Reach
from gym_lagrangian.systems.coordinates import Parameter
from gym_lagrangian.systems.projection import projected

PATH = "charged_particle:ChargedParticle"
FREE = {"k": 0.0, "Ex": 0.0, "box": 1e6, "velocity_max": 1e6}


def fields(dimensions: int, m) -> tuple[np.ndarray, np.ndarray]:
    """B and E in space, out of the parameters of a particle in a plane or in space."""
    if dimensions == 2:
        return np.array([0.0, 0.0, m[2]]), np.array([m[3], m[4], 0.0])
    return np.array(m[2:5]), np.array(m[5:8])


def newton(q, qd, tau, m) -> np.ndarray:
    """m v̇ = e (E + v × B) − k x + τ, in space, of which a plane shows two components."""
    n = len(q)
    magnetic, electric = fields(n, m)
    velocity = np.array([*qd, 0.0][:3])
    lorentz = m[1] * (electric + np.cross(velocity, magnetic))
    return (lorentz[:n] - m[-1] * np.asarray(q) + tau) / m[0]


@pytest.mark.parametrize("dimensions", [2, 3])
def test_accelerations_of_newton(dimensions):
    system = ChargedParticle(dimensions=dimensions)
    m, state = random_parameters(system), random_states(dimensions)
    m[::2, 1] *= -1.0  # half of the charges negative
    expected = [newton(*row) for row in zip(*state, m, strict=True)]
    np.testing.assert_allclose(accelerations(system, *state, m), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("charge", [2.0, -2.0])
def test_it_turns_on_a_circle(charge):
    """The radius is m v / (e B), the angular velocity −e B / m about z."""
    mass, field, speed = 0.5, 3.0, 1.5
    env = make(PATH, **FREE, m=mass, charge=charge, B=field, dt=0.02)
    states, _ = motion(env, [0.3, -0.2, speed, 0.0], 100)
    radius, omega = mass * speed / (charge * field), -charge * field / mass
    turned = omega * 0.02 * np.arange(101)
    # The centre is a radius to the right of a positive charge.
    expected = [
        0.3 - radius * np.sin(turned),
        -0.2 - radius + radius * np.cos(turned),
        speed * np.cos(turned),
        speed * np.sin(turned),
    ]
    np.testing.assert_allclose(states.T, expected, atol=1e-9)


def test_in_space_it_moves_on_a_helix():
    """Along B the velocity stays, across it the particle turns with e B / m."""
    field, start = np.array([1.0, -2.0, 2.0]), np.array([0.5, 1.0, -0.3])
    size = np.linalg.norm(field)
    options = dict(zip(("Bx", "By", "Bz"), field.tolist(), strict=True))
    env = make(PATH, dimensions=3, **FREE, **options, dt=2 * np.pi / size / 40)
    states, _ = motion(env, [0.0, 0.0, 0.0, *start], 40)
    along = field / size
    np.testing.assert_allclose(states[:, 3:] @ along, start @ along, atol=1e-10)
    np.testing.assert_allclose(states[-1, 3:], start, atol=1e-9)
    period = 2 * np.pi / size
    np.testing.assert_allclose(states[-1, :3], period * (start @ along) * along, atol=1e-9)
    halfway = states[20, :3] - 0.5 * period * (start @ along) * along
    across = np.linalg.norm(start - (start @ along) * along)
    assert np.linalg.norm(halfway) == pytest.approx(2 * across / size, rel=1e-9)


@pytest.mark.parametrize("charge", [1.0, -0.7])
def test_drift_in_crossed_fields(charge):
    """The centre moves with E × B / B² whatever the charge and the mass."""
    field, electric, mass = 4.0, (0.6, -0.9), 1.3
    period = 2 * np.pi * mass / (abs(charge) * field)
    options = {**FREE, "Ex": electric[0], "Ey": electric[1], "m": mass, "charge": charge}
    env = make(PATH, **options, B=field, dt=period / 40)
    states, _ = motion(env, [0.2, 0.1, 1.0, -0.5], 400)
    drift = (states[-1, :2] - states[0, :2]) / (10 * period)
    expected = np.cross([*electric, 0.0], [0.0, 0.0, field])[:2] / field**2
    np.testing.assert_allclose(drift, expected, rtol=1e-8)


def test_drift_in_space():
    magnetic, electric = np.array([1.0, 2.0, -2.0]), np.array([2.0, 1.0, 2.0])
    assert magnetic @ electric == 0.0  # or the particle would be accelerated along B
    named = dict(zip(("Bx", "By", "Bz", "Ex", "Ey", "Ez"), [*magnetic, *electric], strict=True))
    period = 2 * np.pi / np.linalg.norm(magnetic)
    env = make(PATH, dimensions=3, **{**FREE, **named}, dt=period / 20)
    states, _ = motion(env, [0.0] * 6, 100)
    drift = states[-1, :3] / (5 * period)
    np.testing.assert_allclose(drift, np.cross(electric, magnetic) / 9.0, atol=1e-9)


@pytest.mark.parametrize("options", [{}, {"dimensions": 3}, {"B": 40.0}])
def test_energy_is_kept_for_100_seconds(options):
    env = make(PATH, **options, box=1e6)
    n = env.system.n
    _, info = motion(env, [1.0] * n + [-1.0] * n, 2000)
    assert abs(info["energy_drift"]) < 1e-8


@pytest.mark.parametrize("learned", [False, True])
def test_a_stronger_field_takes_more_substeps(learned):
    system = ChargedParticle()
    usual, strong = (
        system.default_substeps(0.05, learned=learned, m_bounds=system.parameter_bounds(**given))
        for given in ({}, {"B": (-400.0, 4.0), "m": (0.5, 2.0)})
    )
    assert usual < 10
    assert strong >= 0.05 * 800.0


def test_the_magnetic_force_does_no_work():
    states, _ = motion(make(PATH, **FREE), [0.0, 0.0, 2.0, 1.0], 200)
    np.testing.assert_allclose(np.linalg.norm(states[:, 2:], axis=1), np.sqrt(5.0), rtol=1e-10)


def test_forced_motion_of_scipy():
    env = make(PATH, dimensions=3, By=1.0, box=1e6)
    m = env.system.parameter_bounds(By=1.0)[0]
    push = np.full(3, 0.5 * 4.0)

    def derivative(_, y):
        return [*y[3:], *newton(y[:3], y[3:], push, m)]

    start = [0.5, -0.4, 0.3, 1.0, 0.0, -1.0]
    options = {"method": "DOP853", "rtol": 1e-12, "atol": 1e-12}
    truth = solve_ivp(derivative, (0, 2), start, **options).y[:, -1]
    states, _ = motion(env, start, 40, action=0.5)
    np.testing.assert_allclose(states[-1], truth, atol=1e-8)


def test_free_motion_stays_in_the_box_and_turns_several_times():
    env = make(PATH)
    env.reset(seed=0)
    states, ended = _episode(env)
    assert not ended
    assert np.abs(states[:, :2]).max() < env.task.box
    turned = np.unwrap(np.arctan2(states[:, 3], states[:, 2]))
    assert abs(turned[-1] - turned[0]) / (2 * np.pi) > 5


def _episode(env, steps: int = 500) -> tuple[np.ndarray, bool]:
    states, ended = [], False
    for _ in range(steps):
        _, _, terminated, truncated, info = env.step(np.zeros(env.action_space.shape, np.float32))
        states.append(info["state"])
        ended = ended or terminated or truncated
    return np.array(states), ended


class Gradient(ChargedParticle):
    """A field that grows with x, B = b x, of A = (0, b x² / 2), and a well φ = c (x² − y²)."""

    parameters: ClassVar[dict[str, Parameter]] = {
        "m": Parameter(1.0),
        "charge": Parameter(1.0),
        "B": Parameter(0.0),
        "b": Parameter(2.0),
        "c": Parameter(0.5),
        "k": Parameter(0.0),
    }

    def vector_potential(self, x, m):
        return 0.0 * x[0], 0.5 * self.named(m).b * x[0] ** 2

    def scalar_potential(self, x, m):
        return self.named(m).c * (x[0] ** 2 - x[1] ** 2)


def test_a_subclass_states_other_fields():
    q, qd, tau = random_states(2)
    m = np.tile([1.0, 1.0, 0.0, 2.0, 0.5, 0.0], (len(q), 1))
    field, c = 2.0 * q[:, 0], 0.5
    expected = tau + np.stack([field * qd[:, 1], -field * qd[:, 0]], axis=1)
    expected -= 2 * c * q * [1.0, -1.0]
    np.testing.assert_allclose(accelerations(Gradient(), q, qd, tau, m), expected, atol=1e-12)


# -- task -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_target_is_worth_most(dimensions):
    system = ChargedParticle(dimensions=dimensions)
    task, zero, action = Reach(coordinates=system), np.zeros(dimensions), jnp.zeros(dimensions)
    there = zero.copy()
    there[:2] = 0.7, -0.4
    at, away = (task_state(system, q, goal=(0.7, -0.4)) for q in (there, -there))
    fast = task_state(system, there, np.ones(dimensions), goal=(0.7, -0.4))
    assert float(task.reward(away, action, at)) == pytest.approx(1.0)
    assert float(task.reward(at, action, away)) < 0.1
    assert 0.5 < float(task.reward(at, action, fast)) < 0.95
    assert task.at_goal(at)
    assert not task.at_goal(away)
    assert not task.at_goal(fast)


def test_leaving_the_box_terminates():
    env = make(PATH, dimensions=3, box=1.5, **QUICK)
    env.reset(options={"state": [0.0, 0.0, -1.49, 0.0, 0.0, -2.0]})
    observation, _, terminated, truncated, info = env.step(np.zeros(3, np.float32))
    assert terminated
    assert not truncated
    assert not info["diverged"]
    assert info["state"][2] < -1.5
    assert env.observation_space.contains(observation)


def test_targets_differ_from_episode_to_episode():
    env = make(PATH, dimensions=3, **QUICK)
    targets = {tuple(env.reset(seed=seed)[1]["goal"]) for seed in range(3)}
    assert len(targets) == 3
    observation, info = env.reset(seed=0)
    np.testing.assert_allclose(observation[-2:], info["goal"], rtol=1e-6)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_check_env_finds_nothing(dimensions):
    passes_the_checker(PATH, dimensions=dimensions)


def test_a_checkpoint_knows_its_dimensions(tmp_path):
    system = ChargedParticle(dimensions=3)
    key = jax.random.key(0)
    model = fresh_model("Baseline", system, (), key=key, width=8, depth=2)
    card = Card.of(
        system,
        parameters=system.fixed_parameters(()),
        conditioned_on=(),
        model="Baseline",
        model_config=model.config,
    )
    save(tmp_path / "particle.safetensors", model, card)
    env, _ = make_functional(checkpoint=tmp_path / "particle.safetensors")
    assert env.coordinates == system
    assert env.coordinates != ChargedParticle()


# -- pictures -------------------------------------------------------------------------------------


def test_the_picture_in_a_plane():
    system = ChargedParticle()
    tau = np.array([-4.0, 2.0])
    scene = Reach(coordinates=system).scene(
        task_state(system, [0.5, -1.0], goal=(1.2, 0.3), tau=tau)
    )
    (bob,), (push,) = scene.bobs, scene.forces
    assert bob.centre == push.start == scene.trace == (0.5, -1.0)
    np.testing.assert_allclose(push.share * np.array(push.along), [-1.0, 0.5])
    assert scene.target == (1.2, 0.3)
    assert np.abs(np.concatenate(scene.lines)).max() == 3.0 < scene.extent[0]


def test_the_picture_in_space():
    system = ChargedParticle(dimensions=3)
    place = [0.5, -1.0, 2.0]
    scene = Reach(coordinates=system).scene(
        task_state(system, place, goal=(1.2, 0.3), tau=np.array([0.0, 0.0, -4.0]))
    )
    assert scene.bobs[0].centre == pytest.approx(projected(place).tolist())
    assert scene.target == pytest.approx(projected([1.2, 0.3, 0.0]).tolist())
    assert scene.forces[0].along == pytest.approx((0.0, -1.0))
    drawn = np.abs(np.concatenate(scene.lines)).max(axis=0)
    assert np.all(drawn < scene.extent)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"m": -1.0}, "ChargedParticle parameter m = -1.0: expected a positive number"),
        ({"k": -1.0}, "ChargedParticle parameter k = -1.0: expected at least 0"),
        ({"dimensions": 4}, "ChargedParticle dimensions = 4: expected 2, a plane, or 3, space"),
        ({"dimensions": 2.0}, "ChargedParticle dimensions = 2.0: expected a whole number"),
        ({"B": (0.0, 0.0, 4.0)}, r"parameter B = \(0.0, 0.0, 4.0\): expected a finite number in T"),
        ({"Bz": 4.0}, "ChargedParticle takes no argument 'Bz'; it takes m, charge, B, Ex, Ey, k"),
        ({"dimensions": 3, "B": 4.0}, "takes no argument 'B'; it takes m, charge, Bx, By, Bz, Ex"),
        ({"Ez": 1.0}, "ChargedParticle takes no argument 'Ez'"),
        ({"B": float("nan")}, "ChargedParticle parameter B = nan: expected a finite number"),
        ({"box": 0.0}, "Reach box = 0.0: expected a positive number"),
        ({"force_max": -1.0}, "Reach.force_max = -1.0: expected a positive number"),
        ({"force_max": (1.0, 2.0, 3.0)}, "Reach.force_max has 3 values, expected 2"),
        ({"target_z": 1.0}, "ChargedParticle takes no argument 'target_z'"),
    ],
)
def test_bad_input(options, message):
    with pytest.raises(ConfigurationError, match=message):
        make(PATH, **options)
