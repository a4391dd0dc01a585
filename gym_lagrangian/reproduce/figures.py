"""The figures of the paper's experiments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gym_lagrangian.reproduce import particle
from gym_lagrangian.reproduce.double_pendulum import EARLY, LATE, Motions, Traces
from gym_lagrangian.systems.double_pendulum import DoublePendulum
from gym_lagrangian.viewing.plots import COLOURS, TRUTH, label, new_figure, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Every model has one colour and one dash in every figure: black and white still tells them apart.
_DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1)), (0, (3, 1)), (0, (1, 1)))
_ORDER = ("LNN", "Baseline", "DeLaN", "HNN", "NODE", "MLP", "NoncanonicalHNN")


def style(name: str) -> dict[str, Any]:
    """How a model's line is drawn."""
    if name == "truth":
        return {"color": TRUTH, "lw": 1.6, "label": "truth"}
    place = _ORDER.index(name) if name in _ORDER else len(_ORDER)
    colours = (*COLOURS, "#999999")
    return {
        "color": colours[place % len(colours)],
        "linestyle": _DASHES[place % len(_DASHES)],
        "lw": 1.3,
        "label": name,
    }


def figure_1(traces: Traces) -> Figure:
    """The tip's path over the first 10 s: truth, Baseline, LNN, later parts darker."""
    from matplotlib.collections import LineCollection

    system = DoublePendulum()
    m = system.parameter_bounds()[0]
    figure = new_figure(9, 3.9)
    panels = figure.subplots(1, len(traces.states), sharex=True, sharey=True)
    early = traces.time <= EARLY[1]
    for axes, (name, states) in zip(panels, traces.states.items(), strict=True):
        scenes = [system.scene(q, q, q, m) for q in states[early, : system.n]]
        path = np.array([scene.trace for scene in scenes])
        pieces = np.stack([path[:-1], path[1:]], axis=1)
        lines = LineCollection(list(pieces), color=style(name)["color"], linewidth=1.3)
        lines.set_alpha(np.linspace(0.15, 1.0, len(pieces)).tolist())
        axes.add_collection(lines)
        for rod in scenes[-1].rods:
            axes.plot(*zip(rod.start, rod.end, strict=True), color="0.35", lw=2)
        axes.plot(*path[-1], "o", color=style(name)["color"], ms=6)
        axes.plot(0, 0, "s", color="0.35", ms=4)
        reach = scenes[0].extent[0]
        axes.set(
            xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", title=style(name)["label"]
        )
        label(axes, "x (m)", "y (m)" if axes is panels[0] else "")
    figure.suptitle(f"Path of the tip over {EARLY[1]:g} s of free motion", fontsize=10)
    return figure


def figure_2(traces: Traces, motions: Motions) -> Figure:
    """θ1 and its error, early and late, and the energy error over the long runs.

    Two motions of a chaotic system part after 10–15 s whatever the model: late errors of an
    angle say nothing, energy does.
    """
    figure = new_figure(9, 8)
    grid = figure.add_gridspec(3, 2)
    for column, window in enumerate((EARLY, LATE)):
        angle = figure.add_subplot(grid[0, column])
        error = figure.add_subplot(grid[1, column])
        _angles(angle, error, traces, window)
        angle.set_title(f"{window[0]:g}–{window[1]:g} s", fontsize=10)
        if column == 0:
            angle.legend(fontsize=8, loc="best")
    energy = figure.add_subplot(grid[2, :])
    truth = motions.truth.long
    for name, runs in motions.models.items():
        if runs.long is not None and truth is not None:
            _band(energy, runs.long.time, runs.long.error(truth), style(name))
    energy.set_yscale("log")
    label(energy, "time (s)", "energy error (%)", legend=True)
    energy.set_title(
        "energy error, share of 29.4 J: mean over the starts, and where 90 % of them lie",
        fontsize=10,
    )
    return figure


def figure_3(traces: particle.Traces) -> Figure:
    """v over one second, truth and, panel by panel, the models; their errors below."""
    figure = new_figure(9, 4.6)
    names = [name for name in traces.velocity if name != "truth"]
    panels = figure.subplots(
        2, len(names), sharex=True, sharey="row", squeeze=False, height_ratios=(2, 1)
    )
    truth = traces.velocity["truth"]
    for axes, error, name in zip(*panels, names, strict=True):
        for shown in ("truth", name):
            axes.plot(traces.time, traces.velocity[shown], **style(shown))
        difference = np.abs(traces.velocity[name] - truth)
        error.semilogy(traces.time, np.maximum(difference, 1e-9), **style(name))
        axes.set_ylim(-1.05, 1.05)
        axes.legend(fontsize=8, loc="best")
        first = name == names[0]
        label(axes, "", "v / c" if first else "")
        label(error, "time (s)", "error of v / c" if first else "")
    figure.suptitle("Free motion of a relativistic particle for one second", fontsize=10)
    return figure


def energy_figure(motions: Motions) -> Figure:
    """The mean energy error of every model over time, on a logarithmic axis."""
    figure = new_figure(8, 5)
    axes = figure.subplots()
    truth = motions.truth.short
    for name, runs in motions.models.items():
        axes.semilogy(truth.time, 100 * runs.short.error(truth).mean(axis=1), **style(name))
    label(axes, "time (s)", "mean energy error (% of 29.4 J)")
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    axes.set_title(f"Free motion from {truth.energy.shape[1]} starts", fontsize=10)
    return figure


def _angles(angle: Axes, error: Axes, traces: Traces, window: tuple[float, float]) -> None:
    """θ1 of every trace within a window of time, and its error below."""
    rows = (traces.time >= window[0]) & (traces.time <= window[1])
    time, true = traces.time[rows], traces.states["truth"][rows, 0]
    for name, states in traces.states.items():
        theta = states[rows, 0]
        folded, clock = wrapped(theta, time)
        angle.plot(clock, folded, **style(name))
        if name != "truth":
            error.semilogy(time, np.abs(_fold(theta - true)), **style(name))
    label(angle, "", "θ1 (rad)")
    angle.set_ylim(-1.05 * np.pi, 1.05 * np.pi)
    error.set_ylim(1e-6, 10)
    label(error, "time (s)", "error of θ1 (rad)")


def _band(axes: Axes, time: np.ndarray, error: np.ndarray, style: dict[str, Any]) -> None:
    """Mean and the middle 90 % of errors (T, N), in percent."""
    thin = slice(None, None, max(1, len(time) // 2000))
    time, percent = time[thin], 100 * error[thin]
    low, high = np.percentile(percent, [5, 95], axis=1)
    axes.plot(time, percent.mean(axis=1), **style)
    axes.fill_between(time, low, high, color=style["color"], alpha=0.15, lw=0)


def _fold(angle: np.ndarray) -> np.ndarray:
    return (angle + np.pi) % (2 * np.pi) - np.pi
