"""The environment as pure functions; see `gym_lagrangian.envs.functional`."""

from gym_lagrangian.envs.functional import *  # noqa: F403
