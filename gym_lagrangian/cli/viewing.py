"""``gym-lagrangian rollout``, ``play`` and ``plot``: looking at an environment."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gym_lagrangian.cli.arguments import add_environment, add_start, environment, names
from gym_lagrangian.cli.bars import bar
from gym_lagrangian.errors import ConfigurationError, MissingExtra
from gym_lagrangian.files import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from gym_lagrangian.viewing.rollout import Rollout, Trajectory


def add_commands(commands: Any) -> None:
    """Add ``rollout``, ``play`` and ``plot``."""
    _add_rollout(commands)
    play = commands.add_parser(
        "play",
        help="drive an id with the arrow keys",
        description="Arrow keys: left and right drive the first actuator, down and up the second. "
        "R resets, space pauses, N makes a single step, Escape ends.",
        epilog="example: gym-lagrangian play DoublePendulumLNN-v0",
    )
    add_environment(play)
    add_start(play, "seed of the starts")
    play.add_argument(
        "--size", type=int, default=500, help="width and height in pixels; default: 500"
    )
    play.set_defaults(run=_play)

    plot = commands.add_parser(
        "plot",
        help="every figure that applies to an id, beside its true twin",
        description="Draw energies, phase portraits, error growth, learned mass matrix, potential "
        "and friction against the true ones, and the training curve.",
        epilog="example: gym-lagrangian plot DoublePendulumLNN-v0 --out figures",
    )
    add_environment(plot)
    plot.add_argument(
        "--steps", type=int, default=500, help="steps of the motion drawn; default: 500"
    )
    add_start(plot, "seed of the start")
    plot.add_argument(
        "--out",
        type=Path,
        default=Path("plots"),
        metavar="DIR",
        help="folder for the figures; default: plots",
    )
    plot.set_defaults(run=_plot)


def _add_rollout(commands: Any) -> None:
    rollout = commands.add_parser(
        "rollout",
        help="step an id beside its true twin",
        description="Step ID and its true twin from one state under the same actions; print "
        "returns and energy drifts, and draw both, or film them.",
        epilog="example: gym-lagrangian rollout DoublePendulumLNN-v0 --steps 200",
    )
    add_environment(rollout)
    rollout.add_argument("--steps", type=int, default=500, help="the most steps; default: 500")
    add_start(rollout, "seed of the start and the actions")
    rollout.add_argument(
        "--actions",
        choices=("random", "zero"),
        default="random",
        help="actions of the motors; default: random",
    )
    rollout.add_argument(
        "--compare",
        type=names,
        default=(),
        metavar="MODEL,...",
        help="beside the exact system, these models or checkpoints of it (with --video or --human)",
    )
    rollout.add_argument(
        "--size",
        type=int,
        default=500,
        help="width and height of a picture in pixels; default: 500",
    )
    target = rollout.add_mutually_exclusive_group()
    target.add_argument(
        "--out",
        type=Path,
        default=Path("rollouts"),
        metavar="DIR",
        help="folder for the figure; default: rollouts",
    )
    target.add_argument("--video", type=Path, metavar="FILE", help="write .mp4 or .gif instead")
    target.add_argument("--human", action="store_true", help="show it live in a window instead")
    rollout.set_defaults(run=_rollout)


def _rollout(options: argparse.Namespace) -> None:
    if options.human or options.video is not None:
        _film(options)
    elif options.compare:
        raise ConfigurationError("--compare needs --video FILE or --human")
    else:
        _rollout_figure(options)


def _film(options: argparse.Namespace) -> None:
    from gym_lagrangian.viewing.rollout import film
    from gym_lagrangian.viewing.video import write_video, writer_for

    if not options.human:
        writer_for(options.video)  # before anything is compiled
    what, arguments = environment(options)
    settings = ("compare", "steps", "seed", "start", "actions", "size")
    pictures = film(what, **{name: getattr(options, name) for name in settings}, **arguments)
    if options.human:
        from gym_lagrangian.viewing.play import watch

        watch(pictures, what)
        return
    total = options.steps + 1
    with bar("filming", unit="frame", total=total, iterable=pictures.frames) as shown:
        path = write_video(options.video, shown, fps=pictures.fps)
    print(f"video: {path}")


def _play(options: argparse.Namespace) -> None:
    from gym_lagrangian.viewing.play import play

    what, arguments = environment(options)
    play(what, seed=options.seed, start=options.start, size=options.size, **arguments)


def _plot(options: argparse.Namespace) -> None:
    from contextlib import closing

    from gym_lagrangian.viewing.plots import figures_of
    from gym_lagrangian.viewing.subject import subject

    with closing(subject(*environment(options))) as shown:
        made = figures_of(shown, steps=options.steps, seed=options.seed, start=options.start)
    for name, figure in made.items():
        print(f"figure: {_saved(figure, options.out, f'{_file_name(shown.label)}-{name}')}")


def _rollout_figure(options: argparse.Namespace) -> None:
    from gym_lagrangian.viewing.rollout import rollout

    what, arguments = environment(options)
    settings = {name: getattr(options, name) for name in ("steps", "seed", "start", "actions")}
    with bar("stepping", unit="step", total=options.steps) as shown:
        result = rollout(what, on_step=shown.update, **settings, **arguments)
    _print_table(result)
    try:
        from gym_lagrangian.viewing.plots import rollout_figure

        figure = rollout_figure(result)
    except MissingExtra as error:
        print(f"no picture: {error}", file=sys.stderr)
        return
    name = f"{_file_name(result.trajectory.label)}-seed{options.seed}"
    print(f"picture: {_saved(figure, options.out, name)}")


def _print_table(result: Rollout) -> None:
    """Returns and, where the true energy is known, how far it drifts."""
    known = result.trajectory.energy_drift is not None
    energy = f" {'energy drift':>14} {'largest':>12}" if known else ""
    print(f"{'id':32} {'return':>9}{energy}  steps")
    print(_line(result.trajectory))
    if result.truth is not None:
        print(_line(result.truth))
        parting = result.parting_time
        print("they part", "never" if parting is None else f"after {parting:.2f} s")


def _line(trajectory: Trajectory) -> str:
    energy, note = "", "  diverged" if trajectory.diverged else ""
    if trajectory.energy_drift is not None:
        drift = 100 * trajectory.energy_drift
        energy = f" {drift[-1]:12.2e} % {abs(drift).max():10.2e} %"
    steps = len(trajectory.time) - 1
    return f"{trajectory.label:32} {trajectory.total_reward:9.3f}{energy}  {steps}{note}"


def _file_name(label: str) -> str:
    """A label without what has a meaning in a path."""
    return label.rpartition("/")[2]


def _saved(figure: Figure, folder: Path, name: str) -> Path:
    path = folder / f"{name}.png"
    with replacing(path) as part:
        figure.savefig(part, dpi=120, format="png")
    return path
