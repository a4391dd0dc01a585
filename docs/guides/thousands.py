# %% [markdown]
# # Thousands at once, and in your own jit
#
# **Question:** How do I step many environments quickly, and how do I use the physics in my own JAX
# code?
#
# ## A vector environment
#
# All sub-environments step in one compiled call. The results equal those of `SyncVectorEnv` of the
# scalar environment, in every autoreset mode.

# %%
import gymnasium
import numpy as np

import gym_lagrangian

envs = gymnasium.make_vec(
    "DoublePendulumDeLaN-v0",
    num_envs=512,
    dtype="float32",
    vectorization_mode="vector_entry_point",
)
observations, infos = envs.reset(seed=0)
actions = np.zeros(envs.action_space.shape, np.float32)
observations, rewards, terminations, truncations, infos = envs.step(actions)
print(observations.shape, rewards.shape, infos["state"].shape)

# %% [markdown]
# float32 is several times faster than float64 and is the choice for learning. float64, the
# default, keeps energy to 1e-8. Parameters may differ from one sub-environment to the next, or be
# drawn at reset: `gymnasium.make_vec("DoublePendulum-v0", m1=(0.8, 1.2), ...)`.
#
# ## Branch from a state
#
# `simulate` follows sequences of actions, one or thousands, from one state. The environment does
# not move.

# %%
env = gymnasium.make("DoublePendulum-v0").unwrapped
env.reset(seed=0)
sequences = np.random.default_rng(0).uniform(-1, 1, (256, 20, 2))  # B sequences of T actions
found = env.simulate(env.get_state(), sequences)
print("states", found.states.shape, "| best return", found.rewards.sum(axis=1).max().round(2))

# %% [markdown]
# The environment of `make` and that of `make_vec` both have it. It takes one state or many, (T, a)
# or (B, T, a) actions, and masses, one or one each. All of it is one compiled call, and equals
# stepping.

# %%
masses = np.linspace(0.8, 1.2, 256)
found = env.simulate(env.get_state(), sequences, m1=masses)
print("best return at", masses[found.rewards.sum(axis=1).argmax()].round(2), "kg")

# %% [markdown]
# ## Pure functions
#
# Without Gymnasium, an environment is a static object `env` and a tree of arrays `params`. Weights
# are arrays in `params`: another checkpoint of the same structure compiles nothing. With
# `checkpoint="DoublePendulumLNN"`, `functional.make` has a learned model in place of the system.

# %%
import jax
import jax.numpy as jnp

from gym_lagrangian import functional

env, params = functional.make("DoublePendulum", dtype="float32", integrator="rk4")
state, timestep = env.reset(jax.random.key(0), params)
state, timestep = env.step(None, state, jnp.array([0.5, 0.0]), params)
print(timestep.observation.round(3))

# %% [markdown]
# `jit`, `vmap`, `scan` and `grad` go through. Here is the gradient of a return with respect to the
# actions, through 10 steps:


# %%
@jax.jit
def total_reward(actions):
    """The return of actions (T, 2)."""
    return functional.simulate(env, params, state, actions).rewards.sum()


slope = jax.grad(total_reward)(jnp.zeros((10, 2)))
print("return", total_reward(jnp.zeros((10, 2))), "| its gradient", slope.shape)

# %% [markdown]
# A policy in place of actions gives a whole episode in one call:


# %%
def damp(observation):
    """Motors against the velocities."""
    return -0.1 * observation[4:]


found = functional.simulate(env, params, state, damp, steps=50)
print(found.rewards.shape)

# %% [markdown]
# ## Go on
#
# * A whole PPO training in one compiled call: [ppo_in_one_jit.py](../examples/ppo_in_one_jit.py).
# * After JAX has run in a process, `AsyncVectorEnv` must not fork: pass `context="forkserver"`.
# * The reference: [functional](../api/functional.md) and [environments](../api/environments.md).
