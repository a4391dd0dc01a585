"""The folder of a sweep: what it is, Ray's files, and in the end the table and a figure.

sweep.json      what the sweep is; another one is refused
ray/            what Ray Tune keeps to go on from
table.json      the table, a list of rows
table.parquet   the same, where pyarrow is installed
sweep.png       losses over steps, where matplotlib is installed
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

from gym_lagrangian.errors import ConfigurationError, MissingExtra
from gym_lagrangian.files import only_writer, replacing
from gym_lagrangian.sweeps.ledger import Ledger
from gym_lagrangian.sweeps.plan import Sweep
from gym_lagrangian.sweeps.table import write_parquet


@contextlib.contextmanager
def held(path: Path, sweep: Sweep) -> Iterator[None]:
    """The folder for this process alone, begun or gone on with.

    Raises:
        ConfigurationError: another process has it, or it holds another sweep.
    """
    named = path / "sweep.json"
    with only_writer(named, failure=ConfigurationError):
        if named.exists():
            _refuse_other(named, sweep)
        with replacing(named, failure=ConfigurationError) as part:
            part.write_text(json.dumps(sweep.as_dict(), indent=1) + "\n")
        yield


def write(path: Path, ledger: Ledger) -> tuple[list[Path], list[str]]:
    """Write table and figure; their paths, and what to say of those that could not be made."""
    rows, table = ledger.rows, path / "table.json"
    with replacing(table, failure=ConfigurationError) as part:
        part.write_text(json.dumps(rows, indent=1) + "\n")
    written, notes = [table], []
    for name, make in (
        ("table.parquet", lambda part: write_parquet(rows, part)),
        ("sweep.png", lambda part: _draw(ledger, part)),
    ):
        try:
            with replacing(path / name, failure=ConfigurationError) as part:
                make(part)
            written.append(path / name)
        except MissingExtra as error:
            notes.append(str(error))
    return written, notes


def _draw(ledger: Ledger, part: Path) -> None:
    from gym_lagrangian.sweeps.figure import sweep_figure

    sweep_figure(ledger).savefig(part, format="png", dpi=120)


def _refuse_other(named: Path, sweep: Sweep) -> None:
    try:
        found = json.loads(named.read_text())
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"cannot read {str(named)!r}: {error}") from error
    asked = sweep.as_dict()
    if found == asked:
        return
    other = [name for name in asked if found.get(name) != asked[name]]
    raise ConfigurationError(
        f"{str(named.parent)!r} holds another sweep, with other {', '.join(other)}: choose another "
        "--out, or remove the folder to begin again"
    )
