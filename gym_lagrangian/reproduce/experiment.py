"""The command `reproduce`: checkpoints → measurements → figures and report."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from gym_lagrangian import checkpoints
from gym_lagrangian.checkpoints import Checkpoint
from gym_lagrangian.errors import CheckpointError, ConfigurationError
from gym_lagrangian.files import replacing
from gym_lagrangian.learning.config import TrainingConfig
from gym_lagrangian.learning.loop import Progress, resume_path
from gym_lagrangian.learning.train import train
from gym_lagrangian.registration import SYSTEMS, load_system
from gym_lagrangian.reproduce import double_pendulum, figures, particle, report, table
from gym_lagrangian.reproduce.protocol import Protocol
from gym_lagrangian.systems import DoublePendulum, RelativisticParticle
from gym_lagrangian.viewing.plots import new_figure


def reproduce(
    out: str | Path,
    *,
    retrain: bool = False,
    protocol: Protocol | None = None,
    on_part: Callable[[str], None] | None = None,
    on_progress: Callable[[str, Progress], None] | None = None,
) -> dict[str, Any]:
    """Measure every trained model as the paper does; write what is found to `out`.

    Files: ``results.json`` (every number), ``report.md`` (the same to read, the paper's beside
    it), and the figures ``figure-1``, ``figure-2``, ``figure-3`` and ``energy`` as PNG and PDF.

    Arguments:
        retrain: train every model anew, into ``out/checkpoints``, instead of measuring the
            shipped ones. Finished trainings found there are used, an unfinished one goes on.
        on_part: called with the name of each part when it is done.
        on_progress: called with the model's name after every chunk of a training.

    Returns:
        What ``results.json`` holds.

    Raises:
        MissingExtra: matplotlib is not installed.
        ConfigurationError: `out` is a file.
        CheckpointError: a checkpoint in ``out/checkpoints`` is of another configuration.
    """
    new_figure(1, 1)  # is matplotlib there? before minutes of simulation
    out, protocol = Path(out), protocol or Protocol()
    if out.exists() and not out.is_dir():
        raise ConfigurationError(f"out = {str(out)!r} is a file: name a folder")
    done = on_part or (lambda name: None)
    folder = out / "checkpoints" if retrain else None
    pendula, particles = (
        {name: _model(system, name, folder, on_progress) for name in SYSTEMS[system].learned}
        for system in (double_pendulum.SYSTEM, particle.SYSTEM)
    )
    brief = TrainingConfig.of("LNN", particle.SYSTEM, steps=particle.PHYSICAL_STEPS)
    physical = _model(
        particle.SYSTEM, "LNN", folder, on_progress, config=brief, **particle.PHYSICAL
    )
    measured, motions = _measure(pendula, protocol, done)
    particle_results = _measure_particle(particles, physical, protocol, done)
    length = {
        "pendulum": table.step_length(DoublePendulum(), protocol),
        "particle": table.step_length(RelativisticParticle(), protocol),
    }
    results = {
        "versions": _versions(),
        "protocol": asdict(protocol),
        "retrained": retrain,
        "double_pendulum": measured,
        "relativistic_particle": particle_results,
        "step_length": length,
        "table_1": table.measure(measured, particle_results["models"], length),
    }
    traces = double_pendulum.traces(pendula, protocol)
    done("traces")
    made = {
        "figure-1": figures.figure_1(traces),
        "figure-2": figures.figure_2(traces, motions),
        "figure-3": figures.figure_3(particle.traces(particles, protocol)),
        "energy": figures.energy_figure(motions),
    }
    for name, figure in made.items():
        for kind in ("png", "pdf"):
            with replacing(out / f"{name}.{kind}") as part:
                figure.savefig(part, dpi=150, format=kind)
    for name, text in (
        ("results.json", json.dumps(results, indent=2)),
        ("report.md", report.markdown(results)),
    ):
        with replacing(out / name) as part:
            part.write_text(text + "\n", encoding="utf-8")
    done("report")
    return results


def _measure(
    models: dict[str, Checkpoint], protocol: Protocol, done: Callable[[str], None]
) -> tuple[dict[str, Any], double_pendulum.Motions]:
    """Every model's numbers and free motions, two models at a time: one core does not wait for
    the other.
    """
    truth = double_pendulum.true_motions(protocol)
    done("truth")

    def one(item: tuple[str, Checkpoint]):
        name, found = item
        result = double_pendulum.measure(name, found, truth, protocol)
        done(name)
        return result

    with ThreadPoolExecutor(max_workers=2) as pool:
        results = dict(zip(models, pool.map(one, models.items()), strict=True))
    numbers = {name: _origin(models[name]) | found for name, (found, _) in results.items()}
    motions = double_pendulum.Motions(truth, {name: found for name, (_, found) in results.items()})
    return numbers, motions


def _measure_particle(
    models: dict[str, Checkpoint],
    physical: Checkpoint,
    protocol: Protocol,
    done: Callable[[str], None],
) -> dict[str, Any]:
    """The numbers of every model, of the proof, and of the LNN of special relativity."""
    system = particle.SYSTEM
    numbers = {}
    for name, found in models.items():
        numbers[name] = _origin(found) | particle.measure(found, protocol)
        done(f"{system} {name}")
    results = {
        "models": numbers,
        "special_relativity": _origin(physical) | particle.measure(physical, protocol),
        "still": particle.still(protocol),
        "proof": particle.proof(models["LNN"].model, protocol),
    }
    done("proof")
    return results


def _origin(found: Checkpoint) -> dict[str, Any]:
    """Where a model came from, JSON-able, without its own account of how good it is."""
    card = {k: v for k, v in asdict(found.card).items() if k != "metrics"}
    card |= {"conditioned_on": list(found.card.conditioned_on)}
    return {"checkpoint": {"sha256": found.sha256, **card}}


def _model(
    system: str,
    name: str,
    folder: Path | None,
    on_progress: Callable[[str, Progress], None] | None,
    *,
    config: TrainingConfig | None = None,
    **options: str,
) -> Checkpoint:
    """The shipped model of a system, or with a folder the one that is trained anew in it.

    Arguments:
        config: how to train; default: as the package does.
        options: the variant of the system.
    """
    if folder is None:
        return checkpoints.load(f"{system}{name}", load_system(system)(**options))
    label = "-".join((f"{system}{name}", *options.values()))
    path = folder / f"{label}{checkpoints.SUFFIX}"
    config = config or TrainingConfig.of(name, system)
    return _finished(path, config) or train(
        system,
        name,
        out=path,
        config=config,
        system_options=options,
        resume=resume_path(path).exists(),
        on_progress=partial(on_progress, label) if on_progress else None,
    )


def _finished(path: Path, config: TrainingConfig) -> Checkpoint | None:
    """The finished training at `path`, if it is there and is what would be trained."""
    if not path.exists():
        return None
    found = checkpoints.load(path)
    # A training that does not say so is older than the choice, and drew parameters uniformly.
    if {"parameter_law": "uniform"} | found.card.training != asdict(config):
        raise CheckpointError(
            f"{str(path)!r} was trained with another configuration: move it, or choose another "
            "folder"
        )
    return found


def _versions() -> dict[str, str]:
    packages = ("gym-lagrangian", "gymnasium", "jax", "jaxlib", "equinox", "optax", "numpy")
    return {"python": platform.python_version()} | {name: version(name) for name in packages}
