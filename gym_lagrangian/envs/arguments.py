"""Checks of what users hand to the environments, before anything is traced."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.functional import Params
from gym_lagrangian.systems.base import System


def check_action(action: Any, shape: tuple[int, ...]) -> Any:
    """The action as a float32 array; a jax array is passed on as it is, and only its shape is
    looked at, so that it need not come back from its device.

    Raises:
        ConfigurationError: another shape, or values that are not finite.
    """
    on_device = isinstance(action, jax.Array)
    array = action if on_device else np.asarray(action, np.float32)
    if array.shape != shape:
        raise ConfigurationError(
            f"action has shape {array.shape}, expected {shape} with values in [-1, 1]"
        )
    if not on_device and not np.isfinite(array).all():
        raise ConfigurationError(f"action {array} is not finite; expected values in [-1, 1]")
    return array


def reset_mask(options: dict[str, Any] | None, count: int) -> np.ndarray | None:
    """The mask in reset options, left there for others to read; None where there is none.

    Raises:
        ConfigurationError: not a boolean array of shape (count,) with at least one True.
    """
    if not options or "reset_mask" not in options:
        return None
    mask = options["reset_mask"]
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.shape != (count,):
        found = f"{mask.dtype} {mask.shape}" if isinstance(mask, np.ndarray) else repr(mask)
        raise ConfigurationError(
            f'options["reset_mask"] is {found}: expected a boolean NumPy array of shape ({count},)'
        )
    if not mask.any():
        raise ConfigurationError('options["reset_mask"] is False everywhere: nothing to reset')
    return mask


def starting_bounds(
    system: System, params: Params, options: dict[str, Any], *, count: int | None = None
) -> np.ndarray:
    """Bounds (2, 2n) of the starting state that reset options ask for.

    With `count`, for that many sub-environments: values may also have shape (count, 2n), and
    the bounds are then (count, 2, 2n).

    Raises:
        ConfigurationError: a state of another shape, not finite, or outside the system's
            range; bounds that are reversed; or ``state`` together with ``low`` or ``high``.
    """
    names = ", ".join([*system.coordinates, *(f"d{name}/dt" for name in system.coordinates)])
    default = np.asarray(params.reset_bounds, np.float64)

    def vector(name: str, value: Any, *, broadcast: bool = True) -> np.ndarray:
        what = f'options["{name}"]'
        return _vector(what, value, 2 * system.n, names, count=count, broadcast=broadcast)

    if "state" in options:
        if "low" in options or "high" in options:
            raise ConfigurationError('options: give "state", or "low" and "high", not both')
        x = vector("state", options["state"], broadcast=False)
        if not _all_in_range(system, x, np.asarray(params.m_bounds)[..., 0, :]):
            raise ConfigurationError(
                f'options["state"] = {x} is outside the range of {system.name}, where every '
                "episode ends as diverged"
            )
        return np.stack([x, x], axis=-2)
    low = vector("low", options.get("low", default[..., 0, :]))
    high = vector("high", options.get("high", default[..., 1, :]))
    if np.any(low > high):
        raise ConfigurationError(f'options["low"] = {low} exceeds options["high"] = {high}')
    return np.stack(np.broadcast_arrays(low, high), axis=-2)


def _all_in_range(system: System, x: np.ndarray, m: np.ndarray) -> bool:
    x, m = np.atleast_2d(x), np.atleast_2d(m)
    count = max(len(x), len(m))
    q, qd = np.split(np.broadcast_to(x, (count, x.shape[1])), 2, axis=1)
    inside = jax.vmap(system.in_range)(q, qd, np.broadcast_to(m, (count, m.shape[1])))
    return bool(np.all(np.asarray(inside)))


def _vector(
    what: str, value: Any, size: int, names: str, *, count: int | None, broadcast: bool
) -> np.ndarray:
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"{what} = {value!r}: expected numbers ({names})") from error
    if broadcast and array.shape == ():
        array = np.full(size, array)
    shapes = [(size,)] if count is None else [(size,), (count, size)]
    if array.shape not in shapes:
        raise ConfigurationError(
            f"{what} has shape {array.shape}, expected {' or '.join(map(str, shapes))}: ({names})"
        )
    if not np.isfinite(array).all():
        raise ConfigurationError(f"{what} = {array} is not finite")
    return array
