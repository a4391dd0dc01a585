"""Train a Lagrangian network for a few seconds and step the environment that it makes.

python examples/train_and_use.py --steps 20000
"""

import argparse
import tempfile
from pathlib import Path

import gymnasium
from tqdm import tqdm

from gym_lagrangian import TrainingConfig, train


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--width", type=int, default=32)
    options = parser.parse_args()

    path = Path(tempfile.mkdtemp()) / "my_pendulum.safetensors"
    with tqdm(total=options.steps) as bar:
        result = train(
            "DoublePendulum",
            "LNN",
            out=path,
            config=TrainingConfig.of("LNN", steps=options.steps, seed=1),
            model_config={"width": options.width},
            on_progress=lambda p: (bar.update(p.step - bar.n), bar.set_postfix(loss=p.loss)),
        )
    print("acceleration loss", result.card.metrics["acceleration_loss"])

    env = gymnasium.make("gym_lagrangian:DoublePendulumLNN-v0", checkpoint=str(path))
    env.reset(seed=0)
    for _ in range(100):
        *_, info = env.step(env.action_space.sample())
    print(f"after {info['time']:.1f} s the energy has drifted by {info['energy_drift']:.2e}")
    env.close()


if __name__ == "__main__":
    main()
