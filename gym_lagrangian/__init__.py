"""Exact and learned mechanics as Gymnasium environments.

Importing this package registers its environments. It loads neither jax nor a checkpoint: the
modules that need them are loaded when first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

from gym_lagrangian.registration import register, register_system
from gym_lagrangian.version import __version__

if TYPE_CHECKING:
    from gym_lagrangian import (
        checkpoint,
        errors,
        evaluation,
        functional,
        models,
        planning,
        plots,
        rendering,
        systems,
    )
    from gym_lagrangian.acting import learn
    from gym_lagrangian.adapters import Adapter, register_adapter
    from gym_lagrangian.envs import LagrangianEnv, LearnedDynamicsEnv
    from gym_lagrangian.envs.state import EnvState, EpisodeState
    from gym_lagrangian.envs.vector import LagrangianVectorEnv
    from gym_lagrangian.evaluation import evaluate
    from gym_lagrangian.learning.bands import bands
    from gym_lagrangian.learning.config import FitConfig, TrainingConfig
    from gym_lagrangian.learning.fit import fit
    from gym_lagrangian.learning.logs.machine import Machine
    from gym_lagrangian.learning.logs.reading import Logs, read_logs
    from gym_lagrangian.learning.minari import read_minari
    from gym_lagrangian.learning.recording import collect
    from gym_lagrangian.learning.shards import Shards
    from gym_lagrangian.learning.train import train
    from gym_lagrangian.learning.transitions import Transitions
    from gym_lagrangian.models.ensemble import Ensemble
    from gym_lagrangian.systems.base import System
    from gym_lagrangian.systems.coordinates import Coordinates, Parameter
    from gym_lagrangian.systems.task import Task, TaskState

__all__ = [
    "Adapter",
    "Coordinates",
    "Ensemble",
    "EnvState",
    "EpisodeState",
    "FitConfig",
    "LagrangianEnv",
    "LagrangianVectorEnv",
    "LearnedDynamicsEnv",
    "Logs",
    "Machine",
    "Parameter",
    "Shards",
    "System",
    "Task",
    "TaskState",
    "TrainingConfig",
    "Transitions",
    "__version__",
    "bands",
    "checkpoint",
    "collect",
    "errors",
    "evaluate",
    "evaluation",
    "fit",
    "functional",
    "learn",
    "models",
    "planning",
    "plots",
    "read_logs",
    "read_minari",
    "register_adapter",
    "register_system",
    "rendering",
    "systems",
    "train",
]

# Where each name is; a module's own name for a module.
_HOMES = {
    "Adapter": "gym_lagrangian.adapters",
    "Coordinates": "gym_lagrangian.systems.coordinates",
    "Ensemble": "gym_lagrangian.models.ensemble",
    "EnvState": "gym_lagrangian.envs.state",
    "EpisodeState": "gym_lagrangian.envs.state",
    "FitConfig": "gym_lagrangian.learning.config",
    "LagrangianEnv": "gym_lagrangian.envs",
    "LagrangianVectorEnv": "gym_lagrangian.envs.vector",
    "LearnedDynamicsEnv": "gym_lagrangian.envs",
    "Logs": "gym_lagrangian.learning.logs.reading",
    "Machine": "gym_lagrangian.learning.logs.machine",
    "Parameter": "gym_lagrangian.systems.coordinates",
    "Shards": "gym_lagrangian.learning.shards",
    "System": "gym_lagrangian.systems.base",
    "Task": "gym_lagrangian.systems.task",
    "TaskState": "gym_lagrangian.systems.task",
    "TrainingConfig": "gym_lagrangian.learning.config",
    "Transitions": "gym_lagrangian.learning.transitions",
    "bands": "gym_lagrangian.learning.bands",
    "collect": "gym_lagrangian.learning.recording",
    "evaluate": "gym_lagrangian.evaluation",
    "fit": "gym_lagrangian.learning.fit",
    "learn": "gym_lagrangian.acting",
    "read_logs": "gym_lagrangian.learning.logs.reading",
    "read_minari": "gym_lagrangian.learning.minari",
    "register_adapter": "gym_lagrangian.adapters",
    "train": "gym_lagrangian.learning.train",
}


def __getattr__(name: str) -> Any:
    """Import on first use."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]


register()
