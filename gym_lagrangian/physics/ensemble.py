r"""The dynamics of an ensemble: k models of the same structure, stepped together.

From one state x every member i goes to x_i. The ensemble goes to their mean,

    x + 1/k Σ_i (x_i − x),

The step's spread measures the disagreement of the members, without a unit. It is the standard
deviation s_j of component j of the state over the members, in units of the component's magnitude
σ_j, as the root mean square over all 2n components:

    u = ( 1/2n Σ_j s_j² / σ_j² )^½,    s_j² = 1/(k − 1) Σ_i (x_ij − x̄_j)².

No step wraps an angle. So the mean of two members that turn in opposite directions is not confused
by a jump of 2π.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.physics.dynamics import Driven, Dynamics, Force, Rates, UnforcedDynamics
from gym_lagrangian.physics.shapes import AnyArray, Parameters, Scalar, State, Vector

# The states to which k members go.
States = Float[AnyArray, "members components"]

Result = TypeVar("Result")


class EnsembleDynamics(Dynamics):
    """Members that are stepped from the same state, and their mean.

    Attributes:
        each: the dynamics of the members, every array with a first axis k.
        members: k.
        scale: the magnitudes σ (2n,) of q and q̇.
    """

    each: Dynamics
    members: int = eqx.field(static=True)
    scale: tuple[float, ...] = eqx.field(static=True)

    def over(self, function: Callable[[Dynamics], Result]) -> Result:
        """What a function gives of each member's dynamics, every array with a first axis k."""
        return jax.vmap(function)(self.each)

    def member(self, i: int) -> Dynamics:
        """The dynamics of member i alone.

        Raises:
            ConfigurationError: there is no such member.
        """
        return jax.tree.map(lambda leaf: leaf[member_index(i, self.members)], self.each)

    def step(
        self, state: State, tau: Vector, m: Parameters, dt: Array | np.ndarray | float
    ) -> Array:
        """The mean of the members' steps (2n,)."""
        states = self.over(lambda dynamics: dynamics.step(state, tau, m, dt))
        return state + jnp.mean(states - state, axis=0)

    def spread(
        self, state: State, tau: Vector, m: Parameters, dt: Array | np.ndarray | float
    ) -> Array:
        """u above, of one step; a scalar."""
        return self.spread_of(self.over(lambda dynamics: dynamics.step(state, tau, m, dt)))

    def spread_of(self, states: States) -> Scalar:
        """u above, of the states (k, 2n) to which the members went."""
        missed = (states - jnp.mean(states, axis=0)) / jnp.array(self.scale, states.dtype)
        square = jnp.sum(missed**2) / max(self.members - 1, 1) / states.shape[1]
        # The root has no derivative at 0, where all members agree.
        return jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1.0)), square)

    def driven(
        self,
        state: State,
        force: Force,
        rates: Rates,
        m: Parameters,
        dt: Array | np.ndarray | float,
    ) -> Driven:
        """The mean of the members' steps, and of the integrals along them."""
        found = self.over(lambda dynamics: dynamics.driven(state, force, rates, m, dt))
        moved = state + jnp.mean(found.state - state, axis=0)
        return Driven(moved, jnp.mean(found.integrals, axis=0))

    def energy(self, state: State, m: Parameters) -> Array | None:
        """The mean of the members' energies; None if they have none."""
        return mean(self.over(lambda dynamics: dynamics.energy(state, m)))

    def friction(self, q: Vector, qd: Vector, m: Parameters) -> Vector | None:
        """The mean of the members' frictions; None if they have none."""
        return mean(self.over(lambda dynamics: dynamics.friction(q, qd, m)))

    @property
    def learned(self) -> bool:
        return self.each.learned

    @property
    def fixed_dt(self) -> float | None:
        return self.each.fixed_dt

    @property
    def takes_forces(self) -> bool:
        return self.each.takes_forces

    def rolled(self) -> Dynamics:
        return dataclasses.replace(self, each=self.each.rolled())

    def integrated(self, *, integrator: str, substeps: int) -> Dynamics:
        each = self.each.integrated(integrator=integrator, substeps=substeps)
        return dataclasses.replace(self, each=each)


def mean(found: Result) -> Result:
    """The mean over the first axis of every array; None of None."""
    return jax.tree.map(lambda leaf: jnp.mean(leaf, axis=0), found)


def member_index(i: int, members: int) -> int:
    """`i`, the number of a member.

    Raises:
        ConfigurationError: there is no such member.
    """
    if isinstance(i, bool) or not isinstance(i, int | np.integer) or not 0 <= i < members:
        raise ConfigurationError(
            f"member = {i!r}: expected a whole number from 0 to {members - 1}, of {members} members"
        )
    return int(i)


def members_of(dynamics: Dynamics) -> EnsembleDynamics:
    """The dynamics, which are those of an ensemble.

    Raises:
        ConfigurationError: they are not.
    """
    if not isinstance(dynamics, EnsembleDynamics):
        raise ConfigurationError(
            f"{type(dynamics).__name__} has no members to follow: it is the motion of one system "
            "or one model; fit an ensemble, as in fit(data, model, members=5)"
        )
    return dynamics


def without_forces(dynamics: Dynamics) -> Dynamics:
    """Dynamics learned from free motion alone; of an ensemble, every member's are."""
    if not isinstance(dynamics, EnsembleDynamics):
        return UnforcedDynamics(dynamics)
    return dataclasses.replace(dynamics, each=UnforcedDynamics(dynamics.each))
