"""Control that is learned in a model of an environment alone, and judged in the environment.

    python examples/control_learned_inside.py --out learned_environments

Reacher-v5 and Acrobot-v1: PPO is trained in the learned twin, in one jit, and judged by
(R − R_random) / (R_truth − R_random) in 10 episodes, R_truth being that of PPO trained in truth.
InvertedDoublePendulum-v5: the regulator at the goal, in the model, and its return. Models are
those of `other_environments.py`, whose folder may be given. What is there is not computed again.
"""

import argparse
import json
from itertools import product
from pathlib import Path

import gymnasium
import jax
import jax.numpy as jnp
from gymnasium_envs.policies import policies
from gymnasium_envs.results import table
from gymnasium_envs.setups import SETUPS
from gymnasium_envs.truth import in_truth
from gymnasium_envs.twin import fitted, twin_of
from ppo_in_one_jit import forward, train

from gym_lagrangian import collect
from gym_lagrangian.adapters import tasks
from gym_lagrangian.planning import lqr

EPISODES, FIRST = 10, 1000  # those judged: how many, and their first seed


class Choices(tasks.Acrobot):
    """Acrobot with its three actions, of which the nearest is taken."""

    def generalized_force(self, q, qd, action):
        return super().generalized_force(q, qd, jnp.round(action))


TWINS = {"Reacher-v5": tasks.Reacher, "Acrobot-v1": Choices}
POLE = "InvertedDoublePendulum-v5"


def ppo_inside(env_id, path, count, seed, options):
    """A policy that PPO has trained in a learned twin, by observations as large as those of random
    steps.
    """
    env, params = twin_of(env_id, path, TWINS[env_id])
    observed = collect(env_id, count, seed=seed).columns["observation"]
    scale = jnp.asarray(observed.std(axis=0) + 1e-2, jnp.float32)
    sizes = (options.envs_inside, options.updates)
    limits = {"max_steps": gymnasium.spec(env_id).max_episode_steps}
    limits["gamma"] = SETUPS[env_id].discount
    (actor, _, _), _ = train(env, params, scale, jax.random.key(seed), *sizes, **limits)
    return lambda at, noise: jnp.clip(forward(actor, env.task.observation(at) / scale), -1.0, 1.0)


def regulator(path):
    """The linear feedback that is best in a model's motion near the goal."""
    found = lqr(*twin_of(POLE, path))
    return lambda at, noise: found.action(at.q, at.qd)


def returns(env_id, act):
    """Of the judged episodes in truth."""
    return in_truth(env_id, act, EPISODES, FIRST).returns


def share_of_truth(env_id, count, seed, options):
    """Returns in truth of PPO from inside, from truth and at random, and what they come to."""
    path = fitted(env_id, options.model, count, seed, options)
    known = policies(env_id, options.out, options.ppo_steps)
    acts = {"inside": ppo_inside(env_id, path, count, seed, options)}
    acts |= {"truth": known["PPO"], "random": known["random"]}
    found = {name: float(returns(env_id, act).mean()) for name, act in acts.items()}
    share = (found["inside"] - found["random"]) / (found["truth"] - found["random"])
    return found | {"share": share}


def upright(env_id, count, seed, options):
    """Returns in truth of the regulator."""
    found = returns(env_id, regulator(fitted(env_id, options.model, count, seed, options)))
    return {"mean": float(found.mean()), "least": float(found.min())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--envs", nargs="+", default=[*TWINS, POLE], choices=[*TWINS, POLE])
    parser.add_argument("--model", default="DeLaN")
    parser.add_argument("--counts", nargs="+", type=int, default=[500, 2000], help="real steps")
    numbers = {"--seeds": 5, "--fit-steps": 5000, "--envs-inside": 256, "--updates": 200}
    for name, number in numbers.items():
        parser.add_argument(name, type=int, default=number)
    parser.add_argument("--ppo-steps", type=int, help="in truth; default: by environment")
    parser.add_argument("--out", type=Path, default=Path("learned_environments"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    record = options.out / f"control-{options.model}.json"
    results = json.loads(record.read_text()) if record.exists() else {}
    for env_id, count in product(options.envs, options.counts):
        rows = results.setdefault(f"{env_id}, {count} steps", [])
        for seed in range(len(rows), options.seeds):
            judged = upright if env_id == POLE else share_of_truth
            rows.append(judged(env_id, count, seed, options))
            record.write_text(json.dumps(results, indent=1))
            (options.out / f"control-{options.model}.md").write_text(table(results))
            print(env_id, count, seed, rows[-1], flush=True)
    print(table(results))


if __name__ == "__main__":
    main()
