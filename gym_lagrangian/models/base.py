r"""What every learned model has in common.

A new model is one subclass of `Model` in a file of its own and one row of
`gym_lagrangian.registration.MODELS`. Training, checkpoints, evaluation and environments work
on what is declared here.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
from jax import Array

from gym_lagrangian.dynamics import ContinuousDynamics, Dynamics
from gym_lagrangian.embedding import Embedding
from gym_lagrangian.sample import Sample


class Model(eqx.Module):
    """A learned acceleration field q̈(q, q̇, τ, m).

    A subclass is constructed as ``Model(embedding, *, key, **config)`` and returns that
    `config` from the property of the same name, so that a checkpoint can rebuild it. A model
    that conserves an energy states it as ``energy(q, qd, m)``, as `Lagrangian` does.

    Attributes:
        embedding: how the model sees a state.
        conserves_energy: whether ``energy`` exists and is constant along the model's own
            unforced motion.

    """

    embedding: eqx.AbstractVar[Embedding]
    conserves_energy: ClassVar[bool]

    #: Settings of `gym_lagrangian.training.TrainingConfig` that suit this model.
    training_defaults: ClassVar[dict[str, Any]] = {}

    @property
    @abstractmethod
    def config(self) -> dict[str, Any]:
        """The keyword arguments, JSON-able, that rebuild this model's structure."""

    @abstractmethod
    def acceleration(self, q: Array, qd: Array, tau: Array, m: Array) -> Array:
        """q̈ (n,) in rad/s² or m/s²."""

    def loss(self, sample: Sample, qdd: Array) -> Array:
        """What training minimises for one state with true acceleration `qdd`: Σ_i |q̈_i error|."""
        predicted = self.acceleration(sample.q, sample.qd, sample.tau, sample.m)
        return jnp.sum(jnp.abs(predicted - qdd))

    def dynamics(self, *, integrator: str, substeps: int) -> Dynamics:
        """What an environment steps: this field with an integrator."""
        return ContinuousDynamics(self, integrator, substeps)
