"""MuJoCo's double pole on a cart and its reacher, learned while acting: real seconds until success.

    python examples/mujoco_while_acting.py --models DeLaN LNN Baseline MLP --seeds 3 --out mujoco

A success of `InvertedDoublePendulum-v5` is a return above 9,000: nothing falls for 50 s. One of
`Reacher-v5` has the fingertip within 2 cm of its target, a tenth of its reach, from .8 s on. Random
actions come first, 5 and 2 s of them. All seconds count; a run ends at so many successes in a row.
The same command goes on where it was stopped. Extra `mujoco`.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from while_acting.runs import learned
from while_acting.spread import spread


def stays_up(lived):
    return float(lived.episode.rewards.sum()) > 9000.0


def at_target(lived):
    """The last numbers of an observation lead from the target to the fingertip."""
    offsets = np.asarray(lived.episode.observations)[40:, 8:10]
    return len(offsets) > 0 and bool(np.all(np.linalg.norm(offsets, axis=1) < 0.02))


# Criterion, random seconds, and the real seconds after which a run counts as failed.
ENVS = {"InvertedDoublePendulum-v5": (stays_up, 5.0, 400.0), "Reacher-v5": (at_target, 2.0, 20.0)}


def run(env_id, model, seed, options):
    """Seconds until the first success and until all succeed, and the returns once it plans."""
    success, random, budget = ENVS[env_id]
    how = {"success": success, "successes": options.successes, "random": random, "seed": seed}
    out = options.out / env_id / model / str(seed)
    budget = options.budget or budget
    found = learned(env_id, model, options.fit_steps, budget=budget, out=out, **how)
    returns = [line["return"] for line in found.history if line["kind"] != "random"]
    return {"first": found.until_first, "always": found.until_always, "returns": returns}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--envs", nargs="+", choices=ENVS, default=[*ENVS])
    parser.add_argument("--models", nargs="+", default=["DeLaN", "LNN", "Baseline", "MLP"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--successes", type=int, default=6)
    parser.add_argument("--budget", type=float, help="real seconds; default: 400 and 20")
    parser.add_argument("--fit-steps", type=int, help="of every fit; default: those of learn")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    results = {}
    for env_id in options.envs:
        for model in options.models:
            rows = results.setdefault(f"{env_id} {model}", [])
            for seed in range(options.seeds):
                rows.append(run(env_id, model, seed, options))
                print(env_id, model, seed, rows[-1], flush=True)
                (options.out / "results.json").write_text(json.dumps(results, indent=1))
    print("| environment, model | first success after | always after |\n|---|---|---|")
    for name, rows in results.items():
        first, always = (spread([row[key] for row in rows]) for key in ("first", "always"))
        print(f"| {name} | {first} | {always} |")


if __name__ == "__main__":
    main()
