# %% [markdown]
# # Your own system
#
# **Question:** I know the Lagrangian of my machine. How do I get an environment and a model?
#
# A system is three things: its coordinates, its parameters, and its Lagrangian L = T − V. The
# package derives the equation of motion, the mass matrix and the energy from these.
#
# The example is a cart-pole. The coordinate `x` is the position of the cart in metres. The
# coordinate `theta` is the angle of the pole in radians, zero where the pole stands upright:
#
#     T = ½ (M + m) ẋ² + m l ẋ θ̇ cos θ + ½ m l² θ̇²
#     V = m g l cos θ
#
# ## Write the system
#
# Put this in a file of your own. The file has to be importable: in the working directory, or in a
# package that you installed.

# %% [file] cartpole.py
import jax.numpy as jnp

from gym_lagrangian import System, Task


class Balance(Task):
    """Keep the pole upright."""

    actuated = ("x",)
    force_max: float = 10.0  # N at full action; annotated, so an argument of gymnasium.make

    def reward(self, q, qd, tau, m):
        """1 where the pole stands upright, −1 where it hangs."""
        return jnp.cos(q[1])


class CartPole(System):
    """A point mass on a massless pole, on a cart."""

    coordinates = ("x", "theta")
    angular = (False, True)
    parameters = {"M": 1.0, "m": 0.1, "l": 0.5, "g": 9.81}
    task = Balance

    def lagrangian(self, q, qd, m):
        """T − V in joules."""
        p = self.named(m)
        tip = p.l * qd[1]
        kinetic = 0.5 * (p.M + p.m) * qd[0] ** 2 + 0.5 * p.m * tip**2
        kinetic += p.m * qd[0] * tip * jnp.cos(q[1])
        return kinetic - p.m * p.g * p.l * jnp.cos(q[1])


# %% [markdown]
# Write mathematics with `jax.numpy`, for one state. The package differentiates the function,
# compiles it, and runs it on many states at once.
#
# ## Step it
#
# The name `"cartpole:CartPole"`, module and class, is accepted wherever the name of a system is.

# %%
import gymnasium

import gym_lagrangian

env = gymnasium.make("gym_lagrangian:Lagrangian-v0", system="cartpole:CartPole", force_max=5.0)
observation, info = env.reset(seed=0)
for _ in range(100):
    observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
print("observation", observation.round(2))
print(f"after {info['time']:.1f} s the energy has drifted by {info['energy_drift']:.1e}")

# %% [markdown]
# `energy_drift` compares the energy with the work that the motor did. It shows the error of the
# integrator, and a wrong Lagrangian does not show in it: check the equations too. `mechanics` has
# what a physicist compares by hand.

# %%
from cartpole import CartPole

truth = CartPole().mechanics
print("mass matrix, upright:\n", truth.mass_matrix([0.0, 0.0]))
print(
    "acceleration of the pole at 0.1 rad:", truth.acceleration([0.0, 0.1], [0.0, 0.0], [0.0, 0.0])
)

# %% [markdown]
# For a small angle θ the pole falls with θ̈ = g (M + m) / (M l) · θ = 21.6 θ, which is what stands
# there.
#
# ## Give it an id

# %%
gym_lagrangian.register_system("cartpole:CartPole")

# %% [markdown]
# ## Learn it
#
# `train` draws random states of the system, computes exact accelerations, and teaches them to a
# network. This page trains for 500 steps. Leave `config` out for the full 600,000 steps, which
# take some ten minutes on one core.

# %%
from gym_lagrangian import TrainingConfig, train

learned = train(
    "cartpole:CartPole",
    "DeLaN",
    out="CartPoleDeLaN.safetensors",
    config=TrainingConfig.of("DeLaN", steps=500),
    metrics=False,
)
print("learned:", learned.mechanics.acceleration([0.0, 0.1], [0.0, 0.0], [0.0, 0.0]))

# %% [markdown]
# The same on the command line:
#
# ```console
# $ gym-lagrangian train cartpole:CartPole DeLaN
# $ gym-lagrangian rollout cartpole:CartPole --checkpoint CartPoleDeLaN.safetensors
# $ gym-lagrangian play cartpole:CartPole --checkpoint CartPoleDeLaN.safetensors
# ```
#
# The learned model moves the environment in place of the equations:

# %%
env = gymnasium.make("cartpole/CartPole-v0", checkpoint="CartPoleDeLaN.safetensors")
env.reset(seed=0)
for _ in range(50):
    observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
print(f"true energy drift of the learned motion after 2.5 s: {info['energy_drift']:.1e} J")

# %% [markdown]
# ## Go on
#
# * Friction: add a method `friction(q, qd, m)` that returns a force of n components. The models of
#   the system learn friction where it says `learned_friction = "viscous"`.
# * A parameter that varies: give a pair, `gymnasium.make(..., l=(0.4, 0.6))`. It is drawn at reset.
# * A picture: override `scene`. Without it, the environment draws curves of the coordinates.
# * The reference: [`System`](../api/systems.md).
