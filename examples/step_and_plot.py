"""Step the learned double pendulum beside the exact one, without torques, and plot both energies.

    python examples/step_and_plot.py

needs the extra `plots`; writes energy.png.
"""

import argparse

import gymnasium
import numpy as np
from matplotlib.figure import Figure

import gym_lagrangian  # noqa: F401  (registers the environments)

IDS = ("DoublePendulum-v0", "DoublePendulumLNN-v0", "DoublePendulumBaseline-v0")


def free_energy(env_id: str, start: list[float], seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """Time and true energy of free motion from `start`."""
    env = gymnasium.make(env_id, max_episode_steps=-1)
    _, info = env.reset(seed=0, options={"state": start})
    no_torque = np.zeros(env.action_space.shape, np.float32)
    infos = [info]
    while info["time"] < seconds and not info["diverged"]:
        *_, info = env.step(no_torque)
        infos.append(info)
    return np.array([i["time"] for i in infos]), np.array([i["energy"] for i in infos])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=100.0)
    parser.add_argument("--out", default="energy.png")
    options = parser.parse_args()

    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    for env_id in IDS:
        time, energy = free_energy(env_id, [2.0, 1.5, 0.0, 0.0], options.seconds)
        axes.plot(time, energy, label=env_id)
        print(f"{env_id:28} energy went from {energy[0]:.4f} J to {energy[-1]:.4f} J")
    axes.set_xlabel("time (s)")
    axes.set_ylabel("true energy (J)")
    axes.legend()
    figure.savefig(options.out, dpi=120)
    print(f"written: {options.out}")


if __name__ == "__main__":
    main()
