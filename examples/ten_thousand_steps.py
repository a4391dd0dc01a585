"""Ramesh & Ravindran's swing-ups within 10,000 real steps, 100 s, learned while acting.

    python examples/ten_thousand_steps.py --models DeLaN LNN Baseline --seeds 3 --out ten_thousand

Machines, episodes of 1,000 steps of .01 s and rewards are theirs (L4DC 2023, arXiv 2212.02179). A
return is the mean of the last three episodes, next to it the best of all. An agent begins with 10 s
of random actions. The same command goes on where it was stopped.
"""

import argparse
import json
import statistics
from pathlib import Path

import jax.numpy as jnp
from while_acting.runs import learned

from gym_lagrangian.systems.chain_tasks import SwingUp

ENVS = ["RameshCartTwoPole-v0", "RameshAcrobot-v0"]


def tolerance(x, margin):
    """1 at 0 and .1 at the margin, as dm_control's of the same name."""
    return 0.1 ** ((x / margin) ** 2)


class Upright(SwingUp):
    """The mean uprightness of the links, less where they turn fast or the cart is off-centre."""

    def reward(self, before, action, after):
        first = self.kind.first
        upright = jnp.mean(0.5 * (1.0 + jnp.cos(self.from_upright(after.q))))
        slow = 0.5 * (1.0 + jnp.min(tolerance(after.qd[first:], 20.0)))
        centred = 0.5 * (1.0 + tolerance(after.q[0], 2.0)) if first else 1.0
        return upright * slow * centred


def run(env_id, model, seed, options):
    """The returns of one agent's episodes, random ones left out."""
    out = options.out / env_id / model / str(seed)
    how = {"task": Upright, "budget": 0.01 * options.steps, "out": out, "seed": seed}
    found = learned(env_id, model, options.fit_steps, random=10.0, **how)
    return [line["return"] for line in found.history if line["kind"] != "random"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--envs", nargs="+", default=ENVS)
    parser.add_argument("--models", nargs="+", default=["DeLaN", "LNN", "Baseline"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--fit-steps", type=int, help="of every fit; default: those of learn")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    results = {}
    for env_id in options.envs:
        for model in options.models:
            for seed in range(options.seeds):
                returns = run(env_id, model, seed, options)
                row = {"last": statistics.mean(returns[-3:]), "best": max(returns)}
                results.setdefault(f"{env_id} {model}", []).append(row | {"all": returns})
                print(env_id, model, seed, row, flush=True)
                (options.out / "results.json").write_text(json.dumps(results, indent=1))
    print("| environment, model | last three | best |\n|---|---|---|")
    for name, rows in results.items():
        last, best = ([f"{row[key]:.0f}" for row in rows] for key in ("last", "best"))
        print(f"| {name} | {', '.join(last)} | {', '.join(best)} |")


if __name__ == "__main__":
    main()
