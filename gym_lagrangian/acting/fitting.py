r"""Fast fits: the model is fitted again after every episode.

Four things make a fit fast:

* Networks and windows are small.
* A fit continues from the last model, so that a short schedule is enough.
* Its programs are compiled once. Windows are padded (see `learning.windows`). Everything else on
  which a program depends stays the same from fit to fit, and mostly from seed to seed: the length
  of the windows, the substeps, and the magnitudes of the model, which are those of the first data
  (see `learning.scales`) rounded to powers of two.
* Metrics that the loop does not use are not computed.

Where the coordinates state no magnitudes, those of the data are rounded up to powers of two as
well. Those of the first model stay until the data are a few times larger; then the model starts
from random weights. Data of a machine that holds still are smaller, which is no reason to forget.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gym_lagrangian.acting.planning import substeps_of
from gym_lagrangian.acting.world import World
from gym_lagrangian.checkpoints import Card, Checkpoint
from gym_lagrangian.checkpoints import file as checkpoint_file
from gym_lagrangian.checks import whole_number
from gym_lagrangian.errors import TrainingDiverged
from gym_lagrangian.learning.config import FitConfig
from gym_lagrangian.learning.fit import fit
from gym_lagrangian.learning.scales import Scales, scales, seen_as
from gym_lagrangian.learning.transitions import Transitions
from gym_lagrangian.registration import load_model
from gym_lagrangian.systems.coordinates import Coordinates, Magnitudes

# How much heavier than the data suggest a machine is before anything is learned of it.
_HEAVY = 4.0

# Magnitudes of a model stay as long as those of the data are at most so many times larger.
_LARGER = 4.0

# Learning rates that are tried one after another, as shares of the model's usual one.
_RATES = (0.5, 0.125, 0.03125)

# A fit of few steps that cost little: what is observed exactly needs no long windows.
_QUICK = {"horizon": 1, "batch": 32, "chunk": 500, "warmup": 100}

# A network for a few hundred transitions.
_SMALL = {"width": 32, "depth": 2, "initialiser": "gentle"}


@dataclass(frozen=True)
class Fitting:
    """How models are fitted.

    Attributes:
        model: a registered name, or "module:Class".
        first, later: optimiser steps of a fit from random weights, and of one that goes on.
        config: every other setting of a fit, by name, see `FitConfig`.
        model_config: arguments of the model's constructor.
        friction: the kind of friction that it learns; None for the machine's, of a model that has
            friction.
        members: how many models of an ensemble; 1 for a single model.
    """

    model: str
    first: int = 12_000
    later: int = 6000
    config: tuple[tuple[str, Any], ...] = ()
    model_config: tuple[tuple[str, Any], ...] = ()
    friction: str | None = None
    members: int = 1

    def __post_init__(self) -> None:
        for name in ("first", "later", "members"):
            whole_number(name, getattr(self, name))

    def fit(
        self,
        data: Transitions,
        world: World,
        before: Checkpoint | None,
        *,
        seed: int,
        out: Path,
    ) -> Checkpoint:
        """A model of the data, which goes on from the one before where that can be.

        A fit that diverges is made again with a quarter of the learning rate, twice at most, then
        from random weights; where those diverge too, the model before stays.

        Raises:
            TrainingDiverged: there is none before.
            DataError: the data are too few to fit anything.
        """
        seen = scaled(data, before)
        kept: dict[str, Any] = {**data.arrays, "dt": data.dt}
        data, failures = Transitions(seen, **kept), []
        begins = (before, None) if _goes_on(before, seen) else (None,)
        for init, rate in itertools.product(begins, _RATES):
            try:
                return self._fitted(data, world, init, rate, seed, out)
            except TrainingDiverged as error:
                failures.append(error)
        if before is None:
            raise failures[-1]
        checkpoint_file.save(out, before.model, before.card)
        return checkpoint_file.load(out)

    def _fitted(
        self,
        data: Transitions,
        world: World,
        init: Checkpoint | None,
        rate: float,
        seed: int,
        out: Path,
    ) -> Checkpoint:
        given: dict[str, Any] = {} if self.members == 1 else {"members": self.members}
        return fit(
            data,
            self.model,
            out=out,
            config=self._config(world, seed, rate, warm=init is not None),
            model_config=self._model_config(data, world) if init is None else None,
            init=init,
            overwrite=True,
            metrics=False,
            insist=True,
            save_every=np.inf,
            **given,
        )

    def _config(self, world: World, seed: int, rate: float, *, warm: bool) -> FitConfig:
        usual = {"substeps": substeps_of(world.dt, world.moved), "robust": False} | _QUICK
        how = usual | dict(self.config) | {"seed": seed}
        config = FitConfig.of(self.model, **how)
        rates = {"learning_rate": rate * config.learning_rate}
        config = replace(config, **rates, steps=self.later if warm else self.first)
        return replace(config, starts=1) if warm else replace(config, trial=config.steps // 4)

    def _model_config(self, data: Transitions, world: World) -> dict[str, Any]:
        """The settings of a model that begins from random weights."""
        known = load_model(self.model).settings()
        found = rounded(_heavy(scales(data, data.coordinates)).settings(known))
        found |= {k: v for k, v in _SMALL.items() if k in known}
        friction = self.friction or world.friction
        found |= {"friction": friction} if "friction" in known else {}
        return found | dict(self.model_config)


def _heavy(found: Scales) -> Scales:
    """Larger masses than the data suggest: a machine that is too light to begin with is thrown
    about by its own torques within a step, and a fit finds no way back.
    """
    return found._replace(mass=_HEAVY * found.mass, momentum=_HEAVY * found.momentum)


def rounded(settings: dict[str, Any]) -> dict[str, Any]:
    """Magnitudes as the nearest powers of two."""
    return {k: (2.0 ** np.round(np.log2(v))).tolist() for k, v in settings.items()}


def _goes_on(before: Checkpoint | None, seen: Coordinates) -> bool:
    """Whether a model is one of these coordinates, magnitudes and all."""
    own = None if before is None else before.card.model_coordinates()
    return own is not None and own.agrees_with(seen) and own.magnitudes == seen.magnitudes


def scaled(data: Transitions, before: Checkpoint | None) -> Coordinates:
    """The coordinates of the data with magnitudes: their own; those of the model before, as long as
    the data are not much larger; or those of the data, rounded up.
    """
    if not data.coordinates.estimated:
        return data.coordinates
    found = seen_as(data).magnitudes
    own = None if before is None else before.card.model_coordinates().magnitudes
    if own is not None and np.all(np.divide(found, own) <= _LARGER):
        return data.coordinates.with_magnitudes(own)
    q, qd, tau = (tuple((2.0 ** np.ceil(np.log2(part))).tolist()) for part in found)
    return data.coordinates.with_magnitudes(Magnitudes(q, qd, tau))


def belonging(found: Checkpoint, world: World, out: Path) -> None:
    """Write the model as one of the system that it moves, so that environments of it take it."""
    card = found.card
    if world.system is not None:
        named = Card.of(world.system, seen=card.model_coordinates(), model="", **_NONE)
        card = replace(card, coordinates=named.coordinates, physics=named.physics)
    checkpoint_file.save(out, found.model, card)


_NONE: dict[str, Any] = {"parameters": {}, "conditioned_on": (), "model_config": {}}
