r"""What a physical system states about itself: its Lagrangian, its task, its data, its picture.

A new system is one subclass of `System` in a file of its own and one row of
`gym_lagrangian.registration.SYSTEMS`. Nothing else is edited.
"""

from __future__ import annotations

import dataclasses
import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import numpy as np
from jax import Array

from gym_lagrangian.checks import finite_number, positive_number
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.models.embedding import Embedding
from gym_lagrangian.physics.linear import solve
from gym_lagrangian.physics.mechanics import (
    Lagrangian,
    components_of_motion,
    euler_lagrange_by_component,
)
from gym_lagrangian.systems.preset import Preset
from gym_lagrangian.systems.sample import Sample
from gym_lagrangian.systems.scene import Scene

# The step in seconds for which systems recommend a number of substeps.
REFERENCE_DT = 0.05


class Parameter(NamedTuple):
    """One non-dynamical parameter of a system, an entry of m.

    Attributes:
        default: its value, or (low, high) where it is drawn at every reset by default.
        unit: SI unit, for messages and documentation.
        positive: whether only values > 0 make sense.
        scale: a typical magnitude, by which networks conditioned on it divide.
    """

    default: float | tuple[float, float]
    unit: str
    positive: bool = True
    scale: float = 1.0


class System(Lagrangian):
    """A physical system with n coordinates, k parameters and a control task.

    Instances are frozen, hold only static options and compare by value: two of the same
    options are one to `jax.jit`, which compiles for them once. Parameters are never stored
    in the instance; they are passed as the vector m, in the order of `parameters`.

    Attributes:
        coordinates: names of the n coordinates.
        angular: for each coordinate, whether it is an angle (period 2π).
        parameters: name → `Parameter`, in the order of m.
        reset_low, reset_high: bounds (2n,) of the uniform distribution of starting states.
        substeps, learned_substeps: default steps of the integrator ``"dop853"`` in one step of
            0.05 s, for the exact simulation and for learned models.
        q_scale, qd_scale, tau_scale: typical magnitudes (n,), by which networks divide.
        recipes: model name → what of the model's own preset ``"package"`` this system needs
            otherwise.
        physical_options: names of the `options` that change the equation of motion.
        mass_matrix_solver: ``"direct"``: the mass matrix of physics is positive definite.
    """

    mass_matrix_solver: ClassVar[str] = "direct"
    physical_options: ClassVar[tuple[str, ...]] = ()
    recipes: ClassVar[dict[str, Preset]] = {}

    coordinates: ClassVar[tuple[str, ...]]
    angular: ClassVar[tuple[bool, ...]]
    parameters: ClassVar[dict[str, Parameter]]
    reset_low: ClassVar[tuple[float, ...]]
    reset_high: ClassVar[tuple[float, ...]]
    substeps: ClassVar[int]
    learned_substeps: ClassVar[int]
    q_scale: ClassVar[tuple[float, ...]]
    qd_scale: ClassVar[tuple[float, ...]]
    tau_scale: ClassVar[tuple[float, ...]]

    def equation_of_motion(self, q: Array, qd: Array, m: Array) -> tuple[Array, Array]:
        """M (n, n) and f (n,) with M q̈ = τ + f. `lagrangian` must only index q and qd."""
        return euler_lagrange_by_component(self.lagrangian, q, qd, m)

    def acceleration(self, q: Array, qd: Array, tau: Array, m: Array) -> Array:
        """q̈ = M⁻¹ (τ + f), shape (n,), in scalars to the end, which is fast."""
        mass_matrix, force = components_of_motion(self.lagrangian, q, qd, m)
        total = [tau[i] + force[i] for i in range(self.n)]
        return solve(mass_matrix, total, method=self.mass_matrix_solver)

    # -- the task ---------------------------------------------------------------------------

    @property
    @abstractmethod
    def action_size(self) -> int:
        """Number of action components, each in [-1, 1]."""

    @abstractmethod
    def observation_bounds(self, m_bounds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Finite float32 bounds of `observation` for parameters within `m_bounds` (2, k)."""

    @abstractmethod
    def generalized_force(self, action: Array) -> Array:
        """τ (n,) that an action in [-1, 1] exerts."""

    @abstractmethod
    def observation(self, q: Array, qd: Array, m: Array) -> Array:
        """What the agent sees of a state."""

    @abstractmethod
    def reward(self, q: Array, qd: Array, m: Array) -> Array:
        """Reward in [0, 1] for being in a state, so that ending an episode never pays."""

    @abstractmethod
    def at_goal(self, q: Array, qd: Array, m: Array) -> Array:
        """Whether the state counts as solved, a boolean scalar."""

    @abstractmethod
    def in_range(self, q: Array, qd: Array, m: Array) -> Array:
        """Whether the state is within the physical range that the task covers."""

    @abstractmethod
    def energy_scale(self, m: Array) -> Array:
        """The energy, in joules, against which drift is judged."""

    # -- the data ---------------------------------------------------------------------------

    @abstractmethod
    def sample(self, key: Array) -> Sample:
        """One state to train on: beyond what evaluation reaches, with and without forces."""

    @abstractmethod
    def protocol_sample(self, key: Array) -> Sample:
        """One unforced state of the distribution on which the paper states its losses."""

    @abstractmethod
    def evaluation_sample(self, key: Array) -> Sample:
        """One unforced state from which the paper starts the trajectories that it judges."""

    # -- the picture ------------------------------------------------------------------------

    @abstractmethod
    def scene(self, q: np.ndarray, qd: np.ndarray, tau: np.ndarray, m: np.ndarray) -> Scene:
        """What to draw of a state, in metres."""

    # -- derived ----------------------------------------------------------------------------

    @property
    def n(self) -> int:
        """Number of coordinates."""
        return len(self.coordinates)

    @property
    def name(self) -> str:
        """The name by which systems are registered."""
        return type(self).__name__

    @property
    def speed_limit(self) -> tuple[tuple[str, str] | None, ...]:
        """For each velocity, the parameter that it cannot exceed and how networks see what is
        below it (see `gym_lagrangian.models.embedding`), or None.
        """
        return (None,) * self.n

    @property
    def options(self) -> dict[str, str | float]:
        """The constructor's arguments that make an equal instance."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def embedding(self, conditioned_on: tuple[str, ...] = ()) -> Embedding:
        """How a network sees this system's states, conditioned on the named parameters.

        Raises:
            ConfigurationError: a name is not one of `parameters`.
        """
        names = list(self.parameters)
        for name in conditioned_on:
            if name not in names:
                raise ConfigurationError(
                    f"{self.name} has no parameter {name!r} to condition on; "
                    f"it has {', '.join(names)}"
                )
        index = tuple(i for i, name in enumerate(names) if name in conditioned_on)
        return Embedding(
            system=self.name,
            angular=self.angular,
            q_scale=self.q_scale,
            qd_scale=self.qd_scale,
            tau_scale=self.tau_scale,
            speed_limit=tuple(
                None if limit is None else (names.index(limit[0]), limit[1])
                for limit in self.speed_limit
            ),
            m_index=index,
            m_scale=tuple(self.parameters[names[i]].scale for i in index),
        )

    def default_substeps(self, dt: float, *, learned: bool) -> int:
        """Steps of the integrator in one step of `dt` seconds, in proportion to what is
        recommended for 0.05 s.
        """
        recommended = self.learned_substeps if learned else self.substeps
        return max(1, math.ceil(recommended * dt / REFERENCE_DT - 1e-9))

    @property
    def varying(self) -> tuple[str, ...]:
        """Names of the parameters that are drawn at every reset by default."""
        return tuple(k for k, v in self.parameters.items() if isinstance(v.default, tuple))

    def fixed_parameters(self, conditioned_on: tuple[str, ...]) -> dict[str, float]:
        """Name → default of the parameters that a model is not conditioned on.

        Raises:
            ConfigurationError: one of them has no single default.
        """
        for name in self.varying:
            if name not in conditioned_on:
                raise ConfigurationError(
                    f"{self.name} draws {name} at every reset: a model must be conditioned on it"
                )
        return {
            name: float(parameter.default)
            for name, parameter in self.parameters.items()
            if name not in conditioned_on and not isinstance(parameter.default, tuple)
        }

    def parameter_bounds(self, **given: float | tuple[float, float]) -> np.ndarray:
        """Bounds (2, k) of m: equal where a parameter is fixed, apart where it is drawn.

        Arguments:
            given: values, or (low, high) pairs drawn from uniformly at every reset, by name;
                what is not given has its default.

        Raises:
            ConfigurationError: an unknown name, a value that is not a finite number or a
                (low, high) pair in order, or one that must be positive and is not.
        """
        for name in given:
            if name not in self.parameters:
                raise ConfigurationError(
                    f"{self.name} has no parameter {name!r}; it has {', '.join(self.parameters)}"
                )
        rows = [
            _bounds(self.name, name, parameter, given.get(name, parameter.default))
            for name, parameter in self.parameters.items()
        ]
        return np.array(rows, dtype=np.float64).reshape(-1, 2).T


def _bounds(
    system: str, name: str, parameter: Parameter, value: float | Sequence[float]
) -> tuple[float, float]:
    what = f"{system} parameter {name}"
    if isinstance(value, str) or np.ndim(value) > 1 or np.size(value) not in (1, 2):
        raise ConfigurationError(
            f"{what} = {value!r}: expected a finite number in {parameter.unit}, or a pair "
            "(low, high) to draw from at every reset"
        )
    check = positive_number if parameter.positive else finite_number
    pair = [check(what, v, parameter.unit) for v in np.atleast_1d(np.asarray(value, object))]
    low, high = pair[0], pair[-1]
    if low > high:
        raise ConfigurationError(
            f"{what} = {value!r}: the range is reversed; write ({high:g}, {low:g})"
        )
    return low, high
