r"""Noisy sensors and delayed motors.

A sensor of every coordinate and velocity adds noise to what it shows, at every step anew,

    q + σ_q ε,    q̇ + σ_q̇ ε',    ε, ε' ~ N(0, 1),

and the observation is formed from these numbers and clipped to its bounds. Reward, goal and `info`
are those of the true state.

An episode's noise is a function of its stream, two whole numbers drawn at reset, and of the step:
a state that is set again, copied or simulated from has the same noise.

Motors with a delay of d steps exert at every step the action of d steps before, and none at first.
The actions that are still to act are a queue (d, a) in the state.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.systems.coordinates import Coordinates
from gym_lagrangian.systems.task import Task, TaskState

# Numbers of a stream are below this: states travel as float32 too, which hold them exactly.
_BELOW = 2**24


class Sensors(eqx.Module):
    """Noisy sensors.

    Attributes:
        std: σ (2n,) of q and then of q̇, in the units of the coordinates and per second.
        low, high: ends (o,) of the observation.
    """

    std: Array | np.ndarray
    low: Array | np.ndarray
    high: Array | np.ndarray

    def observation(self, task: Task, state: TaskState, stream: Array, step: Array) -> Array:
        """What a task shows (o,) of a state with noise."""
        n = len(state.q)
        noise = jnp.asarray(self.std, state.q.dtype) * noise_of(stream, step, state.q.dtype, 2 * n)
        seen = state._replace(q=state.q + noise[:n], qd=state.qd + noise[n:])
        return jnp.clip(task.observation(seen), self.low, self.high)


def drawn_stream(key: Array) -> Array:
    """A stream of noise (2,), whole numbers."""
    return jax.random.randint(key, (2,), 0, _BELOW, jnp.int32)


def noise_of(stream: Array, step: Array, dtype: Any, size: int) -> Array:
    """Standard normal noise (size,) of a step of a stream."""
    key = jax.random.key(0)
    for number in (stream[0], stream[1], step):
        key = jax.random.fold_in(key, number)
    return jax.random.normal(key, (size,), dtype)


def sensors_of(task: Task, noise: Any, m_bounds: np.ndarray, goal_bounds: np.ndarray) -> Any:
    """The sensors of an environment; None where they are exact.

    Arguments:
        noise: σ in SI units, one number for everything or one each of q and then of q̇; None for 0.
        m_bounds, goal_bounds: (2, k) and (2, g), within which the observation's ends are.

    Raises:
        ConfigurationError: a negative number or another number of them.
    """
    std = checked_noise(noise, task.coordinates)
    if not std.any():
        return None
    low, high = task.observation_bounds(m_bounds, goal_bounds)
    return Sensors(std, np.asarray(low), np.asarray(high))


def checked_noise(noise: Any, coordinates: Coordinates) -> np.ndarray:
    """σ (2n,) of sensors.

    Raises:
        ConfigurationError: a negative number or another number of them.
    """
    names = coordinates.coordinates
    expected = (
        f"expected one standard deviation ≥ 0 in SI units, or {2 * len(names)}: of "
        f"{', '.join(names)} and then of their velocities"
    )
    try:
        found = np.array(0.0 if noise is None else noise, np.float64)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"observation_noise = {noise!r}: {expected}") from error
    if found.shape not in ((), (2 * len(names),)) or not np.all(np.isfinite(found) & (found >= 0)):
        raise ConfigurationError(f"observation_noise = {noise!r}: {expected}")
    return np.broadcast_to(found, (2 * len(names),)).copy()
