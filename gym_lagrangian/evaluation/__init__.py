"""How good a model is, by the paper's measures and by others."""

from gym_lagrangian.evaluation.local import (
    acceleration_error,
    acceleration_loss,
    one_step_error,
    protocol_samples,
)
from gym_lagrangian.evaluation.measure import evaluate, losses, measure
from gym_lagrangian.evaluation.motion import (
    ENERGY_TIMES,
    VELOCITY_POINTS,
    VELOCITY_SECONDS,
    VELOCITY_STATES,
    EnergyDiscrepancy,
    FreeMotion,
    energy_discrepancy,
    evaluation_states,
    free_motion,
    free_motions,
    starts,
    step_of,
    velocity_error,
)

__all__ = [
    "ENERGY_TIMES",
    "VELOCITY_POINTS",
    "VELOCITY_SECONDS",
    "VELOCITY_STATES",
    "EnergyDiscrepancy",
    "FreeMotion",
    "acceleration_error",
    "acceleration_loss",
    "energy_discrepancy",
    "evaluate",
    "evaluation_states",
    "free_motion",
    "free_motions",
    "losses",
    "measure",
    "one_step_error",
    "protocol_samples",
    "starts",
    "step_of",
    "velocity_error",
]
