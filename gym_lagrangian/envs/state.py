"""The states that environments hand out and take back, as NumPy arrays."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gym_lagrangian.envs.functional import State
from gym_lagrangian.errors import ConfigurationError


class EnvState(NamedTuple):
    """Where the motion is and what it depends on: all that a search needs to branch from here.

    NumPy reads it as its x: ``np.asarray(state)`` has shape (2n,). A vector environment's arrays
    have a first axis of length num_envs.

    Attributes:
        x: q then q̇, float64 of shape (2n,), in the units of the coordinates and per second.
        m: the parameters of the motion, float64 of shape (k,), in the order of
            `coordinates.parameters`.
        goal: the task's parameters, float64 of shape (g,), in the order of `Task.goal`.
    """

    x: np.ndarray
    m: np.ndarray
    goal: np.ndarray

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """A copy of x."""
        return np.array(self.x, dtype)


class EpisodeState(NamedTuple):
    """A whole episode: `set_state` continues it exactly. NumPy reads it as its x.

    Attributes:
        state: the state with its clock, counters and sums, see `functional.State`.
        key: data of the jax key from which the next reset draws, uint32.
        elapsed: steps since the last reset, in a vector environment; else None.
        done: whether the last step ended the episode, in a vector environment; else None.
    """

    state: State
    key: np.ndarray
    elapsed: np.ndarray | None = None
    done: np.ndarray | None = None

    @property
    def x(self) -> np.ndarray:
        """q then q̇, float64 of shape (2n,)."""
        return np.array(self.state.x, np.float64)

    @property
    def m(self) -> np.ndarray:
        """The parameters of the motion, float64 of shape (k,)."""
        return np.array(self.state.m, np.float64)

    @property
    def goal(self) -> np.ndarray:
        """The task's parameters, float64 of shape (g,)."""
        return np.array(self.state.goal, np.float64)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """A copy of x."""
        return np.array(self.x, dtype)


STATES = (EnvState, EpisodeState)


def env_state(state: Any) -> EnvState:
    """The `EnvState` of whatever has x, m and goal."""
    return EnvState(*(np.array(one, np.float64) for one in (state.x, state.m, state.goal)))


def stacked(given: Any) -> Any:
    """One state out of a list of states; anything else as it is.

    Raises:
        ConfigurationError: a list of which only some are states, or of unlike ones.
    """
    if isinstance(given, STATES) or not isinstance(given, list | tuple):
        return given
    kinds = {type(one) for one in given}
    if not kinds & set(STATES):
        return given
    try:
        if len(kinds) == 1:
            return jax.tree.map(lambda *rows: np.stack(rows), *given)
    except ValueError:
        pass
    names = ", ".join(sorted(kind.__name__ for kind in kinds))
    raise ConfigurationError(f"a list of {names} of unlike shapes or kinds: expected equal ones")


def matching(given: EpisodeState, like: EpisodeState) -> EpisodeState:
    """An episode in the precision of another.

    Raises:
        ConfigurationError: an episode of another kind or number of environments.
    """
    try:
        return jax.tree.map(_alike, like, given)
    except ValueError as error:
        raise ConfigurationError(
            "this is an episode of another kind or number of environments; take its x, m and goal: "
            "EnvState(state.x, state.m, state.goal)"
        ) from error


def wrapped(key: np.ndarray) -> jax.Array:
    """The jax keys of which `key` is the data."""
    return jax.random.wrap_key_data(jnp.asarray(key))


def _alike(like: np.ndarray, given: Any) -> np.ndarray:
    array = np.array(given, like.dtype)
    if array.shape != like.shape:
        raise ValueError(f"shape {array.shape}, not {like.shape}")
    return array
