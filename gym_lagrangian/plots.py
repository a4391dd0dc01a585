"""Figures, drawn with matplotlib (the extra ``plots``), which is imported only when used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gym_lagrangian.errors import MissingExtra
from gym_lagrangian.rollout import Rollout

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's palette, which colour-blind readers can tell apart.
TRUTH, MODEL = "#000000", "#0072B2"


def new_figure(width: float, height: float) -> Figure:
    """An empty figure in inches that needs no display.

    Raises:
        MissingExtra: matplotlib is not installed; the message says how to install it.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra(
            'figures need matplotlib: pip install "gym-lagrangian[plots]"'
        ) from error
    return Figure(figsize=(width, height), layout="constrained")


def rollout_figure(rollout: Rollout) -> Figure:
    """The last picture of each trajectory; coordinates, true energy and its drift over time.

    A dotted line marks where the two part. Drift is energy beyond what the actions put in.
    """
    pair = [rollout.trajectory] if rollout.truth is None else [rollout.truth, rollout.trajectory]
    colours = [MODEL] if rollout.truth is None else [TRUTH, MODEL]
    figure = new_figure(11, 6)
    grid = figure.add_gridspec(1, 2, width_ratios=[1, 2.2])
    pictures, curves = (figure.add_subfigure(grid[i]) for i in range(2))
    frames = pictures.subplots(len(pair), 1, squeeze=False)[:, 0]
    for axes, trajectory in zip(frames, pair, strict=True):
        axes.imshow(trajectory.last_frame)
        axes.set_title(trajectory.label, fontsize=9)
        axes.axis("off")
    rows = curves.subplots(len(rollout.coordinates) + 2, 1, sharex=True)
    for trajectory, colour in zip(pair, colours, strict=True):
        style: dict[str, Any] = {"color": colour, "linewidth": 1.2}
        for index, axes in enumerate(rows[:-2]):
            axes.plot(trajectory.time, trajectory.states[:, index], **style)
        rows[-2].plot(trajectory.time, trajectory.energy, **style)
        rows[-1].plot(
            trajectory.time, 100 * trajectory.energy_drift, label=trajectory.label, **style
        )
    names = (*rollout.coordinates, "energy (J)", "energy drift\n(% of scale)")
    for axes, name in zip(rows, names, strict=True):
        axes.set_ylabel(name)
        if rollout.parting_time is not None:
            axes.axvline(rollout.parting_time, color="0.7", linestyle=":", zorder=0)
    rows[-1].set_xlabel("time (s)")
    curves.legend(loc="outside upper center", ncols=2)
    return figure
