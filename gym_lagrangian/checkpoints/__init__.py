"""Checkpoints: a trained model and where it came from, in one safetensors file.

The shipped ones lie in this folder.
"""

from gym_lagrangian.checkpoints.card import Card, fresh_model
from gym_lagrangian.checkpoints.file import (
    FORMAT,
    SUFFIX,
    Checkpoint,
    check_fits,
    check_parameters,
    load,
    load_for,
    resolve,
    save,
    shipped,
    writable,
)

__all__ = [
    "FORMAT",
    "SUFFIX",
    "Card",
    "Checkpoint",
    "check_fits",
    "check_parameters",
    "fresh_model",
    "load",
    "load_for",
    "resolve",
    "save",
    "shipped",
    "writable",
]
