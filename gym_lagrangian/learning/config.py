"""Settings of a training and of a fit, and where their defaults come from.

The defaults of the optimiser are here. The `presets` of a model override them, and the `recipes` of
a system for a model override both. `recipe` puts the three together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from gym_lagrangian.checks import (
    finite_number,
    mapping,
    one_of,
    positive_number,
    seed_number,
    shown,
    whole_number,
)
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.learning.horizons import Horizons, horizons
from gym_lagrangian.learning.optimiser import OPTIMISERS, Optimiser, Schedule
from gym_lagrangian.physics.integrators import INTEGRATORS
from gym_lagrangian.registration import load_model, load_system
from gym_lagrangian.systems.coordinates import Coordinates
from gym_lagrangian.systems.preset import Preset
from gym_lagrangian.systems.sample import PARAMETER_LAWS

OBJECTIVES = ("motion", "force")
ERRORS = ("absolute", "relative")

# Steps are counted in 32 bits; a batch of so many samples, or the losses of so many steps, take
# gigabytes.
MOST = {"steps": 2**31 - 1, "batch": 2**24, "chunk": 2**24}


@dataclass(frozen=True)
class OptimiserConfig:
    """How weights are optimised; recorded in the checkpoint.

    Attributes:
        steps: optimiser steps.
        batch: samples a step.
        optimiser: ``"muon"`` (orthogonalised momentum for the matrices, Adam for the rest;
            Jordan et al., 2024) or ``"adam"``.
        learning_rate: peak, reached after `warmup` steps and followed by a cosine decay.
        final_learning_rate: where the decay ends, as a share of the peak.
        warmup: steps of linear warm-up.
        clip: largest norm of a gradient; None for any.
        seed: of the initial weights and of every batch.
        chunk: steps in one jitted call.
    """

    steps: int
    batch: int
    optimiser: str = "muon"
    learning_rate: float = 1e-2
    final_learning_rate: float = 1e-4
    warmup: int = 500
    clip: float | None = 1.0
    seed: int = 0
    chunk: int = 500

    def __post_init__(self):
        for name in ("steps", "batch", "chunk"):
            whole_number(name, getattr(self, name), most=MOST[name])
        whole_number("warmup", self.warmup, least=0)
        seed_number(self.seed)
        for name in ("learning_rate", "final_learning_rate"):
            positive_number(name, getattr(self, name))
        if self.clip is not None:
            positive_number("clip", self.clip)
        one_of("optimiser", self.optimiser, OPTIMISERS)

    @property
    def decay(self) -> float:
        """The weight decay; none unless a subclass has one."""
        return 0.0

    @property
    def schedule(self) -> Schedule:
        """The course of the learning rate."""
        warmup = min(self.warmup, self.steps // 10)
        return Schedule.of(
            peak=self.learning_rate,
            end=self.learning_rate * self.final_learning_rate,
            warmup=warmup,
            steps=self.steps,
        )

    @property
    def update(self) -> Optimiser:
        """The rule by which weights change."""
        return Optimiser(self.optimiser, self.clip, self.decay)


@dataclass(frozen=True)
class TrainingConfig(OptimiserConfig):
    """How to train on a system; as `OptimiserConfig`, and

    Attributes:
        fixed_states: draw so many unforced states once, and learn from those alone, as the paper
            does; None for fresh states at every step.
        error: how an error of accelerations counts: ``"absolute"``, the paper's; or
            ``"relative"``, against the acceleration itself, for machines whose accelerations range
            over decades, see `learning.relative`.
        parameter_law: how the parameters of a conditioned model are drawn from their ranges:
            ``"uniform"``; or ``"arcsine"``, denser towards the ends, see `systems.sample.varied`.
    """

    steps: int = 600_000
    batch: int = 128
    fixed_states: int | None = None
    error: str = "absolute"
    parameter_law: str = "uniform"

    def __post_init__(self):
        super().__post_init__()
        one_of("error", self.error, ERRORS)
        one_of("parameter_law", self.parameter_law, PARAMETER_LAWS)
        if self.fixed_states is not None:
            whole_number("fixed_states", self.fixed_states)

    @classmethod
    def of(
        cls, model: str, system: Any = None, *, preset: str = "package", **settings: Any
    ) -> Self:
        """The training of a `recipe`, with the settings given in its place.

        Raises:
            ConfigurationError: an unknown model or system, or a model without such a preset.
        """
        return cls(**{**recipe(model, system, preset).training, **settings})


@dataclass(frozen=True)
class FitConfig(OptimiserConfig):
    """How to fit to recorded transitions; as `OptimiserConfig`, and

    Attributes:
        horizon: transitions that are predicted in a row, or a schedule of pairs (transitions, share
            of the steps), the transitions growing, as ((8, 0.5), (40, 0.5)); what is held out is
            judged by the longest throughout. None for what suits the data. Made of logs: a
            schedule of a third of the time scale, then five thirds, each for half of the steps.
            Where the system has a recipe for the model: 2. Otherwise a third of the time scale, at
            least 2 and at most 4, or as many as motion takes to exceed the noise, at most 8.
        robust: whether the error of one component counts for at most its typical magnitude; None
            for the data that are made of logs.
        held_out: share of the transitions that are not learned from, to judge by.
        weight_decay: how fast the matrices of the networks shrink, as a share of the learning
            rate: a little data fits many networks, and the smoothest is the best guess. Biases
            do not.
        starts: models of different random weights that are fitted for `trial` steps each; the
            one that predicts best what was held out goes on, with the weights it has by then. For
            models that do not always find a way out of where they began.
        trial: steps of such an attempt.
        integrator, substeps: how the model is followed over a transition; default for substeps:
            one for every 0.05 s where the system has a recipe for the model, otherwise for every
            quarter of the time scale of the data, see `learning.scales`.
        objective: ``"motion"``, the states that follow, see `learning.windows`; or ``"force"``, the
            forces that cause an acceleration, see `learning.torques`: for data whose accelerations
            are good. What concerns windows has no use then.
    """

    steps: int = 8_000
    batch: int = 64
    learning_rate: float = 2e-2
    chunk: int = 250
    horizon: Horizons | None = None
    robust: bool | None = None
    held_out: float = 0.1
    weight_decay: float = 0.0
    starts: int = 1
    trial: int = 1_000
    integrator: str = "rk4"
    substeps: int | None = None
    objective: str = "motion"

    def __post_init__(self):
        super().__post_init__()
        one_of("objective", self.objective, OBJECTIVES)
        for name in ("starts", "trial"):
            whole_number(name, getattr(self, name))
        if self.horizon is not None:
            object.__setattr__(self, "horizon", horizons(self.horizon))
        if self.robust is not None and not isinstance(self.robust, bool):
            raise ConfigurationError(f"robust = {self.robust!r}: expected True, False or None")
        if self.substeps is not None:
            whole_number("substeps", self.substeps)
        if positive_number("held_out", self.held_out) >= 1.0:
            raise ConfigurationError(f"held_out = {self.held_out}: expected a share below 1")
        if finite_number("weight_decay", self.weight_decay, "share") < 0:
            raise ConfigurationError(f"weight_decay = {self.weight_decay}: expected at least 0")
        one_of("integrator", self.integrator, INTEGRATORS)

    @classmethod
    def of(cls, model: str, **settings: Any) -> Self:
        """How a registered model is fitted, with the settings given in its place.

        Raises:
            ConfigurationError: an unknown model.
        """
        return cls(**{**load_model(model).fitting.training, **settings})

    @property
    def decay(self) -> float:
        """`weight_decay`."""
        return self.weight_decay


def recipe(model: str, system: Any = None, preset: str = "package") -> Preset:
    """How a registered model is trained: by one of its presets and, where that is the package's
    own, by what the system asks for otherwise.

    Arguments:
        system: whatever `registration.load_system` takes; None for no system in particular.

    Raises:
        ConfigurationError: an unknown model or system, or a model without such a preset.
    """
    found = load_model(model).preset(preset)
    if system is None or preset != "package":
        return found
    return found.but(load_system(system).recipes.get(model, Preset({}, {})))


def check_config(config: Any, kind: type[OptimiserConfig]) -> None:
    """Refuse a configuration that is none.

    Raises:
        ConfigurationError: not of that kind.
    """
    if not isinstance(config, kind):
        raise ConfigurationError(f"config = {shown(config)}: expected a {kind.__name__}")


def settings(model: str, config: dict[str, Any] | None, friction: str | None) -> dict[str, Any]:
    """The given settings of a model: a configuration, and the kind of friction.

    Raises:
        ConfigurationError: the model has no friction, or both arguments state it.
    """
    given = mapping("model_config", config)
    if friction is None:
        return given
    if "friction" not in load_model(model).settings():
        raise ConfigurationError(
            f"friction = {friction!r}: {model} has none of its own, its network learns friction "
            "along with every other force; leave friction out"
        )
    if given.get("friction", friction) != friction:
        raise ConfigurationError(
            f"friction = {friction!r}, and {given['friction']!r} in model_config: say it once"
        )
    return given | {"friction": friction}


def usual_friction(
    model: str, coordinates: Coordinates, m_bounds: np.ndarray | None = None
) -> dict[str, Any]:
    """The setting of the friction that models of a machine learn by default.

    Arguments:
        m_bounds: (2, k), between which its parameters lie; None for its defaults.
    """
    if "friction" not in load_model(model).settings():
        return {}
    bounds = coordinates.parameter_bounds() if m_bounds is None else m_bounds
    return {"friction": coordinates.friction_to_learn(bounds)}
