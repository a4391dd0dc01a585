r"""Lagrangian neural network: the paper's model.

A network N of the embedded state is the Lagrangian,

    L(q, q̇, m) = N(x(q, q̇, m)) + ½ κ |q̇|²,

and everything else follows from `gym_lagrangian.mechanics`: no canonical coordinates, no
assumed form of the kinetic energy. The fixed second term makes the mass matrix positive
definite where training starts; without it the first solves divide by a nearly singular matrix.
It costs no generality, since N can learn to cancel it.

Reference: Cranmer et al., "Lagrangian Neural Networks" (2020), Eq. 2 and Appendices A and B.
"""

from __future__ import annotations

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from gym_lagrangian.embedding import Embedding
from gym_lagrangian.mechanics import Lagrangian, euler_lagrange
from gym_lagrangian.models.base import AccelerationModel
from gym_lagrangian.models.network import Network


class LNN(Lagrangian, AccelerationModel):
    """A Lagrangian learned by a network.

    Attributes:
        network: N, one output.
        quadratic_start: κ in kg (about a length) or kg·m² (about an angle).
    """

    mass_matrix_solver: ClassVar[str] = "damped"
    conserves_energy: ClassVar[bool] = True

    network: Network
    embedding: Embedding
    quadratic_start: float = eqx.field(static=True)

    def __init__(
        self,
        embedding: Embedding,
        *,
        width: int = 64,
        depth: int = 3,
        activation: str = "softplus",
        initialiser: str = "fan_in",
        quadratic_start: float = 0.05,
        key: Array,
    ):
        """Random weights.

        Arguments:
            width, depth: hidden units a layer, hidden layers.
            activation: a name in `network.ACTIVATIONS`; smooth, since q̈ is made of second
                derivatives.
            initialiser: ``"fan_in"``, or ``"paper"`` for Appendix B.
            quadratic_start: κ; zero for the paper's own network.
        """
        self.embedding = embedding
        self.quadratic_start = quadratic_start
        self.network = Network(
            embedding.size,
            1,
            width=width,
            depth=depth,
            activation=activation,
            initialiser=initialiser,
            key=key,
        )

    @property
    def config(self) -> dict[str, Any]:
        return {**self.network.config, "quadratic_start": self.quadratic_start}

    def lagrangian(self, q: Array, qd: Array, m: Array) -> Array:
        """L(q, q̇, m), a scalar. In joules only once forced motion has fixed its scale."""
        return self.network(self.embedding.state(q, qd, m))[0] + self._start(qd)

    def equation_of_motion(self, q: Array, qd: Array, m: Array) -> tuple[Array, Array]:
        """M and f by the network's second-order pass; equal to `euler_lagrange(lagrangian)`.

        With the gradient g = ∂N/∂x held fixed, the Euler–Lagrange terms of N(x(q, q̇)) are
        those of the Lagrangian gᵀx(q, q̇), whose cost is negligible, plus the curvature of N
        along the directions ∂x/∂q̇_i and (∂x/∂q) q̇.
        """
        n = self.embedding.n
        x, push = jax.linearize(lambda q, qd: self.embedding.state(q, qd, m), q, qd)
        rest = jnp.zeros_like(q)
        along_velocities = jax.vmap(lambda e: push(rest, e))(jnp.eye(n, dtype=q.dtype))
        along_motion = push(qd, rest)
        directions = jnp.concatenate([along_velocities, along_motion[None]])
        gradient, curvature = self.network.second_order(x, directions)

        def linear_part(q, qd, m):
            return gradient @ self.embedding.state(q, qd, m) + self._start(qd)

        mass_matrix, force = euler_lagrange(linear_part, q, qd, m)
        return mass_matrix + curvature[:n, :n], force - curvature[:n, n]

    def _start(self, qd: Array) -> Array:
        return 0.5 * self.quadratic_start * jnp.sum(qd**2)
