"""Learned models, one a file; the rows of `registration.MODELS` by name."""

from typing import TYPE_CHECKING, Any

from gym_lagrangian.registration import MODELS, load_model

if TYPE_CHECKING:
    from gym_lagrangian.models.baseline import Baseline
    from gym_lagrangian.models.calibrated import Calibrated
    from gym_lagrangian.models.delan import DeLaN
    from gym_lagrangian.models.hnn import HNN
    from gym_lagrangian.models.lnn import LNN
    from gym_lagrangian.models.mlp import MLP
    from gym_lagrangian.models.node import NODE
    from gym_lagrangian.models.noncanonical_hnn import NoncanonicalHNN
    from gym_lagrangian.models.residual import Residual
    from gym_lagrangian.models.spatial_chain import SpatialChain

__all__ = [
    "HNN",
    "LNN",
    "MLP",
    "NODE",
    "Baseline",
    "Calibrated",
    "DeLaN",
    "NoncanonicalHNN",
    "Residual",
    "SpatialChain",
]


def __getattr__(name: str) -> Any:
    """The class of a registered model."""
    if name not in MODELS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return load_model(name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
