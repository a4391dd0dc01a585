"""Checks of what users hand in: each returns the value in its own type, or says what is wrong."""

from __future__ import annotations

import inspect
import math
import numbers
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from gym_lagrangian.errors import ConfigurationError


def finite_number(what: str, value: Any, unit: str) -> float:
    """`value` as a float.

    Raises:
        ConfigurationError: not a finite number.
    """
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value):
        raise ConfigurationError(f"{what} = {value!r}: expected a finite number ({unit})")
    return float(value)


def positive_number(what: str, value: Any, unit: str = "") -> float:
    """`value` as a float.

    Raises:
        ConfigurationError: not a finite positive number.
    """
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or value <= 0:
        in_unit = f" ({unit})" if unit else ""
        raise ConfigurationError(f"{what} = {value!r}: expected a positive number{in_unit}")
    return float(value)


def one_or_each(
    what: str, value: Any, check: Callable[..., float], *expected: Any
) -> float | tuple[float, ...]:
    """`value`, one number or one a coordinate, each checked by `check(what, number, *expected)`.

    Raises:
        ConfigurationError: as `check` does.
    """
    if isinstance(value, list | tuple) and value:
        return tuple(check(what, one, *expected) for one in value)
    return check(what, value, *expected)


def whole_number(what: str, value: Any, *, least: int = 1) -> int:
    """`value` as an int.

    Raises:
        ConfigurationError: not a whole number of at least `least`.
    """
    is_whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not is_whole or value < least:
        raise ConfigurationError(f"{what} = {value!r}: expected a whole number of at least {least}")
    return int(value)


def seed_number(value: Any) -> int:
    """`value` as an int.

    Raises:
        ConfigurationError: not a whole number from 0 to 2³² − 1.
    """
    seed = whole_number("seed", value, least=0)
    if seed >= 2**32:
        raise ConfigurationError(f"seed = {seed}: expected a whole number below 2³²")
    return seed


def one_of(what: str, value: Any, choices: Iterable[str]) -> str:
    """`value`, one of the choices.

    Raises:
        ConfigurationError: it is not; the message lists them.
    """
    choices = tuple(choices)
    if not isinstance(value, str) or value not in choices:
        raise ConfigurationError(f"{what} = {value!r}: choose one of {', '.join(choices)}")
    return value


def known_arguments(
    what: str, function: Callable, given: Iterable[str], *, also: Iterable[str] = ()
) -> None:
    """Refuse keyword arguments that a constructor does not take; see `known_names`."""
    known_names(what, inspect.signature(function).parameters, given, also=also)


def known_names(
    what: str, known: Iterable[str], given: Iterable[str], *, also: Iterable[str] = ()
) -> None:
    """Refuse names of arguments other than the known ones.

    Arguments:
        also: what else may be given where `what` is made, for the message.

    Raises:
        ConfigurationError: naming the unknown ones and the valid ones.
    """
    known = tuple(known)
    unknown = [name for name in given if name not in known]
    if unknown:
        raise ConfigurationError(
            f"{what} takes no argument {', '.join(map(repr, unknown))}; it takes "
            f"{', '.join([*also, *known]) or 'none'}"
        )


def vector(what: str, value: Any, size: int, advice: str) -> np.ndarray:
    """`value` as a float64 array (size,) of its own.

    Arguments:
        advice: what the numbers are, or how to state them; ends the message.

    Raises:
        ConfigurationError: another shape, or not numbers.
    """
    try:
        found = np.array(value, np.float64)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"{what} is {value!r}: not numbers; {advice}") from error
    if found.shape != (size,):
        raise ConfigurationError(f"{what} has shape {found.shape}, expected ({size},): {advice}")
    return found
