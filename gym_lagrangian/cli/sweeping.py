"""``gym-lagrangian sweep``: many trainings at once, on Ray Tune."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from gym_lagrangian.cli.bars import bar


def add_commands(commands: Any) -> None:
    """Add ``sweep``."""
    sweep = commands.add_parser(
        "sweep",
        help="train models over systems, settings and seeds, on Ray Tune",
        description="Train what SWEEP.toml states: every system, model, setting and seed. Write a "
        "table and a figure to DIR. The same command goes on where it was stopped.",
        epilog="example: gym-lagrangian sweep widths.toml --out widths",
    )
    sweep.add_argument(
        "file",
        type=Path,
        metavar="SWEEP.toml",
        help="systems, models, seeds, steps, and settings with the values to try",
    )
    sweep.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder for the table, the figure and the state of the run; on a cluster, one that "
        "all machines share",
    )
    sweep.add_argument(
        "--address",
        help="of a running Ray cluster, HOST:PORT, or auto for that of this machine; default: "
        "this machine's cores alone",
    )
    sweep.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="how many packs of trainings run at a time; default: as many as there are cores",
    )
    sweep.add_argument(
        "--cpus", type=float, default=1.0, metavar="N", help="cores that a pack takes; default: 1"
    )
    sweep.add_argument(
        "--gpus", type=float, default=0.0, metavar="N", help="GPUs that a pack takes; default: 0"
    )
    sweep.set_defaults(run=_sweep)


def _sweep(options: argparse.Namespace) -> None:
    from gym_lagrangian.sweeps import read_sweep
    from gym_lagrangian.sweeps.folder import held
    from gym_lagrangian.sweeps.tuning import on_ray

    sweep = read_sweep(options.file)
    total = sweep.steps * len(sweep.runs)
    how = {name: getattr(options, name) for name in ("address", "workers", "cpus", "gpus")}
    with held(options.out, sweep):
        with bar("training", unit="step", total=total) as shown:

            def show(ledger: Any) -> None:
                shown.update(ledger.steps - shown.n)
                shown.set_postfix_str(f"{len(ledger.stopped)} settings stopped")

            ledger = on_ray(sweep, options.out, on_progress=show, **how)
        _report(options.out, ledger)


def _report(out: Path, ledger: Any) -> None:
    """Write and print what came of it.

    Raises:
        GymLagrangianError: some trainings came to no end.
    """
    from gym_lagrangian.errors import GymLagrangianError
    from gym_lagrangian.sweeps.folder import write
    from gym_lagrangian.sweeps.table import summary

    written, notes = write(out, ledger)
    for line in summary(ledger.rows):
        print(line)
    for path in written:
        print(f"written: {path}")
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    failed = sum(row["status"] == "failed" for row in ledger.rows)
    if failed:
        raise GymLagrangianError(
            f"{failed} of {len(ledger.rows)} trainings came to no end, their workers died again "
            f"and again; see {out / 'ray'}. The same command tries them again"
        )
