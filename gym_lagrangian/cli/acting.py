"""``gym-lagrangian learn``: a model learned while acting."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from gym_lagrangian.cli.arguments import add_environment, add_friction, add_options, environment
from gym_lagrangian.cli.bars import bar
from gym_lagrangian.registration import MODELS


def add_commands(commands: Any) -> None:
    """Add ``learn``."""
    learn = commands.add_parser(
        "learn",
        help="learn a model of an id while acting in it",
        description="Act at random, then fit MODEL, plan and act, episode after episode, until "
        "the budget of real seconds is used. The same command goes on where it was stopped.",
        epilog="example: gym-lagrangian learn PilcoPendulum-v0 DeLaN --budget 30 --out run",
    )
    add_environment(learn)
    learn.add_argument(
        "model",
        nargs="?",
        default="DeLaN",
        metavar="MODEL",
        help=f"{', '.join(MODELS)}; default: DeLaN",
    )
    learn.add_argument(
        "--budget",
        type=float,
        required=True,
        metavar="S",
        help="seconds of the environment's own time, random ones included",
    )
    learn.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the run")
    learn.add_argument(
        "--random",
        type=float,
        metavar="S",
        help="seconds of random actions to begin with; default: an episode",
    )
    learn.add_argument(
        "--episode",
        type=float,
        metavar="S",
        help="seconds after which an episode is reset; default: the environment's time limit",
    )
    learn.add_argument(
        "--strategy",
        choices=("planning", "policy"),
        default="planning",
        help="plan at every step, or train a policy by PPO in the model; default: planning",
    )
    learn.add_argument(
        "--members", type=int, default=1, metavar="K", help="models in the ensemble; default: 1"
    )
    learn.add_argument(
        "--successes",
        type=int,
        metavar="N",
        help="end once N episodes in a row succeeded; default: when the budget is used",
    )
    add_friction(learn, "friction that the model learns; default: the machine's kind")
    learn.add_argument(
        "--seed",
        type=int,
        default=0,
        help="seed of resets, random actions, weights and plans; default: 0",
    )
    learn.add_argument(
        "--steps",
        type=int,
        nargs=2,
        default=(12_000, 6000),
        metavar=("FIRST", "LATER"),
        help="optimiser steps of the first fit, and of the later ones; default: 12000 6000",
    )
    add_options(learn, "model", "an argument of the model's constructor")
    learn.set_defaults(run=_learn)


def _learn(options: argparse.Namespace) -> None:
    from gym_lagrangian.acting import Progress, learn

    what, arguments = environment(options)
    names = ("budget", "out", "random", "episode", "strategy", "members", "successes", "friction")
    given = {name: getattr(options, name) for name in (*names, "seed", "steps")}
    with bar("learning", unit="s", total=options.budget, bar_format=_BAR) as shown:

        def show(progress: Progress) -> None:
            shown.update(progress.seconds - shown.n)
            shown.write(_described(progress.line))

        model_config = dict(options.model_option)
        found = learn(
            what, options.model, model_config=model_config, on_progress=show, **given, **arguments
        )
    for what, seconds in (("first", found.until_first), ("always", found.until_always)):
        print(f"seconds until it {what} succeeded: {'–' if seconds is None else f'{seconds:g}'}")
    print(f"written: {found.out}")


_BAR = "{l_bar}{bar}| {n:.1f} of {total:.1f} s"


def _described(line: dict[str, Any]) -> str:
    won = {None: "", True: ", succeeded", False: ", failed"}[line["success"]]
    error = "" if line["model_error"] is None else f", model error {line['model_error']:.3g}"
    return (
        f"episode {line['episode']} ({line['kind']}): {line['seconds']:g} s, "
        f"return {line['return']:.4g}{error}{won}"
    )
