"""Recording an environment that hides its state: q and q̇ are read from what it observes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv

from gym_lagrangian.checks import vector
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.learning.transitions import Transitions
from gym_lagrangian.learning.watcher import Row, transitions_of
from gym_lagrangian.learning.witness import Witness
from gym_lagrangian.systems.coordinates import Coordinates

# From an observation to (q, q̇), and from an action to τ.
StateOf = Callable[[Any], tuple[Any, Any]]
ForceOf = Callable[[Any], Any]


class ObservingRecorder:
    """Steps and resets an environment of which only observations are known."""

    count = 1

    def __init__(
        self,
        env: Any,
        options: dict[str, Any],
        episode_steps: int | None,
        *,
        coordinates: Coordinates,
        state: StateOf | None,
        force: ForceOf | None,
    ):
        if isinstance(env.unwrapped, VectorEnv):
            raise ConfigurationError(
                "coordinates: only with a single environment, whose observations are read"
            )
        self._env, self._coordinates = env, coordinates
        self._options, self._limit = options, episode_steps or np.inf
        self._state, self._force, self._dt = state, force, _dt(env, coordinates)
        self._rows: list[Row] = []
        self._steps = 0
        self._witness = Witness(env)

    @property
    def recorded(self) -> int:
        """How many transitions there are."""
        return len(self._rows)

    def begin(self, seed: int) -> Any:
        return self._env.reset(seed=seed, options=self._options or None)[0]

    def step(self, observation: Any, policy: Callable[[Any], Any]) -> Any:
        action = policy(observation)
        before, tau = self._seen(observation), self._exerted(action)
        observation, _, terminated, truncated, _ = self._env.step(action)
        self._rows.append(Row(before, tau, self._seen(observation), self._witness.seen))
        self._steps += 1
        if not (terminated or truncated or self._steps >= self._limit):
            return observation
        self._rows[-1].seen["truncated"] = np.array(not terminated)
        self._steps = 0
        return self._env.reset(options=self._options or None)[0]

    def transitions(self, count: int) -> Transitions:
        """The first `count`."""
        return transitions_of(self._rows[:count], self._coordinates, self._dt)

    def close(self) -> None:
        """Leave the environment as it was."""
        self._witness.close()

    def _seen(self, observation: Any) -> np.ndarray:
        """The state (2n,) that an observation shows; as a whole it is (q, q̇) by default."""
        n = self._coordinates.n
        if self._state is not None:
            q, qd = self._state(observation)
            return vector("state", np.concatenate([np.ravel(q), np.ravel(qd)]), 2 * n, _HOW)
        return vector("the observation", observation, 2 * n, _HOW)

    def _exerted(self, action: Any) -> np.ndarray:
        """τ (n,) of an action, whose components are the motors' forces by default."""
        names, n = self._coordinates.coordinates, self._coordinates.n
        if self._force is not None:
            return vector("force", self._force(action), n, _HOW)
        motors = self._coordinates.usage.actuated or names
        tau = np.zeros(n)
        driven = [names.index(name) for name in motors]
        tau[driven] = vector("the action", action, len(motors), _HOW)
        return tau


# What to do about observations and actions that are not what they are taken for.
_HOW = (
    "say what observations and actions mean by state=function(observation), which returns (q, q̇), "
    "and force=function(action), which returns τ, one number a coordinate each"
)


def _dt(env: Any, coordinates: Coordinates) -> float:
    """Seconds in a step: as the coordinates state them, or the environment."""
    found = coordinates.usage.dt or getattr(env.unwrapped, "dt", None)
    if not isinstance(found, int | float | np.number) or not found > 0:
        raise ConfigurationError(
            f"{env} does not say how long a step takes: state it, as in "
            f'Coordinates(…, usage={{"dt": 0.02}})'
        )
    return float(found)
