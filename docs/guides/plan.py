# %% [markdown]
# # Plan
#
# **Question:** I have a model. How do I choose actions with it?
#
# A planner looks for a good sequence of actions in the model, and takes its first action. At the
# next step it plans anew. The package has three planners, each compiled once. MPPI tries many
# sequences and averages the best, CEM refits its noise to them. ILQR improves a few sequences by
# derivatives of the model, until they get to the state that the task names as its goal.
#
# ## Plan in a model, act in truth
#
# The task is to swing up a rotary pendulum, `Furuta-v0`, whose motor is too weak to lift it.
# The plan is made in a learned model, `FurutaDeLaN-v0`. The actions go to the exact system.

# %%
import gymnasium
import numpy as np

import gym_lagrangian
from gym_lagrangian.planning import MPPI, Policy

env = gymnasium.make("Furuta-v0")
policy = Policy("FurutaDeLaN-v0", MPPI(samples=256, horizon=20), dt=0.1, seed=0)

observation, info = env.reset(seed=0)
heights, total = [], 0.0
for _ in range(100):
    observation, reward, terminated, truncated, info = env.step(policy.act(info))
    heights.append(-np.cos(info["state"][1]))
    total += reward
print(f"return {total:.1f} of at most 100; height at the end {heights[-1]:.2f} of 1")

# %%
import matplotlib.pyplot as plt

plt.figure(figsize=(6, 2.5))
plt.plot(env.unwrapped.dt * np.arange(1, len(heights) + 1), heights)
plt.xlabel("time (s)")
plt.ylabel("height of the pendulum")
_ = plt.title("Planned in DeLaN, executed in truth")
# %% [markdown]
# ## What the settings mean
#
# * `dt` is the time for which a planned action holds. It may be longer than the environment's step:
#   the planner then looks further ahead at the same price.
# * `horizon` counts planned actions. The planner looks `horizon` · `dt` seconds ahead, 2 s here. A
#   horizon shorter than the task needs is the usual cause of failure.
# * `samples` is the number of sequences that are tried at once.
# * `sigma` is the size of the noise, as a share of a full action.
# * `iterations` of a planner improves a plan several times a decision; `budget` of `Policy` does so
#   as often as fits into that many seconds.
# * `reward` plans for another reward than the task's.
# * `value` is the value of the state at the end of a plan: a function of (q, q̇, m, goal), an
#   equinox module, or `"lqr"`, the value of a linear quadratic regulator at the task's goal.
# * `takeover=True` lets that regulator act where it is predicted to reach the goal.
#
# ## To a goal by derivatives
#
# Where sampling is hopeless, as for a cart with two links on it, `ILQR` gets there: planned in
# truth, `PilcoCartDoublePendulum-v0` is upright after 1.3 to 2.7 s in 6 of 6 episodes, and in 1 of
# 6 by MPPI. The rewards of the task play no part then. Near the goal a regulator holds it,
# `takeover=True`:
#
# ```python
# policy = Policy("PilcoCartDoublePendulum-v0", ILQR(horizon=60), substeps=2, takeover=True)
# ```
#
# `policy_for("PilcoCartPole-v0")` returns a policy with settings that were tried on this machine.
# In truth it swings up from rest within PILCO's 4 s in 5 of 5 seeds. Machines without tried
# settings get defaults.
#
# ## Many at once
#
# A batch of states, as `info["state"]` of a vector environment has it, is planned for in one call.

# %%
envs = gymnasium.make_vec("Furuta-v0", num_envs=3, vectorization_mode="vector_entry_point")
_, infos = envs.reset(seed=0)
policy.reset(seed=0)
print(policy.act(infos["state"]).round(2).tolist())

# %% [markdown]
# ## Go on
#
# * How planning in learned models compares with planning in truth:
#   [results](../results/reinforcement-learning.md).
# * A whole swing-up with a picture: [plan_swing_up.py](../examples/plan_swing_up.py).
# * The reference: [planning](../api/planning.md).
