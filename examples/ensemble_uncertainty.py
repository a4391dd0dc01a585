"""What the uncertainty of an ensemble is worth, for motion like its data and for faster motion.

Five models learn from a double pendulum that was recorded moving gently. They are judged on motion
like that and on motion twice as fast.

Two numbers are printed: the share of true states within the 90 % bands of 1 s roll-outs, inside the
data and outside; and the rank correlation between the disagreement of the members and the error of
their mean, over roll-outs inside and outside together.

python examples/ensemble_uncertainty.py --model DeLaN --members 5
"""

import argparse
import tempfile
from pathlib import Path

import gymnasium
import numpy as np
from scipy import stats
from tqdm import tqdm

import gym_lagrangian  # noqa: F401
from gym_lagrangian import FitConfig, bands, collect, fit

# Starting states inside the data: angles, and angular velocities in rad/s. Outside: twice as fast.
INSIDE = np.array([3.0, 3.0, 3.0, 3.0])
OUTSIDE = np.array([3.0, 3.0, 6.0, 6.0])

ROLL_OUT = 20  # steps of .05 s


def record(transitions, reach, steps, seed):
    """Motion under random torques, from states within `reach`."""
    env = gymnasium.make_vec(
        "DoublePendulum-v0", num_envs=50, vectorization_mode="vector_entry_point"
    )
    starts = {"low": -reach, "high": reach}
    return collect(env, transitions, options=starts, episode_steps=steps, seed=seed)


def roll_outs(found, data):
    """Of every second of recorded motion, what is held by the bands (W, T, 2n), and what members
    disagree by (W,) and their mean is wrong by (W,), in typical magnitudes.
    """
    rows = np.arange(len(data)).reshape(-1, ROLL_OUT)
    start = np.hstack([data.q, data.qd])[rows[:, 0]]
    truth = np.hstack([data.next_q, data.next_qd])[rows]
    around = bands(found, start, data.tau[rows], dt=data.dt)
    each = found.model.predict(start, data.tau[rows], dt=data.dt, m=data.m[0], members=True)
    seen = found.model.embedding
    scale = np.array([*seen.q_scale, *seen.qd_scale])
    error = truth - around.mean
    error = np.where(around.angular, np.arctan2(np.sin(error), np.cos(error)), error)
    spread = np.std(np.asarray(each, np.float64), axis=0, ddof=1)
    sizes = (np.sqrt(np.mean((one / scale) ** 2, axis=(1, 2))) for one in (spread, error))
    return around.hold(truth), *sizes


def judged(found, seed=1, count=200):
    """Coverage inside and outside, and the rank correlation over both."""
    like = record(count * ROLL_OUT, INSIDE, 2 * ROLL_OUT, seed)  # recorded as what was learned
    faster = record(count * ROLL_OUT, OUTSIDE, ROLL_OUT, seed)
    inside, outside = (roll_outs(found, data) for data in (like, faster))
    disagreement, error = (
        np.concatenate(pair) for pair in zip(inside[1:], outside[1:], strict=True)
    )
    return {
        "coverage inside": float(inside[0].mean()),
        "coverage outside": float(outside[0].mean()),
        "rank correlation": float(stats.spearmanr(disagreement, error)[0]),
    }


def learned(model, out, *, transitions=6_000, members=5, steps=3_000, width=32, seed=0, show=None):
    """The ensemble of what was recorded inside."""
    data = record(transitions, INSIDE, 2 * ROLL_OUT, seed)
    config = FitConfig.of(model, steps=steps, seed=seed, starts=1, held_out=0.2)
    how = {"config": config, "metrics": False, "on_progress": show}
    how["model_config"] = {"width": width}
    return fit(data, model, members=members, out=out, **how)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="DeLaN")
    parser.add_argument("--members", type=int, default=5)
    parser.add_argument("--steps", type=int, default=3_000)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--transitions", type=int, default=6_000)
    parser.add_argument("--seed", type=int, default=0)
    options = vars(parser.parse_args())

    out = Path(tempfile.mkdtemp()) / "ensemble.safetensors"
    with tqdm(total=options["steps"]) as bar:
        found = learned(
            options.pop("model"), out, show=lambda p: bar.update(p.step - bar.n), **options
        )
    print(f"held-out error {found.card.metrics['held_out_error']:.3g}/s")
    for name, value in judged(found).items():
        print(f"{name:18} {value:.3f}")


if __name__ == "__main__":
    main()
