"""Gymnasium environments: scalar, vector, and the wrapper that a learned model moves."""

from gym_lagrangian.envs.learned import LearnedDynamicsEnv
from gym_lagrangian.envs.scalar import LagrangianEnv

__all__ = ["LagrangianEnv", "LearnedDynamicsEnv"]
