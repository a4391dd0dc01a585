"""A trained model in one file; see `gym_lagrangian.checkpoints`."""

from gym_lagrangian.checkpoints import *  # noqa: F403
