"""``gym-lagrangian train``, ``collect`` and ``fit``: models of one's own."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

from gym_lagrangian.cli.arguments import (
    add_environment,
    add_friction,
    add_options,
    conditions,
    environment,
    horizon,
    numbers,
)
from gym_lagrangian.cli.bars import bar
from gym_lagrangian.cli.logs import add_logs, read
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.registration import MODELS, SYSTEMS

_MODELS = f"{', '.join(MODELS)}, or module:Class"

# What a training's settings mean.
_BY_MODEL = "default: what suits the model"
_COUNTS = {
    "steps": "optimiser steps",
    "batch": "samples in a step",
    "warmup": "steps in which the learning rate rises",
}
_RATES = {
    "learning-rate": "the largest learning rate, after the warm-up",
    "final-learning-rate": "the last learning rate, as a share of the largest",
    "clip": "the largest norm of a gradient",
}


def add_commands(commands: Any) -> None:
    """Add ``train``, ``collect`` and ``fit``."""
    _add_train(commands)
    _add_collect(commands)
    _add_fit(commands)


def _add_train(commands: Any) -> None:
    train = commands.add_parser(
        "train",
        help="train a model of a system",
        description="Train MODEL on SYSTEM and write a checkpoint. Ctrl-C saves; --resume goes on.",
        epilog="example: gym-lagrangian train DoublePendulum LNN --out mine.safetensors",
    )
    train.add_argument("system", metavar="SYSTEM", help=f"{', '.join(SYSTEMS)}, or module:Class")
    train.add_argument("model", metavar="MODEL", help=_MODELS)
    train.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="the checkpoint to write; default: SYSTEMMODEL.safetensors",
    )
    train.add_argument(
        "--data",
        type=Path,
        metavar="NPZ",
        help="an npz file of q, qd, qdd (and tau, m) to learn from; default: fresh states",
    )
    train.add_argument(
        "--preset",
        default="package",
        help="package (default), or paper: the paper's own network, data and optimiser",
    )
    train.add_argument(
        "--fixed-states",
        type=int,
        metavar="N",
        help="draw N states without forces once and learn from those; default: fresh ones",
    )
    train.add_argument(
        "--error",
        choices=("absolute", "relative"),
        help="errors of accelerations as they are, or relative to them, for fast links; "
        "default: what suits the system",
    )
    train.add_argument(
        "--parameter-law",
        choices=("uniform", "arcsine"),
        help="how conditioned parameters are drawn from their ranges; default: uniform",
    )
    _add_training(train)
    add_options(train, "system", "an argument of the system's constructor")
    train.set_defaults(run=_train)


def _add_collect(commands: Any) -> None:
    collect = commands.add_parser(
        "collect",
        help="record transitions of an id under random actions",
        description="Step ID under random actions and record states, forces and next states.",
        epilog="example: gym-lagrangian collect Acrobot-v1 --transitions 2000 --out swings.npz",
    )
    add_environment(collect)
    collect.add_argument(
        "--transitions", type=int, required=True, metavar="N", help="how many are recorded"
    )
    collect.add_argument(
        "--out", type=Path, required=True, metavar="FILE.npz", help="where they are written"
    )
    collect.add_argument(
        "--seed", type=int, default=0, help="seed of starts, actions and noise; default: 0"
    )
    collect.add_argument(
        "--hold",
        type=float,
        default=4.0,
        metavar="STEPS",
        help="how long an action is held, in steps on average; default: 4",
    )
    collect.add_argument(
        "--noise",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="noise of the sensors, as a share of typical coordinates and velocities; default: 0",
    )
    collect.add_argument(
        "--episode-steps",
        type=int,
        metavar="N",
        help="reset after so many at the latest; default: the environment's own limit",
    )
    for name in ("low", "high"):
        collect.add_argument(
            f"--{name}",
            type=numbers,
            metavar="X,Y,...",
            help=f"{name}est start, coordinates then velocities (--{name}=-1,...); default: the "
            "environment's",
        )
    collect.set_defaults(run=_collect)


def _add_fit(commands: Any) -> None:
    fit = commands.add_parser(
        "fit",
        help="fit a model to recorded transitions, or to the logs of a machine",
        usage="gym-lagrangian fit FILE.npz MODEL --out FILE [options]\n"
        "       gym-lagrangian fit FILE.npz ... --model MODEL --out FILE [options]\n"
        "       gym-lagrangian fit MACHINE.toml LOG ... --model MODEL --out FILE [options]",
        description="Fit MODEL to the transitions in one or more FILE.npz, or to the logs of the "
        "machine that MACHINE.toml describes, and write a checkpoint. Ctrl-C saves; --resume goes "
        "on.",
        epilog="example: gym-lagrangian fit swings.npz DeLaN --out mine.safetensors",
    )
    fit.add_argument(
        "file",
        type=Path,
        metavar="FILE",
        help="transitions, a folder of such, or a machine's .toml",
    )
    fit.add_argument(
        "what", nargs="?", metavar="MODEL|LOG", help=f"{_MODELS}; or the first log, the second file"
    )
    fit.add_argument(
        "logs",
        nargs="*",
        metavar="LOG",
        help="CSV, npz or parquet files, or folders; or more files of transitions",
    )
    fit.add_argument(
        "--model", metavar="MODEL", help="with several files; with a machine: default LNN"
    )
    fit.add_argument(
        "--rows-in-memory",
        type=int,
        metavar="N",
        help="of several files, the most transitions that are in memory at a time; "
        "default: 1000000",
    )
    fit.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="the checkpoint to write"
    )
    fit.add_argument(
        "--system", help="the system of a file that names none: a name, or module:Class"
    )
    fit.add_argument(
        "--horizon",
        type=horizon,
        metavar="N|N:SHARE,...",
        help="transitions predicted in a row; or a schedule, as 8:0.5,40:0.5: of 8 for half of the "
        "steps, then of 40; default: what suits the data",
    )
    fit.add_argument(
        "--robust",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="count the error of a component for at most its typical magnitude; default: for logs",
    )
    fit.add_argument(
        "--objective",
        choices=("motion", "force"),
        help="what is predicted: the motion that follows (default), or the forces that cause "
        "accelerations, for data whose accelerations are good",
    )
    fit.add_argument(
        "--held-out",
        type=float,
        metavar="SHARE",
        help="of the data that is held out to judge by; default: 0.1",
    )
    fit.add_argument(
        "--starts",
        type=int,
        metavar="N",
        help="models of other first weights that are fitted briefly, of which the best goes on; "
        f"{_BY_MODEL}",
    )
    fit.add_argument(
        "--trial", type=int, metavar="N", help=f"optimiser steps of each start; {_BY_MODEL}"
    )
    fit.add_argument(
        "--weight-decay",
        type=float,
        metavar="SHARE",
        help="how fast the matrices of networks shrink, as a share of the learning rate; "
        f"{_BY_MODEL}",
    )
    add_logs(fit)
    _add_training(fit)
    fit.set_defaults(run=_fit)


def _add_training(command: argparse.ArgumentParser) -> None:
    """What `train` and `fit` have in common."""
    command.add_argument("--resume", action="store_true", help="continue an unfinished run")
    command.add_argument("--overwrite", action="store_true", help="replace an existing checkpoint")
    command.add_argument(
        "--conditioned-on",
        type=conditions,
        nargs="+",
        metavar="NAME[=LOW:HIGH]",
        help="parameters that the model takes as inputs, and between what they are drawn, as in "
        "m1=0.5:1.5 l1; without a range over the system's own (fit: over the data's); default: "
        "those that vary",
    )
    for name, meaning in _COUNTS.items():
        command.add_argument(f"--{name}", type=int, metavar="N", help=f"{meaning}; {_BY_MODEL}")
    command.add_argument(
        "--seed",
        type=int,
        metavar="N",
        help="seed of the first weights and of every batch; default: 0",
    )
    for name, meaning in _RATES.items():
        command.add_argument(f"--{name}", type=float, metavar="X", help=f"{meaning}; {_BY_MODEL}")
    command.add_argument(
        "--optimiser", choices=("muon", "adam"), help=f"the method of optimisation; {_BY_MODEL}"
    )
    command.add_argument(
        "--init",
        metavar="FILE",
        help="continue from a trained model: a file, or a shipped name; default: random weights",
    )
    command.add_argument(
        "--members", type=int, metavar="K", help="learn an ensemble of K models; default: 1"
    )
    command.add_argument(
        "--devices",
        type=int,
        default=1,
        metavar="N",
        help="divide every batch among N of JAX's devices; N divides the batch; default: 1",
    )
    add_friction(
        command, "friction that LNN, DeLaN, HNN or SpatialChain learns; default: the system's"
    )
    add_options(command, "model", "an argument of the model's constructor")


def _train(options: argparse.Namespace) -> None:
    from gym_lagrangian.learning.config import TrainingConfig
    from gym_lagrangian.learning.train import train

    system, model = options.system, options.model
    config = TrainingConfig.of(model, system, preset=options.preset, **_settings(options))
    out = options.out or Path(f"{_class_name(system)}{_class_name(model)}.safetensors")
    given: dict[str, Any] = {
        "preset": options.preset,
        "system_options": dict(options.system_option),
        "data": options.data,
    }
    _learn(out, config, lambda **common: train(system, model, **given, **common), options)


def _class_name(reference: str) -> str:
    """The class of "module:Class"; a registered name is one."""
    return reference.rpartition(":")[2].rpartition(".")[2]


def _fit(options: argparse.Namespace) -> None:
    from gym_lagrangian.learning.config import FitConfig
    from gym_lagrangian.learning.fit import fit

    model, data, floor = _to_fit(options)
    config = FitConfig.of(model, **_settings(options))
    given: dict[str, Any] = {"system": options.system, "insist": options.insist}
    given["noise_floor"] = floor
    _learn(
        options.out,
        config,
        lambda **common: fit(data, model, **given, **common),
        options,
    )


def _conditions(options: argparse.Namespace) -> dict[str, Any] | None:
    """What was given of `conditioned_on`, in one or in several arguments."""
    if options.conditioned_on is None:
        return None
    return {name: stated for part in options.conditioned_on for name, stated in part.items()}


def _to_fit(options: argparse.Namespace) -> tuple[str, Any, float | None]:
    """The model, the file of transitions or the transitions in logs, and their noise floor.

    Raises:
        ConfigurationError: arguments of the one way with the other.
    """
    if options.file.suffix == ".toml":
        _refuse_rows(options)
        return options.model or "LNN", *_logs_to_fit(options)
    twice = options.model is not None and options.what in MODELS
    if twice or (options.model is None and (options.what is None or options.logs)):
        raise ConfigurationError(
            f"fit {options.file}: expected FILE.npz and one MODEL, several FILE.npz and --model "
            "MODEL, or MACHINE.toml and logs"
        )
    if options.dt is not None or options.keep:
        raise ConfigurationError("--dt and --keep: only with logs, transitions have a dt already")
    return options.model or options.what, _files_to_fit(options), None


def _files_to_fit(options: argparse.Namespace) -> Any:
    """A file of transitions, or shards of several."""
    from gym_lagrangian.learning.shards import ROWS_IN_MEMORY, Shards, are_many

    more = [] if options.model is None or options.what is None else [options.what, *options.logs]
    if not more and not are_many(options.file):
        _refuse_rows(options)
        return options.file
    rows = ROWS_IN_MEMORY if options.rows_in_memory is None else options.rows_in_memory
    files = [options.file, *map(Path, more)] if more else options.file
    return Shards(files, options.system, rows_in_memory=rows)


def _refuse_rows(options: argparse.Namespace) -> None:
    if options.rows_in_memory is not None:
        raise ConfigurationError("--rows-in-memory: only with several files of transitions")


def _logs_to_fit(options: argparse.Namespace) -> tuple[Any, float | None]:
    """The transitions in the logs of a machine, and their noise floor in 1/s where it is known.

    Raises:
        ConfigurationError: no logs, or a system.
    """
    from gym_lagrangian.learning.logs.resampling import noise_floor

    if options.what is None or options.system is not None:
        raise ConfigurationError(
            f"fit {options.file}: expected logs of the machine after it, and no --system"
        )
    logs = read(options.file, [options.what, *options.logs])
    for line in (*logs.notes, *(one.text for one in logs.suspicions if not one.fatal)):
        print(f"note: {line}", file=sys.stderr)
    by_force = options.objective == "force"
    how = {"dt": options.dt, "keep": options.keep, "insist": options.insist}
    found = logs.transitions(**how, accelerations=by_force)
    print(found.description(), file=sys.stderr)
    if by_force:
        return found, None
    floor = noise_floor(found, logs.smoothing)
    print(f"a perfect model has a held-out error of about {floor:.2g}/s", file=sys.stderr)
    return found, floor


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    """What was given of the fields of a training's configuration."""
    from gym_lagrangian.learning.config import FitConfig, TrainingConfig

    known = (*fields(TrainingConfig), *fields(FitConfig))
    given = {field.name: getattr(options, field.name, None) for field in known}
    return {name: value for name, value in given.items() if value is not None}


