"""Policies trained inside learned dynamics, judged in truth beside policies trained in truth.

python examples/transfer.py --seeds 5 --out transfer
"""

import argparse
import json
from pathlib import Path

import gymnasium
import jax
import numpy as np
from ppo_in_one_jit import STEPS, forward, train

from gym_lagrangian import functional
from gym_lagrangian.plots import new_figure

# What moves the pendulum in training: `DoublePendulum-v0`, `…LNN-v0` or `…Baseline-v0`.
CHECKPOINTS = {"truth": None, "LNN": "DoublePendulumLNN", "Baseline": "DoublePendulumBaseline"}
COLOURS = {"truth": "black", "LNN": "C0", "Baseline": "C1"}
SCALE = np.array([1, 1, 1, 1, 4, 4], np.float32)  # of cosines, sines and rad/s in a swing-up


def judge(agent, count=64):
    """The first episode of each sub-environment in truth, without noise in the actions."""
    envs = gymnasium.make_vec("DoublePendulum-v0", count, "vector_entry_point")
    act = jax.jit(lambda observation: forward(agent[0], observation / SCALE))
    observation, _ = envs.reset(seed=0)
    total, running = np.zeros(count), np.ones(count, bool)
    for _ in range(500):
        observation, reward, _, truncated, infos = envs.step(np.asarray(act(observation)))
        total += reward * running
        success = infos["success"] & running
        running &= ~truncated
    return {"return": total.mean(), "success": success.mean()}


def draw(results, million, path):
    figure = new_figure(9, 3.5)
    curves, ends = figure.subplots(1, 2, width_ratios=(3, 2))
    for name, runs in results.items():
        for seed, run in enumerate(runs):
            x = np.linspace(0, million, len(run["curve"]))
            curves.plot(x, run["curve"], color=COLOURS[name], lw=0.8, label="_" * seed + name)
        ends.plot([name] * len(runs), [run["return"] for run in runs], "o", color=COLOURS[name])
    curves.set(xlabel="million steps", ylabel="return while training", ylim=(0, 500))
    curves.legend(title="trained in", frameon=False)
    ends.set(xlabel="trained in", ylabel="return in truth", xlim=(-0.5, 2.5), ylim=(0, 500))
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, number in (("--seeds", 5), ("--envs", 256), ("--updates", 300)):
        parser.add_argument(name, type=int, default=number)
    parser.add_argument("--out", type=Path, default=Path("transfer"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    sizes = (options.envs, options.updates)
    path = options.out / f"transfer-{options.envs}x{options.updates}.json"
    results = json.loads(path.read_text()) if path.exists() else {name: [] for name in COLOURS}
    for seed in range(options.seeds):
        for name, runs in results.items():
            if len(runs) <= seed:  # else it is there from an earlier run
                task = functional.make("DoublePendulum", checkpoint=CHECKPOINTS[name])
                agent, rewards = train(*task, SCALE, jax.random.key(seed), *sizes)
                runs.append(judge(agent) | {"curve": (500 * rewards).tolist()})
                path.write_text(json.dumps(results))
                print(f"{name:8} seed {seed}: {runs[-1]['return']:.1f}", flush=True)
    for name, runs in results.items():
        returns, success = np.array([(run["return"], run["success"]) for run in runs]).T
        print(f"{name:8} {returns.mean():.1f} ± {returns.std():.1f}, success {success.mean():.0%}")
    draw(results, np.prod(sizes) * STEPS / 1e6, options.out / "transfer.png")


if __name__ == "__main__":
    main()
