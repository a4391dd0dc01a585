r"""The plain neural network: next state from state and force, at one step size.

    x(t + dt) = x(t) + dt · s ⊙ N(x(t), τ, m),    s = (q̇_scale, a)

the standard one-step model of model-based reinforcement learning, with normalised changes of
the state (s is a typical ẋ) and embedded angles. There is no differential equation: another
dt needs another training, there is nothing to integrate and nothing that is conserved.

Reference: Nagabandi et al., "Neural Network Dynamics for Model-Based Deep Reinforcement
Learning" (2018); the "neural net" of Table 1 in Cranmer et al. (2020).
"""

from __future__ import annotations

from typing import ClassVar

import jax.numpy as jnp

from gym_lagrangian.checks import positive_number
from gym_lagrangian.models.base import Horizon, NetworkModel, Sizes, Target
from gym_lagrangian.models.embedding import Embedding
from gym_lagrangian.models.field import state_and_forces
from gym_lagrangian.models.network import Shape
from gym_lagrangian.models.settings import magnitude, per_coordinate, setting
from gym_lagrangian.physics.dynamics import DiscreteDynamics, Dynamics
from gym_lagrangian.physics.shapes import Parameters, Scalar, State, Vector
from gym_lagrangian.systems.preset import Preset
from gym_lagrangian.systems.sample import Sample


class MLP(NetworkModel):
    """The change of a state over one step, learned by a network.

    Attributes:
        network: N, 2n outputs.
        dt: the step in seconds.
        acceleration_scale: a in rad/s² or m/s², one or one a coordinate.
    """

    has_energy: ClassVar[bool] = False
    # A start and the states after it count alike: as many in all as the other models see.
    presets: ClassVar[dict[str, Preset]] = {"package": Preset({}, {"steps": 300_000, "batch": 256})}

    usual: ClassVar[Shape] = Shape(width=128)

    acceleration_scale: float | tuple[float, ...] = magnitude(
        "acceleration_scale", 10.0, positive_number
    )
    dt: float = setting("dt", 0.05, positive_number, "s")

    @classmethod
    def sizes(cls, embedding: Embedding) -> Sizes:
        return Sizes(embedding.size + embedding.n, 2 * embedding.n, after=embedding.n)

    @property
    def horizon(self) -> Horizon:
        """One state, one step ahead."""
        return Horizon(self.dt, 1)

    def next_state(self, state: State, tau: Vector, m: Parameters) -> State:
        """The state (2n,) after `dt` seconds."""
        q, qd = jnp.split(state, 2)
        n = self.embedding.n
        x = state_and_forces(self.embedding, q, qd, tau, m)
        accelerations = per_coordinate(self.acceleration_scale, n)
        scale = jnp.array([*self.embedding.qd_scale, *accelerations], state.dtype)
        return state + self.dt * scale * self.network(x)

    def loss(self, sample: Sample, target: Target) -> Scalar:
        """Σ |error| / dt over the state: a discrepancy of ẋ."""
        state = jnp.concatenate([sample.q, sample.qd])
        predicted = self.next_state(state, sample.tau, sample.m)
        return jnp.sum(jnp.abs(predicted - target[0])) / self.dt

    def dynamics(self, *, integrator: str, substeps: int) -> Dynamics:
        """The map itself; there is nothing to integrate, so both arguments are unused."""
        return DiscreteDynamics(self)
