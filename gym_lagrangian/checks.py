"""Checks of arguments: each returns the value in its proper type, or says in an error why not."""

from __future__ import annotations

import inspect
import math
import numbers
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from gym_lagrangian.errors import ConfigurationError, UnknownArgument

# What a message shows of a value.
_SHOWN = 200


def shown(value: Any) -> str:
    """A value as messages show it, cut where it is long."""
    try:
        text = repr(value)
    except ValueError:  # Python writes no integer of more than 4,300 digits
        return "an integer of thousands of digits"
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} …"


def real_number(value: Any) -> float:
    """`value` as a float; NaN for what is no real number.

    A truth value, text, a duration, a complex number, an array (one with a mask included) and an
    integer that no float holds are none.
    """
    if isinstance(value, bool | np.timedelta64) or not isinstance(value, numbers.Real):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.nan


def finite_number(what: str, value: Any, unit: str) -> float:
    """`value` as a float.

    Raises:
        ConfigurationError: not a finite number.
    """
    number = real_number(value)
    if not math.isfinite(number):
        raise ConfigurationError(f"{what} = {shown(value)}: expected a finite number ({unit})")
    return number


def positive_number(what: str, value: Any, unit: str = "") -> float:
    """`value` as a float.

    Raises:
        ConfigurationError: not a finite positive number.
    """
    number = real_number(value)
    if not math.isfinite(number) or number <= 0:
        in_unit = f" ({unit})" if unit else ""
        raise ConfigurationError(f"{what} = {shown(value)}: expected a positive number{in_unit}")
    return number


def mapping(what: str, value: Any) -> dict[str, Any]:
    """`value` as a dict of its own, empty for None.

    Raises:
        ConfigurationError: not a mapping from names.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise ConfigurationError(f"{what} = {shown(value)}: expected a dict of arguments by name")
    return dict(value)


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


def whole_number(what: str, value: Any, *, least: int = 1, most: int | None = None) -> int:
    """`value` as an int.

    Raises:
        ConfigurationError: not a whole number of at least `least`, or one above `most`.
    """
    is_whole = isinstance(value, numbers.Integral) and not isinstance(value, bool | np.timedelta64)
    number = int(value) if is_whole else None
    if number is None or number < least:
        raise ConfigurationError(
            f"{what} = {shown(value)}: expected a whole number of at least {least}"
        )
    if most is not None and number > most:
        raise ConfigurationError(f"{what} = {shown(value)}: expected at most {most:,}")
    return number


def seed_number(value: Any) -> int:
    """`value` as an int.

    Raises:
        ConfigurationError: not a whole number from 0 to 2³² − 1.
    """
    seed = whole_number("seed", value, least=0)
    if seed >= 2**32:
        raise ConfigurationError(f"seed = {shown(seed)}: expected a whole number below 2³²")
    return seed


def one_of(what: str, value: Any, choices: Iterable[str]) -> str:
    """`value`, one of the choices.

    Raises:
        ConfigurationError: it is not; the message lists them.
    """
    choices = tuple(choices)
    if not isinstance(value, str) or value not in choices:
        raise ConfigurationError(f"{what} = {shown(value)}: choose one of {', '.join(choices)}")
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
        UnknownArgument: naming the unknown ones and the valid ones.
    """
    known = tuple(known)
    unknown = [name for name in given if name not in known]
    if unknown:
        raise unknown_arguments(what, unknown, [*also, *known])


def unknown_arguments(what: str, unknown: Iterable[str], known: Iterable[str]) -> UnknownArgument:
    """The error of arguments that nothing takes. It says so in Python's own words as well, by
    which TorchRL and other clients tell which argument to leave out.
    """
    names = [*map(repr, unknown)]
    return UnknownArgument(
        f"{what} takes no argument {', '.join(names)}; it takes {', '.join(known) or 'none'} "
        f"(unexpected keyword argument {names[0]})"
    )


# The kinds of NumPy arrays that hold numbers: whole and floating-point ones.
_NUMBERS = "iuf"


def numbers_in(value: Any) -> np.ndarray:
    """An array of real numbers of its own, in the precision that it was given in.

    Raises:
        ValueError: text, truth values, durations, complex numbers, masked or ragged ones, integers
            that no float holds, or anything else that no array of numbers is made of.
    """
    if isinstance(value, np.ma.MaskedArray) and np.ma.getmaskarray(value).any():
        raise ValueError("some of them are masked")
    try:
        array = np.array(value)
        if array.dtype.kind == "O" and all(isinstance(one, numbers.Real) for one in array.flat):
            array = array.astype(np.float64)
    except Exception as error:  # whatever the object itself raises where it is asked for numbers
        raise ValueError(str(error)) from error
    if array.size and array.dtype.kind not in _NUMBERS and not _is_jax_number(array):
        raise ValueError(f"they are of type {array.dtype}")
    return array


def _is_jax_number(array: np.ndarray) -> bool:
    """Whether it is of one of jax's own small floating-point types, as bfloat16."""
    return array.dtype.kind == "V" and array.dtype.names is None and array.dtype.isbuiltin == 2


def held_in(dtype: str, what: str, *values: float) -> None:
    """Refuse numbers that a precision does not hold, and a range (low, high) without a width in it.

    Raises:
        ConfigurationError: in that precision one of the numbers, or the difference of the last and
            the first, is infinite, or a number that is not zero becomes zero.
    """
    least, most = float(np.finfo(dtype).tiny), float(np.finfo(dtype).max)
    sizes = [*map(abs, values), float(values[-1]) - float(values[0])]
    if max(sizes) > most or any(0 < size < least for size in sizes[:-1]):
        listed = values[0] if len(set(values)) == 1 else values
        raise ConfigurationError(
            f"{what} = {listed}: {dtype} holds sizes from {least:.3g} to {most:.3g}, and ranges no "
            "wider; choose other units"
        )


def vector(what: str, value: Any, size: int, advice: str) -> np.ndarray:
    """`value` as a float64 array (size,) of its own.

    Arguments:
        advice: what the numbers are, or how to state them; ends the message.

    Raises:
        ConfigurationError: another shape, or not numbers.
    """
    try:
        found = numbers_in(value).astype(np.float64)
    except ValueError as error:
        raise ConfigurationError(f"{what} is {shown(value)}: not numbers; {advice}") from error
    if found.shape != (size,):
        raise ConfigurationError(f"{what} has shape {found.shape}, expected ({size},): {advice}")
    return found
