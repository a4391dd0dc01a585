"""Models of a real double pendulum, from pixels of a video to a table of how long they predict.

    python examples/ibm_double_pendulum.py --data DIR --model DeLaN Calibrated Residual --seeds 3

DIR holds recordings of a chaotic double pendulum in free motion, ibm/0.csv.gz … 15.csv.gz (IBM
Research, "Learning the chaotic double pendulum"; positions alone, 400 Hz), and score_ibm.py. Runs
0–12 are learned from, 13–15 judge: seconds until the tip of a prediction errs by a tenth of the
reach, and its RMS error over the first half second. With --itself every model is judged on its own
motion too, seen through the camera's noise, from starts estimated as those of the recordings are:
what a perfect model would reach.
"""

import argparse
import importlib.util
import tempfile
import time
from pathlib import Path

import numpy as np
from ibm.film import ARMS, angles, camera_noise, filtered

from gym_lagrangian import FitConfig, Machine, checkpoints, fit, read_logs

LEARNED, JUDGED = range(13), range(13, 16)
MACHINE = Machine(ARMS, name="IBM", angular=True, interval=1 / 400, dt=0.01)
# Free motion says nothing of the unit of mass, so two masses are given; gravity is learned, as
# pixels and pictures a second are no metres and seconds.
LEARNED_NUMBERS = ["c1", "c2", "I1", "I2", "g", "viscous1", "viscous2", "coulomb1", "coulomb2"]
GUESS = {"m1": 0.5, "m2": 0.1, "l1": 0.091, "l2": 0.07, "c1": 0.05, "c2": 0.035}
GUESS |= {"I1": 1e-3, "I2": 1e-4, "viscous1": 1e-4, "viscous2": 1e-5}
GUESS |= {"coulomb1": 1e-4, "coulomb2": 1e-4}
CHAIN = {"system": "Chain", "options": {"links": 2, "angles": "absolute"}, "friction": "none"}
PHYSICS = CHAIN | {"start": GUESS, "learned": LEARNED_NUMBERS}
NETWORKS = ["LNN", "DeLaN", "Baseline", "MLP"]
HOW = {
    "Calibrated": {"horizon": ((4, 0.5), (10, 0.5)), "steps": 1000, "learning_rate": 0.05},
    "Residual": {"horizon": ((10, 0.4), (42, 0.6)), "steps": 4000},
}


def learned(model, seed, data, out, steps):
    """The path of a fitted model, which is kept if it is there already."""
    path = out / f"{model}{seed}.safetensors"
    given = HOW.get(model, {}) | ({} if steps is None else {"steps": steps})
    physics = PHYSICS if model in HOW else {}
    if model == "Residual":  # what a network adds to physics begins from calibrated physics
        begun = checkpoints.load(learned("Calibrated", seed, data, out, steps)).card
        physics = physics | {"start": GUESS | begun.metrics["parameters"], "width": 64}
    if not path.exists():
        config = FitConfig.of(model, seed=seed, **given)
        fit(data, model, out=path, config=config, model_config=physics, overwrite=True)
    return path


def cases(score, every):
    """Starts (N, 4), one in so many pictures, and the 200 states (N, 200, 4) that follow each."""
    runs = [score.load(run) for run in JUDGED]
    cut = [x[k : k + 801 : 4] for x in runs for k in range(200, len(x) - 1000, every)]
    return np.array(cut)[:, 0], np.array(cut)[:, 1:]


def predicted(path, start, dt, steps):
    """The states (N, steps, 4) that a model predicts."""
    found = checkpoints.load(path)
    substeps = max(1, round(found.card.training["substeps"] * dt / 0.01))
    forces = np.zeros((len(start), steps, 2))
    return np.asarray(found.model.predict(start, forces, dt=dt, substeps=substeps), np.float64)


def judged(path, score, start, true):
    """Mean and median seconds to a tenth of the reach, and the median RMS error in mm."""
    seconds, rms = score.score(predicted(path, start, 0.01, 200), true)
    return seconds.mean(), np.median(seconds), np.median(rms)


def seen(path, start, spread, seed):
    """Starts and the states that follow of a model's own motion, with noise on every angle."""
    before = 8  # pictures, which the filter needs
    motion = np.concatenate([start[:, None], predicted(path, start, 1 / 400, 815)], axis=1)[..., :2]
    x = filtered(motion + spread * np.random.default_rng(seed).normal(size=motion.shape))
    return x[:, before], x[:, before + 4 : before + 801 : 4]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("--model", nargs="+", default=[*HOW, *NETWORKS])
    parser.add_argument("--seeds", type=int, default=1, help="how many; default: 1")
    parser.add_argument("--steps", type=int, help="of the optimiser; default: those of fit")
    parser.add_argument("--out", type=Path, help="for the checkpoints; default: a new folder")
    parser.add_argument("--every", type=int, default=2000, help="pictures from start to start")
    parser.add_argument("--itself", action="store_true", help="judge on its own motion too")
    options = parser.parse_args()
    out = options.out or Path(tempfile.mkdtemp())
    spec = importlib.util.spec_from_file_location("score", options.data / "score_ibm.py")
    score = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(score)
    film = f"{options.data}/ibm/{{}}.csv.gz".format
    data = read_logs(MACHINE, [angles(film(run)) for run in LEARNED]).transitions()
    start, true = cases(score, options.every)
    spread = camera_noise(film(run) for run in JUDGED)
    print(f"{len(start)} starts\nmodel     seed   mean s  median s  RMS mm  minutes", flush=True)
    for model in options.model:
        for seed in range(options.seeds):
            begun = time.monotonic()
            path = learned(model, seed, data, out, options.steps)
            minutes = (time.monotonic() - begun) / 60
            row = "{:9.2f}{:10.2f}{:8.1f}{:9.1f}".format(*judged(path, score, start, true), minutes)
            print(f"{model:10}{seed:4}{row}", flush=True)
            for draw in range(5 * options.itself):
                own = seen(path, start, spread, draw)
                print("  itself      {:9.2f}{:10.2f}{:8.1f}".format(*judged(path, score, *own)))


if __name__ == "__main__":
    main()
