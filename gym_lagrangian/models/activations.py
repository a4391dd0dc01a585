"""The smooth activations of a network, with their derivatives."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Float

from gym_lagrangian.physics.shapes import AnyArray

Elements = Float[AnyArray, "..."]


def _softplus(z: Elements) -> tuple[Elements, ...]:
    decay = jnp.exp(-jnp.abs(z))
    s = jnp.where(z > 0, 1.0, decay) / (1.0 + decay)
    bend = s * (1.0 - s)
    return jnp.maximum(z, 0.0) + jnp.log1p(decay), s, bend, bend * (1.0 - 2.0 * s)


def _squareplus(z: Elements) -> tuple[Elements, ...]:
    """(z + √(z² + 4)) / 2, softplus's algebraic twin (Barron, 2021): no exponential to pay for."""
    r = jax.lax.rsqrt(z * z + 4.0)
    bend = 2.0 * r**3
    return 0.5 * (z + 1.0 / r), 0.5 * (1.0 + z * r), bend, -3.0 * z * r * r * bend


def _tanh(z: Elements) -> tuple[Elements, ...]:
    t = jnp.tanh(z)
    slope = 1.0 - t * t
    return t, slope, -2.0 * t * slope, slope * (6.0 * t * t - 2.0)


# Each activation with its first three derivatives: they share their one expensive term.
ACTIVATIONS: dict[str, Callable[[Elements], tuple[Elements, ...]]] = {
    "softplus": _softplus,
    "squareplus": _squareplus,
    "tanh": _tanh,
}


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def activate(activation: str, order: int, z: Elements) -> Elements:
    """The derivative of the named activation of the given order (0, 1, 2 or 3), elementwise."""
    return ACTIVATIONS[activation](z)[order]


@activate.defjvp
def _activate_jvp(activation, order, primals, tangents):
    (z,), (dz,) = primals, tangents
    if order < 3:
        return activate(activation, order, z), activate(activation, order + 1, z) * dz
    return jax.jvp(lambda z: ACTIVATIONS[activation](z)[order], (z,), (dz,))
