r"""Training: states → true motion → loss → gradient → optimiser, many steps a call.

The loss is the mean over a batch of w times the model's own loss, divided by the mean weight
w. For most models that is Σ_i |q̈_i − q̈_i^true|, the paper's discrepancy between predicted and
true ẋ, whose velocity half is exact; a model may learn from later states instead. A jitted
`lax.scan` runs a chunk of steps; between chunks progress is shown and state is saved. Every
step's randomness is the seed folded with the step's number, so a run that was interrupted
and resumed gives the same numbers as one that was not.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from gym_lagrangian import checkpoint
from gym_lagrangian.checkpoint import Card, Checkpoint
from gym_lagrangian.checks import (
    known_arguments,
    one_of,
    positive_number,
    seed_number,
    whole_number,
)
from gym_lagrangian.data import FreshStates, Source, from_npz, protocol_states
from gym_lagrangian.errors import CheckpointError, ConfigurationError, TrainingDiverged
from gym_lagrangian.evaluation import measure
from gym_lagrangian.models.base import Model
from gym_lagrangian.preset import Preset
from gym_lagrangian.registration import load_model, load_system

OPTIMISERS = ("muon", "adam")


@dataclass(frozen=True)
class TrainingConfig:
    """How to train; recorded in the checkpoint.

    Attributes:
        steps: optimiser steps.
        batch: states a step.
        optimiser: ``"muon"`` (orthogonalised momentum for the matrices, Adam for the rest;
            Jordan et al., 2024) or ``"adam"``.
        learning_rate: peak, reached after `warmup` steps and followed by a cosine decay.
        final_learning_rate: where the decay ends, as a share of the peak.
        warmup: steps of linear warm-up.
        clip: largest norm of a gradient; None for any.
        seed: of the initial weights and of every batch.
        chunk: steps in one jitted call.
        fixed_states: draw so many unforced states of the paper's distribution once, and learn
            from those alone; None for fresh states at every step.
    """

    steps: int = 1_200_000
    batch: int = 128
    optimiser: str = "muon"
    learning_rate: float = 1e-2
    final_learning_rate: float = 1e-4
    warmup: int = 500
    clip: float | None = 1.0
    seed: int = 0
    chunk: int = 500
    fixed_states: int | None = None

    def __post_init__(self):
        for name in ("steps", "batch", "chunk"):
            whole_number(name, getattr(self, name))
        whole_number("warmup", self.warmup, least=0)
        seed_number(self.seed)
        for name in ("learning_rate", "final_learning_rate"):
            positive_number(name, getattr(self, name))
        if self.clip is not None:
            positive_number("clip", self.clip)
        if self.fixed_states is not None:
            whole_number("fixed_states", self.fixed_states)
        one_of("optimiser", self.optimiser, OPTIMISERS)

    @classmethod
    def of(
        cls, model: str, system: str | None = None, *, preset: str = "package", **settings: Any
    ) -> TrainingConfig:
        """The training of a `recipe`, with the settings given in its place.

        Raises:
            ConfigurationError: an unknown model or system, or a model without such a preset.
        """
        return cls(**{**recipe(model, system, preset).training, **settings})

    def build(self) -> optax.GradientTransformation:
        """The optimiser with its schedule."""
        warmup = min(self.warmup, self.steps // 10)
        schedule = optax.warmup_cosine_decay_schedule(
            init_value=0.0,
            peak_value=self.learning_rate,
            warmup_steps=warmup,
            decay_steps=self.steps,
            end_value=self.learning_rate * self.final_learning_rate,
        )
        update = self._update(schedule)
        if self.clip is None:
            return update
        return optax.chain(optax.clip_by_global_norm(self.clip), update)

    def _update(self, schedule: optax.Schedule) -> optax.GradientTransformation:
        return optax.contrib.muon(schedule) if self.optimiser == "muon" else optax.adam(schedule)


def recipe(model: str, system: str | None = None, preset: str = "package") -> Preset:
    """How a registered model is trained: by one of its presets and, where that is the package's
    own, by what the system asks for otherwise.

    Raises:
        ConfigurationError: an unknown model or system, or a model without such a preset.
    """
    found = load_model(model).preset(preset)
    if system is None or preset != "package":
        return found
    return found.but(load_system(system).recipes.get(model, Preset({}, {})))


class Progress(NamedTuple):
    """What a progress callback is told after every chunk."""

    step: int
    steps: int
    loss: float
    states_per_second: float


class _Run(NamedTuple):
    """Everything that changes during training.

    `history` has rows (step, mean loss), `held_out` rows (step, error on what was held out), and
    `best` is the model of the least such error; where nothing is held out, the latest.
    """

    model: Model
    optimiser: Any
    step: int
    best: Model
    history: list[tuple[float, float]]
    held_out: list[tuple[float, float]]


def loss(model: Model, source: Source, key: Array, size: int) -> Array:
    """The weighted mean discrepancy on a batch drawn with `key`."""
    samples, targets = source.batch(key, size)
    errors = jax.vmap(partial(source.loss, model))(samples, targets)
    return jnp.mean(samples.weight * errors) / jnp.mean(samples.weight)


@eqx.filter_jit
def _chunk(
    config: TrainingConfig, source: Source, model: Model, state: Any, key: Array, first: Array
) -> tuple[Any, Any, Array]:
    update = config.build().update
    params, static = eqx.partition(model, eqx.is_inexact_array)

    def step(carry, number):
        params, state = carry
        batch_key = jax.random.fold_in(key, number)
        value, gradient = jax.value_and_grad(
            lambda p: loss(eqx.combine(p, static), source, batch_key, config.batch)
        )(params)
        updates, state = update(gradient, state, params)
        return (optax.apply_updates(params, updates), state), value

    numbers = first + jnp.arange(config.chunk)
    (params, state), losses = jax.lax.scan(step, (params, state), numbers)
    return eqx.combine(params, static), state, losses


def train(
    system: str,
    model: str,
    *,
    out: str | Path,
    config: TrainingConfig | None = None,
    preset: str = "package",
    system_options: dict[str, Any] | None = None,
    model_config: dict[str, Any] | None = None,
    conditioned_on: tuple[str, ...] | None = None,
    data: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    save_every: float = 30.0,
    on_progress: Callable[[Progress], None] | None = None,
) -> Checkpoint:
    """Train a registered model on a registered system and write its checkpoint to `out`.

    While it runs, its whole state is saved every `save_every` seconds to a file beside `out`
    (see `resume_path`), also on Ctrl-C and when the loss stops being finite; `resume=True`
    continues from there. The file is removed once `out` is written.

    Arguments:
        system, model: names in `registration.SYSTEMS` and `MODELS`.
        config: how to train; default: as the preset has it.
        preset: ``"package"``, or ``"paper"`` for the paper's own network and training.
        system_options, model_config: constructor arguments; what `model_config` leaves out is
            as in the preset.
        conditioned_on: names of the parameters that the model takes as inputs; default
            those that the system draws at reset.
        data: an npz file of fixed states (see `data.from_npz`); default fresh states.
        overwrite: allow replacing an existing `out` and dropping an unfinished run.
        on_progress: called after every chunk.

    Raises:
        CheckpointError: `out` or an unfinished run exists and neither `resume` nor
            `overwrite` was given, there is nothing to resume, or what there is was started
            with another configuration.
        TrainingDiverged: the loss became non-finite.
        ConfigurationError, DataError: bad arguments, before anything is computed.
    """
    out = checkpoint.writable(out)
    known_arguments(system, load_system(system), system_options or {})
    built_system = load_system(system)(**(system_options or {}))
    conditions = built_system.varying if conditioned_on is None else tuple(conditioned_on)
    config = config or TrainingConfig.of(model, system, preset=preset)
    model_config = {**recipe(model, system, preset).config, **(model_config or {})}
    key_model, key_batches, key_states = jax.random.split(jax.random.key(config.seed), 3)
    fresh = checkpoint.fresh_model(model, built_system, conditions, key=key_model, **model_config)
    source: Source
    if data is not None:
        source = from_npz(data, built_system, fresh.horizon)
    elif config.fixed_states is not None:
        count = config.fixed_states
        source = protocol_states(built_system, count, fresh.horizon, key=key_states)
    else:
        source = FreshStates(built_system, fresh.horizon)
    if fresh.needs_forces and not source.forced:
        raise ConfigurationError(
            f"{model} as configured learns from forces, and none act in this data: give states "
            'under forces (an array tau), or the model option gradient="exact"'
        )
    card = Card(
        system=system,
        system_options=built_system.options,
        parameters=built_system.fixed_parameters(conditions),
        conditioned_on=conditions,
        model=model,
        model_config=fresh.config,
        training=asdict(config),
        data=source.description(),
        forced=source.forced,
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
    )


def learn(
    fresh: Model,
    source: Source,
    card: Card,
    config: TrainingConfig,
    *,
    key: Array,
    out: Path,
    resume: bool,
    overwrite: bool,
    save_every: float,
    on_progress: Callable[[Progress], None] | None,
    held_out: Callable[[Model], Array] | None = None,
    metrics: bool = True,
) -> Checkpoint:
    """The life of a run, whatever it learns from: begun or resumed, optimised, measured, saved.

    Arguments:
        fresh: the model to begin with.
        source: what to learn from.
        card: what the checkpoint will say, but for the metrics.
        key: of the batches.
        held_out: an error on what is not learned from. The weights of the chunk's end where it is
            least are kept, and its course is saved as ``held_out``, rows (step, error).
        metrics: whether to measure the model with `evaluation.measure` at the end.

    The other arguments, and what is raised, are those of `train`.
    """
    check = None if held_out is None else eqx.filter_jit(held_out)
    run = _start(out, fresh, card, config, resume=resume, overwrite=overwrite)
    run = _optimise(run, source, card, config, key, out, save_every, on_progress, check)
    _save_run(out, card, run)  # measuring takes a while, and may be interrupted
    judged = {"held_out_error": min(e for _, e in run.held_out)} if run.held_out else {}
    card = replace(card, metrics=(measure(run.best, card) if metrics else {}) | judged)
    checkpoint.save(out, run.best, card, extra=_courses(run))
    resume_path(out).unlink(missing_ok=True)
    return checkpoint.load(out)


def trial(model: Model, source: Source, config: TrainingConfig, key: Array) -> Model:
    """The model after a short training, of which nothing is saved or shown."""
    whole = replace(config, chunk=config.steps, seed=0)
    state = _initial_optimiser_state(model, config)
    return _chunk(whole, source, model, state, key, jnp.asarray(0))[0]


def resume_path(out: str | Path) -> Path:
    """Where an unfinished training of `out` keeps its state."""
    out = Path(out)
    return out.with_name(out.name.removesuffix(checkpoint.SUFFIX) + ".resume" + checkpoint.SUFFIX)


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
    source: Source,
    card: Card,
    config: TrainingConfig,
    key: Array,
    out: Path,
    save_every: float,
    on_progress: Callable[[Progress], None] | None,
    check: Callable[[Model], Array] | None,
) -> _Run:
    save = partial(_save_run, out, card)
    saved = time.monotonic()
    proven = run  # the last state whose own loss is known to be finite
    try:
        while run.step < config.steps:
            start = time.monotonic()
            # The seed is in the key already; left in here, every seed would compile anew.
            chunk = replace(config, chunk=min(config.chunk, config.steps - run.step), seed=0)
            model, state, losses = _chunk(
                chunk, source, run.model, run.optimiser, key, jnp.asarray(run.step)
            )
            losses = np.asarray(losses)
            if not np.all(np.isfinite(losses)):
                bad = run.step + int(np.argmin(np.isfinite(losses)))
                good = run if np.isfinite(losses[0]) else proven
                save(good)
                raise TrainingDiverged(
                    f"the loss became non-finite at step {bad}; the state after step {good.step} "
                    f"is saved in {str(resume_path(out))!r}. Try a lower learning rate, a longer "
                    "warm-up, another seed, or a larger quadratic_start"
                )
            step = run.step + len(losses)
            proven = run
            history = [*run.history, (step, float(losses.mean()))]
            best, errors = _judge(run, model, step, check)
            run = _Run(model, state, step, best, history, errors)
            if on_progress is not None:
                rate = len(losses) * config.batch / (time.monotonic() - start)
                on_progress(Progress(step, config.steps, float(losses.mean()), rate))
            if time.monotonic() - saved >= save_every:
                save(run)
                saved = time.monotonic()
    except KeyboardInterrupt:
        save(run)
        raise
    return run


def _judge(
    run: _Run, model: Model, step: int, check: Callable[[Model], Array] | None
) -> tuple[Model, list[tuple[float, float]]]:
    """The best model so far and the errors that were held against it."""
    if check is None:
        return model, []
    error = float(check(model))
    least = min((value for _, value in run.held_out), default=np.inf)
    return (model if error < least else run.best), [*run.held_out, (step, error)]


def _initial_optimiser_state(model: Model, config: TrainingConfig) -> Any:
    return config.build().init(eqx.filter(model, eqx.is_inexact_array))


def _save_run(out: Path, card: Card, run: _Run) -> None:
    extra = {
        f"optimiser.{i}": np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(run.optimiser))
    }
    if run.held_out:
        extra |= {f"best.{i}": np.asarray(x) for i, x in enumerate(jax.tree.leaves(run.best))}
    card = replace(card, metrics={"step": run.step})
    checkpoint.save(resume_path(out), run.model, card, extra=extra | _courses(run))


def _courses(run: _Run) -> dict[str, np.ndarray]:
    courses = {"history": run.history} | ({"held_out": run.held_out} if run.held_out else {})
    return {k: np.asarray(rows, np.float32).reshape(-1, 2) for k, rows in courses.items()}


def _start(
    out: Path, fresh: Model, card: Card, config: TrainingConfig, *, resume: bool, overwrite: bool
) -> _Run:
    if resume:
        return _load_run(resume_path(out), fresh, card, config)
    refuse_existing(out, overwrite=overwrite)
    return _Run(fresh, _initial_optimiser_state(fresh, config), 0, fresh, [], [])


def _load_run(path: Path, fresh: Model, card: Card, config: TrainingConfig) -> _Run:
    if not path.exists():
        raise CheckpointError(f"nothing to resume: {str(path)!r} does not exist")
    saved = checkpoint.load(path)
    if replace(saved.card, metrics={}) != card:
        raise CheckpointError(
            f"{str(path)!r} was started with another configuration: {_difference(saved.card, card)}"
        )
    state = _restored(saved, "optimiser", _initial_optimiser_state(fresh, config))
    step, (history, held_out) = (
        saved.card.metrics["step"],
        (
            [(float(at), float(value)) for at, value in saved.extra.get(name, ())]
            for name in ("history", "held_out")
        ),
    )
    best = _restored(saved, "best", fresh) if held_out else saved.model
    return _Run(saved.model, state, step, best, history, held_out)


def _restored(saved: Checkpoint, name: str, like: Any) -> Any:
    """The pytree that was saved leaf by leaf under a name."""
    leaves, treedef = jax.tree.flatten(like)
    arrays = [jnp.asarray(saved.extra[f"{name}.{i}"]) for i in range(len(leaves))]
    return jax.tree.unflatten(treedef, arrays)


def _difference(saved: Card, asked: Card) -> str:
    old, new = asdict(replace(saved, metrics={})), asdict(asked)
    return "; ".join(
        f"{name} was {old[name]!r}, asked for {new[name]!r}"
        for name in old
        if old[name] != new[name]
    )
