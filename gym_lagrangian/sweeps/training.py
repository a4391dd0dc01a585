"""The trainings of a pack, side by side in one compiled program.

A training is that of `gym_lagrangian.train` with the same settings and seed: the same first
weights, the same batches, the same steps. This module is the same with Ray and without.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from gym_lagrangian.errors import ConfigurationError, DataError
from gym_lagrangian.evaluation.measure import losses as one_step_losses
from gym_lagrangian.evaluation.motion import step_of
from gym_lagrangian.files import replacing
from gym_lagrangian.learning.conditions import Conditions, of_system, scaled_to
from gym_lagrangian.learning.config import TrainingConfig
from gym_lagrangian.learning.loop import advance_each, begin_each, loss
from gym_lagrangian.learning.optimiser import Schedule
from gym_lagrangian.learning.relative import Relative
from gym_lagrangian.learning.sources import Source, states_of
from gym_lagrangian.learning.train import usual_settings
from gym_lagrangian.models.base import Model
from gym_lagrangian.models.embedding import Embedding
from gym_lagrangian.models.ensemble import Ensemble
from gym_lagrangian.registration import build_system, load_model
from gym_lagrangian.sweeps.plan import Pack, Run, Sweep
from gym_lagrangian.systems.base import System
from gym_lagrangian.systems.coordinates import REFERENCE_DT

# States on which all runs are judged, and the seed by which they are drawn, which no run has.
JUDGED, _JUDGED_BY = 2_000, 2**32 - 1

# Step, mean training loss since the mark before, loss on the states that are judged by.
Row = tuple[int, float, float]


class Result(NamedTuple):
    """What a pack has come to, JSON-able.

    Attributes:
        courses: index of the run → a `Row` for every mark so far.
        measured: index of the run → what its model is wrong by, once the training has ended.
    """

    courses: dict[int, list[Row]]
    measured: dict[int, dict[str, float]]

    def as_text(self) -> str:
        """JSON, in which numbers are exact and keys are text."""
        return json.dumps(self._asdict())

    @classmethod
    def from_text(cls, text: str) -> Result:
        """The result that `as_text` was asked for."""
        courses, measured = json.loads(text).values()
        return cls(
            {int(run): [(int(s), a, b) for s, a, b in rows] for run, rows in courses.items()},
            {int(run): found for run, found in measured.items()},
        )


class State(NamedTuple):
    """Everything that changes while a pack is trained: `models` and `optimiser` have a first axis
    k, `courses` has k lists.
    """

    models: Model
    optimiser: Any
    courses: list[list[Row]]

    @property
    def step(self) -> int:
        """The steps that are done."""
        return self.courses[0][-1][0] if self.courses[0] else 0


class Packed:
    """A pack ready to be trained: models, states to learn from and to be judged by.

    Arguments:
        pack: runs of one program.

    Raises:
        ConfigurationError: a setting makes no sense for the model or the system.
    """

    def __init__(self, pack: Pack):
        self.pack = pack
        self._first = pack.runs[0].config
        configs = [run.config for run in pack.runs]
        parts = [_parts(run, config) for run, config in zip(pack.runs, configs, strict=True)]
        self._system = parts[0].system
        self._models, self._sources = (
            _stacked([p.model for p in parts]),
            _stacked([p.source for p in parts]),
        )
        self._judged = parts[0].judged
        self._keys = jnp.stack([part.key for part in parts])
        self._schedules = Schedule(*map(np.stack, zip(*(c.schedule for c in configs), strict=True)))

    def begin(self) -> State:
        """The state before the first step."""
        optimiser = begin_each(self._first.update, self._schedules, self._models)
        return State(self._models, optimiser, [[] for _ in self.pack.runs])

    def advance(self, state: State, until: int) -> State:
        """The state after the step `until`, with the losses there."""
        models, optimiser, total = state.models, state.optimiser, np.zeros(len(self.pack.runs))
        for first in range(state.step, until, self._first.chunk):
            end = min(first + self._first.chunk, until)
            models, optimiser, made = self._advanced((models, optimiser), first, end)
            total += made
        mean, judged = total / (until - state.step), _losses(models, self._judged)
        rows = [(until, float(a), float(b)) for a, b in zip(mean, judged, strict=True)]
        courses = [[*old, row] for old, row in zip(state.courses, rows, strict=True)]
        return State(models, optimiser, courses)

    def result(self, state: State) -> Result:
        """What is known in a state; models are measured at the end of the training."""
        indices = [run.index for run in self.pack.runs]
        courses = dict(zip(indices, state.courses, strict=True))
        if state.step < self.pack.marks[-1]:
            return Result(courses, {})
        return Result(courses, dict(zip(indices, self._measured(state), strict=True)))

    def save(self, state: State, folder: Path) -> None:
        """Write a state to a folder."""
        leaves = jax.tree.leaves((state.models, state.optimiser))
        arrays: dict[str, Any] = {f"leaf{i}": np.asarray(leaf) for i, leaf in enumerate(leaves)}
        with replacing(_file(folder), failure=DataError) as part, open(part, "wb") as file:
            np.savez(file, courses=json.dumps(state.courses), **arrays)

    def load(self, folder: Path) -> State:
        """The state in a folder.

        Raises:
            DataError: there is none, or it is damaged.
        """
        fresh = self.begin()
        old, structure = jax.tree.flatten((fresh.models, fresh.optimiser))
        try:
            with np.load(_file(folder)) as saved:
                leaves = [jnp.asarray(saved[f"leaf{i}"]) for i in range(len(old))]
                courses = json.loads(str(saved["courses"]))
        except (OSError, KeyError, ValueError) as error:
            raise DataError(f"cannot go on from {str(_file(folder))!r}: {error}") from error
        models, optimiser = jax.tree.unflatten(structure, leaves)
        return State(models, optimiser, [[(s, a, b) for s, a, b in rows] for rows in courses])

    def _advanced(self, run: tuple[Model, Any], first: int, end: int) -> tuple[Any, Any, Array]:
        """Models and optimiser after some steps, and the sum of each one's losses."""
        how = self._first.update, self._first.batch, self._first.chunk
        numbers = (np.asarray(number, np.int32) for number in (first, end))
        found = advance_each(*how, self._schedules, self._sources, run, self._keys, *numbers)
        return found[0], found[1], np.asarray(found[2], np.float64)[:, : end - first].sum(axis=1)

    def _measured(self, state: State) -> list[dict[str, float]]:
        models = Ensemble(self._models.embedding, state.models, len(self.pack.runs))
        dt = step_of(models.member(0), REFERENCE_DT)
        how: Any = {"dt": dt, "states": JUDGED, "forced": self._first.fixed_states is None}
        how["ranges"] = self._system.drawn_anew(of_system(self._system, None).ranges)
        every = (models.member(i) for i in range(models.members))
        return [one_step_losses(model, self._system, **how) for model in every]


