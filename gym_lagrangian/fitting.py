r"""Fitting: a model learned from recorded transitions alone, as a robot could record them.

Nothing but states, forces and next states is needed: the model's own dynamics predict several
steps ahead and are corrected by what was seen (see `windows`). Every model is treated alike: same
windows, same optimiser, and of all the weights on the way those are kept that predict best what
was held out.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np
import optax

from gym_lagrangian import checkpoint
from gym_lagrangian.checkpoint import Card, Checkpoint
from gym_lagrangian.checks import finite_number, one_of, positive_number, whole_number
from gym_lagrangian.errors import ConfigurationError, DataError
from gym_lagrangian.functional import check_dt
from gym_lagrangian.integrators import INTEGRATORS
from gym_lagrangian.models.base import Model
from gym_lagrangian.registration import load_model
from gym_lagrangian.systems.base import REFERENCE_DT
from gym_lagrangian.training import Progress, TrainingConfig, learn, recipe, refuse_existing, trial
from gym_lagrangian.transitions import Transitions
from gym_lagrangian.windows import Windows, windows


@dataclass(frozen=True)
class FitConfig(TrainingConfig):
    """How to fit; as `TrainingConfig`, with other defaults, and

    Attributes:
        horizon: transitions that are predicted in a row.
        held_out: share of the transitions that are not learned from, to judge by.
        weight_decay: how fast the matrices of the networks shrink, as a share of the learning
            rate: a little data fits many networks, and the smoothest is the best guess. Biases
            do not.
        starts: models of different random weights that are fitted for `trial` steps each; the
            one that predicts best what was held out goes on, with the weights it has by then. For
            models that do not always find a way out of where they began.
        trial: steps of such an attempt.
        integrator, substeps: how the model is followed over a transition; default for substeps:
            one for every 0.05 s.
    """

    steps: int = 8_000
    batch: int = 64
    learning_rate: float = 2e-2
    warmup: int = 500
    chunk: int = 250
    horizon: int = 2
    held_out: float = 0.1
    weight_decay: float = 0.0
    starts: int = 1
    trial: int = 1_000
    integrator: str = "rk4"
    substeps: int | None = None

    def __post_init__(self):
        super().__post_init__()
        for name in ("horizon", "starts", "trial"):
            whole_number(name, getattr(self, name))
        if positive_number("held_out", self.held_out) >= 1.0:
            raise ConfigurationError(f"held_out = {self.held_out}: expected a share below 1")
        if finite_number("weight_decay", self.weight_decay, "share") < 0:
            raise ConfigurationError(f"weight_decay = {self.weight_decay}: expected at least 0")
        one_of("integrator", self.integrator, INTEGRATORS)
        if self.substeps is not None:
            whole_number("substeps", self.substeps)
        if self.fixed_states is not None:
            raise ConfigurationError("fixed_states: a fit draws no states, it learns from data")

    @classmethod
    def of(
        cls, model: str, system: str | None = None, *, preset: str = "package", **settings: Any
    ) -> FitConfig:
        """How a registered model is fitted, with the settings given in its place. There are no
        presets of that, and every system is alike.

        Raises:
            ConfigurationError: an unknown model.
        """
        return cls(**{**load_model(model).fitting.training, **settings})

    def _update(self, schedule: optax.Schedule) -> optax.GradientTransformation:
        if self.optimiser == "muon":
            return optax.contrib.muon(schedule, weight_decay=self.weight_decay)
        return optax.adamw(schedule, weight_decay=self.weight_decay, mask=_matrices)


def fit(
    data: Transitions | str | os.PathLike[str] | Mapping[str, Any],
    model: str = "LNN",
    *,
    out: str | Path,
    system: str | None = None,
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
        model: a name in `registration.MODELS`.
        system, system_options: of which system they are, where the data does not say.
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
    out = checkpoint.writable(out)
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
    build = partial(_fresh, model, model_config or {}, data, conditions)
    fresh = build(key=key_model)
    if config.starts > 1 and not resume:
        refuse_existing(out, overwrite=overwrite)  # before the attempts, which take a while
        fresh = _best_start(build, source, judge, config, key_model)
    card = Card(
        system=data.system.name,
        system_options=data.system.options,
        parameters=parameters,
        conditioned_on=conditions,
        model=model,
        model_config=fresh.config,
        training=asdict(config),
        data=f"{data.description()}, {source.description()}",
        forced=data.forced,
        package_version=checkpoint.package_version(),
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
        metrics=metrics and parameters == data.system.fixed_parameters(conditions),
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


def _matrices(params: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf.ndim > 1, params)


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
    if system is not None and system != data.system.name:
        raise DataError(f"these are transitions of {data.system.name}, not of {system}")
    for name in data.system.physical_options:
        found, asked = data.system.options[name], (system_options or {}).get(name)
        if asked is not None and asked != found:
            raise DataError(f"these are transitions with {name}={found!r}, not {asked!r}")
    return data


def _conditions(data: Transitions, given: tuple[str, ...] | None) -> tuple[str, ...]:
    """The parameters that the model takes as inputs."""
    constant = np.all(data.m == data.m[0], axis=0)
    names = tuple(data.system.parameters)
    varying = {name for name, same in zip(names, constant, strict=True) if not same}
    if given is None:
        wanted = varying | set(data.system.varying)
        return tuple(name for name in names if name in wanted)
    left = ", ".join(sorted(varying - set(given)))
    if left:
        raise DataError(f"{left} varies in the data: a model of it must be conditioned on that")
    return tuple(given)


def _fixed_parameters(data: Transitions, conditions: tuple[str, ...]) -> dict[str, float]:
    values = zip(data.system.parameters, data.m[0].tolist(), strict=True)
    return {name: value for name, value in values if name not in conditions}


def _fresh(
    model: str,
    config: dict[str, Any],
    data: Transitions,
    conditions: tuple[str, ...],
    *,
    key: jax.Array,
) -> Model:
    model_class = load_model(model)
    own_step = {"dt": data.dt} if "dt" in inspect.signature(model_class).parameters else {}
    usual = recipe(model, data.system.name).but(model_class.fitting).config
    config = {**usual, **own_step, **config}
    fresh = checkpoint.fresh_model(model, data.system, conditions, key=key, **config)
    check_dt(fresh.dynamics(integrator="rk4", substeps=1), data.dt)
    return fresh
