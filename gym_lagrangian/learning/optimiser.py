"""How weights change: the optimiser, which a program is compiled for, and its learning rate, whose
numbers are arguments of that program.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

OPTIMISERS = ("muon", "adam")


class Schedule(NamedTuple):
    """A learning rate that rises linearly to its peak and falls by a cosine; four arrays ().

    Attributes:
        peak, end: the largest and the last learning rate.
        warmup: steps of the rise.
        steps: all steps.
    """

    peak: np.ndarray
    end: np.ndarray
    warmup: np.ndarray
    steps: np.ndarray

    @classmethod
    def of(cls, *, peak: float, end: float, warmup: int, steps: int) -> Self:
        """Numbers as arrays: a Python number would be compiled into the program."""
        return cls(*(np.asarray(value, np.float32) for value in (peak, end, warmup, steps)))

    def __call__(self, count: Any) -> Array:
        """The learning rate of a step counted from 0; `optax.warmup_cosine_decay_schedule`."""
        rise = self.peak * count / jnp.maximum(self.warmup, 1.0)
        share = (count - self.warmup) / (self.steps - self.warmup)
        fall = 0.5 * (1.0 + jnp.cos(jnp.pi * jnp.minimum(share, 1.0)))
        return jnp.where(count < self.warmup, rise, self.end + (self.peak - self.end) * fall)


class Optimiser(NamedTuple):
    """The rule by which weights change.

    Attributes:
        kind: one of `OPTIMISERS`.
        clip: largest norm of a gradient; None for any.
        decay: how fast matrices shrink, as a share of the learning rate.
    """

    kind: str
    clip: float | None
    decay: float

    def build(self, schedule: Schedule) -> optax.GradientTransformation:
        """The optax transformation."""
        if self.kind == "muon":
            update = optax.contrib.muon(schedule, weight_decay=self.decay)
        elif self.decay:
            update = optax.adamw(schedule, weight_decay=self.decay, mask=_matrices)
        else:
            update = optax.adam(schedule)
        if self.clip is None:
            return update
        return optax.chain(optax.clip_by_global_norm(self.clip), update)


def _matrices(params: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf.ndim > 1, params)
