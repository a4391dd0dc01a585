"""The command ``gym-lagrangian``, its subcommands and their arguments. Thin: no physics here."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from gym_lagrangian.errors import ConfigurationError, GymLagrangianError, MissingExtra
from gym_lagrangian.files import replacing
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
    _add_start(rollout, "of the start and the actions")
    rollout.add_argument(
        "--actions", choices=("random", "zero"), default="random", help="default: random"
    )
    rollout.add_argument(
        "--compare",
        type=_names,
        default=(),
        metavar="MODEL,...",
        help="beside the exact system, these models of it (with --video or --human)",
    )
    rollout.add_argument("--size", type=int, default=500, help="of a picture in pixels")
    target = rollout.add_mutually_exclusive_group()
    target.add_argument(
        "--out", type=Path, default=Path("rollouts"), metavar="DIR", help="for the figure"
    )
    target.add_argument("--video", type=Path, metavar="FILE", help="write .mp4 or .gif instead")
    target.add_argument("--human", action="store_true", help="show it live in a window instead")
    rollout.set_defaults(run=_rollout)

    play = commands.add_parser(
        "play",
        help="drive an id with the arrow keys",
        description="Arrow keys: left and right drive the first actuator, down and up the second. "
        "R resets, space pauses, N makes a single step, Escape ends.",
    )
    play.add_argument("id", metavar="ID")
    _add_start(play, "of the starts")
    play.add_argument("--size", type=int, default=500, help="of the picture in pixels")
    play.set_defaults(run=_play)

    plot = commands.add_parser(
        "plot", help="every figure that applies to an id, beside its true twin"
    )
    plot.add_argument("id", metavar="ID")
    plot.add_argument("--steps", type=int, default=500)
    _add_start(plot, "of the start")
    plot.add_argument("--out", type=Path, default=Path("plots"), metavar="DIR")
    plot.set_defaults(run=_plot)

    evaluate = commands.add_parser("evaluate", help="the paper's measurements of an id, as JSON")
    evaluate.add_argument("id", metavar="ID")
    evaluate.add_argument("--states", type=int, default=40, help="starting states")
    evaluate.add_argument("--seed", type=int, default=0, help="of the starting states")
    evaluate.add_argument(
        "--checkpoint", type=Path, metavar="FILE", help="a model of your own to move the id"
    )
    evaluate.add_argument("--out", type=Path, metavar="FILE", help="default: standard output")
    _add_options(evaluate, "system")
    evaluate.set_defaults(run=_evaluate)

    reproduce = commands.add_parser(
        "reproduce",
        help="the paper's experiments: every number, figure and a report",
        description="Measure every shipped model (about ten minutes), or with --retrain train them "
        "all first (hours; a run that was interrupted goes on where it stopped).",
    )
    reproduce.add_argument("--out", type=Path, required=True, metavar="DIR")
    reproduce.add_argument("--retrain", action="store_true")
    reproduce.set_defaults(run=_reproduce)

    train = commands.add_parser(
        "train",
        help="train a model of a system",
        description="Train MODEL on SYSTEM and write a checkpoint. Ctrl-C saves; --resume goes on.",
    )
    train.add_argument("system", choices=SYSTEMS, metavar="SYSTEM", help=", ".join(SYSTEMS))
    train.add_argument("model", choices=MODELS, metavar="MODEL", help=", ".join(MODELS))
    train.add_argument("--out", type=Path, metavar="FILE", help="default: SYSTEMMODEL.safetensors")
    train.add_argument("--data", type=Path, metavar="NPZ", help="fixed states; default: fresh ones")
    train.add_argument(
        "--preset",
        default="package",
        help="package (default), or paper: the paper's own network, data and optimiser",
    )
    train.add_argument("--fixed-states", type=int)
    _add_training(train)
    _add_options(train, "system")
    train.set_defaults(run=_train)

    collect = commands.add_parser(
        "collect",
        help="record transitions of an id under random actions",
        description="Step ID under random actions and record states, forces and next states.",
    )
    collect.add_argument("id", metavar="ID")
    collect.add_argument("--transitions", type=int, required=True, metavar="N")
    collect.add_argument("--out", type=Path, required=True, metavar="FILE.npz")
    collect.add_argument("--seed", type=int, default=0, help="of starts, actions and noise")
    collect.add_argument("--hold", type=float, default=4.0, help="steps an action, on average")
    collect.add_argument("--noise", type=float, default=0.0, help="of q_scale and qd_scale")
    collect.add_argument("--episode-steps", type=int, metavar="N", help="reset after so many")
    for name in ("low", "high"):
        collect.add_argument(
            f"--{name}", type=_numbers, metavar="X,Y,...", help=f"{name}est start (--{name}=-1,...)"
        )
    collect.set_defaults(run=_collect)

    fit = commands.add_parser(
        "fit",
        help="fit a model to recorded transitions",
        description="Fit MODEL to the transitions in FILE and write a checkpoint. Ctrl-C saves; "
        "--resume goes on.",
    )
    fit.add_argument("file", type=Path, metavar="FILE.npz")
    fit.add_argument("model", choices=MODELS, metavar="MODEL", help=", ".join(MODELS))
    fit.add_argument("--out", type=Path, required=True, metavar="FILE")
    fit.add_argument("--system", choices=SYSTEMS, help="of which the file is, if it does not say")
    fit.add_argument("--horizon", type=int, help="transitions predicted in a row")
    fit.add_argument("--held-out", type=float, metavar="SHARE", help="not learned from")
    _add_training(fit)
    fit.set_defaults(run=_fit)
    return parser


def _add_training(command: argparse.ArgumentParser) -> None:
    """What `train` and `fit` have in common."""
    command.add_argument("--resume", action="store_true", help="continue an unfinished run")
    command.add_argument("--overwrite", action="store_true", help="replace an existing checkpoint")
    for name in ("steps", "batch", "warmup", "seed"):
        command.add_argument(f"--{name}", type=int)
    for name in ("learning-rate", "final-learning-rate", "clip"):
        command.add_argument(f"--{name}", type=float)
    command.add_argument("--optimiser", choices=("muon", "adam"))
    _add_options(command, "model")


def _add_options(command: argparse.ArgumentParser, what: str) -> None:
    command.add_argument(
        f"--{what}-option",
        type=_assignment,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help=f"an argument of the {what}'s constructor; may be repeated",
    )


def _add_start(command: argparse.ArgumentParser, seeds: str) -> None:
    command.add_argument("--seed", type=int, default=0, help=seeds)
    command.add_argument(
        "--start",
        type=_numbers,
        metavar="X,Y,...",
        help="the exact start, coordinates then velocities (--start=-1,... if that is negative)",
    )


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(number) for number in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: expected numbers, X,Y,...") from None


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _assignment(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r}: expected NAME=VALUE")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _list(_: argparse.Namespace) -> None:
    from gym_lagrangian import checkpoints

    print(f"{'id':36} {'model':16} {'loss':>9} {'energy':>10} {'velocity':>9}  SHA-256")
    for row in environments():
        if row.model is None:
            print(f"{row.id:36} {'exact':16}")
            continue
        found = checkpoints.load(row.kwargs["checkpoint"])
        metrics = found.card.metrics
        loss = metrics.get("acceleration_loss", metrics["one_step_error"])
        energy = f"{100 * metrics['energy_discrepancy_100s']['mean']:.2g} %"
        velocity = metrics.get("velocity_error")
        speed = "—" if velocity is None else f"{velocity['median']:.1e}"
        print(
            f"{row.id:36} {row.model:16} {loss:9.3g} {energy:>10} {speed:>9}  {found.sha256[:16]}"
        )
    print(
        "\nloss: mean |acceleration error| on the paper's states (rad/s², m/s²), or of a model "
        "without accelerations the |state error| / dt of one step; energy: mean discrepancy after "
        "100 s, of the energy scale (the particle has left its range by "
        "then); velocity: median of the largest error within one second"
    )


def _rollout(options: argparse.Namespace) -> None:
    if options.human or options.video is not None:
        _film(options)
    elif options.compare:
        raise ConfigurationError("--compare needs --video FILE or --human")
    else:
        _rollout_figure(options)


def _film(options: argparse.Namespace) -> None:
    from tqdm import tqdm

    from gym_lagrangian.viewing.rollout import film
    from gym_lagrangian.viewing.video import write_video, writer_for

    if not options.human:
        writer_for(options.video)  # before anything is compiled
    names = ("compare", "steps", "seed", "start", "actions", "size")
    pictures = film(options.id, **{name: getattr(options, name) for name in names})
    if options.human:
        from gym_lagrangian.viewing.play import watch

        watch(pictures, options.id)
        return
    with tqdm(pictures.frames, total=options.steps + 1, unit="frame", leave=False) as bar:
        path = write_video(options.video, bar, fps=pictures.fps)
    print(f"video: {path}")


def _play(options: argparse.Namespace) -> None:
    from gym_lagrangian.viewing.play import play

    play(options.id, seed=options.seed, start=options.start, size=options.size)


def _plot(options: argparse.Namespace) -> None:
    from gym_lagrangian.viewing.plots import figures

    made = figures(options.id, steps=options.steps, seed=options.seed, start=options.start)
    for name, figure in made.items():
        path = options.out / f"{options.id}-{name}.png"
        with replacing(path) as part:
            figure.savefig(part, dpi=120, format="png")
        print(f"figure: {path}")


def _rollout_figure(options: argparse.Namespace) -> None:
    from tqdm import tqdm

    from gym_lagrangian.viewing.rollout import rollout

    with tqdm(unit="step", leave=False) as bar:
        result = rollout(
            options.id,
            steps=options.steps,
            seed=options.seed,
            start=options.start,
            actions=options.actions,
            on_step=bar.update,
        )
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
        from gym_lagrangian.viewing.plots import rollout_figure

        figure = rollout_figure(result)
    except MissingExtra as error:
        print(f"no picture: {error}", file=sys.stderr)
        return
    path = options.out / f"{options.id}-seed{options.seed}.png"
    with replacing(path) as part:
        figure.savefig(part, dpi=120, format="png")
    print(f"picture: {path}")


def _evaluate(options: argparse.Namespace) -> None:
    from gym_lagrangian.evaluation import evaluate

    names = ("states", "seed", "checkpoint")
    given = {name: getattr(options, name) for name in names}
    report = evaluate(options.id, **given, **dict(options.system_option))
    text = json.dumps(report, indent=2)
    if options.out is None:
        print(text)
    else:
        with replacing(options.out) as part:
            part.write_text(text + "\n")
        print(f"written: {options.out}")


def _reproduce(options: argparse.Namespace) -> None:
    from tqdm import tqdm

    from gym_lagrangian.learning.loop import Progress
    from gym_lagrangian.reproduce import reproduce

    with tqdm(unit="step", leave=False) as bar:

        def show(model: str, progress: Progress) -> None:
            bar.total = progress.steps
            bar.set_description(f"training {model}")
            bar.set_postfix_str(f"loss {progress.loss:.4g}")
            bar.update(progress.step - bar.n)

        reproduce(
            options.out,
            retrain=options.retrain,
            on_part=lambda name: bar.write(f"measured: {name}"),
            on_progress=show,
        )
    print(f"written: {options.out / 'report.md'}, results.json and the figures")


def _train(options: argparse.Namespace) -> None:
    from gym_lagrangian.learning.config import TrainingConfig
    from gym_lagrangian.learning.train import train

    config = TrainingConfig.of(
        options.model, options.system, preset=options.preset, **_settings(options)
    )
    out = options.out or Path(f"{options.system}{options.model}.safetensors")
    _learn(
        out,
        config,
        lambda **common: train(
            options.system,
            options.model,
            preset=options.preset,
            system_options=dict(options.system_option),
            data=options.data,
            **common,
        ),
        options,
    )


def _fit(options: argparse.Namespace) -> None:
    from gym_lagrangian.learning.config import FitConfig
    from gym_lagrangian.learning.fit import fit

    config = FitConfig.of(options.model, **_settings(options))
    _learn(
        options.out,
        config,
        lambda **common: fit(options.file, options.model, system=options.system, **common),
        options,
    )


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    """What was given of the fields of a training's configuration."""
    from gym_lagrangian.learning.fit import FitConfig

    given = {field.name: getattr(options, field.name, None) for field in fields(FitConfig)}
    return {name: value for name, value in given.items() if value is not None}


