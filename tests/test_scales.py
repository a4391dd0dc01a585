"""Typical magnitudes of a fit: they come from the data and change as their units do."""

from __future__ import annotations

import warnings
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from stranger.systems import CartPole

from gym_lagrangian import FitConfig, System, fit, train
from gym_lagrangian.checkpoints import fresh_model
from gym_lagrangian.learning.config import TrainingConfig
from gym_lagrangian.learning.fit import _settled
from gym_lagrangian.learning.scales import scales, scales_of, seen_as
from gym_lagrangian.learning.transitions import Transitions
from gym_lagrangian.learning.windows import windows
from gym_lagrangian.models.embedding import Embedding
from gym_lagrangian.physics.linear import solve
from gym_lagrangian.registration import NETWORKS, load_model
from gym_lagrangian.systems import DoublePendulum
from gym_lagrangian.systems.coordinates import Coordinates
from gym_lagrangian.systems.task import Drive

SMALL = {"width": 8, "depth": 2}
UNITS = [(100.0, 1.0, 1.0), (1.0, 0.01, 1.0), (1.0, 1.0, 100.0), (0.01, 100.0, 0.01)]
every_unit = pytest.mark.parametrize("unit", UNITS, ids=str)


def swinging(
    rows=1000, dt=0.02, *, noise=0.0, torque=(3.0, 0.5), unit=(1.0, 1.0, 1.0), angular=True
):
    """Sines of 1 and 1.6 Hz about two axes, under sines of torque.

    Arguments:
        noise: of the velocities, in rad/s.
        torque: amplitudes, in N·m or N.
        unit: factors of all masses, lengths and times.
        angular: False for two lengths.
    """
    mass, length, time = unit
    length = 1.0 if angular else length
    t = dt * np.arange(rows + 1)[:, None]
    frequency, size = 2 * np.pi * np.array([1.0, 1.6]), np.array([0.5, 1.0])
    q, qd = size * np.sin(frequency * t), size * frequency * np.cos(frequency * t)
    qd = qd + noise * np.random.default_rng(0).normal(size=qd.shape)
    tau = np.array(torque) * np.sin(3.0 * t[:-1] + np.array([0.0, 1.0]))
    q, qd, tau = length * q, length / time * qd, mass * unit[1] ** 2 / time**2 * tau
    tau = tau if angular else tau / length
    arrays = {"q": q[:-1], "qd": qd[:-1], "next_q": q[1:], "next_qd": qd[1:], "tau": tau}
    return Transitions(Coordinates(("a", "b"), angular=angular), dt=dt * time, **arrays)


def found(data):
    return scales(data, seen_as(data))


# -- estimates --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dt", "noise", "error"), [(0.02, 0.0, 0.02), (0.002, 0.1, 0.15), (0.02, 0.3, 0.15)]
)
def test_the_spread_of_accelerations_is_that_of_the_motion(dt, noise, error):
    """A ω² / √2 of a sine; at 2 ms a difference of two readings would give 70 rad/s²."""
    data = swinging(int(20 / dt), dt, noise=noise)
    expected = np.array([0.5, 1.0]) * (2 * np.pi * np.array([1.0, 1.6])) ** 2 / np.sqrt(2)
    np.testing.assert_allclose(found(data).acceleration, expected, rtol=error)


def test_in_episodes_of_one_transition_a_difference_is_all_there_is():
    data = swinging()
    shuffled = np.random.default_rng(0).permutation(len(data))
    arrays = {name: array[shuffled] for name, array in data.arrays.items()}
    loose = Transitions(data.coordinates, dt=data.dt, **arrays)
    np.testing.assert_allclose(found(loose).acceleration, found(data).acceleration, rtol=0.02)


def test_magnitudes_are_those_of_the_definitions():
    """s, κ = std τ / std q̈, h = mean κ s², T = min s / std q̈."""
    data = swinging()
    typical = found(data)
    np.testing.assert_allclose(typical.speed, 2 * data.qd.std(0))
    np.testing.assert_allclose(typical.mass, data.tau.std(0) / typical.acceleration)
    assert typical.energy == pytest.approx(np.mean(typical.mass * typical.speed**2))
    assert typical.time == pytest.approx(np.min(typical.speed / typical.acceleration))
    assert typical.time == pytest.approx(2 / (2 * np.pi * 1.6), rel=0.02)


@pytest.mark.parametrize("torque", [(3.0, 0.0), (3.0, 1e-3)], ids=["none", "noise"])
def test_a_joint_without_a_motor_has_the_energy_of_those_with_one(torque):
    data = swinging(torque=torque)
    typical = found(data)
    assert typical.energy == pytest.approx(typical.mass[0] * typical.speed[0] ** 2)
    assert typical.energy == pytest.approx(typical.mass[1] * typical.speed[1] ** 2)
    assert all(size > 0 for size in seen_as(data).magnitudes.tau)


def test_without_torques_the_energy_is_a_convention():
    typical = found(swinging(torque=(0.0, 0.0)))
    np.testing.assert_allclose(typical.mass * typical.speed**2, 1.0)


