"""``gym-lagrangian list``: every id, system by system, with the metrics of its model."""

from __future__ import annotations

import argparse
import textwrap
from itertools import groupby
from typing import Any

from gym_lagrangian.errors import GymLagrangianError
from gym_lagrangian.registration import SYSTEMS, EnvironmentRow, environments

NOTHING = "—"  # where there is no number

_LEGEND = """\
loss: mean |acceleration error| (rad/s², m/s²) on the states on which models
  of the system are judged, the paper's for its two systems; of a model
  without accelerations the |state error| / dt of one step
energy: mean discrepancy after 100 s, of the energy scale (the particle has
  left its range by then)
velocity: median of the largest error within one second, as a share of a
  typical velocity
SHA-256: the first digits of the checkpoint's"""


def add_commands(commands: Any) -> None:
    """Add ``list``."""
    listing = commands.add_parser(
        "list",
        help="every environment id, with its checkpoint",
        description="Print every id, system by system, with the measured errors of its model.",
        epilog="example: gym-lagrangian list",
    )
    listing.set_defaults(run=_list)


def _list(_: argparse.Namespace) -> None:
    print(_row("id", "loss", "energy", "velocity", "SHA-256"))
    for system, rows in groupby(environments(), key=lambda row: row.system):
        print(f"\n{_title(str(system))}")
        for row in rows:
            print(_exact(row) if row.model is None else _learned(row))
    print(f"\n{_LEGEND}")


def _title(system: str) -> str:
    """The system's name, and what it is where it is one of this package."""
    return textwrap.fill(f"{system}: {SYSTEMS[system].summary}" if system in SYSTEMS else system)


def _wrapped(text: str) -> str:
    return textwrap.fill(text, initial_indent="  ", subsequent_indent="    ")


def _row(name: str, loss: str, energy: str, velocity: str, digest: str) -> str:
    return f"  {name:38} {loss:>8} {energy:>9} {velocity:>8} {digest:>10}"


def _exact(row: EnvironmentRow) -> str:
    return f"  {row.id:38} {'exact':>8}"


def _learned(row: EnvironmentRow) -> str:
    from gym_lagrangian import checkpoints

    try:
        found = checkpoints.load(row.kwargs["checkpoint"])
    except GymLagrangianError as error:
        return _wrapped(f"{row.id}  {error}")
    return _row(row.id, *_numbers(found.card.metrics), found.sha256[:10])


def _numbers(metrics: dict[str, Any]) -> tuple[str, str, str]:
    """Loss, energy and velocity, as far as they were measured."""
    loss = metrics.get("acceleration_loss", metrics.get("one_step_error"))
    energy, velocity = metrics.get("energy_discrepancy_100s"), metrics.get("velocity_error")
    return (
        NOTHING if loss is None else f"{loss:.3g}",
        NOTHING if energy is None else f"{100 * energy['mean']:.2g} %",
        NOTHING if velocity is None else f"{velocity['median']:.1e}",
    )
