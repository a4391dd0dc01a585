"""What pages take over from elsewhere, each at a mark of its own.

<!-- file: CHANGELOG.md -->                  a whole file of the repository, but its title
<!-- docstring: gym_lagrangian.models.lnn --> what a module says of itself
<!-- shipped: LNN -->                        the checkpoints of a model, with their metrics
<!-- command line -->                        every command's help
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import io
import os
import re
from collections.abc import Callable
from pathlib import Path

from gym_lagrangian.cli import main
from sitegen.shipped import LEGEND, shipped, table
from sitegen.systems import plain

ROOT = Path(__file__).parents[2]

# Where on the site the files are that others link to.
_MOVED = {"CONTRIBUTING.md": "extending.md", "CHANGELOG.md": "changelog.md", "LICENSE": "index.md"}


def filled(markdown: str, depth: int) -> str:
    """A page with every mark replaced; `depth` folders below the site's root."""
    for mark, found in _MARKS.items():
        pattern = rf"^<!-- {mark} -->$"
        markdown = re.sub(pattern, lambda m, f=found: f(*m.groups(), depth), markdown, flags=re.M)
    return markdown


def relinked(text: str, depth: int) -> str:
    """Links that are relative to the repository's root, as they are on the site."""

    def moved(match: re.Match[str]) -> str:
        target = match.group(1)
        if "://" in target or target.startswith("#"):
            return match.group(0)
        there = _MOVED.get(target, target.removeprefix("docs/"))
        return f"]({'../' * depth}{there})"

    return re.sub(r"\]\(([^)]+)\)", moved, text)


def _file(name: str, depth: int) -> str:
    return relinked((ROOT / name).read_text().partition("\n")[2].strip(), depth)


def _docstring(module: str, _: int) -> str:
    return plain(inspect.cleandoc(importlib.import_module(module).__doc__ or ""))


def _shipped(model: str, _: int) -> str:
    rows = [one for one in shipped() if one.model == model]
    return table(rows, "Checkpoint") + ("\n" + LEGEND if rows else "")


def _command_line(_: int) -> str:
    names = re.findall(r"^ {4}(\w+)(?:  |$)", _help(), re.MULTILINE)
    return "\n\n".join(f"## {name}\n\n```text\n{_help(name).strip()}\n```" for name in names)


def _help(*command: str) -> str:
    """What ``--help`` prints, 90 columns wide."""
    printed, before = io.StringIO(), os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "90"
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        main([*command, "--help"])
    os.environ.pop("COLUMNS") if before is None else os.environ.update(COLUMNS=before)
    return printed.getvalue()


_MARKS: dict[str, Callable[..., str]] = {
    "file: (.+)": _file,
    "docstring: (.+)": _docstring,
    "shipped: (.+)": _shipped,
    "command line": _command_line,
}
