"""Adapters for other people's environments."""

from gym_lagrangian.adapters.base import Adapter, Outcome
from gym_lagrangian.adapters.registry import adapter_for, register_adapter

__all__ = ["Adapter", "Outcome", "adapter_for", "register_adapter"]
