"""The ledger of a sweep: reports of its packs, settings that are stopped early, the table."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import median
from typing import Any

from gym_lagrangian.sweeps.halving import stopped_at
from gym_lagrangian.sweeps.plan import Pack, Run, Sweep
from gym_lagrangian.sweeps.training import Result, Row


class Ledger:
    """The results of a sweep so far.

    Everything that it says follows from the sweep and the losses alone, whichever pack reported
    first: what was trained beyond the rung at which its setting is stopped does not count.

    Arguments:
        sweep: what is trained.
    """

    def __init__(self, sweep: Sweep):
        self.sweep = sweep
        self._courses: dict[int, list[Row]] = {}
        self._measured: dict[int, dict[str, float]] = {}
        self._runs: dict[int, list[Run]] = {}
        for run in sweep.runs:
            self._runs.setdefault(run.setting, []).append(run)

    def note(self, result: Result) -> None:
        """Take down what a pack has come to, of which no less is known than before."""
        for index, course in result.courses.items():
            if len(course) >= len(self._courses.get(index, ())):
                self._courses[index] = course
        self._measured |= result.measured

    def is_over(self, pack: Pack) -> bool:
        """Whether all settings of a pack are stopped: there is no use in training it further."""
        stopped = self.stopped
        return all(run.setting in stopped for run in pack.runs)

    @property
    def stopped(self) -> dict[int, int]:
        """Setting → rung, of those that are stopped."""
        found: dict[int, int] = {}
        halving = self.sweep.early_stopping
        if halving is None:
            return found
        for settings in self.sweep.brackets:
            losses = [self._losses(setting) for setting in settings]
            rungs = stopped_at(losses, self.sweep.rungs, halving.factor)
            pairs = zip(settings, rungs, strict=True)
            found |= {setting: rung for setting, rung in pairs if rung is not None}
        return found

    @property
    def steps(self) -> int:
        """The steps that are done or not needed any more, of all runs."""
        done = {run.index: self._last(run) for run in self.sweep.runs}
        stopped = self.stopped
        return sum(
            self.sweep.steps if run.setting in stopped else done[run.index]
            for run in self.sweep.runs
        )

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The table, a row a run, in the order of the sweep; JSON-able.

        ``status`` is ``"finished"``, ``"stopped"`` at ``steps`` by early stopping, ``"diverged"``
        where the losses there are not finite, or ``"failed"`` where the training never got there.
        A number that is not finite is None.
        """
        stopped = self.stopped
        return [self._row(run, stopped) for run in self.sweep.runs]

    def course(self, run: Run) -> list[Row]:
        """Step and losses of a run at every mark, until it is stopped."""
        end = self.stopped.get(run.setting, self.sweep.steps)
        return [row for row in self._courses.get(run.index, ()) if row[0] <= end]

    def _row(self, run: Run, stopped: Mapping[int, int]) -> dict[str, Any]:
        end = stopped.get(run.setting, self.sweep.steps)
        at = {row[0]: row[1:] for row in self._courses.get(run.index, ())}
        loss, held_out = at.get(end, (math.nan, math.nan))
        measured = self._measured.get(run.index, {}) if run.setting not in stopped else {}
        names = _columns(self.sweep)
        return {
            **_identity(run, names),
            "steps": end if end in at else self._last(run),
            "status": _status(end in at, run.setting in stopped, loss, held_out),
            "loss": _finite(loss),
            "held_out_loss": _finite(held_out),
            **{name: _finite(measured.get(name, math.nan)) for name in MEASURED},
        }

    def _losses(self, setting: int) -> dict[int, float]:
        """Rung → median loss over the seeds, at those rungs which all of them have passed."""
        courses = [dict(_judged(self._courses.get(r.index, []))) for r in self._runs[setting]]
        passed = [rung for rung in self.sweep.rungs if all(rung in course for course in courses)]
        return {rung: median(_worst(course[rung]) for course in courses) for rung in passed}

    def _last(self, run: Run) -> int:
        course = self._courses.get(run.index)
        return course[-1][0] if course else 0


MEASURED = (
    "acceleration_loss",
    "acceleration_loss_forced",
    "one_step_error",
    "one_step_error_forced",
)


def _columns(sweep: Sweep) -> tuple[list[str], list[str]]:
    """The settings of trainings and of models that the sweep states for any of its models."""
    training, own = (
        list(dict.fromkeys(name for model in sweep.models for name in grid.of(model)))
        for grid in (sweep.training, sweep.settings)
    )
    return training, own


def _identity(run: Run, columns: tuple[list[str], list[str]]) -> dict[str, Any]:
    """What a run is; None for a setting that its model has not."""
    training, own = columns
    return {
        "system": run.system,
        "model": run.model,
        **{f"training.{name}": run.training.get(name) for name in training},
        **{f"model.{name}": run.settings.get(name) for name in own},
        "seed": run.seed,
    }


def _status(there: bool, stopped: bool, *losses: float) -> str:
    if not there:
        return "failed"
    if not all(map(math.isfinite, losses)):
        return "diverged"
    return "stopped" if stopped else "finished"


def _judged(course: list[Row]) -> list[tuple[int, float]]:
    return [(step, held_out) for step, _, held_out in course]


def _worst(loss: float) -> float:
    return loss if math.isfinite(loss) else math.inf


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None
