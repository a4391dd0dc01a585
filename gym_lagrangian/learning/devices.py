r"""Devices that share a training: every batch is divided among them, the weights are on each.

This is data parallelism. Of a batch of B samples each of D devices has B / D. It computes their
losses and the gradient of their sum, and one sum over the devices (all-reduce) gives the gradient
of the whole batch:

    g = Σ_d Σ_{i in part d} w_i ∇ℓ_i / Σ_d Σ_{i in part d} w_i.

Every device then makes the same step of the optimiser. The batches are those of a training on one
device, and so are the weights, up to the order in which sums are rounded.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from gym_lagrangian.checks import whole_number
from gym_lagrangian.errors import ConfigurationError

_BATCH = "batch"


class Devices(NamedTuple):
    """The devices of a training.

    Attributes:
        mesh: all of them, in a row; None for one device, which is left to JAX.
    """

    mesh: Mesh | None = None

    def divided(self, batch: Any) -> Any:
        """The arrays of a batch, inside jit, with their first axis divided among the devices."""
        if self.mesh is None:
            return batch
        return jax.lax.with_sharding_constraint(batch, self._sharding(_BATCH))

    def copied(self, tree: Any) -> Any:
        """The tree with a copy of its arrays on every device."""
        if self.mesh is None:
            return tree
        arrays, rest = eqx.partition(tree, eqx.is_array)
        return eqx.combine(jax.device_put(arrays, self._sharding()), rest)

    def gathered(self, tree: Any) -> Any:
        """The tree with the copies of the first device alone."""
        if self.mesh is None:
            return tree
        arrays, rest = eqx.partition(tree, eqx.is_array)
        return eqx.combine(jax.tree.map(lambda array: array.addressable_data(0), arrays), rest)

    def _sharding(self, *axes: str) -> NamedSharding:
        assert self.mesh is not None  # one device shards nothing
        return NamedSharding(self.mesh, PartitionSpec(*axes))


# The one device on which JAX computes by default.
ONE = Devices()


def devices_for(count: Any, batch: int) -> Devices:
    """The first `count` devices of this process, for batches of `batch` samples.

    Raises:
        ConfigurationError: no whole number of at least 1, more devices than there are, or a batch
            that they cannot divide into equal parts.
    """
    asked, there = whole_number("devices", count), jax.local_devices()
    if asked > len(there):
        raise ConfigurationError(
            f"devices = {asked}: JAX has {len(there)} ({there[0].platform}); expected at most as "
            "many. The cores of a processor count as one device; they make D of them under the "
            "environment variable XLA_FLAGS=--xla_force_host_platform_device_count=D"
        )
    if batch % asked:
        raise ConfigurationError(
            f"devices = {asked} cannot divide a batch of {batch} into equal parts: expected a "
            f"batch that is a multiple of {asked}, such as {batch + -batch % asked}"
        )
    return ONE if asked == 1 else Devices(Mesh(np.array(there[:asked]), (_BATCH,)))
