"""One environment's compiled functions and its current state, packed into one vector."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gym_lagrangian.envs._kernel import compiled
from gym_lagrangian.envs._packing import Packing
from gym_lagrangian.envs._scope import KEPT, scope
from gym_lagrangian.envs.functional import FunctionalEnv, Params, State, cast


class Stepper:
    """Steps the pure functions of `functional` one call at a time, for a scalar environment.

    State stays where jax put it and comes to NumPy once a step. A step enters no scope and runs
    on one thread: it is a call of a compiled program, as small as it can be made.
    """

    def __init__(self, env: FunctionalEnv, params: Params, dtype: str, device: Any):
        self._env = env
        self._dtype = dtype
        self._device = device
        self._packed: jax.Array | None = None
        self.use(params)

    def use(self, params: Params) -> None:
        """Step with these parameters from now on; an episode under way goes on."""
        state = self.numpy()[0] if self.started else None
        params = dataclasses.replace(params, dynamics=params.dynamics.rolled())
        with self._scope():
            self._leaves, structure = jax.tree.flatten((self._env, params))
            self._moving = jax.tree.leaves(_moving(params))
            shapes = tuple((leaf.shape, leaf.dtype) for leaf in self._leaves)
            self._functions = _functions(structure, self._dtype, shapes)
        self._compiled: Any = None
        if state is not None:
            self.restore(state)

    @property
    def started(self) -> bool:
        """Whether there is a state."""
        return self._packed is not None

    def reset(self, key: jax.Array, params: Params) -> jax.Array:
        """Begin an episode drawn within the bounds of `params`; returns the next key."""
        with self._scope():
            leaves = jax.tree.leaves((self._env, cast(params, self._dtype)))
            key, self._packed = self._functions.reset(leaves, key)
        return key

    def start(self, x: np.ndarray, m: np.ndarray, goal: np.ndarray) -> None:
        """Begin an episode at the state x with parameters m and a goal. The member of an ensemble
        that it follows and the noise of its sensors are those of the episode under way.
        """
        here = self.numpy()[0] if self.started else None
        kept = (None, None) if here is None else (here.member, here.stream)
        with self._scope():
            given = (jnp.asarray(array, self._dtype) for array in (x, m, goal))
            self._packed = self._functions.start(self._leaves, *given, *kept)

    def restore(self, state: State) -> None:
        """Continue from a whole state, NumPy arrays as `numpy` gives them."""
        with self._scope():
            self._packed = self._functions.observe(self._leaves, state)

    def step(self, action: np.ndarray) -> None:
        """Advance by one step under a float32 action."""
        if self._compiled is None:
            with self._scope():
                self._compiled = _compiled_step(self._functions, action.shape, self._device)
        try:
            self._packed = self._compiled(self._moving, self._packed, action)
        except ValueError:
            if not jax.config.jax_disable_jit:  # type: ignore[attr-defined]
                raise
            with jax.disable_jit(False):  # compiled programs refuse to be called under it
                self._packed = self._compiled(self._moving, self._packed, action)

    def vector(self) -> np.ndarray:
        """The current `State` and `Timestep` as one transferred vector, see `where`."""
        return np.asarray(self._packed)

    @property
    def where(self) -> tuple[Any, Any]:
        """The slice of `vector` that holds each leaf of `State` and `Timestep`."""
        return self._functions.packing.where

    def numpy(self) -> tuple[Any, Any]:
        """The current `State` and `Timestep`, NumPy arrays cut from that vector."""
        return self._functions.packing.unpack(self.vector())

    def _scope(self) -> Any:
        return scope(self._dtype, self._device)


class _Functions(NamedTuple):
    """Jitted functions whose result is one vector: the packed (State, Timestep).

    `moving` are the shapes of what a step takes: each argument of a compiled program costs time.
    """

    moving: tuple
    dtype: str
    reset: Any
    start: Any
    observe: Any
    step: Any
    packing: Packing


@functools.lru_cache(maxsize=KEPT)
def _functions(structure: Any, dtype: str, shapes: tuple) -> _Functions:
    """The functions of every environment of one structure: other weights, masses or instances
    are other leaves, and compile nothing.
    """

    def rebuild(leaves) -> tuple[FunctionalEnv, Params]:
        return jax.tree.unflatten(structure, leaves)

    def reset(leaves, key):
        env, params = rebuild(leaves)
        key, draw = jax.random.split(key)
        return key, packing.pack(env.reset(draw, params), dtype)

    def start(leaves, x, m, goal, member, stream):
        env, params = rebuild(leaves)
        return packing.pack(env.start(x, m, goal, params, member, stream), dtype)

    def observe(leaves, state):
        env, params = rebuild(leaves)
        state = env.adopted(state, params)
        return packing.pack((state, env.observe(state, params)), dtype)

    def step(leaves, packed, action):
        dynamics, trust, dt, sensors = jax.tree.unflatten(moving, leaves)
        changed = {"dynamics": dynamics, "trust": trust, "dt": dt, "sensors": sensors}
        params = dataclasses.replace(shaped, **changed)
        state, _ = packing.unpack(packed)
        return packing.pack(env.step(None, state, action, params), dtype)

    def example(leaves):
        env, params = rebuild(leaves)
        return env.reset(jax.random.key(0), params)

    packing = Packing(jax.eval_shape(example, _examples(shapes)))
    env, shaped = rebuild(_examples(shapes))
    kinds, moving = jax.tree.flatten(_moving(shaped))
    return _Functions(
        tuple(kinds),
        dtype,
        jax.jit(reset),
        jax.jit(start),
        jax.jit(observe),
        jax.jit(step),
        packing,
    )


@functools.lru_cache(maxsize=KEPT)
def _compiled_step(functions: _Functions, action: tuple[int, ...], device: Any) -> Any:
    """`step` compiled for a device, in whose scope this is called: calling it looks at no context
    and traces nothing.
    """
    packed = jax.ShapeDtypeStruct((functions.packing.size,), functions.dtype)
    action_ = jax.ShapeDtypeStruct(action, np.float32)
    return compiled(functions.step, list(functions.moving), packed, action_, device=device)


def _moving(params: Params) -> tuple[Any, ...]:
    """What a step depends on; the bounds in `params` concern a reset alone."""
    return params.dynamics, params.trust, params.dt, params.sensors


def _examples(shapes: tuple) -> list[jax.ShapeDtypeStruct]:
    return [jax.ShapeDtypeStruct(shape, kind) for shape, kind in shapes]
