"""The command ``gym-lagrangian``."""

from gym_lagrangian.cli.main import main

__all__ = ["main"]
