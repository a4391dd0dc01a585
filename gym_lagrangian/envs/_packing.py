"""One array for a whole pytree, so that a step crosses between jax and NumPy once.

Moving an array costs more than computing it here: a step of the double pendulum has twenty
results of a few numbers each. Packed end to end they travel as one; slices of that one array,
by jax inside a jitted function or by NumPy outside, give the pytree back.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array


class Packing:
    """The layout of one kind of pytree.

    Attributes:
        size: numbers in the vector.
        where: the pytree with, in place of every leaf, its slice of the vector.

    Integers and flags travel as floating-point numbers, exact to 2²⁴ in float32.
    """

    def __init__(self, example: Any):
        """`example` has the structure, shapes and dtypes (arrays or `jax.ShapeDtypeStruct`)."""
        leaves, self._structure = jax.tree.flatten(example)
        self._fields: list[tuple[int, int, tuple[int, ...], Any]] = []
        start = 0
        for leaf in leaves:
            stop = start + math.prod(leaf.shape)
            self._fields.append((start, stop, leaf.shape, leaf.dtype))
            start = stop
        self.size = start
        slices = [slice(start, stop) for start, stop, _, _ in self._fields]
        self.where = jax.tree.unflatten(self._structure, slices)

    def pack(self, tree: Any, dtype: Any) -> Array:
        """The pytree as one vector of the given dtype."""
        leaves = jax.tree.leaves(tree)
        return jnp.concatenate([jnp.ravel(leaf).astype(dtype) for leaf in leaves])

    def unpack(self, packed: Any) -> Any:
        """The pytree in a vector; NumPy in, NumPy out, jax in, jax out."""
        leaves = [
            packed[start:stop].reshape(shape).astype(dtype)
            for start, stop, shape, dtype in self._fields
        ]
        return jax.tree.unflatten(self._structure, leaves)
