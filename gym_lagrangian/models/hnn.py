r"""Hamiltonian neural network in canonical coordinates.

The network is H(q, p, m) of `gym_lagrangian.models.hamiltonian`, with p the canonical
momentum. The model has to be given p: every step begins with the Legendre map p = ∂L/∂q̇ of the true
Lagrangian and ends with its inverse. The LNN does not need this knowledge of the system, which is
the reason for Lagrangian networks where p is unknown. H itself, and so the motion, is learned.

Where a coordinate has a speed limit c, T₀ is the energy of a particle with that limit, with the
mass 1/κ at rest and the momentum p = (c/κ) sinh(k w) / k at the rapidity w. Its mass grows as
γ^(k+2), γ = cosh w; the embedding states k:

    T₀ = (c²/κ) ∫ tanh w cosh(k w) dw = (c²/κ) (γ − 1)                        k = 1
                                      = (c²/κ) (γ − 1) (4γ² + 4γ − 5) / 3     k = 3

By default the network learns from q̇ and ṗ, as `hamiltonian` states it. Where M grows by decades, an
H whose ∂H/∂p is close to q̇ may still have a wrong ∂²H/∂p², on which q̈ depends. There it learns, in
addition, from Σ_i |d/dt ∂H/∂p − q̈_true|_i, the rate being that along the true motion,
(∂²H/∂p∂q) q̇ + (∂²H/∂p²) ṗ_true. All three are linear in H.

Reference: Greydanus, Dzamba, Yosinski, "Hamiltonian Neural Networks" (2019), as compared in
Cranmer et al., "Lagrangian Neural Networks" (2020), section 5.
"""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp

from gym_lagrangian.checks import finite_number, one_of, positive_number
from gym_lagrangian.models.base import Target
from gym_lagrangian.models.embedding import GROWTH, rapidity
from gym_lagrangian.models.hamiltonian import HamiltonianModel
from gym_lagrangian.models.settings import as_factor, magnitude, per_coordinate, setting
from gym_lagrangian.physics.mechanics import Lagrangian
from gym_lagrangian.physics.shapes import Parameters, Scalar, Vector
from gym_lagrangian.systems.sample import Sample

LEARNS = ("momenta", "accelerations")


class HNN(HamiltonianModel):
    """A Hamiltonian of canonical coordinates, learned by a network.

    Attributes:
        legendre: the Lagrangian whose momenta are p; no part of `config`.
        mass_scale: typical masses in kg or kg·m², one or one a coordinate; what κ is divided by.
        momentum_scale: a typical momentum in kg·m/s or kg·m²/s, one or one a coordinate, by which
            p is divided.
        learns: from ``"momenta"`` or from ``"accelerations"`` as well, as above.
    """

    canonical: ClassVar[bool] = True

    legendre: Lagrangian
    energy_scale: float = setting("energy_scale", 10.0, positive_number, "J")
    quadratic_start: float = setting("quadratic_start", 0.5, finite_number, "1/kg")
    mass_scale: float | tuple[float, ...] = magnitude("mass_scale", 1.0, positive_number, "kg")
    momentum_scale: float | tuple[float, ...] = magnitude(
        "momentum_scale", 10.0, positive_number, "kg·m/s"
    )
    learns: str = setting("learns", "momenta", one_of, LEARNS)

    def loss(self, sample: Sample, target: Target) -> Scalar:
        """The discrepancy of q̇, of ṗ and, if so asked, of the rate of ∂H/∂p."""
        loss = self.discrepancy(sample, target)
        if self.learns == "momenta":
            return loss
        q, qd, tau, m = sample.q, sample.qd, sample.tau, sample.m
        p, true_rate = self.true_momentum(sample, target)
        rate = self._velocity_rate(q, p, tau, m, (qd, true_rate))
        return loss + jnp.sum(jnp.abs(rate - target))

    def scaled(self, p: Vector, m: Parameters) -> Vector:
        return self.embedding.momenta(p / as_factor(self.momentum_scale, p.dtype))

    def free_energy(self, p: Vector, m: Parameters) -> Scalar:
        """Σ_i T₀ of p_i, that of a particle which keeps to its limit."""
        masses = per_coordinate(self.mass_scale, self.embedding.n)
        limits = zip(self.embedding.speed_limit, masses, strict=True)
        energies = [
            _free_energy(
                p[i], self.quadratic_start / mass, limit and (m[limit[0]], GROWTH[limit[1]])
            )
            for i, (limit, mass) in enumerate(limits)
        ]
        return jnp.sum(jnp.stack(energies))

    def momentum(self, q: Vector, qd: Vector, m: Parameters) -> Vector:
        """The true canonical momentum ∂L/∂q̇."""
        return self.legendre.momentum(q, qd, m)

    def velocity(
        self, q: Vector, p: Vector, m: Parameters, qd_guess: Vector | None = None
    ) -> Vector:
        """The true velocity of a canonical momentum."""
        return self.legendre.velocity(q, p, m, qd_guess)

    def acceleration(self, q: Vector, qd: Vector, tau: Vector, m: Parameters) -> Vector:
        """d²q/dt² along the model's own motion: ∂H/∂p, differentiated along (dq/dt, dp/dt)."""
        p = self.momentum(q, qd, m)
        return self._velocity_rate(q, p, tau, m, self.hamilton(q, p, tau, m))

    def _velocity_rate(
        self, q: Vector, p: Vector, tau: Vector, m: Parameters, rates: tuple[Vector, Vector]
    ) -> Vector:
        """d/dt ∂H/∂p where q and p change at those rates."""
        return jax.jvp(lambda q, p: self.hamilton(q, p, tau, m)[0], (q, p), rates)[1]


def _free_energy(p: Scalar, start: float, limit: tuple[Scalar, int] | None) -> Scalar:
    """T₀ of one momentum; with a limit, its speed c and the k of its mass."""
    if limit is None:
        return 0.5 * start * p**2
    c, growth = limit
    gamma = jnp.cosh(rapidity(start * p / c, growth))
    steepness = {1: 1.0, 3: (4.0 * gamma**2 + 4.0 * gamma - 5.0) / 3.0}[growth]
    return c**2 / start * (gamma - 1.0) * steepness
