"""How much experience physics saves: models fitted to N recorded transitions, and what they do.

    python examples/from_data_alone.py --out from_data

needs the extra `plots`; writes OUT.json as results come (run again, it goes on) and OUT.png. An
hour of one core. Swing-up: planned by MPPI in the model, executed in truth, within 15 s.
"""

import argparse
import itertools
import json
from pathlib import Path

import gymnasium
import numpy as np
from matplotlib.figure import Figure

from gym_lagrangian import FitConfig, collect, fit, functional
from gym_lagrangian.evaluation import free_motion, one_step_error
from gym_lagrangian.planning import MPPI, Policy

WIDE = {"low": [-np.pi, -np.pi, -8, -8], "high": [np.pi, np.pi, 8, 8]}
PANELS = {"error": "error of one step (rad/s²)", "drift": "energy error at 10 s", "success": "swing-ups"}


def truth(count: int):
    return gymnasium.make_vec("DoublePendulum-v0", count, vectorization_mode="vector_entry_point")


def judge(path: str, episodes: int, steps: int, seed: int) -> dict[str, float]:
    """One step under random forces, free motion for 10 s, and the share of successful swing-ups."""
    env, params = functional.make("DoublePendulum", checkpoint=path)
    exact = functional.make("DoublePendulum")[1]
    error = one_step_error(params.dynamics, env.system, dt=0.05, forced=True, states=2000)
    runs = [free_motion(env, p, states=40, seed=0, seconds=10.0) for p in (params, exact)]
    dt = params.dynamics.fixed_dt or 0.1  # two seconds ahead, and noise as slow, for every model
    planner = MPPI(samples=256, horizon=round(2.0 / dt), smoothness=0.5 ** (dt / 0.1))
    policy, envs, held = Policy((env, params), planner, dt=dt, seed=seed), truth(episodes), False
    _, info = envs.reset(seed=1000 * (seed + 1))
    for _ in range(steps):
        *_, info = envs.step(policy.act(info["state"]))
        held |= info["success"]
        if np.all(held):
            break
    drift = np.median(runs[0].error(runs[1])[-1])
    return {"error": error, "drift": float(drift), "success": float(np.mean(held))}


def picture(results: list[dict], path: Path) -> None:
    """Against N, the mean (the geometric one of errors) over seeds, and the range."""
    figure = Figure(figsize=(11, 3.2), layout="constrained")
    for axes, (name, label) in zip(figure.subplots(1, 3), PANELS.items(), strict=True):
        for model in dict.fromkeys(row["model"] for row in results):
            counts = sorted({row["transitions"] for row in results if row["model"] == model})
            kept = [[r[name] for r in results if (r["model"], r["transitions"]) == (model, n)] for n in counts]
            mean = np.mean if name == "success" else lambda v: np.exp(np.mean(np.log(v)))
            (line,) = axes.plot(counts, [mean(v) for v in kept], "o-", ms=3, label=model)
            axes.fill_between(counts, *([f(v) for v in kept] for f in (min, max)), alpha=0.15, color=line.get_color())
        axes.set(xscale="log", yscale="linear" if name == "success" else "log", xlabel="transitions", title=label)
    axes.legend()
    figure.savefig(path, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default="LNN,MLP,Baseline,DeLaN")
    parser.add_argument("--transitions", default="500,1500,5000,15000,50000")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=8000, help="of a fit")
    parser.add_argument("--episodes", type=int, default=4, help="swing-ups a model")
    parser.add_argument("--noise", type=float, default=0.0)
    parser.add_argument("--out", type=Path, default=Path("from_data"))
    options = parser.parse_args()
    record = options.out.with_suffix(".json")
    results = json.loads(record.read_text()) if record.exists() else []
