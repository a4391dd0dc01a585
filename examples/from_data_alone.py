"""How much experience physics saves: models fitted to N recorded transitions, and what they do.

    python examples/from_data_alone.py --out from_data

needs the extra `plots`; an hour of one core. Writes OUT.json as results come (the same command
goes on where it stopped) and OUT.png: mean and range over seeds.
"""

import argparse
import json
import tempfile
from dataclasses import replace
from itertools import product
from pathlib import Path

import gymnasium
import numpy as np
from matplotlib.figure import Figure

from gym_lagrangian import FitConfig, collect, evaluation, fit, functional
from gym_lagrangian.planning import MPPI, Policy

WIDE = {"low": [-np.pi, -np.pi, -8, -8], "high": [np.pi, np.pi, 8, 8]}
PANELS = {"error": "error of a step / dt", "drift": "energy error, 10 s", "success": "swing-ups"}


def truth(count):
    return gymnasium.make_vec("DoublePendulum-v0", count, vectorization_mode="vector_entry_point")


def swing_up(env, params, episodes, steps, seed):
    """The share of episodes that MPPI, planning in the model, brings to success in truth."""
    if params.dynamics.fixed_dt:  # two of its steps are one of the plan: all plan alike
        params = replace(params, dynamics=replace(params.dynamics, repeats=2))
    policy = Policy((env, params), MPPI(samples=256, horizon=20), dt=0.1, seed=seed)
    envs, held = truth(episodes), np.zeros(episodes, bool)
    _, info = envs.reset(seed=1000 * (seed + 1))
    for _ in range(steps):
        *_, info = envs.step(policy.act(info["state"]))
        held |= info["success"]
        if held.all():
            break
    return float(held.mean())


def judge(path, *how):
    """One step under random torques, free motion from 40 starts, and swing-up."""
    (env, params), (_, exact) = (
        functional.make("DoublePendulum", checkpoint=checkpoint) for checkpoint in (path, None)
    )
    how_far = {"states": 40, "seed": 0, "seconds": 10.0}
    motion, true = (evaluation.free_motion(env, p, **how_far) for p in (params, exact))
    error = evaluation.one_step_error(params.dynamics, env.system, dt=0.05, forced=True)
    drift = float(np.median(motion.error(true)[-1]))
    return {"error": error, "drift": drift, "success": swing_up(env, params, *how)}


def picture(rows, path):
    figure = Figure(figsize=(10, 3.2), layout="constrained")
    for axes, (name, title) in zip(figure.subplots(1, 3), PANELS.items(), strict=True):
        linear = name == "success"
        for model in dict.fromkeys(row["model"] for row in rows):
            mine = [row for row in rows if row["model"] == model]
            counts = sorted({row["transitions"] for row in mine})
            values = [[r[name] for r in mine if r["transitions"] == count] for count in counts]
            means = [np.mean(v) if linear else np.exp(np.mean(np.log(v))) for v in values]
            (line,) = axes.plot(counts, means, "o-", ms=3, label=model)
            low, high = [min(v) for v in values], [max(v) for v in values]
            axes.fill_between(counts, low, high, alpha=0.15, color=line.get_color())
        scale = "linear" if linear else "log"
        axes.set(xscale="log", yscale=scale, xlabel="recorded transitions", title=title)
    axes.legend()
    figure.savefig(path, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default="LNN,MLP,Baseline,DeLaN")
    parser.add_argument("--transitions", default="500,1500,5000,15000,50000")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=8000, help="of a fit")
    parser.add_argument("--episodes", type=int, default=4, help="swing-ups to try, a model")
    parser.add_argument("--limit", type=int, default=300, help="steps of 0.05 s, a swing-up")
    parser.add_argument("--noise", type=float, default=0.0, help="on the recorded states")
    parser.add_argument("--out", default="from_data")
    options = parser.parse_args()

    record, done = Path(f"{options.out}.json"), []
    if record.exists():
        done = json.loads(record.read_text())
    counts = [int(count) for count in options.transitions.split(",")]
    path = Path(tempfile.mkdtemp()) / "fitted.safetensors"
    for seed in range(options.seeds):
        data = collect(
            truth(max(1, max(counts) // 1000)),
            max(counts),
            options=WIDE,
            episode_steps=20,
            noise=options.noise,
            seed=seed,
        )
        for count, model in product(counts, options.models.split(",")):
            key = {"model": model, "transitions": count, "seed": seed}
            if any(key.items() <= row.items() for row in done):
                continue
            config = FitConfig(steps=options.steps, seed=seed)
            fit(data.first(count), model, out=path, config=config, metrics=False, overwrite=True)
            done.append(key | judge(str(path), options.episodes, options.limit, seed))
            print(json.dumps(done[-1]), flush=True)
            record.write_text(json.dumps(done, indent=1))
            picture(done, f"{options.out}.png")


if __name__ == "__main__":
    main()
