"""Settings of a model: numbers and words that are given and not learned."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jax import Array
from jax.typing import DTypeLike

from gym_lagrangian.checks import one_or_each


def setting(name: str, default: Any, check: Callable, *expected: Any) -> Any:
    """A field of a model: one entry of its configuration, checked where it is given.

    Arguments:
        name: the field's own name, for messages.
        check: a function of `gym_lagrangian.checks`, called as ``check(name, value, *expected)``.
    """
    return eqx.field(
        static=True,
        kw_only=True,
        default=default,
        converter=lambda value: check(name, value, *expected),
    )


def magnitude(name: str, default: float, check: Callable, *expected: Any) -> Any:
    """As `setting`, for one number or one a coordinate."""
    return setting(name, default, one_or_each, check, *expected)


def per_coordinate(value: float | tuple[float, ...], n: int) -> tuple[float, ...]:
    """A magnitude as n numbers."""
    return value if isinstance(value, tuple) else (value,) * n


def as_factor(value: float | tuple[float, ...], dtype: DTypeLike) -> float | Array:
    """A magnitude to multiply a vector (n,) by."""
    return jnp.array(value, dtype) if isinstance(value, tuple) else value


def as_given(value: Any) -> Any:
    """A setting as JSON has it."""
    return list(value) if isinstance(value, tuple) else value
