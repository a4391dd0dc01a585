r"""The paper's baseline: a network that outputs accelerations, with no physics in it.

    q̈ = a · N(x(q, q̇, m), τ)

with a a fixed scale in rad/s² or m/s², so that N works with numbers of order one. Nothing is
conserved.

Reference: Cranmer et al., "Lagrangian Neural Networks" (2020), section 5.
"""

from __future__ import annotations

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
from jax import Array

from gym_lagrangian.models.base import PAPER_TRAINING, AccelerationModel
from gym_lagrangian.models.embedding import Embedding
from gym_lagrangian.models.network import Network
from gym_lagrangian.systems.preset import Preset


class Baseline(AccelerationModel):
    """An acceleration field learned by a network.

    Attributes:
        network: N, one output a coordinate.
        acceleration_scale: a.
    """

    conserves_energy: ClassVar[bool] = False
    presets: ClassVar[dict[str, Preset]] = {
        "package": Preset({}, {}),
        "paper": Preset({"width": 500, "acceleration_scale": 1.0}, PAPER_TRAINING),
    }
    fitting: ClassVar[Preset] = Preset({}, {"weight_decay": 0.03})

    network: Network
    embedding: Embedding
    acceleration_scale: float = eqx.field(static=True)

    def __init__(
        self,
        embedding: Embedding,
        *,
        width: int = 64,
        depth: int = 3,
        activation: str = "softplus",
        initialiser: str = "fan_in",
        acceleration_scale: float = 10.0,
        key: Array,
    ):
        """Random weights; arguments as for `LNN`."""
        self.embedding = embedding
        self.acceleration_scale = acceleration_scale
        self.network = Network(
            embedding.size + embedding.n,
            embedding.n,
            width=width,
            depth=depth,
            activation=activation,
            initialiser=initialiser,
            key=key,
        )

    @property
    def config(self) -> dict[str, Any]:
        return {**self.network.config, "acceleration_scale": self.acceleration_scale}

    def acceleration(self, q: Array, qd: Array, tau: Array, m: Array) -> Array:
        state = self.embedding.state(q, qd, m)
        return self.acceleration_scale * self.network(
            jnp.concatenate([state, self.embedding.forces(tau)])
        )