def _learn(out: Path, config: Any, learn: Any, options: argparse.Namespace) -> None:
    """Train or fit with a bar, and say what came of it."""
    from gym_lagrangian.learning.loop import Progress, resume_path

    files = out, resume_path(out)
    before = [_written(path) for path in files]
    with bar("starting", unit="step", total=config.steps) as shown:

        def show(progress: Progress) -> None:
            shown.set_description("training" if progress.step < progress.steps else "measuring")
            shown.update(progress.step - shown.n)
            shown.set_postfix_str(
                f"loss {progress.loss:.4g}, {progress.states_per_second:,.0f} states/s"
            )

        try:
            result = learn(
                out=out,
                config=config,
                model_config=dict(options.model_option),
                friction=options.friction,
                conditioned_on=_conditions(options),
                init=options.init,
                members=options.members,
                devices=options.devices,
                resume=options.resume,
                overwrite=options.overwrite,
                on_progress=show,
            )
        except KeyboardInterrupt:
            shown.write(_what_is_left(*files, before), file=sys.stderr)
            raise
    print(f"written: {out} (SHA-256 {result.sha256[:16]})")
    _report(result.card.metrics)


def _written(path: Path) -> int | None:
    """When a file was last written, in nanoseconds; None where there is none."""
    return path.stat().st_mtime_ns if path.exists() else None


