"""Models in units of the masses and lengths that they are conditioned on."""

from __future__ import annotations

import equinox as eqx
import jax
import numpy as np
import pytest
from physics_helpers import batched

from gym_lagrangian import checkpoints
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.models import LNN
from gym_lagrangian.models.embedding import Embedding
from gym_lagrangian.models.similarity import dimensions
from gym_lagrangian.physics.mechanics import euler_lagrange
from gym_lagrangian.systems import Chain, DoublePendulum

PENDULUM = DoublePendulum()
CART = Chain(links=1, on_cart=True)
SMALL = {"width": 8, "depth": 2, "conditioning": "product", "units": "own"}
# Mass, length and gravity of a machine μ = 3 times as heavy and λ = 2 times as long.
MASS, LENGTH, TIME = 3.0, 2.0, np.sqrt(2.0)
ENERGY = MASS * LENGTH**2 / TIME**2
CART_NAMES = tuple(name for name in CART.parameters if name != "g")


def model_of(system, names, **config):
    """A model of random weights, small enough for its masses to be positive."""
    embedding = Embedding.of(system, names)
    made = LNN.build(embedding, key=jax.random.key(0), **SMALL, **config)
    return jax.tree.map(lambda leaf: 0.3 * leaf if eqx.is_array(leaf) else leaf, made)


def scaled(system, m):
    """The parameters of the larger machine."""
    powers = [dimensions(parameter.unit) for parameter in system.parameters.values()]
    return m * np.array([MASS**a * LENGTH**b * TIME**c for a, b, c in powers])


CASES = [
    (PENDULUM, ("m1", "m2", "l1", "l2"), {}),
    (CART, CART_NAMES, {"friction": "viscous"}),
    (CART, CART_NAMES, {"friction": "passive"}),
]


@pytest.mark.parametrize(("system", "names", "config"), CASES, ids=["angles", "viscous", "passive"])
def test_a_larger_machine_moves_alike(system, names, config):
    """q̈ = λ/τ² q̈̃ at scaled velocities, forces and parameters; energies are E times as large."""
    rng = np.random.default_rng(0)
    q, qd, tau = rng.normal(size=(3, 20, 2))
    m = np.array([parameter.default for parameter in system.parameters.values()])
    m = np.tile(m, (20, 1)) * rng.uniform(0.7, 1.4, (20, len(m)))
    m[:, list(system.parameters).index("g")] = 9.8
    lengths = np.where(np.array(system.angular), 1.0, LENGTH)
    larger = (q * lengths, qd * lengths / TIME, tau * ENERGY / lengths, scaled(system, m))
    assert np.all(larger[3][:, list(system.parameters).index("g")] == pytest.approx(9.8))
    model = model_of(system, names, **config)
    found = batched(model.acceleration, q, qd, tau, m)
    # The solver's damping, relative to typical masses, is not scaled.
    of_larger = batched(model.acceleration, *larger)
    np.testing.assert_allclose(of_larger, found * lengths / TIME**2, rtol=1e-6)
    energies = batched(model.energy, q, qd, m)
    of_larger = batched(model.energy, larger[0], larger[1], larger[3])
    np.testing.assert_allclose(of_larger, ENERGY * energies, rtol=1e-9)


def test_another_ratio_of_masses_is_another_machine():
    model = model_of(PENDULUM, ("m1", "m2", "l1", "l2"))
    q, qd, tau = np.random.default_rng(0).normal(size=(3, 1, 2))
    one, other = (
        batched(model.acceleration, q, qd, tau, np.array([[1.0, mass, 1.0, 1.0, 9.8]]))
        for mass in (1.0, 1.3)
    )
    assert np.abs(one - other).max() > 1e-3


@pytest.mark.parametrize(
    ("system", "names"), [case[:2] for case in CASES[:2]], ids=["angles", "cart"]
)
def test_terms_of_motion_are_those_of_the_lagrangian(system, names):
    rng = np.random.default_rng(1)
    q, qd = rng.normal(size=(2, 10, 2))
    m = np.tile([parameter.default for parameter in system.parameters.values()], (10, 1))
    m = m * rng.uniform(0.7, 1.4, m.shape)
    model = model_of(system, names)
    expected = batched(lambda q, qd, m: euler_lagrange(model.lagrangian, q, qd, m), q, qd, m)
    for ours, theirs in zip(batched(model.terms_of_motion, q, qd, m), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)


def test_a_checkpoint_keeps_it(tmp_path):
    made = model_of(PENDULUM, ("m1", "l2", "m2", "l1"))
    ranges = dict.fromkeys(("m1", "m2", "l1", "l2"), (0.5, 1.5))
    card = checkpoints.Card.of(
        PENDULUM,
        parameters=PENDULUM.fixed_parameters(tuple(ranges)),
        conditioned_on=tuple(ranges),
        ranges=ranges,
        model="LNN",
        model_config=made.config,
    )
    checkpoints.save(tmp_path / "one.safetensors", made, card)
    assert checkpoints.load(tmp_path / "one.safetensors").model.units == "own"


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("kg·m²", (1, 2, 0)),
        ("N·s/m", (1, 0, -1)),
        ("N·m·s", (1, 2, -1)),
        ("m/s²", (0, 1, -2)),
        ("", (0, 0, 0)),
        ("1", (0, 0, 0)),
        ("rad", (0, 0, 0)),
        ("m/rad", (0, 1, 0)),
        ("A", None),
    ],
)
def test_units(unit, expected):
    assert dimensions(unit) == expected


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "condition it on a mass and a length"),
        (("m1", "m2"), "condition it on a mass and a length"),
        (("m1", "l1"), "m2, l2 of DoublePendulum would change"),
    ],
)
def test_what_has_no_units_of_its_own_is_refused(names, message):
    with pytest.raises(ConfigurationError, match=message):
        model_of(PENDULUM, names)
