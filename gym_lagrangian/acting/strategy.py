"""A strategy: how a learned model is turned into actions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gym_lagrangian.acting.world import World
from gym_lagrangian.checkpoints import Checkpoint

# From a state (2n,), the observation that shows it, and the seconds since the start of the episode,
# to an action (a,), shares in [-1, 1] of the full forces.
Actor = Callable[[np.ndarray, np.ndarray, float], np.ndarray]


class Situation(NamedTuple):
    """What a strategy makes an actor of.

    Attributes:
        world: what is known of the environment.
        checkpoint: the model, as it is after all that was experienced so far.
        states: all states (N, 2n) that were experienced, rows without NaN.
        seed: of this episode.
        file: where the strategy may keep, atomically, what it made of this model, such as an agent
            (the name without a suffix); and the file of the episode before, None for the first.
        before: the same of the episode before; None where there is none.
    """

    world: World
    checkpoint: Checkpoint
    states: np.ndarray
    seed: int
    file: Path
    before: Path | None


class Strategy(ABC):
    """How actions come of a model. What it says of itself identifies it in a run's settings."""

    @abstractmethod
    def actor(self, situation: Situation) -> Actor:
        """The actor of the next episode. Equal situations make equal actors."""

    @abstractmethod
    def document(self, world: World) -> dict[str, Any]:
        """Its settings, JSON-able."""
