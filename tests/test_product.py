"""Networks whose parameters enter as factors."""

from __future__ import annotations

import json

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from physics_helpers import batched

from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.models.embedding import Embedding
from gym_lagrangian.models.network import Network, Shape
from gym_lagrangian.models.product import FACTORS, ProductNetwork
from gym_lagrangian.registration import NETWORKS, load_model
from gym_lagrangian.systems import DoublePendulum

PENDULUM = DoublePendulum()
SEES = Embedding.of(PENDULUM, ("m1", "l2"))
SMALL = {"width": 8, "depth": 2, "conditioning": "product"}
KEY = jax.random.key(0)


def network(outputs=1, start=2):
    """Five inputs, of which two, from `start` on, are parameters."""
    where = (start, start + 2)
    made = ProductNetwork(5, outputs, Shape(8, depth=2), parameters=where, key=KEY)
    return jax.tree.map(lambda leaf: leaf + 0.1, made)


def model_of(name, **config):
    legendre = PENDULUM if load_model(name).canonical else None
    return load_model(name).build(SEES, key=KEY, legendre=legendre, **SMALL, **config)


def test_it_is_a_sum_of_functions_of_the_state_times_factors_of_the_parameters():
    rng = np.random.default_rng(0)
    state, parameters = rng.normal(size=(60, 3)), rng.normal(size=(60, 2))
    x = np.concatenate(
        [
            np.repeat(state[:, None, :2], 60, axis=1),
            np.repeat(parameters[None], 60, axis=0),
            np.repeat(state[:, None, 2:], 60, axis=1),
        ],
        axis=2,
    )
    made = network()
    values = batched(lambda x: made(x)[0], x.reshape(-1, 5)).reshape(60, 60)
    sizes = np.linalg.svd(values, compute_uv=False)
    assert np.sum(sizes > 1e-10 * sizes[0]) <= FACTORS + 1
    assert np.sum(sizes > 1e-10 * sizes[0]) > 3


def test_factors_are_added_to_the_last_layer():
    """What the parameters contribute, written into the trunk instead, is the same network."""
    made, x = network(), np.random.default_rng(0).normal(size=5)

    def layer(one):
        return one.trunk.weights[-1], one.trunk.biases[-1], one.weights, one.biases

    weights, biases, per_weight, per_bias = layer(made)
    factors = made.factors(jnp.asarray(x[2:4], weights.dtype))
    added = weights + (per_weight @ factors).reshape(weights.shape), biases + per_bias @ factors
    none = jnp.zeros_like(per_weight), jnp.zeros_like(per_bias)
    fixed = eqx.tree_at(layer, made, (*added, *none))
    np.testing.assert_allclose(fixed(jnp.asarray(x)), made(jnp.asarray(x)), rtol=1e-5)
    assert float(jnp.abs(per_bias @ factors).max()) > 1e-3, "nothing is added"


@pytest.mark.parametrize("start", [0, 2, 3])
def test_second_order_pass_equals_automatic_differentiation(start):
    rng = np.random.default_rng(start)
    made = network(start=start)
    x, directions = rng.normal(size=(8, 5)), rng.normal(size=(8, 3, 5))
    directions[:, :, start : start + 2] = 0.0

    def both(x, directions):
        scalar = lambda x: made(x)[0]  # noqa: E731
        return made.second_order(x, directions), (jax.grad(scalar)(x), jax.hessian(scalar)(x))

    (gradient, curvature), (slope, hessian) = batched(both, x, directions)
    of_state = np.ones(5, bool)
    of_state[start : start + 2] = False
    np.testing.assert_allclose(gradient[:, of_state], slope[:, of_state], rtol=1e-10, atol=1e-12)
    assert np.all(gradient[:, ~of_state] == 0.0)
    expected = directions @ hessian @ directions.swapaxes(1, 2)
    np.testing.assert_allclose(curvature, expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_model_takes_its_parameters_so(name):
    """With the factors' weights at zero nothing depends on m, so it is m that goes there."""
    model = model_of(name)
    assert isinstance(model.network, ProductNetwork)
    without = eqx.tree_at(
        lambda one: (one.network.weights, one.network.biases),
        model,
        replace_fn=jnp.zeros_like,
    )
    x, tau = jnp.array([0.3, -1.0, 0.5, 0.2]), jnp.array([1.0, -2.0])
    here, there = (jnp.array([m1, 1.0, 1.0, l2, 9.8]) for m1, l2 in ((1.0, 1.0), (1.4, 0.7)))

    @eqx.filter_jit
    def moved(model, m):
        return model.dynamics(integrator="rk4", substeps=1).step(x, tau, m, 0.05)

    legendre_alone = load_model(name).canonical  # p = ∂L/∂q̇ depends on m in any case
    assert legendre_alone or jnp.array_equal(moved(without, here), moved(without, there))
    assert not jnp.allclose(moved(model, here), moved(model, there), atol=1e-6)
    assert not jnp.array_equal(moved(without, there), moved(model, there))


@pytest.mark.parametrize("name", NETWORKS)
def test_such_a_model_is_rebuilt_from_its_configuration(name):
    model = model_of(name)
    written = json.loads(json.dumps(model.config))
    assert written["conditioning"] == "product"
    legendre = PENDULUM if load_model(name).canonical else None
    again = load_model(name).build(SEES, key=KEY, legendre=legendre, **written)
    assert eqx.tree_equal(model, again)


def test_without_parameters_it_is_a_plain_network():
    plain = load_model("LNN").build(Embedding.of(PENDULUM), key=KEY, **SMALL)
    assert isinstance(plain.network, Network)


def test_an_unknown_way_is_refused():
    with pytest.raises(ConfigurationError, match=r"conditioning.*'sum'.*input, product"):
        Shape(8, conditioning="sum")
