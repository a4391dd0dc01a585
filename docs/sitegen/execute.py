"""Run a guide from its first cell to its last, and keep what it prints and draws.

    python -m sitegen.execute GUIDE.py RESULTS.json

It runs in the working directory of the process, in which it may leave files behind. The results are
a list, one entry a cell: ``{"text": what it printed, "pictures": [PNG in base64, …]}``.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from sitegen.cells import Cell, read

# The command line under its own name, also where its script is not on the path.
_COMMAND = f'gym-lagrangian() {{ "{sys.executable}" -W ignore -m gym_lagrangian.cli "$@"; }}\n'


def run(path: Path) -> list[dict[str, Any]]:
    """The results of every cell.

    Raises:
        Exception: whatever a cell raises, and RuntimeError where a command fails.
    """
    sys.path.insert(0, str(Path.cwd()))
    space: dict[str, Any] = {"__name__": "__main__"}
    return [_result(cell, space) for cell in read(path).cells]


def _result(cell: Cell, space: dict[str, Any]) -> dict[str, Any]:
    if cell.kind == "file":
        Path(cell.name).write_text(cell.source + "\n")
    if cell.kind == "bash":
        return {"text": _shell(cell.source), "pictures": []}
    if cell.kind == "code":
        return {"text": _python(cell.source, space), "pictures": _figures()}
    return {"text": "", "pictures": []}


def _shell(source: str) -> str:
    """What the commands print."""
    done = subprocess.run(["bash", "-ec", _COMMAND + source], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{source}\nended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def _python(source: str, space: dict[str, Any]) -> str:
    """What a cell prints, and the value of its last line where that is an expression and does not
    end with a semicolon.
    """
    tree, printed, last = ast.parse(source), io.StringIO(), None
    if tree.body and isinstance(tree.body[-1], ast.Expr) and not source.endswith(";"):
        last = tree.body.pop()
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, "<guide>", "exec"), space)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), "<guide>", "eval"), space)
            print("" if value is None else f"{value!r}\n", end="")
    return printed.getvalue()


def _figures() -> list[str]:
    """The figures of matplotlib that are open, which are closed."""
    if "matplotlib.pyplot" not in sys.modules:
        return []
    pyplot, pictures = sys.modules["matplotlib.pyplot"], []
    for number in pyplot.get_fignums():
        file = io.BytesIO()
        pyplot.figure(number).savefig(file, format="png", dpi=90, bbox_inches="tight")
        pictures.append(base64.b64encode(file.getvalue()).decode())
    pyplot.close("all")
    return pictures


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(run(Path(sys.argv[1]).resolve())))
