r"""Lagrangian neural network: the paper's model.

A network N of the embedded state is the Lagrangian,

    L(q, q̇, m) = h · N(x(q, q̇, m)) + ½ k Σ_i κ_i u_i²,    u = q̇, stretched where there is a limit,

and everything else follows from `gym_lagrangian.physics.mechanics`: no canonical coordinates, no
assumed form of the kinetic energy. The scale h in joules lets N work with numbers of order
one. The fixed last term makes the mass matrix positive definite where training starts; without
it the first solves divide by a nearly singular matrix. It costs no generality, since N can
learn to cancel it. A model that is conditioned on masses and lengths may have ``units =
"own"``: then all this is so in units that are made of them, see `gym_lagrangian.models.similarity`.

Training minimises the acceleration error Σ_i |M⁻¹(τ + f) − q̈|_i = Σ_i |M⁻¹(τ + f − M q̈)|_i, by
one of two gradients:

``"exact"``
    of all of it.
``"force"``
    with M⁻¹ held constant: that of the residual of the equation of motion, which is linear in L,
    measured as an acceleration. Where masses grow by decades, as near the speed of light, the
    exact gradient leads to a plateau: a mass too large gives q̈ = 0 and, as M⁻¹ → 0, no slope to
    leave it by. It needs forces as large as those of the motion itself, for a residual without
    τ is also made small by L = 0.

Reference: Cranmer et al., "Lagrangian Neural Networks" (2020), Eq. 2 and Appendices A and B.
"""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp

from gym_lagrangian.checks import finite_number, one_of, positive_number
from gym_lagrangian.models.base import (
    PAPER_TRAINING,
    IntegratedModel,
    NetworkModel,
    Sizes,
    Target,
    acceleration_error,
)
from gym_lagrangian.models.embedding import Embedding
from gym_lagrangian.models.network import Shape
from gym_lagrangian.models.settings import as_factor, magnitude, per_coordinate, setting
from gym_lagrangian.models.similarity import Units, scaled_dimensions
from gym_lagrangian.physics.mechanics import Lagrangian, euler_lagrange
from gym_lagrangian.physics.shapes import Matrix, Parameters, Scalar, Vector
from gym_lagrangian.systems.preset import Preset
from gym_lagrangian.systems.sample import Sample

GRADIENTS = ("exact", "force")
UNITS = ("SI", "own")


