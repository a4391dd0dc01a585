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
    """What is traced or created within has this precision and lies on this device."""
    with jax.enable_x64(dtype == "float64"), jax.default_device(device):
        yield