def test_nothing_moves_and_nothing_breaks():
    rest = np.zeros((20, 2))
    arrays = dict.fromkeys(("q", "qd", "next_q", "next_qd"), rest)
    typical = found(Transitions(Coordinates(("a", "b")), dt=0.1, **arrays))
    for value in typical:
        assert np.all(np.asarray(value) > 0)


def cart_pole(mass=1.0, length=1.0, time=1.0) -> System:
    """The stranger's cart-pole, all masses, lengths and times multiplied, its track as well."""
    push = 3.0 * mass * length / time**2

    class Push(Drive):
        force_max: float = push
        actuated: tuple[str, ...] = ("x",)

    class Scaled(CartPole):
        parameters = {  # noqa: RUF012
            "M": mass,
            "m": 0.1 * mass,
            "l": 0.5 * length,
            "g": 9.81 * length / time**2,
        }
        q_scale = (length, 1.0)
        task = Push

    return Scaled()


@every_unit
def test_a_system_has_the_magnitudes_of_the_states_that_it_draws(unit):
    mass, length, time = unit
    one, other = scales_of(cart_pole()), scales_of(cart_pole(*unit))
    units = np.array([length, 1.0])
    np.testing.assert_allclose(other.speed, one.speed * units / time, rtol=1e-4)
    np.testing.assert_allclose(other.acceleration, one.acceleration * units / time**2, rtol=1e-3)
    np.testing.assert_allclose(one.mass, [1.1, 0.1 * 0.5**2], rtol=1e-5)  # M_11 and M_22
    np.testing.assert_allclose(other.mass, one.mass * mass * (length / units) ** 2, rtol=1e-3)
    momentum = one.momentum * mass * length / time * (length / units)
    np.testing.assert_allclose(other.momentum, momentum, rtol=1e-3)
    np.testing.assert_allclose(other.energy, one.energy * mass * (length / time) ** 2, rtol=1e-3)
    np.testing.assert_allclose(other.time, one.time * time, rtol=1e-3)


def test_momenta_of_data_are_the_true_ones_where_these_are_known():
    """Those of the cart, which its pole pushes about, from where its motor does nothing."""
    rng = np.random.default_rng(0)
    q, qd = rng.normal(size=(2, 200, 2))
    arrays = {
        "q": q,
        "qd": qd,
        "next_q": q,
        "next_qd": qd,
        "m": np.tile([1, 0.1, 0.5, 9.81], (200, 1)),
    }
    typical = scales(Transitions(CartPole(), dt=0.1, **arrays), CartPole())
    across = 0.1 * 0.5 * np.cos(q[:, 1])
    cart, pole = 1.1 * qd[:, 0] + across * qd[:, 1], across * qd[:, 0] + 0.025 * qd[:, 1]
    np.testing.assert_allclose(typical.momentum, [2 * cart.std(), 2 * pole.std()], rtol=1e-4)


def test_training_starts_from_these_and_a_recipe_from_the_models_own(tmp_path):
    tiny = {"config": TrainingConfig(steps=1, batch=2), "model_config": SMALL, "metrics": False}
    own = train(CartPole, "LNN", out=tmp_path / "own.safetensors", **tiny)
    typical = scales_of(CartPole())
    assert own.card.model_config["mass_scale"] == typical.mass.tolist()
    assert own.card.model_config["energy_scale"] == typical.energy
    here = train("DoublePendulum", "LNN", out=tmp_path / "here.safetensors", **tiny)
    assert here.card.model_config["energy_scale"] == 20.0
    assert here.card.model_config["mass_scale"] == 1.0


def test_what_is_stated_counts():
    data = swinging()
    stated = Coordinates(("a", "b"), angular=True, qd_scale=(7.0, 8.0))
    seen = seen_as(Transitions(stated, dt=data.dt, **data.arrays))
    assert seen.magnitudes.qd == (7.0, 8.0)
    assert seen.magnitudes.q == (1.0, 1.0)
    np.testing.assert_allclose(seen.magnitudes.tau, 2 * data.tau.std(0))
    pendulum = Transitions("DoublePendulum", dt=data.dt, **data.arrays | {"m": None})
    assert seen_as(pendulum) is pendulum.coordinates


# -- other units ------------------------------------------------------------------------------


@every_unit
@pytest.mark.parametrize("angular", [True, False], ids=["angles", "lengths"])
def test_magnitudes_change_as_their_units_do(unit, angular):
    """All masses × M, lengths × L and times × T: energies × M L² / T², and so on."""
    mass, length, time = unit
    one, other = found(swinging(angular=angular)), found(swinging(unit=unit, angular=angular))
    arm = 1.0 if angular else length
    inertia = mass * length**2 / arm**2
    np.testing.assert_allclose(other.speed, one.speed * arm / time)
    np.testing.assert_allclose(other.acceleration, one.acceleration * arm / time**2)
    np.testing.assert_allclose(other.mass, one.mass * inertia)
    np.testing.assert_allclose(other.energy, one.energy * mass * length**2 / time**2)
    np.testing.assert_allclose(other.time, one.time * time)
    configs = [
        _settled(FitConfig(), swinging(unit=u), found(swinging(unit=u))) for u in (unit, UNITS[0])
    ]
    assert configs[0] == configs[1]