class LNN(NetworkModel, Lagrangian, IntegratedModel):
    """A Lagrangian learned by a network.

    Attributes:
        network: N, one output.
        energy_scale: h in joules; one for the paper's own network.
        mass_scale: typical masses κ in kg (about a length) or kg·m² (about an angle), one or one a
            coordinate. The damping of M q̈ = τ + f is relative to them.
        quadratic_start: k, the share of the typical masses that is in the fixed term; zero for
            the paper's own network.
        gradient: ``"exact"`` or ``"force"``, as above.
        units: in which L is learned, ``"SI"`` or ``"own"``: of the masses and lengths themselves.
    """

    mass_matrix_solver: ClassVar[str] = "damped"
    presets: ClassVar[dict[str, Preset]] = {
        # A gentle start: while the mass matrix is still poor, large steps can make it singular.
        "package": Preset({}, {"warmup": 3000}),
        "paper": Preset(
            {"width": 500, "initialiser": "paper", "energy_scale": 1.0, "quadratic_start": 0.0},
            PAPER_TRAINING,
        ),
    }

    # A Lagrangian is fixed only up to terms that move nothing. A little weight decay keeps them
    # small, which costs nothing but what is between the data; more of it, or a higher rate, stalls
    # the fit. Of some first weights it never gets anywhere: their mass matrix is singular.
    fitting: ClassVar[Preset] = Preset(
        {"width": 64, "energy_scale": 60.0},
        {"learning_rate": 1e-2, "weight_decay": 0.03, "warmup": 1500, "starts": 4},
    )

    usual: ClassVar[Shape] = Shape(width=32)
    damped: ClassVar[bool] = True

    energy_scale: float = setting("energy_scale", 20.0, positive_number, "J")
    mass_scale: float | tuple[float, ...] = magnitude("mass_scale", 1.0, positive_number, "kg")
    quadratic_start: float = setting("quadratic_start", 1.0, finite_number, "share")
    gradient: str = setting("gradient", "exact", one_of, GRADIENTS)
    units: str = setting("units", "SI", one_of, UNITS)

    def __check_init__(self):
        if self.units == "own":
            scaled_dimensions(self.embedding)

    @classmethod
    def sizes(cls, embedding: Embedding) -> Sizes:
        return Sizes(embedding.size, 1)

    @property
    def typical_masses(self) -> tuple[float, ...] | None:
        """`mass_scale`, one a coordinate; None where it is 1."""
        masses = self.mass_scale
        return None if masses == 1.0 else per_coordinate(masses, self.embedding.n)

    @property
    def needs_forces(self) -> bool:
        """The gradient ``"force"`` does: L = 0 has no residual otherwise."""
        return self.gradient == "force"

    def lagrangian(self, q: Vector, qd: Vector, m: Parameters) -> Scalar:
        """L(q, q̇, m), a scalar. In joules only once forced motion has fixed its scale."""
        if self.units == "SI":
            return self._lagrangian(q, qd, m)
        units = Units.of(self.embedding, m)
        return units.energy * self._lagrangian(*units.state(q, qd), units.parameters)

    def friction(self, q: Vector, qd: Vector, m: Parameters) -> Vector | None:
        if self.units == "SI" or self.resistance is None:
            return super().friction(q, qd, m)
        units = Units.of(self.embedding, m)
        return units.force(self.resistance(*units.state(q, qd), units.parameters))

    def loss(self, sample: Sample, target: Target) -> Scalar:
        """Σ_i |q̈_i error|, with the gradient that `gradient` names."""
        if self.gradient == "exact":
            return acceleration_error(self, sample, target)
        mass_matrix, force = self.equation_of_motion(sample.q, sample.qd, sample.m)
        friction = self.friction(sample.q, sample.qd, sample.m)
        force = force if friction is None else force + friction
        residual = sample.tau + force - mass_matrix @ target
        fixed = jax.lax.stop_gradient(mass_matrix)
        return jnp.sum(jnp.abs(self.solved(fixed, residual)))

    def terms_of_motion(self, q: Vector, qd: Vector, m: Parameters) -> tuple[Matrix, Vector]:
        """M and f by the network's second-order pass; equal to `euler_lagrange(lagrangian)`."""
        if self.units == "SI":
            return self._terms_of_motion(q, qd, m)
        units = Units.of(self.embedding, m)
        mass_matrix, force = self._terms_of_motion(*units.state(q, qd), units.parameters)
        return units.mass_matrix(mass_matrix), units.force(force)

    def _lagrangian(self, q: Vector, qd: Vector, m: Parameters) -> Scalar:
        learned = self.energy_scale * self.network(self.embedding.state(q, qd, m))[0]
        return learned + self._start(qd, m)

    def _terms_of_motion(self, q: Vector, qd: Vector, m: Parameters) -> tuple[Matrix, Vector]:
        """Those of `_lagrangian`.

        With the gradient g = h ∂N/∂x held fixed, the Euler–Lagrange terms of h N(x(q, q̇)) are
        those of the Lagrangian gᵀx(q, q̇), whose cost is negligible, plus h times the curvature
        of N along the directions ∂x/∂q̇_i and (∂x/∂q) q̇.
        """
        n = self.embedding.n
        x, push = jax.linearize(lambda q, qd: self.embedding.state(q, qd, m), q, qd)
        rest = jnp.zeros_like(q)
        along_velocities = jax.vmap(lambda e: push(rest, e))(jnp.eye(n, dtype=q.dtype))
        along_motion = push(qd, rest)
        directions = jnp.concatenate([along_velocities, along_motion[None]])
        gradient, curvature = (
            self.energy_scale * part for part in self.network.second_order(x, directions)
        )

        def linear_part(q, qd, m):
            return gradient @ self.embedding.state(q, qd, m) + self._start(qd, m)

        mass_matrix, force = euler_lagrange(linear_part, q, qd, m)
        return mass_matrix + curvature[:n, :n], force - curvature[:n, n]

    def _start(self, qd: Vector, m: Parameters) -> Scalar:
        squares = self.embedding.stretched(qd, m) ** 2
        return 0.5 * self.quadratic_start * jnp.sum(as_factor(self.mass_scale, qd.dtype) * squares)
