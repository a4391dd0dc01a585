# %% [markdown]
# # Learn while acting
#
# **Question:** I have a machine that I can act on, and no data yet. How do I learn a model of it
# and do the task in as few real seconds as possible?
#
# The agent begins at rest and acts at random for an episode. It fits a model to what it observed,
# plans in the model, acts, and fits again. It goes on until a budget of real seconds is used.
#
# The agent sees observations, rewards and flags. It reads neither `info` nor the state. It is given
# the task: what an action does, what is rewarded, and where an episode ends.
#
# ## One call
#
# The machine is PILCO's pendulum, whose motor of 2.5 N·m is too weak to lift it at once. The task
# `TipUp` rewards the place of the tip. The budget is 6 s: one random episode of 4 s, and two
# seconds in which the agent plans.
#
# This page makes few optimiser steps. Leave `steps` and `planner` out for the defaults: 12,000
# steps for the first fit, 6,000 for every later one.

# %%
import warnings

import gymnasium

import gym_lagrangian
from gym_lagrangian.planning import MPPI

warnings.simplefilter("ignore")
settings = {
    "task": "gym_lagrangian.systems.chain_tasks:TipUp",
    "force_max": 2.5,
    "steps": (200, 100),
    "members": 2,
    "planner": MPPI(samples=64, horizon=10),
    "out": "run",
    "seed": 0,
}
found = gym_lagrangian.learn("PilcoPendulum-v0", "DeLaN", budget=6.0, **settings)
for line in found.history:
    seen = f"until {line['seconds']:g} s, return {line['return']:.2f}, success: {line['success']}"
    print(f"{line['kind']}: {seen}")

# %% [markdown]
# `found.until_first` has the real seconds before the first success, and `found.until_always` those
# before the first of six successes in a row. In a success the tip is within 10 % of its length of
# the goal during the whole last second. `successes=6` ends a run there.
#
# The same on the command line. A bar counts the real seconds, and every episode prints a line:
#
# ```console
# $ gym-lagrangian learn PilcoPendulum-v0 DeLaN --budget 30 --out run
# ```
#
# ## What is saved
#
# The folder holds everything, and is written after every episode.

# %% [bash]
# find run -type f | sort

# %% [markdown]
# | File | What it holds |
# |---|---|
# | `run.json` | the settings; a run of other settings is refused |
# | `episodes/` | what was observed, done and rewarded, one file an episode |
# | `models/` | the model after each episode |
# | `transitions.npz` | everything so far, as `fit` takes it |
# | `model.safetensors` | the last model, as environments of the machine take it |
# | `history.jsonl` | a line an episode, written once all the rest of it is |
#
# ## Go on acting
#
# `found.actor(seed)` makes what acts in an episode as the agent would in its next one, whatever the
# strategy. It is a function of the state, the observation and the seconds since the start.

# %%
env = gymnasium.make("PilcoPendulum-v0", task=settings["task"], force_max=settings["force_max"])
observation, info = env.reset(seed=1)
act = found.actor(0)
total = 0.0
for step in range(10):
    action = act(info["state"], observation, step * env.unwrapped.dt)
    observation, reward, *_, info = env.step(action)
    total += reward
print(f"ten steps on: return {total:.2f}")

# %% [markdown]
# ## After a kill
#
# A kill at any moment loses at most the episode under way. The same call goes on from the folder.
# With a larger budget it goes on from the end. Here it gets two seconds more:

# %%
found = gym_lagrangian.learn("PilcoPendulum-v0", "DeLaN", budget=8.0, **settings)
print(len(found.history), "episodes,", found.seconds, "real seconds")
print("error of the model on what came next:")
print([round(line["model_error"], 3) for line in found.history[1:]], "(1 is standing still)")

# %% [markdown]
# ## Ensembles
#
# With `members=2` each fit learned two models, from other first weights and other resamples of the
# data. Five members cost more, and their spread is a better measure of what the data do not
# determine. That spread is `uncertainty`, in typical magnitudes of the machine. It is small where
# the agent has been, and grows where it has not.

# %%
env = gymnasium.make("PilcoPendulum-v0", checkpoint="run/model.safetensors")
for name, speed in {"slow": 0.5, "fast": 15.0}.items():
    env.reset(options={"state": [0.1, speed]})
    info = env.step(env.action_space.sample() * 0)[-1]
    print(f"{name}: uncertainty {info['uncertainty']:.2g}")

# %% [markdown]
# [Trust](trust.md#ensembles) says what else an ensemble is good for.
#
# ## Which settings matter
#
# * `model`: [which model when](which-model.md). `DeLaN` suits rigid bodies and few seconds of data.
# * `random`: seconds of random actions at first. Random actions have to move every joint.
# * `strategy="policy"` trains a policy by PPO in the model, on short roll-outs from experienced
#   states, in place of planning at every step. The policy is fast to evaluate, and takes longer to
#   train.
# * `friction`: what the model learns of it; by default the kind that the machine has.
#
# Other people's environments work too, where they have an adapter and a task of pure functions:
# `Pendulum-v1`, `InvertedDoublePendulum-v5` and others. See
# [your own environment](own_environment.md).
#
# ## Results
#
# [swing_up_in_seconds.py](../examples/swing_up_in_seconds.py) counts the real seconds until PILCO's
# four tasks succeed, for several models and seeds. Its first line in full:
#
# ```console
# $ python examples/swing_up_in_seconds.py --tasks pendulum --models DeLaN MLP --out swing_ups
# ```
#
# All its results, and those of [other tasks](../examples/ten_thousand_steps.py), are under
# [Model-based RL](../results/reinforcement-learning.md#learning-while-acting).
#
# ## Go on
#
# * How a planner works and what its settings mean: [plan](plan.md).
# * Model-based learning with the shipped models:
#   [results](../results/reinforcement-learning.md).
