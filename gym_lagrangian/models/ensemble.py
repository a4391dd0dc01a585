r"""An ensemble: k models that learned the same motion from different first weights and data.

Where they disagree, their prediction cannot be trusted. Their mean is usually better than any one
of them, and their spread estimates its error, see `gym_lagrangian.physics.ensemble`.

Reference: Lakshminarayanan, Pritzel and Blundell, "Simple and Scalable Predictive Uncertainty
Estimation using Deep Ensembles", NeurIPS (2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.models.base import Model, Target
from gym_lagrangian.models.embedding import Embedding
from gym_lagrangian.physics.dynamics import Dynamics
from gym_lagrangian.physics.ensemble import EnsembleDynamics, mean, member_index
from gym_lagrangian.physics.mechanics import Lagrangian
from gym_lagrangian.physics.shapes import Parameters, Scalar, Vector
from gym_lagrangian.systems.sample import Sample

# More members than this are a mistake: they are built one by one.
MOST_MEMBERS = 1024


class Ensemble(Model):
    """Models of one structure, whose mean it is.

    Attributes:
        embedding: how every member sees a state.
        each: all of them in one, every array with a first axis k. No method of it is meaningful
            but under `jax.vmap`.
        members: k.
    """

    embedding: Embedding
    each: Model
    members: int = eqx.field(static=True)

    @classmethod
    def of(cls, models: Sequence[Model]) -> Ensemble:
        """The ensemble of models that were learned one by one.

        Raises:
            ConfigurationError: none, or models of unlike coordinates, kinds or settings; the
                message says which member differs from the first, and in what.
        """
        models = tuple(models)
        if not models:
            raise ConfigurationError("an ensemble of 0 members: expected at least one model")
        for i, model in enumerate(models):
            _refuse_unlike(i, model, models[0])
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *models)
        return cls(stacked.embedding, stacked, len(models))

    def member(self, i: int) -> Model:
        """Member i, a model like any other.

        Raises:
            ConfigurationError: there is no such member.
        """
        index = member_index(i, self.members)
        return jax.tree.map(lambda leaf: leaf[index], self.each)

    @property
    def has_energy(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether the members have one."""
        return self.each.has_energy

    @property
    def config(self) -> dict[str, Any]:
        """The configuration of every member."""
        return self.each.config

    @property
    def needs_forces(self) -> bool:
        """Whether a member's `loss` does."""
        return self.each.needs_forces

    @property
    def horizon(self) -> Any:
        """The motion that a member's `loss` learns from."""
        return self.each.horizon

    def energy(self, q: Vector, qd: Vector, m: Parameters) -> Scalar:
        """The mean of the members' energies in joules, where they have one."""
        return mean(jax.vmap(lambda model: model.energy(q, qd, m))(self.each))

    def friction(self, q: Vector, qd: Vector, m: Parameters) -> Vector | None:
        """The mean of the members' frictions (n,); None where they have none."""
        return mean(jax.vmap(lambda model: model.friction(q, qd, m))(self.each))

    def loss(self, sample: Sample, target: Target) -> Scalar:
        """The mean of the members' losses, each of which is minimised by itself."""
        return mean(jax.vmap(lambda model: model.loss(sample, target))(self.each))

    def dynamics(self, *, integrator: str, substeps: int) -> Dynamics:
        """The mean of the members' steps, and their spread."""
        each = self.each.dynamics(integrator=integrator, substeps=substeps)
        seen = self.embedding
        return EnsembleDynamics(each, self.members, (*seen.q_scale, *seen.qd_scale))

    @classmethod
    def settings(cls) -> tuple[str, ...]:
        """None: an ensemble has those of its members."""
        return ()

    @classmethod
    def build(
        cls,
        embedding: Embedding,
        *,
        key: Array,
        legendre: Lagrangian | None = None,
        **config: Any,
    ) -> Ensemble:
        """Refused: an ensemble is made of models that there are.

        Raises:
            ConfigurationError: always.
        """
        raise ConfigurationError(
            "an ensemble is no model of its own: fit one, as in fit(data, model, members=5), or "
            "make it of models, Ensemble.of([first, second])"
        )


def _refuse_unlike(i: int, model: Any, first: Model) -> None:
    if not isinstance(model, Model) or isinstance(model, Ensemble):
        raise ConfigurationError(f"member {i} is {type(model).__name__}: expected one Model")
    if model.embedding != first.embedding:
        raise ConfigurationError(
            f"members disagree on coordinates: member 0 is a model of {first.embedding.system}, "
            f"member {i} of {model.embedding.system}, with other "
            f"{', '.join(_differences(first.embedding, model.embedding))}; fit them together, as "
            "in fit(data, model, members=5)"
        )
    if jax.tree.structure(model) != jax.tree.structure(first) or _shapes(model) != _shapes(first):
        raise ConfigurationError(
            f"member 0 is {type(first).__name__} with {first.config}, member {i} "
            f"{type(model).__name__} with {model.config}: expected equal models and settings"
        )


def _differences(one: Embedding, other: Embedding) -> list[str]:
    names = (field.name for field in fields(one))
    return [name for name in names if getattr(one, name) != getattr(other, name)]


def _shapes(model: Model) -> list[tuple[int, ...]]:
    return [jnp.shape(leaf) for leaf in jax.tree.leaves(model)]
