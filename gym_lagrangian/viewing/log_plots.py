"""Figures of the logs of a machine, beside what a fit will learn from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gym_lagrangian.learning.logs.local import estimate
from gym_lagrangian.learning.logs.reading import Logs
from gym_lagrangian.learning.logs.recording import Recording
from gym_lagrangian.viewing.plots import COLOURS, MODEL, TRUTH, label, new_figure, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from gym_lagrangian.learning.logs.resampling import Smoothing

# Rows that are drawn of a log, thinned.
_DRAWN = 4000

# Half a window of the differences that velocities are compared with, in rows.
_NARROW = 2


def log_figures(logs: Logs) -> dict[str, Figure]:
    """Every figure of the logs, by name; no coverage of logs that look wrong.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    longest = max(logs.recordings, key=lambda one: len(one.time))
    made = {"motion": motion_figure(logs, longest), "clock": clock_figure(logs)}
    wrong = any(one.fatal for one in logs.suspicions)
    return made if wrong else made | {"coverage": coverage_figure(logs)}


def motion_figure(logs: Logs, one: Recording) -> Figure:
    """Positions, velocities and forces of one log over time, a column a coordinate.

    Grey is the slope of the positions over five rows, black a measured velocity, blue the velocity
    that a fit will see.
    """
    n = len(logs.machine.joints)
    figure = new_figure(5 * n, 7)
    panels = figure.subplots(3, n, sharex=True, squeeze=False)
    rows = slice(0, int(np.sum(one.episode == one.episode[0])))
    for i in range(n):
        _draw_joint(panels[:, i], logs, one, rows, i)
    figure.suptitle(f"{logs.machine.name}: {one.label}, its first stretch", fontsize=10)
    return figure


def _draw_joint(axes: np.ndarray, logs: Logs, one: Recording, rows: slice, i: int) -> None:
    joint, how = logs.machine.joints[i], logs.smoothing[i]
    unit, force = ("rad", "N·m") if joint.angular else ("m", "N")
    time = one.time[rows]
    at = time[:: max(1, len(time) // _DRAWN)]
    q, when = np.interp(at, time, one.q[rows, i]), at
    q, when = wrapped(q, when) if joint.angular else (q, when)
    axes[0].plot(when, q, color=TRUTH, lw=1)
    label(axes[0], "", f"{joint.name} ({unit})")
    _draw_velocity(axes[1], one, rows, i, at, how)
    label(axes[1], "", f"its velocity ({unit}/s)", legend=i == 0)
    axes[2].plot(at, np.interp(at, time, one.tau[rows, i]), color=COLOURS[1], lw=1)
    label(axes[2], "time (s)", f"force ({force})")


def _draw_velocity(
    axes: Axes, one: Recording, rows: slice, i: int, at: np.ndarray, how: Smoothing
) -> None:
    time = one.time[rows]
    if len(time) < 2 * _NARROW + 1:
        return
    rough = estimate(time, one.q[rows, i], at, _NARROW)[1]
    axes.plot(at, rough, color="0.75", lw=0.8, label="differences of positions")
    if np.isfinite(one.qd[rows, i]).all():
        measured = np.interp(at, time, one.qd[rows, i])
        axes.plot(at, measured, color=TRUTH, lw=0.8, label="measured")
    values = one.qd if how.measured else one.q
    half = how.of_velocity.half_width
    seen = estimate(time, values[rows, i], at, half)[0 if how.measured else 1]
    axes.plot(at, seen, color=MODEL, lw=1.2, label="as a fit sees it")


def clock_figure(logs: Logs) -> Figure:
    """The seconds between neighbouring rows of every log, gaps among them, logarithmically."""
    figure = new_figure(8, 4)
    axes = figure.subplots()
    begin = 0.0
    for k, one in enumerate(logs.recordings):
        moved = np.diff(one.time)
        shown = np.flatnonzero(moved > 0)[:: max(1, len(moved) // _DRAWN)]
        colour = COLOURS[k % len(COLOURS)]
        axes.semilogy(begin + one.time[shown], 1e3 * moved[shown], ".", ms=2, color=colour)
        begin += float(one.time.max())
    label(axes, "time, one log after another (s)", "between rows (ms)")
    return figure


def coverage_figure(logs: Logs) -> Figure:
    """Velocity against position of every coordinate: where there are data."""
    n = len(logs.machine.joints)
    figure = new_figure(4.5 * n, 4.5)
    panels = figure.subplots(1, n, squeeze=False)[0]
    data = logs.transitions(keep=("saturation", "stops"))
    shown = slice(None, None, max(1, len(data) // (2 * _DRAWN)))
    for i, axes in enumerate(panels):
        unit = logs.machine.coordinates.units[i]
        axes.plot(data.q[shown, i], data.qd[shown, i], ".", ms=1.5, alpha=0.5, color=MODEL)
        name = logs.machine.joints[i].name
        label(axes, f"{name} ({unit})", f"velocity of {name} ({unit}/s)")
    return figure
