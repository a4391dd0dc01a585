# %% [markdown]
# # Trust
#
# **Question:** How far can I trust a learned model, and how do I notice that it is wrong?
#
# No single number answers this. Look at three things: the energy, the disagreement of models, and
# the range of the data.
#
# ## Energy
#
# Without friction and without forces the true energy of the motion stays what it was. `info` has
# `energy_drift` wherever the true equations are known: the change of the true energy beyond the
# work of the motors. Here three models move freely for 20 s.

# %%
import gymnasium
import matplotlib.pyplot as plt
import numpy as np

import gym_lagrangian

MODELS = ("LNN", "DeLaN", "Baseline")
START = {"state": [1.5, 2.0, 0.0, 0.0]}
motion, drift = {}, {}
for model in MODELS:
    env = gymnasium.make(f"DoublePendulum{model}-v0").unwrapped
    _, info = env.reset(seed=0, options=START)
    idle, rows = np.zeros(2, np.float32), [info]
    for _ in range(400):
        rows.append(env.step(idle)[-1])
    drift[model] = np.array([abs(row["energy_drift"]) for row in rows]) / 29.4
    motion[model] = np.array([row["state"] for row in rows])
    print(f"{model:10} drift after 20 s: {drift[model][-1]:.1e} of 29.4 J")

# %%
time = 0.05 * np.arange(401)
plt.figure(figsize=(6, 2.8))
for model in MODELS:
    plt.semilogy(time[1:], drift[model][1:], label=model)
plt.xlabel("time (s)")
plt.ylabel("energy drift / 29.4 J")
plt.legend()
_ = plt.title("Energy drift of three models")
# %% [markdown]
# A Lagrangian model conserves an energy of its own by construction. Its drift in the true energy
# stays bounded. The drift of an acceleration field can grow without end.
#
# **A conserved energy is no proof of a right motion.** The double pendulum is chaotic: the models
# part from the truth within seconds, and each other, however well they conserve energy.
#
# ## Disagreement
#
# Where the truth is unknown, compare models that learned from the same data, by different seeds or
# of different kinds. Where they disagree, at least one is wrong. Where they agree, all may still be
# wrong in the same way.

# %%
gap = np.linalg.norm(motion["LNN"][:, :2] - motion["DeLaN"][:, :2], axis=1)
parted = time[np.argmax(gap > 0.1)]
print(f"LNN and DeLaN differ by more than 0.1 rad from {parted:.1f} s on")

# %% [markdown]
# ## Ensembles
#
# Several models of the same motion can be trusted where they agree. One program fits them all, from
# different first weights and to different resamples of the data, and one checkpoint holds them:
#
# ```python
# found = fit(data, "DeLaN", members=5, out="five.safetensors")  # or --members 5
#
# # or gymnasium.make(..., checkpoint="five.safetensors", uncertainty_limit=0.05)
# env = LearnedDynamicsEnv(env, found, uncertainty_limit=0.05)
# *_, truncated, info = env.step(action)
# info["uncertainty"]  # of this step: the members' standard deviation, in typical magnitudes
# info["uncertain"]  # it exceeds the limit, which ends the episode as truncated
#
# around = bands(found, state, forces, dt=0.05)  # around.low, around.mean, around.high
# each = found.model.predict(state, forces, dt=0.05, members=True)  # (5, T, 2n)
# ```
#
# * The environment is moved by the mean of the members' steps. `member=2` takes one member, and
#   `member="draw"` draws one for each episode.
# * `uncertainty_penalty=` subtracts that number times the uncertainty from the reward.
# * `env.simulate(..., members=True)` follows each member on its own.
# * `bands` contain nine of ten true states of motion like that which was held out from the fit. The
#   held-out motion calibrates them.
# * Planners take `through="own"`, each sample through one member, or `through="all"` with a
#   `pessimism`, the cost of a plan's spread of returns over the members.
#
# [ensemble_uncertainty.py](../examples/ensemble_uncertainty.py) measures what that is worth, and
# [learn while acting](learn_while_acting.md#ensembles) fits a small one.
#
# ## The range of the data
#
# Outside of the states that it learned from a network is a guess. The shipped models of the double
# pendulum saw velocities up to 22 rad/s. The disagreement of two models grows beyond:

# %%
from gym_lagrangian import checkpoint

lnn, delan = (checkpoint.load(f"DoublePendulum{m}").mechanics for m in ("LNN", "DeLaN"))
rng = np.random.default_rng(0)
for speed in (5, 20, 40, 80):
    q, qd = rng.uniform(-3, 3, (200, 2)), rng.uniform(-speed, speed, (200, 2))
    tau = np.zeros((200, 2))
    apart = np.abs(lnn.acceleration(q, qd, tau) - delan.acceleration(q, qd, tau)).sum(axis=1)
    print(f"up to {speed:2} rad/s they disagree by {np.median(apart):8.3f} rad/s² (median)")

# %% [markdown]
# ## What can go wrong
#
# * The data do not excite a joint: its mass and friction are then guesses.
# * Motors saturate, and the log holds commands in place of torques.
# * The machine has contacts, backlash or elastic joints: a Lagrangian of its coordinates does not
#   describe these.
# * A planner finds the places where the model is wrong in its favour. Judge a plan in truth, or in
#   a second model.
#
# ## Go on
#
# * `gym-lagrangian predict` judges a model on logs that it never saw:
#   [from the log of a machine](machine_log.md).
# * [Limits and failures](../limits.md) tells what the package cannot do.
