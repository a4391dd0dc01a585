"""A sweep on Ray Tune: on the cores of this machine, or on a cluster."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from gym_lagrangian.checks import positive_number, real_number, shown, whole_number
from gym_lagrangian.errors import ConfigurationError, MissingExtra
from gym_lagrangian.sweeps.ledger import Ledger
from gym_lagrangian.sweeps.plan import Sweep
from gym_lagrangian.sweeps.training import Result, check_models

# How often a worker that dies is replaced, pack by pack.
_RETRIES = 3

# Ray is quiet, sends no statistics, leaves Ctrl-C to Python, and keeps workers in this folder.
_SURROUNDINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
}


def on_ray(
    sweep: Sweep,
    out: str | Path,
    *,
    address: str | None = None,
    workers: int | None = None,
    cpus: float = 1.0,
    gpus: float = 0.0,
    on_progress: Callable[[Ledger], None] | None = None,
) -> Ledger:
    """Train all packs of a sweep on Ray Tune; go on where a sweep in the folder was left.

    A pack saves its state at every mark. A worker that dies is replaced, and goes on from there.
    The table is that of `in_process`, however often anything was killed.

    Arguments:
        out: the folder for Ray's own files; on a cluster, one that all machines share.
        address: of a running Ray cluster, as ``"auto"``; None for this machine alone.
        workers: how many packs are trained at a time; None for as many as there are cores.
        cpus, gpus: cores and GPUs that a pack takes.
        on_progress: called with the results so far at every report.

    Returns:
        the results; `rows` is the table.

    Raises:
        MissingExtra: Ray is not installed.
        ConfigurationError: a setting that a model or a system does not take, before any training;
            or no such cluster.
    """
    _check(workers, cpus, gpus)
    for name, value in _SURROUNDINGS.items():
        os.environ.setdefault(name, value)
    ray = _ray()
    from gym_lagrangian.sweeps.scheduler import told

    # Ray first: it starts processes, which JAX warns of once it is in use.
    with _connected(ray, address), told(on_progress):
        check_models(sweep)
        tuner = _tuner(sweep, Path(out).resolve(), workers, {"cpu": cpus, "gpu": gpus})
        return _noted(sweep, tuner.fit())


def _check(workers: int | None, cpus: float, gpus: float) -> None:
    if workers is not None:
        whole_number("workers", workers)
    positive_number("cpus", cpus, "cores")
    if not real_number(gpus) >= 0:
        raise ConfigurationError(f"gpus = {shown(gpus)}: expected a number of at least 0")


def _ray() -> Any:
    try:
        import ray  # type: ignore[import-not-found]
        import ray.tune  # type: ignore[import-not-found]
    except ImportError as error:
        raise MissingExtra('sweeps need Ray Tune: pip install "gym-lagrangian[ray]"') from error
    return ray


@contextlib.contextmanager
def _connected(ray: Any, address: str | None) -> Iterator[None]:
    """A connection to Ray, unless the caller has one already."""
    if ray.is_initialized():
        yield
        return
    # "local", for without an address Ray joins a cluster that happens to run on this machine.
    own: dict[str, Any] = {"address": "local", "include_dashboard": False}
    where = own if address is None else {"address": address}
    at_sigterm = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(**where, log_to_driver=False, logging_level="ERROR")
    except Exception as error:  # Ray raises many kinds, `Exception` itself among them
        what = "Ray did not start" if address is None else f"no Ray cluster at {address!r}"
        raise ConfigurationError(f"{what}: {error}") from error
    try:
        _keep_at_sigterm(at_sigterm)
        yield
    finally:
        ray.shutdown()


def _keep_at_sigterm(handler: Any) -> None:
    """Put back what the caller does at SIGTERM, which Ray replaces by an exit with status 15."""
    if callable(handler) and signal.getsignal(signal.SIGTERM) is not handler:
        signal.signal(signal.SIGTERM, handler)


def _tuner(sweep: Sweep, out: Path, workers: int | None, resources: dict[str, float]) -> Any:
    """Ray's driver of the sweep, restored where the folder has one."""
    from ray import tune  # type: ignore[import-not-found]

    from gym_lagrangian.sweeps.scheduler import InOrder
    from gym_lagrangian.sweeps.worker import PACK, train_pack, trial_name

    trainable = tune.with_resources(train_pack, resources)
    kept = str(out / "ray")
    if tune.Tuner.can_restore(kept):
        return tune.Tuner.restore(kept, trainable, resume_errored=True)
    return tune.Tuner(
        trainable,
        param_space={PACK: tune.grid_search([pack.as_dict() for pack in sweep.packs])},
        tune_config=tune.TuneConfig(
            scheduler=InOrder(Ledger(sweep)),
            max_concurrent_trials=workers,
            reuse_actors=True,  # what one pack compiled serves the next of its kind
            trial_name_creator=trial_name,
            trial_dirname_creator=trial_name,
        ),
        run_config=tune.RunConfig(
            name="ray",
            storage_path=str(out),
            failure_config=tune.FailureConfig(max_failures=_RETRIES),
            checkpoint_config=tune.CheckpointConfig(num_to_keep=1),
            verbose=0,
        ),
    )


def _noted(sweep: Sweep, trials: Any) -> Ledger:
    from gym_lagrangian.sweeps.worker import RESULT

    ledger = Ledger(sweep)
    for trial in trials:
        if RESULT in (trial.metrics or {}):
            ledger.note(Result.from_text(trial.metrics[RESULT]))
    return ledger
