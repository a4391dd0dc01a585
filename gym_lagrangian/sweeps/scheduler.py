"""The scheduler for Ray Tune: after every report it decides whether a pack is trained further."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from ray.tune.schedulers import FIFOScheduler  # type: ignore[import-not-found]

from gym_lagrangian.sweeps.ledger import Ledger
from gym_lagrangian.sweeps.plan import Pack
from gym_lagrangian.sweeps.training import Result
from gym_lagrangian.sweeps.worker import PACK, RESULT

Listener = Callable[[Ledger], None]

# Who is told of progress. Ray pickles the scheduler to restore it, and a bar cannot be pickled.
_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def told(listener: Listener | None) -> Iterator[None]:
    """Tell a listener of every report as long as this lasts."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


class InOrder(FIFOScheduler):
    """Packs in the order of the sweep, stopped when a `Ledger` says that they are over."""

    def __init__(self, ledger: Ledger):
        super().__init__()
        self._ledger = ledger

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """A restored trial brings what it reported before."""
        self._note(trial.last_result or {})

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        self._note(result)
        over = self._ledger.is_over(Pack.from_dict(trial.config[PACK]))
        return self.STOP if over else self.CONTINUE

    def _note(self, reported: dict[str, Any]) -> None:
        if RESULT not in reported:
            return
        self._ledger.note(Result.from_text(reported[RESULT]))
        listener = _listener.get()
        if listener is not None:
            listener(self._ledger)
