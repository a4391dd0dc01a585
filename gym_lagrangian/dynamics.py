r"""Dynamics: what an environment steps, and cannot tell whether it is truth or a model.

A state is the vector x = (q, q̇) of shape (2n,). Every dynamics maps (x, τ, m, dt) to the
state dt seconds later, τ and m held constant over the step.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import Array

from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.integrators import INTEGRATORS, integrate


class Dynamics(eqx.Module):
    """The common contract of simulators and learned models."""

    @abstractmethod
    def step(self, state: Array, tau: Array, m: Array, dt: Array | np.ndarray | float) -> Array:
        """State (2n,) after `dt` seconds under generalized forces `tau` (n,)."""

    @abstractmethod
    def energy(self, state: Array, m: Array) -> Array | None:
        """The energy that these dynamics conserve at τ = 0, in joules; None if they have none."""


class AccelerationField(Protocol):
    """Whatever states q̈(q, q̇, τ, m): a system, or a model of one."""

    def acceleration(self, q: Array, qd: Array, tau: Array, m: Array) -> Array:
        """q̈, shape (n,)."""
        ...


class ContinuousDynamics(Dynamics):
    """An acceleration field q̈(q, q̇, τ, m) and the integrator that follows it.

    Attributes:
        field: a system or a model; its `energy`, where it has one, is the conserved energy.
        integrator: a name in `gym_lagrangian.integrators.INTEGRATORS`.
        substeps: equal integrator steps in one `step`.

    """

    field: AccelerationField
    integrator: str = eqx.field(static=True)
    substeps: int = eqx.field(static=True)

    def __check_init__(self):
        if self.integrator not in INTEGRATORS:
            raise ConfigurationError(
                f"unknown integrator {self.integrator!r}; choose one of {', '.join(INTEGRATORS)}"
            )
        if not isinstance(self.substeps, int) or self.substeps < 1:
            raise ConfigurationError(
                f"substeps = {self.substeps!r}: expected a whole number of at least 1"
            )

    def step(self, state: Array, tau: Array, m: Array, dt: Array | np.ndarray | float) -> Array:
        n = state.shape[0] // 2

        def derivative(x: Array) -> Array:
            return jnp.concatenate([x[n:], self.field.acceleration(x[:n], x[n:], tau, m)])

        return integrate(derivative, state, dt, integrator=self.integrator, substeps=self.substeps)

    def energy(self, state: Array, m: Array) -> Array | None:
        n = state.shape[0] // 2
        conserved = getattr(self.field, "energy", None)
        return None if conserved is None else conserved(state[:n], state[n:], m)
