"""One environment's compiled functions and its current state, packed into one vector."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gym_lagrangian.envs.packing import Packing
from gym_lagrangian.functional import FunctionalEnv, Params, cast


class Stepper:
    """Steps the pure functions of `functional` one call at a time, for a scalar environment.

    State stays where jax put it and comes to NumPy once a step. To be used within the
    environment's precision and device (`Shell.scope`).
    """

    def __init__(self, env: FunctionalEnv, params: Params, dtype: str):
        self._env = env
        self._dtype = dtype
        self._packed: jax.Array | None = None
        self.use(params)

    def use(self, params: Params) -> None:
        """Step with these parameters from now on; an episode under way goes on."""
        state = self.numpy()[0] if self.started else None
        self._leaves, structure = jax.tree.flatten((self._env, params))
        shapes = tuple((leaf.shape, leaf.dtype) for leaf in self._leaves)
        self._compiled = _compiled(structure, self._dtype, shapes)
        if state is not None:
            self._packed = self._compiled.observe(self._leaves, state)

    @property
    def started(self) -> bool:
        """Whether there is a state."""
        return self._packed is not None

    def reset(self, key: jax.Array, params: Params) -> jax.Array:
        """Begin an episode drawn within the bounds of `params`; returns the next key."""
        leaves = jax.tree.leaves((self._env, cast(params, self._dtype)))
        key, self._packed = self._compiled.reset(leaves, key)
        return key

    def start(self, x: np.ndarray, m: np.ndarray) -> None:
        """Begin an episode at the state x with parameters m."""
        place, parameters = (jnp.asarray(array, self._dtype) for array in (x, m))
        self._packed = self._compiled.start(self._leaves, place, parameters)

    def step(self, action: np.ndarray) -> None:
        """Advance by one step."""
        self._packed = self._compiled.step(self._leaves, self._packed, action)

    def numpy(self) -> tuple[Any, Any]:
        """The current `State` and `Timestep`, NumPy arrays cut from one transferred vector."""
        return self._compiled.packing.unpack(np.asarray(self._packed))


class _Compiled(NamedTuple):
    """Functions whose result is one vector: the packed (State, Timestep)."""

    reset: Any
    start: Any
    observe: Any
    step: Any
    packing: Packing


@functools.cache
def _compiled(structure: Any, dtype: str, shapes: tuple) -> _Compiled:
    """The functions of every environment of one structure: other weights, masses or instances
    are other leaves, and compile nothing.
    """

    def rebuild(leaves) -> tuple[FunctionalEnv, Params]:
        return jax.tree.unflatten(structure, leaves)

    def reset(leaves, key):
        env, params = rebuild(leaves)
        key, draw = jax.random.split(key)
        return key, packing.pack(env.reset(draw, params), dtype)

    def start(leaves, x, m):
        env, params = rebuild(leaves)
        return packing.pack(env.start(x, m, params), dtype)

    def observe(leaves, state):
        env, params = rebuild(leaves)
        return packing.pack((state, env.observe(state, params)), dtype)

    def step(leaves, packed, action):
        env, params = rebuild(leaves)
        state, _ = packing.unpack(packed)
        return packing.pack(env.step(None, state, action, params), dtype)

    def example(leaves):
        env, params = rebuild(leaves)
        return env.reset(jax.random.key(0), params)

    leaves = [jax.ShapeDtypeStruct(shape, kind) for shape, kind in shapes]
    packing = Packing(jax.eval_shape(example, leaves))
    return _Compiled(jax.jit(reset), jax.jit(start), jax.jit(observe), jax.jit(step), packing)
