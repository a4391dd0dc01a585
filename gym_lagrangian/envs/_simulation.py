"""`simulate` of a scalar environment: its arguments checked, then one compiled call."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gym_lagrangian.checkpoints import Card
from gym_lagrangian.checks import numbers_in, shown
from gym_lagrangian.envs._arguments import check_action, check_goal, check_m, starting_state
from gym_lagrangian.envs._scope import KEPT
from gym_lagrangian.envs.functional import (
    FunctionalEnv,
    Params,
    Simulation,
    State,
    check_sequence,
    simulate,
)
from gym_lagrangian.envs.state import STATES, EnvState, EpisodeState, stacked
from gym_lagrangian.errors import ConfigurationError


def check_actions(actions: Any, size: int, *, takes_forces: bool) -> np.ndarray:
    """Sequences of actions, (T, size) or (B, T, size), as a float32 array.

    Raises:
        ConfigurationError: another shape, or as `check_action`.
    """
    try:
        shape = np.shape(actions)
    except ValueError as error:
        raise ConfigurationError("actions of unlike lengths: expected equal ones") from error
    check_sequence(shape, size)
    return np.asarray(check_action(actions, shape, takes_forces=takes_forces), np.float32)


def simulated_start(
    env: FunctionalEnv,
    card: Card | None,
    given: Any,
    now: EnvState,
    parameters: Mapping[str, Any],
    actions: np.ndarray,
) -> EnvState | State:
    """Where a simulation begins: a state, or all of them with a first axis B.

    Arguments:
        given: one state or many: whole ones, or bare x with the m and goal of `now`.
        now: m and goal of the episode under way; before the first, NaN where they are drawn.
        parameters: values by name in place of those, each a number or (B,) of them.
        actions: (T, a) or (B, T, a).

    Raises:
        ConfigurationError: as `starting_point`; an unknown parameter; or batches of unlike sizes.
    """
    given = stacked(given)
    whole = isinstance(given, STATES)
    parts = (given.x, given.m, given.goal) if whole else (given, now.m, now.goal)
    sizes = {n: _rows(part, 2) for n, part in zip(("states", "m", "goal"), parts, strict=True)}
    sizes |= {name: _rows(value, 1) for name, value in parameters.items()}
    count = _count(sizes | {"actions": _rows(actions, 3)})
    x, m, goal = _overridden(env, parts, parameters, count)
    if not whole:
        _require_drawn(m, goal)
    m = check_m(env, card, m, count=count)
    goal = check_goal(env, goal, count=count)
    point = EnvState(starting_state(env, x, m, goal, count=count), m, goal)
    rows = _count(sizes)
    if rows is not None:
        point = EnvState(*(np.broadcast_to(one, (rows, one.shape[-1])) for one in point))
    return _of_episode(env, given.state, point) if isinstance(given, EpisodeState) else point


def _overridden(
    env: FunctionalEnv, parts: tuple, parameters: Mapping[str, Any], count: int | None
) -> tuple:
    """x, m and goal with the parameters that are given by name."""
    x, m, goal = parts
    own, goals = env.coordinates.parameters, env.task.goals()
    for name in parameters:
        if name not in own and name not in goals:
            raise ConfigurationError(
                f"{env.coordinates.name} has no parameter {name!r}; it has "
                f"{', '.join([*own, *goals]) or 'none'}"
            )
    m = _with("m", m, own, parameters, count)
    return x, m, _with("goal", goal, goals, parameters, count)


def _require_drawn(m: Any, goal: Any) -> None:
    if np.isnan([*np.ravel(m), *np.ravel(goal)]).any():
        raise ConfigurationError(
            "m or goal is drawn at reset, and there was none: call reset(), name the values, or "
            "give a state with m and goal"
        )


def _of_episode(env: FunctionalEnv, state: State, point: EnvState) -> State:
    """The state of an episode, with its clock, at a point, which may be a batch."""
    if (state.initial_energy is None) != (env.system is None):
        raise ConfigurationError(
            "this is an episode of another kind of environment; take its x, m and goal: "
            "EnvState(state.x, state.m, state.goal)"
        )
    if np.ndim(state.x) < point.x.ndim:
        rows = len(point.x)
        state = jax.tree.map(lambda one: np.broadcast_to(one, (rows, *np.shape(one))), state)
    return state._replace(**point._asdict())


def _rows(value: Any, batched: int) -> int | None:
    """The length of the first axis, where there are as many axes as a batch has."""
    try:
        shape = np.shape(value)
    except ValueError:  # of unlike rows, of which the checks of numbers tell
        return None
    return shape[0] if len(shape) == batched else None


def _count(sizes: Mapping[str, int | None]) -> int | None:
    """The size of the batch; None where there is none."""
    found = {name: size for name, size in sizes.items() if size is not None}
    if len(set(found.values())) > 1:
        listed = ", ".join(f"{size} of {name}" for name, size in found.items())
        raise ConfigurationError(f"batches of unlike sizes: {listed}; expected equal ones")
    count = next(iter(found.values()), None)
    if count == 0:
        raise ConfigurationError(f"no {' or '.join(found)} at all: expected at least one")
    return count


def _with(
    what: str,
    values: Any,
    names: Iterable[str],
    given: Mapping[str, Any],
    count: int | None,
) -> Any:
    """Values (k,) or (count, k) with those that are given by name in their places."""
    names = tuple(names)
    chosen = {name: _number(name, given[name], count) for name in names if name in given}
    if not chosen:
        return values
    try:
        values = numbers_in(values).astype(np.float64)
    except ValueError as error:
        raise ConfigurationError(f"{what} = {shown(values)}: expected numbers") from error
    if values.shape[-1:] != (len(names),):
        raise ConfigurationError(f"{what} has shape {values.shape}, expected ({len(names)},)")
    if count is not None and any(one.ndim for one in chosen.values()):
        values = np.array(np.broadcast_to(values, (count, len(names))))
    for name, one in chosen.items():
        values[..., names.index(name)] = one
    return values


def _number(name: str, value: Any, count: int | None) -> np.ndarray:
    one_a_state = "a number, or one a state"
    try:
        array = numbers_in(value).astype(np.float64)
    except ValueError as error:
        raise ConfigurationError(f"{name} = {shown(value)}: expected {one_a_state}") from error
    if not np.isfinite(array).all():
        raise ConfigurationError(f"{name} = {value!r} is not finite")
    if array.shape not in ((), (count,)):
        raise ConfigurationError(f"{name} has shape {array.shape}: expected {one_a_state}")
    return array


def run(
    env: FunctionalEnv,
    params: Params,
    start: EnvState | State,
    actions: np.ndarray,
    *,
    member: np.ndarray | None,
    members: bool,
    dtype: str,
) -> Simulation:
    """The simulation as NumPy arrays, in one compiled call.

    Arguments:
        member: of an ensemble, which starts without one follow, () or one a start; None for none.
        members: whether each member is followed on its own.

    Raises:
        ConfigurationError: an episode of other sensors or motors.
    """
    _check_late_and_noisy(env, params, start)
    leaves, structure = jax.tree.flatten((env, params))
    start = jax.tree.map(lambda one: _in_precision(one, dtype), start)
    found = _compiled(structure, members)(leaves, start, _fitting(member, start), actions)
    return jax.tree.map(np.array, found)


def _fitting(member: np.ndarray | None, start: EnvState | State) -> np.ndarray | None:
    """The members of as many episodes as there are starts; None where they are not as many."""
    rows = np.shape(start.x)[:-1]
    if member is None or np.shape(member) not in ((), rows):
        return None
    return np.broadcast_to(member, rows)


def _check_late_and_noisy(env: FunctionalEnv, params: Params, start: EnvState | State) -> None:
    if isinstance(start, EnvState):
        return
    late = 0 if start.queue is None else np.shape(start.queue)[-2]
    noisy = start.stream is not None
    if (late, noisy) != (env.action_delay, params.sensors is not None):
        raise ConfigurationError(
            f"this is an episode with action_delay = {late} and {'noisy' if noisy else 'exact'} "
            f"sensors, the environment has action_delay = {env.action_delay} and "
            f"{'exact' if params.sensors is None else 'noisy'} ones; take its x, m and goal: "
            "EnvState(state.x, state.m, state.goal)"
        )


def _in_precision(array: Any, dtype: str) -> np.ndarray:
    array = np.asarray(array)
    return array.astype(dtype) if array.dtype.kind == "f" else array


@functools.lru_cache(maxsize=KEPT)
def _compiled(structure: Any, members: bool) -> Any:
    """`simulate` for every environment of one structure, compiled once for each shape."""

    def simulated(leaves, start, member, actions):
        env, params = jax.tree.unflatten(structure, leaves)
        state = start if isinstance(start, State) else _begun(env, params, start, member)
        return simulate(env, params, state, actions, members=members)

    return jax.jit(simulated)


def _begun(env: FunctionalEnv, params: Params, start: EnvState, member: Any) -> State:
    def begin(x, m, goal, member):
        return env.start(x, m, goal, params, member)[0]

    return (jax.vmap(begin) if jnp.ndim(start.x) == 2 else begin)(*start, member)
