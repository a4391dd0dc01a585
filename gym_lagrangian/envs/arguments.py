"""Checks of what users hand to the environments, before anything is traced."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.functional import Params
from gym_lagrangian.systems.base import System


def check_action(action: Any, size: int) -> np.ndarray:
    """The action as a float32 array of shape (size,).

    Raises:
        ConfigurationError: another shape, or values that are not finite.

    """
    array = np.asarray(action, np.float32)
    if array.shape != (size,):
        raise ConfigurationError(
            f"action has shape {array.shape}, expected ({size},) with values in [-1, 1]"
        )
    if not np.isfinite(array).all():
        raise ConfigurationError(f"action {array} is not finite; expected values in [-1, 1]")
    return array


def starting_bounds(system: System, params: Params, options: dict[str, Any]) -> np.ndarray:
    """Bounds (2, 2n) of the starting state that reset options ask for.

    Raises:
        ConfigurationError: a state of another shape, not finite, or outside the system's
            range; bounds that are reversed; or ``state`` together with ``low`` or ``high``.

    """
    size = 2 * system.n
    names = ", ".join([*system.coordinates, *(f"d{name}/dt" for name in system.coordinates)])
    if "state" in options:
        if "low" in options or "high" in options:
            raise ConfigurationError('options: give "state", or "low" and "high", not both')
        x = _vector('options["state"]', options["state"], size, names, broadcast=False)
        m = np.asarray(params.m_bounds)[0]
        q, qd = jnp.split(jnp.asarray(x), 2)
        if not system.in_range(q, qd, jnp.asarray(m)):
            raise ConfigurationError(
                f'options["state"] = {x} is outside the range of {system.name}, where every '
                "episode ends as diverged"
            )
        return np.stack([x, x])
    default = np.asarray(params.reset_bounds, np.float64)
    low = _vector('options["low"]', options.get("low", default[0]), size, names)
    high = _vector('options["high"]', options.get("high", default[1]), size, names)
    if np.any(low > high):
        raise ConfigurationError(f'options["low"] = {low} exceeds options["high"] = {high}')
    return np.stack([low, high])


def _vector(what: str, value: Any, size: int, names: str, *, broadcast: bool = True) -> np.ndarray:
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"{what} = {value!r}: expected numbers ({names})") from error
    if broadcast and array.shape == ():
        array = np.full(size, array)
    if array.shape != (size,):
        raise ConfigurationError(f"{what} has shape {array.shape}, expected ({size},): ({names})")
    if not np.isfinite(array).all():
        raise ConfigurationError(f"{what} = {array} is not finite")
    return array
