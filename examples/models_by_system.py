"""Which model for which system: every model trained on every system, judged by one table.

    python examples/models_by_system.py --out systems

trains 3 seeds of each, in a few minutes a model. What the folder has is not trained again.
"""

import argparse
import json
from itertools import product
from pathlib import Path

import numpy as np

from gym_lagrangian import checkpoints, train
from gym_lagrangian.learning.config import TrainingConfig

SYSTEMS = [
    "PilcoCartPole",
    "DfkiC1",
    "TriplePendulum",
    "Furuta",
    "SphericalPendulum",
    "Kepler",
    "ChargedParticle",
]
MODELS = ["LNN", "DeLaN", "HNN", "Baseline"]
COLUMNS = {"one step": "one_step_error", "forced": "one_step_error_forced"}
BALANCE = "energy_balance_100s"


def trained(folder, system, model, seed, steps):
    """The metrics of a model, of its file where there is one."""
    path = folder / f"{system}{model}-{seed}.safetensors"
    if path.exists():
        return checkpoints.load(path).card.metrics
    config = TrainingConfig.of(model, system, steps=steps, seed=seed)
    return train(system, model, out=path, config=config, overwrite=True).card.metrics


def spread(values):
    """The mean, and the least and the largest value, of those that are there."""
    return f"{np.mean(values):.2g} ({min(values):.2g} – {max(values):.2g})"


def row(system, model, found):
    """A line of the table; a motion that left its range has no balance to speak of."""
    cells = [spread([metrics[name] for metrics in found]) for name in COLUMNS.values()]
    balances = [metrics[BALANCE] for metrics in found]
    lost = sum(balance["diverged"] for balance in balances)
    cells.append(f"{spread([100 * balance['median'] for balance in balances])} %, {lost} left")
    return f"| {system} | `{model}` | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--systems", nargs="+", default=SYSTEMS)
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=60_000)
    parser.add_argument("--out", type=Path, default=Path("systems"))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    names = [*COLUMNS, "energy balance after 100 s"]
    lines = [f"| System | Model | {' | '.join(names)} |", "|---|---|" + "---|" * len(names)]
    results = {}
    for system, model in product(given.systems, given.models):
        found = [trained(given.out, system, model, s, given.steps) for s in range(given.seeds)]
        results[f"{system}{model}"] = found
        lines.append(row(system, model, found))
        print(lines[-1], flush=True)
        (given.out / "table.md").write_text("\n".join(lines) + "\n")
        (given.out / "results.json").write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
