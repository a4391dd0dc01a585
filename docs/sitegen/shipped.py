"""Tables of the checkpoints that the package ships, from their cards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import safe_open

from gym_lagrangian import checkpoints

_HEADER = (
    "Acceleration error",
    "The same under forces",
    "One step",
    "Velocity after 1 s",
    "Energy after 10 s",
    "after 100 s",
)

#: What the columns of a table mean.
LEGEND = """\
The numbers are on the checkpoints' cards. They are measured on states of the system's own
distribution, where the exact simulation is the truth.

* *Acceleration error*: mean over states of Σ|q̈ error| in rad/s² and m/s². An `MLP` has none.
* *One step*: mean of Σ|error of the state| / dt, without forces.
* *Velocity after 1 s*: median over starts of the largest velocity error within a second of free
  motion, as a share of a typical velocity.
* *Energy*: median over starts of |true energy of the predicted state − true energy|, as a share of
  the system's energy scale, in free motion.
"""


class Shipped(NamedTuple):
    """A checkpoint: its name, its system, its model, and the metrics on its card."""

    name: str
    system: str
    model: str
    metrics: dict[str, Any]


def shipped() -> Iterator[Shipped]:
    """Every checkpoint of the package, by name; of its file, the header alone is read."""
    folder = Path(checkpoints.__file__).parent
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="numpy") as file:
            card = json.loads(file.metadata()["gym_lagrangian"])["card"]
        system = card["system"] if "system" in card else card["coordinates"]["name"]
        yield Shipped(path.stem, system, card["model"], card["metrics"])


def table(rows: list[Shipped], first: str) -> str:
    """The rows as a table in Markdown, under the heading `first`."""
    if not rows:
        return "None ships.\n"
    lines = ["| " + " | ".join((first, *_HEADER)) + " |", "|---" * 7 + "|"]
    for row in rows:
        lines.append("| " + " | ".join((f"`{row.name}`", *_numbers(row.metrics))) + " |")
    return "\n".join(lines) + "\n"


def _numbers(metrics: dict[str, Any]) -> Iterator[str]:
    for key in ("acceleration_loss", "acceleration_loss_forced", "one_step_error"):
        yield _number(metrics.get(key))
    yield _number(metrics.get("velocity_error", {}).get("median"))
    for time in (10, 100):
        yield _number(metrics.get(f"energy_discrepancy_{time}s", {}).get("median"))


def _number(value: float | None) -> str:
    return "—" if value is None else f"{value:.2g}"
