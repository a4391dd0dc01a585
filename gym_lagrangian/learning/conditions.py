"""Conditions of a model: the parameters that it takes as inputs, and their ranges.

In training the parameters are drawn from these ranges. Where only a name is given, the range is the
system's own (`System.varies`, or the range that it draws from at every reset). For recorded data
the range is that of the data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gym_lagrangian.errors import ConfigurationError, DataError
from gym_lagrangian.systems.base import System
from gym_lagrangian.systems.coordinates import Coordinates
from gym_lagrangian.systems.sample import Ranges

# Names, or name → (low, high), or None for the range that the system or the data have.
ConditionedOn = Sequence[str] | Mapping[str, Sequence[float] | None]

# A value within this share of a default is that default, as float32 holds it.
_ROUNDING = 1e-6

# A parameter's own scale is kept where its range reaches this much less or more far, as a factor.
_NEAR = 4.0


class Conditions(NamedTuple):
    """The parameters of a model.

    Attributes:
        names: those that it takes as inputs.
        parameters: name → value of the others.
        ranges: name → (low, high) of the inputs.
    """

    names: tuple[str, ...]
    parameters: dict[str, float]
    ranges: dict[str, tuple[float, float]]


def of_system(system: System, asked: ConditionedOn | None) -> Conditions:
    """The conditions of a model that is trained on states that a system draws.

    Arguments:
        asked: default: the parameters that the system draws at reset.

    Raises:
        ConfigurationError: a name that is no parameter, a range that is reversed or a single value,
            or a parameter of which no range is known.
    """
    wanted = dict.fromkeys(system.varying) if asked is None else _by_name(system, asked)
    ranges = {
        name: system.range_of(name) if given is None else _stated(system, name, given)
        for name, given in wanted.items()
    }
    names = tuple(wanted)
    return Conditions(names, system.fixed_parameters(names), ranges)


def of_data(
    coordinates: Coordinates, m: np.ndarray, asked: ConditionedOn | None, *, what: str = "the data"
) -> Conditions:
    """The conditions of a model that learns from rows with parameters m (N, k).

    Arguments:
        asked: default: what varies in the rows, and what the system draws at reset.
        what: the rows' name in messages.

    Raises:
        ConfigurationError: a name that is no parameter, or a stated range.
        DataError: what varies in the rows is not asked for.
    """
    low, high = m.min(axis=0).tolist(), m.max(axis=0).tolist()
    found = dict(zip(coordinates.parameters, zip(low, high, strict=True), strict=True))
    varying = [name for name, (least, most) in found.items() if least != most]
    wanted = set(varying) | set(coordinates.varying)
    names = tuple(name for name in found if name in wanted)
    if asked is not None:
        names = _named_alone(coordinates, asked, what)
    left = ", ".join(name for name in varying if name not in names)
    if left:
        raise DataError(f"{left} varies in {what}: a model of it must be conditioned on that")
    ranges = {name: found[name] for name in names}
    fixed = {name: _value(coordinates, name, found[name][0]) for name in found if name not in names}
    return Conditions(names, fixed, ranges)


def scaled_to(coordinates: Coordinates, ranges: Ranges) -> Coordinates:
    """The coordinates as a network should see them: a parameter whose range reaches far less or
    more far than its own scale is divided by what it reaches.
    """
    reach = {name: max(map(abs, pair)) for name, pair in ranges.items()}
    parameters = coordinates.parameters
    odd = {
        name: size
        for name, size in reach.items()
        if size and not 1 / _NEAR <= size / parameters[name].scale <= _NEAR
    }
    if not odd:
        return coordinates
    document = coordinates.document()
    changed = parameters | {n: parameters[n]._replace(scale=s) for n, s in odd.items()}
    document["parameters"] = [[name, *parameter] for name, parameter in changed.items()]
    return Coordinates.of_document(document)


def _by_name(coordinates: Coordinates, asked: ConditionedOn) -> dict[str, Any]:
    """Name → what was stated of its range, each name a parameter."""
    is_names = isinstance(asked, Sequence) and not isinstance(asked, str | bytes)
    if not isinstance(asked, Mapping) and not is_names:
        raise ConfigurationError(
            f'conditioned_on = {asked!r}: expected names, such as ("m1", "l1"), or name → '
            '(low, high), such as {"m1": (0.5, 1.5)}'
        )
    wanted = dict(asked) if isinstance(asked, Mapping) else dict.fromkeys(asked)
    for name in wanted:
        if name not in coordinates.parameters:
            raise ConfigurationError(
                f"{coordinates.name} has no parameter {name!r} to condition on; it has "
                f"{', '.join(coordinates.parameters) or 'none'}"
            )
    return wanted


def _named_alone(coordinates: Coordinates, asked: ConditionedOn, what: str) -> tuple[str, ...]:
    wanted = _by_name(coordinates, asked)
    stated = [name for name, given in wanted.items() if given is not None]
    if stated:
        raise ConfigurationError(
            f"conditioned_on states a range of {', '.join(stated)}: a model that learns from "
            f"{what} has the range that is there; give the name alone"
        )
    return tuple(wanted)


def _stated(system: System, name: str, given: Any) -> tuple[float, float]:
    bounds = system.parameter_bounds(**{name: given})
    low, high = bounds[:, list(system.parameters).index(name)].tolist()
    if low == high:
        raise ConfigurationError(
            f"conditioned_on {name} = {given!r} is a single value: expected (low, high) with "
            "low < high, as the model is to depend on it"
        )
    return low, high


def _value(coordinates: Coordinates, name: str, value: float) -> float:
    """A value, or the default of which it is the rounded form."""
    default = coordinates.parameters[name].default
    is_number = not isinstance(default, tuple)
    near = is_number and np.isclose(value, default, rtol=_ROUNDING, atol=0.0)
    return float(default) if near else value  # type: ignore[arg-type]
