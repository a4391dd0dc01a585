r"""Dimensional analysis: machines that differ in their units alone are one machine.

Let μ and λ be the mean mass and the mean length among the parameters, each in its own typical
magnitude, and τ = √λ: under the same gravity a machine λ times as long moves √λ times as slowly.
In these units a state, the parameters and the Lagrangian are

    q̃ = q / λ of a length, q of an angle,    q̃̇ = τ dq̃/dt,    m̃_j = m_j / (μ^a λ^b τ^c),
    L(q, q̇, m) = E L̃(q̃, q̃̇, m̃),    E = μ λ² / τ²,

with the kilograms, metres and seconds (a, b, c) of the unit of m_j. The model then depends on one
mass and one length fewer, and what it learned at some masses and lengths holds at all of their
multiples.

Reference: Buckingham, "On Physically Similar Systems" (1914).
"""

from __future__ import annotations

import re
from typing import NamedTuple

import jax.numpy as jnp

from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.models.embedding import Embedding
from gym_lagrangian.physics.shapes import Matrix, Parameters, Scalar, Vector

# The kilograms, metres and seconds of a unit.
Dimensions = tuple[int, int, int]

_MASS, _LENGTH, _ACCELERATION = (1, 0, 0), (0, 1, 0), (0, 1, -2)
_UNITS: dict[str, Dimensions] = {
    "": (0, 0, 0),
    "1": (0, 0, 0),
    "rad": (0, 0, 0),
    "kg": _MASS,
    "m": _LENGTH,
    "s": (0, 0, 1),
    "N": (1, 1, -2),
    "J": (1, 2, -2),
    "W": (1, 2, -3),
}
# What no change of the units of mass and length changes, where seconds go with √ metres.
_KEPT = (_ACCELERATION, _UNITS[""])
_POWERS = {"": 1, "²": 2, "³": 3}


def dimensions(unit: str) -> Dimensions | None:
    """The kilograms, metres and seconds of an SI unit as parameters state it, such as ``kg·m²`` or
    ``N·s/m``; None where it is made of anything else.
    """
    total = [0, 0, 0]
    for sign, part in re.findall(r"(^|[·/])([^·/]*)", unit):
        name = part.rstrip("²³")
        if name not in _UNITS or part[len(name) :] not in _POWERS:
            return None
        times = (-1 if sign == "/" else 1) * _POWERS[part[len(name) :]]
        total = [a + times * b for a, b in zip(total, _UNITS[name], strict=True)]
    return total[0], total[1], total[2]


def scaled_dimensions(embedding: Embedding) -> tuple[Dimensions, ...]:
    """The dimensions of the parameters that a model is conditioned on.

    Raises:
        ConfigurationError: no mass or no length is among them; or a parameter that is left out is
            neither zero nor an acceleration nor a pure number, so that it would have to change
            with the units.
    """
    names, system = embedding.m_names, embedding.system
    found = [dimensions(unit) for unit in embedding.m_units]
    if _MASS not in found or _LENGTH not in found:
        raise ConfigurationError(
            f'units = "own" are made of the masses and lengths that a model of {system} is '
            f"conditioned on, and these are {', '.join(names) or 'none'}: condition it on a mass "
            "and a length at least, or leave units out"
        )
    odd = [name for name, known in zip(names, found, strict=True) if known is None]
    odd += [name for name, unit in embedding.fixed_units if dimensions(unit) not in _KEPT]
    if odd:
        raise ConfigurationError(
            f'units = "own": {", ".join(odd)} of {system} would change with the units of mass and '
            "length: condition the model on all such parameters, or leave units out"
        )
    return tuple(known for known in found if known is not None)


class Units(NamedTuple):
    """μ, λ and τ of the parameters of one machine.

    Attributes:
        mass, length, time: scalars.
        lengths: of each coordinate (n,): λ, or 1 for an angle.
        parameters: m̃ (k,); parameters that the embedding does not see are as they were.
    """

    mass: Scalar
    length: Scalar
    time: Scalar
    lengths: Vector
    parameters: Parameters

    @classmethod
    def of(cls, embedding: Embedding, m: Parameters) -> Units:
        """Those of parameters m (k,)."""
        dims, y = scaled_dimensions(embedding), embedding.parameters(m)
        mass, length = (
            jnp.mean(y[jnp.array([i for i, found in enumerate(dims) if found == kind])])
            for kind in (_MASS, _LENGTH)
        )
        time = jnp.sqrt(length)
        lengths = jnp.where(jnp.array(embedding.angular), 1.0, length)
        for i, (a, b, c) in zip(embedding.m_index, dims, strict=True):
            m = m.at[i].divide(mass**a * length**b * time**c)
        return cls(mass, length, time, lengths, m)

    @property
    def energy(self) -> Scalar:
        """E as above."""
        return self.mass * self.length**2 / self.time**2

    def state(self, q: Vector, qd: Vector) -> tuple[Vector, Vector]:
        """(q̃, q̃̇)."""
        return q / self.lengths, qd * self.time / self.lengths

    def mass_matrix(self, found: Matrix) -> Matrix:
        """M of M̃."""
        return self.energy * found * jnp.outer(self.time / self.lengths, self.time / self.lengths)

    def force(self, found: Vector) -> Vector:
        """A generalized force of one in these units."""
        return self.energy * found / self.lengths
