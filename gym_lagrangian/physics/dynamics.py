r"""Dynamics: one step of motion, true or learned, behind one interface.

A state is the vector x = (q, q̇) of shape (2n,). Every dynamics maps (x, τ, m, dt) to the
state dt seconds later, τ and m held constant over the step. A force may also depend on the state:
it is then followed along the step, and so are integrals such as the work ∫ q̇ᵀτ dt, as further
components of the same differential equation.
"""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar, Generic, NamedTuple, Protocol, TypeVar, cast, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from gym_lagrangian.checks import one_of, whole_number
from gym_lagrangian.physics.integrators import INTEGRATORS, integrate
from gym_lagrangian.physics.shapes import Parameters, State, Vector

# The generalized force τ (n,) in a state (q, q̇).
Force = Callable[[Array, Array], Array]

# The rates (c,) of c integrals in a state (q, q̇) under a force τ.
Rates = Callable[[Array, Array, Array], Array]


class Driven(NamedTuple):
    """A step under a force that depends on the state.

    Attributes:
        state: (2n,) at its end.
        integrals: (c,) of the rates along it.
    """

    state: Array
    integrals: Array


class Dynamics(eqx.Module):
    """The common contract of simulators and learned models."""

    @abstractmethod
    def step(
        self, state: State, tau: Vector, m: Parameters, dt: Array | np.ndarray | float
    ) -> Array:
        """State (2n,) after `dt` seconds under generalized forces `tau` (n,)."""

    @abstractmethod
    def driven(
        self,
        state: State,
        force: Force,
        rates: Rates,
        m: Parameters,
        dt: Array | np.ndarray | float,
    ) -> Driven:
        """A step of `dt` seconds under a force that depends on the state, and integrals along it.

        Dynamics without a differential equation hold the force of the step's start, and integrate
        along the cubic through both ends.
        """

    @abstractmethod
    def energy(self, state: State, m: Parameters) -> Array | None:
        """The energy that forces and friction alone change, in joules; None if there is none."""

    def trajectory(
        self, state: State, tau: Vector, m: Parameters, dt: Array | np.ndarray | float, steps: int
    ) -> Array:
        """The states (steps, 2n) after dt, 2 dt … seconds under the same forces."""

        def step(x: Array, _: None) -> tuple[Array, Array]:
            x = self.step(x, tau, m, dt)
            return x, x

        return jax.lax.scan(step, state, None, length=steps)[1]

    @abstractmethod
    def friction(self, q: Vector, qd: Vector, m: Parameters) -> Vector | None:
        """The generalized force F (n,) of friction in these dynamics; None if they have none."""

    @property
    @abstractmethod
    def learned(self) -> bool:
        """Whether a model moves these, rather than the true equations."""

    @property
    def fixed_dt(self) -> float | None:
        """The only step, in seconds, that these dynamics can take; None if they take any."""
        return None

    @property
    def takes_forces(self) -> bool:
        """Whether a step under forces means anything."""
        return True

    def rolled(self) -> Dynamics:
        """The same dynamics as the smallest program: what to step a single state with."""
        return self

    def integrated(self, *, integrator: str, substeps: int) -> Dynamics:
        """The same motion followed in another way; no change where there is nothing to integrate.

        Arguments:
            integrator: a name in `gym_lagrangian.physics.integrators.INTEGRATORS`.
            substeps: equal integrator steps in one `step`.
        """
        return self


class UnforcedDynamics(Dynamics):
    """Dynamics learned from free motion alone, whose response to a force is unknown.

    A Lagrangian learned without forces is determined up to a factor at best, and the response to
    a force depends on that factor. A step under a nonzero τ is therefore NaN, and there is no
    energy in joules.

    Attributes:
        free: the dynamics where τ = 0.
    """

    free: Dynamics

    def step(
        self, state: State, tau: Vector, m: Parameters, dt: Array | np.ndarray | float
    ) -> Array:
        moved = self.free.step(state, jnp.zeros_like(tau), m, dt)
        return jnp.where(jnp.any(tau != 0.0), jnp.nan, moved)

    def driven(
        self,
        state: State,
        force: Force,
        rates: Rates,
        m: Parameters,
        dt: Array | np.ndarray | float,
    ) -> Driven:
        return _held(self, state, force, rates, m, dt)

    def energy(self, state: State, m: Parameters) -> None:
        return None

    def friction(self, q: Vector, qd: Vector, m: Parameters) -> Vector | None:
        return self.free.friction(q, qd, m)

    @property
    def learned(self) -> bool:
        return self.free.learned

    @property
    def fixed_dt(self) -> float | None:
        return self.free.fixed_dt

    @property
    def takes_forces(self) -> bool:
        return False

    def rolled(self) -> Dynamics:
        return dataclasses.replace(self, free=self.free.rolled())

    def integrated(self, *, integrator: str, substeps: int) -> Dynamics:
        free = self.free.integrated(integrator=integrator, substeps=substeps)
        return dataclasses.replace(self, free=free)


