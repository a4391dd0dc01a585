"""A guide and its results as a page of the site, and as a notebook."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from typing import Any

from sitegen.cells import Cell, Guide

Results = Sequence[dict[str, Any]]

# What is shown of an output: enough to see what it is.
_LINES = 60


def page(guide: Guide, results: Results | None) -> str:
    """The guide in Markdown; None as results where it was not run."""
    heading, *rest = [_block(guide, i, results) for i in range(len(guide.cells))]
    title, _, text = heading.partition("\n")
    return "\n\n".join([title, _downloads(guide, results), text.strip(), *rest]) + "\n"


def pictures(guide: Guide, results: Results | None) -> Iterator[tuple[str, bytes]]:
    """Name → PNG of every picture that the guide draws."""
    for i, result in enumerate(results or ()):
        for j, picture in enumerate(result["pictures"]):
            yield _picture(guide, i, j), base64.b64decode(picture)


def notebook(guide: Guide, results: Results | None) -> str:
    """The guide as a Jupyter notebook (nbformat 4.5), outputs included."""
    cells = [_notebook_cell(guide, i, results) for i in range(len(guide.cells))]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    document = {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": cells}
    return json.dumps(document, indent=1, ensure_ascii=False)


def _downloads(guide: Guide, results: Results | None) -> str:
    links = f"[Notebook]({guide.name}.ipynb) · [Python file]({guide.name}.py)"
    if results is None:
        needs = f" (it needs {', '.join(guide.requires)})" if guide.requires else ""
        links += f" · not run for this page{needs}"
    return f'<p class="downloads" markdown>{links}</p>'


def _block(guide: Guide, i: int, results: Results | None) -> str:
    cell = guide.cells[i]
    if cell.kind == "markdown":
        return cell.source
    blocks = [_code(cell)]
    if results is not None:
        blocks += [*_printed(results[i]["text"]), *_drawn(guide, i, results)]
    return "\n\n".join(blocks)


def _code(cell: Cell) -> str:
    language = "bash" if cell.kind == "bash" else "python"
    title = f' title="{cell.name}"' if cell.name else ""
    return f"```{language}{title}\n{cell.source}\n```"


def _printed(text: str) -> Iterator[str]:
    lines = text.rstrip().splitlines()
    if lines:
        shown = lines[:_LINES] + ["…"] * (len(lines) > _LINES)
        yield "\n".join(['```text title="Output"', *shown, "```"])


def _drawn(guide: Guide, i: int, results: Results) -> Iterator[str]:
    for j in range(len(results[i]["pictures"])):
        yield f"![{guide.title}: figure]({_picture(guide, i, j)})"


def _picture(guide: Guide, i: int, j: int) -> str:
    return f"{guide.name}-{i}-{j}.png"


# What a notebook needs before the commands of a shell and before a file.
_MAGIC = {"bash": "%%bash\n", "file": "%%writefile {name}\n", "code": ""}


def _notebook_cell(guide: Guide, i: int, results: Results | None) -> dict[str, Any]:
    cell, common = guide.cells[i], {"id": f"{guide.name.replace('_', '-')}-{i}", "metadata": {}}
    if cell.kind == "markdown":
        return common | {"cell_type": "markdown", "source": cell.source}
    source = _MAGIC[cell.kind].format(name=cell.name) + cell.source
    outputs = [] if results is None else list(_outputs(results[i]))
    made = {"source": source, "execution_count": None, "outputs": outputs}
    return common | {"cell_type": "code"} | made


def _outputs(result: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if result["text"]:
        yield {"output_type": "stream", "name": "stdout", "text": result["text"]}
    for picture in result["pictures"]:
        data = {"image/png": picture}
        yield {"output_type": "display_data", "data": data, "metadata": {}}
