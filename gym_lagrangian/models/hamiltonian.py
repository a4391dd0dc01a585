r"""What the Hamiltonian networks share: a learned H(q, p, m) and Hamilton's equations.

    H(q, p, m) = h · N(x(q, p, m)) + T₀(p),    dq/dt = ∂H/∂p,    dp/dt = −∂H/∂q + τ + F

with h a fixed scale in joules, so that N works with numbers of order one, and F = F(q, ∂H/∂p, m)
the learned friction, where there is any. It follows that dH/dt = (∂H/∂p)ᵀ (τ + F), whatever N is:
H is conserved where τ = 0 and F = 0, and F never adds to it. The fixed last term, like the
LNN's, starts training near the motion of a free particle, T₀ = ½ κ |p|² where nothing limits its
speed.

The subclass says what p is of a state (q, q̇), by a pair of maps `momentum` and `velocity`. With
M = ∂p/∂q̇, the discrepancy that training minimises is

    Σ_i |∂H/∂p − q̇|_i + Σ_i |M⁻¹ (dp/dt − ṗ_true)|_i,    ṗ_true = (∂p/∂q) q̇ + M q̈_true,

both halves of the discrepancy of ẋ = (q̇, q̈), from first derivatives of N alone.

Reference: Greydanus, Dzamba, Yosinski, "Hamiltonian Neural Networks" (2019).
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from gym_lagrangian.models.base import AccelerationModel, NetworkModel, Sizes
from gym_lagrangian.models.embedding import Embedding
from gym_lagrangian.models.network import Shape
from gym_lagrangian.physics.dynamics import Dynamics, PhaseSpaceDynamics
from gym_lagrangian.physics.linear import solve
from gym_lagrangian.physics.shapes import Matrix, Parameters, Scalar, Vector
from gym_lagrangian.systems.sample import Sample


class HamiltonianModel(NetworkModel, AccelerationModel):
    """A Hamiltonian learned by a network, in coordinates (q, p) that the subclass chooses.

    Attributes:
        network: N, one output.
        energy_scale: h in joules.
        quadratic_start: κ in 1/kg (about a length) or 1/(kg·m²) (about an angle), where p is
            a momentum and the typical masses are 1.
    """

    has_energy: ClassVar[bool] = True
    usual: ClassVar[Shape] = Shape(width=64)
    damped: ClassVar[bool] = True

    energy_scale: eqx.AbstractVar[float]
    quadratic_start: eqx.AbstractVar[float]

    @classmethod
    def sizes(cls, embedding: Embedding) -> Sizes:
        return Sizes(embedding.size, 1)

    @abstractmethod
    def momentum(self, q: Vector, qd: Vector, m: Parameters) -> Vector:
        """The momentum p (n,) of a state."""

    @abstractmethod
    def velocity(
        self, q: Vector, p: Vector, m: Parameters, qd_guess: Vector | None = None
    ) -> Vector:
        """q̇ (n,), the inverse of `momentum`."""

    @abstractmethod
    def scaled(self, p: Vector, m: Parameters) -> Vector:
        """The momentum in numbers of order one, for the network."""

    @abstractmethod
    def free_energy(self, p: Vector, m: Parameters) -> Scalar:
        """T₀(p), the fixed part of H in joules, a scalar."""

    def hamiltonian(self, q: Vector, p: Vector, m: Parameters) -> Scalar:
        """H(q, p, m), a scalar."""
        embedding = self.embedding
        x = [embedding.coordinates(q), self.scaled(p, m), embedding.parameters(m)]
        learned = self.energy_scale * self.network(jnp.concatenate(x))[0]
        return learned + self.free_energy(p, m)

    def hamilton(self, q: Vector, p: Vector, tau: Vector, m: Parameters) -> tuple[Vector, Vector]:
        """Hamilton's equations: (dq/dt, dp/dt)."""
        dH_dq, dH_dp = jax.grad(self.hamiltonian, argnums=(0, 1))(q, p, m)
        friction = self.friction(q, dH_dp, m)
        force = tau if friction is None else tau + friction
        return dH_dp, force - dH_dq

    def energy(self, q: Vector, qd: Vector, m: Parameters) -> Scalar:
        """H at the state (q, q̇)."""
        return self.hamiltonian(q, self.momentum(q, qd, m), m)

    def mass_matrix(self, q: Vector, qd: Vector, m: Parameters) -> Matrix:
        """M = (∂²H/∂p²)⁻¹ (n, n): how its momentum grows with its velocity ∂H/∂p."""
        p = self.momentum(q, qd, m)
        return jnp.linalg.inv(jax.hessian(self.hamiltonian, argnums=1)(q, p, m))

    def inverse_dynamics(self, q: Vector, qd: Vector, qdd: Vector, m: Parameters) -> Vector:
        """The generalized force τ (n,) that causes q̈, in which its acceleration is affine."""

        def caused(tau: Vector) -> Vector:
            return self.acceleration(q, qd, tau, m)

        free = jnp.zeros_like(q)
        return solve(jax.jacfwd(caused)(free), qdd - caused(free), method="direct")

    def true_momentum(self, sample: Sample, target: Vector) -> tuple[Vector, Vector]:
        """p and ṗ_true, for the true q̈."""
        q, qd, m = sample.q, sample.qd, sample.m
        return jax.jvp(lambda q, qd: self.momentum(q, qd, m), (q, qd), (qd, target))

    def discrepancy(self, sample: Sample, target: Vector) -> Scalar:
        """The discrepancy of (q̇, q̈) named above, for the true q̈."""
        q, qd, m = sample.q, sample.qd, sample.m
        p, true_rate = self.true_momentum(sample, target)
        velocity, rate = self.hamilton(q, p, sample.tau, m)
        mass_matrix = jax.jacfwd(self.momentum, argnums=1)(q, qd, m)
        error = solve(mass_matrix, rate - true_rate, method="direct")
        return jnp.sum(jnp.abs(velocity - qd)) + jnp.sum(jnp.abs(error))

    def dynamics(self, *, integrator: str, substeps: int) -> Dynamics:
        """Hamilton's equations, with `momentum` and `velocity` at the two ends of a step."""
        return PhaseSpaceDynamics(self, integrator, substeps, roll=True)
