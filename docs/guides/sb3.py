# requires: stable_baselines3
# %% [markdown]
# # With Stable-Baselines3
#
# **Question:** How do I train an agent of Stable-Baselines3 inside a learned model, and judge it in
# truth?
#
# Install the extra `sb3`. Install a CPU build of torch first, unless you want CUDA.
#
# `SB3VecEnv` is a `VecEnv` over the compiled vector environment. Seeding, resetting and stepping
# equal those of a `DummyVecEnv` of the scalar environment.

# %%
from stable_baselines3 import PPO
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import VecMonitor

from gym_lagrangian.sb3 import SB3VecEnv

arguments = {"num_envs": 16, "dtype": "float32", "max_episode_steps": 100}
inside = VecMonitor(SB3VecEnv("DoublePendulumDeLaN-v0", **arguments))
agent = PPO("MlpPolicy", inside, n_steps=64, batch_size=256, seed=0, device="cpu")
agent.learn(2_048)

# %% [markdown]
# That was 2,048 steps, for this page. A swing-up takes a few million.
#
# ## Judge it in truth

# %%
truth = VecMonitor(SB3VecEnv("DoublePendulum-v0", **arguments))
for name, environment in {"learned model": inside, "truth": truth}.items():
    mean, spread = evaluate_policy(agent, environment, n_eval_episodes=16)
    print(f"{name}: {mean:.1f} ± {spread:.1f}")

# %% [markdown]
# ## Go on
#
# * How policies that were trained in models do in truth:
#   [results](../results/reinforcement-learning.md).
# * An environment that you wrapped yourself: `SB3VecEnv` takes what `gymnasium.make_vec` takes.
