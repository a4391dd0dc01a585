"""Precision and device of one environment, without touching anyone else's."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import jax

# So many structures of environments keep their compiled functions for the next environment of the
# same structure; an environment under way keeps its own.
KEPT = 64


@contextlib.contextmanager
def scope(dtype: str, device: Any) -> Iterator[None]:
    """What is traced or created within has this precision and lies on this device.

    It is compiled as well where jax is told not to (``jax_disable_jit``): a step of an environment
    is one compiled program. The pure functions of `functional` heed that setting.
    """
    with jax.enable_x64(dtype == "float64"), jax.default_device(device), jax.disable_jit(False):
        yield
