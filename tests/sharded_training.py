"""Trainings on one device and on several, compared: python sharded_training.py FOLDER

The devices are those that XLA_FLAGS makes of a processor. What was found is printed as JSON.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import equinox as eqx
import jax
import numpy as np
from physics_helpers import SMALL, SMALL_MODEL

from gym_lagrangian import FitConfig, Transitions, checkpoints, fit, train
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.learning.devices import devices_for
from gym_lagrangian.learning.loop import loss
from gym_lagrangian.learning.sources import FreshStates
from gym_lagrangian.systems import DoublePendulum

SETTINGS = {"model_config": SMALL_MODEL, "metrics": False}


def trained(out, devices, **options):
    return train(
        "DoublePendulum", "Baseline", out=out, config=SMALL, devices=devices, **SETTINGS, **options
    )


def fitted(out, devices):
    """An ensemble's fit by Muon to numbers that no pendulum makes."""
    rng = np.random.default_rng(0)
    names = ("q", "qd", "next_q", "next_qd", "tau")
    data = Transitions("DoublePendulum", dt=0.05, **{k: rng.normal(size=(64, 2)) for k in names})
    config = FitConfig(steps=30, batch=16, chunk=15, horizon=1, starts=2, trial=10)
    how = {"members": 2, "insist": True, "devices": devices, **SETTINGS}
    return fit(data, "Baseline", out=out, config=config, **how)


def interrupted(out, devices):
    """A training that stops after its first chunk, and goes on with another number of devices."""

    def stop(progress):
        raise KeyboardInterrupt

    try:
        trained(out, devices[0], on_progress=stop)
    except KeyboardInterrupt:
        return trained(out, devices[1], resume=True)
    raise AssertionError("nothing was interrupted")


def apart(a, b):
    """The largest difference of weights and of losses, these as a share."""
    pairs = zip(jax.tree.leaves(a.model), jax.tree.leaves(b.model), strict=True)
    one, other = a.extra["history"][:, 1], b.extra["history"][:, 1]
    return [float(max(np.abs(x - y).max() for x, y in pairs)), float(np.abs(other / one - 1).max())]


def gradients_in_float64():
    """The largest difference of gradients as a share, and the program's sums over devices."""
    with jax.enable_x64(True):
        system, source = DoublePendulum(), FreshStates(DoublePendulum())
        model = checkpoints.fresh_model(
            "Baseline", system, (), key=jax.random.key(0), **SMALL_MODEL
        )
        model = jax.tree.map(lambda leaf: leaf.astype("float64"), model)

        def gradient(model, devices):
            return eqx.filter_grad(loss)(model, source, jax.random.key(1), 32, devices)

        compiled = eqx.filter_jit(gradient)
        one, other = (
            devices.gathered(compiled(devices.copied(model), devices))
            for devices in (devices_for(1, 32), devices_for(8, 32))
        )
        pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
        found = max(float(np.abs(x - y).max() / np.abs(x).max()) for x, y in pairs)
        program = compiled.lower(devices_for(8, 32).copied(model), devices_for(8, 32)).compile()
    return {"apart": found, "sums": program.compiled.as_text().count("all-reduce")}


def rows_on_each():
    """The rows of a batch of 32 on each of 8 devices."""
    devices, source = devices_for(8, 32), FreshStates(DoublePendulum())
    draw = jax.jit(lambda key: devices.divided(source.batch(key, 32)))
    _, targets = draw(devices.copied(jax.random.key(0)))
    return [shard.data.shape[0] for shard in targets.addressable_shards]


def refused(devices, batch):
    try:
        train(
            "DoublePendulum", "LNN", out="x.safetensors", config=replace(SMALL, batch=batch),
            devices=devices,
        )  # fmt: skip
    except ConfigurationError as error:
        return str(error)
    return None


def main():
    folder = Path(sys.argv[1])
    one = trained(folder / "one.safetensors", 1)
    eight = trained(folder / "eight.safetensors", 8)
    moved = interrupted(folder / "moved.safetensors", (8, 2))
    fits = [fitted(folder / f"fit{d}.safetensors", d) for d in (1, 4)]
    found = {
        "eight": apart(one, eight),
        "resumed": apart(one, moved),
        "fit": apart(*fits),
        "cards": [one.card.training == eight.card.training, one.card.data == eight.card.data],
        "float64": gradients_in_float64(),
        "rows": rows_on_each(),
        "refused": [refused(3, 32), refused(9, 36)],
    }
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
