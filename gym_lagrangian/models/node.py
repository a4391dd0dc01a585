r"""Neural ordinary differential equation: a vector field trained through the solver.

    q̈ = a · N(x(q, q̇, m), τ)

is the baseline's field, but it never sees an acceleration. It learns from motion: the true
states at dt, 2 dt … after a state, followed by an integrator whose arithmetic the gradient
passes through (discretise, then optimise). Nothing is conserved.

Reference: Chen, Rubanova, Bettencourt, Duvenaud, "Neural Ordinary Differential Equations"
(2018).
"""

from __future__ import annotations

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
from jax import Array

from gym_lagrangian.checks import one_of, positive_number, whole_number
from gym_lagrangian.models.base import AccelerationModel, Horizon
from gym_lagrangian.models.embedding import Embedding
from gym_lagrangian.models.network import Network
from gym_lagrangian.physics.dynamics import ContinuousDynamics
from gym_lagrangian.physics.integrators import INTEGRATORS
from gym_lagrangian.systems.preset import Preset
from gym_lagrangian.systems.sample import Sample


class NODE(AccelerationModel):
    """An acceleration field learned by a network from short trajectories.

    Attributes:
        network: N, one output a coordinate.
        acceleration_scale: a in rad/s² or m/s².
        dt, steps: seconds between the states of a training trajectory, and how many.
        integrator: what follows the field in training, one of its steps in one `dt`.
    """

    conserves_energy: ClassVar[bool] = False
    # A start and the states after it count alike: as many in all as the other models see.
    presets: ClassVar[dict[str, Preset]] = {"package": Preset({}, {"steps": 300_000})}

    network: Network
    embedding: Embedding
    acceleration_scale: float = eqx.field(static=True)
    dt: float = eqx.field(static=True)
    steps: int = eqx.field(static=True)
    integrator: str = eqx.field(static=True)

    def __init__(
        self,
        embedding: Embedding,
        *,
        width: int = 64,
        depth: int = 3,
        activation: str = "softplus",
        initialiser: str = "fan_in",
        acceleration_scale: float = 10.0,
        dt: float = 0.02,
        steps: int = 3,
        integrator: str = "dopri5",
        key: Array,
    ):
        """Random weights; arguments as for `LNN`, and those above."""
        self.embedding = embedding
        self.acceleration_scale = positive_number("acceleration_scale", acceleration_scale)
        self.dt = positive_number("dt", dt, "s")
        self.steps = whole_number("steps", steps)
        self.integrator = one_of("integrator", integrator, INTEGRATORS)
        self.network = Network(
            embedding.size + embedding.n,
            embedding.n,
            width=width,
            depth=depth,
            activation=activation,
            initialiser=initialiser,
            key=key,
        )

    @property
    def config(self) -> dict[str, Any]:
        return {
            **self.network.config,
            "acceleration_scale": self.acceleration_scale,
            "dt": self.dt,
            "steps": self.steps,
            "integrator": self.integrator,
        }

    @property
    def horizon(self) -> Horizon:
        """`steps` states, `dt` apart."""
        return Horizon(self.dt, self.steps)

    def acceleration(self, q: Array, qd: Array, tau: Array, m: Array) -> Array:
        features = [self.embedding.state(q, qd, m), self.embedding.forces(tau)]
        return self.acceleration_scale * self.network(jnp.concatenate(features))

    def loss(self, sample: Sample, target: Array) -> Array:
        """Mean over the states (steps, 2n) of Σ |error| / elapsed time: a discrepancy of ẋ."""
        dynamics = ContinuousDynamics(self, self.integrator, substeps=1)
        start = jnp.concatenate([sample.q, sample.qd])
        states = dynamics.trajectory(start, sample.tau, sample.m, self.dt, self.steps)
        elapsed = self.dt * jnp.arange(1, self.steps + 1)
        return jnp.mean(jnp.sum(jnp.abs(states - target), axis=1) / elapsed)
