r"""Lagrangian mechanics: everything that follows from a scalar L(q, q̇, m).

A mechanical system is its Lagrangian. From L come, by differentiation alone,

    canonical momentum    p    = ∂L/∂q̇
    mass matrix           M    = ∂²L/∂q̇∂q̇ᵀ
    conserved energy      E    = q̇ᵀp − L
    equation of motion    M q̈ = τ + f,   f = ∂L/∂q − (∂²L/∂q∂q̇ᵀ) q̇

where τ are the generalized forces (N along a length, N·m about an angle) and the mixed
matrix is indexed [i, j] = ∂²L/∂q_j∂q̇_i. The last line is the Euler–Lagrange equation
d/dt ∂L/∂q̇ − ∂L/∂q = τ with the time derivative expanded by the chain rule: Eq. 2 of
Cranmer et al., "Lagrangian Neural Networks" (2020), with forces.

Symbols: q coordinates (n,), qd = q̇ velocities (n,), qdd = q̈ accelerations (n,),
p momenta (n,), tau = τ generalized forces (n,), m non-dynamical parameters (k,). SI units
and radians throughout. Every function is written for one sample; batch with `jax.vmap`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.physics.components import Components
from gym_lagrangian.physics.linear import Entries, Rows, as_matrix, as_vector, solve
from gym_lagrangian.physics.shapes import Matrix, Parameters, Scalar, Vector, VectorOrComponents

# L(q, q̇, m); q and q̇ are arrays (n,), or `Components` of n scalars.
LagrangianFunction = Callable[[Any, Any, Any], Any]

# M and f, as arrays (n, n) and (n,) or as rows of scalars and scalars.
Terms = tuple[Matrix | Rows, Vector | Entries]


def motion_terms(lagrangian: LagrangianFunction, q: Vector, qd: Vector, m: Parameters) -> Terms:
    """M and f with M q̈ = τ + f: scalars where L can be evaluated on scalars, arrays elsewhere.

    A Lagrangian that only indexes, slices or unpacks q and q̇ takes `components_of_motion`, which
    compiles to a faster program. One that uses them as arrays takes `euler_lagrange`. Both give
    the same numbers.

    Raises:
        ConfigurationError: L is not a real scalar.
        IndexError: L asks for a coordinate that does not exist.
        Exception: whatever L raises for arrays.
    """
    if _takes_components(lagrangian, q, qd, m):
        return components_of_motion(lagrangian, q, qd, m)
    return euler_lagrange(lagrangian, q, qd, m)


def _takes_components(lagrangian: LagrangianFunction, q: Vector, qd: Vector, m: Parameters) -> bool:
    """Whether L can be evaluated on `Components`, found out without computing anything."""
    scalar = scalar_valued(lagrangian)

    def value(position, velocity):
        return scalar(Components(position), Components(velocity), m)

    entries = [[jax.ShapeDtypeStruct((), jnp.result_type(x))] * len(x) for x in (q, qd)]
    try:
        jax.eval_shape(value, *entries)
    except IndexError:
        raise  # an array would clamp the index without a word
    except Exception:  # if L is at fault, arrays show it, in its author's own terms
        return False
    return True


def euler_lagrange(
    lagrangian: LagrangianFunction, q: Vector, qd: Vector, m: Parameters
) -> tuple[Matrix, Vector]:
    r"""Mass matrix M (n, n) and force f (n,) of the equation of motion M q̈ = τ + f.

    One linearisation of the gradient g(q, q̇) = (∂L/∂q, ∂L/∂q̇) serves every second
    derivative: pushed along (0, e_i) it gives the columns of M, pushed along (q̇, 0) the
    product (∂²L/∂q∂q̇ᵀ) q̇, without ever forming the mixed matrix.
    """
    gradient = jax.grad(scalar_valued(lagrangian), argnums=(0, 1))
    (dL_dq, _), push = jax.linearize(lambda q, qd: gradient(q, qd, m), q, qd)
    zero = jnp.zeros_like(q)
    basis = jnp.eye(q.shape[0], dtype=qd.dtype)
    _, columns = jax.vmap(lambda e: push(zero, e))(basis)
    _, drift = push(qd, zero)
    return columns.T, dL_dq - drift


def force_of_motion(
    lagrangian: LagrangianFunction, q: Vector, qd: Vector, qdd: Vector, m: Parameters
) -> Vector:
    """d/dt ∂L/∂q̇ − ∂L/∂q = M q̈ − f (n,): the force that a motion takes, friction left out.

    One derivative of ∂L/∂q̇ along (q̇, q̈). No matrix is formed, so that the cost is that of a few
    evaluations of L whatever n is.
    """
    gradient = jax.grad(scalar_valued(lagrangian), argnums=(0, 1))
    (dL_dq, _), (_, rate) = jax.jvp(lambda q, qd: gradient(q, qd, m), (q, qd), (qd, qdd))
    return rate - dL_dq


def components_of_motion(
    lagrangian: LagrangianFunction, q: Vector, qd: Vector, m: Parameters
) -> tuple[Rows, Entries]:
    """The rows of M and the entries of f as scalars.

    `lagrangian` is called with `Components`, so that what is differentiated is scalar
    arithmetic throughout, and every derivative is taken along one variable alone: XLA cannot
    drop a product with zero. It then fuses an evaluation of q̈ into few kernels that compute each
    sine once, but only as long as nothing is stacked into an array on the way: a quarter of the
    run time of the array version for a double pendulum. A network, made of matrix products, is
    no such thing.
    """
    position, velocity = tuple(q), tuple(qd)
    scalar = scalar_valued(lagrangian)

    def value(position, velocity):
        return scalar(Components(position), Components(velocity), m)

    def momentum(position, velocity):
        return jax.grad(value, argnums=1)(position, velocity)

    def row(i):
        def along(v):
            return momentum(position, (*velocity[:i], v, *velocity[i + 1 :]))

        return jax.jvp(along, (velocity[i],), (jnp.ones_like(velocity[i]),))[1]

    slopes = jax.grad(value)(position, velocity)
    drift = jax.jvp(lambda x: momentum(x, velocity), (position,), (velocity,))[1]
    force = [slope - moving for slope, moving in zip(slopes, drift, strict=True)]
    return [list(row(i)) for i in range(len(velocity))], force


def scalar_valued(lagrangian: LagrangianFunction) -> Callable[[Any, Any, Any], Scalar]:
    """The same function, whose value is made sure to be a real scalar.

    A constant is a Lagrangian too, so Python numbers and integers are taken.

    Raises:
        ConfigurationError: when called, if the value is anything else.
    """

    def checked(q: VectorOrComponents, qd: VectorOrComponents, m: Parameters) -> Scalar:
        value = lagrangian(q, qd, m)
        is_array = hasattr(value, "shape") and hasattr(value, "dtype")
        if not is_array and not isinstance(value, bool | int | float):
            raise ConfigurationError(_not_a_scalar(lagrangian, type(value).__name__))
        value = jnp.asarray(value)
        if value.shape != () or jnp.iscomplexobj(value):
            raise ConfigurationError(
                _not_a_scalar(lagrangian, f"{value.dtype} of shape {value.shape}")
            )
        return value.astype(jnp.result_type(value, float))

    return checked


def _not_a_scalar(lagrangian: LagrangianFunction, found: str) -> str:
    owner = getattr(lagrangian, "__self__", None)
    name = getattr(lagrangian, "__qualname__", repr(lagrangian))
    if owner is not None:
        name = f"{type(owner).__name__}.lagrangian"
    return f"{name} returned {found}: expected a real number, an array of shape ()"


class Lagrangian(ABC):
    """Anything with a Lagrangian: a physical system or a network that learned one.

    A subclass states L, and the terms M and f that follow from it in the way that is fastest for
    it: by `motion_terms`, or in closed form. All else follows here and is final.

    Attributes:
        mass_matrix_solver: how M q̈ = τ + f is solved, see `gym_lagrangian.physics.linear`.
        has_energy: True: there is an `energy`, which forces and friction alone change.
    """

    mass_matrix_solver: ClassVar[str]
    has_energy: ClassVar[bool] = True

    @abstractmethod
    def lagrangian(self, q: VectorOrComponents, qd: VectorOrComponents, m: Parameters) -> Scalar:
        """L(q, q̇, m) in joules, a scalar."""

    @abstractmethod
    def terms_of_motion(self, q: Vector, qd: Vector, m: Parameters) -> Terms:
        """M and f with M q̈ = τ + f, as arrays or as scalars: ``motion_terms(self.lagrangian, …)``
        unless there is a better way to the same numbers.
        """

    def friction(self, q: Vector, qd: Vector, m: Parameters) -> Vector | None:
        """The generalized force F (n,) of friction, with q̇ᵀF ≤ 0; None where there is none, which
        is the usual answer. See `gym_lagrangian.physics.friction`.
        """
        return None

    def force_of_motion(self, q: Vector, qd: Vector, qdd: Vector, m: Parameters) -> Vector:
        """M q̈ − f (n,), the force that a motion takes, friction left out; this is the usual way
        to it, which forms no matrix.
        """
        return force_of_motion(self.lagrangian, q, qd, qdd, m)

    @property
    def typical_masses(self) -> tuple[float, ...] | None:
        """Masses (n,) relative to which a damped solve is damped; None for 1 kg or 1 kg·m², which
        is the usual answer.
        """
        return None

    @property
    def force_gains(self) -> Vector | None:
        """γ (n,), where a force τ that is measured or commanded acts as γ τ; None, the usual
        answer, where it acts as it is.
        """
        return None

    def solved(self, mass_matrix: Matrix | Rows, force: Vector | Entries) -> Vector:
        """x (n,) with M x = `force`, by `mass_matrix_solver`."""
        method = self.mass_matrix_solver
        return solve(mass_matrix, force, method=method, masses=self.typical_masses)

    def equation_of_motion(self, q: Vector, qd: Vector, m: Parameters) -> tuple[Matrix, Vector]:
        """M (n, n) and f (n,) with M q̈ = τ + f + F."""
        mass_matrix, force = self.terms_of_motion(q, qd, m)
        return as_matrix(mass_matrix), as_vector(force)

    def acceleration(self, q: Vector, qd: Vector, tau: Vector, m: Parameters) -> Vector:
        """q̈ = M⁻¹ (γ τ + f + F), shape (n,); in scalars to the end where M and f are scalars."""
        mass_matrix, force = self.terms_of_motion(q, qd, m)
        friction, gains = self.friction(q, qd, m), self.force_gains
        tau = tau if gains is None else gains * tau
        tau = tau if friction is None else tau + friction
        return self.solved(mass_matrix, _sum(tau, force))

    def inverse_dynamics(self, q: Vector, qd: Vector, qdd: Vector, m: Parameters) -> Vector:
        """The generalized force τ = (M q̈ − f − F) / γ that causes q̈, shape (n,)."""
        tau, friction = self.force_of_motion(q, qd, qdd, m), self.friction(q, qd, m)
        tau = tau if friction is None else tau - friction
        return tau if self.force_gains is None else tau / self.force_gains

    def mass_matrix(self, q: Vector, qd: Vector, m: Parameters) -> Matrix:
        """M = ∂²L/∂q̇∂q̇ᵀ, shape (n, n), symmetric."""
        return self.equation_of_motion(q, qd, m)[0]

    def momentum(self, q: Vector, qd: Vector, m: Parameters) -> Vector:
        """Canonical momentum p = ∂L/∂q̇, shape (n,)."""
        return jax.grad(scalar_valued(self.lagrangian), argnums=1)(q, qd, m)

    def energy(self, q: Vector, qd: Vector, m: Parameters) -> Scalar:
        """Energy q̇ᵀp − L in joules, a scalar; dE/dt = q̇ᵀτ + q̇ᵀF."""
        lagrangian = scalar_valued(self.lagrangian)
        value, momentum = jax.value_and_grad(lagrangian, argnums=1)(q, qd, m)
        return qd @ momentum - value

    def velocity(
        self, q: Vector, p: Vector, m: Parameters, qd_guess: Vector | None = None
    ) -> Vector:
        """q̇ (n,) with ∂L/∂q̇ = p: the inverse of `momentum`.

        Minimises the convex function L(q, q̇, m) − pᵀq̇ over q̇ by Newton's method with
        step halving, from `qd_guess` (default: at rest). One step suffices where the
        kinetic energy is quadratic in q̇. Differentiable at every order, by the implicit
        function theorem (`jax.lax.custom_root`).
        """
        guess = jnp.zeros_like(q) if qd_guess is None else qd_guess
        return jax.lax.custom_root(
            lambda qd: self.momentum(q, qd, m) - p,
            guess,
            lambda _, start: self._newton(q, p, m, start),
            lambda linear, rhs: solve(jax.jacobian(linear)(rhs), rhs, method="direct"),
        )

    def _newton(self, q: Vector, p: Vector, m: Parameters, start: Vector) -> Vector:
        eps = jnp.finfo(start.dtype).eps
        lagrangian = scalar_valued(self.lagrangian)

        def objective(qd):
            return lagrangian(q, qd, m) - p @ qd

        # Both loops carry their predicate. Recomputed in a loop's condition and again in its
        # vmapped body, a float comparison on the edge may come out differently in the two (XLA
        # contracts them differently), and the loop never ends.
        def improve(carry):
            qd, _, iteration = carry
            residual = p - self.momentum(q, qd, m)
            step = self.solved(self.mass_matrix(q, qd, m), residual)
            value = objective(qd)
            most = value + 8 * eps * (1.0 + jnp.abs(value))

            def too_far(scale, halvings):
                # Outside the domain of L (|v| ≥ c, say) the value is not finite: too far as well.
                return (halvings < 60) & ~(objective(qd + scale * step) <= most)

            def halve(carry):
                scale, halvings, _ = carry
                scale, halvings = 0.5 * scale, halvings + 1
                return scale, halvings, too_far(scale, halvings)

            one = jnp.ones((), start.dtype)
            first = (one, 0, too_far(one, 0))
            scale, _, _ = jax.lax.while_loop(lambda carry: carry[2], halve, first)
            change = scale * step
            unsolved = jnp.any(jnp.abs(change) > 8 * eps * (1.0 + jnp.abs(qd + change)))
            return qd + change, unsolved & (iteration < 99), iteration + 1

        first = (start, jnp.ones((), bool), 0)
        return jax.lax.while_loop(lambda carry: carry[1], improve, first)[0]


def _sum(tau: Vector, force: Vector | Entries) -> Vector | Entries:
    """τ + f, in scalars where f is."""
    if isinstance(force, Sequence):
        return [tau[i] + entry for i, entry in enumerate(force)]
    return tau + force
