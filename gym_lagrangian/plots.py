"""Figures; see `gym_lagrangian.viewing.plots`."""

from gym_lagrangian.viewing.plots import *  # noqa: F403
