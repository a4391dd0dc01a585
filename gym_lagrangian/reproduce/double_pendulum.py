r"""The paper's first experiment: every model on the double pendulum.

Free motion from states almost at rest, judged by the true energy: the discrepancy
|E(x_pred(t)) − E(x_true(t))| / 29.4 J; accelerations and single steps on the training
distribution, without and with random torques.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from gym_lagrangian import evaluation
from gym_lagrangian.checkpoints import Checkpoint
from gym_lagrangian.envs.functional import FunctionalEnv, Params, cast, dynamics_of, make
from gym_lagrangian.evaluation import FreeMotion
from gym_lagrangian.reproduce.protocol import Protocol
from gym_lagrangian.systems.double_pendulum import DoublePendulum

SYSTEM = "DoublePendulum"

# The models of the paper's figures 1 and 2, which run for 1000 s.
LONG = ("Baseline", "LNN")

# When the paper's figure 2 looks at the angles, in seconds.
EARLY, LATE = (0.0, 10.0), (140.0, 150.0)

# What the paper states, and per start its authors' published log: energy as shares of 29.4 J.
PAPER: dict[str, dict[str, float]] = {
    "LNN": {"acceleration_loss": 0.073, "mean": 0.0043, "median": 0.0011, "max": 0.034},
    "Baseline": {"acceleration_loss": 0.074, "mean": 0.080, "median": 0.0097, "max": 2.29},
}


class Runs(NamedTuple):
    """Free motion from every starting state, and from few of them for long."""

    short: FreeMotion
    long: FreeMotion | None


class Motions(NamedTuple):
    """The runs of the exact system and of every model."""

    truth: Runs
    models: dict[str, Runs]


class Traces(NamedTuple):
    """States of `LONG` and of the exact system from one starting state.

    Attributes:
        time: seconds (T,).
        states: (T, 2n) by name; ``"truth"`` is the exact system.
    """

    time: np.ndarray
    states: dict[str, np.ndarray]


def true_motions(protocol: Protocol) -> Runs:
    """The exact system's runs, in float64."""
    with jax.enable_x64(True):
        env, params = make(SYSTEM, dtype="float64")
        return _runs(env, params, protocol, long=True)


def measure(
    name: str, found: Checkpoint, truth: Runs, protocol: Protocol
) -> tuple[dict[str, Any], Runs]:
    """A model's numbers, JSON-able, and its runs."""
    system = found.card.build_system()
    dt = found.card.metrics["dt"]
    numbers: dict[str, Any] = {
        "losses": evaluation.losses(
            found.model,
            system,
            dt=dt,
            forced=found.card.forced,
            states=protocol.loss_states,
        ),
    }
    with jax.enable_x64(True):
        env, params = _learned(found, dt)
        runs = _runs(env, params, protocol, long=name in LONG)
    times = tuple(t for t in evaluation.ENERGY_TIMES if t < protocol.seconds)
    times += (protocol.seconds,)
    for count in (protocol.few, protocol.states):
        pair = (_first(run.short, count) for run in (runs, truth))
        found_at = evaluation.energy_discrepancy(*pair, times=times)
        numbers[f"energy_{count}"] = [one.summary() for one in found_at]
    numbers["drift"] = numbers[f"energy_{protocol.few}"][-1]["mean"]
    numbers["step_errors"] = _step_errors(found, dt, protocol)
    if runs.long is not None and truth.long is not None:
        times = (protocol.long_seconds,)
        found_at = evaluation.energy_discrepancy(runs.long, truth.long, times=times)
        numbers["energy_long"] = [one.summary() for one in found_at]
    return numbers, runs


def _step_errors(found: Checkpoint, dt: float, protocol: Protocol) -> dict[str, float]:
    """One-step errors at half, one and two steps; at one alone where there is no other."""
    system = found.card.build_system()
    steps = {"half": 0.5 * dt, "one": dt, "double": 2.0 * dt}
    errors = {}
    for name, step in steps.items():
        substeps = system.default_substeps(step, learned=True)
        dynamics = dynamics_of(found, integrator="dop853", substeps=substeps)
        if dynamics.fixed_dt in (None, step):
            how: Any = {"dt": step, "forced": False, "states": protocol.loss_states}
            errors[name] = evaluation.one_step_error(dynamics, system, **how)
    return errors


def traces(models: dict[str, Checkpoint], protocol: Protocol) -> Traces:
    """Figures 1 and 2: one motion, from the first of the starting states."""
    with jax.enable_x64(True):
        env, exact = make(SYSTEM, dtype="float64")
        followed = {"truth": exact}
        followed |= {name: _learned(models[name], float(exact.dt))[1] for name in LONG}
        start = evaluation.evaluation_states(DoublePendulum(), 1, protocol.seed)
        states = {}
        for name, params in followed.items():
            x, m = evaluation.starts(start, params)
            steps = round(LATE[1] / float(params.dt))
            free = jnp.zeros(env.coordinates.n)
            follow = eqx.filter_jit(params.dynamics.trajectory)
            later = follow(x[0], free, m[0], params.dt, steps)
            states[name] = np.concatenate([x, later])
    return Traces(float(exact.dt) * np.arange(len(states["truth"])), states)


def _learned(found: Checkpoint, dt: float) -> tuple[FunctionalEnv, Params]:
    """The environment moved by a loaded checkpoint."""
    env, params = make(SYSTEM, dt=dt, dtype="float64", **found.card.origin()[1])
    substeps = env.coordinates.default_substeps(dt, learned=True)
    dynamics = dynamics_of(found, integrator="dop853", substeps=substeps)
    return env, dataclasses.replace(params, dynamics=cast(dynamics, "float64"))


def _runs(env: FunctionalEnv, params: Params, protocol: Protocol, *, long: bool) -> Runs:
    def run(states: int, seconds: float) -> FreeMotion:
        return evaluation.free_motion(
            env, params, states=states, seed=protocol.seed, seconds=seconds
        )

    return Runs(
        run(protocol.states, protocol.seconds),
        run(protocol.few, protocol.long_seconds) if long else None,
    )


def _first(motion: FreeMotion, count: int) -> FreeMotion:
    return motion._replace(
        states=motion.states[:, :count],
        energy=motion.energy[:, :count],
        diverged=motion.diverged[:, :count],
        scale=motion.scale[:count],
    )
