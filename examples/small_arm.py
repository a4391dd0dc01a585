"""A small arm from its raw logs: positions alone, 30 s of them, and what models learn from that.

    python examples/small_arm.py --data DIR --model LNN DeLaN Baseline --seeds 3

DIR holds small_arm.py, which simulates the arm and writes its logs: 100 Hz with jitter, encoders of
12 bits, dropped rows, friction, no velocities. The first log is learned from, the last two judge:
the median error of both angles after half a second.
"""

import argparse
import importlib.util
import tempfile
from pathlib import Path

import numpy as np

from gym_lagrangian import FitConfig, Machine, checkpoints, fit, read_logs
from gym_lagrangian.learning.prediction import predictions

JOINTS = ("shoulder", "elbow")
COLUMNS = {"time": "t", "position": ("q1", "q2"), "force": ("tau1", "tau2")}
MACHINE = Machine(JOINTS, name="SmallArm", angular=True, dt=0.02, **COLUMNS)


def written(folder, out):
    """The paths of the logs that the folder's simulation writes."""
    spec = importlib.util.spec_from_file_location("small_arm", folder / "small_arm.py")
    simulation = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(simulation)
    simulation.raw(out)
    return sorted(out.glob("log*.csv"))


def error(path, data):
    """The median over starts of the mean error of the two angles after half a second, in rad."""
    found = predictions(checkpoints.load(path), data, horizon=0.5)
    return np.median(next(iter(found.errors.values()))[:, -1].mean(axis=1))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("--model", nargs="+", default=["LNN", "DeLaN", "Baseline"])
    parser.add_argument("--seeds", type=int, default=3, help="how many; default: 3")
    parser.add_argument("--steps", type=int, help="of the optimiser; default: those of fit")
    options = parser.parse_args()
    out = Path(tempfile.mkdtemp())
    logs = written(options.data, out)
    learned, judged = (read_logs(MACHINE, part).transitions() for part in (logs[:1], logs[-2:]))
    given = {} if options.steps is None else {"steps": options.steps}
    print("model     seed  rad after .5 s", flush=True)
    for model in options.model:
        for seed in range(options.seeds):
            path = out / f"{model}{seed}.safetensors"
            fit(learned, model, out=path, config=FitConfig.of(model, seed=seed, **given))
            print(f"{model:10}{seed:4}{error(path, judged):10.4f}", flush=True)


if __name__ == "__main__":
    main()
