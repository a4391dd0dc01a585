"""Every example runs, at a small size."""

import gzip
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rig_stand_in

EXAMPLES = Path(__file__).parents[1] / "examples"
ARGUMENTS = {
    "arm_inverse_dynamics.py": [
        "--data=.",
        "--arms=panda",
        "--models=SpatialChain",
        "--rivals",
        "--steps=20",
    ],
    "control_learned_inside.py": [
        "--envs=Acrobot-v1",
        "--model=MLP",
        "--counts=100",
        "--seeds=1",
        "--fit-steps=5",
        "--envs-inside=8",
        "--updates=1",
        "--ppo-steps=100",
        "--out=.",
    ],
    "dfki_double_pendulum.py": [
        "--data=.",
        "--protocols=b",
        "--models",
        "lab",
        "Calibrated",
        "--share=0.01",
    ],
    "ensemble_uncertainty.py": [
        "--model=MLP",
        "--members=2",
        "--steps=20",
        "--transitions=2000",
    ],
    "domain_randomisation.py": ["--seeds=1", "--envs=8", "--updates=1", "--pendulums=4"],
    "from_data_alone.py": [
        "--models=MLP",
        "--counts=100",
        "--seeds=1",
        "--fit-steps=9",
        "--steps=3",
    ],
    "ibm_double_pendulum.py": ["--data=.", "--model=Baseline", "--steps=5", "--itself"],
    "models_by_system.py": ["--systems=Kepler", "--models=Baseline", "--seeds=1", "--steps=20"],
    "mujoco_while_acting.py": [
        "--envs=Reacher-v5",
        "--models=Baseline",
        "--seeds=1",
        "--budget=2.1",
        "--fit-steps=10",
        "--out=.",
    ],
    "other_environments.py": [
        "--envs=Pendulum-v1",
        "--models=MLP",
        "--seeds=1",
        "--transitions=100",
        "--fit-steps=5",
        "--starts=2",
        "--out=.",
    ],
    "phihp_tasks.py": [
        "--tasks=cart-pole",
        "--models=Baseline",
        "--seeds=1",
        "--share=0.005",
        "--episodes=1",
        "--fit-steps=10",
        "--out=.",
    ],
    "plan_swing_up.py": ["--seeds", "2", "--steps", "3", "--samples", "64", "--horizon", "3"],
    "ppo_in_one_jit.py": ["--envs", "8", "--updates", "2"],
    "search_initialisation.py": [
        "--settings=2",
        "--evaluations=50",
        "--states=8",
        "--draws=2",
        "--out=.",
    ],
    "small_arm.py": ["--data=.", "--model=Baseline", "--seeds=1", "--steps=5"],
    "step_and_plot.py": ["--seconds", "1"],
    "swing_up_in_seconds.py": [
        "--tasks=pendulum",
        "--models=Baseline",
        "--seeds=1",
        "--budget=5",
        "--fit-steps=10",
        "--picture=seconds.png",
        "--out=.",
    ],
    "ten_thousand_steps.py": [
        "--envs=RameshAcrobot-v0",
        "--models=Baseline",
        "--seeds=1",
        "--steps=1020",
        "--fit-steps=10",
        "--out=.",
    ],
    "transfer.py": ["--seeds", "1", "--envs", "8", "--updates", "1"],
    "train_and_use.py": ["--steps", "20", "--width", "8"],
    "wrap_environment.py": [],
}


def write_arm(folder):
    """A log of seven joints that turn as they like, for the example about arms."""
    time = 0.03 * np.arange(300)
    q = np.sin(np.outer(time, 1 + np.arange(7)) / 2)
    qd, effort = np.gradient(q, time, axis=0), 3 * np.cos(q)
    kinds = {"position": q, "velocity": qd, "effort": effort}
    names = [f"{kind}_fer_joint{i}" for kind in kinds for i in range(1, 8)]
    table = np.hstack([time[:, None], *kinds.values()])
    header = ",".join(["time", *names])
    np.savetxt(folder / "panda.csv.gz", table, delimiter=",", header=header, comments="")


PIXELS = 1600  # pictures of a run, 4 s


def pictures(folder):
    """Sixteen runs of two pendulums that swing apart, hanging along the first coordinate, and a
    score.
    """
    (folder / "ibm").mkdir()
    time = np.arange(PIXELS) / 400
    for run in range(16):
        q = [0.8 * np.sin((5 + arm) * time + run) for arm in range(2)]
        arms = [
            size * np.stack([np.cos(x), np.sin(x)], 1)
            for size, x in zip((300, 200), q, strict=True)
        ]
        ends = np.cumsum([np.full((PIXELS, 2), 500.0), *arms], axis=0)
        with gzip.open(folder / "ibm" / f"{run}.csv.gz", "wt") as file:
            np.savetxt(file, np.round(np.hstack(ends)), fmt="%d", delimiter=",")
    (folder / "score_ibm.py").write_text(SCORE)


SCORE = """
import numpy as np
def load(run):
    return np.zeros((1600, 4))
def score(predicted, true):
    assert predicted.shape == true.shape
    return np.full(len(true), 0.5), np.abs(predicted - true).mean(axis=(1, 2))
"""

ARM = """
import sys
sys.path.insert(0, {tests!r})
import arm_logs
def raw(folder):
    for seed in range(3):
        given = arm_logs.columns(arm_logs.motion(seed, 500), dropped=0.005, seed=seed)
        arm_logs.write(folder / f"log{{seed}}.csv", given)
"""


def small_arm(folder):
    """A simulation that writes logs."""
    (folder / "small_arm.py").write_text(ARM.format(tests=str(Path(__file__).parent)))


def a_policy(folder):
    """One that PPO is said to have trained: two layers, from (cos θ, sin θ, θ̇) to a torque."""
    sizes = [(3, 4), (4,), (4, 1), (1,)]
    np.savez(folder / "Pendulum-v1-ppo.npz", *(np.full(size, 0.1) for size in sizes))


# What an example that needs data is given.
DATA = {
    "other_environments.py": a_policy,
    "ibm_double_pendulum.py": pictures,
    "small_arm.py": small_arm,
    "arm_inverse_dynamics.py": write_arm,
    "dfki_double_pendulum.py": rig_stand_in.write,
}


def test_every_example_is_listed():
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(ARGUMENTS)


# The most lines by how a name begins; of others 90.
LONG = {"arm": 120, "control": 120, "ensemble": 120, "ibm": 120, "ppo": 120, "search": 200}
BRIEF = {"plan_swing_up.py", "ppo_in_one_jit.py", "step_and_plot.py", "wrap_environment.py"}
NEEDS = {"control_learned_inside.py": "stable_baselines3"}


@pytest.mark.parametrize(
    "name",
    [pytest.param(one, marks=() if one in BRIEF else pytest.mark.slow) for one in ARGUMENTS],
)
def test_example_is_short_and_runs(name, tmp_path):
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    path = EXAMPLES / name
    assert len(path.read_text().splitlines()) < LONG.get(name.split("_")[0], 90)
    DATA.get(name, lambda folder: None)(tmp_path)
    command = [sys.executable, str(path), *ARGUMENTS[name]]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
