"""Six tasks with friction, learned while acting, at a fraction of the samples of others.

    python examples/phihp_tasks.py --models DeLaN --seeds 10 --out phihp

"Physics-Informed Model and Hybrid Planning" (Asri et al., RLC 2024, arXiv 2407.02217) is given the
equations without friction. Here nothing is given. Theirs step by Euler's method, these move
exactly. An agent acts for a share of their samples, then its last model is judged in 10 episodes.
`--truth` plans in the truth. The same command goes on where it was stopped.
"""

import argparse
import json
import statistics
import warnings
from pathlib import Path

from phihp.setups import SETUPS
from while_acting.runs import learned

from gym_lagrangian.acting import Planning
from gym_lagrangian.planning import policy_for


def judged(setup, env, where, seed, episodes):
    """The mean return of planning in `where`, acting in `env`."""
    policy = policy_for(where, planner=setup.planner, dt=env.unwrapped.dt, seed=seed)
    returns = []
    for episode in range(episodes):
        policy.reset(seed=episode)
        _, info = env.reset(seed=1000 * seed + episode)
        over, total = False, 0.0
        while not over:
            _, reward, terminated, truncated, info = env.step(policy.act(info))
            total, over = total + reward, terminated or truncated
        returns.append(total)
    return statistics.mean(returns)


def run(name, model, seed, options):
    env = (setup := SETUPS[name]).made()
    if model == "truth":
        return judged(setup, env, env, seed, options.episodes)
    out = options.out / name.replace(" ", "-") / model / str(seed)
    budget = options.share * setup.samples * env.unwrapped.dt
    how = {"strategy": Planning(setup.planner, regulated=True), "budget": budget, "seed": seed}
    learned(env, model, options.fit_steps, random=budget / 5, out=out, **how)
    where = setup.made(checkpoint=str(out / "model.safetensors"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return judged(setup, env, where, seed, options.episodes)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", nargs="+", choices=SETUPS, default=[*SETUPS])
    parser.add_argument("--models", nargs="+", default=["DeLaN", "LNN", "Baseline", "MLP"])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--share", type=float, default=0.1, help="of their samples")
    parser.add_argument("--episodes", type=int, default=10)
    parser.add_argument("--fit-steps", type=int, help="of every fit; default: those of learn")
    parser.add_argument("--truth", action="store_true", help="plan in the truth, learn nothing")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    record = options.out / "results.json"
    results = json.loads(record.read_text()) if record.exists() else {}
    for name in options.tasks:
        for model in ["truth"] if options.truth else options.models:
            rows = results.setdefault(f"{name} {model}", [])
            for seed in range(len(rows), options.seeds):
                rows.append(run(name, model, seed, options))
                record.write_text(json.dumps(results, indent=1))
                print(name, model, seed, round(rows[-1], 1), flush=True)
    print("| task, model | mean return | least | theirs |\n|---|---|---|---|")
    for key, rows in results.items():
        theirs = SETUPS[key.rpartition(" ")[0]].theirs
        print(f"| {key} | {statistics.mean(rows):.0f} | {min(rows):.0f} | {theirs} |")


if __name__ == "__main__":
    main()
