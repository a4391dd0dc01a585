"""A picture of swing-ups that were learned while acting: which episodes of which run succeeded."""

import json
from collections.abc import Iterator
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

INK, GOOD, BAD, RANDOM = "#1f2933", "#2a7f62", "#d8dee6", "#f0b429"


def draw(out: Path, names: list[str], model: str, file: Path) -> None:
    """Every run in the folder of results is a row, every episode a bar from its first real second
    to its last.
    """
    tasks = [(name, list(runs(out / name / model))) for name in names]
    tasks = [(name, found) for name, found in tasks if found]
    heights = [len(found) for _, found in tasks]
    figure, several = plt.subplots(
        len(tasks),
        figsize=(7.0, 0.5 + 0.45 * len(tasks) + 0.11 * sum(heights)),
        gridspec_kw={"height_ratios": heights},
        squeeze=False,
        layout="constrained",
    )
    for axes, (name, found) in zip(several[:, 0], tasks, strict=True):
        for row, history in enumerate(found):
            bars(axes, row, history)
        axes.set_title(name, loc="left", fontsize=9, color=INK)
        axes.set(yticks=[], ylim=(len(found) - 0.5, -0.5), xlim=(0, None))
        axes.spines[["top", "left", "right"]].set_visible(False)
    several[-1, 0].set_xlabel("real seconds", color=INK)
    kinds = {"random actions": RANDOM, "failed": BAD, "succeeded": GOOD}
    handles = [plt.Rectangle((0, 0), 1, 1, color=colour) for colour in kinds.values()]
    figure.legend(handles, kinds, loc="outside upper right", ncols=3, frameon=False, fontsize=8)
    figure.savefig(file, dpi=150)


def runs(folder: Path) -> Iterator[list[dict]]:
    """The histories of a task's runs."""
    for path in sorted(folder.glob("*/history.jsonl")):
        yield [json.loads(line) for line in path.read_text().splitlines()]


def bars(axes, row: int, history: list[dict]) -> None:
    """One run: its episodes, beside one another."""
    kinds = [RANDOM if one["kind"] == "random" else BAD for one in history]
    colours = [GOOD if one["success"] else k for k, one in zip(kinds, history, strict=True)]
    began = np.array([one["began"] for one in history])
    lasted = np.array([one["seconds"] for one in history]) - began
    axes.barh(np.full(len(began), row), lasted, left=began, color=colours, ec="white", lw=0.6)
