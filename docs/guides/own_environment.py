# requires: mujoco
# %% [markdown]
# # Your own Gymnasium or MuJoCo environment
#
# **Question:** I have an environment already. How do I put a learned model under it?
#
# Two calls record the environment and learn its mechanics. A wrapper then moves the environment by
# the model. Its observation, its reward, its termination, its picture and its wrappers stay.
#
# ## Record, fit, wrap

# %%
import gymnasium

import gym_lagrangian

data = gym_lagrangian.collect("Acrobot-v1", 600, seed=0)
print(data)

# %% [markdown]
# This page fits for 250 steps. Leave `config` out for a full fit, a minute or two on one core.

# %%
config = gym_lagrangian.FitConfig.of("DeLaN", steps=250)
gym_lagrangian.fit(data, "DeLaN", out="acrobot.safetensors", config=config)

env = gym_lagrangian.LearnedDynamicsEnv(gymnasium.make("Acrobot-v1"), "acrobot.safetensors")
observation, info = env.reset(seed=0)
observation, reward, terminated, truncated, info = env.step(2)
print(observation.round(3), reward)

# %% [markdown]
# `fit` returns a checkpoint, whose `card.metrics` has the `held_out_error` beside the
# `constant_velocity_error`. A model that is no better than constant velocities has learned nothing.
#
# `LearnedDynamicsEnv` takes the environment over. `env.unwrap()` gives it back with its own motion.
#
# ## MuJoCo
#
# The same calls serve Gymnasium's MuJoCo environments of hinges, slides and motors (extra
# `mujoco`). Joints are damped there, so the model learns friction.

# %%
data = gym_lagrangian.collect("InvertedPendulum-v5", 300, seed=0)
print(data)

# %% [markdown]
# A Lagrangian has no contacts. Steps in which a contact, the end of a joint's range or a clipped
# velocity acts are counted and left out of the data. Where a model leads to such a state,
# `info["disturbed"]` is True.
#
# Where a cart stands on a level rail makes no difference. `data.coordinates.cyclic` names such
# coordinates, which the adapter finds in MuJoCo's model and which models do not see. Without that a
# model learns a small force that depends on the place, and in long motion the cart runs away.
# From 2,000 random steps of `InvertedDoublePendulum-v5` (DeLaN, seeds 0 and 4) the return of a
# feedback that holds the poles in truth is wrong by 50 and 92 % of what it earns, and with it
# by less than .001 %. For coordinates of your own it is `Coordinates(..., cyclic=("x",))`.
#
# ## Which environments there are
#
# There are adapters for Gymnasium's MuJoCo environments of hinges, slides and motors and for
# `Pendulum-v1`, `CartPole-v1`, `Acrobot-v1` and `MountainCarContinuous-v0`.
#
# `Pendulum-v1` and `CartPole-v1` step by Euler's method, whose position and velocity belong to
# different instants. No equation of motion makes such a step, so physical models do not win there.
# From 2,000 random
# steps of `Pendulum-v1` and 2,000 steps of training (one seed) the held-out error is 0.014 /s for
# an MLP, 0.59 for the Baseline and 0.73 for DeLaN; on `Acrobot-v1`, which integrates properly,
# DeLaN has 0.013 (constant velocity: 5.7 for both).
#
# ## A compiled twin
#
# Where reward and termination are pure functions, the learned environment is also a jitted vector
# environment, a functional one and what planners need. `gym_lagrangian.adapters.tasks` has them for
# `Pendulum-v1`, `CartPole-v1`, `Acrobot-v1`, `InvertedPendulum-v5`, `InvertedDoublePendulum-v5` and
# `Reacher-v5`.

# %%
envs = gymnasium.make_vec(
    "gym_lagrangian:Lagrangian-v0",
    num_envs=64,
    checkpoint="acrobot.safetensors",
    dt=0.2,  # seconds in a step of Acrobot-v1; `dt` of the data that were collected
    dtype="float32",
    task="gym_lagrangian.adapters.tasks:Acrobot",
    vectorization_mode="vector_entry_point",
)
print(envs.reset(seed=0)[0].shape)

# %% [markdown]
# ## An environment without an adapter
#
# An adapter of your own states the coordinates, the step in seconds, the state, the force of an
# action, and one step of the environment except for its motion. The environment here lifts a
# weight.

# %% [file] hoist.py
import gymnasium
import numpy as np

import gym_lagrangian


class Hoist(gymnasium.Env):
    """Lift 2 kg to height 0; the action is a share of 40 N."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float64)
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)
    dt, pull = 0.05, 40.0

    def reset(self, *, seed=None, options=None):
        """Start at rest near 0."""
        super().reset(seed=seed)
        self.height, self.speed = self.np_random.uniform(-0.5, 0.5), 0.0
        return self.seen(), {}

    def step(self, action):
        """Move by dt under the pull and the weight."""
        acceleration = self.pull * float(action[0]) / 2.0 - 9.81
        self.height += self.dt * self.speed + 0.5 * self.dt**2 * acceleration
        self.speed += self.dt * acceleration
        return self.judged()

    def seen(self):
        """The observation."""
        return np.array([self.height, self.speed])

    def judged(self):
        """What a step hands out."""
        return self.seen(), -abs(self.height), bool(abs(self.height) > 4.0), False, {}


class HoistAdapter(gym_lagrangian.Adapter):
    """How it is read, set and stepped."""

    def coordinates(self, env):
        """One length."""
        return gym_lagrangian.Coordinates(("height",), name="Hoist")

    def dt(self, env):
        """Seconds in a step."""
        return env.dt

    def state(self, env):
        """(q, q̇)."""
        return [env.height], [env.speed]

    def set_state(self, env, q, qd):
        """Put the environment into a state."""
        env.height, env.speed = q[0], qd[0]

    def generalized_force(self, env, action):
        """N of an action."""
        return [env.pull * action[0]]

    def step(self, env, action, q, qd):
        """A step whose motion is given."""
        self.set_state(env, q, qd)
        return env.judged()


# %%
from hoist import Hoist

gym_lagrangian.register_adapter("hoist:Hoist", "hoist:HoistAdapter")
data = gym_lagrangian.collect(Hoist(), 300, episode_steps=15)
config = gym_lagrangian.FitConfig.of("DeLaN", steps=250)
learned = gym_lagrangian.fit(data, "DeLaN", out="hoist.safetensors", config=config)
print("mass:", learned.mechanics.mass_matrix([0.0]).round(2), "kg, the true one is 2 kg")

# %% [markdown]
# ## Go on
#
# * An environment that hides its state:
#   `collect(env, 2_000, coordinates=Coordinates(...), state=f, force=g)` says what its observations
#   and actions mean.
# * Minari data sets: `read_minari("name/data-v0")` reads them and `collect(..., minari=...)` writes
#   them; see [Minari](minari.md).
# * Thousands of learned twins: see [thousands at once](thousands.md).
# * The reference: [adapters](../api/adapters.md).
