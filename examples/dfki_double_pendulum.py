"""The DFKI lab's double pendulum: models learned from its recordings, judged by its own score.

    python examples/dfki_double_pendulum.py --data DIR --out dfki

DIR holds score_dfki.py and dfki/*.csv.gz. Protocol a learns from sysid_* and is judged on all
swing-ups, b learns from swing-ups 01 to 03 too and is judged on 04 and 05. c learns from sysid_*
and the swing-ups by one motor, and is judged on those by the other motor and its controller.
"""

import argparse
import importlib
import json
import sys
import time
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np

from gym_lagrangian import FitConfig, Machine, fit, read_logs

RIG = Machine.load(Path(__file__).with_suffix(".toml"))
# Lengths and the gears' ratio are the rig's; all else is a round guess.
GUESS = {"m1": 0.5, "m2": 0.5, "l1": 0.2, "l2": 0.3, "c1": 0.2, "c2": 0.25, "I1": 0.01}
GUESS |= {"I2": 0.01, "armature1": 0.002, "armature2": 0.002}
PASSIVE, CHAIN = {"friction": "passive"}, {"system": "Chain", "options": {"links": 2, "gear": -6}}
PHYSICS = CHAIN | {"start": GUESS} | PASSIVE
MODELS = {"Calibrated": PHYSICS, "Residual": PHYSICS, "LNN": PASSIVE, "DeLaN": PASSIVE}
MODELS |= {"Baseline": {}, "MLP": {}}
# Transitions predicted in a row, optimiser steps, learning rate: short windows first.
STAGES = {"Calibrated": ((8, 300, 0.05), (50, 400, 0.03)), "Residual": ((50, 300, 0.005),)}
USUAL = ((4, 4500, 0.01), (12, 2400, 0.005), (40, 900, 0.002))


def learned(name, data, out, share, seed):
    """A model; what a network adds to physics begins from calibrated physics."""
    how = {"model_config": dict(MODELS[name])}
    if name == "Residual":
        found = learned("Calibrated", data, out, share, seed).card.metrics["parameters"]
        how["model_config"]["start"] = GUESS | found
    for horizon, steps, rate in STAGES.get(name, USUAL):
        asked = {"horizon": horizon, "steps": int(share * steps), "learning_rate": rate}
        asked["seed"] = seed
        config = FitConfig.of(name, **asked, substeps=1, starts=1, chunk=100)
        found = fit(data, name, out=out, config=config, overwrite=True, **how)
        how = {"init": found}
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--data", type=Path, required=True)
    add("--models", nargs="+", default=["lab", *MODELS])
    add("--protocols", nargs="+", default=["a", "b"])
    add("--seeds", nargs="+", type=int, default=[0], metavar="SEED")
    add("--share", type=float, default=1.0, help="of the optimiser's steps")
    add("--out", default="dfki")
    options = parser.parse_args()
    rows, files = [], (options.data / "dfki").glob
    sys.path.insert(0, str(options.data))
    score = importlib.import_module("score_dfki")
    sysid, swing = (sorted(map(str, files(kind))) for kind in ("sysid_*", "*_tvlqr_*"))
    late = [path for path in swing if "_04." in path or "_05." in path]
    acrobot, pendubot = ([path for path in swing if kind in path] for kind in ("acrobot", "pendub"))
    parts = {"a": (sysid, swing), "b": (sorted({*sysid, *swing} - {*late}), late)}
    parts["c"] = (sorted([*sysid, *acrobot]), pendubot)
    for key, name, seed in product(options.protocols, options.models, options.seeds):
        row, predict = {"protocol": key, "model": name, "seed": seed}, score.lab
        begun = time.time()
        start, torques, true, _ = score.cases(parts[key][1])
        if name != "lab":
            data = read_logs(RIG, parts[key][0]).transitions(keep=("saturation",))
            path = f"{options.out}-{key}-{name}-{seed}.safetensors"
            found = learned(name, data, path, options.share, seed)
            predict, row["metrics"] = partial(found.model.predict, dt=RIG.dt), found.card.metrics
        seconds, error = score.score(np.asarray(predict(start, torques)), true)
        row |= {"mean": seconds.mean(), "median": np.median(seconds), "mm": np.median(error)}
        rows.append(row | {"minutes": (time.time() - begun) / 60})
        print(key, name, seed, "mean {mean:.3f} median {median:.3f} s, {mm:.1f} mm".format(**row))
        Path(f"{options.out}.json").write_text(json.dumps(rows, indent=1, default=float))


if __name__ == "__main__":
    main()
