"""Lagrangian neural networks as Gymnasium environments.

Importing this package registers its environments and loads neither jax nor a checkpoint; what
needs them is loaded when first used.
"""

from typing import TYPE_CHECKING, Any

from gym_lagrangian.registration import register

if TYPE_CHECKING:
    from gym_lagrangian.envs import LagrangianEnv, LearnedDynamicsEnv
    from gym_lagrangian.learning.config import FitConfig, TrainingConfig
    from gym_lagrangian.learning.fit import fit
    from gym_lagrangian.learning.recording import collect
    from gym_lagrangian.learning.train import train
    from gym_lagrangian.learning.transitions import Transitions

__all__ = [
    "FitConfig",
    "LagrangianEnv",
    "LearnedDynamicsEnv",
    "TrainingConfig",
    "Transitions",
    "collect",
    "fit",
    "train",
]

_HOMES = {
    "FitConfig": "gym_lagrangian.learning.config",
    "LagrangianEnv": "gym_lagrangian.envs",
    "LearnedDynamicsEnv": "gym_lagrangian.envs",
    "TrainingConfig": "gym_lagrangian.learning.config",
    "Transitions": "gym_lagrangian.learning.transitions",
    "collect": "gym_lagrangian.learning.recording",
    "fit": "gym_lagrangian.learning.fit",
    "train": "gym_lagrangian.learning.train",
}


def __getattr__(name: str) -> Any:
    """Import on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)


register()
