"""Which model for which system: every model trained on every system, judged by one table.

    python examples/models_by_system.py --out systems

trains 3 seeds of each, in about a minute a model. What the folder has is not trained again.
"""

import argparse
import json
from itertools import product
from pathlib import Path

import numpy as np

from gym_lagrangian import checkpoints, train
from gym_lagrangian.evaluation.measure import losses
from gym_lagrangian.evaluation.motion import energy_balance, free_motion_of
from gym_lagrangian.learning.config import TrainingConfig

SYSTEMS = ["PilcoCartPole", "DfkiC1", "TriplePendulum", "Furuta", "ChargedParticle"]
MODELS = ["LNN", "DeLaN", "Baseline"]
COLUMNS = {"one step": "one_step_error", "forced": "one_step_error_forced"}
# The rig is at rest after some seconds, and dear to simulate.
SECONDS = {"DfkiC1": 10.0}


def judged(folder, system, model, seed, steps):
    """What a model is wrong by, of its file where there is one."""
    path = folder / f"{system}{model}-{seed}.safetensors"
    if not path.exists():
        recipe = TrainingConfig.of(model, system, steps=steps, seed=seed)
        train(system, model, out=path, config=recipe, overwrite=True, metrics=False)
    found = checkpoints.load(path)
    truth, seconds = found.card.build_system(), SECONDS.get(system, 100.0)
    motion = free_motion_of(found.model, truth, dt=0.05, states=40, seconds=seconds)
    balance = energy_balance(motion, times=(seconds,))[0].summary()
    return losses(found.model, truth, dt=0.05) | {"balance": balance}


def spread(values):
    """The mean, and the least and the largest value."""
    return f"{np.mean(values):.2g} ({min(values):.2g} – {max(values):.2g})"


def row(system, model, found):
    """A line of the table; a motion that left its range has no balance to speak of."""
    cells = [spread([one[name] for one in found]) for name in COLUMNS.values()]
    lost = sum(one["balance"]["diverged"] for one in found)
    medians = [100 * one["balance"]["median"] for one in found]
    return f"| {system} | `{model}` | {' | '.join(cells)} | {spread(medians)} %, {lost} left |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--systems", nargs="+", default=SYSTEMS)
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--out", type=Path, default=Path("systems"))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    names = [*COLUMNS, "balance of energy"]
    lines = [f"| System | Model | {' | '.join(names)} |", "|---|---|" + "---|" * len(names)]
    results = {}
    for system, model in product(given.systems, given.models):
        found = [judged(given.out, system, model, s, given.steps) for s in range(given.seeds)]
        results[f"{system}{model}"] = found
        lines.append(row(system, model, found))
        print(lines[-1], flush=True)
        (given.out / "table.md").write_text("\n".join(lines) + "\n")
        (given.out / "results.json").write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
