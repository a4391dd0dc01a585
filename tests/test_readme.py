"""The README tells the truth."""

import functools
import re
import shlex
from pathlib import Path

import pytest

import gym_lagrangian
from gym_lagrangian.cli.main import parser
from gym_lagrangian.registration import markdown_table

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
LEARNED, WRAPPED = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
COMMANDS = re.findall(r"^(?:.*&& )?(gym-lagrangian .*)$", README, re.MULTILINE)


def test_it_is_short():
    assert len(README.splitlines()) <= 150


def test_table_of_systems_is_the_registry():
    table = re.search(r"<!-- ids:.*?-->\n(.*?)\n<!-- end of ids -->", README, re.DOTALL)
    assert table is not None
    assert table.group(1) == markdown_table()


def test_first_snippet_runs():
    exec(compile(LEARNED, "README", "exec"), {})


def test_second_snippet_runs(tmp_path, monkeypatch):
    """With few transitions, and few steps of training."""
    monkeypatch.chdir(tmp_path)
    few = gym_lagrangian.FitConfig.of("DeLaN", steps=2, starts=1)
    fit = functools.partial(gym_lagrangian.fit, config=few, metrics=False)
    monkeypatch.setattr(gym_lagrangian, "fit", fit)
    space = {}
    exec("import gymnasium\nimport gym_lagrangian\n" + WRAPPED.replace("2_000", "100"), space)
    observation, _ = space["env"].reset(seed=0)
    assert observation.shape == (6,)


def test_every_linked_file_exists():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).is_file(), target


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_understood(command):
    assert callable(parser().parse_args(shlex.split(command)[1:]).run)


@pytest.mark.parametrize("command", sorted(set(re.findall(r"`gym-lagrangian (\w+)", README))))
def test_every_command_named_exists(command, capsys):
    with pytest.raises(SystemExit) as stop:
        parser().parse_args([command, "--help"])
    assert stop.value.code == 0
    assert "usage" in capsys.readouterr().out


def test_citation_is_of_this_version():
    cited = (ROOT / "CITATION.cff").read_text()
    assert f"\nversion: {gym_lagrangian.__version__}\n" in cited
