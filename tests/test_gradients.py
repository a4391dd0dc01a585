"""Derivatives through a rollout of the pure functions, against finite differences."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gym_lagrangian.envs import functional

STEPS = 4


@pytest.fixture(scope="module", params=["truth", "learned"])
def rollout(request, make_checkpoint):
    """`score(x, actions, m, weights)` of a short episode, and a point to differentiate at."""
    path = None
    if request.param == "learned":
        path = make_checkpoint("DoublePendulum", "LNN", width=4, depth=2)
    with jax.enable_x64(True):
        env, params = functional.make(
            "DoublePendulum", checkpoint=path, dtype="float64", integrator="rk4", substeps=1
        )
        weights, rest = jax.tree.flatten(params.dynamics)

    def score(x, actions, m, weights):
        moved = dataclasses.replace(params, dynamics=jax.tree.unflatten(rest, weights))
        state, _ = env.start(x, m, moved.goal_bounds[0], moved)

        def step(state, action):
            state, timestep = env.step(None, state, action, moved)
            return state, timestep.reward

        state, rewards = jax.lax.scan(step, state, actions)
        return rewards.sum() + jnp.sum(state.x)

    rng = np.random.default_rng(0)
    x, actions = rng.normal(size=4), rng.uniform(-0.9, 0.9, (STEPS, 2))
    point = (x, actions, np.asarray(params.m_bounds[0]), [np.asarray(w) for w in weights])
    return score, point


def test_gradients_are_finite_and_equal_finite_differences(rollout):
    score, point = rollout
    with jax.enable_x64(True):
        gradient = jax.jit(jax.grad(score, argnums=(0, 1, 2, 3)))(*point)
        value = jax.jit(score)
        rng = np.random.default_rng(1)
        for argument in range(4):
            leaves, structure = jax.tree.flatten(point[argument])
            slopes = jax.tree.leaves(gradient[argument])
            for slope in slopes:
                assert np.isfinite(slope).all()
                assert argument == 3 or np.any(slope != 0.0)
            if not leaves:
                continue  # the exact dynamics have no weights
            along = [rng.normal(size=leaf.shape) for leaf in leaves]
            expected = sum(np.sum(s * d) for s, d in zip(slopes, along, strict=True))

            def moved(h, argument=argument, leaves=leaves, structure=structure, along=along):
                shifted = [leaf + h * d for leaf, d in zip(leaves, along, strict=True)]
                return value(
                    *point[:argument],
                    jax.tree.unflatten(structure, shifted),
                    *point[argument + 1 :],
                )

            h = 1e-5
            found = (moved(h) - moved(-h)) / (2 * h)
            np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8)
