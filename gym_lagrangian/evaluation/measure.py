"""The measurements that a checkpoint carries, and those of an environment."""

from __future__ import annotations

import os
from typing import Any

import gymnasium

from gym_lagrangian.checkpoints import Card
from gym_lagrangian.checks import seed_number, whole_number
from gym_lagrangian.envs.functional import cast, dynamics_of, exact_twin
from gym_lagrangian.envs.shell import Shell
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.evaluation.local import acceleration_loss, one_step_error
from gym_lagrangian.evaluation.motion import (
    ENERGY_TIMES,
    energy_balance,
    energy_discrepancy,
    free_motion,
    free_motions,
    step_of,
    told,
    velocity_error,
)
from gym_lagrangian.models.base import AccelerationModel, Model
from gym_lagrangian.registration import find
from gym_lagrangian.systems.base import System
from gym_lagrangian.systems.coordinates import REFERENCE_DT
from gym_lagrangian.systems.sample import Ranges


def losses(
    model: Model,
    system: System,
    *,
    dt: float,
    forced: bool = True,
    states: int = 20_000,
    ranges: Ranges | None = None,
) -> dict[str, float]:
    """One-step errors at `dt` and, where the model has accelerations, their losses; under
    random forces too (``…_forced``), unless the model does not take any.

    Arguments:
        ranges: of the parameters that are drawn anew for every state.
    """
    names = model.embedding.m_names
    substeps = system.default_substeps(dt, learned=True, conditioned_on=names)
    dynamics = dynamics_of(model, integrator="dop853", substeps=substeps)
    result: dict[str, float] = {}
    for suffix, push in (("", False), ("_forced", True))[: 1 + forced]:
        how: dict[str, Any] = {"forced": push, "states": states, "ranges": ranges}
        if isinstance(model, AccelerationModel):
            result[f"acceleration_loss{suffix}"] = acceleration_loss(model, system, **how)
        result[f"one_step_error{suffix}"] = one_step_error(dynamics, system, dt=dt, **how)
    return result


def measure(model: Model, card: Card) -> dict[str, Any]:
    """The metrics that a checkpoint carries: `losses` and energy discrepancies, over the ranges of
    the parameters that the model is conditioned on; none where the true equations are unknown.
    """
    if card.physics is None:
        return {}
    system = card.build_system()
    dt = step_of(model, REFERENCE_DT)
    ranges = system.drawn_anew(card.ranges)
    found = losses(model, system, dt=dt, forced=card.forced, ranges=ranges)
    metrics: dict[str, Any] = {"dt": dt, **found}
    how: Any = {"dt": dt, "states": 40, "seconds": max(ENERGY_TIMES), "ranges": ranges}
    motion, truth = free_motions(model, system, **how)
    judged = {"discrepancy": energy_discrepancy(motion, truth), "balance": energy_balance(motion)}
    for kind, results in judged.items():
        for result in results:
            summary = result.summary()
            del summary["values"]
            metrics[f"energy_{kind}_{result.time:g}s"] = summary
    metrics["velocity_error"] = velocity_error(model, system, ranges=ranges)
    return metrics


def evaluate(
    what: str | gymnasium.Env,
    *,
    states: int = 40,
    seed: int = 0,
    checkpoint: str | os.PathLike[str] | None = None,
    **arguments: Any,
) -> dict[str, Any]:
    """The paper's measurements of an environment; JSON-able.

    Free motion (zero action) from `states` starting states, energy discrepancies at 10 s and
    100 s against the true twin, what the balance of energy is wrong by, and the `losses` and
    `velocity_error` of a learned model.

    Arguments:
        what: an id, a system's name, "module:Class", or an environment of this package.
        checkpoint: the path of a model of your own to move it instead.
        arguments: of `gymnasium.make`, such as ``lagrangian="special_relativity"``.

    Raises:
        ConfigurationError: no such environment, `states` < 1, or a machine whose true equations
            are unknown.
        CheckpointError: the checkpoint is damaged, or a model of something else.
    """
    states, seed = whole_number("states", states), seed_number(seed)
    given = arguments | ({} if checkpoint is None else {"checkpoint": os.fspath(checkpoint)})
    base = _environment(what, given)
    report: dict[str, Any] = {
        "id": what if isinstance(what, str) else base.spec and base.spec.id,
        "checkpoint": base.checkpoint_name,
        "starting_states": states,
        "seed": seed,
        "dt": base.dt,
    }
    how: dict[str, Any]
    with base.scope():
        env, params = base.functional
        found = base.checkpoint
        if found is not None and env.system is not None:
            model = cast(found.model, "float64")
            how = {"ranges": told(env.system, params.m_bounds)}
            report |= losses(model, env.system, dt=base.dt, forced=found.card.forced, **how)
            report["velocity_error"] = velocity_error(model, env.system, seed=seed, **how)
        how = {"states": states, "seed": seed, "seconds": max(ENERGY_TIMES)}
        motion = free_motion(env, params, **how)
        true = free_motion(env, exact_twin(env, params), **how)
    discrepancy, balance = energy_discrepancy(motion, true), energy_balance(motion)
    report["energy_discrepancy"] = [result.summary() for result in discrepancy]
    report["energy_balance"] = [result.summary() for result in balance]
    return report


def _environment(what: str | gymnasium.Env, arguments: dict[str, Any]) -> Any:
    if isinstance(what, str):
        row = find(what)
        return gymnasium.make(row.id, **row.kwargs | arguments).unwrapped
    if arguments:
        raise ConfigurationError(
            f"{', '.join(arguments)}: only with an id; an environment has its own"
        )
    if not isinstance(what.unwrapped, Shell):
        raise ConfigurationError(f"{what} is not an environment of gym_lagrangian")
    return what.unwrapped
