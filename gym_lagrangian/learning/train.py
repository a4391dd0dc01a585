"""Training on a system whose equations are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from gym_lagrangian import checkpoints
from gym_lagrangian.checkpoints import Card, Checkpoint
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.learning.conditions import (
    ConditionedOn,
    Conditions,
    of_data,
    of_system,
    scaled_to,
)
from gym_lagrangian.learning.config import (
    TrainingConfig,
    check_config,
    recipe,
    settings,
    usual_friction,
)
from gym_lagrangian.learning.devices import devices_for
from gym_lagrangian.learning.initial import Init, asked_of, initial, opened
from gym_lagrangian.learning.loop import Progress, Stage, learn
from gym_lagrangian.learning.members import built, checked_members
from gym_lagrangian.learning.npz import read_npz
from gym_lagrangian.learning.relative import Relative
from gym_lagrangian.learning.scales import scales_of
from gym_lagrangian.learning.sources import (
    Source,
    from_arrays,
    label_of,
    parameters_in,
    states_of,
)
from gym_lagrangian.models.base import friction_kind
from gym_lagrangian.models.embedding import Embedding
from gym_lagrangian.programs import make_room
from gym_lagrangian.registration import build_system, load_model, model_reference
from gym_lagrangian.systems.base import System, check_friction
from gym_lagrangian.systems.coordinates import Coordinates
from gym_lagrangian.systems.sample import Ranges
from gym_lagrangian.version import __version__


def train(
    system: Any,
    model: Any,
    *,
    out: str | Path,
    config: TrainingConfig | None = None,
    preset: str = "package",
    system_options: dict[str, Any] | None = None,
    model_config: dict[str, Any] | None = None,
    friction: str | None = None,
    conditioned_on: ConditionedOn | None = None,
    data: str | Path | None = None,
    init: Init | None = None,
    members: int | None = None,
    devices: int = 1,
    resume: bool = False,
    overwrite: bool = False,
    save_every: float = 30.0,
    metrics: bool = True,
    on_progress: Callable[[Progress], None] | None = None,
) -> Checkpoint:
    """Train a registered model on a registered system and write its checkpoint to `out`.

    While it runs, its whole state is saved every `save_every` seconds to a file beside `out`
    (see `resume_path`), also on Ctrl-C and when the loss stops being finite; `resume=True`
    continues from there. The file is removed once `out` is written.

    Arguments:
        system: a registered name, "module:Class" or a `System` subclass.
        model: a name in `registration.MODELS`, "module:Class" or a `Model` subclass.
        config: how to train; default: as the preset has it.
        preset: ``"package"``, or ``"paper"`` for the paper's own network and training.
        system_options, model_config: constructor arguments; what `model_config` leaves out is
            as in the preset. Where the system has no recipe for the model, its magnitudes are
            those of the system's training states, see `learning.scales`.
        friction: the friction that the model learns, ``"none"``, ``"viscous"``, ``"coulomb"`` or
            ``"passive"``, of a model that can have friction. Default: the system's
            `learned_friction`.
        conditioned_on: the parameters that the model takes as inputs, name → (low, high) between
            which they are drawn, uniformly. None in place of a range, or names alone, stand for
            the system's own range, see `System.varies`. Default: those that the system draws at
            reset. The checkpoint records the ranges, and is refused outside them. Where others
            are asked for than the system draws, they enter the network as factors
            (``conditioning="product"``), unless `model_config` says otherwise.
        data: an npz file of fixed states (see `sources.from_npz`), whose parameters have the ranges
            that are in it; default fresh states.
        init: a trained model to go on from, a path, a shipped name or a `Checkpoint`: of the same
            model, settings and coordinates. What `conditioned_on` leaves out is as it was.
        members: how many models to train, in one program: with other first weights and other
            states, or another resample of those in `data`. Of more than one the checkpoint's model
            is an `Ensemble`. Default that of `init`, or 1.
        devices: how many of JAX's devices divide every batch among them; a number that divides
            `config.batch`. The result is that of one device up to the rounding of sums, see
            `learning.devices`. A run that is resumed may have another number of them.
        overwrite: allow replacing an existing `out` and dropping an unfinished run.
        metrics: whether to end with the measurements that the checkpoint carries, which take about
            a minute.
        on_progress: called after every chunk.

    Raises:
        CheckpointError: `out` or an unfinished run exists and neither `resume` nor
            `overwrite` was given, there is nothing to resume, or what there is was started
            with another configuration.
        TrainingDiverged: the loss became non-finite.
        ConfigurationError, DataError: bad arguments, before anything is computed.
    """
    out = checkpoints.writable(out)
    if config is not None:
        check_config(config, TrainingConfig)
    make_room()
    built_system = _known(build_system(system, system_options or {}))
    model = model_reference(model)
    arrays = None if data is None else read_npz(data)
    origin = None if init is None else opened(init, built_system)
    given = settings(model, model_config, friction)
    count = checked_members(members, None if origin is None else origin.model)
    if origin is not None:
        conditioned_on = asked_of(origin, conditioned_on, ranges=arrays is None)
    conditions = _conditions(built_system, conditioned_on, arrays)
    drawn = built_system.drawn_anew(conditions.ranges)
    config = config or TrainingConfig.of(model, built_system, preset=preset)
    shared = devices_for(devices, config.batch)
    key_model, key_batches, key_states = jax.random.split(jax.random.key(config.seed), 3)
    if origin is not None:
        fresh, seen, came_from = initial(origin, model, built_system, given)
    else:
        seen, came_from = scaled_to(built_system, drawn), None
        usual = usual_settings(
            model, built_system, preset=preset, ranges=drawn if arrays is None else {}
        )
        if set(conditions.names) - set(built_system.varying):
            usual = _as_factors(model) | usual
        embedding, how = Embedding.of(seen, conditions.names), usual | given
        build = partial(load_model(model).build, embedding, legendre=built_system, **how)
        fresh = built(build, key_model, count)
    source: Source
    if arrays is not None:
        label = label_of(data, arrays)  # type: ignore[arg-type]
        source = from_arrays(arrays, built_system, fresh.horizon, label=label)
    else:
        states = partial(states_of, key=key_states, ranges=drawn, law=config.parameter_law)
        source = states(built_system, config.fixed_states, fresh.horizon)
    if fresh.needs_forces and not source.forced:
        raise ConfigurationError(
            f"{model} as configured learns from forces, and none act in this data: give states "
            'under forces (an array tau), or the model option gradient="exact"'
        )
    if config.error == "relative":
        source = Relative.of(source, fresh, key_states)
    card = Card.of(
        built_system,
        seen=seen,
        parameters=conditions.parameters,
        conditioned_on=conditions.names,
        ranges=conditions.ranges,
        model=model,
        model_config=fresh.config,
        training=asdict(config),
        data=source.description(),
        forced=source.forced,
        package_version=__version__,
        friction=friction_kind(fresh),
        members=count,
        init=came_from,
    )
    return learn(
        fresh,
        (Stage(config.steps, source),),
        card,
        config,
        key=key_batches,
        out=out,
        resume=resume,
        overwrite=overwrite,
        save_every=save_every,
        metrics=metrics,
        on_progress=on_progress,
        devices=shared,
    )


def _conditions(
    system: System, asked: ConditionedOn | None, arrays: dict[str, np.ndarray] | None
) -> Conditions:
    if arrays is None:
        return of_system(system, asked)
    return of_data(system, parameters_in(arrays, system), asked)


def _as_factors(model: str) -> dict[str, Any]:
    known = "conditioning" in load_model(model).settings()
    return {"conditioning": "product"} if known else {}


def usual_settings(
    model: str, system: System, *, preset: str = "package", ranges: Ranges | None = None
) -> dict[str, Any]:
    """The default settings of a model: of its preset, of the magnitudes of the
    system's training states, of the friction of the system, and of the system's recipe. A recipe
    was tried with the model's own magnitudes.

    Arguments:
        ranges: of the parameters that the training states are drawn with.
    """
    found = usual_friction(model, system) | recipe(model, system, preset).config
    if preset != "package" or system.tried(model):
        return found
    return scales_of(system, ranges or {}).settings(load_model(model).settings()) | found


def _known(coordinates: Coordinates) -> System:
    """The coordinates' system.

    Raises:
        ConfigurationError: its equations are unknown.
    """
    if coordinates.physics is None:
        raise ConfigurationError(
            f"{coordinates.name} is known by its coordinates alone: there are no equations to draw "
            "states from; fit a model to recorded transitions instead"
        )
    check_friction(coordinates.physics)
    return coordinates.physics
