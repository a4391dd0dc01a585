r"""The members of an ensemble in training: one program for all, and the best weights of each.

Each member has its own first weights, its own batches, and its own resample of what is learned
from (the bootstrap). What is held out is common to all. Every step is that of a single model,
mapped over the members: gradients are clipped and learning rates set member by member.

Reference: Chua et al., "Deep Reinforcement Learning in a Handful of Trials using Probabilistic
Dynamics Models", NeurIPS (2018), for bootstrapped ensembles.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from gym_lagrangian.checks import whole_number
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.models.base import Model
from gym_lagrangian.models.ensemble import MOST_MEMBERS, Ensemble


class Judge(Protocol):
    """What holds models against what they did not learn from."""

    def error(self, model: Model) -> Array:
        """The error, a scalar."""
        ...


def built(build: Callable[..., Model], key: Array, members: int) -> Model:
    """A model of random weights, or an ensemble of several, of ``build(key=key)``."""
    if members == 1:
        return build(key=key)
    return Ensemble.of([build(key=one) for one in jax.random.split(key, members)])


def members_in(model: Model) -> int:
    """How many members a model has; 1 of one that is no ensemble."""
    return model.members if isinstance(model, Ensemble) else 1


def checked_members(asked: int | None, origin: Model | None) -> int:
    """How many members to learn: those asked for, or those of the model that is gone on from.

    Raises:
        ConfigurationError: no whole number of at least 1, or another number than there is.
    """
    there = None if origin is None else members_in(origin)
    if asked is None:
        return there or 1
    members = whole_number("members", asked, most=MOST_MEMBERS)
    if there is not None and members != there:
        raise ConfigurationError(
            f"members = {members}: init has {there}, and what goes on from it has as many; leave "
            "members out, or train from nothing without init"
        )
    return members


def stacked(model: Model) -> Model:
    """The model itself; of an ensemble, its members in one."""
    return model.each if isinstance(model, Ensemble) else model


def errors(judge: Judge, model: Model) -> np.ndarray:
    """The error (k,) of each member on what is held out."""
    if isinstance(model, Ensemble):
        return np.asarray(_errors(judge, model.each), np.float64)
    return np.asarray(judge.error(model), np.float64).reshape(1)


@eqx.filter_jit
def _errors(judge: Any, each: Model) -> Array:
    return jax.vmap(judge.error)(each)


def better_of(better: np.ndarray, new: Model, old: Model) -> Model:
    """The new members where `better` (k,), the old ones elsewhere."""
    if not isinstance(new, Ensemble) or not isinstance(old, Ensemble):
        return new if better[0] else old

    def chosen(one: Array, other: Array) -> Array:
        return jnp.where(jnp.reshape(better, (-1, *[1] * (one.ndim - 1))), one, other)

    return jax.tree.map(chosen, new, old)
