"""Compilation of a small program to one kernel of the processor.

On a processor, XLA runs a program instruction by instruction, and passes some of them to other
threads. In a program as small as one step of one environment, that costs more than the arithmetic.
A call that is marked as small becomes one function instead, with all of its loops, and runs on the
thread that calls it. A few instructions are routines of XLA's runtime and cannot be part of such a
function. A program with any of them is compiled as usual.
"""

from __future__ import annotations

import re
from typing import Any

import jax
from jax.experimental.xla_metadata import set_xla_metadata

ROUTINES = re.compile(r"stablehlo\.(sort|fft|custom_call|cholesky|triangular_solve)|chlo\.top_k")


def compiled(function: Any, *arguments: Any, device: Any) -> Any:
    """A jitted function of one array, compiled for arguments of these shapes on a device."""
    if device.platform == "cpu":
        lowered = jax.jit(lambda *given: _marked(function(*given))).lower(*arguments)
        if not ROUTINES.search(lowered.as_text()):
            try:
                return lowered.compile()
            except jax.errors.JaxRuntimeError:  # of a large product, say, or a scatter
                pass
    return function.lower(*arguments).compile()


def _marked(result: Any) -> Any:
    """The result of a call, which is marked as small and is not to be dissolved."""
    return set_xla_metadata(result, xla_cpu_small_call="true", inlineable="false")
