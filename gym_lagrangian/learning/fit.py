r"""Fitting: a model learned from recorded transitions alone, as a robot could record them.

Nothing but states, forces and next states is needed: the model's own dynamics predict several
steps ahead and are corrected by what was seen (see `windows`). Every model is treated alike: same
windows, same optimiser, and of all the weights on the way those are kept that predict best what
was held out.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np

from gym_lagrangian import checkpoints
from gym_lagrangian.checkpoints import Card, Checkpoint
from gym_lagrangian.envs.functional import check_dt
from gym_lagrangian.errors import DataError
from gym_lagrangian.learning.config import FitConfig, recipe
from gym_lagrangian.learning.loop import Progress, learn, refuse_existing, trial
from gym_lagrangian.learning.transitions import Transitions
from gym_lagrangian.learning.windows import Windows, windows
from gym_lagrangian.models.base import Model
from gym_lagrangian.registration import build_system, load_model, model_reference
from gym_lagrangian.systems.coordinates import REFERENCE_DT, SCALES, Coordinates, Magnitudes
from gym_lagrangian.version import __version__


def fit(
    data: Transitions | str | os.PathLike[str] | Mapping[str, Any],
    model: Any = "LNN",
    *,
    out: str | Path,
    system: Any = None,
    system_options: dict[str, Any] | None = None,
    config: FitConfig | None = None,
    model_config: dict[str, Any] | None = None,
    conditioned_on: tuple[str, ...] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    save_every: float = 30.0,
    metrics: bool = True,
    on_progress: Callable[[Progress], None] | None = None,
) -> Checkpoint:
    """Fit a registered model to recorded transitions and write its checkpoint to `out`.

    Arguments:
        data: transitions, the npz file of some, or their arrays by name.
        model: a name in `registration.MODELS`, "module:Class" or a `Model` subclass.
        system, system_options: of which machine they are, where the data does not say; see
            `Transitions`.
        model_config: arguments of the model's constructor; what is left out is as the model's
            `fitting` has it, then its preset ``"package"`` for that system, and the step of a
            model that has one is the data's.
        conditioned_on: names of the parameters that the model takes as inputs; default those
            that the system draws at reset or that vary in the data.
        metrics: whether to end with the measurements that `training.train` ends with, which take
            as long as a small fit, and are left out where the data's parameters are not the
            system's own; the error on what was held out is on the card in any case.

    The other arguments are those of `training.train`, as are interruption and resumption.

    Raises:
        DataError: of another system, no transitions, values that are not finite, wrong shapes,
            mixed dt, too few to hold any out, or a parameter that varies and the model does not
            take; before anything is computed.
        CheckpointError, ConfigurationError, TrainingDiverged: as `training.train`.
    """
    out, model = checkpoints.writable(out), model_reference(model)
    config = config or FitConfig.of(model)
    data = _transitions(data, system, system_options)
    conditions = _conditions(data, conditioned_on)
    parameters = _fixed_parameters(data, conditions)
    substeps = config.substeps or int(np.ceil(data.dt / REFERENCE_DT - 1e-9))
    source, judge = windows(
        data,
        config.horizon,
        integrator=config.integrator,
        substeps=substeps,
        share=config.held_out,
        seed=config.seed,
    )
    key_model, key_batches = jax.random.split(jax.random.key(config.seed))
    moved = scaled_to(data)
    build = partial(_fresh, model, model_config or {}, moved, data.dt, conditions)
    fresh = build(key=key_model)
    if config.starts > 1 and not resume:
        refuse_existing(out, overwrite=overwrite)  # before the attempts, which take a while
        fresh = _best_start(build, source, judge, config, key_model)
    card = Card.of(
        moved,
        parameters=parameters,
        conditioned_on=conditions,
        model=model,
        model_config=fresh.config,
        training=asdict(config),
        data=f"{data.description()}, {source.description()}",
        forced=data.forced,
        package_version=__version__,
    )
    return learn(
        fresh,
        source,
        card,
        config,
        key=key_batches,
        out=out,
        resume=resume,
        overwrite=overwrite,
        save_every=save_every,
        on_progress=on_progress,
        held_out=judge.error,
        metrics=metrics and data.system is not None and _usual(data, conditions, parameters),
    )


def _best_start(
    build: Callable[..., Model], source: Windows, judge: Windows, config: FitConfig, key: jax.Array
) -> Model:
    """Of several models, each fitted briefly, the one of the least error on what was held out."""
    brief, error = (
        replace(config, steps=min(config.trial, config.steps)),
        eqx.filter_jit(judge.error),
    )
    keys = jax.random.split(key, config.starts)
    tried = [trial(build(key=key), source, brief, key) for key in keys]
    errors = [float(error(model)) for model in tried]
    return tried[int(np.argmin(np.nan_to_num(errors, nan=np.inf)))]


def _transitions(
    data: Any, system: str | None, system_options: dict[str, Any] | None
) -> Transitions:
    if isinstance(data, str | os.PathLike):
        data = Transitions.load(data, system, system_options)
    elif isinstance(data, Mapping):
        data = Transitions.of(data, system, system_options)
    elif not isinstance(data, Transitions):
        raise DataError(
            f"data is a {type(data).__name__}: expected Transitions, the path of an npz file, or "
            "arrays by name"
        )
    if system is not None and not data.coordinates.agrees_with(
        build_system(system, system_options or {})
    ):
        raise DataError(f"these are transitions of {data.coordinates.name}, not of {system}")
    options = {} if data.system is None else data.system.options
    for name, asked in (system_options or {}).items():
        if name in options and asked != options[name]:
            raise DataError(f"these are transitions with {name}={options[name]!r}, not {asked!r}")
    return data


def scaled_to(data: Transitions) -> Coordinates:
    """The coordinates of the data. Typical magnitudes that nobody stated are those of the data: of
    q the largest of a length, of q̇ and τ twice the standard deviation.
    """
    coordinates = data.coordinates
    if data.system is not None or not coordinates.estimated:
        return coordinates
    found = Magnitudes(
        _sizes(np.abs(data.q).max(axis=0)),
        _sizes(2.0 * data.qd.std(axis=0)),
        _sizes(2.0 * data.tau.std(axis=0)),
    )
    pairs = zip(SCALES, found, strict=True)
    return coordinates.with_magnitudes(
        Magnitudes(*(getattr(coordinates, name) or size for name, size in pairs))
    )


def _sizes(values: np.ndarray) -> tuple[float, ...]:
    """The values, 1 in place of those that are zero."""
    return tuple(float(value) or 1.0 for value in values)


def _usual(data: Transitions, conditions: tuple[str, ...], parameters: dict[str, float]) -> bool:
    """Whether the data's parameters are the system's own."""
    return parameters == data.coordinates.fixed_parameters(conditions)


def _conditions(data: Transitions, given: tuple[str, ...] | None) -> tuple[str, ...]:
    """The parameters that the model takes as inputs."""
    constant = np.all(data.m == data.m[0], axis=0)
    names = tuple(data.coordinates.parameters)
    varying = {name for name, same in zip(names, constant, strict=True) if not same}
    if given is None:
        wanted = varying | set(data.coordinates.varying)
        return tuple(name for name in names if name in wanted)
    left = ", ".join(sorted(varying - set(given)))
    if left:
        raise DataError(f"{left} varies in the data: a model of it must be conditioned on that")
    return tuple(given)


def _fixed_parameters(data: Transitions, conditions: tuple[str, ...]) -> dict[str, float]:
    values = zip(data.coordinates.parameters, data.m[0].tolist(), strict=True)
    return {name: value for name, value in values if name not in conditions}


def _fresh(
    model: str,
    config: dict[str, Any],
    moved: Coordinates,
    dt: float,
    conditions: tuple[str, ...],
    *,
    key: jax.Array,
) -> Model:
    model_class = load_model(model)
    own_step = {"dt": dt} if "dt" in model_class.settings() else {}
    usual = recipe(model, moved).but(model_class.fitting).config
    config = {**usual, **own_step, **config}
    fresh = checkpoints.fresh_model(model, moved, conditions, key=key, **config)
    check_dt(fresh.dynamics(integrator="rk4", substeps=1), dt)
    return fresh
