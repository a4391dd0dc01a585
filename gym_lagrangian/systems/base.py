r"""Systems: coordinates whose equations are known.

A system states its coordinates, its parameters and its Lagrangian; everything else has a default:

    class CartPole(System):
        coordinates = ("x", "theta")
        angular = (False, True)
        parameters = {"M": 1.0, "m": 0.1, "l": 0.5, "g": 9.81}

        def lagrangian(self, q, qd, m):
            p = self.named(m)
            speed = p.l * qd[1]
            kinetic = 0.5 * (p.M + p.m) * qd[0] ** 2 + 0.5 * p.m * speed**2
            kinetic += p.m * qd[0] * speed * jnp.cos(q[1])
            return kinetic - p.m * p.g * p.l * jnp.cos(q[1])

Typical magnitudes that it does not state are estimated from its Lagrangian. With V̄ the spread of
the potential energy over the angles and typical lengths (1 m where none is given), M_ii the mean
mass and r_i one radian or that length,

    τ_i = max(V̄ / r_i, F_i),    q̇_i = √(2 τ_i r_i / M_ii),

F_i being the force of a full action of the default task, where it states one. Without a potential
V̄ is the energy of one radian or length a second.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.physics.friction import NARROWEST
from gym_lagrangian.physics.mechanics import Lagrangian, motion_terms
from gym_lagrangian.physics.numbers import evaluated
from gym_lagrangian.physics.shapes import Parameters, Vector
from gym_lagrangian.systems.coordinates import (
    REFERENCE_DT,
    SCALES,
    Coordinates,
    Magnitudes,
    Parameter,
    normalised,
)
from gym_lagrangian.systems.sample import (
    Distributions,
    Ranges,
    Sample,
    default_sample,
    drawn_at,
)
from gym_lagrangian.systems.static import Static
from gym_lagrangian.systems.task import Drive, Task
from gym_lagrangian.systems.view import Mechanics

__all__ = ["Coordinates", "Parameter", "System", "Task"]

# How fast friction may act, times a step of the integrator, so that an energy balance of 1e-8
# holds over 100 s.
_RATE_A_SUBSTEP = 0.5

_STATED = ("coordinates", "angular", "parameters", *SCALES, "speed_limit", "cyclic")


class System(Static, Coordinates, Lagrangian):
    """A physical system with n coordinates and k parameters m.

    Its annotated fields are options of the physics, which a checkpoint belongs to: an option
    that changes no equation belongs to the task. It compares by value. Parameters are never
    stored in the instance; they are passed as the vector m, in the order of `parameters`.

    Attributes:
        coordinates, angular, parameters, q_scale, qd_scale, tau_scale, speed_limit, cyclic: as for
            `Coordinates`, stated in the class (or as properties where they depend on options).
            `parameters` may hold plain numbers.
        task: the default `Task`.
        substeps, learned_substeps: steps of the integrator ``"dop853"`` in 0.05 s, for the exact
            simulation and for learned models; None for a number by the typical frequency.
        learned_friction: the kind of friction that models of the system learn unless told
            otherwise, see `gym_lagrangian.models.friction`.
        time_step: seconds in one step of environments that are not told otherwise, .05.
        recipes: model name → what of the model's own preset ``"package"`` this system needs
            otherwise. With a recipe, the model's magnitudes are its own defaults, unless it says
            ``own_magnitudes=False``; without one they are those of the states or the data that it
            learns from, see `learning.scales`.
        varies: the default range of a parameter on which a model is conditioned:
            name → (low, high), or a share s for (1 ± s) times its default. Of a
            parameter that `sample` draws by itself, the range that it covers.
    """

    mass_matrix_solver: ClassVar[str] = "direct"  # the mass matrix of physics is positive definite
    learned: ClassVar[bool] = False
    task: ClassVar[type[Task]] = Drive

    angular: ClassVar[Any] = False  # one for all, or one a coordinate
    parameters: ClassVar[Any] = {}
    substeps: ClassVar[float | None] = None
    learned_substeps: ClassVar[float | None] = None
    varies: ClassVar[Mapping[str, float | tuple[float, float]]] = {}

    def __init_subclass__(cls, **arguments: Any):
        super().__init_subclass__(**arguments)
        given = {name: inspect.getattr_static(cls, name, None) for name in _STATED}
        computed = {name for name, value in given.items() if isinstance(value, property)}
        if given["coordinates"] is None or "coordinates" in computed:
            return  # a class for others to complete, or one whose options decide
        stated = SimpleNamespace(**given | dict.fromkeys(computed))
        stated.parameters = stated.parameters or {}
        for name, value in normalised(cls.__name__, stated).items():
            if name not in computed:
                setattr(cls, name, value)

    # -- physics ------------------------------------------------------------------------------

    @property
    def physics(self) -> System:
        """The system itself."""
        return self

    def terms_of_motion(self, q: Array, qd: Array, m: Array) -> Any:
        """M and f with M q̈ = τ + f, in scalars where the Lagrangian allows, which is fast."""
        return motion_terms(self.lagrangian, q, qd, m)

    def friction(self, q: Vector, qd: Vector, m: Parameters) -> Vector | None:
        """The generalized force F (n,) of friction in N or N·m, with q̇ᵀF ≤ 0; None, the default,
        for none. A system states it by `viscous` and `coulomb` of `gym_lagrangian.physics.friction`
        or by its own equations:

            def friction(self, q, qd, m):
                return viscous(qd, self.named(m).b)
        """
        return None

    def energy_scale(self, m: Array) -> Array:
        """The energy in joules against which drift is judged: by default the kinetic energy of
        typical velocities at q = 0.
        """
        speed = jnp.asarray(self.magnitudes.qd, m.dtype)
        rest = jnp.zeros_like(speed)
        return 0.5 * speed @ self.mass_matrix(rest, rest, m) @ speed

    # -- data ---------------------------------------------------------------------------------

    def sample(self, key: Array, m: Array | None = None) -> Sample:
        """One state to train on, with or without forces; see `systems.sample`.

        Arguments:
            m: the parameters (k,) of the machine; default: as the system draws them.
        """
        return default_sample(self, self.task(coordinates=self).limits, key, m)

    def distributions(self) -> Distributions:
        """What models are judged on: unforced states of `sample`, and free motion from rest."""

        def unforced(key: Array, m: Array | None = None) -> Sample:
            sample = drawn_at(self.sample, key, m)
            return sample._replace(tau=jnp.zeros_like(sample.tau))

        def at_rest(key: Array, m: Array | None = None) -> Sample:
            sample = unforced(key, m)
            near = sample.q if all(self.angular) else jnp.clip(sample.q, *self._lengths())
            return sample._replace(q=near, qd=jnp.zeros_like(sample.qd))

        return Distributions(unforced, at_rest)

    def range_of(self, name: str) -> tuple[float, float]:
        """(low, high) over which a parameter varies by default: as `varies` states it, or
        as it is drawn at reset.

        Raises:
            ConfigurationError: neither is known, or `varies` states what makes no sense.
        """
        default, stated = self.parameters[name].default, self.varies.get(name)
        if isinstance(stated, int | float) and not isinstance(default, tuple):
            stated = default - stated * abs(default), default + stated * abs(default)
        bounds = self.parameter_bounds(**{name: default if stated is None else stated})
        low, high = bounds[:, list(self.parameters).index(name)].tolist()
        if low == high:
            raise ConfigurationError(
                f"{self.name} does not say over what {name} varies: state it, as in "
                f'{{"{name}": (low, high)}}, or in the class as `varies`'
            )
        return low, high

    def drawn_anew(self, ranges: Ranges) -> Ranges:
        """Of the ranges of parameters those that `sample` does not draw by itself."""
        own = {name: self.range_of(name) for name in self.varying}
        return {name: pair for name, pair in ranges.items() if own.get(name) != tuple(pair)}

    # -- derived ------------------------------------------------------------------------------

    @property
    def mechanics(self) -> Mechanics:
        """Its energies, momenta and forces with its own parameters filled in: `systems.view`."""
        numbers = {n: p.default for n, p in self.parameters.items() if n not in self.varying}
        return Mechanics(self, self, numbers)

    @property
    def name(self) -> str:  # type: ignore[override]
        """The class's name."""
        return type(self).__name__

    @property
    def magnitudes(self) -> Magnitudes:
        """Typical magnitudes of q, q̇ and τ: what is stated, estimates of the rest."""
        if not self.estimated:
            return Magnitudes(self.q_scale, self.qd_scale, self.tau_scale)  # type: ignore[arg-type]
        return _estimated_magnitudes(self)

    def _recommended_substeps(self, *, learned: bool, m_bounds: np.ndarray | None) -> float:
        stated = self.learned_substeps if learned else self.substeps
        if stated is None:
            stated = super()._recommended_substeps(learned=learned, m_bounds=m_bounds)
        bounds = self.parameter_bounds() if m_bounds is None else m_bounds
        rate = _friction_rate(self, tuple(bounds.max(axis=0).tolist()), learned)
        return max(float(stated), REFERENCE_DT * rate / _RATE_A_SUBSTEP)

    def friction_to_learn(self, m_bounds: np.ndarray) -> str:
        """`learned_friction`; where that is none and there is friction, what has its form."""
        if self.learned_friction != "none":
            return self.learned_friction
        return _form_of_friction(self, tuple(np.max(m_bounds, axis=0).tolist()))

    def _lengths(self) -> tuple[np.ndarray, np.ndarray]:
        reach = np.where(self.angular, np.inf, 2.0 * np.array(self.magnitudes.q))
        return -reach, reach


