r"""What the Hamiltonian networks share: a learned H(q, p, m) and Hamilton's equations.

    H(q, p, m) = h · N(x(q, p, m)) + T₀(p),    dq/dt = ∂H/∂p,    dp/dt = −∂H/∂q + τ

with h a fixed scale in joules, so that N works with numbers of order one. It follows that
dH/dt = (∂H/∂p)ᵀ τ, whatever N is: H is conserved where τ = 0. The fixed last term, like the
LNN's, starts training near the motion of a free particle: T₀ = ½ κ |p|².

What p is of a state (q, q̇) is for the subclass to say, as a pair of maps `momentum` and
`velocity`. With M = ∂p/∂q̇, training minimises

    Σ_i |∂H/∂p − q̇|_i + Σ_i |M⁻¹ (dp/dt − ṗ_true)|_i,    ṗ_true = (∂p/∂q) q̇ + M q̈_true,

both halves of the discrepancy of ẋ = (q̇, q̈), from first derivatives of N alone.

Reference: Greydanus, Dzamba, Yosinski, "Hamiltonian Neural Networks" (2019).
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from gym_lagrangian.models.base import AccelerationModel
from gym_lagrangian.models.network import Network
from gym_lagrangian.physics.dynamics import Dynamics, PhaseSpaceDynamics
from gym_lagrangian.physics.linear import solve
from gym_lagrangian.systems.sample import Sample


class HamiltonianModel(AccelerationModel):
    """A Hamiltonian learned by a network, in coordinates (q, p) that the subclass chooses.

    Attributes:
        network: N, one output.
        energy_scale: h in joules.
        quadratic_start: κ in 1/kg (about a length) or 1/(kg·m²) (about an angle), where p is
            a momentum.
    """

    conserves_energy: ClassVar[bool] = True

    network: eqx.AbstractVar[Network]
    energy_scale: eqx.AbstractVar[float]
    quadratic_start: eqx.AbstractVar[float]

    @abstractmethod
    def momentum(self, q: Array, qd: Array, m: Array) -> Array:
        """The momentum p (n,) of a state."""

    @abstractmethod
    def velocity(self, q: Array, p: Array, m: Array, qd_guess: Array | None = None) -> Array:
        """q̇ (n,), the inverse of `momentum`."""

    @abstractmethod
    def scaled(self, p: Array, m: Array) -> Array:
        """The momentum in numbers of order one, for the network."""

    def hamiltonian(self, q: Array, p: Array, m: Array) -> Array:
        """H(q, p, m), a scalar."""
        embedding = self.embedding
        x = [embedding.coordinates(q), self.scaled(p, m), embedding.parameters(m)]
        learned = self.energy_scale * self.network(jnp.concatenate(x))[0]
        return learned + self.free_energy(p, m)

    def free_energy(self, p: Array, m: Array) -> Array:
        """T₀(p), the fixed part of H, a scalar."""
        return 0.5 * self.quadratic_start * jnp.sum(p**2)

    def hamilton(self, q: Array, p: Array, tau: Array, m: Array) -> tuple[Array, Array]:
        """Hamilton's equations: (dq/dt, dp/dt)."""
        dH_dq, dH_dp = jax.grad(self.hamiltonian, argnums=(0, 1))(q, p, m)
        return dH_dp, tau - dH_dq

    def energy(self, q: Array, qd: Array, m: Array) -> Array:
        """H at the state (q, q̇)."""
        return self.hamiltonian(q, self.momentum(q, qd, m), m)

    def true_momentum(self, sample: Sample, target: Array) -> tuple[Array, Array]:
        """p and ṗ_true, for the true q̈."""
        q, qd, m = sample.q, sample.qd, sample.m
        return jax.jvp(lambda q, qd: self.momentum(q, qd, m), (q, qd), (qd, target))

    def loss(self, sample: Sample, target: Array) -> Array:
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

    @property
    def config(self) -> dict[str, Any]:
        return {
            **self.network.config,
            "energy_scale": self.energy_scale,
            "quadratic_start": self.quadratic_start,
        }
