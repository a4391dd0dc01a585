"""Solving for q̈: right where the mass matrix is regular, finite where it is not."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gym_lagrangian.physics.linear import DAMPING, SOLVERS, solve

METHODS = {name: jax.jit(partial(solve, method=name)) for name in SOLVERS}


def positive_definite(n, *, condition=10.0, seed=0):
    """A random symmetric matrix with eigenvalues from 1 to `condition`, and a vector."""
    rng = np.random.default_rng(seed + 10 * n)
    basis, _ = np.linalg.qr(rng.normal(size=(n, n)))
    values = np.geomspace(1.0, condition, n)
    return (basis * values) @ basis.T, rng.normal(size=n)


def tikhonov(matrix, rhs):
    """(M² + ε²I)⁻¹ M b by singular values, in float64."""
    values, vectors = np.linalg.eigh(matrix)
    return vectors @ (values / (values**2 + DAMPING**2) * (vectors.T @ rhs))


# Mass matrices that a learned Lagrangian may have and physics may not.
DEGENERATE = {
    f"{kind}{n}": matrix
    for n in (1, 2, 3)
    for kind, matrix in {
        "zero": np.zeros((n, n)),
        "singular": np.ones((n, n)) * (n > 1),
        "indefinite": np.diag([-1.0, 2.0, 0.5][:n]) + 0.3 * (np.ones((n, n)) - np.eye(n)),
        "negative": -np.eye(n) * 3.0,
    }.items()
}


@pytest.mark.parametrize("n", range(1, 8))
@pytest.mark.parametrize("method", SOLVERS)
def test_every_method_solves_a_regular_system(method, n):
    matrix, rhs = positive_definite(n)
    with jax.enable_x64(True):
        found = METHODS[method](matrix, rhs)
        assert found.shape == (n,)
        assert found.dtype == jnp.float64
    # The damping is the only thing that may show: ε²/σ² = 1e-8 at σ = 1.
    tolerance = 2e-8 if method == "damped" else 1e-12
    np.testing.assert_allclose(found, np.linalg.solve(matrix, rhs), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("n", range(1, 6))
def test_a_matrix_of_numbers_one_by_one_is_solved_too(n):
    """As equations of motion in scalars give it."""
    matrix, rhs = positive_definite(n)

    @jax.jit
    def found(matrix, rhs):
        rows = [[matrix[i, j] for j in range(n)] for i in range(n)]
        return solve(rows, [rhs[i] for i in range(n)], method="direct")

    with jax.enable_x64(True):
        np.testing.assert_allclose(found(matrix, rhs), np.linalg.solve(matrix, rhs), rtol=1e-12)


@pytest.mark.parametrize("n", range(1, 6))
def test_damped_is_the_tikhonov_solution(n):
    """Also where damping matters: eigenvalues below, at and above ε, of both signs."""
    rng = np.random.default_rng(n)
    basis, _ = np.linalg.qr(rng.normal(size=(n, n)))
    for values in ([3.0, 1e-4, -2e-5, -1.0, 1e-3], [1e-5, 2e-4, 1e-4, 3e-4, 5e-5]):
        matrix, rhs = (basis * values[:n]) @ basis.T, rng.normal(size=n)
        matrix = 0.5 * (matrix + matrix.T)
        with jax.enable_x64(True):
            found = METHODS["damped"](matrix, rhs)
        expected = tikhonov(matrix, rhs)
        np.testing.assert_allclose(found, expected, atol=1e-7 * np.abs(expected).max())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", DEGENERATE)
def test_damped_and_its_gradients_are_finite_everywhere(name, dtype):
    matrix = DEGENERATE[name]
    n = len(matrix)
    with jax.enable_x64(dtype == "float64"):
        arguments = (jnp.asarray(matrix, dtype), jnp.arange(1.0, n + 1, dtype=dtype))
        value, gradient = jax.value_and_grad(
            lambda M, b: jnp.sum(METHODS["damped"](M, b) ** 2), argnums=(0, 1)
        )(*arguments)
        assert np.all(np.isfinite(value))
        assert all(np.all(np.isfinite(g)) for g in gradient)
        x = METHODS["damped"](*arguments)
    assert np.linalg.norm(x) <= np.linalg.norm(arguments[1]) / (2 * DAMPING) * 1.01


@pytest.mark.parametrize("method", ["direct", "damped"])
@pytest.mark.parametrize("n", [3, 7])
def test_solves_stay_out_of_lapack(method, n):
    """One call a matrix would cost more than the arithmetic."""

    def batch(matrix, rhs):
        return jnp.sum(jax.vmap(partial(solve, method=method))(matrix, rhs))

    lowered = jax.jit(jax.grad(batch)).lower(jnp.zeros((8, n, n)), jnp.zeros((8, n)))
    assert "custom_call" not in lowered.as_text()


@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_damped_gradient_is_the_derivative_of_the_inverse(n):
    """D(M⁻¹b) = −M⁻¹ dM M⁻¹b for a symmetric dM, where M is regular."""
    matrix, rhs = positive_definite(n)
    change = np.random.default_rng(7).normal(size=(n, n))
    change = change + change.T
    with jax.enable_x64(True):
        _, found = jax.jvp(METHODS["damped"], (matrix, rhs), (change, np.zeros(n)))
    inverse = np.linalg.inv(matrix)
    expected = -inverse @ change @ inverse @ rhs
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("method", ["direct", "damped"])
@pytest.mark.parametrize("n", range(1, 6))
def test_float32_near_singular_is_as_good_as_its_conditioning(method, n):
    """Condition 10³: M² would have 10⁶ and lose every digit; M itself costs three of seven."""
    condition = 1e3
    matrix, rhs = positive_definite(n, condition=condition)
    matrix = (matrix / condition * 4).astype(np.float32)  # eigenvalues from 0.004 to 4
    rhs = rhs.astype(np.float32)
    found = np.asarray(METHODS[method](matrix, rhs))
    assert found.dtype == np.float32
    exact = np.linalg.solve(matrix.astype(np.float64), rhs)
    if method == "damped":
        exact = tikhonov(matrix.astype(np.float64), rhs)
    error = np.linalg.norm(found - exact) / np.linalg.norm(exact)
    assert error < 4 * condition * np.finfo(np.float32).eps


def test_pinv_of_a_singular_matrix_is_the_least_squares_solution():
    matrix, rhs = np.array([[1.0, 1.0], [1.0, 1.0]]), np.array([1.0, 3.0])
    with jax.enable_x64(True):
        found = METHODS["pinv"](matrix, rhs)
    np.testing.assert_allclose(found, [1.0, 1.0], rtol=1e-12)


def test_direct_says_that_a_matrix_is_singular_by_non_finite_numbers():
    for n in (1, 2, 3):
        found = METHODS["direct"](np.ones((n, n)) * (n > 1), np.arange(1.0, n + 1))
        assert not np.all(np.isfinite(found))


def test_unknown_method_names_the_known_ones():
    with pytest.raises(ValueError, match=r"'cholesky'.*direct, damped, pinv"):
        solve(jnp.eye(2), jnp.ones(2), method="cholesky")
