"""``gym-lagrangian list``: every id, and how good the model is that moves it."""

from __future__ import annotations

import argparse
from typing import Any

from gym_lagrangian.errors import GymLagrangianError
from gym_lagrangian.registration import EnvironmentRow, environments

NOTHING = "—"  # where there is no number


def add_commands(commands: Any) -> None:
    """Add ``list``."""
    listing = commands.add_parser("list", help="every environment id, with its checkpoint")
    listing.set_defaults(run=_list)


def _list(_: argparse.Namespace) -> None:
    print(f"{'id':36} {'model':16} {'loss':>9} {'energy':>10} {'velocity':>9}  SHA-256")
    for row in environments():
        print(_exact(row) if row.model is None else _learned(row))
    print(
        "\nloss: mean |acceleration error| (rad/s², m/s²) on the states on which models of the "
        "system are judged, the paper's for its two systems, or of a model "
        "without accelerations the |state error| / dt of one step; energy: mean discrepancy after "
        "100 s, of the energy scale (the particle has left its range by "
        "then); velocity: median of the largest error within one second"
    )


def _exact(row: EnvironmentRow) -> str:
    return f"{row.id:36} {'exact':16}"


def _learned(row: EnvironmentRow) -> str:
    from gym_lagrangian import checkpoints

    try:
        found = checkpoints.load(row.kwargs["checkpoint"])
    except GymLagrangianError as error:
        return f"{row.id:36} {row.model:16} {error}"
    loss, energy, velocity = _numbers(found.card.metrics)
    return f"{row.id:36} {row.model:16} {loss:>9} {energy:>10} {velocity:>9}  {found.sha256[:16]}"


def _numbers(metrics: dict[str, Any]) -> tuple[str, str, str]:
    """Loss, energy and velocity, as far as they were measured."""
    loss = metrics.get("acceleration_loss", metrics.get("one_step_error"))
    energy, velocity = metrics.get("energy_discrepancy_100s"), metrics.get("velocity_error")
    return (
        NOTHING if loss is None else f"{loss:.3g}",
        NOTHING if energy is None else f"{100 * energy['mean']:.2g} %",
        NOTHING if velocity is None else f"{velocity['median']:.1e}",
    )
