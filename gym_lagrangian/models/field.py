r"""An acceleration field that is nothing but a network.

    q̈ = a · N(x(q, q̇, m), τ)

with a a fixed scale in rad/s² or m/s², one or one a coordinate, so that N works with numbers of
order one. Nothing is conserved. Models of this kind differ in what they learn from.
"""

from __future__ import annotations

from typing import ClassVar

import jax.numpy as jnp

from gym_lagrangian.checks import positive_number
from gym_lagrangian.models.base import IntegratedModel, NetworkModel, Sizes
from gym_lagrangian.models.embedding import Embedding
from gym_lagrangian.models.network import Inputs, Shape
from gym_lagrangian.models.settings import as_factor, magnitude
from gym_lagrangian.physics.shapes import Parameters, Vector


class NetworkField(NetworkModel, IntegratedModel):
    """An acceleration field learned by a network.

    Attributes:
        network: N, one output a coordinate.
        acceleration_scale: a.
    """

    has_energy: ClassVar[bool] = False
    usual: ClassVar[Shape] = Shape(width=64)

    acceleration_scale: float | tuple[float, ...] = magnitude(
        "acceleration_scale", 10.0, positive_number
    )

    @classmethod
    def sizes(cls, embedding: Embedding) -> Sizes:
        return Sizes(embedding.size + embedding.n, embedding.n, after=embedding.n)

    def acceleration(self, q: Vector, qd: Vector, tau: Vector, m: Parameters) -> Vector:
        x = state_and_forces(self.embedding, q, qd, tau, m)
        return as_factor(self.acceleration_scale, q.dtype) * self.network(x)


def state_and_forces(
    embedding: Embedding, q: Vector, qd: Vector, tau: Vector, m: Parameters
) -> Inputs:
    """All that decides a motion, as a network sees it: features of (q, q̇, m), then of τ."""
    return jnp.concatenate([embedding.state(q, qd, m), embedding.forces(tau)])
