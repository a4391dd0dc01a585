"""The figure of a sweep: losses over steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gym_lagrangian.sweeps.ledger import Ledger
from gym_lagrangian.sweeps.plan import Run
from gym_lagrangian.sweeps.table import varied
from gym_lagrangian.viewing.plots import COLOURS, label, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# With more settings than this a legend hides the curves.
_NAMED = 8


def sweep_figure(ledger: Ledger) -> Figure:
    """The held-out loss of every run at every mark: a panel for each system and model, a colour for
    each setting. A cross is where a setting was stopped.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    brackets = ledger.sweep.brackets
    figure = new_figure(5 * len(brackets), 3.6)
    panels = figure.subplots(1, len(brackets), squeeze=False)[0]
    for axes, settings in zip(panels, brackets, strict=True):
        _draw(axes, ledger, settings)
    return figure


def _draw(axes: Axes, ledger: Ledger, settings: tuple[int, ...]) -> None:
    stopped, names = ledger.stopped, varied(ledger.rows)
    runs = [run for run in ledger.sweep.runs if run.setting in settings]
    for run in runs:
        place = settings.index(run.setting)
        own = _name(run, names) if run.seed == ledger.sweep.seeds[0] else None
        course = [(step, held_out) for step, _, held_out in ledger.course(run)]
        if course:
            colour, mark = COLOURS[place % len(COLOURS)], "x" if run.setting in stopped else None
            axes.plot(*zip(*course, strict=True), color=colour, lw=1.1, label=own)
            axes.plot(*course[-1], color=colour, marker=mark)
    axes.set(yscale="log", title=f"{runs[0].system}, {runs[0].model}")
    label(axes, "optimiser step", "held-out loss", legend=bool(names) and len(settings) <= _NAMED)


def _name(run: Run, names: list[str]) -> str:
    """The settings of a run that differ from others'."""
    given = {f"training.{k}": v for k, v in run.training.items()}
    given |= {f"model.{k}": v for k, v in run.settings.items()}
    return ", ".join(f"{n.partition('.')[2]} {given[n]}" for n in names if n in given)
