"""Progress bars: shown on a terminal only, and removed at the end."""

import io
import sys

from gym_lagrangian.cli.bars import bar


class Terminal(io.StringIO):
    """A stream that says that somebody looks at it."""

    def isatty(self):
        return True


def wait_for_three_rows():
    with bar("reading", unit="row", total=3, mininterval=0) as shown:
        for _ in range(3):
            shown.update(1)


def test_a_pipe_gets_nothing(monkeypatch):
    pipe = io.StringIO()
    monkeypatch.setattr(sys, "stderr", pipe)
    wait_for_three_rows()
    assert pipe.getvalue() == ""


def test_a_terminal_sees_what_is_waited_for_and_how_much_there_is_of_it(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    wait_for_three_rows()
    assert "reading" in terminal.getvalue()
    assert "3/3" in terminal.getvalue()
    assert terminal.getvalue().split("\r")[-2].strip() == ""