def model_of(data, name, **config):
    settings = found(data).settings(load_model(name).settings())
    key = jax.random.key(0)
    return fresh_model(name, seen_as(data), (), key=key, **settings | SMALL | config)


@pytest.mark.parametrize("unit", UNITS[1:], ids=str)
@pytest.mark.parametrize("name", ["LNN", "DeLaN", "Baseline"])
def test_a_fresh_model_moves_alike_in_all_units(name, unit):
    """The acceleration in units of its magnitude, friction, damping of the solve and all."""
    friction = {} if name == "Baseline" else {"friction": "passive"}
    moved = []
    for data in (swinging(), swinging(unit=unit)):
        model = model_of(data, name, **friction)
        rows = (jnp.asarray(a[:20], jnp.float32) for a in (data.q, data.qd, data.tau))
        qdd = jax.jit(jax.vmap(partial(model.acceleration, m=jnp.zeros(0))))(*rows)
        moved.append(np.array(qdd) / found(data).acceleration)
    np.testing.assert_allclose(moved[1], moved[0], rtol=2e-3, atol=2e-3)


@pytest.mark.slow
@every_unit
@pytest.mark.parametrize("name", ["LNN", "DeLaN"])
def test_a_fit_is_the_same_in_all_units(name, unit, tmp_path):
    """Its error times the time scale, after a few steps."""
    errors = []
    for i, data in enumerate((swinging(300), swinging(300, unit=unit))):
        config = FitConfig.of(name, steps=30, chunk=15, batch=16, warmup=3)
        model_config = SMALL | {"friction": "passive"}
        how = {"config": config, "model_config": model_config, "metrics": False}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            card = fit(data, name, out=tmp_path / f"{i}.safetensors", **how).card
        errors.append(
            [card.metrics[f"{e}_error"] * data.dt for e in ("held_out", "constant_velocity")]
        )
        assert card.model_config["mass_scale"] == found(data).mass.tolist()
    np.testing.assert_allclose(errors[1], errors[0], rtol=1e-2)


def test_the_damped_solve_is_relative_to_typical_masses():
    """A singular M of 1e-6 kg m² gives the numbers of one of 1 kg m²."""
    matrix, force = jnp.array([[1.0, 1.0], [1.0, 1.0 + 1e-4]]), jnp.array([1.0, 2.0])
    one = solve(matrix, force, method="damped")
    small = solve(1e-6 * matrix, 1e-6 * force, method="damped", masses=(1e-6, 1e-6))
    np.testing.assert_allclose(small, one, rtol=1e-4)
    np.testing.assert_array_equal(solve(matrix, force, method="damped", masses=None), one)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_model_takes_its_magnitudes(name):
    """One number and equal numbers a coordinate are the same model."""
    system = DoublePendulum()
    known = load_model(name).settings()
    given = {k: v for k, v in found(swinging()).settings(known).items() if k != "friction_scale"}
    assert given
    alike = {k: np.mean(v) for k, v in given.items()}
    each = {k: [alike[k]] * 2 if isinstance(v, list) else alike[k] for k, v in given.items()}
    x, tau, m = (
        jnp.array([0.5, -1.0, 2.0, 1.0]),
        jnp.array([1.0, -2.0]),
        jnp.array([1, 1, 1, 1, 9.8]),
    )
    moved = []
    for config in (alike, each):
        key = jax.random.key(0)
        model = fresh_model(name, system, (), key=key, **SMALL | config)
        moved.append(model.dynamics(integrator="rk4", substeps=1).step(x, tau, m, 0.05))
    np.testing.assert_allclose(*moved, rtol=1e-4)


# -- what a fit has to beat -------------------------------------------------------------------


def test_constant_velocity_is_an_error_in_numbers():
    """Σ |x − (q + j dt q̇, q̇)| / s / dt, averaged over windows."""
    data = swinging(200)
    _, judge = windows(data, 2, integrator="rk4", substeps=1, share=0.2, seed=0)
    seen, errors = seen_as(data), []
    for start in np.asarray(judge.starts)[: int(judge.count)]:
        for j in (1, 2):
            row = start + j - 1
            q = data.q[start] + j * data.dt * data.qd[start]
            missed = np.abs([data.next_q[row] - q, data.next_qd[row] - data.qd[start]])
            errors.append(np.sum(missed / [[1.0, 1.0], seen.magnitudes.qd]) / data.dt)
    error = judge.constant_velocity_error(Embedding.of(seen))
    assert error == pytest.approx(np.mean(errors), rel=1e-4)


def test_a_fit_that_learned_nothing_says_so(tmp_path):
    """Two steps of a random network with accelerations of the right size are worse than none."""
    config = FitConfig(steps=2, batch=4, horizon=2)
    how = {"config": config, "model_config": SMALL, "metrics": False}
    with pytest.warns(UserWarning, match=r"held-out error of .*/s, and the guess .*/s: it learned"):
        card = fit(swinging(200), "Baseline", out=tmp_path / "m.safetensors", **how).card
    assert card.metrics["held_out_error"] >= card.metrics["constant_velocity_error"]
