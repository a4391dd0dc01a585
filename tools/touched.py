"""A pytest plugin for ``mutate.py``: which lines of the package each test executes, and which tests
are run, in which order.

Two environment variables configure it: ``TOUCHED_OUT`` names a file to write, ``TOUCHED_ONLY`` one
that lists the tests to run. What is executed while modules are imported has no test, and is kept
under the empty name.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import time
from collections import defaultdict
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest

_OUT, _ONLY = os.environ.get("TOUCHED_OUT"), os.environ.get("TOUCHED_ONLY")
_PACKAGE = f"{os.sep}gym_lagrangian{os.sep}"

_lines: defaultdict[str, set[tuple[str, int]]] = defaultdict(set)
_seconds: defaultdict[str, float] = defaultdict(float)
_test = ""


@functools.cache
def _name(code: CodeType) -> str | None:
    """The path in the package of what is executed; None for anything else."""
    _, here, path = code.co_filename.rpartition(_PACKAGE)
    return Path(path).as_posix() if here else None


def _called(frame: FrameType, event: str, argument: Any) -> Any:
    return None if _name(frame.f_code) is None else _executed


def _executed(frame: FrameType, event: str, argument: Any) -> Any:
    if event == "line":
        _lines[_test].add((_name(frame.f_code) or "", frame.f_lineno))
    return _executed


if _OUT:
    sys.settrace(_called)  # at once: the package is imported before the first test


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Any:
    """Note what is executed from a test's set-up to its end, and how long that takes."""
    global _test
    _test, start = item.nodeid, time.perf_counter()
    yield
    _seconds[_test] = time.perf_counter() - start
    _test = ""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the tests that are listed, in the order of the list."""
    if not _ONLY:
        return
    rank = {name: i for i, name in enumerate(json.loads(Path(_ONLY).read_text()))}
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in rank])
    items[:] = sorted((item for item in items if item.nodeid in rank), key=lambda i: rank[i.nodeid])


def pytest_sessionfinish() -> None:
    """Write what was found: a test's seconds, and the lines by file."""
    if not _OUT:
        return
    sys.settrace(None)
    found = {}
    for test, lines in _lines.items():
        by_file = defaultdict(list)
        for name, line in sorted(lines):
            by_file[name].append(line)
        found[test] = {"seconds": round(_seconds[test], 3), "lines": by_file}
    Path(_OUT).write_text(json.dumps(found))
