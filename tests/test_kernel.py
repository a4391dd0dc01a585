"""Programs compiled to one kernel compute what they computed before, or are compiled as usual."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gym_lagrangian.envs._kernel import compiled

CPU = jax.devices("cpu")[0]
MATRIX = np.random.default_rng(0).normal(size=(4, 4)) + 4.0 * np.eye(4)


def looped(a):
    return jax.lax.fori_loop(0, 5, lambda i, x: x.at[i % 4].set(jnp.sin(a @ x)[i]), a[0])


IN_ONE = {
    "product": lambda a: jnp.tanh(a @ a[0]),
    "loop": looped,
    "branch": lambda a: jax.lax.cond(a[0, 0] > 0, jnp.cos, jnp.exp, a[1]),
}
WITH_ROUTINES = {
    "sort": lambda a: jnp.sort(a[0]),
    "solve": lambda a: jnp.linalg.solve(a, a[0]),
    "singular values": lambda a: jnp.linalg.svd(a)[1],
    "scatter": lambda a: a[0].at[jnp.array([3, 1, 1]) * jnp.int32(a[0, 0] > 0)].add(a[1, :3]),
    "large product": lambda a: (jnp.tile(a, (64, 64)) @ jnp.tile(a, (64, 64)))[0],
}


@pytest.mark.parametrize("name", [*IN_ONE, *WITH_ROUTINES])
def test_a_program_computes_the_same(name):
    function = {**IN_ONE, **WITH_ROUTINES}[name]
    with jax.enable_x64(True):
        program = compiled(jax.jit(function), MATRIX, device=CPU)
        expected = jax.jit(function)(MATRIX)
        np.testing.assert_allclose(program(MATRIX), expected, rtol=1e-12)


@pytest.mark.parametrize("name", IN_ONE)
def test_arithmetic_loops_and_branches_are_one_kernel(name):
    program = compiled(jax.jit(IN_ONE[name]), np.float32(MATRIX), device=CPU)
    assert 'inlineable="false"' in program.as_text()