@functools.lru_cache(maxsize=256)
def check_friction(system: System) -> None:
    """Refuse friction that is no force on these coordinates, or that puts energy in.

    Raises:
        ConfigurationError: naming the system, what its friction is and what was expected.
    """
    q, qd = np.random.default_rng(0).uniform(-1.0, 1.0, (2, 64, system.n))
    m = system.parameter_bounds().mean(axis=0)
    states = (q * system.magnitudes.q, qd * system.magnitudes.qd)
    try:
        force = evaluated(jax.vmap(system.friction, (0, 0, None)), *states, m)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"{system.name}.friction fails: {error}") from error
    if force is None:
        return
    if force.shape != states[1].shape:
        raise ConfigurationError(
            f"{system.name}.friction returns an array of shape {force.shape[1:]}: expected "
            f"one force a coordinate, {(system.n,)}"
        )
    power = np.sum(states[1] * force, axis=1)
    if not np.all(power <= 1e-9 * np.abs(power).max()):
        worst = int(np.argmax(np.nan_to_num(power, nan=np.inf)))
        raise ConfigurationError(
            f"{system.name}.friction has a power of {power[worst]:+.3g} W at q = "
            f"{states[0][worst]}, q̇ = {states[1][worst]}: friction takes energy out, its power "
            "must not be positive"
        )


