"""A command in a process of its own, to be killed: python victim.py COMMAND [ARGUMENT ...].

It works in the current folder. Everything is small. A training saves its state at every chunk
rather than every half minute, so that kills come before, between and in saves; nothing is measured
at its end, which takes a minute.
"""

import functools
import sys
import warnings

from acting_helpers import ID, TINY

from gym_lagrangian import acting, cli, collect
from gym_lagrangian.learning import fit, loop, train

SMALL = ["--model-option", "width=4", "--model-option", "depth=1", "--batch", "8"]
MODEL = [f"--model-option={name}={value}" for name, value in TINY["model_config"].items()]
STEPS = map(str, TINY["steps"])
HOW = ["--budget=16", "--seed=5", "--random=2", "--episode=2"]

OUT = ["--out", "model.safetensors"]
COMMANDS = {
    "train": ["train", "RelativisticParticle", "Baseline", *OUT, "--steps=20000", *SMALL],
    "fit": ["fit", "data.npz", "Baseline", *OUT, "--steps=5000", *SMALL],
    "collect": ["collect", "CartPole-v1", "--transitions=4000", "--out", "found.npz"],
    "learn": ["learn", ID, TINY["model"], "--out", "run", *HOW, "--steps", *STEPS, *MODEL],
}


def main(command: str, *more: str) -> int:
    """The command's exit status."""
    warnings.simplefilter("ignore", UserWarning)  # so small a model is of no use
    loop.measure = lambda model, card: {}
    for learning in (train.train, fit.fit):
        learning.__kwdefaults__["save_every"] = 0.0
    how = {name: TINY[name] for name in ("config", "planner")}
    acting.learn = functools.partial(acting.learn, **how)
    if command == "minari":
        collect("CartPole-v1", 2000, minari="killed/cart-v0")
        return 0
    return cli.main([*COMMANDS[command], *more])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