def _learn(out: Path, config: Any, learn: Any, options: argparse.Namespace) -> None:
    """Train or fit with a bar, and say what came of it."""
    from tqdm import tqdm

    from gym_lagrangian.learning.loop import Progress, resume_path

    with tqdm(total=config.steps, unit="step") as bar:

        def show(progress: Progress) -> None:
            bar.update(progress.step - bar.n)
            bar.set_postfix_str(
                f"loss {progress.loss:.4g}, {progress.states_per_second:,.0f} states/s"
            )

        try:
            result = learn(
                out=out,
                config=config,
                model_config=dict(options.model_option),
                resume=options.resume,
                overwrite=options.overwrite,
                on_progress=show,
            )
        except KeyboardInterrupt:
            bar.write(f"saved {resume_path(out)}; go on with --resume", file=sys.stderr)
            raise
    print(f"written: {out} (SHA-256 {result.sha256[:16]})")
    print(json.dumps(result.card.metrics, indent=2))


def _collect(options: argparse.Namespace) -> None:
    from tqdm import tqdm

    from gym_lagrangian.learning.recording import collect
    from gym_lagrangian.learning.transitions import writable
    from gym_lagrangian.registration import find

    writable(options.out)
    bounds = {name: getattr(options, name) for name in ("low", "high")}
    names = ("transitions", "seed", "hold", "noise", "episode_steps")
    with tqdm(total=options.transitions, unit="step", leave=False) as bar:
        found = collect(
            find(options.id).id,
            options={name: value for name, value in bounds.items() if value is not None},
            on_progress=lambda done: bar.update(done - bar.n),
            **{name: getattr(options, name) for name in names},
        )
    found.save(options.out)
    print(f"written: {options.out}, {found.description()}")


if __name__ == "__main__":
    sys.exit(main())
