# %% [markdown]
# # Your own task and reward
#
# **Question:** The motion is right. How do I change what is rewarded, observed, or actuated?
#
# A task says how an action becomes a force, what is observed, what is rewarded, where an episode
# starts, and when it ends. Any task goes with any dynamics over its coordinates: the same task
# serves the exact system and every learned model of it.
#
# ## A reward alone
#
# A reward is a function of positions `q` (n,), velocities `qd` (n,), forces `tau` (n,) and
# parameters `m` (k,). Write it with `jax.numpy`, in a file that can be imported.

# %% [file] tasks.py
import jax.numpy as jnp
import numpy as np

from gym_lagrangian import Task


def slow(q, qd, tau, m):
    """Reward for moving slowly, in (0, 1]."""
    return jnp.exp(-jnp.sum(qd**2))


class HoldAngle(Task):
    """Bring the first link to an angle that is drawn at reset, and end when it spins."""

    requires = ("theta1", "theta2")
    goal = {"target": (-1.0, 1.0)}
    spin_max: float = 15.0  # rad/s

    def observation(self, state):
        """(cos, sin) of both angles, both velocities, and the target."""
        angles = jnp.concatenate([jnp.cos(state.q), jnp.sin(state.q)])
        return jnp.concatenate([angles, state.qd, state.goal])

    def observation_bounds(self, m_bounds, goal_bounds):
        """Ends of the observation space, low and high (7,)."""
        high = np.array([1.0, 1.0, 1.0, 1.0, 20.0, 20.0, 1.0], np.float32)
        return -high, high

    def reward(self, before, action, after):
        """Minus the squared distance from the target in rad², minus a price of the action."""
        return -((after.q[0] - after.goal[0]) ** 2) - 0.01 * jnp.sum(action**2)

    def terminated(self, after):
        """Whether a link spins faster than `spin_max`."""
        return jnp.any(jnp.abs(after.qd) > self.spin_max)


# %%
import gymnasium

env = gymnasium.make("gym_lagrangian:DoublePendulumLNN-v0", reward="tasks:slow")
env.reset(seed=0)
print("reward near rest:", env.step(env.action_space.sample())[1])

# %% [markdown]
# ## A whole task
#
# `HoldAngle` above is a subclass of `Task`. It overrides what differs from the defaults:
#
# * `goal` holds parameters of the task. They are drawn at every reset. They are arguments of
#   `gymnasium.make` too.
# * An annotated field, `spin_max: float = 15.0`, is an argument of `gymnasium.make`.
# * `observation` gets a state with `q`, `qd`, `m`, `goal`, `t` and `tau`.
# * The long form of a reward gets the state before, the action, and the state after.

# %%
env = gymnasium.make("DoublePendulum-v0", task="tasks:HoldAngle", spin_max=10.0)
observation, info = env.reset(seed=0)
print("target", info["goal"], "observation", observation.round(2))

# %% [markdown]
# The goal may be fixed, at `make` or for one episode:

# %%
env = gymnasium.make("DoublePendulum-v0", task="tasks:HoldAngle", target=0.5)
print(env.reset(seed=0)[1]["goal"])

# %% [markdown]
# ## Where an episode starts
#
# `reset` takes an exact state (q, q̇), or the ends of a uniform draw.

# %%
_, info = env.reset(options={"state": [3.1, 3.1, 0.0, 0.0]})
print(info["state"])
_, info = env.reset(seed=1, options={"low": [-0.5, -0.5, 0, 0], "high": [0.5, 0.5, 0, 0]})
print(info["state"].round(3))

# %% [markdown]
# ## Go on
#
# * Forces that depend on the state, such as a spring: override `generalized_force`.
# * A task of the package for chains: `gym_lagrangian.systems.chain_tasks` has `SwingUp`, `Balance`
#   and `Reach`.
# * The reference: [`Task`](../api/systems.md).
