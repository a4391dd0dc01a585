r"""The inputs of a network: smooth, scaled features of a state, (q, q̇, τ, m).

An angle θ enters as (cos θ, sin θ), so that a learned function is periodic by construction
and no coordinate ever has to be wrapped. A velocity below a limit c enters stretched, as
u = c f(v/c) by one of two maps,

    ``"rapidity"``  f(β) = artanh β
    ``"kinetic"``   f(β) = β √(2γ / (1 + γ)),  with which ½ u² = c² (1 − 1/γ)

where γ = (1 − β²)^(−½): the second for masses that grow as γ³ on the way to c, the first for those
that grow faster. What is learned then has a pole at c, which a network cannot follow in v itself.
The momentum of such a coordinate enters as artsinh(p). For v ≪ c these are v and p. All features
are divided by typical magnitudes. A cyclic coordinate does not enter, its velocity does.
Derivatives of a model include those of the embedding.
"""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Float

from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.physics.shapes import AnyArray, Parameters, Scalar, Vector
from gym_lagrangian.systems.coordinates import Coordinates

Features = Float[AnyArray, " features"]

STRETCHES = {
    "rapidity": jnp.arctanh,
    "kinetic": lambda share: share * jnp.sqrt(2.0 / (1.0 + jnp.sqrt(1.0 - share**2))),
}

# The k above: the mass of a particle grows as γ^(k + 2).
GROWTH = {"rapidity": 3, "kinetic": 1}

# The largest share of its limit at which a velocity is told from the limit itself: float32 tells
# no more, and an integrator's stage that falls beyond must not turn into NaN.
CLOSEST = 1.0 - 1e-6


class Embedding(eqx.Module):
    """Features of a system's state; all fields are static configuration.

    Attributes:
        system: name of the system whose states these are.
        angular: for each of the n coordinates, whether it is an angle.
        q_scale, qd_scale, tau_scale: typical magnitudes (n,) in the units of q, q̇ and τ
            (the entry of an angular coordinate in `q_scale` is not used).
        speed_limit: for each velocity, which entry of m is its limit c and the name of its map,
            or None.
        m_index, m_names: which entries of m the network is conditioned on, ascending, and their
            names.
        m_scale, m_units: typical magnitudes of those entries, and their SI units.
        fixed_units: name → unit of the other parameters that are not zero, as pairs.
        cyclic: which coordinates networks do not see, ascending.
    """

    system: str = eqx.field(static=True)
    angular: tuple[bool, ...] = eqx.field(static=True)
    q_scale: tuple[float, ...] = eqx.field(static=True)
    qd_scale: tuple[float, ...] = eqx.field(static=True)
    tau_scale: tuple[float, ...] = eqx.field(static=True)
    speed_limit: tuple[tuple[int, str] | None, ...] = eqx.field(static=True)
    m_index: tuple[int, ...] = eqx.field(static=True)
    m_scale: tuple[float, ...] = eqx.field(static=True)
    m_names: tuple[str, ...] = eqx.field(static=True, default=())
    m_units: tuple[str, ...] = eqx.field(static=True, default=())
    fixed_units: tuple[tuple[str, str], ...] = eqx.field(static=True, default=())
    cyclic: tuple[int, ...] = eqx.field(static=True, default=())

    @classmethod
    def of(cls, coordinates: Coordinates, conditioned_on: tuple[str, ...] = ()) -> Embedding:
        """How a network sees the states of a machine, conditioned on the named parameters.

        Raises:
            ConfigurationError: a name is not one of its parameters.
        """
        names = list(coordinates.parameters)
        for name in conditioned_on:
            if name not in names:
                raise ConfigurationError(
                    f"{coordinates.name} has no parameter {name!r} to condition on; "
                    f"it has {', '.join(names) or 'none'}"
                )
        index = tuple(i for i, name in enumerate(names) if name in conditioned_on)
        typical = coordinates.magnitudes
        others = {k: p for k, p in coordinates.parameters.items() if k not in conditioned_on}
        return cls(
            system=coordinates.name,
            angular=coordinates.angular,
            q_scale=typical.q,
            qd_scale=typical.qd,
            tau_scale=typical.tau,
            speed_limit=tuple(
                None if limit is None else (names.index(limit[0]), limit[1])
                for limit in coordinates.speed_limit
            ),
            m_index=index,
            m_scale=tuple(coordinates.parameters[names[i]].scale for i in index),
            m_names=tuple(names[i] for i in index),
            m_units=tuple(coordinates.parameters[names[i]].unit for i in index),
            fixed_units=tuple((k, p.unit) for k, p in others.items() if p.default != 0.0),
            cyclic=tuple(coordinates.coordinates.index(name) for name in coordinates.cyclic),
        )

    @property
    def n(self) -> int:
        """Number of coordinates."""
        return len(self.angular)

    @property
    def size(self) -> int:
        """Number of features of (q, q̇, m)."""
        angles, others = self._seen
        return 2 * len(angles) + len(others) + self.n + len(self.m_index)

    @property
    def _seen(self) -> tuple[list[int], list[int]]:
        """Which coordinates enter: the angles, and the others."""
        seen = [i for i in range(self.n) if i not in self.cyclic]
        return [i for i in seen if self.angular[i]], [i for i in seen if not self.angular[i]]

    def coordinates(self, q: Vector) -> Features:
        """(cos θ for every angle, sin θ for every angle, q / q_scale for the rest), without cyclic
        coordinates.
        """
        angles, others = self._seen
        parts = []
        if angles:
            theta = q if len(angles) == self.n else q[jnp.array(angles)]
            parts += [jnp.cos(theta), jnp.sin(theta)]
        if others:
            rest = q if len(others) == self.n else q[jnp.array(others)]
            parts.append(rest / jnp.array([self.q_scale[i] for i in others], q.dtype))
        return jnp.concatenate(parts)

    def stretched(self, qd: Vector, m: Parameters) -> Vector:
        """q̇, or u where it has a limit, shape (n,)."""
        for i, limit in enumerate(self.speed_limit):
            if limit is not None:
                index, name = limit
                share = jnp.clip(qd[i] / m[index], -CLOSEST, CLOSEST)
                qd = qd.at[i].set(m[index] * STRETCHES[name](share))
        return qd

    def velocities(self, qd: Vector, m: Parameters) -> Vector:
        """`stretched` / qd_scale, shape (n,)."""
        return self.stretched(qd, m) / jnp.array(self.qd_scale, qd.dtype)

    def momenta(self, p: Vector) -> Vector:
        """p in typical momenta, or its rapidity where the velocity has a limit, shape (n,)."""
        for i, limit in enumerate(self.speed_limit):
            if limit is not None:
                p = p.at[i].set(rapidity(p[i], GROWTH[limit[1]]))
        return p

    def forces(self, tau: Vector) -> Vector:
        """τ / tau_scale, shape (n,)."""
        return tau / jnp.array(self.tau_scale, tau.dtype)

    def parameters(self, m: Parameters) -> Features:
        """The entries of m that the network is conditioned on, scaled."""
        if not self.m_index:
            return jnp.zeros((0,), m.dtype)
        return m[jnp.array(self.m_index)] / jnp.array(self.m_scale, m.dtype)

    def state(self, q: Vector, qd: Vector, m: Parameters) -> Features:
        """Features of (q, q̇, m), shape (size,)."""
        return jnp.concatenate([self.coordinates(q), self.velocities(qd, m), self.parameters(m)])


def rapidity(p: Scalar, growth: int) -> Scalar:
    """w of p = sinh(k w) / k, for k = `growth`."""
    return jnp.arcsinh(growth * p) / growth
