# %% [markdown]
# # CleanRL-style loops
#
# **Question:** My learning code is a loop over a vector environment. What do I change?
#
# Only the line that makes the environments. Arrays are NumPy's, autoreset is Gymnasium's, and
# wrappers of Gymnasium go around as they do elsewhere.

# %%
import gymnasium
import numpy as np
from gymnasium.wrappers.vector import RecordEpisodeStatistics

import gym_lagrangian

envs = gymnasium.make_vec(
    "DoublePendulumDeLaN-v0",
    num_envs=64,
    dtype="float32",
    actuated="elbow",
    max_episode_steps=50,
    vectorization_mode="vector_entry_point",
)
envs = RecordEpisodeStatistics(envs)
print(envs.single_observation_space, envs.single_action_space, envs.metadata["autoreset_mode"])

# %% [markdown]
# The loop below searches for a linear policy by random steps: it is short, and it has the form of
# any rollout loop. PPO goes in its place.


# %%
def mean_return(weights, steps=51):
    """The mean return of the policy a = clip(W o) over one episode of every environment."""
    observations, _ = envs.reset(seed=0)
    total = np.zeros(envs.num_envs)
    for _ in range(steps):
        actions = np.clip(observations @ weights, -1, 1).astype(np.float32)
        observations, rewards, terminations, truncations, infos = envs.step(actions)
        total += rewards
    return total.mean()


rng, weights = np.random.default_rng(0), np.zeros((6, 1))
best = mean_return(weights)
print(f"no action: {best:.2f}")
for _ in range(15):
    tried = weights + rng.normal(0, 1.0, weights.shape)
    found = mean_return(tried)
    if found > best:
        weights, best = tried, found
print(f"the best policy of 15, in the learned model: {best:.2f}")

# %% [markdown]
# ## Judge it in truth
#
# A policy that was learned in a model is worth what it does in truth. The exact environment has the
# same spaces and the same reward.

# %%
envs.close()
envs = gymnasium.make_vec(
    "DoublePendulum-v0",
    num_envs=64,
    dtype="float32",
    actuated="elbow",
    max_episode_steps=50,
    vectorization_mode="vector_entry_point",
)
print(f"the same policy in truth: {mean_return(weights):.2f}")

# %% [markdown]
# ## Go on
#
# * `autoreset_mode` of `make_vec` chooses when a finished environment begins anew.
# * Arrays of JAX in place of NumPy's, without a copy: see
#   [`LagrangianVectorEnv`](../api/environments.md).
