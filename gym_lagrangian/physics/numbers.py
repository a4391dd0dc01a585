"""Numbers of functions: what is computed once, in float64, while something is built."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np


def evaluated(function: Callable[..., Any], *arrays: np.ndarray) -> Any:
    """What a function returns for these arrays, in float64, as arrays of numpy.

    It is compiled ahead of time as one program. A call would become a part of somebody's own jit,
    if one asks while it is traced, and the numbers would be unknown.
    """
    with jax.enable_x64(True):
        program = jax.jit(function).lower(*arrays).compile()
        return jax.tree.map(np.asarray, program(*arrays))
