r"""Hamiltonian neural network fed (q, q̇) as if it were canonical: the paper's failing case.

The network and its equations are those of `gym_lagrangian.models.hamiltonian` with p := q̇,

    dq/dt = ∂H/∂q̇,    dq̇/dt = −∂H/∂q + τ.

It is kept because it fails. The first equation says q̇ = ∂H/∂q̇, so H = ½|q̇|² + V(q, m): the second
then gives a q̈ that cannot depend on q̇, and the forces enter as if every mass were one. What a
system has of centrifugal and Coriolis forces, of a mass matrix or of a magnetic field is lost.
Where L = ½|q̇|² − V it is exact.

Reference: Cranmer et al., "Lagrangian Neural Networks" (2020), section 5 and Figure 3 (a).
"""

from __future__ import annotations

import jax.numpy as jnp

from gym_lagrangian.checks import finite_number, positive_number
from gym_lagrangian.models.base import Target
from gym_lagrangian.models.hamiltonian import HamiltonianModel
from gym_lagrangian.models.settings import setting
from gym_lagrangian.physics.shapes import Parameters, Scalar, Vector
from gym_lagrangian.systems.sample import Sample


class NoncanonicalHNN(HamiltonianModel):
    """A Hamiltonian of (q, q̇), learned by a network."""

    energy_scale: float = setting("energy_scale", 10.0, positive_number, "J")
    quadratic_start: float = setting("quadratic_start", 1.0, finite_number, "1/kg")

    def loss(self, sample: Sample, target: Target) -> Scalar:
        """The discrepancy of q̇ and of q̈."""
        return self.discrepancy(sample, target)

    def scaled(self, p: Vector, m: Parameters) -> Vector:
        return self.embedding.velocities(p, m)

    def free_energy(self, p: Vector, m: Parameters) -> Scalar:
        """½ κ |p|²."""
        return 0.5 * self.quadratic_start * jnp.sum(p**2)

    def momentum(self, q: Vector, qd: Vector, m: Parameters) -> Vector:
        """The velocity itself."""
        return qd

    def velocity(
        self, q: Vector, p: Vector, m: Parameters, qd_guess: Vector | None = None
    ) -> Vector:
        """The momentum itself."""
        return p

    def acceleration(self, q: Vector, qd: Vector, tau: Vector, m: Parameters) -> Vector:
        """dq̇/dt = −∂H/∂q + τ."""
        return self.hamilton(q, qd, tau, m)[1]
