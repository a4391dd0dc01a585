r"""Hamiltonian neural network fed (q, q̇) as if it were canonical: the paper's failing case.

The network and its equations are those of `gym_lagrangian.models.hamiltonian` with p := q̇,

    dq/dt = ∂H/∂q̇,    dq̇/dt = −∂H/∂q + τ.

It is kept as it fails. The first equation says q̇ = ∂H/∂q̇, so H = ½|q̇|² + V(q, m): the second
then gives a q̈ that cannot depend on q̇, and the forces enter as if every mass were one. What a
system has of centrifugal and Coriolis forces, of a mass matrix or of a magnetic field is lost.
Where L = ½|q̇|² − V it is exact.

Reference: Cranmer et al., "Lagrangian Neural Networks" (2020), section 5 and Figure 3 (a).
"""

from __future__ import annotations

import equinox as eqx
from jax import Array

from gym_lagrangian.checks import finite_number, positive_number
from gym_lagrangian.models.embedding import Embedding
from gym_lagrangian.models.hamiltonian import HamiltonianModel
from gym_lagrangian.models.network import Network


class NoncanonicalHNN(HamiltonianModel):
    """A Hamiltonian of (q, q̇), learned by a network."""

    network: Network
    embedding: Embedding
    energy_scale: float = eqx.field(static=True)
    quadratic_start: float = eqx.field(static=True)

    def __init__(
        self,
        embedding: Embedding,
        *,
        width: int = 64,
        depth: int = 3,
        activation: str = "softplus",
        initialiser: str = "fan_in",
        energy_scale: float = 10.0,
        quadratic_start: float = 1.0,
        key: Array,
    ):
        """Random weights; arguments as for `HNN`."""
        self.embedding = embedding
        self.energy_scale = positive_number("energy_scale", energy_scale, "J")
        self.quadratic_start = finite_number("quadratic_start", quadratic_start, "1/kg")
        self.network = Network(
            embedding.size,
            1,
            width=width,
            depth=depth,
            activation=activation,
            initialiser=initialiser,
            key=key,
        )

    def scaled(self, p: Array, m: Array) -> Array:
        return self.embedding.velocities(p, m)

    def momentum(self, q: Array, qd: Array, m: Array) -> Array:
        """The velocity itself."""
        return qd

    def velocity(self, q: Array, p: Array, m: Array, qd_guess: Array | None = None) -> Array:
        """The momentum itself."""
        return p

    def acceleration(self, q: Array, qd: Array, tau: Array, m: Array) -> Array:
        """dq̇/dt = −∂H/∂q + τ."""
        return self.hamilton(q, qd, tau, m)[1]
