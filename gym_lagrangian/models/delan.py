r"""Deep Lagrangian network: a Lagrangian with the kinetic energy of rigid bodies.

    L(q, q̇, m) = ½ q̇ᵀ M(q, m) q̇ − V(q, m),    M = D (C Cᵀ + ε I) D

with D = diag √κ of typical masses κ, and C lower triangular with a positive diagonal (softplus),
so that M is positive definite whatever the network's output is. One network of (q, m) gives the
n(n+1)/2 entries of C and V. The Euler–Lagrange equation M q̈ = τ + f then needs first derivatives
of the network only,

    f = ½ ∂/∂q (q̇ᵀ M q̇) − Ṁ q̇ − ∂V/∂q,    Ṁ = Σ_k (∂M/∂q_k) q̇_k,

which are taken forward along the n coordinates. The model cannot express a Lagrangian of another
form in q̇, such as that of a relativistic particle or of a charge in a magnetic field. The paper
prints T without the ½.

Reference: Lutter, Ritter, Peters, "Deep Lagrangian Networks" (2019), as described in Cranmer
et al., "Lagrangian Neural Networks" (2020), section 3.
"""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from gym_lagrangian.checks import positive_number
from gym_lagrangian.models.base import (
    IntegratedModel,
    NetworkModel,
    Sizes,
    Target,
    acceleration_error,
)
from gym_lagrangian.models.embedding import Embedding
from gym_lagrangian.models.network import Shape
from gym_lagrangian.models.settings import magnitude, per_coordinate, setting
from gym_lagrangian.physics.mechanics import Lagrangian
from gym_lagrangian.physics.shapes import Matrix, Parameters, Scalar, Vector
from gym_lagrangian.systems.sample import Sample

# ε: the smallest eigenvalue that M can have, in units of the typical masses.
SMALLEST_MASS = 1e-3


class DeLaN(NetworkModel, Lagrangian, IntegratedModel):
    """Mass matrix and potential energy learned by a network.

    Attributes:
        network: the entries of C below and on the diagonal, row by row, then V / potential_scale.
        potential_scale: a typical potential energy in joules.
        mass_scale: κ in kg (about a length) or kg·m² (about an angle), one or one a coordinate.
    """

    mass_matrix_solver: ClassVar[str] = "direct"
    usual: ClassVar[Shape] = Shape(width=64)
    damped: ClassVar[bool] = True

    potential_scale: float = setting("potential_scale", 10.0, positive_number, "J")
    mass_scale: float | tuple[float, ...] = magnitude("mass_scale", 1.0, positive_number, "kg")

    @classmethod
    def sizes(cls, embedding: Embedding) -> Sizes:
        n = embedding.n
        return Sizes(embedding.size - n, n * (n + 1) // 2 + 1)

    def inertia_and_potential(self, q: Vector, m: Parameters) -> tuple[Matrix, Scalar]:
        """M(q, m) of shape (n, n) and V(q, m), a scalar."""
        n = self.embedding.n
        features = [self.embedding.coordinates(q), self.embedding.parameters(m)]
        *entries, potential = self.network(jnp.concatenate(features))
        rows = [[jnp.zeros((), q.dtype)] * n for _ in range(n)]
        for entry, i, j in zip(entries, *np.tril_indices(n), strict=True):
            rows[i][j] = jax.nn.softplus(entry) if i == j else entry
        factor = jnp.stack([jnp.stack(row) for row in rows])
        mass_matrix = factor @ factor.T + SMALLEST_MASS * jnp.eye(n, dtype=q.dtype)
        root = np.sqrt(per_coordinate(self.mass_scale, n))
        typical = jnp.asarray(np.outer(root, root), q.dtype)
        return typical * mass_matrix, self.potential_scale * potential

    def lagrangian(self, q: Vector, qd: Vector, m: Parameters) -> Scalar:
        """½ q̇ᵀMq̇ − V, a scalar."""
        mass_matrix, potential = self.inertia_and_potential(q, m)
        return 0.5 * qd @ mass_matrix @ qd - potential

    def terms_of_motion(self, q: Vector, qd: Vector, m: Parameters) -> tuple[Matrix, Vector]:
        """M and f in closed form; equal to `euler_lagrange(lagrangian)`."""
        (mass_matrix, _), push = jax.linearize(lambda q: self.inertia_and_potential(q, m), q)
        slopes, potential_slope = jax.vmap(push)(jnp.eye(q.shape[0], dtype=q.dtype))
        forces = slopes @ qd  # (∂M/∂q_k) q̇ in row k
        return mass_matrix, 0.5 * forces @ qd - qd @ forces - potential_slope

    def loss(self, sample: Sample, target: Target) -> Scalar:
        """Σ_i |q̈_i error|."""
        return acceleration_error(self, sample, target)
