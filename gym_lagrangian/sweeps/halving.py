r"""Asynchronous successive halving (ASHA): settings that fall behind are stopped early.

Settings are judged at rungs: after r, r η, r η² … steps. At a rung a setting is compared with those
before it that reached the rung, whether they were stopped there or not. It is stopped if its loss
is larger than the 1/η-quantile of theirs, or not finite.

Ray's own `ASHAScheduler` takes "before" from the clock, so that two runs of one sweep differ. Here
the settings are compared in the order of the sweep, and the result depends on losses alone. A
setting that reaches a rung early trains on until those before it have reached it.

Reference: Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys (2020).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gym_lagrangian.checks import whole_number
from gym_lagrangian.errors import ConfigurationError


@dataclass(frozen=True)
class Halving:
    """When settings are judged, and how many go on.

    Attributes:
        first: r, the steps after which a setting is judged first.
        factor: η: about one in η goes on at a rung, and the next rung is η times as far.

    Raises:
        ConfigurationError: a `first` below 1 or a `factor` below 2.
    """

    first: int
    factor: int = 3

    def __post_init__(self):
        whole_number("early_stopping.first", self.first)
        whole_number("early_stopping.factor", self.factor, least=2)

    def rungs(self, steps: int) -> tuple[int, ...]:
        """The steps of every rung, all of them before the end of the training.

        Raises:
            ConfigurationError: there is none.
        """
        if self.first >= steps:
            raise ConfigurationError(
                f"early_stopping.first = {self.first}: expected less than steps = {steps}"
            )
        count = math.ceil(math.log(steps / self.first, self.factor)) + 1
        every = (self.first * self.factor**k for k in range(count))
        return tuple(rung for rung in every if rung < steps)


def stopped_at(
    losses: Sequence[Mapping[int, float]], rungs: Sequence[int], factor: int
) -> list[int | None]:
    """The rung at which each setting is stopped; None for one that goes on or is not judged yet.

    Arguments:
        losses: rung → loss of every setting, in the order of the sweep, as far as they are known.
            One that is not finite is worse than all others, and is not compared with.
        rungs: the steps of the rungs, ascending.
        factor: η.
    """
    reached: dict[int, list[float]] = {rung: [] for rung in rungs}
    open_ = list(rungs)  # those at which all settings so far are judged
    found: list[int | None] = []
    for known in losses:
        found.append(None)
        for rung in list(open_):
            if rung not in known:
                open_ = [one for one in open_ if one < rung]
                break
            if not _goes_on(known[rung], reached[rung], factor):
                found[-1] = rung
                break
    return found


def _goes_on(loss: float, before: list[float], factor: int) -> bool:
    """Whether a setting passes a rung; its loss is added to those before."""
    if not math.isfinite(loss):
        return False
    limit = _limit(before, factor)
    before.append(loss)
    return loss <= limit


def _limit(before: list[float], factor: int) -> float:
    return float(np.quantile(before, 1.0 / factor)) if before else math.inf
