"""A preset of a model: the arguments of its constructor and of its training."""

from __future__ import annotations

from typing import Any, NamedTuple


class Preset(NamedTuple):
    """A named way to train a model.

    Attributes:
        config: its constructor's arguments.
        training: settings of `gym_lagrangian.learning.train.TrainingConfig`.
        own_magnitudes: of a system's recipe, whether it goes with the magnitudes that are the
            model's own defaults, rather than those of the states or the data to learn from.
    """

    config: dict[str, Any]
    training: dict[str, Any]
    own_magnitudes: bool = True

    def but(self, other: Preset) -> Preset:
        """This one, with what the other says in its place."""
        config, training = self.config | other.config, self.training | other.training
        return Preset(config, training, other.own_magnitudes)
