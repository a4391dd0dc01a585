"""The tables as Markdown, and what machine and versions they come from."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path
from typing import Any

VERSIONS = """
import importlib.metadata as m, json
names = "gym-lagrangian gymnasium jax jaxlib equinox numpy gymnax brax mujoco".split()
found = {d.metadata["Name"].lower(): d.version for d in m.distributions()}
print(json.dumps({n: found[n] for n in names if n in found}))
"""


def versions(python: Path) -> str:
    """Name and version of what an interpreter has, as JSON."""
    command = [str(python), "-c", VERSIONS]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def machine() -> dict[str, Any]:
    """Processor, cores, load and Python."""
    model = platform.processor()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = (line for line in info.read_text().splitlines() if line.startswith("model name"))
        model = next(lines, model).split(":")[-1].strip()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "load": load,
        "python": platform.python_version(),
        "system": platform.platform(),
    }


def markdown(result: dict[str, Any]) -> str:
    """The whole result, to read."""
    lines = ["# Benchmarks", ""]
    lines += [f"- {name}: {value}" for name, value in result["machine"].items()]
    lines += [f"- versions, {name}: {value}" for name, value in result["versions"].items()]
    lines += [f"- {result['repeats']} rounds of {result['seconds']} s a row; medians", ""]
    for table in result["tables"]:
        lines += [f"## {table['title']}", ""]
        lines += ["| | a second | lowest – highest | ratio | q̈ a second | multiply–adds a second"]
        lines[-1] += " | cores | startup (s) | peak memory (MB) |"
        lines += ["|---|---|---|---|---|---|---|---|---|"]
        lines += [_line(row) for row in table["rows"]]
        lines += [""]
    return "\n".join(lines)


def _line(row: dict[str, Any]) -> str:
    spread = f"{_short(row['lowest'])} – {_short(row['highest'])}"
    cells = [
        row["name"],
        _short(row["rate"]),
        spread,
        f"{row['ratio']:.2f}",
        _short(row["evaluations"]),
        _short(row["multiply_adds"]),
        f"{row['cores']:.2f}",
        f"{row['startup']:.1f}",
        f"{row['memory']:.0f}",
    ]
    return f"| {' | '.join(cells)} |"


def _short(value: float | None) -> str:
    if value is None:
        return ""
    for size, suffix in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= size:
            return f"{value / size:.3g}{suffix}"
    return f"{value:.3g}"
