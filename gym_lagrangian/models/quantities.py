r"""Physical numbers that are learned: each within its bounds whatever the optimiser does.

A quantity v is a function of a number z without bounds, which is what is learned. z begins at 0,
and a change of z by 1 is a change of v by its own size. With the starting value v₀, the smallest
value b that makes sense, and a typical size s,

    v = b + (v₀ − b) exp z          it has a bound, and starts above it
    v = b + s softplus(z − 3)       it has a bound, and starts there: at .05 s, in fact
    v = v₀ + s z                    it has no bound
    v = tanh(z + artanh v₀)         it is a share between −1 and 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from gym_lagrangian.physics.shapes import AnyArray

Numbers = Float[AnyArray, " learned"]

# Where a quantity begins whose starting value is its bound, before softplus.
_NEAR_BOUND = -3.0


class Quantity(NamedTuple):
    """One physical number that can be learned.

    Attributes:
        name: what it is called.
        start: v₀, in `unit`.
        unit: its SI unit.
        size: s, in `unit`.
        least: b, in `unit`; None for no bound.
        share: whether it lies between −1 and 1.
    """

    name: str
    start: float
    unit: str
    size: float
    least: float | None = None
    share: bool = False

    def value(self, z: Array) -> Array:
        """v, a scalar, as above."""
        if self.share:
            return jnp.tanh(z + float(np.arctanh(self.start)))
        if self.least is None:
            return self.start + self.size * z
        if self.start > self.least:
            return self.least + (self.start - self.least) * jnp.exp(z)
        return self.least + self.size * jax.nn.softplus(z + _NEAR_BOUND)


class Quantities(eqx.Module):
    """Quantities, some of them learned.

    Attributes:
        table: all of them.
        learned: which are learned.
        z: (p,) one number for each that is learned.
    """

    table: tuple[Quantity, ...] = eqx.field(static=True)
    learned: tuple[str, ...] = eqx.field(static=True)
    z: Numbers

    def __init__(self, table: tuple[Quantity, ...], learned: tuple[str, ...]):
        """Every quantity at its start."""
        self.table, self.learned = table, learned
        self.z = jnp.zeros(len(learned))

    def values(self) -> dict[str, Array]:
        """Name → value, a scalar, of every quantity."""
        numbers = dict(zip(self.learned, self.z, strict=True))
        fixed = {q.name: jnp.asarray(q.start, self.z.dtype) for q in self.table}
        return {
            q.name: fixed[q.name] if q.name not in numbers else q.value(numbers[q.name])
            for q in self.table
        }

    def of_learned(self) -> tuple[Quantity, ...]:
        """Those that are learned, in the order of `z`."""
        by_name: Mapping[str, Quantity] = {quantity.name: quantity for quantity in self.table}
        return tuple(by_name[name] for name in self.learned)
