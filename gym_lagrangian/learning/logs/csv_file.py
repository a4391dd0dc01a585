"""CSV files, gzip or plain, as blocks of numbers.

A block is parsed as a whole where every cell is a number, and cell by cell where not.

The delimiter is found in the file: comma, semicolon (then a decimal comma is read too), tab or
spaces. A row is a header if a cell of it is no number; a leading ``#`` is not part of it. An empty
cell, ``NA``, ``null`` and ``none`` are NaN.
"""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import math
import os
import zlib
from collections.abc import Iterator, Sequence
from typing import IO, NamedTuple

import numpy as np

from gym_lagrangian.errors import DataError

# Lines that are read at once.
BLOCK = 100_000

_GZIP = b"\x1f\x8b"
_ABSENT = ("", "na", "n/a", "nan", "null", "none", "-")


class Block(NamedTuple):
    """Some rows of a file.

    Attributes:
        values: (N, C), a column a column that was asked for.
        numbers: (N,), the number of each row's line in the file, counted from 1.
        note: what was wrong and has been put right; empty for nothing.
    """

    values: np.ndarray
    numbers: np.ndarray
    note: str = ""


class _Layout(NamedTuple):
    """How the lines of a file are read.

    Attributes:
        delimiter: None for spaces.
        names: of the columns; empty without a header.
        width: cells in a line.
        first: number of the first line of data.
    """

    delimiter: str | None
    names: tuple[str, ...]
    width: int
    first: int


def blocks(path: str | os.PathLike[str], columns: Sequence[str | int]) -> Iterator[Block]:
    """The columns asked for, block by block.

    Raises:
        DataError: it cannot be read, is empty, has no such column, or a cell that is no number;
            the message names the file and the line.
    """
    label = os.fspath(path)
    try:
        with _opened(path) as file:
            yield from _blocks(file, label, columns)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {label!r}, is it damaged? {error}") from error


def _opened(path: str | os.PathLike[str]) -> IO[str]:
    with open(path, "rb") as file:
        packed = file.read(2) == _GZIP
    raw = gzip.open(path, "rb") if packed else open(path, "rb")  # noqa: SIM115
    return io.TextIOWrapper(raw, encoding="utf-8-sig", newline=None)  # type: ignore[arg-type]


def _blocks(file: IO[str], label: str, columns: Sequence[str | int]) -> Iterator[Block]:
    head = list(itertools.islice(file, BLOCK))
    layout = _layout(head, label)
    chosen = [_index(layout, column, label) for column in columns]
    lines, number = head[layout.first - 1 :], layout.first
    while lines:
        following = list(itertools.islice(file, BLOCK))
        yield _block(lines, number, layout, chosen, label, last=not following)
        lines, number = following, number + len(lines)


def _layout(head: list[str], label: str) -> _Layout:
    """What the first lines say."""
    full = [i for i, line in enumerate(head) if line.strip()]
    comments = list(itertools.takewhile(lambda i: head[i].lstrip().startswith("#"), full))
    data = [i for i in full if i not in comments]
    if not data:
        raise DataError(f"{label} has no rows of data")
    delimiter = _delimiter(head[data[0]])
    cells = _cells(head[data[0]], delimiter)
    if any(_number(cell, delimiter) is None for cell in cells):
        return _Layout(delimiter, _names(cells), len(cells), data[0] + 2)
    names: tuple[str, ...] = ()
    if comments:
        named = _cells(head[comments[-1]].lstrip().lstrip("#"), delimiter)
        names = _names(named) if len(named) == len(cells) else ()
    return _Layout(delimiter, names, len(cells), data[0] + 1)


def _delimiter(line: str) -> str | None:
    found = max(";\t,", key=lambda one: (line.count(one), one == ";"))
    if ";" in line:
        return ";"
    return found if found in line else None


def _names(cells: list[str]) -> tuple[str, ...]:
    return tuple(cell.strip().lstrip("#").strip() for cell in cells)


def _index(layout: _Layout, column: str | int, label: str) -> int:
    if isinstance(column, int):
        if column >= layout.width:
            raise DataError(
                f"{label} has no column {column}: it has {layout.width}, counted from 0"
            )
        return column
    if not layout.names:
        raise DataError(
            f"{label} has no column {column!r}, as it has no header: name its {layout.width} "
            "columns by number, counted from 0"
        )
    if layout.names.count(column) != 1:
        many = "no column" if column not in layout.names else "more than one column"
        raise DataError(f"{label} has {many} {column!r}; it has {', '.join(layout.names)}")
    return layout.names.index(column)


def _block(
    lines: list[str],
    number: int,
    layout: _Layout,
    chosen: list[int],
    label: str,
    *,
    last: bool,
) -> Block:
    text = [line.replace(",", ".") for line in lines] if layout.delimiter == ";" else lines
    numbers = np.arange(number, number + len(lines))
    try:
        values = np.loadtxt(
            text, delimiter=layout.delimiter, usecols=chosen, ndmin=2, comments=None, quotechar='"'
        )
        if len(values) == len(lines):
            return Block(values, numbers)
    except ValueError:
        pass
    return _cell_by_cell(lines, number, layout, chosen, label, last=last)


def _cell_by_cell(
    lines: list[str],
    number: int,
    layout: _Layout,
    chosen: list[int],
    label: str,
    *,
    last: bool,
) -> Block:
    """The same, slower, naming what cannot be read. A last line that was cut off is left out."""
    rows, numbers, note = [], [], ""
    for i, line in enumerate(lines):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        cells = _cells(line, layout.delimiter)
        if len(cells) <= max(chosen) or len(cells) < layout.width:
            if last and i == len(lines) - 1:
                note = f"{label}, line {number + i}, the last, is cut off: left out"
                break
            raise DataError(
                f"{label}, line {number + i} has {len(cells)} cells, expected {layout.width}"
            )
        rows.append([_checked(cells, c, number + i, layout, label) for c in chosen])
        numbers.append(number + i)
    values = np.array(rows, np.float64).reshape(-1, len(chosen))
    return Block(values, np.array(numbers, int), note)


def _checked(cells: list[str], column: int, line: int, layout: _Layout, label: str) -> float:
    value = _number(cells[column], layout.delimiter)
    if value is None:
        name = repr(layout.names[column]) if layout.names else column
        raise DataError(
            f"{label}, line {line}, column {name} is {cells[column]!r}: expected a number"
        )
    return value


def _cells(line: str, delimiter: str | None) -> list[str]:
    if delimiter is None:
        return line.split()
    return next(csv.reader([line.strip("\r\n")], delimiter=delimiter), [""])


def _number(cell: str, delimiter: str | None) -> float | None:
    """The number in a cell, NaN where there is none, None where it is something else."""
    text = cell.strip().lower()
    if text in _ABSENT:
        return math.nan
    try:
        return float(text.replace(",", ".") if delimiter == ";" else text)
    except ValueError:
        return None
