r"""Deep Lagrangian network: a Lagrangian with the kinetic energy of rigid bodies.

    L(q, q̇, m) = ½ q̇ᵀ M(q, m) q̇ − V(q, m),    M = C Cᵀ + ε I

with C lower triangular and a positive diagonal (softplus), so that M is positive definite
whatever the network says. One network of (q, m) gives the n(n+1)/2 entries of C and V. The
Euler–Lagrange equation M q̈ = τ + f then needs first derivatives of the network only,

    f = ½ ∂/∂q (q̇ᵀ M q̇) − Ṁ q̇ − ∂V/∂q,    Ṁ = Σ_k (∂M/∂q_k) q̇_k,

which are taken forward along the n coordinates. What it cannot express is a Lagrangian of
another form in q̇: the relativistic particle, or a charge in a magnetic field. The paper prints
T without the ½.

Reference: Lutter, Ritter, Peters, "Deep Lagrangian Networks" (2019), as described in Cranmer
et al., "Lagrangian Neural Networks" (2020), section 3.
"""

from __future__ import annotations

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from gym_lagrangian.checks import positive_number
from gym_lagrangian.models.base import AccelerationModel
from gym_lagrangian.models.embedding import Embedding
from gym_lagrangian.models.network import Network
from gym_lagrangian.physics.mechanics import Lagrangian

# ε: the smallest eigenvalue that M can have, in kg or kg·m².
SMALLEST_MASS = 1e-3


class DeLaN(Lagrangian, AccelerationModel):
    """Mass matrix and potential energy learned by a network.

    Attributes:
        network: the entries of C below and on the diagonal, row by row, then V / potential_scale.
        potential_scale: a typical potential energy in joules.
    """

    mass_matrix_solver: ClassVar[str] = "direct"
    conserves_energy: ClassVar[bool] = True

    network: Network
    embedding: Embedding
    potential_scale: float = eqx.field(static=True)

    def __init__(
        self,
        embedding: Embedding,
        *,
        width: int = 64,
        depth: int = 3,
        activation: str = "softplus",
        initialiser: str = "fan_in",
        potential_scale: float = 10.0,
        key: Array,
    ):
        """Random weights; arguments as for `LNN`, and the scale above."""
        n = embedding.n
        self.embedding = embedding
        self.potential_scale = positive_number("potential_scale", potential_scale, "J")
        self.network = Network(
            embedding.size - n,
            n * (n + 1) // 2 + 1,
            width=width,
            depth=depth,
            activation=activation,
            initialiser=initialiser,
            key=key,
        )

    @property
    def config(self) -> dict[str, Any]:
        return {**self.network.config, "potential_scale": self.potential_scale}

    def inertia_and_potential(self, q: Array, m: Array) -> tuple[Array, Array]:
        """M(q, m) of shape (n, n) and V(q, m), a scalar."""
        n = self.embedding.n
        features = [self.embedding.coordinates(q), self.embedding.parameters(m)]
        *entries, potential = self.network(jnp.concatenate(features))
        rows = [[jnp.zeros((), q.dtype)] * n for _ in range(n)]
        for entry, i, j in zip(entries, *np.tril_indices(n), strict=True):
            rows[i][j] = jax.nn.softplus(entry) if i == j else entry
        factor = jnp.stack([jnp.stack(row) for row in rows])
        mass_matrix = factor @ factor.T + SMALLEST_MASS * jnp.eye(n, dtype=q.dtype)
        return mass_matrix, self.potential_scale * potential

    def lagrangian(self, q: Array, qd: Array, m: Array) -> Array:
        """½ q̇ᵀMq̇ − V, a scalar."""
        mass_matrix, potential = self.inertia_and_potential(q, m)
        return 0.5 * qd @ mass_matrix @ qd - potential

    def terms_of_motion(self, q: Array, qd: Array, m: Array) -> tuple[Array, Array]:
        """M and f in closed form; equal to `euler_lagrange(lagrangian)`."""
        (mass_matrix, _), push = jax.linearize(lambda q: self.inertia_and_potential(q, m), q)
        slopes, potential_slope = jax.vmap(push)(jnp.eye(q.shape[0], dtype=q.dtype))
        forces = slopes @ qd  # (∂M/∂q_k) q̇ in row k
        return mass_matrix, 0.5 * forces @ qd - qd @ forces - potential_slope
