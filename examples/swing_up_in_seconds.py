"""Swing-ups learned while acting: real seconds until the first success, and until it always does.

    python examples/swing_up_in_seconds.py --tasks pendulum cart-pole --models DeLaN MLP \
        --seeds 10 --out swing_ups --picture swing_ups.png

PILCO's settings; the pendulum's episodes as Black-DROPS has them (10 Hz, 4 s, 2.5 N·m). The rig is
DFKI's double pendulum with its friction, one motor of 5 N·m, 100 Hz, 5 s. A success: the tip within
10 % of its length of the goal during the whole last second. An agent begins with one random
episode. All random ones count; a run ends at six successes in a row. The same command goes on where
it was stopped.
"""

import argparse
import json
from pathlib import Path

from tqdm import tqdm
from while_acting.runs import learned
from while_acting.spread import spread

TIP_UP = "gym_lagrangian.systems.chain_tasks:TipUp"
# What is made and how, and the real seconds after which a run counts as failed.
TASKS = {
    "pendulum": ("PilcoPendulum-v0", {"force_max": 2.5}, 40.0),
    "cart-pole": ("PilcoCartPole-v0", {"actuated": "x", "force_max": 10.0}, 60.0),
    "double-pendulum": (
        "PilcoDoublePendulum-v0",
        {"force_max": 2.0, "absolute_torques": True},
        60.0,
    ),
    "cart-double-pendulum": (
        "PilcoCartDoublePendulum-v0",
        {"actuated": "x", "force_max": 20.0},
        120.0,
    ),
    "rig-acrobot": ("DfkiAcrobot-v0", {"episode": 5.0}, 60.0),
    "rig-pendubot": ("DfkiPendubot-v0", {"episode": 5.0}, 60.0),
}


def run(task: str, model: str, seed: int, options: argparse.Namespace) -> dict:
    """One run, begun or gone on with."""
    env_id, motors, budget = TASKS[task]
    out = options.out / task / model / f"{seed:02d}"
    how = {"budget": options.budget or budget, "out": out, "seed": seed, "successes": 6}
    found = learned(env_id, model, options.fit_steps, task=TIP_UP, **motors, **how)
    return {"first": found.until_first, "always": found.until_always, "seconds": found.seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=[*TASKS])
    parser.add_argument("--models", nargs="+", default=["DeLaN", "LNN", "Baseline", "MLP"])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--budget", type=float, help="real seconds; default: by task, 40 to 120")
    parser.add_argument("--fit-steps", type=int, help="of every fit; default: those of learn")
    parser.add_argument("--picture", type=Path, help="a file; of the first model's runs in --out")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()

    runs = [(t, m, s) for t in options.tasks for m in options.models for s in range(options.seeds)]
    results: dict = {}
    for task, model, seed in tqdm(runs, unit="run"):
        results.setdefault(task, {}).setdefault(model, []).append(run(task, model, seed, options))
        (options.out / "results.json").write_text(json.dumps(results, indent=1))
    print("| task | model | first success after | always after |\n|---|---|---|---|")
    for task, models in results.items():
        for model, found in models.items():
            first, always = (spread([one[k] for one in found]) for k in ("first", "always"))
            print(f"| {task} | {model} | {first} | {always} |")
    if options.picture:
        from while_acting.picture import draw

        draw(options.out, options.tasks, options.models[0], options.picture)


if __name__ == "__main__":
    main()
