# %% [markdown]
# # From the log of a machine to a simulator
#
# **Question:** I have log files of a machine and no equations. How do I get a simulator?
#
# Three commands do it: `inspect` says what the logs hold, `fit` learns a model, and `predict` says
# how far into the future the model can be trusted.
#
# ## Logs
#
# In place of a machine this page simulates one: a double pendulum with friction, whose log has time
# stamps in milliseconds, angles in degrees and torques in N·m. Use your own files instead.

# %%
from pathlib import Path

import gymnasium
import numpy as np

import gym_lagrangian

rng = np.random.default_rng(0)
machine = {"viscous1": 0.05, "viscous2": 0.05, "m1": 1.0, "m2": 0.6, "l1": 0.4, "l2": 0.3}
env = gymnasium.make(
    "gym_lagrangian:Chain-v0", dt=0.01, force_max=(4.0, 1.5), max_episode_steps=1000, **machine
)
Path("logs").mkdir()
for run in range(4):
    _, info = env.reset(seed=run)
    rows, phase = [], rng.uniform(0, 6.28, (2, 3))
    for step in range(1000):
        waves = np.sin(np.outer([1.9, 3.1, 5.3], [step * 0.01] * 2).T + phase).mean(axis=1)
        action = waves.astype(np.float32)
        degrees = np.degrees(info["state"][:2]) + rng.normal(0, 0.05, 2)
        rows.append([10 * step, *degrees, *(action * [4.0, 1.5])])
        *_, info = env.step(action)
    header = "stamp,q1,q2,tau1,tau2"
    np.savetxt(f"logs/run{run}.csv", rows, "%.4f", delimiter=",", header=header, comments="")
print(Path("logs/run0.csv").read_text()[:120])

# %% [markdown]
# ## Describe the machine
#
# A TOML file names the coordinates, the columns and the motors, each with its unit.

# %%
_ = Path("arm.toml").write_text("""
name = "Arm"
dt = 0.02                 # seconds in one step of the simulator

[time]
column = "stamp"
unit = "ms"

[[coordinates]]
name = "shoulder"
kind = "angle"            # or "length"
unit = "deg"
position = "q1"           # the name of a column
force = "tau1"
force_max = 4.0           # N·m at full action

[[coordinates]]
name = "elbow"
kind = "angle"
unit = "deg"
position = "q2"
force = "tau2"
force_max = 1.5
""")

# %% [markdown]
# ## Inspect
#
# `inspect` prints what the logs hold (rates, jitter, gaps, resolution, noise, energy in and out)
# and whatever looks wrong: degrees, milliseconds, signs, a torque of the other joint, saturation.
# What would make a fit meaningless is an error of `fit`, unless `--insist` is given.

# %% [bash]
# gym-lagrangian inspect arm.toml logs/*.csv

# %% [markdown]
# ## Fit
#
# Positions are enough: velocities are estimated from them. A model of logs learns friction. A fit
# of logs follows the model over short windows first and over long ones later. An error counts for
# at most a typical magnitude, so that a few bad rows do little harm. The fit ends with a prediction
# of the motion that was held out.
#
# One log is kept back to judge by. This page fits for 250 steps. Leave `config` out for a
# full fit, which takes a few minutes. The command for a full fit is
# `gym-lagrangian fit arm.toml logs/run[012].csv --model DeLaN --out arm.safetensors`.

# %%
from gym_lagrangian import FitConfig, Machine, fit, read_logs

logs = read_logs(Machine.load("arm.toml"), [f"logs/run{i}.csv" for i in range(3)])
data = logs.transitions()
config = FitConfig.of("DeLaN", steps=250, horizon=8, starts=1)
model = fit(data, "DeLaN", out="arm.safetensors", config=config, metrics=False)
print(model.card.data)

# %% [markdown]
# ## Judge
#
# `predict` starts the model from many instants of a log that was not learned from, and follows it
# under the recorded forces. It tabulates the errors beside those of two simple rivals: constant
# velocities, and a linear model.

# %% [bash]
# gym-lagrangian predict arm.safetensors logs/run3.csv --out worth

# %% [markdown]
# Read the table from left to right: the error grows with time. A model that is no better than the
# rivals is no simulator yet. Fit for longer, or record more motion.
#
# ## Use it
#
# The checkpoint is an environment. It has the machine's step and motors. A reward is yours to give.

# %% [file] rewards.py
import jax.numpy as jnp


def reach(q, qd, tau, m):
    """Stretch the arm out to the side."""
    return -jnp.sum((q - jnp.array([1.57, 0.0])) ** 2)


# %%
env = gymnasium.make("Lagrangian-v0", checkpoint="arm.safetensors", reward="rewards:reach")
observation, info = env.reset(seed=0)
observation, reward, *_ = env.step(env.action_space.sample())
print("step", env.unwrapped.dt, "s; reward", round(float(reward), 3))

# %% [markdown]
# A planner takes what `make` takes, and chooses actions from the state of the machine. See
# [plan](plan.md) for its settings.

# %%
from gym_lagrangian.planning import MPPI, Policy

simulator = {"checkpoint": "arm.safetensors", "reward": "rewards:reach"}
policy = Policy("Lagrangian-v0", MPPI(samples=64, horizon=10), dt=0.1, seed=0, **simulator)
print("shares of the full torques:", policy.act(info["state"]).round(2))

# %% [markdown]
# ## Without logs
#
# A machine without equations is named by its coordinates. Arrays of its transitions take the place
# of logs. A model that is fitted to them moves a generic environment, scalar or vector, and plans
# in it; nothing there pretends to know the truth.

# %%
arm = gym_lagrangian.Coordinates(("shoulder", "elbow"), angular=True)
columns = {name: getattr(data, name) for name in ("q", "qd", "tau", "next_q", "next_qd")}
print(gym_lagrangian.Transitions(arm, **columns, dt=0.02))

# %% [markdown]
# ## Where torques are measured
#
# Where accelerations are good and torques measured, as on robot arms, the torques themselves can be
# learned: `fit(..., objective="force")`, or `--objective force`, minimises the error of τ from
# (q, q̇, q̈), which is linear in the Lagrangian. `checkpoint.load(...).mechanics` then states them
# by `inverse_dynamics(q, qd, qdd)`, friction included. `logs.transitions(accelerations=True)`
# estimates q̈ with the polynomials that estimate q̇.
#
# ## Go on
#
# * Every setting of the TOML file: [the file of a machine](../api/logs.md#the-file-of-a-machine).
# * [Which model when](which-model.md): `Calibrated` needs less data, where the equations are known.
# * [Real machines](../real-machines.md): what came of recordings of other people's machines.
# * The reference: [machines and logs](../api/logs.md).
