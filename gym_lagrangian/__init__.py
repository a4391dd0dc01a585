"""Lagrangian neural networks as Gymnasium environments.

Importing this package registers its environments and loads neither jax nor a checkpoint; what
needs them is loaded when first used.
"""

from typing import TYPE_CHECKING, Any

from gym_lagrangian.registration import register

if TYPE_CHECKING:
    from gym_lagrangian.collection import collect
    from gym_lagrangian.envs import LagrangianEnv, LearnedDynamicsEnv
    from gym_lagrangian.fitting import FitConfig, fit
    from gym_lagrangian.training import TrainingConfig, train
    from gym_lagrangian.transitions import Transitions

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
    "FitConfig": "gym_lagrangian.fitting",
    "LagrangianEnv": "gym_lagrangian.envs",
    "LearnedDynamicsEnv": "gym_lagrangian.envs",
    "TrainingConfig": "gym_lagrangian.training",
    "Transitions": "gym_lagrangian.transitions",
    "collect": "gym_lagrangian.collection",
    "fit": "gym_lagrangian.fitting",
    "train": "gym_lagrangian.training",
}


def __getattr__(name: str) -> Any:
    """Import on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)


register()
