r"""Neural ordinary differential equation: a vector field trained through the solver.

It is the baseline's field q̈ = a · N(x(q, q̇, m), τ), see `gym_lagrangian.models.field`, but it
never sees an acceleration. It learns from motion: the true states at dt, 2 dt … after a state,
followed by an integrator whose arithmetic the gradient passes through (discretise, then
optimise).

Reference: Chen, Rubanova, Bettencourt, Duvenaud, "Neural Ordinary Differential Equations"
(2018).
"""

from __future__ import annotations

from typing import ClassVar

import jax.numpy as jnp

from gym_lagrangian.checks import one_of, positive_number, whole_number
from gym_lagrangian.models.base import Horizon, Target
from gym_lagrangian.models.field import NetworkField
from gym_lagrangian.models.settings import setting
from gym_lagrangian.physics.dynamics import ContinuousDynamics
from gym_lagrangian.physics.integrators import INTEGRATORS
from gym_lagrangian.physics.shapes import Scalar
from gym_lagrangian.systems.preset import Preset
from gym_lagrangian.systems.sample import Sample


class NODE(NetworkField):
    """An acceleration field learned by a network from short trajectories.

    Attributes:
        dt, steps: seconds between the states of a training trajectory, and how many.
        integrator: what follows the field in training, one of its steps in one `dt`.
    """

    # A start and the states after it count alike: as many in all as the other models see.
    presets: ClassVar[dict[str, Preset]] = {"package": Preset({}, {"steps": 300_000})}

    dt: float = setting("dt", 0.02, positive_number, "s")
    steps: int = setting("steps", 3, whole_number)
    integrator: str = setting("integrator", "dopri5", one_of, INTEGRATORS)

    @property
    def horizon(self) -> Horizon:
        """`steps` states, `dt` apart."""
        return Horizon(self.dt, self.steps)

    def loss(self, sample: Sample, target: Target) -> Scalar:
        """Mean over the states (steps, 2n) of Σ |error| / elapsed time: a discrepancy of ẋ."""
        dynamics = ContinuousDynamics(self, self.integrator, substeps=1)
        start = jnp.concatenate([sample.q, sample.qd])
        states = dynamics.trajectory(start, sample.tau, sample.m, self.dt, self.steps)
        elapsed = self.dt * jnp.arange(1, self.steps + 1)
        return jnp.mean(jnp.sum(jnp.abs(states - target), axis=1) / elapsed)
