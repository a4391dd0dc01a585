"""A sweep in this process, pack by pack, with the same results as on Ray."""

from __future__ import annotations

from collections.abc import Callable

from gym_lagrangian.sweeps.ledger import Ledger
from gym_lagrangian.sweeps.plan import Pack, Sweep
from gym_lagrangian.sweeps.training import check_models, trained


def in_process(sweep: Sweep, on_progress: Callable[[Ledger], None] | None = None) -> Ledger:
    """Train all packs of a sweep one after another, without Ray; nothing is saved on the way.

    Arguments:
        on_progress: called with the results so far at every mark of a pack.

    Returns:
        the results; `rows` is the table.

    Raises:
        ConfigurationError: a setting that a model or a system does not take, before any training.
    """
    check_models(sweep)
    ledger = Ledger(sweep)
    for pack in sweep.packs:
        _train(pack, ledger, on_progress)
    return ledger


def _train(pack: Pack, ledger: Ledger, on_progress: Callable[[Ledger], None] | None) -> None:
    for result, _, _ in trained(pack):
        ledger.note(result)
        if on_progress is not None:
            on_progress(ledger)
        if ledger.is_over(pack):
            return
