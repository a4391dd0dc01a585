"""Torques of real arms from their motion: learned mechanics beside rivals without mechanics.

    python examples/arm_inverse_dynamics.py --data DIR

learns from the first five sevenths of DIR/NAME.csv.gz and judges on the rest: the mean squared
error over the variance. MLPs and Gaussian processes need the extra `experiments`. Of each kind of
rival the setting that is judged best counts.
"""

import argparse
import gzip
import json
from pathlib import Path

import numpy as np

from gym_lagrangian import FitConfig, Machine, fit, read_logs

UR10 = ("shoulder_pan", "shoulder_lift", "elbow", "wrist_1", "wrist_2", "wrist_3")
# From the base to the tip; files have their columns in the order of the alphabet.
ARMS = {"ur10": [f"{j}_joint" for j in UR10], "panda": [f"fer_joint{i}" for i in range(1, 8)]}
SMALL = {"width": 32, "depth": 2}
MODELS = {"SpatialChain": {}, "DeLaN": SMALL, "LNN": SMALL}
SIZES = {(128, 128): 1.0, (128, 127): 1e-3, (64, 64): 0.1, (32, 32): 10.0, (256,): 1.0}


def logs(path, joints, learned=5 / 7):
    """The logs to learn from and to judge by."""
    kinds = {"position": "position", "velocity": "velocity", "force": "effort"}
    columns = {kind: [f"{column}_{joint}" for joint in joints] for kind, column in kinds.items()}
    machine = Machine(joints, angular=True, name="Arm", time="time", friction="coulomb", **columns)
    with gzip.open(path, "rt") as file:
        names = file.readline().strip().split(",")
        table = np.loadtxt(file, delimiter=",")
    parts = np.split(table, [int(len(table) * learned)])
    return [read_logs(machine, dict(zip(names, rows.T, strict=True))) for rows in parts]


def by_model(name, learned, judged, steps, seed):
    """The torques (N, n) that a fitted model states."""
    data, batch = learned.transitions(accelerations=True), {"batch": 128, "trial": -(-steps // 4)}
    config = FitConfig.of(name, steps=steps, seed=seed, objective="force", **batch)
    how = {"model_config": MODELS[name], "config": config, "overwrite": True}
    found = fit(data, name, out="arm.safetensors", **how)
    return found.mechanics.inverse_dynamics(*(np.float32(x) for x in judged[:3]))


def rivals(kind):
    """Regressions, in several settings."""
    from sklearn import gaussian_process, linear_model, neural_network

    if kind == "ridge":
        return [linear_model.Ridge(alpha) for alpha in 10.0 ** np.arange(-3, 4)]
    if kind == "MLP":
        network = neural_network.MLPRegressor
        return [network(hidden_layer_sizes=s, alpha=a, max_iter=300) for s, a in SIZES.items()]
    kernel = gaussian_process.kernels.RBF(10.0) + gaussian_process.kernels.WhiteKernel(0.1)
    return [gaussian_process.GaussianProcessRegressor(kernel)]


def by_rival(regression, learned, judged, most=600):
    """The torques (N, n) that a regression on features of the motion states."""
    (x, tau), seen = features(learned), features(judged)[0]
    (low, size), (mean, spread) = ((part.mean(0), part.std(0)) for part in (x, tau))
    rows = slice(None, None, -(-len(x) // most) if hasattr(regression, "kernel") else 1)
    regression.fit(((x - low) / size)[rows], ((tau - mean) / spread)[rows])
    return mean + spread * regression.predict((seen - low) / size)


def features(motion):
    q, qd, qdd, tau = motion
    return np.hstack([np.cos(q), np.sin(q), qd, np.tanh(qd / 0.02), qdd]), tau


def predictions(learned, judged, options):
    """Who predicts, and the torques of each of its settings, one after another."""
    for name in options.models:
        for seed in range(options.seeds):
            yield name, [by_model(name, learned, judged, options.steps, seed)]
    for kind in options.rivals:
        yield kind, [by_rival(one, learned.instants(), judged) for one in rivals(kind)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--arms", nargs="+", default=list(ARMS))
    parser.add_argument("--models", nargs="*", default=list(MODELS))
    parser.add_argument("--rivals", nargs="*", default=["ridge", "MLP", "GP"])
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--out", default="arms.json")
    options, found = parser.parse_args(), []
    for arm in options.arms:
        learned, rest = logs(options.data / f"{arm}.csv.gz", ARMS[arm])
        judged = rest.instants(learned)
        for who, tried in predictions(learned, judged, options):
            errors = [np.mean((t - judged.tau) ** 2, 0) / np.var(judged.tau, 0) for t in tried]
            best = min(errors, key=np.mean)
            found.append({"arm": arm, "who": who, "nMSE": best.mean(), "joints": best.tolist()})
            print(f"{arm:6} {who:12} {best.mean():7.3f}", *(f"{e:5.2f}" for e in best), flush=True)
    Path(options.out).write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
