"""Mutation testing: change one operator or constant at a time and see whether a test notices.

    python tools/mutate.py --only planning/returns.py --count 20
    python tools/mutate.py --count 200 --seed 0     # goes on where it was stopped

Each mutant is a copy of the package in a temporary folder, with one comparison, arithmetic or
boolean operator, or one constant, exchanged. The tests of its file run against it and stop at the
first failure. Every result is a line of JSON in ``mutants.jsonl``; a mutant that is there already
is not tried again.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "gym_lagrangian"

# Where a file is → the tests that should notice, the quickest first; the longest prefix counts.
TESTS = {
    "physics/": ("test_mechanics", "test_integrators", "test_linear", "test_friction"),
    "models/": ("test_models", "test_new_models", "test_friction_models", "test_inverse_dynamics"),
    "models/calibrated.py": ("test_calibrated",),
    "models/residual.py": ("test_residual",),
    "models/product.py": ("test_product",),
    "planning/": ("test_planning", "test_lqr", "test_stranger"),
    "envs/functional.py": ("test_environments", "test_simulate", "test_stranger"),
    "envs/autoreset.py": ("test_vector", "test_state"),
    "learning/fit.py": ("test_fit", "test_from_logs"),
}

SECONDS = 900

# Where the suite keeps its compiled programs: most are the same in every mutant.
COMPILED = str(ROOT / ".pytest_cache" / "d" / "compiled")

_OTHER: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.Pow: ast.Mult,
    ast.MatMult: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.USub: ast.UAdd,
}


# Fields that hold types, which change nothing of what is computed.
_TYPES = ("annotation", "returns")


def mutants(source: str) -> Iterator[tuple[int, str, int]]:
    """Line, description and place of every mutant of a source; places count nodes in depth."""
    for place, node in enumerate(_nodes(ast.parse(source))):
        found = _changed(node)
        if found is not None:
            yield getattr(node, "lineno", 0), found[0], place


def mutated(source: str, place: int) -> str:
    """The text of one mutant."""
    return ast.unparse(ast.fix_missing_locations(_Change(place).visit(ast.parse(source))))


def _nodes(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for name, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and name not in _TYPES:
                yield from _nodes(child)


class _Change(ast.NodeTransformer):
    """Changes the node at one place, counted in the order of visits."""

    def __init__(self, place: int):
        self._left = place

    def visit(self, node: ast.AST) -> ast.AST:
        self._left -= 1
        if self._left == -1:
            found = _changed(node)
            return node if found is None else found[1]
        kept = {name: getattr(node, name) for name in _TYPES if hasattr(node, name)}
        for name in kept:
            setattr(node, name, None)
        node = self.generic_visit(node)
        for name, value in kept.items():
            setattr(node, name, value)
        return node


def _changed(node: ast.AST) -> tuple[str, ast.AST] | None:
    """What is done to a node, and the node in its place; None where there is nothing to change."""
    if isinstance(node, ast.AugAssign):  # the old value is dropped
        name = f"{type(node.op).__name__}= → ="
        return name, ast.Assign(targets=[node.target], value=node.value)
    if isinstance(node, ast.BinOp | ast.BoolOp | ast.UnaryOp) and type(node.op) in _OTHER:
        before, node.op = node.op, _OTHER[type(node.op)]()  # type: ignore[assignment]
        return f"{type(before).__name__} → {type(node.op).__name__}", node
    if isinstance(node, ast.Compare) and type(node.ops[0]) in _OTHER:
        before, node.ops[0] = node.ops[0], _OTHER[type(node.ops[0])]()  # type: ignore[call-overload]
        return f"{type(before).__name__} → {type(node.ops[0]).__name__}", node
    if isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float):
        old = node.value
        node.value = not old if isinstance(old, bool) else old + 1
        return f"{old!r} → {node.value!r}", node
    return None


def tests_of(path: str) -> list[str]:
    """The test files of a mutated file."""
    prefix = max((one for one in TESTS if path.startswith(one)), key=len)
    return [f"tests/{name}.py" for name in TESTS[prefix]]


def survives(path: str, text: str) -> bool:
    """Whether every test of the file passes with this text in its place."""
    with tempfile.TemporaryDirectory() as folder:
        for part in ("gym_lagrangian", "tests"):
            shutil.copytree(ROOT / part, Path(folder) / part)
        shutil.copy(ROOT / "pyproject.toml", folder)
        (Path(folder) / "gym_lagrangian" / path).write_text(text)
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-n", "0", *tests_of(path)]
        paths = os.pathsep.join([folder, f"{folder}/tests"])
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                env=os.environ | {"PYTHONPATH": paths, "JAX_COMPILATION_CACHE_DIR": COMPILED},
                capture_output=True,
                timeout=SECONDS,
            )
        except subprocess.TimeoutExpired:
            return False
    return done.returncode == 0


def chosen(only: str | None, count: int, seed: int) -> list[tuple[str, int, str, int]]:
    """`count` mutants drawn from all files that have tests here."""
    files = (path.relative_to(PACKAGE).as_posix() for path in sorted(PACKAGE.rglob("*.py")))
    tested = (path for path in files if any(path.startswith(one) for one in TESTS))
    named = [path for path in tested if only is None or path == only]
    found = [(path, *one) for path in named for one in mutants((PACKAGE / path).read_text())]
    return random.Random(seed).sample(found, min(count, len(found)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", metavar="FILE", help="of the package, as planning/returns.py")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("mutants.jsonl"))
    options = parser.parse_args()
    lines = options.out.read_text().splitlines() if options.out.exists() else []
    results = {tuple(row["mutant"]): row["outcome"] for row in map(json.loads, lines)}
    for mutant in chosen(options.only, options.count, options.seed):
        if mutant in results:
            continue
        path, line, what, place = mutant
        text = mutated((PACKAGE / path).read_text(), place)
        outcome = results[mutant] = "survived" if survives(path, text) else "killed"
        with options.out.open("a") as file:
            file.write(json.dumps({"mutant": mutant, "outcome": outcome}) + "\n")
        print(f"{outcome:9} {path}:{line}  {what}", flush=True)
    print(dict(Counter(results.values())))


if __name__ == "__main__":
    main()
