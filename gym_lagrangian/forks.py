"""A warning when a process that has run JAX is forked: the fork lacks JAX's threads."""

from __future__ import annotations

import os
import warnings

_watching = False


def warn_from_now_on() -> None:
    """Warn at every later fork of this process; to be called once JAX is in use.

    JAX computes on threads. A forked child has their locks but not the threads, and may wait for
    them for ever. Processes that are started afresh ("spawn", "forkserver") are safe, and so is
    `subprocess`.
    """
    global _watching
    if not _watching and hasattr(os, "register_at_fork"):
        _watching = True
        os.register_at_fork(before=_warn)


def _warn() -> None:
    warnings.warn(
        "this process has run JAX and is being forked: the child may hang in it. Start it afresh "
        'instead: gymnasium.vector.AsyncVectorEnv(..., context="spawn") or "forkserver", or '
        'multiprocessing.get_context("spawn")',
        RuntimeWarning,
        stacklevel=2,
    )
