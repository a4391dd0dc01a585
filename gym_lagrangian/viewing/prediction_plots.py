"""Figures of a model's predictions of motion that it has not seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gym_lagrangian.learning.prediction import Predictions
from gym_lagrangian.viewing.plots import COLOURS, label, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def prediction_figures(found: Predictions) -> dict[str, Figure]:
    """Every figure of predictions, by name.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    return {"errors": errors_figure(found), "times": times_figure(found)}


def errors_figure(found: Predictions) -> Figure:
    """The median error of every coordinate over time, and the middle half of the starts."""
    n = len(found.coordinates)
    figure = new_figure(4.5 * n, 4)
    panels = figure.subplots(1, n, squeeze=False)[0]
    for i, axes in enumerate(panels):
        for (who, errors), colour in zip(found.errors.items(), COLOURS, strict=False):
            low, middle, high = np.quantile(errors[:, :, i], (0.25, 0.5, 0.75), axis=0)
            axes.semilogy(found.time, middle, color=colour, lw=1.2, label=who)
            axes.fill_between(found.time, low, high, color=colour, alpha=0.15, lw=0)
        axes.axhline(found.amount[i], color="0.6", linestyle=":", zorder=0)
        unit = found.units[i]
        label(axes, "time (s)", f"error of {found.coordinates[i]} ({unit})", legend=i == 0)
    return figure


def times_figure(found: Predictions) -> Figure:
    """The share of predictions that are still within the stated amount, over time."""
    n = len(found.coordinates)
    figure = new_figure(4.5 * n, 4)
    panels = figure.subplots(1, n, squeeze=False)[0]
    for i, axes in enumerate(panels):
        for who, colour in zip(found.errors, COLOURS, strict=False):
            within = np.mean(found.times(who)[:, i, None] >= found.time, axis=0)
            axes.plot(found.time, within, color=colour, lw=1.2, label=who)
        axes.set_ylim(-0.03, 1.03)
        amount = f"{found.amount[i]:.3g} {found.units[i]}"
        label(axes, "time (s)", f"share of {found.coordinates[i]} within {amount}", legend=i == 0)
    return figure