def _what_is_left(out: Path, unfinished: Path, before: list[int | None]) -> str:
    """What to say of a run that was interrupted: what it has saved since it began."""
    now = [_written(path) for path in (out, unfinished)]
    if now[0] != before[0]:
        return f"the run was over; written: {out}"
    if now[1] is None:
        return "interrupted before there was anything to save"
    if now[1] == before[1]:
        return f"nothing new to save; {unfinished} is as it was"
    return f"saved {unfinished}; go on with --resume"


def _report(metrics: dict[str, Any]) -> None:
    """What a training ends with: a table of the predictions of a fit to logs, and JSON."""
    from gym_lagrangian.learning.prediction import table

    if "prediction" in metrics:
        floor = f", noise floor {metrics['noise_floor']:.3g}/s" if "noise_floor" in metrics else ""
        print(f"held-out error {metrics['held_out_error']:.3g}/s{floor}")
        for line in table(metrics["prediction"]):
            print(line)
    shown = {name: value for name, value in metrics.items() if name not in ("bands", "prediction")}
    print(json.dumps(shown, indent=2))
    if "bands" in metrics:
        bands = metrics["bands"]
        seconds = len(bands["factor"]) * bands["dt"]
        print(f"{bands['level']:.0%} bands calibrated over {seconds:g} s")


def _collect(options: argparse.Namespace) -> None:
    from gym_lagrangian.learning.recording import collect
    from gym_lagrangian.learning.transitions import writable

    writable(options.out)
    what, arguments = environment(options)
    bounds = {name: getattr(options, name) for name in ("low", "high")}
    settings = ("transitions", "seed", "hold", "noise", "episode_steps")
    with bar("recording", unit="step", total=options.transitions) as shown:
        found = collect(
            what,
            options={name: value for name, value in bounds.items() if value is not None},
            on_progress=lambda done: shown.update(done - shown.n),
            **{name: getattr(options, name) for name in settings},
            **arguments,
        )
    found.save(options.out)
    print(f"written: {options.out}, {found.description()}")
