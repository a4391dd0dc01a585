"""Figures, drawn with matplotlib (the extra ``plots``), which is imported only when used."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    """The last picture of each trajectory, every coordinate over time, and the energy drift."""
    pair = [rollout.trajectory] if rollout.truth is None else [rollout.truth, rollout.trajectory]
    colours = [MODEL] if rollout.truth is None else [TRUTH, MODEL]
    figure = new_figure(11, 6)
    pictures, curves = figure.subfigures(1, 2, width_ratios=[1, 2.2])
    for axes, trajectory in zip(
        pictures.subplots(len(pair), 1, squeeze=False)[:, 0], pair, strict=True
    ):
        axes.imshow(trajectory.frames[1])
        axes.set_title(trajectory.label, fontsize=9)
        axes.axis("off")
    rows = curves.subplots(len(rollout.coordinates) + 1, 1, sharex=True, squeeze=False)[:, 0]
    for trajectory, colour in zip(pair, colours, strict=True):
        style = {"color": colour, "label": trajectory.label, "linewidth": 1.2}
        for index, axes in enumerate(rows[:-1]):
            axes.plot(trajectory.time, trajectory.states[:, index], **style)
        rows[-1].plot(trajectory.time, 100 * trajectory.energy_drift, **style)
    for axes, name in zip(rows[:-1], rollout.coordinates, strict=True):
        axes.set_ylabel(name)
        if rollout.parting_time is not None:
            axes.axvline(rollout.parting_time, color="0.7", linestyle=":", zorder=0)
    rows[0].legend(loc="upper right", fontsize=8)
    rows[-1].set_ylabel("energy drift\n(% of scale)")
    rows[-1].set_xlabel("time (s)")
    return figure
