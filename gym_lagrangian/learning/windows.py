r"""Windows of recorded motion, which a model predicts several steps ahead.

A window is a recorded state, the forces of the next k transitions and the k states recorded
after each. The model's own dynamics, integrator and all, go from the first state under those
forces, and the gradient passes through every step of the way:

    loss = 1/k Σ_j Σ_i |x_i(t_j) − x_i^recorded(t_j)| / (s_i dt),   j = 1 … k,

with s the system's typical magnitudes of q and q̇, so that both count, and the difference of an
angle taken on the circle. One step already fixes the acceleration, averaged over dt. More steps
average the noise of a recording out: an error of the acceleration adds up along a window, an error
of a sensor does not. The absolute value limits the influence of outliers. A robust loss limits it
further: |…| / s_i counts for at most 1. A window whose prediction is far off because of chaos or a
bad row then has no gradient, where it would otherwise have the largest.

A compiled program serves data of any values and of nearby sizes: rows and starts are padded to the
next size of a coarse grid, and how many there are is an argument.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from gym_lagrangian.errors import DataError
from gym_lagrangian.learning.sources import Source, drawn
from gym_lagrangian.learning.transitions import Transitions, wrapped
from gym_lagrangian.models.base import Model
from gym_lagrangian.models.embedding import Embedding
from gym_lagrangian.systems.sample import Sample

# Stretches of consecutive rows that are held out together, at most as a share of all that is.
_STRETCHES = 5

# The windows that are judged by begin apart by a share 1 / _USUAL of their length.
_USUAL = 8

# The least size of the grid of padded arrays, and that from which it is fine, to save memory.
_SMALLEST, _MANY = 256, 16_384

# Radians up to which float32 is exact enough.
_WOUND_UP = 8 * np.pi


class Windows(Source):
    """Windows of k transitions, drawn with replacement.

    Attributes:
        samples: the recorded rows, one a transition, padded by copies of the last.
        after: the states (rows, 2n) that the transitions led to.
        starts: the rows at which windows begin, padded by copies of the first.
        count: how many of `starts` there are.
        dt: seconds in a transition.
        time: a typical time of the motion in seconds. Training minimises the loss times it, a
            number without a unit, so that a largest norm of the gradient means the same for slow
            and for fast motion.
        cutoff: the largest error of one component that counts, in typical magnitudes; infinite for
            any.
        steps: k.
        integrator, substeps: how a model's dynamics follow it.
        bootstrap: a jax key, of a member of an ensemble; see `sources.drawn`.
    """

    samples: Sample
    after: Array
    starts: Array
    count: Array
    dt: Array
    time: Array
    cutoff: Array
    steps: int = eqx.field(static=True)
    integrator: str = eqx.field(static=True)
    substeps: int = eqx.field(static=True)
    bootstrap: Array | None = None

    def resampled(self, bootstrap: Array) -> Windows:
        return replace(self, bootstrap=bootstrap)

    def batch(self, key: Array, size: int) -> tuple[Sample, Array]:
        """As of every source; the samples' forces are (size, k, n)."""
        chosen = drawn(key, size, self.count, self.bootstrap)
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
        error = jnp.where(angular[None], jnp.arctan2(jnp.sin(error), jnp.cos(error)), error)
        scale = jnp.array([[*embedding.q_scale, *embedding.qd_scale]])
        counted = jnp.minimum(jnp.abs(error) / scale, self.cutoff)
        return jnp.mean(jnp.sum(counted, axis=1)) / self.dt

    @eqx.filter_jit
    def error(self, model: Model) -> Array:
        """The mean discrepancy over all windows, in 1/s."""
        return self._mean(lambda sample, target: self.discrepancy(model, sample, target))

    @eqx.filter_jit
    def constant_velocity_error(self, embedding: Embedding) -> Array:
        """The error of constant velocities, which a useful model stays below."""
        elapsed = self.dt * jnp.arange(1, self.steps + 1)[:, None]

        def missed(sample: Sample, target: Array) -> Array:
            velocity = jnp.broadcast_to(sample.qd, (self.steps, *sample.qd.shape))
            states = jnp.hstack([sample.q[None] + elapsed * sample.qd[None], velocity])
            return self._missed(embedding, states, target)

        return self._mean(missed)

    def among(self, data: Transitions, usable: np.ndarray, room: int) -> Windows:
        """As many steps a window, among other rows.

        Arguments:
            usable: which rows (N,) may be in a window.
            room: rows for which there is to be room: sources of one room share a compiled program.

        Raises:
            DataError: there is not one window.
        """
        starts = starts_of(data.episode, usable, self.steps)
        _refuse_few(data, self.steps, len(starts), len(starts))
        begins = np.asarray(padded(starts, 0, room), np.int32)
        return replace(self, starts=begins, count=np.int32(len(starts)), **_rows(data, room))

    def description(self) -> str:
        return f"windows of {self.steps} × {float(self.dt):g} s"

    @property
    def forced(self) -> bool:
        return bool(np.any(np.asarray(self.samples.tau) != 0.0))

    def _mean(self, one: Callable[[Sample, Array], Array]) -> Array:
        """The mean over all windows."""
        found = jax.vmap(one)(*self._windows(self.starts))
        real = jnp.arange(len(found)) < self.count
        return jnp.sum(jnp.where(real, found, 0.0)) / self.count

    def _windows(self, starts: Array) -> tuple[Sample, Array]:
        rows = starts[:, None] + jnp.arange(self.steps)[None]
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
    robust: bool = False,
) -> tuple[Windows, Windows]:
    """Windows to learn from and windows to judge by, which share no transition.

    Arguments:
        steps: k.
        share: of the transitions to hold out, in whole episodes or stretches of long ones.
        seed: of which.
        time: see `Windows`.
        robust: whether no component's error counts for more than its typical magnitude.

    Raises:
        DataError: the episodes are too short, or too few, for one window of each kind.
    """
    (learning,), judging = growing_windows(
        data,
        (steps,),
        integrator=integrator,
        substeps=substeps,
        share=share,
        seed=seed,
        time=time,
        robust=robust,
    )
    return learning, judging


