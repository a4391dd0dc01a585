"""Guides as they are written: Python files in percent format, cut into cells.

A line that begins with ``# %%`` begins a cell. What follows on that line says what it is:

    # %%                      Python, run in the order of the file
    # %% [markdown]           text, its lines commented out
    # %% [bash]               commands of a shell, their lines commented out
    # %% [file] cartpole.py   Python that is written to that file, and not run

A comment ``# requires: torch`` before the first cell names modules without which the guide is shown
and not run.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

_MARK = re.compile(r"^# %%(?: \[(\w+)\])?(?: (\S+))?$")
_KINDS = {None: "code", "markdown": "markdown", "bash": "bash", "file": "file"}


class Cell(NamedTuple):
    """A cell of a guide.

    Attributes:
        kind: ``"code"``, ``"markdown"``, ``"bash"`` or ``"file"``.
        source: its text, without the mark and without the comment signs of text and commands.
        name: the file that a cell of kind ``"file"`` is written to; empty otherwise.
    """

    kind: str
    source: str
    name: str = ""


class Guide(NamedTuple):
    """A guide.

    Attributes:
        name: its file's name without the ending.
        cells: in the order of the file.
        requires: modules without which it cannot run.
    """

    name: str
    cells: tuple[Cell, ...]
    requires: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The first heading of its text."""
        return self.cells[0].source.splitlines()[0].removeprefix("# ")


def read(path: Path) -> Guide:
    """A guide from its file.

    Raises:
        ValueError: it does not begin with text whose first line is a heading.
    """
    header, *parts = re.split(r"^(?=# %%)", path.read_text(), flags=re.MULTILINE)
    cells = tuple(map(_cell, parts))
    if not cells or cells[0].kind != "markdown" or not cells[0].source.startswith("# "):
        raise ValueError(f"{path}: a guide begins with a cell [markdown] and a heading in it")
    found = re.search(r"^# requires: (.+)$", header, re.MULTILINE)
    requires = tuple(found.group(1).split(", ")) if found else ()
    return Guide(path.stem, cells, requires)


def _cell(part: str) -> Cell:
    mark, _, body = part.partition("\n")
    found = _MARK.match(mark)
    if found is None or found.group(1) not in _KINDS:
        raise ValueError(f"{mark!r}: expected # %%, or it with [markdown], [bash] or [file] NAME")
    kind = _KINDS[found.group(1)]
    source = body.strip("\n")
    if kind in ("markdown", "bash"):
        source = re.sub(r"^# ?", "", source, flags=re.MULTILINE)
    return Cell(kind, source, found.group(2) or "")
