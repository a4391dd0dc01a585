"""The numbers and words that a model is given once and never learns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx


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
