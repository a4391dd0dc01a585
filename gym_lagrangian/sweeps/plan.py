"""What a sweep trains: its runs, and how they are packed into programs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from itertools import groupby, product
from typing import Any

from gym_lagrangian.checks import known_names, seed_number, whole_number
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.learning.config import TrainingConfig
from gym_lagrangian.registration import MODELS, SYSTEMS, load_model, load_system
from gym_lagrangian.sweeps.halving import Halving

# Settings that a compiled program takes as arguments: runs that differ in no others share one.
ARGUMENTS = ("learning_rate", "final_learning_rate", "warmup")

# Settings that stand elsewhere in a sweep.
_ELSEWHERE = ("steps", "seed")

Values = tuple[Any, ...]


@dataclass(frozen=True)
class Run:
    """One training, a row of the table.

    Attributes:
        index: which row.
        setting: which setting of the sweep; runs of one setting differ in their seeds alone.
        system, model: registered names, or "module:Class".
        steps, seed: of the training.
        training: other fields of `TrainingConfig`, in place of the recipe's.
        settings: arguments of the model's constructor, in place of the recipe's.
    """

    index: int
    setting: int
    system: str
    model: str
    steps: int
    seed: int
    training: dict[str, Any]
    settings: dict[str, Any]

    @property
    def config(self) -> TrainingConfig:
        """Its `TrainingConfig`.

        Raises:
            ConfigurationError: a value makes no sense.
        """
        own: dict[str, Any] = self.training | {"steps": self.steps, "seed": self.seed}
        return TrainingConfig.of(self.model, self.system, **own)

    def program(self, *, alone: bool) -> str:
        """What is equal of runs that share a pack: all that a program is compiled for.

        Arguments:
            alone: whether each setting has packs of its own.
        """
        shapes = {k: v for k, v in self.training.items() if k not in ARGUMENTS}
        own = self.setting if alone else None
        return json.dumps([self.system, self.model, shapes, self.settings, own], sort_keys=True)


@dataclass(frozen=True)
class Pack:
    """Runs that are trained side by side, JSON-able by `as_dict`.

    Attributes:
        index: which pack of the sweep.
        runs: what is trained.
        marks: the steps, ascending, after which the losses are told; the last ends the training.
    """

    index: int
    runs: tuple[Run, ...]
    marks: tuple[int, ...]

    def as_dict(self) -> dict[str, Any]:
        """What `from_dict` takes."""
        return asdict(self)

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Pack:
        """The pack that `as_dict` was asked for."""
        return cls(
            given["index"], tuple(Run(**run) for run in given["runs"]), tuple(given["marks"])
        )


@dataclass(frozen=True)
class Grid:
    """Settings and the values that are tried: every combination of them.

    Attributes:
        common: name → values, for every model.
        particular: model → name → values, for that model alone.
    """

    common: dict[str, Values] = field(default_factory=dict)
    particular: dict[str, dict[str, Values]] = field(default_factory=dict)

    def of(self, model: str) -> dict[str, Values]:
        """Name → values for a model."""
        return self.common | self.particular.get(model, {})

    def points(self, model: str) -> Iterator[dict[str, Any]]:
        """Name → value, combination by combination; the last name changes fastest."""
        values = self.of(model)
        for chosen in product(*values.values()):
            yield dict(zip(values, chosen, strict=True))


@dataclass(frozen=True)
class Sweep:
    """Trainings over systems, models, settings and seeds.

    Attributes:
        systems, models: registered names, or "module:Class".
        steps: optimiser steps of a training.
        seeds: of the trainings of each setting.
        training: values of fields of `TrainingConfig`.
        settings: values of arguments of the models' constructors.
        early_stopping: when settings are stopped early; None for never. Settings are compared with
            others of the same system and model, by the median loss of their seeds.
        pack: how many runs one pack holds at most.

    Raises:
        ConfigurationError: an unknown name, a name twice, or a number that makes no sense.
    """

    systems: tuple[str, ...]
    models: tuple[str, ...]
    steps: int
    seeds: tuple[int, ...] = (0,)
    training: Grid = Grid()
    settings: Grid = Grid()
    early_stopping: Halving | None = None
    pack: int = 16

    def __post_init__(self):
        for what, found, load in (
            ("systems", self.systems, load_system),
            ("models", self.models, load_model),
        ):
            _distinct(what, found, ", ".join(SYSTEMS if what == "systems" else MODELS))
            for name in found:
                load(name)
        _distinct("seeds", self.seeds, "whole numbers")
        for seed in self.seeds:
            seed_number(seed)
        whole_number("steps", self.steps)
        whole_number("pack", self.pack)
        self._check_settings()

    @property
    def rungs(self) -> tuple[int, ...]:
        """The steps after which settings are judged."""
        return () if self.early_stopping is None else self.early_stopping.rungs(self.steps)

    @property
    def runs(self) -> tuple[Run, ...]:
        """All trainings in the order of the table: systems, models, settings, seeds."""
        found: list[Run] = []
        for setting, (system, model, training, settings) in enumerate(self._settings()):
            for seed in self.seeds:
                how = (system, model, self.steps, seed, training, settings)
                found.append(Run(len(found), setting, *how))
        return tuple(found)

    @property
    def packs(self) -> tuple[Pack, ...]:
        """The runs in packs, in the order of their first runs.

        Where settings may be stopped, each has packs of its own: a pack stops as a whole.
        """
        alone = self.early_stopping is not None
        by_program: dict[str, list[Run]] = {}
        for run in self.runs:
            by_program.setdefault(run.program(alone=alone), []).append(run)
        parts = [
            tuple(runs[i : i + self.pack])
            for runs in by_program.values()
            for i in range(0, len(runs), self.pack)
        ]
        return tuple(Pack(i, runs, self._marks(runs[0])) for i, runs in enumerate(parts))

    @property
    def brackets(self) -> tuple[tuple[int, ...], ...]:
        """The settings that are compared with each other: those of one system and one model."""
        first = {run.setting: (run.system, run.model) for run in self.runs}
        by_pair = groupby(first, key=lambda setting: first[setting])
        return tuple(tuple(settings) for _, settings in by_pair)

    def as_dict(self) -> dict[str, Any]:
        """All of it, JSON-able: equal for equal sweeps."""
        return json.loads(json.dumps(asdict(self)))

    def _settings(self) -> Iterator[tuple[str, str, dict[str, Any], dict[str, Any]]]:
        for system, model in product(self.systems, self.models):
            for training, own in product(self.training.points(model), self.settings.points(model)):
                yield system, model, training, own

    def _marks(self, run: Run) -> tuple[int, ...]:
        chunk = run.config.chunk
        return tuple(sorted({*range(chunk, self.steps, chunk), *self.rungs, self.steps}))

    def _check_settings(self) -> None:
        known = [one.name for one in fields(TrainingConfig) if one.name not in _ELSEWHERE]
        for what, grid in (("[training]", self.training), ("[model]", self.settings)):
            _known_models(what, grid, self.models)
            for model in self.models:
                own = known if what == "[training]" else load_model(model).settings()
                known_names(f"{what} of {model}", own, grid.of(model))
        for run in self.runs:
            _ = run.config
        _ = self.rungs


def _distinct(what: str, found: Values, expected: str) -> None:
    if not found:
        raise ConfigurationError(f"{what} is empty: expected at least one of {expected}")
    twice = [one for one in found if found.count(one) > 1]
    if twice:
        raise ConfigurationError(f"{what}: {twice[0]!r} stands there twice, name it once")


def _known_models(what: str, grid: Grid, models: tuple[str, ...]) -> None:
    for model in grid.particular:
        if model not in models:
            raise ConfigurationError(
                f"{what} has a table for {model!r}, which is no model of this sweep: it has "
                f"{', '.join(models)}"
            )
