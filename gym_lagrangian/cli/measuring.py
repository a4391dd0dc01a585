"""``gym-lagrangian evaluate`` and ``reproduce``: measurements."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from gym_lagrangian.cli.arguments import add_environment, environment
from gym_lagrangian.cli.bars import bar
from gym_lagrangian.files import replacing


def add_commands(commands: Any) -> None:
    """Add ``evaluate`` and ``reproduce``."""
    evaluate = commands.add_parser(
        "evaluate",
        help="the paper's measurements of an id, as JSON",
        description="Let ID move freely from random states; print energy discrepancies against its "
        "true twin after 10 s and 100 s, and of a learned model its errors, as JSON.",
        epilog="example: gym-lagrangian evaluate DoublePendulumLNN-v0 --out lnn.json",
    )
    add_environment(evaluate)
    evaluate.add_argument(
        "--states", type=int, default=40, help="how many starting states; default: 40"
    )
    evaluate.add_argument(
        "--seed", type=int, default=0, help="seed of the starting states; default: 0"
    )
    evaluate.add_argument(
        "--out", type=Path, metavar="FILE", help="file for the JSON; default: standard output"
    )
    evaluate.set_defaults(run=_evaluate)

    reproduce = commands.add_parser(
        "reproduce",
        help="the paper's experiments: every number, figure and a report",
        description="Measure every shipped model (about ten minutes), or with --retrain train them "
        "all first (hours; a run that was interrupted goes on where it stopped).",
        epilog="example: gym-lagrangian reproduce --out reproduction",
    )
    reproduce.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder for the report and the figures",
    )
    reproduce.add_argument(
        "--retrain", action="store_true", help="train every model anew; default: those that ship"
    )
    reproduce.set_defaults(run=_reproduce)


def _evaluate(options: argparse.Namespace) -> None:
    from gym_lagrangian.evaluation import evaluate

    what, arguments = environment(options)
    report = evaluate(what, states=options.states, seed=options.seed, **arguments)
    text = json.dumps(report, indent=2)
    if options.out is None:
        print(text)
    else:
        with replacing(options.out) as part:
            part.write_text(text + "\n")
        print(f"written: {options.out}")


def _reproduce(options: argparse.Namespace) -> None:
    from gym_lagrangian.learning.loop import Progress
    from gym_lagrangian.reproduce import reproduce

    with bar("measuring", unit="step") as shown:

        def show(model: str, progress: Progress) -> None:
            shown.total = progress.steps
            shown.set_description(f"training {model}")
            shown.set_postfix_str(f"loss {progress.loss:.4g}")
            shown.update(progress.step - shown.n)

        reproduce(
            options.out,
            retrain=options.retrain,
            on_part=lambda name: shown.write(f"measured: {name}"),
            on_progress=show,
        )
    print(f"written: {options.out / 'report.md'}, results.json and the figures")
