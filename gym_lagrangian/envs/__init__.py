"""Gymnasium environments: the scalar shell and the wrapper that swaps in a learned model."""

from gym_lagrangian.envs.learned import LearnedDynamicsEnv
from gym_lagrangian.envs.scalar import LagrangianEnv

__all__ = ["LagrangianEnv", "LearnedDynamicsEnv"]
