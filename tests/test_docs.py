"""The pages of the documentation are true and complete."""

import ast
import re
import shlex
from pathlib import Path

import pytest
from sitegen import systems
from sitegen.includes import filled
from sitegen.results import guides
from sitegen.shipped import shipped

import gym_lagrangian
from gym_lagrangian import acting, planning
from gym_lagrangian.cli.main import parser
from gym_lagrangian.registration import MODELS, SYSTEMS

DOCS = Path(__file__).parents[1] / "docs"
PUBLIC = {
    f"{one.__module__}.{one.__qualname__}"
    for package in (gym_lagrangian, acting, planning)
    for one in (getattr(package, name) for name in package.__all__)
    if hasattr(one, "__qualname__")
}
TESTS = DOCS.parent / "tests"
PAGES = sorted(DOCS.rglob("*.md"))
NAVIGATION = (DOCS.parent / "mkdocs.yml").read_text()
COMMAND = re.compile(r"^(?:# )?(?:\$ |- )?gym-lagrangian (.*)$", re.MULTILINE)


def _id(path):
    return path.relative_to(DOCS).as_posix()


@pytest.mark.parametrize("name", SYSTEMS)
def test_system_has_a_picture(name):
    assert (DOCS / "assets" / "systems" / f"{name}.gif").stat().st_size < 200_000


@pytest.mark.parametrize("name", ["DoublePendulum", "PilcoCartPole", "Kepler"])
def test_page_of_a_system_has_what_is_registered(name):
    checkpoints = list(shipped())
    text = systems.page(name, checkpoints)
    for model in (None, *SYSTEMS[name].learned):
        assert f"`{name}{model or ''}-v0`" in text
    for one in checkpoints:
        assert (f"| `{one.name}` |" in text) == (one.system == name)
    for heading in ("## Description", "## Equations", "## Parameters", "## Task"):
        assert heading in text


@pytest.mark.parametrize("model", MODELS)
def test_model_has_a_page(model):
    text = (DOCS / "models" / f"{systems.slug_of_model(model)}.md").read_text()
    assert f"`{model}`" in text
    assert "## When it fails" in text


@pytest.mark.parametrize("path", PAGES, ids=_id)
def test_page_is_in_the_navigation_and_complete(path):
    assert _id(path) in NAVIGATION
    assert "<!--" not in filled(path.read_text(), depth=_id(path).count("/"))


def test_every_public_name_is_in_the_reference():
    pages = "\n".join(path.read_text() for path in (DOCS / "api").glob("*.md"))
    assert set(re.findall(r"^::: (.*)$", pages, re.MULTILINE)) >= PUBLIC


@pytest.mark.parametrize("path", PAGES, ids=_id)
def test_links_of_a_page_lead_somewhere(path):
    made = {DOCS / "guides" / f"{guide.stem}.md" for guide in guides()}
    made |= {DOCS / "systems" / f"{systems.slug(name)}.md" for name in SYSTEMS}
    made |= {DOCS / "systems" / "index.md"}
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text()):
        there = (path.parent / target).resolve()
        example = DOCS.parent / there.relative_to(DOCS) if there.is_relative_to(DOCS) else there
        assert there.exists() or there in made or example.exists(), target


@pytest.mark.parametrize("path", [*PAGES, *guides()], ids=_id)
def test_commands_of_a_page_are_understood(path):
    for command in COMMAND.findall(path.read_text()):
        assert callable(parser().parse_args(shlex.split(command)).run)


@pytest.mark.parametrize("name", ["index.md", "start/first-minute.md", "faq.md"])
def test_python_of_a_page_runs(name, tmp_path, monkeypatch):
    if name == "faq.md":
        pytest.importorskip("moviepy", reason="what Gymnasium's RecordVideo writes with")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", (DOCS / name).read_text(), re.M | re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, name, "exec"), {})


def _tests_of(file):
    """The names of the tests in a file."""
    tree = ast.parse((TESTS / file).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def _rows_of_faults():
    """The last cell of every row, in which tests are named."""
    lines = (DOCS / "faults.md").read_text().splitlines()
    rows = [line for line in lines if line.startswith("| ") and not line.startswith("|---")]
    return [row.strip("| ").rsplit("|", 1)[1] for row in rows if not row.endswith("| Test |")]


def test_every_fault_has_a_test_that_exists():
    rows = _rows_of_faults()
    assert len(rows) > 50
    for row in rows:
        file, named = None, 0
        for found, test in re.findall(r"`(?:(test_\w+\.py)(?:::)?)?(test_\w+)?`", row):
            file, named = found or file, named + 1
            assert not test or test in _tests_of(file), f"{file}::{test}"
            assert (TESTS / file).exists()
        assert named, f"no test in {row!r}"
