"""Compiled programs, of which one process can hold so many and no more.

Every program that XLA compiles for a processor takes some of the memory mappings that Linux grants
a process, 65,530 unless `vm.max_map_count` says otherwise; a fit takes about 800. Where none are
left LLVM ends the process. Other systems have no such limit.
"""

from __future__ import annotations

from pathlib import Path

import jax

_LIMIT, _MAPS = Path("/proc/sys/vm/max_map_count"), Path("/proc/self/maps")


def make_room(full: float = 0.7) -> None:
    """Forget all compiled programs where mappings get scarce. What is used again is compiled again,
    to the same results.

    Arguments:
        full: the share of the mappings above which they are scarce; a large fit takes a tenth.
    """
    try:
        limit, used = int(_LIMIT.read_text()), _MAPS.read_bytes().count(b"\n")
    except (OSError, ValueError):  # no Linux
        return
    if used > full * limit:
        jax.clear_caches()
