"""Coordinates on which a Lagrangian does not depend, and what every model makes of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gym_lagrangian import Coordinates, FitConfig, Machine, checkpoints, fit
from gym_lagrangian.checkpoints import fresh_model
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.learning.transitions import Transitions
from gym_lagrangian.models.embedding import Embedding
from gym_lagrangian.registration import MODELS, build_system, load_system

CART = Coordinates(("x", "theta"), angular=(False, True), name="Cart", cyclic=("x",))
TURNTABLE = Coordinates(("heading", "arm"), angular=True, name="Turntable", cyclic=("heading",))
MODELS_OF_DATA = ("LNN", "DeLaN", "Baseline", "NODE", "MLP", "NoncanonicalHNN")


def fresh(model, coordinates=CART, **settings):
    """A model with random weights."""
    settings = {"width": 8, "depth": 2} | settings
    return fresh_model(model, coordinates, (), key=jax.random.key(0), **settings)


def states(count=20):
    q, qd, tau = np.random.default_rng(0).normal(size=(3, count, 2))
    return q, qd, tau


@pytest.mark.parametrize("coordinates", [CART, TURNTABLE], ids=lambda one: one.name)
@pytest.mark.parametrize("model", MODELS_OF_DATA)
def test_motion_is_the_same_wherever_it_begins(model, coordinates):
    moved = np.array([1.7, 0.0, 0.0, 0.0])
    q, qd, tau = states()
    x, forces = np.hstack([q, qd]), tau[:, None].repeat(3, axis=1)
    friction = {"friction": "passive"} if model in ("LNN", "DeLaN") else {}
    built = fresh(model, coordinates, **friction)
    here, there = (built.predict(start, forces, dt=0.01) for start in (x, x + moved))
    np.testing.assert_allclose(there, here + moved, atol=1e-4)
    np.testing.assert_array_less(1e-6, np.abs(here[:, -1] - x).max(axis=0))  # it moves


@pytest.mark.parametrize("model", ["LNN", "DeLaN"])
def test_its_momentum_is_conserved_and_no_other(model):
    """Noether: ṗ = ∂L/∂q, which is zero along a cyclic coordinate."""
    with jax.enable_x64(True):
        regular = {"quadratic_start": 1.0} if model == "LNN" else {}
        built = jax.tree.map(lambda leaf: 0.2 * leaf.astype(jnp.float64), fresh(model, **regular))

        def rate(q, qd):
            zero, m = jnp.zeros(2), jnp.zeros(0)
            qdd = built.acceleration(q, qd, zero, m)
            momentum = lambda q, qd: built.momentum(q, qd, m)  # noqa: E731
            return jax.jvp(momentum, (q, qd), (qd, qdd))[1]

        q, qd, _ = states()
        rates = np.abs(jax.jit(jax.vmap(rate))(q, qd))
    assert rates[:, 0].max() < 1e-6 * rates[:, 1].max()


@pytest.mark.parametrize("name", ["GymnasiumCartPole", "PilcoCartDoublePendulum"])
def test_of_a_system_is_what_its_lagrangian_does_not_depend_on(name):
    with jax.enable_x64(True):
        system = build_system(load_system(name), {})
        q, qd = np.random.default_rng(1).normal(size=(2, system.n))
        m = jnp.asarray(system.parameter_bounds()[0])
        slope = jax.grad(lambda q: system.lagrangian(q, jnp.asarray(qd), m))(jnp.asarray(q))
    still = {c for c, one in zip(system.coordinates, slope, strict=True) if one == 0.0}
    assert still == set(system.cyclic) == {"x"}


def test_a_fit_knows_and_its_checkpoint_gives_it_back(tmp_path):
    q, qd, tau = states(60)
    data = Transitions(
        CART, dt=0.05, q=q, qd=qd, tau=tau, next_q=q + 0.05 * qd, next_qd=qd + 0.05 * tau
    )
    config = FitConfig.of("DeLaN", steps=5, batch=4, chunk=5, starts=1, horizon=1)
    out = tmp_path / "cart.safetensors"
    fit(data, "DeLaN", out=out, config=config, model_config={"width": 8, "depth": 2})
    found = checkpoints.load(out)
    assert found.card.coordinates["cyclic"] == ["x"]
    assert found.model.embedding.cyclic == (0,)
    data.save(tmp_path / "cart.npz")
    assert Transitions.load(tmp_path / "cart.npz").coordinates.cyclic == ("x",)


def test_a_machine_file_says_it(tmp_path):
    path = tmp_path / "crane.toml"
    path.write_text(
        'name = "Crane"\ncyclic = ["rail"]\n[time]\ncolumn = "t"\n'
        '[[coordinates]]\nname = "rail"\nkind = "length"\n'
        '[[coordinates]]\nname = "load"\nkind = "angle"\n'
    )
    crane = Machine.load(path)
    assert crane.coordinates.cyclic == ("rail",)
    assert Machine.of(crane.coordinates).coordinates == crane.coordinates


def test_networks_have_fewer_inputs():
    plain = Coordinates(("x", "theta"), angular=(False, True), name="Cart")
    assert Embedding.of(plain).size - Embedding.of(CART).size == 1
    seen = Embedding.of(CART).coordinates(jnp.array([0.3, 0.5]))
    np.testing.assert_allclose(seen, [np.cos(0.5), np.sin(0.5)], rtol=1e-6)


def test_is_part_of_their_value():
    plain = Coordinates(("x", "theta"), angular=(False, True), name="Cart")
    assert plain != CART
    assert plain.agrees_with(CART)
    assert Coordinates.of_document(CART.document()) == CART
    assert "cyclic" not in plain.document()


@pytest.mark.parametrize("cyclic", [("y",), ("x", "theta"), 3, None, ([],)])
def test_what_is_no_coordinate_and_all_of_them_are_refused(cyclic):
    with pytest.raises(ConfigurationError, match="expected some of x, theta, and not all"):
        Coordinates(("x", "theta"), cyclic=cyclic)


def test_every_model_is_looked_at():
    of_known_equations = {"HNN", "SpatialChain", "Calibrated", "Residual"}
    assert {*MODELS} - of_known_equations == {*MODELS_OF_DATA}
