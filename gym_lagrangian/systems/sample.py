r"""Distributions of states, for training and for measuring models.

The default covers where a task can go, and more densely where motion usually is. With s the
typical magnitudes of q and q̇ and R the range of the default task,

    angles   ~ U(−π, π)
    lengths  ~ N(0, (1.5 s)²) for seven in ten states, U(±1.1 R) for the rest
    q̇        ~ N(0, s²) for half of them, U(±2 s) for three in ten, U(±1.1 R) for the rest
    τ        ~ U(±1.25 s) for half of the states, none for the others,

and the weight 1 / (1 + |q̇ / 2s|² / n) keeps the fast states, whose accelerations are largest, from
dominating the loss.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from gym_lagrangian.systems.coordinates import Coordinates, Magnitudes


class Sample(NamedTuple):
    """States to learn from: q, q̇, τ (n,), m (k,), and the weight of each in the loss."""

    q: Array
    qd: Array
    tau: Array
    m: Array
    weight: Array


PARAMETER_LAWS = ("uniform", "arcsine")

# Name → (low, high) between which a parameter is drawn.
Ranges = Mapping[str, tuple[float, float]]


@runtime_checkable
class Draw(Protocol):
    """Draws one sample with a jax key.

    A law whose states depend on the parameters takes them as an optional second argument, m (k,):
    it then draws a state of a machine with these, see `varied`.
    """

    def __call__(self, key: Array) -> Sample: ...


class Distributions(NamedTuple):
    """What a model of a system is judged on.

    Attributes:
        states: draws one unforced state, on which errors of accelerations and steps are measured.
        starts: draws one unforced state from which free motion is followed.
        label: what the states are called in a sentence.
    """

    states: Draw
    starts: Draw
    label: str = "its own states"


def varied(draw: Draw, coordinates: Coordinates, ranges: Ranges, law: str = "uniform") -> Draw:
    """The law `draw` with the named parameters drawn between (low, high), the others as it draws
    them. A law that takes no m draws the same states whatever the parameters are.

    Arguments:
        law: of the drawn parameters, one of `PARAMETER_LAWS`: with u ~ U(0, 1) and the width
            w = high − low, ``"uniform"`` is low + w u, and ``"arcsine"`` is low + w sin²(π u / 2).
            The arcsine law is denser towards the ends, where a model has neighbours on one side
            alone; it is that of the nodes at which a polynomial is best interpolated (Trefethen,
            "Approximation Theory and Approximation Practice", 2013, chapter 2).
    """
    if not ranges:
        return draw
    names = list(coordinates.parameters)
    index = np.array([names.index(name) for name in ranges])
    low, high = np.array(list(ranges.values())).T

    def draw_varied(key: Array) -> Sample:
        own = draw(key)
        shares = jax.random.uniform(jax.random.fold_in(key, 1), low.shape)
        if law == "arcsine":
            shares = jnp.sin(0.5 * jnp.pi * shares) ** 2
        m = own.m.at[index].set((low + (high - low) * shares).astype(own.m.dtype))
        return drawn_at(draw, key, m)

    return draw_varied


def drawn_at(draw: Draw, key: Array, m: Array | None) -> Sample:
    """One state of the law `draw` for the parameters m (k,); None for those that it draws."""
    if m is None:
        return draw(key)
    if "m" in inspect.signature(draw).parameters:
        return draw(key, m)  # type: ignore[call-arg]
    return draw(key)._replace(m=m)


def default_sample(
    coordinates: Coordinates, limits: Magnitudes, key: Array, m: Array | None = None
) -> Sample:
    """One state of the distribution above, under a force or none.

    Arguments:
        limits: the range R of q and q̇; its forces are not used.
        m: the parameters (k,); default: drawn between the bounds that the coordinates state.
    """
    keys = jax.random.split(key, 4)
    n, typical = coordinates.n, coordinates.magnitudes
    q = _positions(keys[0], coordinates.angular, typical.q, limits.q)
    qd = _velocities(keys[1], typical.qd, limits.qd)
    key_size, key_forced = jax.random.split(keys[2])
    force = jax.random.uniform(key_size, (n,), minval=-1.25, maxval=1.25) * np.array(typical.tau)
    tau = jnp.where(jax.random.bernoulli(key_forced), force, 0.0)
    if m is None:
        low, high = coordinates.parameter_bounds()
        m = jnp.asarray(low + (high - low) * jax.random.uniform(keys[3], low.shape))
    speed = jnp.mean((qd / (2.0 * np.array(typical.qd))) ** 2)
    return Sample(q, qd, tau, m, 1.0 / (1.0 + speed))


def _positions(
    key: Array, angular: tuple[bool, ...], typical: tuple[float, ...], limit: tuple[float, ...]
) -> Array:
    key_angle, key_near, key_far, key_kind = jax.random.split(key, 4)
    shape = (len(angular),)
    angles = jax.random.uniform(key_angle, shape, minval=-jnp.pi, maxval=jnp.pi)
    near = 1.5 * jax.random.normal(key_near, shape) * np.array(typical)
    far = jax.random.uniform(key_far, shape, minval=-1.1, maxval=1.1) * np.array(limit)
    lengths = jnp.where(jax.random.bernoulli(key_kind, 0.7), near, far)
    return jnp.where(np.array(angular), angles, lengths)


def _velocities(key: Array, typical: tuple[float, ...], limit: tuple[float, ...]) -> Array:
    key_usual, key_wide, key_far, key_kind = jax.random.split(key, 4)
    shape = (len(typical),)
    usual = jax.random.normal(key_usual, shape) * np.array(typical)
    wide = jax.random.uniform(key_wide, shape, minval=-2.0, maxval=2.0) * np.array(typical)
    far = jax.random.uniform(key_far, shape, minval=-1.1, maxval=1.1) * np.array(limit)
    kind = jax.random.choice(key_kind, 3, p=jnp.array([0.5, 0.3, 0.2]))
    return jnp.stack([usual, wide, far])[kind]


def uniform_state(
    key: Array,
    coordinates: Coordinates,
    q: tuple[float, float],
    qd: tuple[float, float],
    m: Array | None = None,
) -> Sample:
    """One unforced state, every coordinate ~ U(*q), every velocity ~ U(*qd), of weight 1 and with
    the parameters m, or the default ones.
    """
    key_q, key_qd = jax.random.split(key)
    shape = (coordinates.n,)
    place = jax.random.uniform(key_q, shape, minval=q[0], maxval=q[1])
    speed = jax.random.uniform(key_qd, shape, minval=qd[0], maxval=qd[1])
    m = jnp.asarray(coordinates.parameter_bounds()[0] if m is None else m, place.dtype)
    return Sample(place, speed, jnp.zeros_like(place), m, jnp.ones((), place.dtype))
