"""The protocol of the paper's experiments: how much is measured."""

from __future__ import annotations

from dataclasses import dataclass

from gym_lagrangian.checks import seed_number, whole_number
from gym_lagrangian.errors import ConfigurationError


@dataclass(frozen=True)
class Protocol:
    """How much is measured.

    Attributes:
        states: starting states of the energy discrepancy.
        few: the first of them, on which the paper judges, and the long runs go.
        seconds: length of a free run.
        long_seconds: length of the long runs, of the models in `double_pendulum.LONG`.
        loss_states: fresh states of the acceleration losses and one-step errors.
        velocity_states: starting states of the particle's velocity error.
        proof_steps: of the training of the non-canonical HNN in `particle.proof`.
        seed: of the starting states.
    """

    states: int = 400
    few: int = 40
    seconds: float = 100.0
    long_seconds: float = 1000.0
    loss_states: int = 20_000
    velocity_states: int = 200
    proof_steps: int = 5000
    seed: int = 0

    def __post_init__(self):
        for name in ("states", "few", "loss_states", "velocity_states", "proof_steps"):
            whole_number(name, getattr(self, name))
        seed_number(self.seed)
        if self.few > self.states:
            raise ConfigurationError(f"few = {self.few}: expected at most states = {self.states}")
