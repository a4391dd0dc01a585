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

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from gym_lagrangian.physics.linear import solve

# L(q, q̇, m); q and q̇ are arrays, or tuples of scalars in `components_of_motion`.
LagrangianFunction = Callable[[Any, Any, Array], Array]


def euler_lagrange(
    lagrangian: LagrangianFunction, q: Array, qd: Array, m: Array
) -> tuple[Array, Array]:
    r"""Mass matrix M (n, n) and force f (n,) of the equation of motion M q̈ = τ + f.

    One linearisation of the gradient g(q, q̇) = (∂L/∂q, ∂L/∂q̇) serves every second
    derivative: pushed along (0, e_i) it gives the columns of M, pushed along (q̇, 0) the
    product (∂²L/∂q∂q̇ᵀ) q̇, without ever forming the mixed matrix.
    """
    gradient = jax.grad(lagrangian, argnums=(0, 1))
    (dL_dq, _), push = jax.linearize(lambda q, qd: gradient(q, qd, m), q, qd)
    zero = jnp.zeros_like(q)
    basis = jnp.eye(q.shape[0], dtype=qd.dtype)
    _, columns = jax.vmap(lambda e: push(zero, e))(basis)
    _, drift = push(qd, zero)
    return columns.T, dL_dq - drift


def euler_lagrange_by_component(
    lagrangian: LagrangianFunction, q: Array, qd: Array, m: Array
) -> tuple[Array, Array]:
    """As `euler_lagrange`, for a Lagrangian that only indexes q and qd: q[0], qd[1] …"""
    rows, force = components_of_motion(lagrangian, q, qd, m)
    return jnp.stack([jnp.stack(row) for row in rows]), jnp.stack(force)


def components_of_motion(
    lagrangian: LagrangianFunction, q: Array, qd: Array, m: Array
) -> tuple[list[list[Array]], list[Array]]:
    """The rows of M and the entries of f as scalars.

    `lagrangian` is called with tuples of scalars, so that what is differentiated is scalar
    arithmetic throughout, and every derivative is taken along one variable alone: XLA cannot
    drop a product with zero. It then fuses an evaluation of q̈ into few kernels that compute each
    sine once, but only as long as nothing is stacked into an array on the way: a quarter of the
    run time of the array version for a double pendulum. A network, made of matrix products, is
    no such thing.
    """
    position, velocity = tuple(q), tuple(qd)

    def momentum(position, velocity):
        return jax.grad(lambda v: lagrangian(position, v, m))(velocity)

    def row(i):
        def along(v):
            return momentum(position, (*velocity[:i], v, *velocity[i + 1 :]))

        return jax.jvp(along, (velocity[i],), (jnp.ones_like(velocity[i]),))[1]

    slopes = jax.grad(lambda x: lagrangian(x, velocity, m))(position)
    drift = jax.jvp(lambda x: momentum(x, velocity), (position,), (velocity,))[1]
    force = [slope - moving for slope, moving in zip(slopes, drift, strict=True)]
    return [list(row(i)) for i in range(len(velocity))], force


class Lagrangian(eqx.Module):
    """Anything with a Lagrangian: a physical system or a network that learned one.

    Subclasses state `lagrangian`; the mechanics follow. `mass_matrix_solver` names how
    M q̈ = τ + f is solved, see `gym_lagrangian.physics.linear`.
    """

    mass_matrix_solver: ClassVar[str]

    @abstractmethod
    def lagrangian(self, q: Array, qd: Array, m: Array) -> Array:
        """L(q, q̇, m) in joules, a scalar."""

    def equation_of_motion(self, q: Array, qd: Array, m: Array) -> tuple[Array, Array]:
        """M (n, n) and f (n,) with M q̈ = τ + f."""
        return euler_lagrange(self.lagrangian, q, qd, m)

    def acceleration(self, q: Array, qd: Array, tau: Array, m: Array) -> Array:
        """q̈ = M⁻¹ (τ + f), shape (n,)."""
        mass_matrix, force = self.equation_of_motion(q, qd, m)
        return solve(mass_matrix, tau + force, method=self.mass_matrix_solver)

    def inverse_dynamics(self, q: Array, qd: Array, qdd: Array, m: Array) -> Array:
        """The generalized force τ = M q̈ − f that causes q̈, shape (n,)."""
        mass_matrix, force = self.equation_of_motion(q, qd, m)
        return mass_matrix @ qdd - force

    def mass_matrix(self, q: Array, qd: Array, m: Array) -> Array:
        """M = ∂²L/∂q̇∂q̇ᵀ, shape (n, n), symmetric."""
        return self.equation_of_motion(q, qd, m)[0]

    def momentum(self, q: Array, qd: Array, m: Array) -> Array:
        """Canonical momentum p = ∂L/∂q̇, shape (n,)."""
        return jax.grad(self.lagrangian, argnums=1)(q, qd, m)

    def energy(self, q: Array, qd: Array, m: Array) -> Array:
        """Conserved energy q̇ᵀp − L in joules, a scalar; dE/dt = q̇ᵀτ."""
        value, momentum = jax.value_and_grad(self.lagrangian, argnums=1)(q, qd, m)
        return qd @ momentum - value

    def velocity(self, q: Array, p: Array, m: Array, qd_guess: Array | None = None) -> Array:
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
            lambda linear, rhs: jnp.linalg.solve(jax.jacobian(linear)(rhs), rhs),
        )

    def _newton(self, q: Array, p: Array, m: Array, start: Array) -> Array:
        eps = jnp.finfo(start.dtype).eps

        def objective(qd):
            return self.lagrangian(q, qd, m) - p @ qd

        # Both loops carry their predicate. Recomputed in a loop's condition and again in its
        # vmapped body, a float comparison on the edge may come out differently in the two (XLA
        # contracts them differently), and the loop never ends.
        def improve(carry):
            qd, _, iteration = carry
            residual = p - self.momentum(q, qd, m)
            step = solve(self.mass_matrix(q, qd, m), residual, method=self.mass_matrix_solver)
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
