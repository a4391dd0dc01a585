"""How much experience physics saves: models fitted to N recorded transitions, and what they do.

    python examples/from_data_alone.py --out from_data

needs the extra `plots`, and one or two hours; OUT.json and OUT.png grow with every
result, and the same command continues.
"""

import argparse
import json
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path

import gymnasium
import numpy as np

from gym_lagrangian import FitConfig, collect, fit, functional
from gym_lagrangian.evaluation import free_motion, one_step_error
from gym_lagrangian.planning import MPPI, Policy
from gym_lagrangian.plots import spread_figure

truth = partial(gymnasium.make_vec, "DoublePendulum-v0", vectorization_mode="vector_entry_point")
WIDE = {"low": [-np.pi, -np.pi, -8, -8], "high": [np.pi, np.pi, 8, 8]}
PLANNER = MPPI(samples=512, elites=32, horizon=16)
PANELS = {"error": "error of a step / dt", "drift": "energy error, 10 s", "success": "swing-ups"}


def judge(path, steps, seed):
    """One step under random torques, free motion from 40 starts, and swing-up."""
    env, params = functional.make("DoublePendulum", checkpoint=path)
    error = one_step_error(params.dynamics, env.system, dt=0.05, forced=True)
    exact = functional.make("DoublePendulum")[1]
    motion, true = (free_motion(env, p, states=40, seed=0, seconds=10) for p in (params, exact))
    drift, success = np.median(motion.error(true)[-1]), swing_up(env, params, steps, seed)
    return {"error": error, "drift": float(drift), "success": success}


def swing_up(env, params, steps, seed):
    """The share of 4 episodes that MPPI, planning in the model, brings to success in truth."""
    if params.dynamics.fixed_dt:  # two of its steps are one of the plan
        params = replace(params, dynamics=replace(params.dynamics, repeats=2))
    policy = Policy((env, params), PLANNER, dt=0.1, seed=seed)
    envs, held = truth(4), np.zeros(4, bool)
    info = envs.reset(seed=1000 * (seed + 1))[1]
    for step in range(steps):
        info = envs.step(policy.act(info["state"]))[-1]
        held |= info["success"] & (info["time"] > 0.05 * step)  # in the first episode alone
        if held.all():
            break
    return float(held.mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=["LNN", "MLP", "Baseline", "DeLaN"])
    parser.add_argument("--counts", nargs="+", type=int, default=[300, 500, 1500, 5000, 50000])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--fit-steps", type=int, default=12000)
    parser.add_argument("--steps", type=int, default=200, help="of a swing-up, 0.05 s each")
    parser.add_argument("--out", default="from_data")
    options = parser.parse_args()
    record, path = Path(f"{options.out}.json"), f"{options.out}.safetensors"
    rows = json.loads(record.read_text()) if record.exists() else []
    for seed, count, model in product(range(options.seeds), options.counts, options.models):
        key = {"model": model, "transitions": count, "seed": seed}
        if not any(key.items() <= row.items() for row in rows):
            data = collect(truth(25), count, options=WIDE, episode_steps=20, seed=seed)
            config = FitConfig.of(model, steps=options.fit_steps, seed=seed)
            fit(data, model, out=path, config=config, metrics=False, overwrite=True)
            rows.append(key | judge(path, options.steps, seed))
            print(rows[-1], flush=True)
            record.write_text(json.dumps(rows, indent=1))
            figure = spread_figure(rows, "transitions", PANELS, shares=["success"])
            figure.savefig(f"{options.out}.png")


if __name__ == "__main__":
    main()
