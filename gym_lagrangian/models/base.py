r"""What every learned model has in common.

A new model is one subclass of `Model` in a file of its own and one row of
`gym_lagrangian.registration.MODELS`. Training, checkpoints, evaluation and environments work
on what is declared here. A model that is an acceleration field, as most are, subclasses
`AccelerationModel` and states only q̈.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
from jax import Array

from gym_lagrangian.checks import one_of, positive_number, whole_number
from gym_lagrangian.models.embedding import Embedding
from gym_lagrangian.physics.dynamics import ContinuousDynamics, Dynamics
from gym_lagrangian.systems.preset import Preset
from gym_lagrangian.systems.sample import Sample


@dataclass(frozen=True)
class Horizon:
    """Motion to learn from: the true states `dt`, 2 `dt` … `steps` · `dt` seconds later."""

    dt: float
    steps: int

    def __post_init__(self):
        positive_number("dt", self.dt, "s")
        whole_number("steps", self.steps)


# The paper, section 5, as far as it goes; what it leaves out is Adam's usual setting.
PAPER_TRAINING: dict[str, Any] = {
    "steps": 600_000,
    "batch": 32,
    "optimiser": "adam",
    "learning_rate": 1e-3,
    "warmup": 0,
    "clip": None,
    "fixed_states": 600_000,
}


class Model(eqx.Module):
    """A learned motion.

    A subclass is constructed as ``Model(embedding, *, key, **config)`` and returns that
    `config` from the property of the same name, so that a checkpoint can rebuild it. A model
    that conserves an energy states it as ``energy(q, qd, m)``, as `Lagrangian` does.

    Attributes:
        embedding: how the model sees a state.
        conserves_energy: whether ``energy`` exists and is constant along the model's own
            unforced motion.
        canonical: whether the model lives in canonical coordinates (q, p). Its constructor
            then takes ``legendre``, the `Lagrangian` whose p = ∂L/∂q̇ these are.
    """

    embedding: eqx.AbstractVar[Embedding]
    conserves_energy: ClassVar[bool]
    canonical: ClassVar[bool] = False
    learned: ClassVar[bool] = True

    #: ``"package"``: how this package trains it; ``"paper"``, where there is one: how the
    #: paper did.
    presets: ClassVar[dict[str, Preset]] = {"package": Preset({}, {})}

    #: What suits this model better where it is fitted to recorded transitions (`FitConfig`).
    fitting: ClassVar[Preset] = Preset({}, {})

    @classmethod
    def preset(cls, name: str) -> Preset:
        """One of `presets`.

        Raises:
            ConfigurationError: this model has none of that name; the message lists those it has.
        """
        return cls.presets[one_of(f"preset of {cls.__name__}", name, cls.presets)]

    @property
    @abstractmethod
    def config(self) -> dict[str, Any]:
        """The keyword arguments, JSON-able, that rebuild this model's structure."""

    @property
    def needs_forces(self) -> bool:
        """Whether `loss` makes sense only where forces act on some of the states."""
        return False

    @property
    def horizon(self) -> Horizon | None:
        """The motion that `loss` learns from; None if it learns from accelerations."""
        return None

    @abstractmethod
    def loss(self, sample: Sample, target: Array) -> Array:
        """What training minimises for one state, a scalar.

        Arguments:
            target: the true q̈ (n,), or the true states (steps, 2n) of `horizon`.
        """

    @abstractmethod
    def dynamics(self, *, integrator: str, substeps: int) -> Dynamics:
        """What an environment steps."""


class AccelerationModel(Model):
    """A learned acceleration field q̈(q, q̇, τ, m)."""

    @abstractmethod
    def acceleration(self, q: Array, qd: Array, tau: Array, m: Array) -> Array:
        """q̈ (n,) in rad/s² or m/s²."""

    def loss(self, sample: Sample, target: Array) -> Array:
        """Σ_i |q̈_i error|, in the unit of the paper's losses."""
        predicted = self.acceleration(sample.q, sample.qd, sample.tau, sample.m)
        return jnp.sum(jnp.abs(predicted - target))

    def dynamics(self, *, integrator: str, substeps: int) -> Dynamics:
        """The field with an integrator, rolled: a network is work enough."""
        return ContinuousDynamics(self, integrator, substeps, roll=True)
