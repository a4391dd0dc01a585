"""Compiled programs, of which one process can hold so many and no more.

Every program that XLA compiles for a processor takes some of the memory mappings that Linux grants
a process, 65,530 unless `vm.max_map_count` says otherwise; a fit takes about 800. Where none are
left LLVM ends the process. Other systems have no such limit.
"""

from __future__ import annotations

from pathlib import Path

import jax

_LIMIT, _MAPS = Path("/proc/sys/vm/max_map_count"), Path("/proc/self/maps")

# The share of the mappings at which room is made: a large fit takes a tenth of them.
_FULL = 0.7


def make_room() -> None:
    """Forget all compiled programs where mappings get scarce. What is used again is compiled again,
    to the same results.
    """
    try:
        limit, used = int(_LIMIT.read_text()), _MAPS.read_bytes().count(b"\n")
    except (OSError, ValueError):  # no Linux
        return
    if used > _FULL * limit:
        jax.clear_caches()