def growing_windows(
    data: Transitions,
    steps: tuple[int, ...],
    *,
    share: float,
    seed: int,
    time: float,
    robust: bool,
    **how: Any,
) -> tuple[tuple[Windows, ...], Windows]:
    """As `windows`, of several lengths to learn from, and of the longest to judge by."""
    longest = max(steps)
    held = held_out(data, longest, share, seed)
    begins = [starts_of(data.episode, ~held, k) for k in steps]
    judging = starts_of(data.episode, held, longest)[:: max(1, longest // _USUAL)]
    _refuse_few(data, longest, min(map(len, begins)), len(judging))
    numbers = {"dt": data.dt, "time": time, "cutoff": 1.0 if robust else np.inf}
    arrays = _rows(data) | {k: np.asarray(v, np.float32) for k, v in numbers.items()}

    def of(starts: np.ndarray, k: int) -> Windows:
        rows: dict[str, Any] = {"starts": padded(starts, 0), "count": np.int32(len(starts))}
        rows = {name: np.asarray(value, np.int32) for name, value in rows.items()}
        return Windows(steps=k, **rows, **arrays, **how)

    learning = tuple(of(starts, k) for starts, k in zip(begins, steps, strict=True))
    return learning, of(judging, longest)


def _refuse_few(data: Transitions, steps: int, learning: int, judging: int) -> None:
    if not learning or not judging:
        longest = int(np.bincount(data.episode).max())
        raise DataError(
            f"{len(data)} transitions, {longest} in the longest episode, give {learning} "
            f"windows of {steps} steps to learn from and {judging} to judge by: record more, "
            "in longer episodes, or fit with a shorter horizon"
        )


def _rows(data: Transitions, room: int = 0) -> dict[str, Any]:
    """The recorded rows, padded, in float32."""
    here, there = (_near_zero(data, a) for a in (data.q, data.next_q))
    after = np.hstack([there, data.next_qd])
    arrays = (here, data.qd, data.tau, data.m, np.ones(len(data)), after)
    *sample, after = (jnp.asarray(padded(a, -1, room), jnp.float32) for a in arrays)
    return {"samples": Sample(*sample), "after": after}


def padded(array: np.ndarray, copied: int, room: int = 0) -> np.ndarray:
    """The array with copies of one of its rows up to the next size of a grid, at least that for
    `room` rows. Sizes are powers of two, and four an octave where there are many rows.
    """
    rows = max(len(array), room, _SMALLEST)
    fine = 1.0 if rows <= _MANY else 4.0
    size = int(np.ceil(2.0 ** (np.ceil(fine * np.log2(rows)) / fine)))
    copies = np.repeat(array[copied][None], size - len(array), axis=0)
    return np.concatenate([array, copies])


def _near_zero(data: Transitions, q: np.ndarray) -> np.ndarray:
    """The coordinates, angles that are wound up by more than a few turns turned back while they
    are exact: float32 has seven digits, and a thousand turns would take four of them.
    """
    far = np.maximum(np.abs(data.q), np.abs(data.next_q)).max(axis=0) > _WOUND_UP
    return np.where(np.array(data.coordinates.angular) & far, wrapped(q), q)


def starts_of(episode: np.ndarray, usable: np.ndarray, steps: int) -> np.ndarray:
    """The rows from which `steps` rows of one episode, all usable, follow."""
    whole = np.arange(len(episode) - steps + 1)
    inside = np.cumsum(np.concatenate([[0], usable]))
    complete = inside[whole + steps] - inside[whole] == steps
    return whole[complete & (episode[whole] == episode[whole + steps - 1])]


def held_out(data: Transitions, steps: int, share: float, seed: int) -> np.ndarray:
    """Which rows (N,) are held out: randomly chosen stretches, short against the whole, long
    against a window.

    Arguments:
        steps: of the longest window.
        share, seed: as for `windows`.
    """
    episode = data.episode
    count = share * len(episode)
    length = max(2 * steps, int(np.ceil(count / _STRETCHES)))
    begins = np.flatnonzero(np.diff(episode, prepend=-1))
    position = np.arange(len(episode)) - begins[episode]
    stretch = np.unique(np.stack([episode, position // length]), axis=1, return_inverse=True)[1]
    sizes = np.bincount(stretch)
    order = np.random.default_rng(seed).permutation(len(sizes))
    chosen = order[: 1 + np.searchsorted(np.cumsum(sizes[order]), count)]
    return np.isin(stretch, chosen)
