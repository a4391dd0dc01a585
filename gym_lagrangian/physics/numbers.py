"""Evaluation of functions in float64 while a model or a system is built."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np


def evaluated(function: Callable[..., Any], *arrays: np.ndarray) -> Any:
    """What a function returns for these arrays, in float64, as arrays of numpy.

    It is compiled ahead of time as one program. A plain call inside a caller's jit would be traced
    as a part of that, and would have no numbers yet.
    """
    with jax.enable_x64(True), jax.disable_jit(False):
        program = jax.jit(function).lower(*arrays).compile()
        return jax.tree.map(np.asarray, program(*arrays))
