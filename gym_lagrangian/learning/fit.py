r"""Fitting: a model learned from recorded transitions alone, as a robot could record them.

States, forces and next states are enough. The model predicts several steps ahead, and the error
against the recorded states is minimised (see `windows`). Every model is treated alike: the same
windows and the same optimiser. Of all weights along the way, those with the least error on the
held-out data are kept.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from gym_lagrangian import checkpoints
from gym_lagrangian.checkpoints import Card, Checkpoint
from gym_lagrangian.envs.functional import check_dt
from gym_lagrangian.errors import DataError
from gym_lagrangian.learning.bands import calibration
from gym_lagrangian.learning.certainty import findings
from gym_lagrangian.learning.conditions import ConditionedOn, Conditions, of_data, scaled_to
from gym_lagrangian.learning.config import FitConfig, check_config, recipe, settings, usual_friction
from gym_lagrangian.learning.devices import Devices, devices_for
from gym_lagrangian.learning.horizons import Horizons, ends, lengths
from gym_lagrangian.learning.initial import Init, asked_of, initial, opened
from gym_lagrangian.learning.loop import Progress, Stage, learn, refuse_existing, trial
from gym_lagrangian.learning.members import (
    better_of,
    built,
    checked_members,
    errors,
    stacked,
)
from gym_lagrangian.learning.prediction import predictions
from gym_lagrangian.learning.scales import Scales, scales, seen_as
from gym_lagrangian.learning.shards import Rotation, Shards, are_many
from gym_lagrangian.learning.sources import Source
from gym_lagrangian.learning.suspicions import of_transitions, refuse
from gym_lagrangian.learning.torques import (
    STRETCH,
    Torques,
    refuse_without_inverse_dynamics,
    torques,
)
from gym_lagrangian.learning.transitions import Transitions, of_machine
from gym_lagrangian.learning.windows import Windows, growing_windows, held_out, padded
from gym_lagrangian.models.base import Model, friction_kind
from gym_lagrangian.models.embedding import Embedding
from gym_lagrangian.models.residual import places_among
from gym_lagrangian.physics.integrators import steps_in
from gym_lagrangian.programs import make_room
from gym_lagrangian.registration import load_model, model_reference
from gym_lagrangian.systems.coordinates import REFERENCE_DT, Coordinates
from gym_lagrangian.version import __version__

# A window's length and an integrator's step, as shares of the time scale of the motion.
_WINDOW, _SUBSTEP = 1 / 3, 1 / 4

# The most transitions in a window, and in one that has to be longer for motion to exceed noise.
_USUAL_WINDOW, _LONGEST_WINDOW = 4, 8

# Of data made of logs: the long window as a share of the time scale, the most transitions in it,
# and the least number of such windows into which all transitions can be cut.
_LONG, _MOST, _PARTS = 5 / 3, 64, 40

# The loss of energy in one time scale that is worth a warning, in standard deviations.
_NOTABLE_LOSS = 0.005


# What a fit learns from: transitions, their arrays by name, or one file or several.
Recorded = (
    Transitions
    | Shards
    | Mapping[str, Any]
    | str
    | os.PathLike[str]
    | Sequence[str | os.PathLike[str]]
)


def fit(
    data: Recorded,
    model: Any = None,
    *,
    out: str | Path,
    system: Any = None,
    system_options: dict[str, Any] | None = None,
    config: FitConfig | None = None,
    model_config: dict[str, Any] | None = None,
    friction: str | None = None,
    objective: str | None = None,
    conditioned_on: ConditionedOn | None = None,
    init: Init | None = None,
    members: int | None = None,
    devices: int = 1,
    resume: bool = False,
    overwrite: bool = False,
    save_every: float = 30.0,
    metrics: bool = True,
    insist: bool = False,
    noise_floor: float | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Checkpoint:
    """Fit a registered model to recorded transitions and write its checkpoint to `out`.

    Arguments:
        data: transitions, the npz file of some, or their arrays by name; or many files, as a list,
            a folder, a pattern such as ``"runs/*.npz"`` or `Shards`. Of up to a million
            transitions in many files the fit is that to all of them in one, in the order of the
            files. Of more, a million at most are in memory at a time, see `learning.shards`; the
            ``chunk`` of the configuration says after how many steps the next are read.
        model: a name in `registration.MODELS`, "module:Class" or a `Model` subclass; default that
            of `init`, or an LNN.
        system, system_options: of which machine they are, where the data does not say; see
            `Transitions`. Of a machine that is known by its coordinates alone, a system whose
            coordinates are as many and of the same kinds: the checkpoint is one of that system.
        model_config: arguments of the model's constructor. What is left out is as the model's
            `fitting` has it, then its preset ``"package"`` for that system, and the step of a
            model that has one is the data's. Its magnitudes are the data's too, see
            `learning.scales`, unless the system has a recipe for this model and the data are of
            the system's own parameters.
        friction: as for `training.train`.
        objective: as in `FitConfig`, in place of the config's: ``"motion"`` or ``"force"``.
        conditioned_on: names of the parameters that the model takes as inputs; default those
            that the system draws at reset or that vary in the data. Their ranges are the data's.
        init: as for `training.train`: a trained model to go on from. It is kept where nothing later
            predicts better what was held out, and `config.starts` has no use.
        members: how many models to fit, in one program: with other first weights, each to a
            resample of the windows (`learning.members`), judged by the same rows that are held out,
            each kept where it is best. Of more than one the checkpoint's model is an `Ensemble`,
            whose `bands` are calibrated at the end. Default that of `init`, or 1.
        devices: how many of JAX's devices divide every batch among them, as of `training.train`.
        metrics: whether to end with the measurements that `training.train` ends with, which take
            as long as a small fit, and are left out where the data's parameters are not the
            system's own; the error on what was held out is on the card in any case. A fit to
            logs ends with predictions of the motion that was held out, see `learning.prediction`.
        insist: fit although the data look wrong, see `learning.suspicions`.
        noise_floor: about the held-out error of a perfect model, where it is known; it stands
            beside the error on the card.

    The other arguments are those of `training.train`, as are interruption and resumption.

    Raises:
        DataError: of another system, no transitions, values that are not finite, wrong shapes,
            mixed dt, too few to hold any out, a parameter that varies and the model does not take,
            or data that look wrong; before anything is computed.
        CheckpointError, ConfigurationError, TrainingDiverged: as `training.train`.

    Warns:
        UserWarning: the model predicts no better than constant velocities do, or it has no friction
            and the motion loses energy.
    """
    out, whole = checkpoints.writable(out), _recorded(data, system, system_options)
    data = whole.sample if isinstance(whole, Shards) else whole
    make_room()
    origin = None if init is None else opened(init, data.coordinates)
    model = model_reference(model or ("LNN" if origin is None else origin.card.model))
    config = config or FitConfig.of(model)
    check_config(config, FitConfig)
    shared = devices_for(devices, config.batch)
    config = config if objective is None else replace(config, objective=objective)
    by_force = config.objective == "force"
    if by_force:
        refuse_without_inverse_dynamics(model)
    given = settings(model, model_config, friction)
    count = checked_members(members, None if origin is None else origin.model)
    if origin is not None:
        conditioned_on = asked_of(origin, conditioned_on, ranges=False)
    conditions = of_data(data.coordinates, whole.m, conditioned_on)
    seen, typical = seen_as(data), None
    if not _has_recipe(model, data, conditions):
        typical, seen = scales(data, seen), scaled_to(seen, conditions.ranges)
    config = _settled(config, data, typical)
    stages, judge = _stages(config, data, 1.0 if typical is None else typical.time)
    if isinstance(whole, Shards):
        stages = _rotating(stages, whole, config)
    refuse(of_transitions(data), insist=insist)
    key_model, key_batches = jax.random.split(jax.random.key(config.seed))
    came_from, judged = None, {} if noise_floor is None else {"noise_floor": noise_floor}
    build = partial(_fresh, model, given, data, seen, typical, conditions.names)
    if origin is not None:
        fresh, seen, came_from = initial(origin, model, data.coordinates, given)
        check_dt(fresh.dynamics(integrator="rk4", substeps=1), data.dt)
        judged["initial_error"] = float(errors(judge, fresh).mean())
    else:
        fresh = built(build, key_model, count)
    judged |= _of_guess(judge, fresh)
    if config.starts > 1 and not resume and origin is None:
        refuse_existing(out, overwrite=overwrite)  # before the attempts, which take a while
        fresh = _best_start(build, stages[0].source, judge, config, key_model, count, shared)
    card = Card.of(
        data.coordinates,
        seen=seen,
        parameters=conditions.parameters,
        conditioned_on=conditions.names,
        ranges=conditions.ranges,
        model=model,
        model_config=fresh.config,
        training=json.loads(json.dumps(asdict(config))),  # as it will be read
        data=f"{whole.description()}, {_described(stages)}",
        forced=whole.forced,
        package_version=__version__,
        friction=friction_kind(fresh),
        members=count,
        init=came_from,
    )
    predicts = metrics and _logged(data) and not by_force
    found = learn(
        fresh,
        stages,
        card,
        config,
        key=key_batches,
        out=out,
        resume=resume,
        overwrite=overwrite,
        save_every=save_every,
        on_progress=on_progress,
        judge=judge,
        metrics=metrics and data.system is not None and _usual(data, conditions),
        report=partial(_reported, data, config, predicts),
        judged=judged,
        trained=origin is not None,
        findings=partial(findings, source=stages[-1].source),
        devices=shared,
    )
    _warn_if_useless(found.card)
    _warn_of_losses(found.model, data)
    return found


def _best_start(
    build: Callable[..., Model],
    source: Source,
    judge: Windows | Torques,
    config: FitConfig,
    key: jax.Array,
    members: int,
    devices: Devices,
) -> Model:
    """Of several models, each fitted briefly, the one of the least error on what was held out; of
    an ensemble, for each of its members.
    """
    brief = replace(config, steps=min(config.trial, config.steps))
    best, least = None, np.full(members, np.inf)
    for one in jax.random.split(key, config.starts):
        tried = trial(built(build, one, members), source, brief, one, devices)
        found = np.nan_to_num(errors(judge, tried), nan=np.inf)
        best = tried if best is None else better_of(found < least, tried, best)
        least = np.minimum(least, found)
    assert best is not None  # there is at least one start
    return best


def _recorded(
    data: Any, system: str | None, system_options: dict[str, Any] | None
) -> Transitions | Shards:
    """What is learned from: transitions, and shards only where memory does not hold them all."""
    if are_many(data):
        data = Shards(data, system, system_options)
    elif isinstance(data, Shards) and system is not None:
        data = data.of_system(system, system_options)
    if not isinstance(data, Shards):
        return _transitions(data, system, system_options)
    return data.joined() if data.fit_in_memory else data


def _transitions(
    data: Any, system: str | None, system_options: dict[str, Any] | None
) -> Transitions:
    if isinstance(data, str | os.PathLike):
        data = Transitions.load(data, system, system_options)
    elif isinstance(data, Mapping):
        data = Transitions.of(data, system, system_options)
    elif not isinstance(data, Transitions):
        raise DataError(
            f"data is a {type(data).__name__}: expected Transitions, the paths of npz files, or "
            "arrays by name"
        )
    return of_machine(data, system, system_options)


def _rotating(stages: Sequence[Stage], shards: Shards, config: FitConfig) -> tuple[Stage, ...]:
    """The stages, each learned from the shards in turn rather than from their sample."""
    held = _held(shards.sample, config)

    def turns(source: Any) -> Rotation:
        return Rotation(shards, source, held, config.seed)

    return tuple(stage._replace(turns=turns(stage.source)) for stage in stages)


def _held(data: Transitions, config: FitConfig) -> np.ndarray:
    """Which transitions are held out."""
    given: Any = config.horizon
    steps = STRETCH if config.objective == "force" else max(lengths(given))
    return held_out(data, steps, config.held_out, config.seed)


def _settled(config: FitConfig, data: Transitions, typical: Scales | None) -> FitConfig:
    """The configuration with everything that it leaves to the data."""
    logged = _logged(data)
    if typical is None:
        horizon, substeps = 2, steps_in(data.dt, REFERENCE_DT)
    else:
        horizon = _grown(data, typical) if logged else _usual_horizon(data, typical)
        substeps = steps_in(data.dt, _SUBSTEP * typical.time)
    return replace(
        config,
        horizon=config.horizon or horizon,
        substeps=config.substeps or substeps,
        robust=logged if config.robust is None else config.robust,
    )


def _logged(data: Transitions) -> bool:
    """Whether they are made of the logs of a machine: noisy, with velocities that were estimated or
    measured by a sensor.
    """
    return data.coordinates.usage.logs is not None


def _usual_horizon(data: Transitions, typical: Scales) -> int:
    """A third of the time scale, or what exceeds the noise."""
    usual = min(steps_in(_WINDOW * typical.time, data.dt), _USUAL_WINDOW)
    above_noise = min(steps_in(typical.exceeds_noise, data.dt), _LONGEST_WINDOW)
    return max(2, usual, above_noise)


def _grown(data: Transitions, typical: Scales) -> Horizons:
    """A third of the time scale, then five thirds, as far as episodes go; one horizon where they
    are short.
    """
    room = min(_typical_length(data.episode) // 4, len(data) // _PARTS, _MOST)
    short, long = (
        max(2, min(steps_in(share * typical.time, data.dt), room)) for share in (_WINDOW, _LONG)
    )
    return ((short, 0.5), (long, 0.5)) if short < long else long


def _typical_length(episode: np.ndarray) -> int:
    """The transitions of the episode in which the median transition lies."""
    return int(np.median(np.bincount(episode)[episode]))


def _stages(
    config: FitConfig, data: Transitions, time: float
) -> tuple[tuple[Stage, ...], Windows | Torques]:
    """What is learned from, horizon after horizon, and what is judged by."""
    if config.objective == "force":
        source, judge = torques(data, share=config.held_out, seed=config.seed)
        return (Stage(config.steps, source),), judge
    given: Any = config.horizon
    learning, judge = growing_windows(
        data,
        lengths(given),
        integrator=config.integrator,
        substeps=config.substeps,
        share=config.held_out,
        seed=config.seed,
        time=time,
        robust=bool(config.robust),
    )
    return tuple(map(Stage, ends(given, config.steps), learning)), judge


def _reported(
    data: Transitions, config: FitConfig, predicts: bool, found: Checkpoint
) -> dict[str, Any]:
    """How well the model predicts the motion that was held out, and the bands of an ensemble."""
    rows = _held(data, config)
    report: dict[str, Any] = {}
    if predicts:
        report["prediction"] = predictions(found, data.where(rows)).document()
    if found.card.members > 1 and (calibrated := calibration(found, data, rows)):
        report["bands"] = calibrated
    return report


def _described(stages: tuple[Stage, ...]) -> str:
    return ", then ".join(stage.source.description() for stage in stages)


def _of_guess(judge: Windows | Torques, model: Model) -> dict[str, float]:
    """The error of a guess that costs nothing, by name."""
    if isinstance(judge, Torques):
        return {"constant_force_error": float(judge.constant_force_error(model.embedding))}
    return {"constant_velocity_error": float(judge.constant_velocity_error(model.embedding))}


def _warn_if_useless(card: Card) -> None:
    """Say so where the model predicts no better than a guess does."""
    error, by_force = card.metrics["held_out_error"], "constant_force_error" in card.metrics
    still = card.metrics["constant_force_error" if by_force else "constant_velocity_error"]
    unit, guess = ("", "forces are constant") if by_force else ("/s", "velocities stay as they are")
    if error >= still:
        warnings.warn(
            f"the fitted {card.model} has a held-out error of {error:.3g}{unit}, and the guess "
            f"that {guess} one of {still:.3g}{unit}: it learned nothing of use. Record "
            "more, try another seed or more steps, or check the units of the data",
            stacklevel=3,
        )


def _warn_of_losses(model: Model, data: Transitions) -> None:
    """Say so where a model without friction sees the energy of the data fall steadily.

    The balance of a transition is E⁺ − E − τᵀΔq. Without friction its mean is zero up to errors of
    the model, which have either sign.
    """
    if not model.has_energy or _has_friction(model, data):
        return
    balance, spread = _energy_balance(model, data)
    blocks = np.array([part.mean() for part in np.array_split(balance, min(20, len(balance)))])
    certain = blocks.mean() < -4.0 * blocks.std() / np.sqrt(len(blocks))
    lost = -float(balance.mean()) / data.dt / spread if spread > 0 else 0.0
    if certain and lost > _NOTABLE_LOSS / scales(data, seen_as(data)).time:
        warnings.warn(
            f"by the energy of the fitted {type(stacked(model)).__name__} the recorded motion "
            f"loses {lost:.2g} of the energy's standard deviation a second, beyond the work that "
            "is done on it. The model has no friction: fit one with "
            'friction="viscous" or "passive"',
            stacklevel=3,
        )


def _has_friction(model: Model, data: Transitions) -> bool:
    first = (jnp.asarray(rows[0], jnp.float32) for rows in (data.q, data.qd, data.m))
    return model.friction(*first) is not None


def _energy_balance(model: Any, data: Transitions) -> tuple[np.ndarray, float]:
    """E⁺ − E − τᵀΔq of every transition (N,), and the standard deviation of E, in joules."""
    count = len(data)
    turned = data.next_q - data.q
    angles = np.arctan2(np.sin(turned), np.cos(turned))
    work = np.sum(data.tau * np.where(data.coordinates.angular, angles, turned), axis=1)
    states = ((data.q, data.qd), (data.next_q, data.next_qd))
    before, after = (
        np.asarray(_energies(model, *(padded(x, -1) for x in (q, qd, data.m))), np.float64)[:count]
        for q, qd in states
    )
    return after - before - work, float(before.std())


@eqx.filter_jit
def _energies(model: Any, q: Any, qd: Any, m: Any) -> Array:
    """The energies of rows, in float32."""
    rows = (jnp.asarray(x, jnp.float32) for x in (q, qd, m))
    return jax.vmap(model.energy)(*rows)


def _has_recipe(model: str, data: Transitions, conditions: Conditions) -> bool:
    """Whether fits of this model to these data were tried, with the model's own magnitudes and
    windows that suit these.
    """
    system = data.system
    known = system is not None and system.tried(model)
    return known and _usual(data, conditions)


def _usual(data: Transitions, conditions: Conditions) -> bool:
    """Whether the data's parameters are the system's own."""
    return conditions.parameters == data.coordinates.fixed_parameters(conditions.names)


def _fresh(
    model: str,
    config: dict[str, Any],
    data: Transitions,
    seen: Coordinates,
    typical: Scales | None,
    conditions: tuple[str, ...],
    *,
    key: jax.Array,
) -> Model:
    model_class = load_model(model)
    known = model_class.settings()
    own_step = {"dt": data.dt} if "dt" in known else {}
    usual = recipe(model, data.coordinates).but(model_class.fitting).config
    bounds = np.stack([data.m.min(axis=0), data.m.max(axis=0)])
    usual = usual_friction(model, data.coordinates, bounds) | usual
    magnitudes = {} if typical is None else typical.settings(known)
    embedding, system = Embedding.of(seen, conditions), data.system
    if "places" in known:
        magnitudes |= {"places": places_among(embedding, data.q, data.qd, data.m)}
    config = {**usual, **own_step, **magnitudes, **config}
    fresh = model_class.build(embedding, key=key, legendre=system, **config)
    check_dt(fresh.dynamics(integrator="rk4", substeps=1), data.dt)
    return fresh
