"""Every guide of the documentation runs from its first cell to its last."""

import ast
import json
import re

import pytest
from sitegen.cells import read
from sitegen.results import fresh, guides, missing
from sitegen.writing import notebook, page


@pytest.mark.slow  # the strict build of the documentation, which CI makes, runs every guide
@pytest.mark.parametrize("path", guides(), ids=lambda path: path.stem)
def test_guide_runs_and_prints_something(path):
    guide = read(path)
    if missing(guide):
        pytest.skip(f"needs {', '.join(missing(guide))}")
    results = fresh(path)
    assert len(results) == len(guide.cells)
    assert any(result["text"] for result in results)


@pytest.mark.parametrize("path", guides(), ids=lambda path: path.stem)
def test_guide_asks_one_question_and_is_python(path):
    guide = read(path)
    assert "**Question:**" in guide.cells[0].source
    for cell in guide.cells:
        if cell.kind in ("code", "file"):
            ast.parse(cell.source)
            assert not re.search(r"^# #+ ", cell.source, re.MULTILINE), "a heading among code"


class TestPage:
    def test_output_stands_below_its_cell(self, tmp_path):
        path = tmp_path / "one.py"
        path.write_text("# %% [markdown]\n# # One\n# %%\nprint(6 * 7)\n")
        text = page(read(path), fresh(path))
        assert text.index("print(6 * 7)") < text.index("\n42\n")

    def test_last_value_is_shown_as_in_a_notebook(self, tmp_path):
        path = tmp_path / "one.py"
        path.write_text("# %% [markdown]\n# # One\n# %%\nx = 6\nx * 7\n")
        assert fresh(path)[1]["text"] == "42\n"

    def test_a_semicolon_hides_it(self, tmp_path):
        path = tmp_path / "one.py"
        path.write_text("# %% [markdown]\n# # One\n# %%\n6 * 7;\n")
        assert fresh(path)[1]["text"] == ""

    def test_figures_are_kept(self, tmp_path):
        path = tmp_path / "one.py"
        drawing = "import matplotlib.pyplot as plt\nplt.plot([1, 2]);"
        path.write_text(f"# %% [markdown]\n# # One\n# %%\n{drawing}\n")
        assert len(fresh(path)[1]["pictures"]) == 1

    def test_files_and_commands(self, tmp_path):
        path = tmp_path / "one.py"
        cells = (
            "# %% [file] there.py\nX = 3\n# %% [bash]\n# cat there.py\n# %%\nfrom there import X\nX"
        )
        path.write_text(f"# %% [markdown]\n# # One\n{cells}\n")
        assert [one["text"] for one in fresh(path)] == ["", "", "X = 3\n", "3\n"]


class TestFailures:
    def test_a_guide_that_raises(self, tmp_path):
        path = tmp_path / "one.py"
        path.write_text("# %% [markdown]\n# # One\n# %%\n1 / 0\n")
        with pytest.raises(RuntimeError, match=r"one\.py fails(.|\n)*ZeroDivisionError"):
            fresh(path)

    def test_a_command_that_fails(self, tmp_path):
        path = tmp_path / "one.py"
        path.write_text("# %% [markdown]\n# # One\n# %% [bash]\n# false\n")
        with pytest.raises(RuntimeError, match="false"):
            fresh(path)

    def test_a_guide_without_a_title(self, tmp_path):
        path = tmp_path / "one.py"
        path.write_text("# %%\nx = 1\n")
        with pytest.raises(ValueError, match="begins with"):
            read(path)

    def test_an_unknown_kind_of_cell(self, tmp_path):
        path = tmp_path / "one.py"
        path.write_text("# %% [markdown]\n# # One\n# %% [latex]\n# x\n")
        with pytest.raises(ValueError, match="latex"):
            read(path)


@pytest.mark.parametrize("path", guides(), ids=lambda path: path.stem)
def test_notebook_holds_the_code(path):
    guide = read(path)
    document = json.loads(notebook(guide, None))
    assert document["nbformat"] == 4
    sources = [cell["source"] for cell in document["cells"]]
    for cell, source in zip(guide.cells, sources, strict=True):
        assert source.endswith(cell.source)
