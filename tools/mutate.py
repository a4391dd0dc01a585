"""Mutation testing: change one operator or constant at a time and see whether a test notices.

    python tools/mutate.py --only planning/returns.py --count 20
    python tools/mutate.py --count 200 --jobs 2     # goes on where it was stopped

Each mutant is a copy of the package in a temporary folder, with one comparison, arithmetic or
boolean operator, or one constant, exchanged. First every test file of the mutated file is run once
as it is, to see which test executes which lines (kept in ``.pytest_cache``). A mutant on lines that
no test executes has survived. Otherwise the tests that execute them run, the quickest files and
tests first, until one fails; where none does, all tests of the file run, since one test may read
what another has compiled. Every result is a line of JSON in ``mutants.jsonl``; a mutant that is
there already is not tried again.
"""

from __future__ import annotations

import argparse
import ast
import functools
import hashlib
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "gym_lagrangian"
TOOLS = ROOT / "tools"

# Where a file is → the tests that should notice, the quickest first; the longest prefix counts.
TESTS = {
    "physics/": ("test_mechanics", "test_integrators", "test_linear", "test_friction"),
    "physics/ensemble.py": ("test_ensembles", "test_ensemble_fits"),
    "physics/newton_euler.py": ("test_inverse_dynamics",),
    "models/": ("test_models", "test_new_models", "test_friction_models", "test_inverse_dynamics"),
    "models/mlp.py": ("test_models", "test_scales", "test_new_models"),
    "models/hnn.py": ("test_models", "test_scales", "test_new_models", "test_friction_models"),
    "models/quantities.py": ("test_calibrated",),
    "models/activations.py": ("test_second_order", "test_models"),
    "models/base.py": ("test_models", "test_cyclic", "test_ensembles"),
    "models/calibrated.py": ("test_calibrated",),
    "models/distinct.py": ("test_calibrated",),
    "models/ensemble.py": ("test_ensembles", "test_ensemble_fits"),
    "models/lnn.py": ("test_models", "test_similarity", "test_friction_models"),
    "models/product.py": ("test_product", "test_second_order"),
    "models/residual.py": ("test_residual",),
    "models/second_order.py": ("test_second_order", "test_models"),
    "models/similarity.py": ("test_similarity",),
    "models/spatial_chain.py": ("test_inverse_dynamics",),
    "planning/": ("test_planning", "test_lqr", "test_stranger"),
    "planning/ilqr.py": ("test_ilqr",),
    "planning/sampling.py": ("test_planning", "test_ensembles"),
    "envs/": ("test_state", "test_vector", "test_environments"),
    "envs/_arguments.py": ("test_faults",),
    "envs/_host.py": ("test_adapters", "test_learned_env"),
    "envs/_kernel.py": ("test_kernel", "test_state"),
    "envs/_simulation.py": ("test_simulate", "test_ensembles"),
    "envs/functional.py": ("test_environments", "test_simulate", "test_stranger", "test_ensembles"),
    "envs/learned.py": ("test_learned_env",),
    "envs/vector.py": ("test_state", "test_vector", "test_simulate", "test_ensembles"),
    "envs/sb3.py": ("test_sb3",),
    "envs/sensors.py": ("test_sensors",),
    "envs/shell.py": ("test_state", "test_vector", "test_environments", "test_faults"),
    "envs/trust.py": ("test_ensembles",),
    "learning/fit.py": ("test_fit", "test_from_logs"),
    "learning/loop.py": ("test_training", "test_fit", "test_fine_tuning"),
}

# A mutant that takes this many times as long as its tests usually do, and this long at least, is
# given up. It is not counted as killed: the machine may be busy.
PATIENCE, SECONDS = 10, 600

NO_TESTS = 5  # the exit status of pytest where it found none to run

# Where the suite keeps its compiled programs: most are the same in every mutant.
COMPILED = ROOT / ".pytest_cache" / "d" / "compiled"
TOUCHED = ROOT / ".pytest_cache" / "d" / "touched"

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


def _asserts(node: ast.AST) -> bool:
    """Whether it is the `strict=` of a zip, which computes nothing either."""
    return isinstance(node, ast.keyword) and node.arg == "strict"


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
            if isinstance(child, ast.AST) and name not in _TYPES and not _asserts(child):
                yield from _nodes(child)


class _Change(ast.NodeTransformer):
    """Changes the node at one place, counted in the order of visits."""

    def __init__(self, place: int):
        self._left = place

    def visit(self, node: ast.AST) -> ast.AST:
        if _asserts(node):
            return node
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


def lines_of(source: str, place: int) -> set[int]:
    """The lines of the statement that a mutant changes; of a compound one, those of its head."""
    nodes = list(_nodes(ast.parse(source)))
    line = nodes[place].lineno  # type: ignore[attr-defined]
    statements: list[Any] = [node for node in nodes if isinstance(node, ast.stmt)]
    around = [one for one in statements if _first_line(one) <= line <= one.end_lineno][-1]
    inner = getattr(around, "body", [])
    end = inner[0].lineno - 1 if inner else around.end_lineno
    return set(range(_first_line(around), max(around.lineno, end) + 1))


