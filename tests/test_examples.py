"""Every example runs, at a small size."""

import subprocess
import sys
from pathlib import Path

import pytest
import rig_stand_in

EXAMPLES = Path(__file__).parents[1] / "examples"
ARGUMENTS = {
    "dfki_double_pendulum.py": [
        "--data=.",
        "--protocols=b",
        "--models",
        "lab",
        "Calibrated",
        "--share=0.01",
    ],
    "from_data_alone.py": [
        "--models=MLP",
        "--counts=100",
        "--seeds=1",
        "--fit-steps=9",
        "--steps=3",
    ],
    "models_by_system.py": ["--systems=Kepler", "--models=Baseline", "--seeds=1", "--steps=20"],
    "plan_swing_up.py": ["--seeds", "2", "--steps", "3", "--samples", "64", "--horizon", "3"],
    "ppo_in_one_jit.py": ["--envs", "8", "--updates", "2"],
    "step_and_plot.py": ["--seconds", "1"],
    "transfer.py": ["--seeds", "1", "--envs", "8", "--updates", "1"],
    "train_and_use.py": ["--steps", "20", "--width", "8"],
    "wrap_environment.py": [],
}


def test_every_example_is_listed():
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(ARGUMENTS)


SLOW = ("dfki_double_pendulum.py",)


@pytest.mark.parametrize(
    "name",
    [pytest.param(one, marks=pytest.mark.slow if one in SLOW else ()) for one in ARGUMENTS],
)
def test_example_is_short_and_runs(name, tmp_path):
    path = EXAMPLES / name
    assert len(path.read_text().splitlines()) < (120 if name.startswith("ppo") else 80)
    if name.startswith("dfki"):
        rig_stand_in.write(tmp_path)
    command = [sys.executable, str(path), *ARGUMENTS[name]]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
