r"""Windows of recorded motion: what a model is to predict, several steps ahead.

A window is a recorded state, the forces of the next k transitions and the k states recorded
after each. The model's own dynamics, integrator and all, go from the first state under those
forces, and the gradient passes through every step of the way:

    loss = 1/k Σ_j Σ_i |x_i(t_j) − x_i^recorded(t_j)| / (s_i dt),   j = 1 … k,

with s the system's typical magnitudes of q and q̇, so that both count, and the difference of an
angle taken on the circle. One step already fixes the acceleration, averaged over dt. More steps
average the noise of a recording out: what is wrong with an acceleration adds up along a window,
what is wrong with a sensor does not. The absolute value forgives outliers.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from gym_lagrangian.errors import DataError
from gym_lagrangian.learning.sources import Source
from gym_lagrangian.learning.transitions import Transitions, wrapped
from gym_lagrangian.models.base import Model
from gym_lagrangian.models.embedding import Embedding
from gym_lagrangian.systems.sample import Sample

# Stretches of consecutive rows that are held out together, at most as a share of all that is.
_STRETCHES = 5

# Radians up to which float32 is exact enough.
_WOUND_UP = 8 * np.pi


class Windows(Source):
    """Windows of k transitions, drawn with replacement.

    Attributes:
        samples: the recorded rows, one a transition.
        after: the states (N, 2n) that the transitions led to.
        starts: the rows at which windows begin.
        steps: k.
        dt: seconds in a transition.
        integrator, substeps: how a model's dynamics follow it.
        time: a typical time of the motion in seconds. Training minimises the loss times it, a
            number without a unit, so that a largest norm of the gradient means the same for slow
            and for fast motion.
    """

    samples: Sample
    after: Array
    starts: Array
    steps: int = eqx.field(static=True)
    dt: float = eqx.field(static=True)
    integrator: str = eqx.field(static=True)
    substeps: int = eqx.field(static=True)
    time: float = eqx.field(static=True, default=1.0)

    def batch(self, key: Array, size: int) -> tuple[Sample, Array]:
        """As of every source; the samples' forces are (size, k, n)."""
        chosen = jax.random.randint(key, (size,), 0, self.starts.shape[0])
        return self._windows(self.starts[chosen])

    def loss(self, model: Model, sample: Sample, target: Array) -> Array:
        """The discrepancy above times `time`."""
        return self.time * self.discrepancy(model, sample, target)

    def discrepancy(self, model: Model, sample: Sample, target: Array) -> Array:
        """The discrepancy above, in 1/s."""
        dynamics = model.dynamics(integrator=self.integrator, substeps=self.substeps)

        def step(x: Array, tau: Array) -> tuple[Array, Array]:
            x = dynamics.step(x, tau, sample.m, self.dt)
            return x, x

        start = jnp.concatenate([sample.q, sample.qd])
        _, states = jax.lax.scan(step, start, sample.tau)
        return self._missed(model.embedding, states, target)

    def _missed(self, embedding: Embedding, states: Array, target: Array) -> Array:
        error = states - target
        angular = np.array([*embedding.angular, *[False] * embedding.n])
        error = jnp.where(angular, jnp.arctan2(jnp.sin(error), jnp.cos(error)), error)
        scale = jnp.array([*embedding.q_scale, *embedding.qd_scale])
        return jnp.mean(jnp.sum(jnp.abs(error) / scale, axis=1)) / self.dt

    def error(self, model: Model) -> Array:
        """The mean discrepancy over all windows, in 1/s."""
        samples, targets = self._windows(self.starts)
        return jnp.mean(jax.vmap(lambda s, t: self.discrepancy(model, s, t))(samples, targets))

    def constant_velocity_error(self, embedding: Embedding) -> Array:
        """The error of the guess that every velocity stays as it is: what a model has to beat."""
        elapsed = self.dt * jnp.arange(1, self.steps + 1)[:, None]

        def missed(sample: Sample, target: Array) -> Array:
            velocity = jnp.broadcast_to(sample.qd, (self.steps, *sample.qd.shape))
            states = jnp.hstack([sample.q + elapsed * sample.qd, velocity])
            return self._missed(embedding, states, target)

        return jnp.mean(jax.vmap(missed)(*self._windows(self.starts)))

    def description(self) -> str:
        return f"windows of {self.steps} × {self.dt:g} s"

    @property
    def forced(self) -> bool:
        return bool(jnp.any(self.samples.tau != 0.0))

    def _windows(self, starts: Array) -> tuple[Sample, Array]:
        rows = starts[:, None] + jnp.arange(self.steps)
        samples = jax.tree.map(lambda array: array[starts], self.samples)
        return samples._replace(tau=self.samples.tau[rows]), self.after[rows]


