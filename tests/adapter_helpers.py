"""What every adapter must do, in one place; and a model that stands still."""

from __future__ import annotations

import importlib.util
from typing import Any, ClassVar

import gymnasium
import jax.numpy as jnp
import numpy as np

from gym_lagrangian.models.base import Model
from gym_lagrangian.models.embedding import Embedding
from gym_lagrangian.physics.dynamics import Driven, Dynamics

# Whether there is what Gymnasium's MuJoCo environments import.
HAS_MUJOCO = all(importlib.util.find_spec(name) for name in ("mujoco", "imageio"))


class Motion(Dynamics):
    """A map x⁺ = f(x, τ, dt) that is stated rather than learned."""

    def driven(self, state, force, rates, m, dt) -> Driven:
        raise NotImplementedError

    def energy(self, state, m) -> None:
        return None

    def friction(self, q, qd, m) -> None:
        return None

    @property
    def learned(self) -> bool:
        return True


class Still(Motion):
    def step(self, state, tau, m, dt):
        return jnp.asarray(state)


class Nowhere(Motion):
    def step(self, state, tau, m, dt):
        return jnp.nan * state


class Stated(Model):
    """A model of a stated motion."""

    has_energy: ClassVar[bool] = False

    embedding: Embedding
    motion: Motion

    @classmethod
    def settings(cls) -> tuple[str, ...]:
        return ()

    @classmethod
    def build(cls, embedding, *, key, legendre=None, **config):
        raise NotImplementedError

    @property
    def config(self) -> dict[str, Any]:
        return {}

    def friction(self, q, qd, m) -> None:
        return None

    def loss(self, sample, target):
        raise NotImplementedError

    def dynamics(self, *, integrator: str, substeps: int) -> Dynamics:
        return self.motion


def actions_of(env: gymnasium.Env, count: int, seed: int = 0) -> list[Any]:
    """Random actions; those of a box now and then beyond its ends, where it may be clipped."""
    env.action_space.seed(seed)
    return [env.action_space.sample() for _ in range(count)]


def assert_same_outcome(found: tuple, expected: tuple, *, atol: float = 0.0) -> None:
    """Observation, reward and flags."""
    np.testing.assert_allclose(found[0], expected[0], rtol=0, atol=atol)
    np.testing.assert_allclose(found[1], expected[1], rtol=0, atol=atol)
    assert found[2:4] == expected[2:4]


def retrace(make, adapter, steps: int, *, refresh=None, atol: float = 0.0) -> int:
    """Give the adapter the true next state of a twin, for so many random steps: what it hands out
    is what the twin hands out. Returns the number of episodes.

    Arguments:
        refresh: called with the twin after its step; returns what it would hand out now.
    """
    twin, env = make(), make()
    episodes, rng = 1, np.random.default_rng(0)
    twin.reset(seed=0)
    env.reset(seed=0)
    for action in actions_of(twin, steps):
        expected = twin.step(action)
        after = [np.array(part, np.float64) for part in adapter.state(twin.unwrapped)]
        if refresh is not None:
            expected = refresh(twin.unwrapped, action, expected)
        found = adapter.step(env.unwrapped, action, *after)
        assert_same_outcome(found, (*expected[:3], False), atol=atol)
        for part, wanted in zip(adapter.state(env.unwrapped), after, strict=True):
            np.testing.assert_array_equal(part, wanted)
        if expected[2] or expected[3] or rng.uniform() < 0.005:
            episodes += 1
            twin.reset(seed=episodes)
            env.reset(seed=episodes)
    return episodes
