"""The vector environment for Stable-Baselines3; see `gym_lagrangian.envs.sb3`."""

from gym_lagrangian.envs.sb3 import *  # noqa: F403