def trained(pack: Pack, folder: Path | None = None) -> Iterator[tuple[Result, Packed, State]]:
    """Train a pack; after every mark: what it has come to, the pack, and its state.

    Arguments:
        folder: where `Packed.save` wrote a state to go on from, which comes first; None to begin.
    """
    packed = Packed(pack)
    state = packed.begin() if folder is None else packed.load(folder)
    if folder is not None:
        yield packed.result(state), packed, state
    for mark in (mark for mark in pack.marks if mark > state.step):
        state = packed.advance(state, mark)
        yield packed.result(state), packed, state


def check_models(sweep: Sweep) -> None:
    """Refuse settings that no model or system takes, before anything is trained.

    Raises:
        ConfigurationError: naming the setting.
    """
    for pack in sweep.packs:
        run = pack.runs[0]
        system = _known(run)
        build = _builder(run, system, of_system(system, None))
        _check_model(run.config, run.model, eqx.filter_eval_shape(build, jax.random.key(0)))


class _Parts(NamedTuple):
    """What a run needs: `judged` is a source of the states that it is judged by."""

    system: System
    model: Model
    source: Source
    judged: Source
    key: Array


def _parts(run: Run, config: TrainingConfig) -> _Parts:
    """As `train` makes them of the same settings and seed."""
    system = _known(run)
    conditions = of_system(system, None)
    key_model, key_batches, key_states = jax.random.split(jax.random.key(config.seed), 3)
    model = _builder(run, system, conditions)(key_model)
    _check_model(config, run.model, model)
    count, law = config.fixed_states, config.parameter_law
    states = partial(states_of, ranges=system.drawn_anew(conditions.ranges))
    source = states(system, count, model.horizon, key=key_states, law=law)
    other = None if count is None else JUDGED
    judged = states(system, other, model.horizon, key=jax.random.key(_JUDGED_BY), law="uniform")
    if config.error == "relative":
        source = Relative.of(source, model, key_states)
    return _Parts(system, model, source, judged, key_batches)


def _builder(run: Run, system: System, conditions: Conditions) -> Callable[[Array], Model]:
    """Key → the model before training."""
    drawn = system.drawn_anew(conditions.ranges)
    how = usual_settings(run.model, system, ranges=drawn) | run.settings
    embedding = Embedding.of(scaled_to(system, drawn), conditions.names)
    build = partial(load_model(run.model).build, embedding, legendre=system, **how)
    return lambda key: build(key=key)


def _check_model(config: TrainingConfig, name: str, model: Model) -> None:
    if config.fixed_states is not None and model.needs_forces:
        raise ConfigurationError(
            f"training.fixed_states = {config.fixed_states}: {name} as configured learns from "
            'forces, and none act on fixed states: leave it out, or set model.gradient = "exact"'
        )
    if config.error == "relative" and model.horizon is not None:
        raise ConfigurationError(
            f'training.error = "relative": {name} learns from the states that follow, and it is '
            'about accelerations: choose "absolute", for this model alone in '
            f"[training.{name}]"
        )


def _known(run: Run) -> System:
    found = build_system(run.system, {})
    if found.physics is None:
        raise ConfigurationError(
            f"{run.system} is known by its coordinates alone: a sweep trains on states that are "
            "drawn from equations; choose a system that has some"
        )
    return found.physics


def _stacked(parts: Sequence[Any]) -> Any:
    """Equal structures in one, every array with a first axis k."""

    def stacked(*leaves: Any) -> Any:
        return jnp.stack(leaves) if eqx.is_array(leaves[0]) else leaves[0]

    return jax.tree.map(stacked, *parts)


@eqx.filter_jit
def _losses(models: Model, judged: Source) -> Array:
    """The loss of each model (k,) on the states that all are judged by."""
    key = jax.random.key(_JUDGED_BY)
    return eqx.filter_vmap(lambda model: loss(model, judged, key, JUDGED))(models)


def _file(folder: Path) -> Path:
    return Path(os.fspath(folder)) / "state.npz"
