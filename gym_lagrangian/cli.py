"""The command ``gym-lagrangian``: list, rollout, evaluate, train. Thin: no physics here."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from gym_lagrangian.errors import GymLagrangianError, MissingExtra
from gym_lagrangian.registration import MODELS, SYSTEMS, environments


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; returns the exit status (2 for bad input, 130 for Ctrl-C)."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        options.run(options)
    except GymLagrangianError as error:
        print(f"gym-lagrangian: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("gym-lagrangian: interrupted", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gym-lagrangian", description="Exact and learned physics as Gymnasium environments."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    listing = commands.add_parser("list", help="every environment id, with its checkpoint")
    listing.set_defaults(run=_list)

    rollout = commands.add_parser("rollout", help="step an id beside its true twin")
    rollout.add_argument("id", metavar="ID")
    rollout.add_argument("--steps", type=int, default=500)
    rollout.add_argument("--seed", type=int, default=0, help="of the start and the actions")
    rollout.add_argument("--out", type=Path, default=Path("rollouts"), metavar="DIR")
    rollout.set_defaults(run=_rollout)

    evaluate = commands.add_parser("evaluate", help="the paper's measurements of an id, as JSON")
    evaluate.add_argument("id", metavar="ID")
    evaluate.add_argument("--states", type=int, default=40, help="starting states")
    evaluate.add_argument("--seed", type=int, default=0, help="of the starting states")
    evaluate.add_argument("--out", type=Path, metavar="FILE", help="default: standard output")
    evaluate.set_defaults(run=_evaluate)

    train = commands.add_parser(
        "train",
        help="train a model of a system",
        description="Train MODEL on SYSTEM and write a checkpoint. Ctrl-C saves; --resume goes on.",
    )
    train.add_argument("system", choices=SYSTEMS, metavar="SYSTEM", help=", ".join(SYSTEMS))
    train.add_argument("model", choices=MODELS, metavar="MODEL", help=", ".join(MODELS))
    train.add_argument("--out", type=Path, metavar="FILE", help="default: SYSTEMMODEL.safetensors")
    train.add_argument("--data", type=Path, metavar="NPZ", help="fixed states; default: fresh ones")
    train.add_argument("--resume", action="store_true", help="continue an unfinished run")
    train.add_argument("--overwrite", action="store_true", help="replace an existing checkpoint")
    for name in ("steps", "batch", "warmup", "seed"):
        train.add_argument(f"--{name}", type=int)
    for name in ("learning-rate", "final-learning-rate", "clip"):
        train.add_argument(f"--{name}", type=float)
    train.add_argument("--optimiser", choices=("muon", "adam"))
    for name, what in (("system", "the system"), ("model", "the model")):
        train.add_argument(
            f"--{name}-option",
            type=_assignment,
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help=f"an argument of {what}'s constructor; may be repeated",
        )
    train.set_defaults(run=_train)
    return parser


def _assignment(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r}: expected NAME=VALUE")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _list(_: argparse.Namespace) -> None:
    from gym_lagrangian import checkpoint

    print(f"{'id':32} {'model':10} {'loss':>9} {'energy at 100 s':>18}  SHA-256")
    for row in environments():
        if row.model is None:
            print(f"{row.id:32} {'exact':10}")
            continue
        found = checkpoint.load(row.kwargs["checkpoint"])
        metrics = found.card.metrics
        energy = metrics["energy_discrepancy_100s"]
        print(
            f"{row.id:32} {row.model:10} {metrics['acceleration_loss']:9.4f} "
            f"{100 * energy['mean']:9.4f} % mean  {found.sha256[:16]}"
        )
    print(
        "\nloss: mean |acceleration error| on the paper's states (rad/s²); energy: discrepancy "
        "over 40 starts, of the energy scale"
    )


def _rollout(options: argparse.Namespace) -> None:
    from tqdm import tqdm

    from gym_lagrangian.rollout import rollout

    with tqdm(unit="step", leave=False) as bar:
        result = rollout(options.id, steps=options.steps, seed=options.seed, on_step=bar.update)
    pair = [result.trajectory] + ([result.truth] if result.truth is not None else [])
    print(f"{'id':32} {'return':>9} {'energy drift':>14} {'largest':>12}  steps")
    for trajectory in pair:
        drift = 100 * trajectory.energy_drift
        note = "  diverged" if trajectory.diverged else ""
        print(
            f"{trajectory.label:32} {trajectory.total_reward:9.3f} {drift[-1]:12.2e} % "
            f"{abs(drift).max():10.2e} %  {len(drift) - 1}{note}"
        )
    if result.truth is not None:
        parting = result.parting_time
        print("they part", "never" if parting is None else f"after {parting:.2f} s")
    try:
        from gym_lagrangian.plots import rollout_figure

        figure = rollout_figure(result)
    except MissingExtra as error:
        print(f"no picture: {error}", file=sys.stderr)
        return
    path = options.out / f"{options.id}-seed{options.seed}.png"
    _write(path, lambda p: figure.savefig(p, dpi=120, format="png"))
    print(f"picture: {path}")


def _evaluate(options: argparse.Namespace) -> None:
    from gym_lagrangian.evaluation import evaluate

    text = json.dumps(evaluate(options.id, states=options.states, seed=options.seed), indent=2)
    if options.out is None:
        print(text)
    else:
        _write(options.out, lambda p: p.write_text(text + "\n"))
        print(f"written: {options.out}")


def _train(options: argparse.Namespace) -> None:
    from tqdm import tqdm

    from gym_lagrangian.registration import load_model
    from gym_lagrangian.training import Progress, TrainingConfig, resume_path, train

    settings = dict(load_model(options.model).training_defaults)
    for field in fields(TrainingConfig):
        given = getattr(options, field.name, None)
        if given is not None:
            settings[field.name] = given
    config = TrainingConfig(**settings)
    out = options.out or Path(f"{options.system}{options.model}.safetensors")

    with tqdm(total=config.steps, unit="step") as bar:

        def show(progress: Progress) -> None:
            bar.update(progress.step - bar.n)
            bar.set_postfix_str(
                f"loss {progress.loss:.4g}, {progress.states_per_second:,.0f} states/s"
            )

        try:
            result = train(
                options.system,
                options.model,
                out=out,
                config=config,
                system_options=dict(options.system_option),
                model_config=dict(options.model_option),
                data=options.data,
                resume=options.resume,
                overwrite=options.overwrite,
                on_progress=show,
            )
        except KeyboardInterrupt:
            bar.write(f"saved {resume_path(out)}; go on with --resume", file=sys.stderr)
            raise
    print(f"written: {out} (SHA-256 {result.sha256[:16]})")
    print(json.dumps(result.card.metrics, indent=2))


def _write(path: Path, write: Any) -> None:
    """Write through a neighbour, so that a failure never harms a good file."""
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write(part)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise GymLagrangianError(f"cannot write {str(path)!r}: {error}") from error


if __name__ == "__main__":
    sys.exit(main())