@runtime_checkable
class AccelerationField(Protocol):
    """Whatever states q̈(q, q̇, τ, m): a system, or a model of one.

    Attributes:
        learned: whether it is a model.
        has_energy: whether it is a `FieldWithEnergy`.
    """

    learned: ClassVar[bool]
    has_energy: ClassVar[bool]

    def acceleration(self, q: Vector, qd: Vector, tau: Vector, m: Parameters) -> Array:
        """q̈, shape (n,)."""
        ...

    def friction(self, q: Vector, qd: Vector, m: Parameters) -> Vector | None:
        """The generalized force of friction (n,) that is part of q̈; None where there is none."""
        ...


@runtime_checkable
class FieldWithEnergy(AccelerationField, Protocol):
    """An acceleration field with an energy, which forces and friction alone change."""

    def energy(self, q: Vector, qd: Vector, m: Parameters) -> Array:
        """The energy in joules, a scalar."""
        ...


@runtime_checkable
class PhaseSpaceField(Protocol):
    """A flow in phase space (q, p), and the change of coordinates to (q, q̇) and back."""

    learned: ClassVar[bool]

    def hamilton(self, q: Vector, p: Vector, tau: Vector, m: Parameters) -> tuple[Array, Array]:
        """(dq/dt, dp/dt), two arrays (n,)."""
        ...

    def momentum(self, q: Vector, qd: Vector, m: Parameters) -> Array:
        """p (n,)."""
        ...

    def velocity(
        self, q: Vector, p: Vector, m: Parameters, qd_guess: Vector | None = None
    ) -> Array:
        """q̇ (n,), the inverse of `momentum`."""
        ...

    def energy(self, q: Vector, qd: Vector, m: Parameters) -> Array:
        """The energy in joules, a scalar."""
        ...

    def friction(self, q: Vector, qd: Vector, m: Parameters) -> Vector | None:
        """The generalized force of friction (n,) in dp/dt; None where there is none."""
        ...


Field = TypeVar("Field", AccelerationField, PhaseSpaceField)


class IntegratedDynamics(Dynamics, Generic[Field]):
    """A differential equation and the integrator that follows it.

    Attributes:
        field: what states the equation.
        integrator: a name in `gym_lagrangian.physics.integrators.INTEGRATORS`.
        substeps: equal integrator steps in one `step`.
        roll: whether the integrator's stages are a loop, see `integrators.integrate`.
    """

    field: Field
    integrator: str = eqx.field(static=True)
    substeps: int = eqx.field(static=True)
    roll: bool = eqx.field(static=True, default=False)

    def __check_init__(self):
        one_of("integrator", self.integrator, INTEGRATORS)
        whole_number("substeps", self.substeps)

    def friction(self, q: Vector, qd: Vector, m: Parameters) -> Vector | None:
        return self.field.friction(q, qd, m)

    @property
    def learned(self) -> bool:
        return self.field.learned

    def rolled(self) -> Dynamics:
        return dataclasses.replace(self, roll=True)

    def integrated(self, *, integrator: str, substeps: int) -> Dynamics:
        return dataclasses.replace(self, integrator=integrator, substeps=substeps)

    def follow(
        self, derivative: Callable[[Array], Array], y: Array, dt: Array | np.ndarray | float
    ) -> Array:
        """y after `dt` seconds of ẏ = derivative(y)."""
        return integrate(
            derivative,
            y,
            dt,
            integrator=self.integrator,
            substeps=self.substeps,
            rolled=self.roll,
        )


class ContinuousDynamics(IntegratedDynamics[AccelerationField]):
    """An acceleration field q̈(q, q̇, τ, m), followed in (q, q̇).

    Attributes:
        field: a system or a model; its `energy`, where it has one, is that of the motion.
        integrator, substeps, roll: as for `IntegratedDynamics`.
    """

    def step(
        self, state: State, tau: Vector, m: Parameters, dt: Array | np.ndarray | float
    ) -> Array:
        n = state.shape[0] // 2

        def derivative(x: Array) -> Array:
            return jnp.concatenate([x[n:], self.field.acceleration(x[:n], x[n:], tau, m)])

        return self.follow(derivative, state, dt)

    def driven(
        self,
        state: State,
        force: Force,
        rates: Rates,
        m: Parameters,
        dt: Array | np.ndarray | float,
    ) -> Driven:
        n = state.shape[0] // 2

        def derivative(y: Array) -> Array:
            q, qd = y[:n], y[n : 2 * n]
            tau = force(q, qd)
            qdd = self.field.acceleration(q, qd, tau, m)
            return jnp.concatenate([qd, qdd, rates(q, qd, tau)])

        y = self.follow(derivative, _with_integrals(state, state, force, rates), dt)
        return Driven(y[: 2 * n], y[2 * n :])

    def energy(self, state: State, m: Parameters) -> Array | None:
        if not self.field.has_energy:
            return None
        n = state.shape[0] // 2
        return cast(FieldWithEnergy, self.field).energy(state[:n], state[n:], m)


