"""The measurements that a checkpoint carries, and those of an environment."""

from __future__ import annotations

import os
from typing import Any

import gymnasium

from gym_lagrangian.checkpoints import Card
from gym_lagrangian.checks import seed_number, whole_number
from gym_lagrangian.envs.functional import cast, dynamics_of
from gym_lagrangian.evaluation.local import acceleration_loss, one_step_error
from gym_lagrangian.evaluation.motion import (
    ENERGY_TIMES,
    energy_discrepancy,
    free_motion,
    free_motions,
    step_of,
    velocity_error,
)
from gym_lagrangian.models.base import AccelerationModel, Model
from gym_lagrangian.registration import find
from gym_lagrangian.systems.base import REFERENCE_DT, System


def losses(
    model: Model, system: System, *, dt: float, forced: bool = True, states: int = 20_000
) -> dict[str, float]:
    """One-step errors at `dt` and, where the model has accelerations, their losses; under
    random forces too (``…_forced``), unless the model does not take any.
    """
    dynamics = dynamics_of(
        model, integrator="dop853", substeps=system.default_substeps(dt, learned=True)
    )
    result: dict[str, float] = {}
    for suffix, push in (("", False), ("_forced", True))[: 1 + forced]:
        how = {"forced": push, "states": states}
        if isinstance(model, AccelerationModel):
            result[f"acceleration_loss{suffix}"] = acceleration_loss(model, system, **how)
        result[f"one_step_error{suffix}"] = one_step_error(dynamics, system, dt=dt, **how)
    return result


def measure(model: Model, card: Card) -> dict[str, Any]:
    """The metrics that a checkpoint carries: `losses` and energy discrepancies."""
    system = card.build_system()
    dt = step_of(model, REFERENCE_DT)
    metrics: dict[str, Any] = {"dt": dt, **losses(model, system, dt=dt, forced=card.forced)}
    motions = free_motions(model, system, dt=dt, states=40, seconds=max(ENERGY_TIMES))
    for result in energy_discrepancy(*motions):
        summary = result.summary()
        del summary["values"]
        metrics[f"energy_discrepancy_{result.time:g}s"] = summary
    metrics["velocity_error"] = velocity_error(model, system)
    return metrics


def evaluate(
    env_id: str,
    *,
    states: int = 40,
    seed: int = 0,
    checkpoint: str | os.PathLike[str] | None = None,
    **options: Any,
) -> dict[str, Any]:
    """The paper's protocol, measured through a registered id; JSON-able.

    Free motion (zero action) from `states` starting states, energy discrepancies at 10 s and
    100 s against the true twin, and the `losses` and `velocity_error` of a learned model.

    Arguments:
        checkpoint: the path of a model of your own to move the id instead.
        options: of the system, such as ``lagrangian="special_relativity"``.

    Raises:
        ConfigurationError: `env_id` is not an id of this package, or `states` < 1.
        CheckpointError: the checkpoint is damaged, or a model of something else.
    """
    row, states, seed = find(env_id), whole_number("states", states), seed_number(seed)
    moved_by: dict[str, Any] = row.kwargs | options
    if checkpoint is not None:
        moved_by["checkpoint"] = os.fspath(checkpoint)
    learned: Any = gymnasium.make(env_id, **moved_by).unwrapped
    exact: Any = gymnasium.make(f"{row.system}-v0", **options).unwrapped
    report: dict[str, Any] = {
        "id": env_id,
        "checkpoint": moved_by.get("checkpoint"),
        "starting_states": states,
        "seed": seed,
        "dt": learned.dt,
    }
    with learned.scope():
        env, params = learned.functional
        found = learned.checkpoint
        if found is not None:
            model = cast(found.model, "float64")
            report |= losses(model, env.system, dt=learned.dt, forced=found.card.forced)
            report["velocity_error"] = velocity_error(model, env.system, seed=seed)
        how: Any = {"states": states, "seed": seed, "seconds": max(ENERGY_TIMES)}
        motion, true = (free_motion(env, p, **how) for p in (params, exact.functional[1]))
    results = energy_discrepancy(motion, true)
    report["energy_discrepancy"] = [result.summary() for result in results]
    return report
