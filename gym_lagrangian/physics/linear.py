r"""Solving M x = b for the small symmetric mass matrices of mechanics.

Three methods, chosen by name:

``"direct"``
    LDLᵀ without pivoting, Cramer's rule for n = 2. Exact and fast; right where M is positive
    definite, as the mass matrix of a physical system is. A singular M gives non-finite numbers.
``"damped"``
    x = (M² + ε²I)⁻¹ M b, the Tikhonov-regularised solution with ε = 1e-4. It differs from
    M⁻¹b by a relative ε²/σ² along the direction of singular value σ (7e-8 at σ = 0.4), never
    amplifies by more than 1/(2ε), and is smooth: value and derivatives stay finite where M
    is singular or indefinite. Used for learned Lagrangians, whose M need not be invertible or
    positive definite. M² is never formed, since squaring would cost half of the digits. ε is
    1e-4 in units of the typical masses κ, 1 kg or 1 kg·m² where none are given: with D = diag √κ
    the damped system is (D⁻¹MD⁻¹)(Dx) = D⁻¹b.
``"pinv"``
    The Moore–Penrose pseudoinverse that the paper uses. Exact at full rank, but one singular
    value decomposition a solve, and discontinuous where the rank changes.

The matrices come in large batches, and one LAPACK call a matrix costs far more than the
arithmetic. So n ≤ 2 is unrolled into elementwise operations that XLA fuses. From n = 3 on an
elimination runs over the whole batch, one pivot at a time, and derivatives come from the implicit
function theorem: they are solves with the same matrix. Entries that come as scalars are unrolled
for every n.

The damped solution of n ≥ 3 is the real part of z with (M + iεI) z = b, since
(M + iεI)⁻¹ = (M − iεI)(M² + ε²I)⁻¹. Its elimination needs no pivoting: the imaginary part of every
pivot is at least ε, as Im(iε + d − m²/(iε + e)) = ε + ε m²/(ε² + e²).
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Inexact

from gym_lagrangian.physics.shapes import AnyArray, Matrix, Scalar, Vector

DAMPING = 1e-4
SOLVERS = ("direct", "damped", "pinv")

# A vector (n,) as n scalars, and a matrix (n, n) as n rows of them.
Entries = Sequence[Scalar]
Rows = Sequence[Entries]

# What elimination takes: real or complex.
Symmetric = Inexact[AnyArray, "n n"]
Numbers = Inexact[AnyArray, " n"]
Number = Inexact[AnyArray, ""]


def as_matrix(matrix: Matrix | Rows) -> Matrix:
    """The matrix (n, n) as one array."""
    if not isinstance(matrix, Sequence):
        return matrix
    return jnp.stack([as_vector(row) for row in matrix])


def as_vector(vector: Vector | Entries) -> Vector:
    """The vector (n,) as one array."""
    return jnp.stack(vector) if isinstance(vector, Sequence) else vector


def solve(
    matrix: Matrix | Rows,
    rhs: Vector | Entries,
    *,
    method: str,
    masses: tuple[float, ...] | None = None,
) -> Vector:
    """X (n,) with `matrix` (n, n, symmetric) @ x = `rhs` (n,), by the method named above.

    Arguments:
        masses: κ, typical masses (n,), relative to which ``"damped"`` is damped; None for 1.

    Raises:
        ValueError: `method` is not one of `SOLVERS`.
    """
    if method == "direct":
        return _direct(matrix, rhs)
    if method == "damped":
        return _relatively_damped(as_matrix(matrix), as_vector(rhs), masses)
    if method == "pinv":
        return jnp.linalg.pinv(as_matrix(matrix)) @ as_vector(rhs)
    raise ValueError(f"unknown solver {method!r}; choose one of {', '.join(SOLVERS)}")


def _direct(matrix: Matrix | Rows, rhs: Vector | Entries) -> Vector:
    n = len(rhs)
    if n == 2:
        # Cramer's rule: no number is used by so many others that XLA computes it anew for each.
        a, b, c = matrix[0][0], matrix[0][1], matrix[1][1]
        det = a * c - b * b
        return jnp.stack([(c * rhs[0] - b * rhs[1]) / det, (a * rhs[1] - b * rhs[0]) / det])
    if n == 1 or isinstance(matrix, Sequence):
        return _unrolled(matrix, rhs)
    return _implicit(matrix, as_vector(rhs))


def _unrolled(matrix: Matrix | Rows, rhs: Vector | Entries) -> Vector:
    """Gaussian elimination of a symmetric positive definite matrix, entry by entry."""
    n = len(rhs)
    rows = [[matrix[i][j] for j in range(n)] for i in range(n)]
    x = [rhs[i] for i in range(n)]
    for k in range(n):
        for i in range(k + 1, n):
            factor = rows[i][k] / rows[k][k]
            for j in range(k + 1, n):
                rows[i][j] = rows[i][j] - factor * rows[k][j]
            x[i] = x[i] - factor * x[k]
    for i in reversed(range(n)):
        for j in range(i + 1, n):
            x[i] = x[i] - rows[i][j] * x[j]
        x[i] = x[i] / rows[i][i]
    return jnp.stack(x)


def _relatively_damped(matrix: Matrix, rhs: Vector, masses: tuple[float, ...] | None) -> Vector:
    if masses is None:
        return _damped(matrix, rhs)
    root = jnp.sqrt(jnp.array(masses, rhs.dtype))
    return _damped(matrix / (root[:, None] * root), rhs / root) / root


def _damped(matrix: Matrix, rhs: Vector) -> Vector:
    n = rhs.shape[0]
    eps = DAMPING
    if n == 1:
        return rhs * matrix[0] / (matrix[0] ** 2 + eps**2)
    if n == 2:
        # adj is linear in two dimensions, so adj(M² + ε²I) M = det(M) adj(M) + ε² M, and
        # det(M² + ε²I) = det(M)² + ε²‖M‖² + ε⁴ is a sum of positive terms.
        a, b, c = matrix[0, 0], matrix[0, 1], matrix[1, 1]
        det = a * c - b * b
        scale = det**2 + eps**2 * (a * a + 2.0 * b * b + c * c) + eps**4
        x, y = rhs[0], rhs[1]
        adj = jnp.stack([c * x - b * y, a * y - b * x])
        forward = jnp.stack([a * x + b * y, b * x + c * y])
        return (det * adj + eps**2 * forward) / scale
    shifted = matrix + 1j * eps * jnp.eye(n, dtype=matrix.dtype)
    return _implicit(shifted, rhs.astype(shifted.dtype)).real


def _implicit(matrix: Symmetric, rhs: Numbers) -> Numbers:
    """A⁻¹b of a real or complex symmetric A, whose derivatives are solves with A as well."""
    return jax.lax.custom_linear_solve(
        lambda x: matrix @ x, rhs, lambda _, b: _eliminated(matrix, b), symmetric=True
    )


def _eliminated(matrix: Symmetric, rhs: Numbers) -> Numbers:
    """A⁻¹b by Gauss–Jordan elimination, without pivoting."""
    n = rhs.shape[0]
    rows = jnp.arange(n)[:, None]

    def eliminate(k, table):
        row = table[k] * _reciprocal(table[k, k])
        return jnp.where(rows == k, row, table - table[:, k, None] * row)

    return jax.lax.fori_loop(0, n, eliminate, jnp.column_stack([matrix, rhs]))[:, n]


def _reciprocal(x: Number) -> Number:
    """1/x; of a complex number without the checks for overflow, which cost more than the rest."""
    return jnp.conj(x) / (x.real**2 + x.imag**2) if jnp.iscomplexobj(x) else 1.0 / x
