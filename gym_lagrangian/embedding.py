r"""How a network sees a state: smooth, scaled features of (q, q̇, τ, m).

An angle θ enters as (cos θ, sin θ), so that a learned function is periodic by construction
and no coordinate ever has to be wrapped; everything else is divided by a typical magnitude.
Derivatives are taken through the embedding, never around it.
"""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
from jax import Array


class Embedding(eqx.Module):
    """Features of a system's state; all fields are static configuration.

    Attributes:
        system: name of the system whose states these are.
        angular: for each of the n coordinates, whether it is an angle.
        q_scale, qd_scale, tau_scale: typical magnitudes (n,) in the units of q, q̇ and τ
            (the entry of an angular coordinate in `q_scale` is not used).
        m_index: which entries of m the network is conditioned on, ascending.
        m_scale: typical magnitudes of those entries.
    """

    system: str = eqx.field(static=True)
    angular: tuple[bool, ...] = eqx.field(static=True)
    q_scale: tuple[float, ...] = eqx.field(static=True)
    qd_scale: tuple[float, ...] = eqx.field(static=True)
    tau_scale: tuple[float, ...] = eqx.field(static=True)
    m_index: tuple[int, ...] = eqx.field(static=True)
    m_scale: tuple[float, ...] = eqx.field(static=True)

    @property
    def n(self) -> int:
        """Number of coordinates."""
        return len(self.angular)

    @property
    def size(self) -> int:
        """Number of features of (q, q̇, m)."""
        return 2 * self.n + sum(self.angular) + len(self.m_index)

    def coordinates(self, q: Array) -> Array:
        """(cos θ for every angle, sin θ for every angle, q / q_scale for the rest)."""
        angles = [i for i, angular in enumerate(self.angular) if angular]
        others = [i for i, angular in enumerate(self.angular) if not angular]
        parts = []
        if angles:
            theta = q[jnp.array(angles)] if others else q
            parts += [jnp.cos(theta), jnp.sin(theta)]
        if others:
            rest = q[jnp.array(others)] if angles else q
            parts.append(rest / jnp.array([self.q_scale[i] for i in others], q.dtype))
        return jnp.concatenate(parts)

    def velocities(self, qd: Array) -> Array:
        """q̇ / qd_scale, shape (n,)."""
        return qd / jnp.array(self.qd_scale, qd.dtype)

    def forces(self, tau: Array) -> Array:
        """τ / tau_scale, shape (n,)."""
        return tau / jnp.array(self.tau_scale, tau.dtype)

    def parameters(self, m: Array) -> Array:
        """The entries of m that the network is conditioned on, scaled."""
        if not self.m_index:
            return jnp.zeros((0,), m.dtype)
        return m[jnp.array(self.m_index)] / jnp.array(self.m_scale, m.dtype)

    def state(self, q: Array, qd: Array, m: Array) -> Array:
        """Features of (q, q̇, m), shape (size,)."""
        return jnp.concatenate([self.coordinates(q), self.velocities(qd), self.parameters(m)])