def windows(
    data: Transitions,
    steps: int,
    *,
    integrator: str,
    substeps: int,
    share: float,
    seed: int,
    time: float = 1.0,
) -> tuple[Windows, Windows]:
    """Windows to learn from and windows to judge by, which share no transition.

    Arguments:
        steps: k.
        share: of the transitions to hold out, in whole episodes or stretches of long ones.
        seed: of which.
        time: see `Windows`.

    Raises:
        DataError: the episodes are too short, or too few, for one window of each kind.
    """
    held = _held_out(data.episode, steps, share, seed)
    learning, judging = (_starts(data.episode, held == kind, steps) for kind in (False, True))
    if not len(learning) or not len(judging):
        longest = int(np.bincount(data.episode).max())
        raise DataError(
            f"{len(data)} transitions, {longest} in the longest episode, give {len(learning)} "
            f"windows of {steps} steps to learn from and {len(judging)} to judge by: record more, "
            "in longer episodes, or fit with a shorter horizon"
        )
    here, there = (_near_zero(data, a) for a in (data.q, data.next_q))
    q, qd, tau, m = (jnp.asarray(a, jnp.float32) for a in (here, data.qd, data.tau, data.m))
    after = jnp.asarray(np.hstack([there, data.next_qd]), jnp.float32)
    every = Windows(
        samples=Sample(q, qd, tau, m, jnp.ones(len(data))),
        after=after,
        starts=jnp.asarray(learning),
        steps=steps,
        dt=data.dt,
        integrator=integrator,
        substeps=substeps,
        time=time,
    )
    return every, eqx.tree_at(lambda w: w.starts, every, jnp.asarray(judging))


def _near_zero(data: Transitions, q: np.ndarray) -> np.ndarray:
    """The coordinates, angles that are wound up by more than a few turns turned back while they
    are exact: float32 has seven digits, and a thousand turns would take four of them.
    """
    far = np.maximum(np.abs(data.q), np.abs(data.next_q)).max(axis=0) > _WOUND_UP
    return np.where(np.array(data.coordinates.angular) & far, wrapped(q), q)


def _starts(episode: np.ndarray, usable: np.ndarray, steps: int) -> np.ndarray:
    """The rows from which `steps` rows of one episode, all usable, follow."""
    whole = np.arange(len(episode) - steps + 1)
    inside = np.cumsum(np.concatenate([[0], usable]))
    complete = inside[whole + steps] - inside[whole] == steps
    return whole[complete & (episode[whole] == episode[whole + steps - 1])]


def _held_out(episode: np.ndarray, steps: int, share: float, seed: int) -> np.ndarray:
    """Which rows (N,) are held out: randomly chosen stretches, short against the whole, long
    against a window.
    """
    count = share * len(episode)
    length = max(2 * steps, int(np.ceil(count / _STRETCHES)))
    begins = np.flatnonzero(np.diff(episode, prepend=-1))
    position = np.arange(len(episode)) - begins[episode]
    stretch = np.unique(np.stack([episode, position // length]), axis=1, return_inverse=True)[1]
    sizes = np.bincount(stretch)
    order = np.random.default_rng(seed).permutation(len(sizes))
    chosen = order[: 1 + np.searchsorted(np.cumsum(sizes[order]), count)]
    return np.isin(stretch, chosen)
