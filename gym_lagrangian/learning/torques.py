r"""Learning of inverse dynamics: the forces τ of recorded motion, from (q, q̇, q̈).

A transition from (q₀, q̇₀) to (q₁, q̇₁) in dt seconds under the mean force τ gives at its middle

    q  = (q₀ + q₁) / 2 + dt (q̇₀ − q̇₁) / 8
    q̇  = 3 (q₁ − q₀) / (2 dt) − (q̇₀ + q̇₁) / 4
    q̈  = the estimate from the log, or else (q̇₁ − q̇₀) / dt,

the first two being those of the cubic through both ends. With σ_i the standard deviation of τ_i,
training minimises the mean square

    1/n Σ_i ( (M q̈ − f − F)_i − τ_i )² / σ_i²,

which for one joint is the mean squared error over the variance, nMSE. The residual is linear in
the Lagrangian. No mass matrix is inverted and no motion integrated: a step costs a fraction of one
on windows of motion. The price is that the accelerations have to be good. Their noise enters the
residual in full, and an error that they share with q and q̇ biases the masses.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from gym_lagrangian.errors import ConfigurationError, DataError
from gym_lagrangian.learning.scales import seen_as
from gym_lagrangian.learning.sources import Source, drawn
from gym_lagrangian.learning.transitions import Transitions, wrapped
from gym_lagrangian.learning.windows import held_out, padded
from gym_lagrangian.models.base import Model
from gym_lagrangian.models.embedding import Embedding
from gym_lagrangian.registration import load_model
from gym_lagrangian.systems.sample import Sample

# Transitions of a stretch that is held out, at least.
STRETCH = 4


class Torques(Source):
    """Middles of transitions, drawn with replacement.

    Attributes:
        samples: q, q̇, τ and m of every transition's middle.
        qdd: accelerations (N, n) there.
        rows: the transitions that are drawn.
        mean, spread: of τ (n,) in the rows to learn from.
        estimated: whether the accelerations were estimated rather than differences of velocities.
        bootstrap: a jax key, of a member of an ensemble; see `sources.drawn`.
    """

    samples: Sample
    qdd: Array
    rows: Array
    mean: Array
    spread: Array
    estimated: bool = eqx.field(static=True)
    bootstrap: Array | None = None

    def resampled(self, bootstrap: Array) -> Torques:
        return replace(self, bootstrap=bootstrap)

    def batch(self, key: Array, size: int) -> tuple[Sample, Array]:
        """Samples, and their accelerations (size, n) as targets."""
        return self._chosen(self.rows[drawn(key, size, len(self.rows), self.bootstrap)])

    def loss(self, model: Any, sample: Sample, target: Array) -> Array:
        """The mean square above."""
        tau = model.inverse_dynamics(sample.q, sample.qd, target, sample.m)
        return jnp.mean(((tau - sample.tau) / self.spread) ** 2)

    @eqx.filter_jit
    def error(self, model: Model) -> Array:
        """The root of the loss's mean over all rows: a share of the spread of the forces."""
        losses = jax.vmap(lambda s, qdd: self.loss(model, s, qdd))(*self._chosen(self.rows))
        return jnp.sqrt(jnp.mean(losses))

    def constant_force_error(self, embedding: Embedding) -> Array:
        """The error of the guess that τ is its mean, which a useful model stays below."""
        missed = (self.samples.tau[self.rows] - self.mean) / self.spread
        return jnp.sqrt(jnp.mean(missed**2))

    def among(self, data: Transitions, usable: np.ndarray, room: int) -> Torques:
        """The middles of other transitions, their errors in units of the same spread.

        Arguments:
            usable: which transitions (N,) are drawn.
            room: rows for which there is to be room: sources of one room share a compiled program.
        """
        found = _of(data, room)
        # Repeated from the first on, each transition as often as every other or once more.
        rows = np.resize(np.flatnonzero(usable), len(found["qdd"]))
        return replace(self, rows=jnp.asarray(rows), **found)

    def description(self) -> str:
        how = "estimated" if self.estimated else "differences of velocities"
        return f"forces, accelerations {how}"

    @property
    def forced(self) -> bool:
        return True

    def _chosen(self, rows: Array) -> tuple[Sample, Array]:
        return jax.tree.map(lambda array: array[rows], (self.samples, self.qdd))


