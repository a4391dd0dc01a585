"""Six tasks with friction, learned while acting, at a fraction of the samples of others.

    python examples/phihp_tasks.py --models DeLaN --seeds 10 --out phihp

"Physics-Informed Model and Hybrid Planning" (Asri et al., RLC 2024, arXiv 2407.02217) is given the
equations without friction. Here nothing is given. Theirs step by Euler's method, these move
exactly. An agent acts for a share of their samples, then it is judged in 10 episodes. `--truth`
plans in the truth, where a task is planned. The same command goes on where it was stopped.
"""

import argparse
import json
import statistics
from pathlib import Path

from phihp.setups import SETUPS
from while_acting.runs import learned

from gym_lagrangian.acting import Planning
from gym_lagrangian.planning import policy_for


def judged(setup, actor_of, seed, episodes):
    """The mean return of episodes, each with an actor of its own."""
    returns, env = [], setup.made()
    for episode in range(episodes):
        act, over, time, total = actor_of(episode), False, 0.0, 0.0
        observation, info = env.reset(seed=1000 * seed + episode)
        while not over:
            action = act(info["state"], observation, time)
            observation, reward, *ends, info = env.step(action)
            time, total, over = time + env.unwrapped.dt, total + reward, any(ends)
        returns.append(total)
    return statistics.mean(returns)


def run(name, model, seed, options):
    setup = SETUPS[name]
    if model == "truth":
        return judged(setup, planned(setup, seed), seed, options.episodes)
    env, out = setup.made(), options.out / name.replace(" ", "-") / model / str(seed)
    budget = options.share * setup.samples * env.unwrapped.dt
    how = {"strategy": setup.strategy, "budget": budget, "random": budget / 5, "seed": seed}
    found = learned(env, model, options.fit_steps, out=out, episode=setup.episode, **how)
    return judged(setup, found.actor, seed, options.episodes)


def planned(setup, seed):
    """Actors that plan in the truth."""
    env, planner = setup.made(), setup.strategy.planner
    policy = policy_for(env, planner=planner, dt=env.unwrapped.dt, seed=seed)

    def actor(episode):
        policy.reset(seed=episode)
        return lambda state, observation, time: policy.act(state, time=time)

    return actor


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
    planned_ones = [name for name in options.tasks if isinstance(SETUPS[name].strategy, Planning)]
    for name in planned_ones if options.truth else options.tasks:
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
