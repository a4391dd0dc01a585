r"""The plain neural network: next state from state and force, at one step size.

    x(t + dt) = x(t) + dt · s ⊙ N(x(t), τ, m),    s = (q̇_scale, a)

the standard one-step model of model-based reinforcement learning, with normalised changes of
the state (s is a typical ẋ) and embedded angles. There is no differential equation: another
dt needs another training, there is nothing to integrate and nothing that is conserved.

Reference: Nagabandi et al., "Neural Network Dynamics for Model-Based Deep Reinforcement
Learning" (2018); the "neural net" of Table 1 in Cranmer et al. (2020).
"""

from __future__ import annotations

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
from jax import Array

from gym_lagrangian.checks import positive_number
from gym_lagrangian.models.base import Horizon, Model
from gym_lagrangian.models.embedding import Embedding
from gym_lagrangian.models.network import Network
from gym_lagrangian.physics.dynamics import DiscreteDynamics, Dynamics
from gym_lagrangian.systems.preset import Preset
from gym_lagrangian.systems.sample import Sample


class MLP(Model):
    """The change of a state over one step, learned by a network.

    Attributes:
        network: N, 2n outputs.
        dt: the step in seconds.
        acceleration_scale: a in rad/s² or m/s².
    """

    conserves_energy: ClassVar[bool] = False
    # A start and the states after it count alike: as many in all as the other models see.
    presets: ClassVar[dict[str, Preset]] = {"package": Preset({}, {"steps": 300_000, "batch": 256})}

    network: Network
    embedding: Embedding
    dt: float = eqx.field(static=True)
    acceleration_scale: float = eqx.field(static=True)

    def __init__(
        self,
        embedding: Embedding,
        *,
        width: int = 128,
        depth: int = 3,
        activation: str = "softplus",
        initialiser: str = "fan_in",
        acceleration_scale: float = 10.0,
        dt: float = 0.05,
        key: Array,
    ):
        """Random weights; arguments as for `LNN`, and those above."""
        self.embedding = embedding
        self.acceleration_scale = positive_number("acceleration_scale", acceleration_scale)
        self.dt = positive_number("dt", dt, "s")
        self.network = Network(
            embedding.size + embedding.n,
            2 * embedding.n,
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
        }

    @property
    def horizon(self) -> Horizon:
        """One state, one step ahead."""
        return Horizon(self.dt, 1)

    def next_state(self, state: Array, tau: Array, m: Array) -> Array:
        """The state (2n,) after `dt` seconds."""
        q, qd = jnp.split(state, 2)
        features = [self.embedding.state(q, qd, m), self.embedding.forces(tau)]
        n = self.embedding.n
        scale = jnp.array([*self.embedding.qd_scale, *[self.acceleration_scale] * n], state.dtype)
        return state + self.dt * scale * self.network(jnp.concatenate(features))

    def loss(self, sample: Sample, target: Array) -> Array:
        """Σ |error| / dt over the state: a discrepancy of ẋ."""
        state = jnp.concatenate([sample.q, sample.qd])
        predicted = self.next_state(state, sample.tau, sample.m)
        return jnp.sum(jnp.abs(predicted - target[0])) / self.dt

    def dynamics(self, *, integrator: str, substeps: int) -> Dynamics:
        """The map itself; there is nothing to integrate, so both arguments are unused."""
        return DiscreteDynamics(self)
