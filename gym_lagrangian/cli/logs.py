"""``gym-lagrangian inspect``: what the logs of a machine hold; and how commands read logs."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gym_lagrangian.cli.arguments import names
from gym_lagrangian.errors import MissingExtra
from gym_lagrangian.files import replacing

if TYPE_CHECKING:
    from gym_lagrangian.learning.logs.reading import Logs


def add_commands(commands: Any) -> None:
    """Add ``inspect``."""
    inspect = commands.add_parser(
        "inspect",
        help="what the logs of a machine hold, and what looks wrong with them",
        description="Read the logs of the machine that MACHINE.toml describes; print what they "
        "hold and every suspicion, and draw them.",
    )
    inspect.add_argument("machine", type=Path, metavar="MACHINE.toml")
    inspect.add_argument(
        "logs", nargs="+", metavar="LOG", help="CSV, npz or parquet files, or folders"
    )
    inspect.add_argument(
        "--out", type=Path, metavar="DIR", help="for the figures and report.json; default: none"
    )
    inspect.set_defaults(run=_inspect)


def add_logs(command: argparse.ArgumentParser) -> None:
    """What says how logs become transitions."""
    command.add_argument("--dt", type=float, help="seconds in a transition made of logs")
    command.add_argument(
        "--keep",
        type=names,
        default=(),
        metavar="KIND,...",
        help="of saturation and stops: keep steps of logs at a force's limit, at an end stop",
    )
    command.add_argument(
        "--insist", action="store_true", help="fit to data that look wrong, if they are right"
    )


def read(machine: Path, logs: list[str]) -> Logs:
    """The logs of a machine, with a bar."""
    from tqdm import tqdm

    from gym_lagrangian.learning.logs.machine import Machine
    from gym_lagrangian.learning.logs.reading import read_logs

    described = Machine.load(machine)
    with tqdm(unit="row", unit_scale=True, desc="reading", leave=False) as bar:
        return read_logs(described, logs, on_rows=bar.update)


def _inspect(options: argparse.Namespace) -> None:
    from gym_lagrangian.learning.logs.inspection import inspection

    logs = read(options.machine, options.logs)
    found = inspection(logs)
    for line in found.lines():
        print(line)
    if options.out is None:
        return
    with replacing(options.out / "report.json") as part:
        part.write_text(json.dumps(found.document(), indent=2) + "\n")
    print(f"report: {options.out / 'report.json'}")
    _draw(logs, options.out)


def _draw(logs: Logs, folder: Path) -> None:
    try:
        from gym_lagrangian.viewing.log_plots import log_figures

        made = log_figures(logs)
    except MissingExtra as error:
        print(f"no figures: {error}", file=sys.stderr)
        return
    for name, figure in made.items():
        path = folder / f"{name}.png"
        with replacing(path) as part:
            figure.savefig(part, dpi=120, format="png")
        print(f"figure: {path}")
