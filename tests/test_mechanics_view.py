"""A physicist's view: energies, momenta and forces of truth and of models, under the same names."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file

from gym_lagrangian import checkpoints
from gym_lagrangian.errors import CheckpointError, ConfigurationError
from gym_lagrangian.systems import DoublePendulum, RelativisticParticle

RNG = np.random.default_rng(0)
Q, QD, TAU = RNG.uniform(-3.0, 3.0, (3, 40, 2)) * np.array([1.0, 2.0, 1.5])[:, None, None]
TRUTH = DoublePendulum().mechanics
LEARNED = ["LNN", "DeLaN", "HNN"]


def model(name):
    return checkpoints.load(f"DoublePendulum{name}").mechanics


VIEWS = [pytest.param(lambda: TRUTH, id="truth")]
VIEWS += [pytest.param(lambda n=name: model(n), id=name) for name in LEARNED]


# -- physics --------------------------------------------------------------------------------


def test_the_double_pendulum_in_closed_form():
    """V = −(m1 + m2) g l1 cos θ1 − m2 g l2 cos θ2, and T with its mass matrix."""
    m1, m2, l1, l2, g = 1.2, 0.7, 0.9, 1.1, 9.8
    given = {"m1": m1, "m2": m2, "l1": l1, "l2": l2}
    potential = -(m1 + m2) * g * l1 * np.cos(Q[:, 0]) - m2 * g * l2 * np.cos(Q[:, 1])
    np.testing.assert_allclose(TRUTH.potential(Q, **given), potential, rtol=1e-12)
    mixed = m2 * l1 * l2 * np.cos(Q[:, 0] - Q[:, 1])
    entries = [[np.full(40, (m1 + m2) * l1**2), mixed], [mixed, np.full(40, m2 * l2**2)]]
    matrix = np.moveaxis(np.array(entries), 2, 0)
    np.testing.assert_allclose(TRUTH.mass_matrix(Q, **given), matrix, rtol=1e-12)
    momentum = np.einsum("sij,sj->si", matrix, QD)
    np.testing.assert_allclose(TRUTH.momentum(Q, QD, **given), momentum, rtol=1e-12)
    kinetic = 0.5 * np.sum(momentum * QD, axis=1)
    np.testing.assert_allclose(TRUTH.kinetic(Q, QD, **given), kinetic, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("view", VIEWS)
def test_forces_and_energies_belong_together(view):
    """τ back from the q̈ that it causes; E = T + V; M = ∂p/∂q̇; dE/dt = q̇ᵀτ along the motion."""
    found = view()
    qdd = found.acceleration(Q, QD, TAU)
    assert qdd.dtype == np.float64
    # The solve of an LNN is damped, see `physics.linear`.
    tolerance = 1e-5 if "LNN" in repr(found) else 1e-8
    np.testing.assert_allclose(found.inverse_dynamics(Q, QD, qdd), TAU, rtol=0, atol=tolerance)
    energy = found.energy(Q, QD)
    np.testing.assert_allclose(energy, found.kinetic(Q, QD) + found.potential(Q), atol=1e-10)
    matrix = found.mass_matrix(Q, QD)
    np.testing.assert_allclose(matrix, np.swapaxes(matrix, 1, 2), atol=1e-8)
    assert np.all(np.linalg.eigvalsh(matrix) > 0)
    if "HNN" in repr(found):
        return  # its velocity is its own ∂H/∂p, close to q̇ and not equal to it
    h = 1e-5
    for i in range(2):
        step = h * np.eye(2)[i]
        slope = (found.momentum(Q, QD + step) - found.momentum(Q, QD - step)) / (2 * h)
        np.testing.assert_allclose(matrix[:, :, i], slope, rtol=1e-5, atol=1e-6)
    later, earlier = (found.energy(Q + s * QD * h, QD + s * qdd * h) for s in (1, -1))
    rate = (later - earlier) / (2 * h)
    np.testing.assert_allclose(rate, np.sum(QD * TAU, axis=1), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", LEARNED)
def test_learned_energies_are_the_true_ones_but_for_a_constant(name):
    found = model(name)
    off = found.energy(Q, QD) - TRUTH.energy(Q, QD)
    assert np.std(off) < 0.005 * 29.4
    off = found.inverse_dynamics(Q, QD, TAU) - TRUTH.inverse_dynamics(Q, QD, TAU)
    assert np.median(np.abs(off)) < 0.1


# -- precision and shapes -------------------------------------------------------------------


def test_precision_is_kept():
    single = Q.astype(np.float32)
    found = model("LNN")
    assert found.potential(Q).dtype == np.float64
    assert found.potential(single, m1=1.0).dtype == np.float32
    assert found.potential(Q.tolist()).dtype == np.float64
    assert found.mass_matrix(single).dtype == np.float32
    inside = found.potential(jnp.asarray(single))
    assert isinstance(inside, jax.Array)
    assert inside.dtype == jnp.float32
    np.testing.assert_allclose(found.potential(single), inside, rtol=1e-4, atol=1e-3)
    assert jnp.result_type(float) == jnp.float32


def test_shapes_and_a_mass_for_each():
    assert TRUTH.potential([0.1, 0.2]).shape == ()
    grid = np.zeros((3, 5, 2))
    assert TRUTH.potential(grid).shape == (3, 5)
    assert TRUTH.mass_matrix(grid).shape == (3, 5, 2, 2)
    assert TRUTH.momentum(grid, [1.0, 2.0]).shape == (3, 5, 2)
    masses = np.linspace(0.5, 1.5, 5)
    found = TRUTH.potential(grid, m1=masses)
    assert found.shape == (3, 5)
    for i, mass in enumerate(masses):
        assert found[0, i] == pytest.approx(TRUTH.potential([0.0, 0.0], m1=mass))


def test_within_jax():
    """The force of gravity, and how the energy changes with a mass."""
    q = jnp.array([0.3, 0.2])
    force = jax.jit(jax.grad(lambda q: TRUTH.potential(q)))(q)
    np.testing.assert_allclose(force, [19.6 * np.sin(0.3), 9.8 * np.sin(0.2)], rtol=1e-5)
    slope = jax.grad(lambda m1: TRUTH.potential(q, m1=m1))(1.0)
    assert slope == pytest.approx(-9.8 * np.cos(0.3), rel=1e-5)


# -- parameters -----------------------------------------------------------------------------


def test_what_is_filled_in():
    assert TRUTH.parameters == {"m1": 1.0, "m2": 1.0, "l1": 1.0, "l2": 1.0, "g": 9.8}
    assert model("LNN").parameters == TRUTH.parameters
    particle = checkpoints.load("RelativisticParticleLNN").mechanics
    assert particle.parameters == {"m": 1.0, "c": 1.0}
    for view in (particle, RelativisticParticle().mechanics):
        with pytest.raises(ConfigurationError, match=r"g of Relativ.* no value of its own.*g=…"):
            view.potential([1.0])
        assert np.isfinite(view.potential([1.0], g=2.0))
    assert RelativisticParticle().mechanics.potential([3.0], g=2.0) == pytest.approx(-6.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda v: v.potential(Q, m3=1.0), "no parameter 'm3'; it has m1"),
        (lambda v: v.potential(Q, m1=-1.0), "m1 = .*expected a positive number"),
        (lambda v: v.potential(Q, m1=[1.0, np.nan]), "m1 = .*expected a positive number"),
        (lambda v: v.potential(Q, m1="heavy"), "m1 = 'heavy'"),
        (lambda v: v.potential([1.0, 2.0, 3.0]), r"q is float64 of shape \(3,\), expected real"),
        (lambda v: v.energy(Q, 1.0), r"qd is float64 of shape \(\)"),
        (lambda v: v.potential(Q * 1j), "q is complex128"),
        (lambda v: v.potential([[1.0], [1.0, 2.0]]), "rows of unlike lengths"),
        (lambda v: v.potential(["a", "b"]), "expected real numbers"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ConfigurationError, match=message):
        call(TRUTH)


def test_parameters_at_which_a_model_was_not_trained():
    with pytest.raises(CheckpointError, match=r"the model was trained at m1 = 1\.0, not 1\.4"):
        model("LNN").potential(Q, m1=1.4)


@pytest.mark.parametrize("name", ["Baseline", "NODE"])
def test_a_field_without_an_energy(name):
    found = model(name)
    assert found.acceleration(Q, QD).shape == (40, 2)
    with pytest.raises(ConfigurationError, match=f"{name} has no potential.*LNN, DeLaN and HNN"):
        found.potential(Q)


# -- plain arrays ---------------------------------------------------------------------------


def test_the_weights_are_plain_arrays():
    """The Lagrangian of a shipped LNN in NumPy alone, as the module of checkpoints describes."""
    arrays = load_file(checkpoints.resolve("DoublePendulumLNN"))
    layers = [
        [arrays[f"model.network.{kind}.{i}"].astype(float) for kind in ("weights", "biases")]
        for i in range(4)
    ]

    def lagrangian(q, qd):
        x = np.concatenate([np.cos(q), np.sin(q), qd / 5.0])
        for weight, bias in layers[:-1]:
            x = np.logaddexp(0.0, weight @ x + bias)
        weight, bias = layers[-1]
        return 20.0 * (weight @ x + bias)[0] + 0.5 * np.sum(qd**2)

    found = [-lagrangian(q, np.zeros(2)) for q in Q]
    np.testing.assert_allclose(model("LNN").potential(Q), found, rtol=1e-9)