def _first_line(statement: Any) -> int:
    """Decorators included."""
    decorators = getattr(statement, "decorator_list", [])
    return min(one.lineno for one in (statement, *decorators))


def tests_of(path: str) -> list[str]:
    """The test files of a mutated file, the quickest first."""
    return sorted(_named(path), key=_seconds)


def _named(path: str) -> list[str]:
    prefix = max((one for one in TESTS if path.startswith(one)), key=len)
    return [f"tests/{name}.py" for name in TESTS[prefix]]


def _seconds(file: str) -> float:
    return sum(test["seconds"] for test in touched(file).values())


@functools.cache
def touched(file: str) -> dict[str, Any]:
    """Test → its seconds, and the lines that it executes of each file of the package."""
    sources = [ROOT / file, *sorted(PACKAGE.rglob("*.py"))]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    kept = TOUCHED / f"{Path(file).stem}-{digest}.json"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        part = kept.with_suffix(".part")
        done = _pytest(ROOT, [file], TOUCHED_OUT=str(part))
        if done.returncode:
            raise SystemExit(f"{file} fails as it is:\n{done.stdout[-2000:]}")
        part.replace(kept)
    return json.loads(kept.read_text())


def covering(path: str, lines: set[int]) -> list[str]:
    """The tests that execute a line, of the quickest file first; the empty name where importing
    the package does.
    """
    found = []
    for file in tests_of(path):
        tests = touched(file)
        here = [one for one in tests if not lines.isdisjoint(tests[one]["lines"].get(path, ()))]
        found += sorted(here, key=lambda one: tests[one]["seconds"])
    return found


class Result(NamedTuple):
    """What became of a mutant.

    Attributes:
        outcome: "killed", "survived", "untouched" (survived, as no test executes it), or "slow".
        by: the test that failed.
    """

    outcome: str
    by: str | None = None


def result_of(path: str, place: int) -> Result:
    """What the tests of a file say of a mutant of it."""
    source = (PACKAGE / path).read_text()
    tests, files = covering(path, lines_of(source, place)), tests_of(path)
    if not tests:
        return Result("untouched")
    with tempfile.TemporaryDirectory() as folder:
        for part in ("gym_lagrangian", "tests"):
            shutil.copytree(ROOT / part, Path(folder) / part)
        shutil.copy(ROOT / "pyproject.toml", folder)
        (Path(folder) / "gym_lagrangian" / path).write_text(mutated(source, place))
        quick = Result("survived") if "" in tests else _tried(Path(folder), files, tests)
        return quick if quick.outcome != "survived" else _tried(Path(folder), files)


def _tried(folder: Path, files: list[str], tests: Sequence[str] = ()) -> Result:
    """What some tests, or all in these files, say of the package in a folder."""
    usual = {name: one["seconds"] for file in files for name, one in touched(file).items()}
    only: dict[str, str] = {}
    if tests:
        (folder / "only.json").write_text(json.dumps(tests))
        only["TOUCHED_ONLY"] = str(folder / "only.json")
        usual = {name: usual[name] for name in tests}
        files = list(dict.fromkeys(name.partition("::")[0] for name in tests))
    try:
        limit = max(SECONDS, PATIENCE * sum(usual.values()))
        done = _pytest(folder, ["-x", *files], timeout=limit, **only)
    except subprocess.TimeoutExpired:
        return Result("slow")
    if done.returncode == NO_TESTS:
        raise RuntimeError(f"no test was run:\n{done.stdout[-2000:]}")
    failed = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
    return Result("killed", failed and failed[1]) if done.returncode else Result("survived")


def _pytest(folder: Path, arguments: list[str], timeout: float | None = None, **how: str) -> Any:
    """Run pytest on the package and the tests in a folder."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "touched", *arguments],
        cwd=folder,
        env=os.environ
        | {
            "PYTHONPATH": os.pathsep.join([str(folder), f"{folder}/tests", str(TOOLS)]),
            "JAX_COMPILATION_CACHE_DIR": str(COMPILED),
        }
        | how,
        capture_output=True,
        text=True,
        timeout=timeout,
    )


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
    parser.add_argument("--jobs", type=int, default=1, help="mutants that are tried at a time")
    parser.add_argument("--out", type=Path, default=Path("mutants.jsonl"))
    options = parser.parse_args()
    lines = options.out.read_text().splitlines() if options.out.exists() else []
    results = {tuple(row["mutant"]): row["outcome"] for row in map(json.loads, lines)}
    writing = threading.Lock()

    def judge(mutant: tuple[str, int, str, int]) -> None:
        path, line, what, place = mutant
        start = time.monotonic()
        found = result_of(path, place)
        row = {"mutant": mutant, **found._asdict(), "seconds": round(time.monotonic() - start, 1)}
        with writing:
            results[mutant] = found.outcome
            with options.out.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(f"{found.outcome:9} {path}:{line}  {what}  {found.by or ''}", flush=True)

    drawn = chosen(options.only, options.count, options.seed)
    with ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(touched, sorted({test for path, *_ in drawn for test in _named(path)})))
        list(pool.map(judge, (mutant for mutant in drawn if mutant not in results)))
    print(dict(Counter(results[mutant] for mutant in drawn)))


if __name__ == "__main__":
    main()
