r"""Noise that is correlated in time.

White noise averages out over the half second in which a pendulum responds to a torque. Noise that
keeps its sign for a while moves it. In a first-order autoregression β sets how long that is:

    ε_0 = η_0,    ε_k = β ε_{k−1} + √(1 − β²) η_k,    η ~ N(0, 1),

every ε_k ~ N(0, 1) and the correlation of ε_j with ε_k is β^|j−k|.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array


def correlated(key: Array, samples: int, like: Array, smoothness: float) -> Array:
    """Noise (samples, horizon, a) for plans like `like` (horizon, a), correlated along its horizon.

    Arguments:
        smoothness: β in [0, 1).
    """
    horizon, size = like.shape
    white = jax.random.normal(key, (horizon, samples, size), like.dtype)

    def step(before: Array, fresh: Array) -> tuple[Array, Array]:
        now = smoothness * before + (1.0 - smoothness**2) ** 0.5 * fresh
        return now, now

    _, rest = jax.lax.scan(step, white[0], white[1:])
    return jnp.moveaxis(jnp.concatenate([white[:1], rest]), 0, 1)


def sizes(samples: int, finest: float, like: Array) -> Array:
    """Factors (samples, 1, 1) of the noise of samples, evenly spaced in log from `finest` to 1."""
    return jnp.geomspace(finest, 1.0, samples, dtype=like.dtype)[:, None, None]
