"""Logs as columns of numbers: CSV, npz and parquet files, and arrays in memory.

A column of an array of several is called ``"name.0"``, ``"name.1"`` …; arrays of shape
(E, N, columns) are E logs of N rows.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gym_lagrangian.errors import DataError, MissingExtra
from gym_lagrangian.learning.logs.csv_file import blocks
from gym_lagrangian.learning.npz import read_npz

_TEXT = (".csv", ".txt", ".tsv", ".dat", ".csv.gz", ".txt.gz", ".tsv.gz")
_KNOWN = (*_TEXT, ".npz", ".parquet")

Column = str | int


class Table(NamedTuple):
    """The columns of one log that were asked for.

    Attributes:
        label: the file's path, for messages.
        values: (N, C).
        numbers: (N,), the line of each row in its file, from 1; the row where there are no lines.
        unit: ``"line"`` or ``"row"``.
        notes: what was wrong and has been put right.
    """

    label: str
    values: np.ndarray
    numbers: np.ndarray
    unit: str
    notes: tuple[str, ...] = ()


def tables(
    sources: Any, columns: Sequence[Column], on_rows: Callable[[int], Any] | None = None
) -> Iterator[Table]:
    """The logs in files, in folders of files or in memory, one after another.

    Arguments:
        sources: a path or arrays, or a list of them; arrays are a mapping from columns to (N,), or
            one array (N, columns).
        on_rows: called with how many more rows were read.

    Raises:
        DataError: nothing to read, an unreadable file, or one without the columns.
    """
    found = _listed(sources)
    if not found:
        raise DataError("no logs: give at least one file, folder or array")
    for number, source in enumerate(found):
        if isinstance(source, Path):
            yield from _in_file(source, columns, on_rows)
        else:
            yield from _in_memory(source, columns, f"log {number}", on_rows)


def _listed(sources: Any) -> list[Any]:
    """Files and arrays, folders opened."""
    one = isinstance(sources, str | os.PathLike | Mapping | np.ndarray)
    found: list[Any] = []
    for source in [sources] if one else list(sources):
        if not isinstance(source, str | os.PathLike):
            found.append(source)
        elif Path(source).is_dir():
            found += _inside(Path(source))
        else:
            found.append(Path(source))
    return found


def _inside(folder: Path) -> list[Path]:
    files = sorted(path for path in folder.iterdir() if path.name.endswith(_KNOWN))
    if not files:
        raise DataError(f"no logs in the folder {str(folder)!r}: expected {', '.join(_KNOWN)}")
    return files


def _in_file(
    path: Path, columns: Sequence[Column], on_rows: Callable[[int], Any] | None
) -> Iterator[Table]:
    if path.suffix == ".npz":
        yield from _in_memory(read_npz(path), columns, str(path), on_rows)
    elif path.suffix == ".parquet":
        yield _joined(str(path), "row", _parquet_blocks(path, columns), on_rows)
    else:
        given = ((b.values, b.numbers, b.note) for b in blocks(path, columns))
        yield _joined(str(path), "line", given, on_rows)


def _joined(
    label: str,
    unit: str,
    parts: Iterable[tuple[np.ndarray, np.ndarray, str]],
    on_rows: Callable[[int], Any] | None,
) -> Table:
    """One table of its blocks."""
    values, numbers, notes = [], [], []
    for block, rows, note in parts:
        values.append(block)
        numbers.append(rows)
        notes += [note] if note else []
        if on_rows is not None:
            on_rows(len(block))
    if not sum(map(len, values)):
        raise DataError(f"{label} has no rows of data")
    return Table(label, _stacked(values), np.concatenate(numbers), unit, tuple(notes))


def _stacked(blocks: list[np.ndarray]) -> np.ndarray:
    """The blocks one below the other; each is let go once it is copied."""
    whole = np.empty((sum(map(len, blocks)), blocks[0].shape[1]))
    end = len(whole)
    while blocks:
        block = blocks.pop()
        whole[end - len(block) : end] = block
        end -= len(block)
    return whole


def _parquet_blocks(
    path: Path, columns: Sequence[Column]
) -> Iterator[tuple[np.ndarray, np.ndarray, str]]:
    try:
        from pyarrow import ArrowException, parquet  # type: ignore[import-not-found]
    except ImportError as error:
        raise MissingExtra(
            f'{str(path)!r} needs pyarrow: pip install "gym-lagrangian[parquet]"'
        ) from error
    try:
        file = parquet.ParquetFile(path)
        names = [_parquet_name(column, file.schema_arrow.names, path) for column in columns]
        first = 1
        for batch in file.iter_batches(batch_size=100_000, columns=names):
            named = [batch.column(name).to_numpy(zero_copy_only=False) for name in names]
            rows = np.stack([np.asarray(a, np.float64) for a in named], axis=1)
            yield rows, np.arange(first, first + len(rows)), ""
            first += len(rows)
    except (ArrowException, OSError) as error:
        raise DataError(f"cannot read {str(path)!r}, is it damaged? {error}") from error


def _parquet_name(column: Column, names: list[str], path: Path) -> str:
    if isinstance(column, int) and column < len(names):
        return names[column]
    if column not in names:
        raise DataError(f"{path} has no column {column!r}; it has {', '.join(names)}")
    return str(column)


def _in_memory(
    source: Any,
    columns: Sequence[Column],
    label: str,
    on_rows: Callable[[int], Any] | None,
) -> Iterator[Table]:
    arrays = _by_name(source, label)
    chosen = [_chosen(arrays, column, label) for column in columns]
    shapes = {array.shape for array in chosen}
    if len(shapes) > 1:
        sizes = ", ".join(f"{c!r} {a.shape}" for c, a in zip(columns, chosen, strict=True))
        raise DataError(f"{label}: its columns have different lengths: {sizes}")
    (shape,) = shapes
    stacked = np.stack([np.asarray(array, np.float64) for array in chosen], axis=-1)
    for i, values in enumerate(stacked[None] if len(shape) == 1 else stacked):
        if not len(values):
            raise DataError(f"{label} has no rows of data")
        if on_rows is not None:
            on_rows(len(values))
        name = label if len(shape) == 1 else f"{label}[{i}]"
        yield Table(name, values, np.arange(1, len(values) + 1), "row")


def _by_name(source: Any, label: str) -> dict[Column, np.ndarray]:
    """Arrays (N,) or (E, N) by the names of their columns."""
    given = dict(source) if isinstance(source, Mapping) else dict(_numbered(source, label))
    found: dict[Column, np.ndarray] = {}
    for name, value in given.items():
        array = np.asarray(value)
        found[name] = array
        if array.ndim in (2, 3):
            found |= {f"{name}.{j}": array[..., j] for j in range(array.shape[-1])}
    return found


def _numbered(source: Any, label: str) -> Iterator[tuple[int, np.ndarray]]:
    try:
        array = np.asarray(source)
    except ValueError as error:
        raise DataError(f"{label} is no array of numbers: {error}") from error
    if array.ndim != 2:
        raise DataError(
            f"{label} has shape {array.shape}: expected (rows, columns), or a mapping from the "
            "names of columns to arrays"
        )
    yield from enumerate(array.T)


def _chosen(arrays: dict[Column, np.ndarray], column: Column, label: str) -> np.ndarray:
    if column not in arrays:
        raise DataError(f"{label} has no column {column!r}; it has {', '.join(map(str, arrays))}")
    array = arrays[column]
    if array.ndim not in (1, 2) or not np.issubdtype(array.dtype, np.number):
        raise DataError(
            f"{label}, column {column!r} has shape {array.shape} and {array.dtype}: expected "
            "numbers of shape (rows,), or (logs, rows)"
        )
    return array
