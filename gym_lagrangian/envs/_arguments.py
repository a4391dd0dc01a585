"""Checks of the arguments of environments, before anything is traced.

Arrays are copied, since jax may still read an array after the call that it was passed to returned.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from gym_lagrangian.checkpoints import Card, check_parameters
from gym_lagrangian.checks import held_in, numbers_in, shown, whole_number
from gym_lagrangian.envs.functional import FunctionalEnv, Params
from gym_lagrangian.envs.state import STATES, EnvState, stacked
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.systems.task import TaskState


def check_action(
    action: ArrayLike, shape: tuple[int, ...], *, takes_forces: bool, on_device: bool = False
) -> np.ndarray | jax.Array:
    """The action as a float32 array.

    Arguments:
        on_device: pass a jax array on as it is, and look only at its shape and type, so that it
            need not come back from its device.

    Raises:
        ConfigurationError: no numbers, another shape, values that are not finite, or that are
            not zero where the dynamics take no forces.
    """
    array: np.ndarray | jax.Array
    kept = on_device and isinstance(action, jax.Array)
    try:
        array = action if kept else _as_float32(action)  # type: ignore[assignment]
    except ValueError as error:
        raise ConfigurationError(
            f"action {shown(action)}: expected numbers of shape {shape} in [-1, 1]"
        ) from error
    if array.shape != shape:
        raise ConfigurationError(
            f"action has shape {array.shape}, expected {shape} with values in [-1, 1]"
        )
    if isinstance(array, jax.Array):
        if jnp.issubdtype(array.dtype, jnp.complexfloating) or array.dtype == bool:
            raise ConfigurationError(f"action is of type {array.dtype}: expected real numbers")
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


def _as_float32(action: Any) -> np.ndarray:
    if type(action) is np.ndarray and action.dtype.char in "fd":  # the usual ones, in little time
        return np.array(action, np.float32)
    return numbers_in(action).astype(np.float32)


# What reset options may say of where an episode starts.
STARTS = ("state", "low", "high")


def check_options(options: Any, known: tuple[str, ...]) -> Mapping[str, Any]:
    """Reset options as a mapping, empty where there are none.

    Raises:
        ConfigurationError: no mapping, or a key other than the known ones.
    """
    if options is None:
        return {}
    if not isinstance(options, Mapping):
        raise ConfigurationError(
            f"options = {shown(options)}: expected a dict with the keys {', '.join(known)}"
        )
    unknown = [key for key in options if key not in known]
    if unknown:
        raise ConfigurationError(
            f"options have no key {', '.join(map(repr, unknown))}; they have {', '.join(known)}"
        )
    return options


def check_seed(seed: Any) -> int | None:
    """A seed as an int of at least 0, however large; None as it is.

    Raises:
        ConfigurationError: neither.
    """
    return None if seed is None else whole_number("seed", seed, least=0)


def reset_mask(options: Mapping[str, Any], count: int) -> np.ndarray | None:
    """The mask in reset options, left there for others to read; None where there is none.

    Raises:
        ConfigurationError: not a boolean array of shape (count,) with at least one True.
    """
    if "reset_mask" not in options:
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
    env: FunctionalEnv, params: Params, options: Mapping[str, Any], *, count: int | None = None
) -> np.ndarray:
    """Bounds (2, 2n) of the starting state that reset options ask for.

    With `count`, for that many sub-environments: values may also have shape (count, 2n), and
    the bounds are then (count, 2, 2n).

    Raises:
        ConfigurationError: a state of another shape, not finite, or outside the task's
            range; or bounds that are reversed.
    """
    m, goal = (np.asarray(b)[..., 0, :] for b in (params.m_bounds, params.goal_bounds))
    if "state" in options:
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
    for ends in zip(low.flat, high.flat, strict=False):
        held_in(str(params.reset_bounds.dtype), 'options["low"], options["high"]', *ends)
    for name, corner in (("low", low), ("high", high)):
        _require_in_range(f'options["{name}"]', corner, env, m, goal)
    return np.stack(np.broadcast_arrays(low, high), axis=-2)


def whole_start(
    env: FunctionalEnv,
    card: Card | None,
    options: Mapping[str, Any],
    *,
    count: int | None = None,
) -> EnvState | None:
    """The start that reset options give whole, with m and goal; None where they do not.

    Raises:
        ConfigurationError: as `starting_point`; or ``state`` together with ``low`` or ``high``.
    """
    if "state" not in options:
        return None
    if "low" in options or "high" in options:
        raise ConfigurationError('options: give "state", or "low" and "high", not both')
    given = stacked(options["state"])
    if not isinstance(given, STATES):
        return None
    return starting_point(env, card, given, None, count=count, what='options["state"]')


def starting_point(
    env: FunctionalEnv,
    card: Card | None,
    given: Any,
    now: Any,
    *,
    count: int | None = None,
    what: str = "state",
) -> EnvState:
    """The state that a user gave, whole or as a bare x (2n,), with the m and goal of `now`.

    With `count`, for that many sub-environments: arrays may have a first axis of that length.

    Raises:
        ConfigurationError: an array of another shape, not finite or outside the range of the
            task; or parameters that the environment does not take.
    """
    given = stacked(given)
    whole = isinstance(given, STATES)
    m, goal = (given.m, given.goal) if whole else (now.m, now.goal)
    if whole:
        m = check_m(env, card, m, count=count, what=f"{what}.m")
        goal = check_goal(env, goal, count=count, what=f"{what}.goal")
    x = starting_state(env, given.x if whole else given, m, goal, count=count, what=what)
    return EnvState(x, m, goal)


def check_m(
    env: FunctionalEnv, card: Card | None, m: Any, *, count: int | None = None, what: str = "m"
) -> np.ndarray:
    """Parameters (k,) or (count, k) of the motion as float64.

    Raises:
        ConfigurationError: another shape, not finite, or values that make no sense.
        CheckpointError: `card` is a learned model's, which was not trained there.
    """
    known = env.coordinates.parameters
    m = _numbers(what, m, tuple(known), count)
    bounds = env.coordinates.parameter_bounds(**_ranges(known, m))
    if card is not None:
        check_parameters(card, env.coordinates, bounds, what=f"{what}: the model")
    return m


def check_goal(
    env: FunctionalEnv, goal: Any, *, count: int | None = None, what: str = "goal"
) -> np.ndarray:
    """A goal (g,) or (count, g) as float64.

    Raises:
        ConfigurationError: another shape, not finite, or values that make no sense.
    """
    known = env.task.goals()
    goal = _numbers(what, goal, tuple(known), count)
    env.task.goal_bounds(**_ranges(known, goal))
    return goal


def _ranges(names: Any, values: np.ndarray) -> dict[str, tuple[float, float]]:
    """The range of each column of values (…, k), by name."""
    columns = values.reshape(-1, len(names)).T if len(names) else ()
    return {
        name: (float(column.min()), float(column.max()))
        for name, column in zip(names, columns, strict=True)
    }


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
    names = (*coordinates, *(f"d{c}/dt" for c in coordinates))
    return _numbers(name, value, names, count, broadcast=broadcast)


def _numbers(
    name: str, value: Any, names: tuple[str, ...], count: int | None, *, broadcast: bool = False
) -> np.ndarray:
    """Finite float64 numbers, one for each of the names, or (count, that many)."""
    size, labels = len(names), ", ".join(names)
    try:
        array = numbers_in(value).astype(np.float64)
    except ValueError as error:
        raise ConfigurationError(f"{name} = {shown(value)}: expected numbers ({labels})") from error
    if broadcast and array.shape == ():
        array = np.full(size, array)
    shapes = [(size,)] if count is None else [(size,), (count, size)]
    if array.shape not in shapes:
        raise ConfigurationError(
            f"{name} has shape {array.shape}, expected {' or '.join(map(str, shapes))}: ({labels})"
        )
    if not np.isfinite(array).all():
        raise ConfigurationError(f"{name} = {array} is not finite")
    largest = float(np.finfo(jnp.result_type(float)).max)  # of the environment's own precision
    if (np.abs(array) > largest).any():
        raise ConfigurationError(
            f"{name} = {array} is not finite in {jnp.result_type(float)}: expected numbers of at "
            f"most {largest:.3g}"
        )
    return array
