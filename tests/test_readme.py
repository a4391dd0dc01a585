"""The README tells the truth."""

import re
import shlex
from pathlib import Path

import pytest

from gym_lagrangian.cli import main
from gym_lagrangian.registration import markdown_table

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_table_of_ids_is_the_registry():
    table = re.search(r"<!-- ids:.*?-->\n(.*?)\n<!-- end of ids -->", README, re.DOTALL)
    assert table is not None
    assert table.group(1) == markdown_table()


def test_first_snippet_runs():
    snippet = re.search(r"```python\n(import gymnasium.*?)```", README, re.DOTALL)
    assert snippet is not None
    exec(compile(snippet.group(1), "README", "exec"), {})


def test_every_linked_file_exists():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).is_file(), target


@pytest.mark.parametrize("command", sorted(set(re.findall(r"gym-lagrangian (\w+)", README))))
def test_every_command_named_exists(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([*shlex.split(command), "--help"])
    assert stop.value.code == 0
    assert "usage" in capsys.readouterr().out
