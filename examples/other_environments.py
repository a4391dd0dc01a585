"""Other people's environments learned from 2,000 random steps: errors, and returns in both worlds.

    python examples/other_environments.py --out learned_environments

Models are fitted to steps of each environment, 5 seeds of data and fit, and judged by
- one step: mean Σ|error of the state| / dt over other random steps;
- 20 steps: mean Σ|error of q| in m and rad, under the actions that a feedback took in truth;
- gaps: of the mean returns of three policies from 50 common starts, |learned − true| in per cent of
  best − random in truth.
The same command goes on where it was stopped.
"""

import argparse
import json
from itertools import product
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium_envs.policies import policies
from gymnasium_envs.setups import SETUPS
from gymnasium_envs.truth import in_truth, noise_of
from gymnasium_envs.twin import fitted, imagined, predicted, twin_of

from gym_lagrangian import collect

MODELS = ["LNN", "DeLaN", "Baseline", "MLP"]
ENVS = [name for name in SETUPS if name != "CartPole-v1"]
AHEAD, WATCHED = 20, 200


def apart(env, x, y):
    """|x − y| (N, 2n), of angles by the shorter way."""
    angles = np.array([*env.coordinates.angular, *[False] * env.coordinates.n])
    away = np.asarray(x, np.float64) - y
    return np.abs(np.where(angles, (away + np.pi) % (2 * np.pi) - np.pi, away))


def one_step(env, params, data):
    """Mean Σ|error of the state| / dt of recorded steps."""
    x, true = np.hstack([data.q, data.qd]), np.hstack([data.next_q, data.next_qd])
    given = (jnp.asarray(one, jnp.float32) for one in (x, data.tau, data.m))
    found = jax.vmap(lambda x, tau, m: params.dynamics.step(x, tau, m, params.dt))(*given)
    return float(apart(env, found, true).sum(axis=1).mean() / data.dt)


def ahead(env, params, episodes, fastest):
    """Mean Σ|error of q| after AHEAD steps, of the stretches of the first WATCHED ones."""
    ends = range(AHEAD, min(WATCHED, len(episodes.share)) + 1, AHEAD)
    kept = np.concatenate([episodes.running[t - 1] for t in ends])
    starts, true = (np.concatenate([episodes.x[t - d] for t in ends]) for d in (AHEAD, 0))
    share = np.concatenate([episodes.share[t - AHEAD : t].swapaxes(0, 1) for t in ends])
    found = predicted(env, params, starts.astype(np.float32), share, fastest)
    wrong = apart(env, found, true)[kept, : env.coordinates.n].sum(axis=1)
    return float(wrong.mean())


class World:
    """An environment with its policies, what they do in truth, and steps to judge by."""

    def __init__(self, env_id, options):
        self.env_id, self.fastest = env_id, SETUPS[env_id].fastest
        self.policies = policies(env_id, options.out, options.ppo_steps)
        self.truth = {
            name: in_truth(env_id, act, options.starts) for name, act in self.policies.items()
        }
        self.held_out = collect(env_id, options.transitions // 2, seed=10**6)
        self.noise = noise_of(env_id, options.starts)
        self.returns = {name: float(e.returns.mean()) for name, e in self.truth.items()}
        self.span = max(self.returns.values()) - self.returns["random"]

    def judged(self, path):
        """What a model is wrong by."""
        env, params = twin_of(self.env_id, path)
        gaps = {name: self.gap(env, params, name) for name in self.policies}
        return {
            "one step": one_step(env, params, self.held_out),
            "20 steps": ahead(env, params, self.truth["feedback"], self.fastest),
            **{f"gap {name}, %": gap for name, gap in gaps.items()},
        }

    def gap(self, env, params, name):
        """Of a policy's mean return, in per cent of best − random."""
        there = self.truth[name]
        starts = (there.x[0].astype(np.float32), there.goal)
        found = imagined(env, params, self.policies[name], *starts, self.noise, self.fastest)
        return 100 * abs(float(found.mean()) - self.returns[name]) / self.span


def table(results):
    """Mean, least and largest of the seeds, as Markdown; a cell is empty where nothing is known."""
    names = list({name: None for rows in results.values() for row in rows for name in row})
    lines = [f"| | {' | '.join(names)} |", "|---|" + "---|" * len(names)]
    for what, rows in results.items():
        cells = [spread([row[name] for row in rows if name in row]) for name in names]
        lines.append(f"| {what} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def spread(values):
    """The mean, and the least and the largest value."""
    return f"{np.mean(values):.3g} ({min(values):.3g} – {max(values):.3g})" if values else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--envs", nargs="+", default=ENVS, choices=SETUPS)
    parser.add_argument("--models", nargs="+", default=MODELS)
    numbers = {"--seeds": 5, "--transitions": 2000, "--fit-steps": 3000, "--starts": 50}
    for name, number in numbers.items():
        parser.add_argument(name, type=int, default=number)
    parser.add_argument("--ppo-steps", type=int, help="default: by environment")
    parser.add_argument("--out", type=Path, default=Path("learned_environments"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    record = options.out / "results.json"
    results = json.loads(record.read_text()) if record.exists() else {}
    for env_id in options.envs:
        world = None
        for model, seed in product(options.models, range(options.seeds)):
            rows = results.setdefault(f"{env_id} {model}", [])
            if len(rows) <= seed:
                world = world or World(env_id, options)
                results[f"{env_id} in truth"] = [world.returns]
                path = fitted(env_id, model, options.transitions, seed, options)
                rows.append(world.judged(path))
                record.write_text(json.dumps(results, indent=1))
                (options.out / "table.md").write_text(table(results))
                print(env_id, model, seed, rows[-1], flush=True)
    print(table(results))


if __name__ == "__main__":
    main()
