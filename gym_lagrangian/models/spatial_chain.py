r"""A chain of rigid bodies in space, such as a robot arm, whose joints and masses are learned.

The mechanics are those of `gym_lagrangian.physics.newton_euler`. Learned are, of each link,

    joint      a_i  unit vector along the axis,    d_i  from the joint before to this one
    inertia    m,   h = ∫ r dm,    I = tr(S) 1 − S,    S = ∫ r rᵀ dm
    rotor      J_i ≥ 0, of a motor behind gears, felt by its own joint alone

The matrix [[S, h], [hᵀ, m]] = μ C Cᵀ, with C lower triangular and its diagonal positive, is
positive definite whatever is learned: there is a distribution of mass with these numbers (Wensing,
Kim, Slotine 2018; C as in Rucker & Wensing 2022). So the mass matrix M is positive definite too.
Not all of the numbers can be identified: many chains have the same motion.

Beyond its data a network is a guess. A chain is not: 10 numbers a link, and the 5 of a joint that
matter, determine its motion everywhere. It cannot express closed loops, elastic joints, or forces
other than gravity, friction and those of the motors.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from gym_lagrangian.checks import finite_number, known_names, positive_number
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.models.base import (
    FRICTION,
    IntegratedModel,
    Target,
    acceleration_error,
    learned_friction,
)
from gym_lagrangian.models.embedding import Embedding
from gym_lagrangian.models.friction import Friction
from gym_lagrangian.models.network import Shape
from gym_lagrangian.models.settings import as_given, magnitude, per_coordinate, setting
from gym_lagrangian.physics.mechanics import Lagrangian
from gym_lagrangian.physics.newton_euler import Links, Points, Tensors, joint_forces, lagrangian
from gym_lagrangian.physics.shapes import AnyArray, Matrix, Parameters, Scalar, Vector
from gym_lagrangian.systems.preset import Preset
from gym_lagrangian.systems.sample import Sample

Diagonals = Float[AnyArray, "n 4"]
Lower = Float[AnyArray, "n 6"]

# Where a rotor's inertia begins, before softplus, in typical masses: at .05.
_START = -3.0

# The diagonal of C begins at this power of e, and what is below it with this deviation.
_DIAGONAL, _BELOW = -1.0, 0.1

# Networks of friction, where it has some.
_SHAPE = Shape(width=32)


class SpatialChain(Lagrangian, IntegratedModel):
    """Rigid bodies in a row, by learned joints.

    Attributes:
        axes: along the joints (n, 3), before they are normalised.
        offsets: d / length_scale (n, 3).
        diagonal, below: of C (n, 4) before exp, (n, 6) row by row.
        rotors: J / mass_scale (n,) before softplus.
        resistance: the learned friction; None for none.
        gravity: g in m/s², downwards.
        length_scale: a typical length ℓ of a link in metres. A turning link's unit of mass μ_i is
            the smaller of κ_i / ℓ² and τ_i / (2 g ℓ), τ_i its typical torque.
        mass_scale: κ in kg (about a length) or kg·m² (about an angle), one or one a coordinate.
    """

    has_energy: ClassVar[bool] = True
    mass_matrix_solver: ClassVar[str] = "direct"
    # Axes that begin far off may end in a place from which nothing leads on.
    fitting: ClassVar[Preset] = Preset(
        {},
        {
            "optimiser": "adam",
            "steps": 4_000,
            "batch": 256,
            "final_learning_rate": 1e-2,
            "starts": 6,
            "trial": 1_000,
        },
    )

    embedding: Embedding
    axes: Points
    offsets: Points
    diagonal: Diagonals
    below: Lower
    rotors: Vector
    resistance: Friction | None

    gravity: float = setting("gravity", 9.81, finite_number, "m/s²")
    length_scale: float = setting("length_scale", 0.3, positive_number, "m")
    mass_scale: float | tuple[float, ...] = magnitude("mass_scale", 1.0, positive_number, "kg")

    @classmethod
    def settings(cls) -> tuple[str, ...]:
        """Its own, then those of friction."""
        return (*_own(), *FRICTION)

    @classmethod
    def build(
        cls, embedding: Embedding, *, key: Array, legendre: Any = None, **config: Any
    ) -> SpatialChain:
        """A chain with random joints; `legendre` has no use.

        Raises:
            ConfigurationError: an unknown name, a value that makes no sense, or parameters to be
                conditioned on.
        """
        known_names(cls.__name__, cls.settings(), config)
        if embedding.m_index:
            raise ConfigurationError(
                f"{cls.__name__} takes no parameters as inputs, its masses and lengths are its "
                "own: leave conditioned_on out, and fit one chain to data of one machine"
            )
        n, keys = embedding.n, jax.random.split(key, 3)
        friction = {name: config.pop(name) for name in FRICTION if name in config}
        return cls(
            embedding,
            axes=jax.random.normal(keys[0], (n, 3)),
            offsets=jax.random.normal(keys[1], (n, 3)),
            diagonal=jnp.full((n, 4), _DIAGONAL),
            below=_BELOW * jax.random.normal(keys[2], (n, 6)),
            rotors=jnp.full(n, _START),
            resistance=learned_friction(embedding, _SHAPE, key, **friction),
            **config,
        )

    @property
    def config(self) -> dict[str, Any]:
        own = {name: as_given(getattr(self, name)) for name in _own()}
        found = self.resistance
        kind, power = ("none", None) if found is None else (found.kind, found.power)
        return own | dict(zip(FRICTION, (kind, power), strict=True))

    def friction(self, q: Vector, qd: Vector, m: Parameters) -> Vector | None:
        """The learned force F (n,) of friction, with q̇ᵀF ≤ 0; None where there is none."""
        return None if self.resistance is None else self.resistance(q, qd, m)

    def links(self) -> Links:
        """What is learned, in SI units."""
        axes = self.axes / jnp.linalg.norm(self.axes, axis=1, keepdims=True)
        offsets = self.length_scale * self.offsets
        turns = jnp.array(self.embedding.angular, axes.dtype)
        return Links(turns, axes, offsets, *self._inertias())

    def rotor_inertias(self) -> Vector:
        """J (n,) in kg or kg·m²."""
        return jnp.array(self._masses(), self.rotors.dtype) * jax.nn.softplus(self.rotors)

    def _inertias(self) -> tuple[Vector, Points, Tensors]:
        """m, h and I."""
        row, column = np.tril_indices(4, -1)
        n, length, dtype = self.embedding.n, self.length_scale, self.below.dtype
        factor = jnp.zeros((n, 4, 4), dtype).at[:, row, column].set(self.below)
        factor = factor + jnp.exp(self.diagonal)[:, None] * jnp.eye(4, dtype=dtype)
        moments = self._unit_masses()[:, None, None] * (factor @ factor.mT)
        second = length**2 * moments[:, :3, :3]
        trace = jnp.trace(second, axis1=1, axis2=2)[:, None, None]
        inertia = trace * jnp.eye(3, dtype=dtype) - second
        return moments[:, 3, 3], length * moments[:, :3, 3], inertia

    def lagrangian(self, q: Vector, qd: Vector, m: Parameters) -> Scalar:
        """T − V in joules, a scalar."""
        rotating = 0.5 * jnp.sum(self.rotor_inertias() * qd**2)
        return rotating + lagrangian(self.links(), q, qd, self.gravity)

    def force_of_motion(self, q: Vector, qd: Vector, qdd: Vector, m: Parameters) -> Vector:
        """M q̈ − f (n,) from link to link, equal to what the Lagrangian says."""
        carried = joint_forces(self.links(), q, qd, qdd, self.gravity)
        return carried + self.rotor_inertias() * qdd

    def terms_of_motion(self, q: Vector, qd: Vector, m: Parameters) -> tuple[Matrix, Vector]:
        """M and f: what a unit of each acceleration adds to the force of motion."""
        rest = self.force_of_motion(q, qd, jnp.zeros_like(q), m)
        unit = jnp.eye(len(q), dtype=q.dtype)
        columns = jax.vmap(lambda e: self.force_of_motion(q, qd, e, m) - rest)(unit)
        return columns, -rest

    def loss(self, sample: Sample, target: Target) -> Scalar:
        """Σ_i |q̈_i error|."""
        return acceleration_error(self, sample, target)

    def _masses(self) -> tuple[float, ...]:
        return per_coordinate(self.mass_scale, self.embedding.n)

    def _unit_masses(self) -> Vector:
        """μ (n,) in kg."""
        lever = np.where(self.embedding.angular, self.length_scale, 1.0)
        weight = np.maximum(2.0 * abs(self.gravity) * lever, 1e-30)
        by_weight = np.array(self.embedding.tau_scale) / weight
        found = np.minimum(np.array(self._masses()) / lever**2, by_weight)
        return jnp.asarray(found, self.below.dtype)


def _own() -> tuple[str, ...]:
    return tuple(f.name for f in fields(SpatialChain) if f.kw_only)
