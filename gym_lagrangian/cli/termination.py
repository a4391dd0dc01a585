"""SIGTERM, by which supervisors, `timeout` and `kill` ask a process to end."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any, NoReturn


class Terminated(KeyboardInterrupt):
    """The process was asked to end. Whatever saves at Ctrl-C saves at this too."""


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Raise `Terminated` at SIGTERM, which would end the process at once; a program that has a way
    of its own keeps it.
    """
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    asked = False

    def stop(*_: Any) -> NoReturn:
        nonlocal asked
        asked = True
        raise Terminated

    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except KeyboardInterrupt as error:
        if asked:  # Ray raises a KeyboardInterrupt of its own in place of what a handler raises
            raise Terminated from error
        raise
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
