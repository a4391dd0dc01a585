"""The table of a sweep as a parquet file, and as lines to read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from gym_lagrangian.errors import MissingExtra

Rows = Sequence[dict[str, Any]]


def write_parquet(rows: Rows, path: Path) -> None:
    """The rows, a column a key. A column of unlike values holds them as JSON.

    Raises:
        MissingExtra: pyarrow is not installed.
    """
    try:
        import pyarrow  # type: ignore[import-not-found]
        from pyarrow import parquet  # type: ignore[import-not-found]
    except ImportError as error:
        raise MissingExtra(
            'no parquet file without pyarrow: pip install "gym-lagrangian[parquet]"'
        ) from error
    columns = {name: alike([row[name] for row in rows]) for name in rows[0]}
    parquet.write_table(pyarrow.table(columns), path)


def alike(values: list[Any]) -> list[Any]:
    """The values of a column in one type: as they are, as floats, or as JSON; None stays."""
    kinds = {type(value) for value in values} - {type(None)}
    if len(kinds) <= 1:
        return values
    if kinds == {int, float}:
        return [None if value is None else float(value) for value in values]
    return [None if value is None else json.dumps(value) for value in values]


def summary(rows: Rows) -> list[str]:
    """Lines to read: for every setting the losses of its seeds, and how many came to an end."""
    names = varied(rows)
    found: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        key = (row["system"], row["model"], *(json.dumps(row[name]) for name in names))
        found.setdefault(key, []).append(row)
    head = ["system", "model", *names, "held-out loss", "finished"]
    return _aligned([head, *([*key, _spread(own), _finished(own)] for key, own in found.items())])


def varied(rows: Rows) -> list[str]:
    """The settings that have more than one value."""
    settings = [name for name in rows[0] if name.startswith(("training.", "model."))]
    return [name for name in settings if len({json.dumps(row[name]) for row in rows}) > 1]


def _spread(rows: Rows) -> str:
    losses = [row["held_out_loss"] for row in rows if row["held_out_loss"] is not None]
    if not losses:
        return "none"
    return f"{median(losses):.4g} ({min(losses):.4g} – {max(losses):.4g})"


def _finished(rows: Rows) -> str:
    done = sum(row["status"] == "finished" for row in rows)
    return f"{done} of {len(rows)}"


def _aligned(lines: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
