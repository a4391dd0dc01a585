"""Arguments that several commands share, with their help."""

from __future__ import annotations

import argparse
import json
from typing import Any

from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.registration import GENERIC_ID


def add_environment(command: argparse.ArgumentParser) -> None:
    """What says which environment a command makes."""
    command.add_argument(
        "id",
        nargs="?",
        metavar="ID",
        help="an id, a system's name, or module:Class; not needed with --checkpoint",
    )
    command.add_argument(
        "--checkpoint", metavar="FILE", help="a model of your own that moves it; default: the id's"
    )
    command.add_argument(
        "--task", metavar="MODULE:CLASS", help="another task; default: the system's"
    )
    command.add_argument(
        "--reward", metavar="MODULE:FUNCTION", help="another reward; default: the task's"
    )
    add_options(command, "system", "a parameter, or an option of the physics or of the task")
    add_options(command, "env", "an argument of the environment (dt in s, dtype, integrator …)")


def environment(options: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """The id that was given, and the arguments of `gymnasium.make`.

    Raises:
        ConfigurationError: neither an id nor a checkpoint, or a name that the command has itself.
    """
    if options.id is None and options.checkpoint is None:
        raise ConfigurationError("nothing to step: give an ID, or --checkpoint FILE")
    arguments = dict(options.system_option) | dict(options.env_option)
    for name in arguments:
        if hasattr(options, name):
            raise ConfigurationError(f"{name!r} is an argument of this command, not NAME=VALUE")
    named = {name: getattr(options, name) for name in ("checkpoint", "task", "reward")}
    given = {name: value for name, value in named.items() if value is not None}
    return options.id or GENERIC_ID, arguments | given


def add_options(command: argparse.ArgumentParser, what: str, meaning: str) -> None:
    """An argument ``--WHAT-option NAME=VALUE``."""
    command.add_argument(
        f"--{what}-option",
        type=_assignment,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help=f"{meaning}; may be repeated",
    )


def add_friction(command: argparse.ArgumentParser, meaning: str) -> None:
    """The friction that a model learns."""
    kinds = ("none", "viscous", "coulomb", "passive")
    command.add_argument("--friction", choices=kinds, help=meaning)


def add_start(command: argparse.ArgumentParser, seeds: str) -> None:
    """Where an episode starts."""
    command.add_argument("--seed", type=int, default=0, help=f"{seeds}; default: 0")
    command.add_argument(
        "--start",
        type=numbers,
        metavar="X,Y,...",
        help="the exact start, coordinates then velocities in rad, m, rad/s and m/s "
        "(--start=-1,... if that is negative); default: drawn by the task",
    )


def numbers(text: str) -> tuple[float, ...]:
    """Numbers between commas."""
    try:
        return tuple(float(number) for number in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: expected numbers, X,Y,...") from None


def horizon(text: str) -> int | tuple[tuple[int, float], ...]:
    """N, or N:SHARE between commas."""
    try:
        if ":" not in text:
            return int(text)
        pairs = (part.split(":") for part in text.split(","))
        return tuple((int(steps), float(share)) for steps, share in pairs)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r}: expected N, or N:SHARE,N:SHARE,... as 8:0.5,40:0.5"
        ) from None


def names(text: str) -> tuple[str, ...]:
    """Names between commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def conditions(text: str) -> dict[str, tuple[float, float] | None]:
    """Name → range, or None, of NAME or NAME=LOW:HIGH between commas."""
    return dict(map(_condition, names(text)))


def _condition(text: str) -> tuple[str, tuple[float, float] | None]:
    name, equals, stated = text.partition("=")
    if not equals:
        return name, None
    low, _, high = stated.partition(":")
    try:
        return name, (float(low), float(high))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: expected NAME, or NAME=LOW:HIGH") from None


def _assignment(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r}: expected NAME=VALUE")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
