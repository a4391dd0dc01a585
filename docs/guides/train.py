# %% [markdown]
# # Train and fine-tune
#
# **Question:** How do I train a model, measure it, continue, and adapt it to another machine?
#
# There are two ways to learn. `train` learns from a system whose equations are known: it draws
# fresh states and computes their exact accelerations. `fit` learns from recorded transitions alone,
# as a robot could record them.
#
# ## Train
#
# The command draws fresh states with and without torques, shows loss and states per second, and
# writes one file. It saves as it goes. Ctrl-C saves too, and `--resume` continues to the same
# result.
#
# ```console
# $ gym-lagrangian train DoublePendulum LNN
# ```
#
# This very command made the shipped checkpoints. `gym-lagrangian list` shows their hashes and
# metrics. `--data FILE.npz` learns from your arrays q, qd, qdd (and tau, m) instead. Step your own
# with `gymnasium.make("DoublePendulumLNN-v0", checkpoint="DoublePendulumLNN.safetensors")`.
#
# In Python, with few steps for this page:

# %%
import numpy as np

from gym_lagrangian import TrainingConfig, checkpoint, train

losses = []
trained = train(
    "DoublePendulum",
    "DeLaN",
    out="mine.safetensors",
    config=TrainingConfig.of("DeLaN", steps=1_000, chunk=100),
    metrics=False,
    on_progress=lambda progress: losses.append((progress.step, progress.loss)),
)

# %%
import matplotlib.pyplot as plt

plt.figure(figsize=(6, 2.5))
plt.semilogy(*zip(*losses, strict=True), marker="o")
plt.xlabel("optimiser step")
plt.ylabel("loss in rad/s²")
_ = plt.title("Loss of a short training")
# %% [markdown]
# A checkpoint holds weights, settings, seed, a description of its data, metrics, and a SHA-256 by
# which a damaged file is noticed. Nothing is unpickled when it is read.

# %%
card = trained.card
print(card.model, "of", card.system, "|", card.data)
print("settings:", card.model_config)

# %% [markdown]
# ## Measure
#
# `gym-lagrangian evaluate DoublePendulum-v0 --checkpoint mine.safetensors` measures accelerations,
# single steps and energies, in about a minute. One number is quick by hand, here the acceleration
# of one state in rad/s²:

# %%
state = [1.0, 2.0], [0.5, -0.5], [0.0, 0.0]
shipped = checkpoint.load("DoublePendulumDeLaN")
print("after 1,000 steps: ", trained.mechanics.acceleration(*state).round(3))
print("shipped checkpoint:", shipped.mechanics.acceleration(*state).round(3))
print("truth:             ", trained.card.build_system().mechanics.acceleration(*state).round(3))

# %% [markdown]
# ## Fit
#
# `fit` needs states, forces and next states. It predicts several steps ahead and corrects what it
# missed. It keeps the weights that predict best what was held out.

# %%
from gym_lagrangian import FitConfig, collect, fit

heavier = collect("gym_lagrangian:DoublePendulum-v0", 200, m1=1.4, m2=0.7, episode_steps=50, seed=0)
print(heavier)

# %% [markdown]
# ## Many files, many devices
#
# `fit` takes several files as well: a list, a folder, or a pattern.
#
# ```console
# $ gym-lagrangian fit runs/*.npz --model LNN --out many.safetensors
# ```
#
# Up to a million transitions are in memory together, and the fit is that to one file of all of
# them. Of more, a million are in memory at a time, and every chunk of steps learns from the next
# files, in a random order. Cut recordings into files of at most a tenth of what is in memory:
# batches then mix ten of them. Magnitudes, suspicions and what is held out come from a sample
# with a stretch of every file. From Python the bound is `Shards("runs", rows_in_memory=...)`, in
# place of the files.
#
# `devices` divides every batch among several of JAX's devices, of `train` and of `fit`. The result
# is that of one device, up to the rounding of sums:
#
# ```console
# $ gym-lagrangian train DoublePendulum LNN --batch 4096 --devices 8 --out eight.safetensors
# ```

# %% [markdown]
# ## Fine-tune
#
# `init` continues from a trained model, a shipped one or your own. 200 transitions of a pendulum of
# other masses are too few to learn from nothing, and enough to adapt a model that was trained on
# another pendulum.
#
# In full: 200 transitions of a double pendulum of 1.4 and 0.7 kg and 500 steps, on from
# `DoublePendulumLNN`, leave an acceleration error of 1.6 rad/s² under torques (one seed), where
# 8,000 steps from nothing leave 11, which is what the model as shipped has.

# %%
config = FitConfig.of("DeLaN", steps=150)
adapted = fit(
    heavier,
    init="DoublePendulumDeLaN",
    out="adapted.safetensors",
    config=config,
    metrics=False,
)
other = adapted.card.build_system().mechanics
truth = other.acceleration(*state, m1=1.4, m2=0.7)
for name, one in {"shipped": shipped, "adapted": adapted}.items():
    error = np.abs(one.mechanics.acceleration(*state) - truth).sum()
    print(f"{name}: error of {error:.3f} rad/s²")

# %% [markdown]
# ## A model that depends on a mass
#
# A model may take masses and lengths as inputs. They are drawn for every training state, from the
# ranges that you state, or by name alone from the system's own (`System.varies`). The checkpoint
# records the ranges, and an environment refuses values outside of them.
#
# ```console
# $ gym-lagrangian train DoublePendulum LNN --conditioned-on m1=0.5:1.5 l1 --out both.safetensors
# $ gym-lagrangian rollout DoublePendulum-v0 --checkpoint both.safetensors --system-option m1=1.4
# ```
#
# From Python that is `train(..., conditioned_on={"m1": (0.5, 1.5), "l1": None})`. `fit` takes the
# ranges that are in the data.
#
# `make("DoublePendulumLNN-v0", m1=1.4)` works in the same way: a checkpoint that is conditioned on
# masses and lengths, `DoublePendulumLNN-conditioned`, takes over and is named in `info`.
# `PilcoCartPoleLNN` and `TriplePendulumLNN` have such twins too. [Systems and
# models](../results/systems.md#one-model-for-many-machines) has their errors.
#
# ## Go on
#
# * Settings of the optimiser: [`TrainingConfig` and `FitConfig`](../api/learning.md).
# * Friction: `friction="viscous"`, `"coulomb"` or `"passive"` of `train` and `fit`.
