"""The regulators of one policy, made once for each episode's parameters and goal."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gym_lagrangian.envs.functional import FunctionalEnv, Params
from gym_lagrangian.planning.lqr import LQR, lqr
from gym_lagrangian.systems.task import TaskState

# So many batches of episodes are remembered.
_KEPT = 8


class Regulators:
    """Regulators at the goals of a task, in fixed dynamics."""

    def __init__(self, env: FunctionalEnv, params: Params, discount: float = 1.0):
        """Finds the one in the middle of all parameters and goals, so as to fail early.

        Raises:
            ConfigurationError: the task names no goal state.
            Unholdable: no feedback holds it in these dynamics.
        """
        self._env, self._params, self._discount = env, params, discount
        self._known: OrderedDict[Any, LQR] = OrderedDict()
        lqr(env, params, discount=discount)

    def at(self, start: TaskState) -> LQR:
        """Those of N states, every array with a first axis N.

        Raises:
            Unholdable: as the constructor.
        """
        m, goal = np.asarray(start.m), np.asarray(start.goal)
        key = (m.shape, m.tobytes(), goal.tobytes())
        if key not in self._known:
            self._known[key] = self._made(m, goal)
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)
        return self._known[key]

    def _made(self, m: np.ndarray, goal: np.ndarray) -> LQR:
        rows, places = np.unique(np.hstack([m, goal]), axis=0, return_inverse=True)
        parts = (np.split(row, [m.shape[1]]) for row in rows)
        found = [lqr(self._env, self._params, *part, discount=self._discount) for part in parts]
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *found)
        return jax.tree.map(lambda leaf: leaf[np.ravel(places)], stacked)
