"""Episodes one after another, as a pure function; see `gym_lagrangian.envs.autoreset`."""

from gym_lagrangian.envs.autoreset import *  # noqa: F403
