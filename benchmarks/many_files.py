"""Fit to more transitions than memory is to hold: python benchmarks/many_files.py

Generates transitions of the double pendulum in npz files, in a process of its own, and fits a model
to them. Prints the processor time of each part, over all cores, and the most memory in which the
fit was resident, libraries and compiled programs included.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

# Pendula that move side by side, and steps of an episode.
_PENDULA, _STEPS = 1_000, 100


def generate(folder: Path, files: int, rows: int) -> None:
    """Write `files` files of `rows` transitions each, under torques that are drawn every step."""
    import jax

    from gym_lagrangian import Transitions
    from gym_lagrangian.physics.dynamics import ContinuousDynamics
    from gym_lagrangian.systems import DoublePendulum

    system, dt = DoublePendulum(), 0.05
    m, dynamics = system.parameter_bounds()[0], ContinuousDynamics(system, "rk4", 4)
    step = jax.jit(jax.vmap(lambda x, tau: dynamics.step(x, tau, m, dt)))
    for i in range(files):
        rng, parts = np.random.default_rng(i), []
        while sum(map(len, parts)) < rows:
            parts.append(episodes(step, rng))
        columns = np.concatenate(parts)[:rows]
        names = ("q", "qd", "tau", "next_q", "next_qd")
        arrays = dict(zip(names, np.split(columns, 5, axis=1), strict=True))
        data = Transitions(system, dt=dt, **arrays)
        np.savez(folder / f"{i:04}.npz", system="DoublePendulum", dt=dt, **data.arrays)


def episodes(step, rng: np.random.Generator) -> np.ndarray:
    """Rows (q, qd, tau, next_q, next_qd) of pendula one after another, (rows, 10)."""
    x = rng.uniform([-3, -3, -6, -6], [3, 3, 6, 6], (_PENDULA, 4)).astype(np.float32)
    rows = np.empty((_STEPS, _PENDULA, 10))
    for k in range(_STEPS):
        tau = rng.uniform(-6, 6, (_PENDULA, 2)).astype(np.float32)
        after = np.asarray(step(x, tau))
        rows[k] = np.hstack([x, tau, after])
        x = after
    return rows.swapaxes(0, 1).reshape(-1, 10)


def fitted(folder: Path, options: argparse.Namespace) -> dict[str, float]:
    """What a fit takes: processor seconds, and peak memory in GB."""
    from gym_lagrangian import FitConfig, Shards, fit

    began, ends = time.process_time(), []
    shards = Shards(folder, rows_in_memory=options.rows_in_memory)
    found = fit(
        shards,
        options.model,
        out=folder / "model.safetensors",
        config=FitConfig.of(options.model, steps=options.steps, starts=1),
        metrics=False,
        on_progress=lambda progress: ends.append(time.process_time() - began),
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "transitions": len(shards),
        "held-out error in 1/s": found.card.metrics["held_out_error"],
        "processor seconds until the first chunk": ends[0],
        "processor seconds of a later chunk": float(np.mean(np.diff(ends)))
        if len(ends) > 1
        else 0.0,
        "peak resident memory in GB": peak / 1e9,
    }


def main() -> None:
    """Parse the arguments, generate, fit and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100)
    parser.add_argument("--rows", type=int, default=100_000, help="transitions in a file")
    parser.add_argument("--rows-in-memory", type=int, default=1_000_000)
    parser.add_argument("--model", default="LNN")
    parser.add_argument("--steps", type=int, default=1_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        spawn = multiprocessing.get_context("spawn")
        job = spawn.Process(target=generate, args=(Path(folder), options.files, options.rows))
        job.start()
        job.join()
        assert job.exitcode == 0, "generating the files failed"
        for name, value in fitted(Path(folder), options).items():
            print(f"{name}: {value:,.3g}" if isinstance(value, float) else f"{name}: {value:,}")


if __name__ == "__main__":
    main()