def torques(data: Transitions, *, share: float, seed: int) -> tuple[Torques, Torques]:
    """Middles to learn from and middles to judge by.

    Arguments:
        share: of the transitions to hold out, in stretches.
        seed: of which.

    Raises:
        DataError: no forces, too few transitions, or transitions without accelerations that are
            too long to tell any.
    """
    _refuse(data)
    held = held_out(data, STRETCH, share, seed)
    if held.all() or not held.any():
        raise DataError(
            f"{len(data)} transitions are too few to hold {share:g} of them out: record more"
        )
    every = Torques(
        **_of(data),
        rows=jnp.asarray(np.flatnonzero(~held)),
        mean=jnp.asarray(data.tau[~held].mean(axis=0), jnp.float32),
        spread=jnp.asarray(_spread(data, ~held), jnp.float32),
        estimated=data.qdd is not None,
    )
    return every, eqx.tree_at(lambda t: t.rows, every, jnp.asarray(np.flatnonzero(held)))


def _of(data: Transitions, room: int | None = None) -> dict[str, Any]:
    """Samples and accelerations of all middles, in float32; padded where a room is given."""
    q, qd, qdd = middles(data)
    arrays = (q, qd, data.tau, data.m, np.ones(len(data)), qdd)
    full = arrays if room is None else [padded(array, -1, room) for array in arrays]
    *sample, qdd = (jnp.asarray(array, jnp.float32) for array in full)
    return {"samples": Sample(*sample), "qdd": qdd}


def middles(data: Transitions) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """q, q̇ and q̈ (N, n) in the middle of every transition; angles wrapped."""
    angular = np.array(data.coordinates.angular)
    moved = data.next_q - data.q
    moved = np.where(angular, wrapped(moved), moved)
    q = data.q + 0.5 * moved + data.dt / 8.0 * (data.qd - data.next_qd)
    qd = 1.5 * moved / data.dt - 0.25 * (data.qd + data.next_qd)
    qdd = (data.next_qd - data.qd) / data.dt if data.qdd is None else data.qdd
    return np.where(angular, wrapped(q), q), qd, qdd


def refuse_without_inverse_dynamics(model: str) -> None:
    """Raise what a model that states accelerations alone cannot do.

    Raises:
        ConfigurationError: it has no inverse dynamics.
    """
    if not hasattr(load_model(model), "inverse_dynamics"):
        raise ConfigurationError(
            f'objective = "force": {model} states how a state goes on under forces, and not the '
            "forces of a motion; a model with a Lagrangian or a Hamiltonian has inverse dynamics, "
            f'such as LNN and DeLaN. Fit one of these, or {model} with objective = "motion"'
        )


def _refuse(data: Transitions) -> None:
    """Data that do not say what forces cause."""
    if not data.forced:
        raise DataError(
            'objective = "force" needs forces, and tau is zero in every transition: give the '
            'measured forces, or fit with objective = "motion"'
        )
    change = np.mean((data.next_qd - data.qd) ** 2, axis=0)
    if data.qdd is None and np.any(change > data.qd.var(axis=0)):
        raise DataError(
            f"there are no accelerations, and transitions of {data.dt:g} s are too long to tell "
            "them: within one, velocities change by as much as they vary altogether. Give an array "
            "qdd of them in the middle of each transition, record at a shorter dt, or, of logs, "
            "take transitions(accelerations=True)"
        )


def _spread(data: Transitions, rows: np.ndarray) -> np.ndarray:
    """The standard deviation of τ (n,); of a joint without forces, half its typical force."""
    found = data.tau[rows].std(axis=0)
    return np.where(found > 0, found, 0.5 * np.array(seen_as(data).magnitudes.tau))
