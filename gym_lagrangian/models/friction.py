r"""Learned friction: generalized forces of a model that only ever take energy out, q̇ᵀF ≤ 0.

    viscous    F_i = −(P / s_i²) c_i(m) q̇_i,    c_i = softplus(b_i + w_iᵀ m)
    coulomb    F_i = −(P_i / s_i) (a_i v_i + b_i tanh(v_i / w_i)),    a, b, w > 0
    passive    F   = −P S⁻¹ A u(Aᵀ v),          v = q̇ / s,  S = diag s

P is a power in watts and s are typical velocities, so that what is learned are numbers of order
one; P_i / s_i is the typical force of one joint. A = 1 + N(q, q̇, m) is an (n, n) matrix from a
network. u is odd and increasing, component by component:

    u_j(y) = a_j y + b_j tanh(y / w_j),    a, b, w > 0.

With y = Aᵀv the power of the passive friction is q̇ᵀF = −P yᵀu(y), and no term of that sum is
negative: it takes energy out whatever its weights are. The form −A Aᵀ u(v) does not ensure this for
n ≥ 2. The first part of u is viscous, the second is Coulomb's. The network sees tanh(20 v)
beside v, since Coulomb's force changes within a small part of the range of velocities. The kind
``"coulomb"`` has both parts as well, with three numbers a joint that depend on nothing. The
parameters m are those on which the model is conditioned. q̇ is the model's own velocity.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from gym_lagrangian.models.embedding import Embedding, Features
from gym_lagrangian.models.network import Network, Shape, Weights
from gym_lagrangian.physics.friction import NARROWEST
from gym_lagrangian.physics.shapes import Matrix, Parameters, Vector

# The share of a typical velocity within which Coulomb's force is shown to the network to change.
_SLOW = 0.05

# Where the positive numbers begin, before softplus: at .05, so that training starts close to no
# friction and far enough from zero to learn.
_START = -3.0


class Viscous(eqx.Module):
    """A force in proportion to each velocity.

    Attributes:
        embedding: how parameters are seen; its q̇ scale is s.
        power: P in watts.
        bias: b (n,).
        weights: w (n, k) for the k parameters of the embedding; None where there are none.
    """

    kind: ClassVar[str] = "viscous"

    embedding: Embedding
    power: float = eqx.field(static=True)
    bias: Vector
    weights: Weights | None

    def __init__(self, embedding: Embedding, shape: Shape, power: float, *, key: Array):
        """Coefficients that begin small; neither `shape` nor `key` is used."""
        n, k = embedding.n, len(embedding.m_index)
        self.embedding, self.power = embedding, power
        self.bias = _START * jnp.ones(n)  # jnp.full would be weakly typed, and compile a fit twice
        self.weights = jnp.zeros((n, k)) if k else None

    def coefficients(self, m: Parameters) -> Vector:
        """The coefficients P c / s² (n,) in N·s/m or N·m·s."""
        raw = self.bias
        if self.weights is not None:
            raw = raw + self.weights @ self.embedding.parameters(m)
        speed = jnp.array(self.embedding.qd_scale, raw.dtype)
        return self.power / speed**2 * jax.nn.softplus(raw)

    def __call__(self, q: Vector, qd: Vector, m: Parameters) -> Vector:
        """F (n,) in N or N·m."""
        return -self.coefficients(m) * qd


class Coulomb(eqx.Module):
    """Viscous and Coulomb friction of each joint, the same everywhere.

    Attributes:
        embedding: its scales of q̇ and τ are s and P_i / s_i.
        power: unused: each joint has its own.
        slope, step, width: a, b and w (n,) before softplus.
    """

    kind: ClassVar[str] = "coulomb"

    embedding: Embedding
    power: float = eqx.field(static=True)
    slope: Vector
    step: Vector
    width: Vector

    def __init__(self, embedding: Embedding, shape: Shape, power: float, *, key: Array):
        """A force that begins small; neither `shape` nor `key` is used."""
        self.embedding, self.power = embedding, power
        self.slope = self.step = self.width = _START * jnp.ones(embedding.n)

    def __call__(self, q: Vector, qd: Vector, m: Parameters) -> Vector:
        """F (n,) in N or N·m."""
        force = jnp.array(self.embedding.tau_scale, qd.dtype)
        v = qd / jnp.array(self.embedding.qd_scale, qd.dtype)
        slope, step, width = map(jax.nn.softplus, (self.slope, self.step, self.width))
        return -force * (slope * v + step * jnp.tanh(v / (NARROWEST + width)))


class Passive(eqx.Module):
    """A force that a network states and that cannot do positive work.

    Attributes:
        embedding: how the network sees a state; its q̇ scale is s.
        power: P in watts.
        network: N, n² outputs.
        slope, step, width: a, b and w (n,) before softplus.
    """

    kind: ClassVar[str] = "passive"

    embedding: Embedding
    power: float = eqx.field(static=True)
    network: Network
    slope: Vector
    step: Vector
    width: Vector

    def __init__(self, embedding: Embedding, shape: Shape, power: float, *, key: Array):
        """A network of two layers of at most 32 units, and a force that begins small."""
        n = embedding.n
        self.embedding, self.power = embedding, power
        shape = replace(shape, width=min(shape.width, 32), depth=2, initialiser="fan_in")
        self.network = Network(embedding.size + n, n * n, shape, key=key)
        self.slope = self.step = self.width = _START * jnp.ones(n)

    def __call__(self, q: Vector, qd: Vector, m: Parameters) -> Vector:
        """F (n,) in N or N·m."""
        speed = jnp.array(self.embedding.qd_scale, qd.dtype)
        mixing = self._mixing(q, qd / speed, m)
        return -self.power / speed * (mixing @ self._resistance(mixing.T @ (qd / speed)))

    def _mixing(self, q: Vector, v: Vector, m: Parameters) -> Matrix:
        """A (n, n)."""
        n = self.embedding.n
        return jnp.eye(n, dtype=v.dtype) + self.network(self._features(q, v, m)).reshape(n, n)

    def _features(self, q: Vector, v: Vector, m: Parameters) -> Features:
        seen = self.embedding
        return jnp.concatenate([seen.coordinates(q), v, jnp.tanh(v / _SLOW), seen.parameters(m)])

    def _resistance(self, y: Vector) -> Vector:
        """u(y) (n,)."""
        slope, step, width = map(jax.nn.softplus, (self.slope, self.step, self.width))
        return slope * y + step * jnp.tanh(y / (NARROWEST + width))


Friction = Viscous | Coulomb | Passive

FRICTIONS: dict[str, type[Friction]] = {
    "viscous": Viscous,
    "coulomb": Coulomb,
    "passive": Passive,
}


def typical_power(embedding: Embedding) -> float:
    """P in watts by default: the mean of τ q̇ over the coordinates."""
    return float(np.mean(np.multiply(embedding.tau_scale, embedding.qd_scale)))
