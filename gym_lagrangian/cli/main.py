"""The command ``gym-lagrangian``: its subcommands and its exit status. No physics here."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator, Sequence

from gym_lagrangian.cli import acting, learning, listing, logs, measuring, sweeping, viewing
from gym_lagrangian.cli.termination import Terminated, terminable
from gym_lagrangian.errors import GymLagrangianError
from gym_lagrangian.version import __version__

BAD_INPUT, INTERRUPTED, NOBODY_READS, TERMINATED = 2, 130, 141, 143


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; returns the exit status: 0, 2 for bad input or output that cannot be
    written, 130 for Ctrl-C, 141 where the reader of the output is gone, 143 for SIGTERM.
    """
    try:
        with terminable():
            _run(arguments)
    except GymLagrangianError as error:
        print(f"gym-lagrangian: {error}", file=sys.stderr)
        return BAD_INPUT
    except Terminated:
        print("gym-lagrangian: terminated", file=sys.stderr)
        return TERMINATED
    except KeyboardInterrupt:
        print("gym-lagrangian: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        _drop_output()
        return NOBODY_READS
    except OSError as error:
        where = "standard output: " if error.filename is None else ""
        print(f"gym-lagrangian: {where}{error}", file=sys.stderr)
        _drop_output()
        return BAD_INPUT
    return 0


def _run(arguments: Sequence[str] | None) -> None:
    try:
        options = parser().parse_args(arguments)
        with _working_directory_on_path():
            options.run(options)
    finally:
        sys.stdout.flush()  # here, where a failure can still be reported


def parser() -> argparse.ArgumentParser:
    """What the command line understands."""
    whole = argparse.ArgumentParser(
        prog="gym-lagrangian",
        description="Exact and learned physics as Gymnasium environments.",
        epilog="example: gym-lagrangian rollout DoublePendulumLNN-v0; "
        "gym-lagrangian COMMAND --help has one for each command",
    )
    whole.add_argument("--version", action="version", version=f"gym-lagrangian {__version__}")
    commands = whole.add_subparsers(required=True, metavar="COMMAND")
    listing.add_commands(commands)
    viewing.add_commands(commands)
    measuring.add_commands(commands)
    learning.add_commands(commands)
    sweeping.add_commands(commands)
    acting.add_commands(commands)
    logs.add_commands(commands)
    return whole


@contextlib.contextmanager
def _working_directory_on_path() -> Iterator[None]:
    """Make modules beside the user importable, as "module:Class" names them.

    A console script does not. They come last, so that none of them hides an installed one.
    """
    sys.path.append("")
    try:
        yield
    finally:
        sys.path.remove("")


def _drop_output() -> None:
    """Send what is left to nowhere: Python would try to write it once more as it exits."""
    with contextlib.suppress(OSError):  # standard output that is no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
