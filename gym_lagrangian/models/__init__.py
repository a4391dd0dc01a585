"""Learned models, one a file; the rows of `registration.MODELS` by name."""

from typing import Any

from gym_lagrangian.registration import MODELS, load_model


def __getattr__(name: str) -> Any:
    """The class of a registered model."""
    if name not in MODELS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return load_model(name)
