"""Gymnasium's environments learned from 2,000 random steps: errors, and returns in both worlds.

    python examples/other_environments.py --out learned_environments

Models are fitted to steps of each environment, 5 seeds of data and fit, and judged by
- one step: mean Σ|error of the state| / dt over other random steps;
- 20 steps: median Σ|error of q| in m and rad, under the actions that a feedback took in truth;
- gaps: of the mean returns of three policies from 50 common starts, |learned − true| in per cent of
  best − random in truth.
The same command goes on where it was stopped. Extras `mujoco` and `sb3`.
"""

import argparse
import json
from itertools import product
from pathlib import Path

from gymnasium_envs.measures import World
from gymnasium_envs.results import table
from gymnasium_envs.setups import SETUPS
from gymnasium_envs.twin import fitted

MODELS = ["LNN", "DeLaN", "Baseline", "MLP"]
ENVS = [name for name in SETUPS if name != "CartPole-v1"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--envs", nargs="+", default=ENVS, choices=SETUPS)
    parser.add_argument("--models", nargs="+", default=MODELS)
    numbers = {"--seeds": 5, "--transitions": 2000, "--fit-steps": 5000, "--starts": 50}
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
