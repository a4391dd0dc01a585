"""``gym-lagrangian inspect`` and ``predict``: logs, and predictions of them."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gym_lagrangian.cli.arguments import names
from gym_lagrangian.cli.bars import bar
from gym_lagrangian.errors import MissingExtra
from gym_lagrangian.files import replacing

if TYPE_CHECKING:
    from collections.abc import Callable

    from gym_lagrangian.learning.logs.machine import Machine
    from gym_lagrangian.learning.logs.reading import Logs
    from gym_lagrangian.learning.transitions import Transitions
    from gym_lagrangian.systems.coordinates import Coordinates


def add_commands(commands: Any) -> None:
    """Add ``inspect`` and ``predict``."""
    _add_inspect(commands)
    predict = commands.add_parser(
        "predict",
        help="how well a model predicts logs that it never saw",
        description="Let the model of CHECKPOINT predict the motion in logs, from many instants "
        "and under the recorded forces; print errors and times, beside those of two simple rivals.",
        epilog="example: gym-lagrangian predict arm.safetensors held_out.csv --out worth",
    )
    predict.add_argument("checkpoint", metavar="CHECKPOINT", help="a file, or a shipped name")
    predict.add_argument(
        "logs", nargs="+", metavar="LOG", help="logs of its machine, or one file of transitions"
    )
    predict.add_argument(
        "--machine",
        type=Path,
        metavar="MACHINE.toml",
        help="where the columns of the logs are; "
        "default: as in those that the checkpoint learned from",
    )
    predict.add_argument("--horizon", type=float, default=1.0, help="seconds predicted; default: 1")
    predict.add_argument(
        "--amount",
        type=float,
        help="the error in rad or m that ends a prediction; default: 0.1 rad, "
        "and a tenth of a typical length",
    )
    predict.add_argument(
        "--insist", action="store_true", help="predict although the logs look wrong"
    )
    predict.add_argument(
        "--out", type=Path, metavar="DIR", help="for report.json and the figures; default: none"
    )
    predict.set_defaults(run=_predict)


def _add_inspect(commands: Any) -> None:
    inspect = commands.add_parser(
        "inspect",
        help="what the logs of a machine hold, and what looks wrong with them",
        description="Read the logs of the machine that MACHINE.toml describes; print what they "
        "hold and every suspicion, and draw them.",
        epilog="example: gym-lagrangian inspect arm.toml logs/run1.csv --out seen",
    )
    inspect.add_argument(
        "machine", type=Path, metavar="MACHINE.toml", help="its coordinates, columns and motors"
    )
    inspect.add_argument(
        "logs", nargs="+", metavar="LOG", help="CSV, npz or parquet files, or folders"
    )
    inspect.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="folder for the figures and report.json; default: none",
    )
    inspect.set_defaults(run=_inspect)


def add_logs(command: argparse.ArgumentParser) -> None:
    """What says how logs become transitions."""
    command.add_argument(
        "--dt",
        type=float,
        metavar="S",
        help="seconds in a transition made of logs; default: the machine's, or what they allow",
    )
    command.add_argument(
        "--keep",
        type=names,
        default=(),
        metavar="KIND,...",
        help="saturation, stops: keep steps of logs at a force's limit, at an end stop; "
        "default: leave them out",
    )
    command.add_argument("--insist", action="store_true", help="fit although the data look wrong")


def read(machine: Path | Machine, logs: list[str]) -> Logs:
    """The logs of a machine, with a bar."""
    from gym_lagrangian.learning.logs.machine import Machine
    from gym_lagrangian.learning.logs.reading import read_logs

    described = Machine.load(machine) if isinstance(machine, Path) else machine
    with bar("reading", unit="row", unit_scale=True) as shown:
        return read_logs(described, logs, on_rows=shown.update)


def _inspect(options: argparse.Namespace) -> None:
    from gym_lagrangian.learning.logs.inspection import inspection

    logs = read(options.machine, options.logs)
    found = inspection(logs)
    for line in found.lines():
        print(line)
    if options.out is not None:
        from gym_lagrangian.viewing.log_plots import log_figures

        _write(found.document(), options.out, lambda: log_figures(logs))


def _predict(options: argparse.Namespace) -> None:
    from gym_lagrangian import checkpoints
    from gym_lagrangian.learning.prediction import predictions

    model = checkpoints.load(options.checkpoint)
    data = _to_predict(options, model.card.model_coordinates())
    found = predictions(model, data, horizon=options.horizon, amount=options.amount)
    for line in found.lines():
        print(line)
    if options.out is not None:
        from gym_lagrangian.viewing.prediction_plots import prediction_figures

        _write(found.document(), options.out, lambda: prediction_figures(found))


def _to_predict(options: argparse.Namespace, coordinates: Coordinates) -> Transitions:
    """The transitions in a file of some, or in logs at the step of the model."""
    from gym_lagrangian.learning.logs.machine import Machine
    from gym_lagrangian.learning.npz import read_npz
    from gym_lagrangian.learning.transitions import Transitions

    if len(options.logs) == 1 and options.logs[0].endswith(".npz"):
        arrays = read_npz(options.logs[0])
        if "next_q" in arrays:
            return Transitions.of(arrays, label=options.logs[0])
    machine = options.machine or Machine.of(coordinates)
    step = coordinates.usage.dt
    return read(machine, options.logs).transitions(dt=step, insist=options.insist)


def _write(document: dict[str, Any], folder: Path, figures: Callable[[], dict[str, Any]]) -> None:
    """A report, and figures if there is a library to draw them."""
    with replacing(folder / "report.json") as part:
        part.write_text(json.dumps(document, indent=2) + "\n")
    print(f"report: {folder / 'report.json'}")
    try:
        made = figures()
    except MissingExtra as error:
        print(f"no figures: {error}", file=sys.stderr)
        return
    for name, figure in made.items():
        path = folder / f"{name}.png"
        with replacing(path) as part:
            figure.savefig(part, dpi=120, format="png")
        print(f"figure: {path}")
