r"""The paper's baseline: a network that outputs accelerations, with no physics in it.

It is the field q̈ = a · N(x(q, q̇, m), τ) of `gym_lagrangian.models.field`, learned from
accelerations.

Reference: Cranmer et al., "Lagrangian Neural Networks" (2020), section 5.
"""

from __future__ import annotations

from typing import ClassVar

from gym_lagrangian.models.base import PAPER_TRAINING, Target, acceleration_error
from gym_lagrangian.models.field import NetworkField
from gym_lagrangian.physics.shapes import Scalar
from gym_lagrangian.systems.preset import Preset
from gym_lagrangian.systems.sample import Sample


class Baseline(NetworkField):
    """An acceleration field learned by a network from accelerations."""

    presets: ClassVar[dict[str, Preset]] = {
        "package": Preset({}, {}),
        "paper": Preset({"width": 500, "acceleration_scale": 1.0}, PAPER_TRAINING),
    }
    fitting: ClassVar[Preset] = Preset({}, {"weight_decay": 0.03})

    def loss(self, sample: Sample, target: Target) -> Scalar:
        """Σ_i |q̈_i error|."""
        return acceleration_error(self, sample, target)
