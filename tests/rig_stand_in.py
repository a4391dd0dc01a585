"""A folder as the recordings of the DFKI rig are kept in, with simulated logs; for its example."""

from __future__ import annotations

from pathlib import Path

import arm_logs

SCORE = '''
"""Stands in for the score of the recordings."""
import numpy as np


def cases(paths):
    return np.zeros((3, 4)), np.zeros((3, 25, 2)), np.zeros((3, 25, 4)), list(paths)


def score(predicted, true):
    error = np.abs(predicted - true).max(axis=(1, 2))
    return 1.0 / (1.0 + error), error


def lab(start, torques):
    return np.zeros((3, 25, 4))
'''


def write(folder: Path) -> None:
    """The score, and three logs: one for identification, two swing-ups."""
    (folder / "dfki").mkdir()
    (folder / "score_dfki.py").write_text(SCORE)
    for seed, name in enumerate(("sysid_1", "acrobot_tvlqr_01", "acrobot_tvlqr_04")):
        log = arm_logs.motion(seed, 700, rate=250.0)
        columns = {"time": log.t}
        for what, values in (("pos_meas", log.q), ("vel_meas", log.qd), ("tau_meas", log.tau)):
            columns |= {f"{what}1": values[:, 0], f"{what}2": values[:, 1]}
        arm_logs.write(folder / "dfki" / f"{name}.csv", columns)
