r"""Calibrated physics with a learned residual that is kept small where there are no data.

To the Lagrangian of `Calibrated` a network adds inertia and potential energy, and to its friction
another that takes energy out:

    L = L_physics + G(q) (½ q̇ᵀ D B Bᵀ D q̇ − h V),    F = F_physics + G(q, q̇) F_learned.

B (lower triangular) and V are of one network of q, D = diag √κ of typical masses κ and h a typical
energy. B Bᵀ has no negative eigenvalue, so that the mass matrix stays positive definite. B and V
start small. F_learned is the passive friction of `gym_lagrangian.models.friction`; a factor G ≥ 0
leaves its sign.

The gate G is near one where data were and fades with the distance from them, so that outside its
data the model is its physics. With the places c_k of the data in the space of embedded coordinates
(and velocities), and their typical distance w,

    G = S / (S + ε),    S = Σ_k exp(−|x − c_k|² / 2 w²).

A fit chooses the places among its data, each as far as possible from those chosen before. Without
any, G = 0: the model is `Calibrated`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from gym_lagrangian.checks import known_names, positive_number
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.models.base import IntegratedModel, Target, acceleration_error
from gym_lagrangian.models.calibrated import SETTINGS, Calibrated
from gym_lagrangian.models.embedding import Embedding, Features
from gym_lagrangian.models.friction import Passive, typical_power
from gym_lagrangian.models.network import Network, Shape
from gym_lagrangian.models.quantities import Quantities
from gym_lagrangian.models.settings import magnitude, per_coordinate, setting
from gym_lagrangian.physics.linear import as_matrix, as_vector
from gym_lagrangian.physics.mechanics import Lagrangian, euler_lagrange
from gym_lagrangian.physics.shapes import Matrix, Parameters, Scalar, Vector
from gym_lagrangian.systems.preset import Preset
from gym_lagrangian.systems.sample import Sample

# ε: where S is as large, the gate is one half. At one place alone S = 1, two widths off S = .14.
_OPEN = 0.1

# The last layer of the residual's network begins at this share of usual weights.
_START = 0.1

SHAPE = ("width", "depth")


class Residual(Lagrangian, IntegratedModel):
    """`Calibrated` physics and what a network adds to it near the data.

    Attributes:
        physics: the calibrated part.
        network: the entries of B row by row, then V.
        resistance: F_learned.
        potential_scale: h in joules.
        mass_scale: κ in kg (about a length) or kg·m² (about an angle), one or one a coordinate.
        friction_scale: a typical power of friction in watts; None for the mean of the typical τ q̇.
        places: c_k, rows of embedded coordinates and velocities; a fit chooses them.

    Its other settings are those of `Calibrated` and the network's ``width`` and ``depth``.
    """

    mass_matrix_solver: ClassVar[str] = "direct"
    presets: ClassVar[dict[str, Preset]] = Calibrated.presets
    # Weights that nothing asks for shrink.
    fitting: ClassVar[Preset] = Preset(
        {"friction": "none"}, {"steps": 3_000, "learning_rate": 5e-3, "weight_decay": 0.1}
    )

    embedding: Embedding
    physics: Calibrated
    network: Network
    resistance: Passive
    potential_scale: float = setting("potential_scale", 10.0, positive_number, "J")
    mass_scale: float | tuple[float, ...] = magnitude("mass_scale", 1.0, positive_number, "kg")
    friction_scale: float | None = eqx.field(static=True, kw_only=True, default=None)
    places: tuple[tuple[float, ...], ...] = eqx.field(static=True, kw_only=True, default=())

    @classmethod
    def settings(cls) -> tuple[str, ...]:
        own = ("potential_scale", "mass_scale", "friction_scale", "places")
        return (*SETTINGS, *SHAPE, *own)

    @classmethod
    def build(
        cls,
        embedding: Embedding,
        *,
        key: Array,
        legendre: Lagrangian | None = None,
        **config: Any,
    ) -> Residual:
        known_names(cls.__name__, cls.settings(), config)
        given = {name: config.pop(name) for name in SETTINGS if name in config}
        physics = Calibrated.build(embedding, key=key, legendre=legendre, **given)
        sizes: dict[str, Any] = {"width": 32, "depth": 2}
        sizes |= {name: config.pop(name) for name in SHAPE if name in config}
        shape = Shape(**sizes)
        config["places"] = _checked(embedding, config.get("places", ()))
        n, power = embedding.n, config.get("friction_scale")
        power = (
            typical_power(embedding)
            if power is None
            else positive_number("friction_scale", power, "W")
        )
        key_network, key_friction = jax.random.split(key)
        network = Network(embedding.size - n, n * (n + 1) // 2 + 1, shape, key=key_network)
        network = eqx.tree_at(lambda one: one.weights[-1], network, _START * network.weights[-1])
        resistance = Passive(embedding, shape, power, key=key_friction)
        return cls(embedding, physics, network, resistance, **config)

    @property
    def config(self) -> dict[str, Any]:
        shape, masses = self.network.shape, self.mass_scale
        return self.physics.config | {
            "width": shape.width,
            "depth": shape.depth,
            "potential_scale": self.potential_scale,
            "mass_scale": list(masses) if isinstance(masses, tuple) else masses,
            "friction_scale": self.friction_scale,
            "places": [list(place) for place in self.places],
        }

    @property
    def quantities(self) -> Quantities:
        """What its physics learns."""
        return self.physics.numbers

    @property
    def force_gains(self) -> Array | None:
        """γ (n,) of its physics; None where none is learned or given."""
        return self.physics.force_gains

    def lagrangian(self, q: Vector, qd: Vector, m: Parameters) -> Scalar:
        """L(q, q̇, m) in joules, a scalar."""
        return self.physics.lagrangian(q, qd, m) + self._added(q, qd, m)

    def terms_of_motion(self, q: Vector, qd: Vector, m: Parameters) -> tuple[Matrix, Vector]:
        """M and f of the physics and of what is added."""
        mass_matrix, force = self.physics.terms_of_motion(q, qd, m)
        more, push = euler_lagrange(self._added, q, qd, m)
        return as_matrix(mass_matrix) + more, as_vector(force) + push

    def friction(self, q: Vector, qd: Vector, m: Parameters) -> Vector | None:
        """F (n,), with q̇ᵀF ≤ 0."""
        own, seen = self.physics.friction(q, qd, m), self.embedding
        state = jnp.concatenate([seen.coordinates(q), seen.velocities(qd, m)])
        added = self.gate(state) * self.resistance(q, qd, m)
        return added if own is None else own + added

    def loss(self, sample: Sample, target: Target) -> Scalar:
        """Σ_i |q̈_i error|."""
        return acceleration_error(self, sample, target)

    def gate(self, x: Features) -> Scalar:
        """G in [0, 1] at embedded coordinates, or at those and velocities."""
        if not self.places:
            return jnp.zeros((), x.dtype)
        places = np.array(self.places)[:, : len(x)]
        near = jnp.exp(-jnp.sum((x - places) ** 2, axis=1) / (2 * _reach(places) ** 2))
        total = jnp.sum(near)
        return total / (total + _OPEN)

    def _added(self, q: Vector, qd: Vector, m: Parameters) -> Scalar:
        """What is added to the Lagrangian, in joules."""
        x, n = self.embedding.coordinates(q), self.embedding.n
        *entries, potential = self.network(jnp.concatenate([x, self.embedding.parameters(m)]))
        factor = jnp.zeros((n, n), q.dtype).at[np.tril_indices(n)].set(jnp.stack(entries))
        root = jnp.array(np.sqrt(per_coordinate(self.mass_scale, n)), q.dtype)
        kinetic = 0.5 * jnp.sum((factor.T @ (root * qd)) ** 2)
        return self.gate(x) * (kinetic - self.potential_scale * potential)


def places_among(
    embedding: Embedding, q: Any, qd: Any, m: Any, count: int = 32
) -> list[list[float]]:
    """Places c_k of recorded states: each as far as possible from those chosen before.

    Arguments:
        q, qd, m: (N, n), (N, n) and (N, k).
        count: how many at most.
    """

    def seen(q: Vector, qd: Vector, m: Parameters) -> Features:
        return jnp.concatenate([embedding.coordinates(q), embedding.velocities(qd, m)])

    chosen = slice(None, None, max(1, len(q) // 2_000))
    rows = (jnp.asarray(a[chosen], jnp.float32) for a in (q, qd, m))
    x = np.asarray(jax.jit(jax.vmap(seen))(*rows), np.float64)
    places = [x[0]]
    far = np.linalg.norm(x - x[0], axis=1)
    while len(places) < count and far.max() > 0:
        places.append(x[int(far.argmax())])
        far = np.minimum(far, np.linalg.norm(x - places[-1], axis=1))
    return np.round(places, 6).tolist()


def _reach(places: np.ndarray) -> float:
    """w: the mean distance from a place to the nearest other; 1 for one place."""
    apart = np.linalg.norm(places[:, None] - places, axis=2)
    np.fill_diagonal(apart, np.inf)
    nearest = apart.min(axis=1)
    usable = nearest[np.isfinite(nearest) & (nearest > 0)]
    return float(usable.mean()) if len(usable) else 1.0


def _checked(embedding: Embedding, places: Any) -> tuple[tuple[float, ...], ...]:
    size = embedding.size - len(embedding.m_index)
    is_list = isinstance(places, Sequence) and not isinstance(places, str)
    if not is_list or any(np.shape(place) != (size,) for place in places):
        raise ConfigurationError(
            f"places = {places!r}: expected rows of {size} numbers, embedded coordinates and "
            "velocities; a fit chooses them where they are left out"
        )
    return tuple(tuple(map(float, place)) for place in places)
