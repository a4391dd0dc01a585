r"""Training: states → true motion → loss → gradient → optimiser, many steps a call.

The loss is the mean over a batch of w times the model's own loss, divided by the mean weight
w. For most models that is Σ_i |q̈_i − q̈_i^true|, the paper's discrepancy between predicted and
true ẋ, whose velocity half is exact; a model may learn from later states instead. A jitted
loop runs a chunk of steps; between chunks progress is shown and state is saved. Learning rate,
data, weights and the number of steps are arguments of the one compiled program. Every step's
randomness is the seed folded with the step's number, so a run that was interrupted
and resumed gives the same numbers as one that was not.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from gym_lagrangian import checkpoints
from gym_lagrangian.checkpoints import Card, Checkpoint
from gym_lagrangian.checks import real_number, shown
from gym_lagrangian.errors import CheckpointError, ConfigurationError, DataError, TrainingDiverged
from gym_lagrangian.evaluation import measure
from gym_lagrangian.files import only_writer
from gym_lagrangian.forks import warn_from_now_on
from gym_lagrangian.learning.config import OptimiserConfig
from gym_lagrangian.learning.devices import ONE, Devices
from gym_lagrangian.learning.members import Judge, better_of, errors
from gym_lagrangian.learning.optimiser import Optimiser, Schedule
from gym_lagrangian.learning.sources import Source
from gym_lagrangian.models.base import Model
from gym_lagrangian.models.ensemble import Ensemble


class Progress(NamedTuple):
    """What a progress callback is told after every chunk."""

    step: int
    steps: int
    loss: float
    states_per_second: float


class _Run(NamedTuple):
    """Everything that changes during training.

    `history` has rows (step, mean loss), `held_out` rows (step, error on what was held out), and
    `best` is the model of the least such error; where nothing is held out, the latest. Of an
    ensemble, rows have the error of each member, and each member is its best by itself.
    """

    model: Model
    optimiser: Any
    step: int
    best: Model
    history: list[tuple[float, ...]]
    held_out: list[tuple[float, ...]]


def loss(model: Model, source: Source, key: Array, size: int, devices: Devices = ONE) -> Array:
    """The weighted mean discrepancy on a batch drawn with `key`, divided among devices."""
    samples, targets = devices.divided(source.batch(key, size))
    errors = jax.vmap(partial(source.loss, model))(samples, targets)
    return jnp.mean(samples.weight * errors) / jnp.mean(samples.weight)


def _alone(run: Callable[..., Checkpoint]) -> Callable[..., Checkpoint]:
    """`run`, refused while another process or thread writes the same `out`."""

    @functools.wraps(run)
    def alone(*arguments: Any, out: Path, **settings: Any) -> Checkpoint:
        with only_writer(out, failure=CheckpointError):
            return run(*arguments, out=out, **settings)

    return alone


class Stage(NamedTuple):
    """What is learned from up to a step.

    Attributes:
        until: the step.
        source: where batches come from.
        turns: number of a chunk → what is learned from in it, where that is more than memory
            holds; None for `source` throughout.
    """

    until: int
    source: Source
    turns: Callable[[int], Source] | None = None

    def at(self, turn: int) -> Source:
        """What is learned from in a chunk."""
        return self.source if self.turns is None else self.turns(turn)

    def on(self, devices: Devices) -> Stage:
        """The stage with what it learns from on every device."""
        turns = self.turns and (lambda turn: devices.copied(self.at(turn)))
        return Stage(self.until, devices.copied(self.source), turns)


def _steps(
    optimiser: Optimiser,
    batch: int,
    room: int,
    devices: Devices,
    schedule: Schedule,
    source: Source,
    run: tuple[Model, Any],
    key: Array,
    first: Array | np.ndarray,
    end: Array | np.ndarray,
) -> tuple[Model, Any, Array]:
    """Model and state of the optimiser after the steps from `first` to `end`, and their losses, of
    which there is room for `room`.
    """
    update = optimiser.build(schedule).update
    model, begin = run
    params, static = eqx.partition(model, eqx.is_inexact_array)

    def step(number, carry):
        params, state, losses = carry
        batch_key = jax.random.fold_in(key, number)
        value, gradient = jax.value_and_grad(
            lambda p: loss(eqx.combine(p, static), source, batch_key, batch, devices)
        )(params)
        updates, state = update(gradient, state, params)
        return (
            optax.apply_updates(params, updates),
            state,
            losses.at[number - first].set(value.astype(losses.dtype)),
        )

    carry = params, begin, jnp.zeros(room)
    params, state, losses = jax.lax.fori_loop(first, end, step, carry)
    return eqx.combine(params, static), state, losses


@eqx.filter_jit
def _chunk(
    optimiser: Optimiser,
    batch: int,
    room: int,
    devices: Devices,
    schedule: Schedule,
    source: Source,
    run: tuple[Model, Any],
    key: Array,
    first: Array | np.ndarray,
    end: Array | np.ndarray,
) -> tuple[Model, Any, Array]:
    """As `_steps`, compiled; of an ensemble for every member, and the mean of their losses."""
    model, state = run
    how = optimiser, batch, room, devices, schedule
    if not isinstance(model, Ensemble):
        return _steps(*how, source, run, key, first, end)

    def one(run: tuple[Model, Any], key: Array) -> tuple[Model, Any, Array]:
        key, bootstrap = jax.random.split(key)
        own = source.resampled(bootstrap)
        return _steps(*how, own, run, key, first, end)

    keys = jax.random.split(key, model.members)
    each, state, losses = jax.vmap(one)((model.each, state), keys)
    return replace(model, each=each), state, jnp.mean(losses, axis=0)


@eqx.filter_jit
def advance_each(
    optimiser: Optimiser,
    batch: int,
    room: int,
    schedules: Schedule,
    sources: Source,
    runs: tuple[Model, Any],
    keys: Array,
    first: Array | np.ndarray,
    end: Array | np.ndarray,
) -> tuple[Model, Any, Array]:
    """The steps from `first` to `end` of k trainings side by side, in one compiled program.

    Arguments:
        optimiser, batch: of all of them.
        room: how many losses there is room for, at least `end` − `first`.
        schedules, sources, runs, keys: of each of them: every array has a first axis k.

    Returns:
        models, states of the optimiser, and losses (k, room).
    """

    def one(schedule: Schedule, source: Source, run: tuple[Model, Any], key: Array) -> Any:
        return _steps(optimiser, batch, room, ONE, schedule, source, run, key, first, end)

    return eqx.filter_vmap(one)(schedules, sources, runs, keys)


@eqx.filter_jit
def begin_each(optimiser: Optimiser, schedules: Schedule, models: Model) -> Any:
    """The states of the optimiser before the first step of `advance_each`."""

    def one(schedule: Schedule, model: Model) -> Any:
        return optimiser.build(schedule).init(eqx.filter(model, eqx.is_inexact_array))

    return eqx.filter_vmap(one)(schedules, models)


def _advance(
    config: OptimiserConfig,
    source: Source,
    run: tuple[Model, Any],
    key: Array,
    first: int,
    end: int,
    devices: Devices = ONE,
) -> tuple[Model, Any, np.ndarray]:
    """As `_chunk`, under a configuration, with the losses of the steps that were made."""
    numbers = (np.asarray(number, np.int32) for number in (first, end))
    how = config.update, config.batch, config.chunk, devices, config.schedule
    found = _chunk(*how, source, devices.copied(run), key, *numbers)
    model, state, losses = devices.gathered(found)
    return model, state, np.asarray(losses)[: end - first]


@_alone
def learn(
    fresh: Model,
    stages: Sequence[Stage],
    card: Card,
    config: OptimiserConfig,
    *,
    key: Array,
    out: Path,
    resume: bool,
    overwrite: bool,
    save_every: float,
    on_progress: Callable[[Progress], None] | None,
    judge: Judge | None = None,
    metrics: bool = True,
    report: Callable[[Checkpoint], dict[str, Any]] | None = None,
    judged: dict[str, float] | None = None,
    trained: bool = False,
    findings: Callable[[Model], dict[str, Any]] | None = None,
    devices: Devices = ONE,
) -> Checkpoint:
    """The life of a run, whatever it learns from: begun or resumed, optimised, measured, saved.

    It is the only one of its path as long as it lasts, see `files.only_writer`.

    Arguments:
        fresh: the model to begin with.
        stages: what to learn from, one after another; the last until `config.steps`.
        card: what the checkpoint will say, but for the metrics.
        key: of the batches.
        judge: what holds the model against what is not learned from. The weights of the chunk's end
            where the error is least are kept, of an ensemble member by member, and its course is
            saved as ``held_out``, rows (step, error of each member).
        metrics: whether to measure the model with `evaluation.measure` at the end.
        report: further metrics of the model with its card, JSON-able.
        judged: numbers to stand beside the ``held_out_error`` in the card's metrics.
        trained: whether `fresh` is a trained model, which is kept where nothing later is better.
        findings: what else the card's metrics are to say of the model at the end.
        devices: among which every batch is divided.

    The other arguments, and what is raised, are those of `train`.
    """
    if not real_number(save_every) >= 0:
        raise ConfigurationError(f"save_every = {shown(save_every)}: expected seconds, at least 0")
    warn_from_now_on()
    run = _start(out, fresh, card, config, resume=resume, overwrite=overwrite)
    if trained and judge is not None and not resume:
        run = run._replace(held_out=[(0, *errors(judge, fresh).tolist())])
    stages = [stage.on(devices) for stage in stages]
    run = _optimise(run, stages, card, config, key, out, save_every, on_progress, judge, devices)
    _save_run(out, card, run)  # measuring takes a while, and may be interrupted
    error = _least(run)
    measured = measure(run.best, card) if metrics else {}
    if report is not None:
        measured |= report(Checkpoint(run.best, card, sha256="", extra={}))
    measured |= findings(run.best) if findings is not None else {}
    card = replace(card, metrics=measured | error | (judged or {}))
    checkpoints.save(out, run.best, card, extra=_courses(run))
    resume_path(out).unlink(missing_ok=True)
    return checkpoints.load(out)


def _least(run: _Run) -> dict[str, Any]:
    """The least error on what was held out; of an ensemble its mean over the members, and each."""
    if not run.held_out:
        return {}
    least = [min(errors) for errors in list(zip(*run.held_out, strict=True))[1:]]
    each = {"held_out_errors": least} if len(least) > 1 else {}
    return {"held_out_error": float(np.mean(least))} | each


def trial(
    model: Model,
    source: Source,
    config: OptimiserConfig,
    key: Array,
    devices: Devices = ONE,
) -> Model:
    """The model after a short training, of which nothing is saved or shown."""
    state, source = _initial_optimiser_state(model, config), devices.copied(source)
    for first in range(0, config.steps, config.chunk):
        end = min(first + config.chunk, config.steps)
        model, state, _ = _advance(config, source, (model, state), key, first, end, devices)
    return model


def resume_path(out: str | Path) -> Path:
    """Where an unfinished training of `out` keeps its state."""
    out = Path(out)
    return out.with_name(out.name.removesuffix(checkpoints.SUFFIX) + ".resume" + checkpoints.SUFFIX)


def refuse_existing(out: Path, *, overwrite: bool) -> None:
    """Keep what stands at `out`, finished or not, from a run that was not told to replace it.

    Raises:
        CheckpointError: naming it.
    """
    existing = next((path for path in (resume_path(out), out) if path.exists()), None)
    if existing is not None and not overwrite:
        raise CheckpointError(
            f"{str(existing)!r} exists: continue it with resume (an unfinished run), replace it "
            "with overwrite, or choose another path"
        )


def _optimise(
    run: _Run,
    stages: Sequence[Stage],
    card: Card,
    config: OptimiserConfig,
    key: Array,
    out: Path,
    save_every: float,
    on_progress: Callable[[Progress], None] | None,
    judge: Judge | None,
    devices: Devices,
) -> _Run:
    save = partial(_save_run, out, card)
    saved = time.monotonic()
    proven = run  # the last state whose own loss is known to be finite
    try:
        while run.step < config.steps:
            start = time.monotonic()
            stage = next(stage for stage in stages if run.step < stage.until)
            step = min(run.step + config.chunk, stage.until)
            here, source = (run.model, run.optimiser), stage.at(run.step // config.chunk)
            model, state, losses = _advance(config, source, here, key, run.step, step, devices)
            if not np.all(np.isfinite(losses)):
                bad = run.step + int(np.argmin(np.isfinite(losses)))
                good = run if np.isfinite(losses[0]) else proven
                save(good)
                raise TrainingDiverged(
                    f"the loss became non-finite at step {bad}; the state after step {good.step} "
                    f"is saved in {str(resume_path(out))!r}. Try {_remedies(card)}"
                )
            proven = run
            history = [*run.history, (step, float(losses.mean()))]
            best, course = _judged(run, model, step, judge)
            run = _Run(model, state, step, best, history, course)
            if on_progress is not None:
                rate = len(losses) * config.batch / (time.monotonic() - start)
                on_progress(Progress(step, config.steps, float(losses.mean()), rate))
            if time.monotonic() - saved >= save_every:
                save(run)
                saved = time.monotonic()
    except (KeyboardInterrupt, DataError):  # a file may be gone when its turn comes
        save(run)
        raise
    return run


def _remedies(card: Card) -> str:
    """What to try after a training diverged, of what its model takes."""
    usual = "a lower learning rate, a longer warm-up, another seed"
    return usual + (", a larger quadratic_start" if "quadratic_start" in card.model_config else "")


def _judged(
    run: _Run, model: Model, step: int, judge: Judge | None
) -> tuple[Model, list[tuple[float, ...]]]:
    """The best model so far, and its errors on the held-out data."""
    if judge is None:
        return model, []
    found = errors(judge, model)
    least = np.min([row[1:] for row in run.held_out], axis=0, initial=np.inf)
    return better_of(found < least, model, run.best), [*run.held_out, (step, *found.tolist())]


def _initial_optimiser_state(model: Model, config: OptimiserConfig) -> Any:
    return _began(config.update, config.schedule, model)


@eqx.filter_jit
def _began(optimiser: Optimiser, schedule: Schedule, model: Model) -> Any:
    def begin(weights: Any) -> Any:
        return optimiser.build(schedule).init(eqx.filter(weights, eqx.is_inexact_array))

    return jax.vmap(begin)(model.each) if isinstance(model, Ensemble) else begin(model)


def _save_run(out: Path, card: Card, run: _Run) -> None:
    extra = {
        f"optimiser.{i}": np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(run.optimiser))
    }
    if run.held_out:
        extra |= {f"best.{i}": np.asarray(x) for i, x in enumerate(jax.tree.leaves(run.best))}
    card = replace(card, metrics={"step": run.step})
    checkpoints.save(resume_path(out), run.model, card, extra=extra | _courses(run))


def _courses(run: _Run) -> dict[str, np.ndarray]:
    courses = {"history": run.history} | ({"held_out": run.held_out} if run.held_out else {})
    return {
        name: np.asarray(rows, np.float32).reshape(len(rows), len(rows[0]) if rows else 2)
        for name, rows in courses.items()
    }


def _start(
    out: Path, fresh: Model, card: Card, config: OptimiserConfig, *, resume: bool, overwrite: bool
) -> _Run:
    if resume:
        return _load_run(resume_path(out), fresh, card, config)
    refuse_existing(out, overwrite=overwrite)
    return _Run(fresh, _initial_optimiser_state(fresh, config), 0, fresh, [], [])


def _load_run(path: Path, fresh: Model, card: Card, config: OptimiserConfig) -> _Run:
    if not path.exists():
        raise CheckpointError(f"nothing to resume: {str(path)!r} does not exist")
    saved = checkpoints.load(path)
    if "step" not in saved.card.metrics:
        raise CheckpointError(
            f"{str(path)!r} is a finished checkpoint, not the state of an unfinished run: nothing "
            "to resume"
        )
    if replace(saved.card, metrics={}) != card:
        raise CheckpointError(
            f"{str(path)!r} was started with another configuration: {_difference(saved.card, card)}"
        )
    state = _restored(saved, "optimiser", _initial_optimiser_state(fresh, config))
    step, (history, held_out) = (
        saved.card.metrics["step"],
        (
            [tuple(map(float, row)) for row in saved.extra.get(name, ())]
            for name in ("history", "held_out")
        ),
    )
    best = _restored(saved, "best", fresh) if held_out else saved.model
    return _Run(saved.model, state, step, best, history, held_out)


def _restored(saved: Checkpoint, name: str, like: Any) -> Any:
    """The pytree that was saved leaf by leaf under a name."""
    leaves, treedef = jax.tree.flatten(like)
    missing = [f"{name}.{i}" for i in range(len(leaves)) if f"{name}.{i}" not in saved.extra]
    if missing:
        raise CheckpointError(
            f"{str(saved.path)!r} lacks the arrays {', '.join(missing)} of an unfinished run: "
            "begin the run again, with overwrite"
        )
    arrays = [jnp.asarray(saved.extra[f"{name}.{i}"]) for i in range(len(leaves))]
    return jax.tree.unflatten(treedef, arrays)


def _difference(saved: Card, asked: Card) -> str:
    old, new = asdict(replace(saved, metrics={})), asdict(asked)
    return "; ".join(
        f"{name} was {old[name]!r}, asked for {new[name]!r}"
        for name in old
        if old[name] != new[name]
    )
