"""The second-order pass of a batch is that of every sample, whatever is batched."""

from __future__ import annotations

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gym_lagrangian.models import second_order as module
from gym_lagrangian.models.network import Network, Shape

KEY = jax.random.key(0)


def network(key=KEY, *, width=8, inputs=5):
    """A network whose biases are not zero."""
    found = Network(inputs, 1, Shape(width, depth=2), key=key)
    return jax.tree.map(lambda a: a + 0.1, found)


def samples(count, inputs=5, k=3):
    rng = np.random.default_rng(count)
    return rng.normal(size=(count, inputs)), rng.normal(size=(count, k, inputs))


def one_by_one(function, *arrays):
    jitted = jax.jit(lambda *row: function(*row))
    each = [jitted(*row) for row in zip(*arrays, strict=True)]
    return jax.tree.map(lambda *rows: np.stack(rows), *each)


def assert_equal(found, expected):
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("count", [1, 7, 64, 150])
def test_a_batch_in_blocks_equals_its_samples(count, monkeypatch):
    monkeypatch.setattr(module, "BLOCK_BYTES", 1)  # the smallest blocks, of 64 samples
    with jax.enable_x64(True):
        one = network().second_order
        x, directions = samples(count)
        assert_equal(jax.jit(jax.vmap(one))(x, directions), one_by_one(one, x, directions))


def test_two_batch_axes():
    with jax.enable_x64(True):
        one = network().second_order
        x, directions = samples(12)
        found = jax.jit(jax.vmap(jax.vmap(one)))(x.reshape(4, 3, 5), directions.reshape(4, 3, 3, 5))
        expected = one_by_one(one, x, directions)
        assert_equal([part.reshape(12, *part.shape[2:]) for part in found], expected)


def test_what_is_not_batched_is_shared():
    with jax.enable_x64(True):
        one = network().second_order
        x, directions = samples(6)
        found = jax.jit(jax.vmap(one, in_axes=(0, None)))(x, directions[0])
        assert_equal(found, one_by_one(one, x, [directions[0]] * 6))


def test_a_network_for_every_sample():
    with jax.enable_x64(True):
        networks = [network(key) for key in jax.random.split(KEY, 4)]
        together = jax.tree.map(lambda *leaves: jnp.stack(leaves), *networks)
        x, directions = samples(4)
        found = jax.jit(jax.vmap(Network.second_order))(together, x, directions)
        assert_equal(found, one_by_one(Network.second_order, networks, x, directions))


def test_a_last_layer_for_every_sample():
    with jax.enable_x64(True):
        one = network().second_order
        x, directions = samples(4)
        last = np.random.default_rng(1).normal(size=(4, 1, 8)), np.zeros((4, 1))
        found = jax.jit(jax.vmap(one))(x, directions, last)
        expected = one_by_one(one, x, directions, list(zip(*last, strict=True)))
        assert_equal(found, expected)


def test_derivatives_of_a_batch_are_those_of_automatic_differentiation():
    """Of both modes, by weights and by states: through the pass, and through nested gradients."""

    def passed(made, x, directions):
        gradient, curvature = made.second_order(x, directions)
        return jnp.sum(gradient**2) + jnp.sum(jnp.sin(curvature))

    def nested(made, x, directions):
        scalar = lambda x: made(x)[0]  # noqa: E731
        curvature = directions @ jax.hessian(scalar)(x) @ directions.T
        return jnp.sum(jax.grad(scalar)(x) ** 2) + jnp.sum(jnp.sin(curvature))

    def mean(one, made, x, directions):
        compiled = jax.jit(jax.vmap(one, in_axes=(None, 0, 0)))  # differentiated once traced
        return jnp.mean(compiled(made, x, directions))

    with jax.enable_x64(True):
        made, (x, directions) = network(), samples(9)
        for mode, by in itertools.product((jax.grad, jax.jacfwd), ((0, 1, 2), (1,))):
            found, expected = (
                jax.jit(mode(partial(mean, one), argnums=by))(made, x, directions)
                for one in (passed, nested)
            )
            assert_equal(found, expected)
