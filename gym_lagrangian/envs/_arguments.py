"""Checks of what users hand to the environments, before anything is traced.

Arrays are copied: jax may go on reading an array after the call that was given it returned.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from gym_lagrangian.envs.functional import FunctionalEnv, Params
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.systems.task import TaskState


def check_action(
    action: ArrayLike, shape: tuple[int, ...], *, takes_forces: bool
) -> np.ndarray | jax.Array:
    """The action as a float32 array; a jax array is passed on as it is, and only its shape is
    looked at, so that it need not come back from its device.

    Raises:
        ConfigurationError: another shape, values that are not finite, or that are not zero
            where the dynamics take no forces.
    """
    array: np.ndarray | jax.Array
    try:
        array = action if isinstance(action, jax.Array) else np.array(action, np.float32)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            f"action {action!r}: expected numbers of shape {shape} in [-1, 1]"
        ) from error
    if array.shape != shape:
        raise ConfigurationError(
            f"action has shape {array.shape}, expected {shape} with values in [-1, 1]"
        )
    if isinstance(array, jax.Array):
        return array
    if not np.isfinite(array).all():
        raise ConfigurationError(f"action {array} is not finite; expected values in [-1, 1]")
    if not takes_forces and array.any():
        raise ConfigurationError(
            f"action {array} is a force, but this model was trained on free motion alone: the "
            "scale of its Lagrangian, by which a force divides, is arbitrary. Step it with zeros, "
            "or train it on states with forces"
        )
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
    env: FunctionalEnv, params: Params, options: dict[str, Any], *, count: int | None = None
) -> np.ndarray:
    """Bounds (2, 2n) of the starting state that reset options ask for.

    With `count`, for that many sub-environments: values may also have shape (count, 2n), and
    the bounds are then (count, 2, 2n).

    Raises:
        ConfigurationError: a state of another shape, not finite, or outside the task's
            range; bounds that are reversed; or ``state`` together with ``low`` or ``high``.
    """
    if not isinstance(options, dict):
        raise ConfigurationError(f"options = {options!r}: expected a dict")
    m, goal = (np.asarray(b)[..., 0, :] for b in (params.m_bounds, params.goal_bounds))
    if "state" in options:
        if "low" in options or "high" in options:
            raise ConfigurationError('options: give "state", or "low" and "high", not both')
        what = 'options["state"]'
        x = starting_state(env, options["state"], m, goal, count=count, what=what)
        return np.stack([x, x], axis=-2)
    default = np.asarray(params.reset_bounds, np.float64)
    low, high = (
        _vector(f'options["{name}"]', options.get(name, default[..., i, :]), env, count)
        for i, name in enumerate(("low", "high"))
    )
    if np.any(low > high):
        raise ConfigurationError(f'options["low"] = {low} exceeds options["high"] = {high}')
    for name, corner in (("low", low), ("high", high)):
        _require_in_range(f'options["{name}"]', corner, env, m, goal)
    return np.stack(np.broadcast_arrays(low, high), axis=-2)


def starting_state(
    env: FunctionalEnv,
    state: Any,
    m: np.ndarray,
    goal: np.ndarray,
    *,
    count: int | None = None,
    what: str = "state",
) -> np.ndarray:
    """A state that a user gave, (2n,) or (count, 2n), checked for an episode with parameters m and
    that goal.

    Raises:
        ConfigurationError: another shape, not finite, or outside the system's range.
    """
    x = _vector(what, state, env, count, broadcast=False)
    _require_in_range(what, x, env, m, goal)
    return x


def _require_in_range(
    name: str, x: np.ndarray, env: FunctionalEnv, m: np.ndarray, goal: np.ndarray
) -> None:
    n = env.coordinates.n

    def inside(x: Any, m: Any, goal: Any) -> Any:
        zero = jnp.zeros((), x.dtype)
        return env.task.in_range(TaskState(x[:n], x[n:], m, goal, zero, jnp.zeros_like(x[:n])))

    rows = jnp.vectorize(inside, signature="(d),(k),(g)->()")(x, m, goal)
    if not np.all(np.asarray(rows)):
        raise ConfigurationError(
            f"{name} = {x} is outside the range of {env.coordinates.name}, where every episode "
            "ends as diverged"
        )


def _vector(
    name: str, value: Any, env: FunctionalEnv, count: int | None, *, broadcast: bool = True
) -> np.ndarray:
    coordinates = env.coordinates.coordinates
    size = 2 * len(coordinates)
    names = ", ".join([*coordinates, *(f"d{c}/dt" for c in coordinates)])
    try:
        array = np.array(value, np.float64)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"{name} = {value!r}: expected numbers ({names})") from error
    if broadcast and array.shape == ():
        array = np.full(size, array)
    shapes = [(size,)] if count is None else [(size,), (count, size)]
    if array.shape not in shapes:
        raise ConfigurationError(
            f"{name} has shape {array.shape}, expected {' or '.join(map(str, shapes))}: ({names})"
        )
    if not np.isfinite(array).all():
        raise ConfigurationError(f"{name} = {array} is not finite")
    return array
