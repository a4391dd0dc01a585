"""The DFKI lab's double pendulum: models learned from its recordings, judged by its own score.

    python examples/dfki_double_pendulum.py --data DIR --out dfki

DIR holds score_dfki.py and the recordings, dfki/*.csv.gz. Protocol a learns from sysid_* alone and
is judged on every swing-up, protocol b learns from swing-ups 01 to 03 as well and is judged on 04
and 05. A row takes one to three minutes; OUT.json grows, and again goes on.
"""

import argparse
import importlib.util
import json
import time
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np

from gym_lagrangian import FitConfig, Machine, fit, read_logs

RIG = Machine.load(Path(__file__).with_suffix(".toml"))
# Lengths and the gears' ratio are the rig's; all else is a round guess.
GUESS = {"m1": 0.5, "l1": 0.2, "c1": 0.2, "I1": 0.01, "armature1": 0.002}
GUESS |= {"m2": 0.5, "l2": 0.3, "c2": 0.25, "I2": 0.01, "armature2": 0.002}
FRICTION = [f"{what}_joint{i}" for what in ("viscous", "coulomb", "width", "skew") for i in (1, 2)]
PHYSICS = {"system": "Chain", "options": {"links": 2, "gear": -6.0}, "start": GUESS}
PHYSICS |= {"learned": ["m1", "I1", "m2", "I2", "armature2", *FRICTION], "friction": "passive"}
MODELS = {"Calibrated": PHYSICS, "Residual": PHYSICS, "Baseline": {}, "MLP": {}}
MODELS |= {"LNN": {"friction": "passive"}, "DeLaN": {"friction": "passive"}}
# Transitions predicted in a row, optimiser steps, learning rate: short windows first, long ones
# last.
STAGES = {"Calibrated": ((8, 300, 0.05), (50, 400, 0.03)), "Residual": ((50, 300, 0.005),)}
USUAL = ((4, 1500, 0.01), (12, 800, 0.005), (40, 300, 0.002))


def learned(name, data, out, share):
    """A model; what a network adds to physics begins from calibrated physics."""
    how = {"model_config": dict(MODELS[name])}
    if name == "Residual":
        found = learned("Calibrated", data, out, share).card.metrics["parameters"]
        how["model_config"]["start"] = GUESS | found
    for horizon, steps, rate in STAGES.get(name, USUAL):
        asked = {"horizon": horizon, "steps": max(1, int(share * steps)), "learning_rate": rate}
        config = FitConfig.of(name, **asked | {"substeps": 1, "starts": 1, "chunk": 100})
        found = fit(data, name, out=out, config=config, insist=True, overwrite=True, **how)
        how = {"init": found}
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--models", nargs="+", default=["lab", *MODELS])
    parser.add_argument("--protocols", nargs="+", default=["a", "b"])
    parser.add_argument("--share", type=float, default=1.0, help="of the optimiser's steps")
    parser.add_argument("--out", default="dfki")
    options = parser.parse_args()
    record, folder = Path(f"{options.out}.json"), options.data / "dfki"
    rows = json.loads(record.read_text()) if record.exists() else []
    spec = importlib.util.spec_from_file_location("score", options.data / "score_dfki.py")
    spec.loader.exec_module(score := importlib.util.module_from_spec(spec))
    sysid, swing = (sorted(map(str, folder.glob(kind))) for kind in ("sysid_*", "*_tvlqr_*"))
    late = [path for path in swing if "_04." in path or "_05." in path]
    parts = {"a": (sysid, swing), "b": (sorted({*sysid, *swing} - {*late}), late)}
    logs = {key: read_logs(RIG, parts[key][0]) for key in options.protocols}
    data = {key: one.transitions(keep=("saturation",), insist=True) for key, one in logs.items()}
    for key, name in product(options.protocols, options.models):
        if any((row["protocol"], row["model"]) == (key, name) for row in rows):
            continue
        (start, torques, true, _), begun = score.cases(parts[key][1]), time.time()
        row, predict = {"protocol": key, "model": name}, score.lab
        if name != "lab":
            file = f"{options.out}-{key}-{name}.safetensors"
            found = learned(name, data[key], file, options.share)
            predict, row["metrics"] = partial(found.model.predict, dt=RIG.dt), found.card.metrics
        seconds, error = score.score(np.asarray(predict(start, torques)), true)
        row |= {"mean": seconds.mean(), "median": np.median(seconds), "mm": np.median(error)}
        rows.append(row | {"minutes": (time.time() - begun) / 60})
        print(key, name, "{mean:.3f} s, median {median:.3f} s, {mm:.1f} mm".format(**row))
        record.write_text(json.dumps(rows, indent=1, default=float))


if __name__ == "__main__":
    main()