@functools.lru_cache(maxsize=256)
def _form_of_friction(system: System, parameters: tuple[float, ...]) -> str:
    """No friction, "viscous" if it is in proportion to velocities, "coulomb" otherwise."""
    q, qd = np.random.default_rng(0).uniform(-1.0, 1.0, (2, 64, system.n))
    q, qd, m = q * system.magnitudes.q, qd * system.magnitudes.qd, np.array(parameters)
    force = evaluated(jax.vmap(system.friction, (0, 0, None)), q, qd, m)
    if force is None or not np.any(force):
        return "none"
    twice = evaluated(jax.vmap(system.friction, (0, 0, None)), q, 2.0 * qd, m)
    return "viscous" if np.allclose(twice, 2.0 * force, rtol=1e-9, atol=0.0) else "coulomb"


@functools.lru_cache(maxsize=256)
def _friction_rate(system: System, parameters: tuple[float, ...], learned: bool) -> float:
    """The fastest rate in 1/s at which friction alone stops a motion near rest: the largest
    eigenvalue of M⁻¹ ∂F/∂q̇. Learned friction does not change within less than a hundredth of a
    typical velocity, so ∂F/∂q̇ is then the difference over that.
    """
    m = np.array(parameters)
    rng = np.random.default_rng(0)
    reach = np.where(system.angular, np.pi, system.magnitudes.q)
    q = rng.uniform(-1.0, 1.0, (64, system.n)) * reach
    qd, near = np.zeros_like(q), NARROWEST * np.array(system.magnitudes.qd)

    with jax.enable_x64(True):
        if jax.eval_shape(system.friction, q[0], qd[0], m) is None:
            return 0.0

    def one(q: Array, qd: Array, m: Array) -> tuple[Array, Array]:
        force: Any = lambda v: system.friction(q, v, m)  # noqa: E731
        slope = jax.vmap(force)(jnp.diag(near)).T / near if learned else jax.jacfwd(force)(qd)
        return system.mass_matrix(q, qd, m), slope

    masses, slopes = evaluated(jax.vmap(one, (0, 0, None)), q, qd, m)
    return float(np.abs(np.linalg.eigvals(np.linalg.solve(masses, slopes))).max())


@functools.lru_cache(maxsize=256)
def _estimated_magnitudes(system: System) -> Magnitudes:
    q = np.array(system.q_scale or (1.0,) * system.n)
    reach = np.where(system.angular, 1.0, q)
    potential, masses = _at_rest(system, q)
    spread = float(np.std(potential))
    if not spread > 1e-9 * float(np.mean(masses @ reach**2)):
        spread = float(np.mean(masses * reach**2))
    task = system.task
    forces = np.zeros(system.n)
    if task.force_max is not None:
        driven = task(coordinates=_known(system)).motors
        forces[list(driven)] = task.force_max
    tau = np.maximum(spread / reach, forces)
    qd = np.sqrt(2.0 * tau * reach / masses)
    estimates = dict(zip(SCALES, (tuple(one.tolist()) for one in (q, qd, tau)), strict=True))
    return Magnitudes(*(getattr(system, name) or estimates[name] for name in SCALES))


def _known(system: System) -> Coordinates:
    """The names alone, of which a task can be made while magnitudes are unknown."""
    return Coordinates(system.coordinates, angular=system.angular, parameters=system.parameters)


def _at_rest(system: System, q_scale: np.ndarray, states: int = 256) -> tuple[np.ndarray, ...]:
    """Potential energies (N,) and mean masses (n,) over angles and typical lengths."""
    rng = np.random.default_rng(0)
    shares = rng.uniform(-1.0, 1.0, (states, system.n))
    q = shares * np.where(system.angular, np.pi, q_scale)
    m = system.parameter_bounds().mean(axis=0)

    def one(q: Array, m: Array) -> tuple[Array, Array]:
        rest = jnp.zeros_like(q)
        return system.energy(q, rest, m), jnp.diagonal(system.mass_matrix(q, rest, m))

    potential, masses = evaluated(jax.vmap(one, in_axes=(0, None)), q, m)
    return potential, masses.mean(axis=0)