class PhaseSpaceDynamics(IntegratedDynamics[PhaseSpaceField]):
    """A flow in (q, p), followed there.

    A step turns q̇ into p once, integrates (q, p), and turns p back into q̇ once.

    Attributes:
        field: whatever states Hamilton's equations.
        integrator, substeps, roll: as for `IntegratedDynamics`.
    """

    def step(
        self, state: State, tau: Vector, m: Parameters, dt: Array | np.ndarray | float
    ) -> Array:
        n = state.shape[0] // 2
        q, qd = state[:n], state[n:]

        def derivative(y: Array) -> Array:
            return jnp.concatenate(self.field.hamilton(y[:n], y[n:], tau, m))

        y = jnp.concatenate([q, self.field.momentum(q, qd, m)])
        y = self.follow(derivative, y, dt)
        return jnp.concatenate([y[:n], self.field.velocity(y[:n], y[n:], m, qd)])

    def driven(
        self,
        state: State,
        force: Force,
        rates: Rates,
        m: Parameters,
        dt: Array | np.ndarray | float,
    ) -> Driven:
        n = state.shape[0] // 2
        q, qd = state[:n], state[n:]

        def derivative(y: Array) -> Array:
            q, p = y[:n], y[n : 2 * n]
            velocity, rate = self.field.hamilton(q, p, jnp.zeros_like(q), m)
            tau = force(q, velocity)
            return jnp.concatenate([velocity, rate + tau, rates(q, velocity, tau)])

        y = jnp.concatenate([q, self.field.momentum(q, qd, m)])
        y = self.follow(derivative, _with_integrals(y, state, force, rates), dt)
        velocity = self.field.velocity(y[:n], y[n : 2 * n], m, qd)
        return Driven(jnp.concatenate([y[:n], velocity]), y[2 * n :])

    def energy(self, state: State, m: Parameters) -> Array:
        n = state.shape[0] // 2
        return self.field.energy(state[:n], state[n:], m)


@runtime_checkable
class StateMap(Protocol):
    """Whatever maps a state to the next, `dt` seconds later."""

    dt: float

    def next_state(self, state: State, tau: Vector, m: Parameters) -> Array:
        """The state (2n,) after `dt` seconds."""
        ...


class DiscreteDynamics(Dynamics):
    """A map from one state to the next: no differential equation, one step size, no energy.

    Attributes:
        field: the map.
        repeats: how often it is applied in one `step`, for steps of a multiple of its own.
    """

    field: StateMap
    repeats: int = eqx.field(static=True, default=1)

    def __check_init__(self):
        whole_number("repeats", self.repeats)

    def step(
        self, state: State, tau: Vector, m: Parameters, dt: Array | np.ndarray | float
    ) -> Array:
        """State (2n,) after `fixed_dt` seconds, which is what `dt` must be."""
        return jax.lax.fori_loop(
            0, self.repeats, lambda _, x: self.field.next_state(x, tau, m), state
        )

    def driven(
        self,
        state: State,
        force: Force,
        rates: Rates,
        m: Parameters,
        dt: Array | np.ndarray | float,
    ) -> Driven:
        return _held(self, state, force, rates, m, dt)

    def energy(self, state: State, m: Parameters) -> None:
        return None

    def friction(self, q: Vector, qd: Vector, m: Parameters) -> None:
        return None

    @property
    def learned(self) -> bool:
        return True

    @property
    def fixed_dt(self) -> float:
        return self.repeats * self.field.dt


def _held(
    dynamics: Dynamics,
    state: State,
    force: Force,
    rates: Rates,
    m: Parameters,
    dt: Array | np.ndarray | float,
) -> Driven:
    """A step under the force of its start, and integrals along the cubic through both ends."""
    n = state.shape[0] // 2
    tau = force(state[:n], state[n:])
    moved = dynamics.step(state, tau, m, dt)
    dt = jnp.asarray(dt, state.dtype)
    found = jax.vmap(lambda s: rates(*_cubic(state, moved, dt, s), tau))
    nodes, weights = np.polynomial.legendre.leggauss(5)
    along = found(jnp.asarray(0.5 * (nodes + 1.0), state.dtype))
    return Driven(moved, 0.5 * dt * jnp.asarray(weights, state.dtype) @ along)


def _cubic(start: Array, end: Array, dt: Array, s: Array) -> tuple[Array, Array]:
    """q and q̇ at the share s of a step, on the cubic that has both at both ends (Hermite's)."""
    n = start.shape[0] // 2
    (q, v), (q_end, v_end) = (start[:n], dt * start[n:]), (end[:n], dt * end[n:])
    gap = q_end - q
    bend, twist = 3.0 * gap - 2.0 * v - v_end, v + v_end - 2.0 * gap
    place = q + s * (v + s * (bend + s * twist))
    return place, (v + s * (2.0 * bend + 3.0 * s * twist)) / dt


def _with_integrals(y: Array, state: State, force: Force, rates: Rates) -> Array:
    """`y` followed by the integrals, still zero."""
    n = state.shape[0] // 2
    first = rates(state[:n], state[n:], force(state[:n], state[n:]))
    return jnp.concatenate([y, jnp.zeros_like(first)])
