"""Recording the environments of an `AsyncVectorEnv`, which live in processes of their own.

The state of an environment in a running process cannot be read. So the environments are made again,
by the same functions, each with a watcher inside. The given vector environment is not stepped.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium
from gymnasium.vector import AsyncVectorEnv, VectorWrapper

from gym_lagrangian.adapters.registry import adapter_for
from gym_lagrangian.learning.watcher import Row, Watcher

# Steps after which the workers are asked what they have.
_EVERY = 64


class WatchedEnv(gymnasium.Wrapper):
    """An environment with a watcher inside, in a worker."""

    def __init__(self, env: gymnasium.Env, adapter: Any, *, keep: bool):
        super().__init__(env)
        self._watcher = Watcher(env.unwrapped, adapter_for(env, adapter), keep=keep)

    def step(self, action: Any) -> Any:
        outcome = self.env.step(action)
        if outcome[2] or outcome[3]:
            self._watcher.ended(truncated=bool(outcome[3]))
        return outcome

    def moved(self) -> Any:
        """The coordinates and dt."""
        return self._watcher.coordinates, self._watcher.dt

    def taken(self) -> tuple[list[Row], int]:
        """The rows since the last call, and how many steps were not free so far."""
        rows, self._watcher.rows = self._watcher.rows, []
        return rows, self._watcher.disturbed


class RemoteWatchers:
    """The watchers of an `AsyncVectorEnv`, wrapped or not.

    Attributes:
        env: the environment to step in its place.
    """

    def __init__(self, env: Any, adapter: Any, *, keep: bool):
        given: AsyncVectorEnv = env.unwrapped
        make = [partial(_watched, one, adapter, keep) for one in given.env_fns]
        self._twin = AsyncVectorEnv(
            make,
            shared_memory=given.shared_memory,
            context=given.context,
            autoreset_mode=given.autoreset_mode,
        )
        self._given, self._innermost = given, _innermost(env)
        self.env = self._twin if self._innermost is None else env
        if self._innermost is not None:
            self._innermost.env = self._twin
        self.coordinates, self.dt = self._twin.call("moved")[0]
        self.count, self._steps = given.num_envs, 0
        self._rows: list[list[Row]] = [[] for _ in range(self.count)]
        self.disturbed = 0

    @property
    def recorded(self) -> int:
        """How many transitions there are, as of some steps ago."""
        return sum(map(len, self._rows))

    def rows(self) -> list[list[Row]]:
        """Those of every environment."""
        return self._rows

    def stepped(self, terminated: Any, truncated: Any, limit: float) -> bool:
        """Take note of a step. A vector environment resets itself."""
        self._steps += 1
        if self._steps % _EVERY == 0:
            self._take()
        return False

    def _take(self) -> None:
        found = self._twin.call("taken")
        for rows, (new, _) in zip(self._rows, found, strict=True):
            rows.extend(new)
        self.disturbed = sum(disturbed for _, disturbed in found)

    def close(self) -> None:
        """End the processes, and leave the wrappers as they were."""
        if self._innermost is not None:
            self._innermost.env = self._given
        self._twin.close()


def _watched(make: Callable[[], gymnasium.Env], adapter: Any, keep: bool) -> WatchedEnv:
    return WatchedEnv(make(), adapter, keep=keep)


def _innermost(env: Any) -> VectorWrapper | None:
    """The wrapper next to the vector environment; None where there is none."""
    found = None
    while isinstance(env, VectorWrapper):
        found, env = env, env.env
    return found
