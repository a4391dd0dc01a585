r"""Errors of accelerations, measured against the accelerations themselves.

The paper's loss e = Σ_i |q̈_i − q̈_i^true| counts rad/s². Where links whip, a few states have
accelerations a hundred times those of the others, and they alone decide a step of the optimiser. A
Lagrangian then learns masses so large that nothing moves. The relative loss is

    s log(1 + e / (s + a)),    a = Σ_i |q̈_i^true|,

with s the lower quartile of a over the training states. It counts e itself where a and e are small
beside s, and the order of magnitude of e / a where they are not.
"""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
from jax import Array

from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.learning.sources import Source
from gym_lagrangian.models.base import Model
from gym_lagrangian.systems.sample import Sample

# States by which s is told, and the share of them whose accelerations are smaller.
_STATES, _SMALL = 1000, 25.0


class Relative(Source):
    """The states of another source, with the loss above.

    Attributes:
        states: where they come from.
        small: s in rad/s² or m/s², a scalar array.
    """

    states: Source
    small: Array

    @classmethod
    def of(cls, states: Source, model: Model, key: Array) -> Relative:
        """The relative loss on the states of a source.

        Arguments:
            model: what is to be trained.
            key: a jax key, for the states by which s is told.

        Raises:
            ConfigurationError: the model learns from states, not from accelerations.
        """
        if model.horizon is not None:
            raise ConfigurationError(
                f'error = "relative" is about accelerations, and {type(model).__name__} learns '
                'from the states that follow: leave error at "absolute"'
            )
        sizes = jax.jit(lambda key: jnp.abs(states.batch(key, _STATES)[1]).sum(axis=1))(key)
        return cls(states, jnp.percentile(sizes, _SMALL))

    def batch(self, key: Array, size: int) -> tuple[Sample, Array]:
        return self.states.batch(key, size)

    def loss(self, model: Model, sample: Sample, target: Array) -> Array:
        """The relative loss of one sample, a scalar."""
        error, size = self.states.loss(model, sample, target), jnp.sum(jnp.abs(target))
        return self.small * jnp.log1p(error / (self.small + size))

    def resampled(self, bootstrap: Array) -> Relative:
        return replace(self, states=self.states.resampled(bootstrap))

    def description(self) -> str:
        return self.states.description()

    @property
    def forced(self) -> bool:
        return self.states.forced
