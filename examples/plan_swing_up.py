"""Swing up the double pendulum by MPPI: planned in truth and in learned models, executed in truth.

    python examples/plan_swing_up.py --models truth,LNN,Baseline --seeds 5

needs the extra `plots`; writes planning.png and planning.json. Minutes on two cores, most of them
the LNN's. The MLP knows one step only: --models MLP --dt 0.05 --horizon 50.
"""

import argparse
import json

import gymnasium
import numpy as np
from matplotlib.figure import Figure

from gym_lagrangian.planning import MPPI, Policy

TRUTH = "DoublePendulum-v0"


def episodes(model: str, planner: MPPI, dt: float, seeds: int, seed: int, steps: int):
    """One episode a seed, all at once: returns, success at the end, and heights (seeds, steps)."""
    envs = gymnasium.make_vec(TRUTH, num_envs=seeds, vectorization_mode="vector_entry_point")
    env_id = TRUTH if model == "truth" else f"DoublePendulum{model}-v0"
    policy = Policy(env_id, planner, dt=dt, seed=seed)
    _, info = envs.reset(seed=seed)
    total, running, heights = np.zeros(seeds), np.ones(seeds, bool), []
    for _ in range(steps):
        _, reward, _, _, info = envs.step(policy.act(info["state"]))
        running &= ~info["diverged"]
        total += running * reward
        heights.append(-np.cos(info["state"][:, :2]).sum(axis=1))
    return total, info["success"] & running, np.array(heights).T


def picture(results: dict, path: str) -> None:
    """Height of the tip over time, one line a seed, one panel a model."""
    figure = Figure(figsize=(7, 1.8 * len(results)), layout="constrained")
    panels = figure.subplots(len(results), sharex=True, sharey=True, squeeze=False)[:, 0]
    for axes, (model, (_, success, heights)) in zip(panels, results.items(), strict=True):
        time = 0.05 * np.arange(1, heights.shape[1] + 1)
        axes.plot(time, heights.T, color="tab:blue", alpha=0.35, lw=0.8)
        held = f"{success.sum()} of {len(success)} hold at the end"
        axes.set_title(f"planned in {model}: {held}", loc="left", fontsize="medium")
        axes.set_ylabel("height (m)")
    panels[-1].set_xlabel("time (s)")
    figure.savefig(path, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default="truth,LNN,Baseline", help="also HNN, DeLaN, NODE …")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0, help="the first of them")
    parser.add_argument("--steps", type=int, default=500, help="of 0.05 s; at most 500")
    parser.add_argument("--samples", type=int, default=1024)
    parser.add_argument("--horizon", type=int, default=25, help="planned actions")
    parser.add_argument("--dt", type=float, default=0.1, help="seconds of a planned action")
    parser.add_argument("--out", default="planning", help="written: OUT.png, OUT.json")
    options = parser.parse_args()

    planner = MPPI(samples=options.samples, horizon=options.horizon)
    results, table = {}, {}
    for model in options.models.split(","):
        how = (planner, options.dt, options.seeds, options.seed, options.steps)
        results[model] = total, success, _ = episodes(model, *how)
        table[model] = {"returns": total.tolist(), "success": success.tolist()}
        share = success.mean()
        print(f"{model:16} return {total.mean():.1f} ± {total.std():.1f}, success {share:.0%}")
        with open(f"{options.out}.json", "w") as file:
            json.dump({"options": vars(options), "models": table}, file, indent=1)
        picture(results, f"{options.out}.png")


if __name__ == "__main__":
    main()
