r"""Planar chains of links on a fixed pivot or on a cart.

Link i has mass m_i, length l_i, its centre of mass at c_i from its joint, and inertia I_i about it.
With θ_i its angle from hanging down, counter-clockwise, and ω = θ̇,

    k_i = m_i c_i + l_i Σ_{j>i} m_j                     (first moment of what the link carries)
    a_ii = I_i + m_i c_i² + l_i² Σ_{j>i} m_j,           a_ij = l_i k_j for i < j
    T = ½ Σ_ij a_ij cos(θ_i − θ_j) ω_i ω_j,             V = −g Σ_i k_i cos θ_i

and on a cart at x of mass m_0

    T += ½ (m_0 + Σ m_i) ẋ² + ẋ Σ_i k_i cos θ_i ω_i.

The rotor of the motor in joint i has the inertia A_i when reflected to the joint (``armature``). It
turns N times (``gear``) as fast as the joint, and is carried round by the link before it:

    T += ½ Σ_i A_i (ω_i − ω_{i−1} + ω_{i−1} / N)²,      ω_0 = 0.

Without a gear ratio the last term is left out, as MuJoCo leaves it out of its armature. Friction
acts in the joints, whose velocities are v_i = ω_i − ω_{i−1}, and on the cart. It is a torque

    F_i = −b_i v_i − f_i tanh(v_i / w)

with reaction on the link before. The angles that the equations are in are absolute, θ, or relative,
θ_i − θ_{i−1}; see `chain_kinematics`. SI units and radians.

Reference for the equations: any text on multibody systems, such as Featherstone, "Rigid Body
Dynamics Algorithms" (2008). Chains with published parameters are in `machines`.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from gym_lagrangian.checks import finite_number, one_of, positive_number, whole_number
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.physics.friction import coulomb, viscous
from gym_lagrangian.physics.shapes import Parameters, Scalar, Vector, VectorOrComponents
from gym_lagrangian.systems.base import System
from gym_lagrangian.systems.chain_kinematics import ANGLES, RELATIVE, Kind, absolute_angles, places
from gym_lagrangian.systems.chain_tasks import SwingUp
from gym_lagrangian.systems.coordinates import Magnitudes, Parameter
from gym_lagrangian.systems.sample import Distributions, Sample, default_sample, drawn_at
from gym_lagrangian.systems.scene import Bob, Box, Force, Point, Rod, Scene, Torque

MOST_LINKS = 7

# Entries of M and f, one a coordinate.
_Row = list[Array]


class Links(NamedTuple):
    """The parameters of all links, (n,) of each, in the order in which m has them for one link."""

    m: Any
    l: Any  # noqa: E741
    c: Any
    I: Any  # noqa: E741
    viscous: Any
    coulomb: Any
    armature: Any


class Constants(NamedTuple):
    """What the equations hold beside the state: k (n,), a (n, n) and the rotors' own (n, n)."""

    k: list[Array]
    a: list[list[Array]]
    rotors: list[list[Array]]


class PlanarChain(System):
    """What all chains have in common; `Chain` takes its numbers as options, a machine states them.

    Attributes:
        links: number of links, 1 to 7.
        on_cart: whether they hang from a cart on a horizontal track, or from a fixed pivot.
        angles: ``"absolute"`` or ``"relative"``.
        gear: the ratio N of the motors' gears, negative where a rotor turns against its joint; None
            where the turning of rotors with their links is left out.
        width: w of Coulomb friction in rad/s, and in m/s for a cart.
        published: values of parameters by name. Those that are not named are 1 kg, 1 m, a uniform
            link's centre and inertia, no friction and no rotor, and g = 9.81 m/s².
    """

    links = 2
    on_cart = False
    angles = RELATIVE
    gear = None
    width = 0.1
    published: ClassVar[Mapping[str, float]] = {}
    task = SwingUp

    def __post_init__(self):
        if whole_number(f"{self.name} links", self.links) > MOST_LINKS:
            raise ConfigurationError(
                f"{self.name} links = {self.links}: expected at most {MOST_LINKS}"
            )
        one_of(f"{self.name} angles", self.angles, ANGLES)
        positive_number(f"{self.name} width", self.width, "rad/s")
        if self.gear is not None and not finite_number(f"{self.name} gear", self.gear, "turns"):
            raise ConfigurationError(f"{self.name} gear = 0: expected another ratio, or None")

    # -- coordinates ------------------------------------------------------------------------

    @property
    def kind(self) -> Kind:
        """Its links, cart and angles."""
        return Kind(self.links, bool(self.on_cart), self.angles)

    @property
    def coordinates(self) -> tuple[str, ...]:  # type: ignore[override]
        """``x`` of a cart, then ``theta1`` … (absolute) or ``joint1`` … (relative)."""
        return self.kind.coordinates

    @property
    def angular(self) -> tuple[bool, ...]:  # type: ignore[override]
        """All but the cart's position."""
        return (*(False,) * self.kind.first, *(True,) * self.links)

    @property
    def cyclic(self) -> tuple[str, ...]:  # type: ignore[override]
        """A cart's position: its rail is level."""
        return self.coordinates[: self.kind.first]

    @property
    def parameters(self) -> dict[str, Parameter]:  # type: ignore[override]
        """For each link i: mi, li, ci, Ii, viscousi, coulombi, armaturei; then g; then of a cart
        m0, viscous0 and coulomb0.
        """
        return dict(_parameters(self))

    @property
    def varies(self) -> dict[str, float]:  # type: ignore[override]
        """Masses, lengths and friction ±50 %, g ±20 %."""
        kinds = ("m", "l", "viscous", "coulomb")
        return {n: 0.5 for n in self.parameters if n.rstrip("01234567") in kinds} | {"g": 0.2}

    @property
    def magnitudes(self) -> Magnitudes:
        """Estimates as for every system, but one velocity for all angles, that of the fastest:
        energy wanders along a chain, and every link comes to turn as fast as the lightest.
        """
        typical, first = super().magnitudes, self.kind.first
        fastest = max(typical.qd[first:])
        return typical._replace(qd=(*typical.qd[:first], *(fastest,) * self.links))

    #: The fastest velocities of training states, in typical ones; None: the task's range. Three
    #: links under random torques stay below 5 times, in 999 of 1,000 instants below 3.3.
    fastest_drawn: ClassVar[float | None] = None

    def sample(self, key: Array, m: Array | None = None) -> Sample:
        """As of every system, with velocities up to `fastest_drawn`."""
        limits = self.task(coordinates=self).limits
        if self.fastest_drawn is not None:
            fastest = np.multiply(self.fastest_drawn, self.magnitudes.qd)
            limits = limits._replace(qd=tuple(fastest.tolist()))
        return default_sample(self, limits, key, m)

    def distributions(self) -> Distributions:
        """As of every system; where `fastest_drawn` is stated, at a quarter of the speed, which is
        that of its motion: a link that whips would leave what its model was shown within one step.
        """
        own = super().distributions()
        if self.fastest_drawn is None:
            return own

        def slower(key: Array, m: Array | None = None) -> Sample:
            sample = drawn_at(own.states, key, m)
            return sample._replace(qd=0.25 * sample.qd)

        return own._replace(states=slower, label="its own states at a quarter of the speed")

    # -- physics ----------------------------------------------------------------------------

    def lagrangian(self, q: VectorOrComponents, qd: VectorOrComponents, m: Parameters) -> Scalar:
        """T − V in joules, summed over the motions of the bodies, from the pivot to the tip."""
        first, part = self.kind.first, self._links(m)
        g = self._gravity(m)
        speed, height = (qd[0] if first else 0.0), 0.0
        kinetic: Any = 0.5 * self._cart(m)[0] * qd[0] ** 2 if first else 0.0
        sink, theta, omega = 0.0, 0.0, 0.0
        potential: Any = 0.0
        for i in range(self.links):
            housing = omega
            theta, omega = self._turned(q, theta, i), self._turned(qd, omega, i)
            sine, cosine = jnp.sin(theta), jnp.cos(theta)
            across, along = speed + part.c[i] * omega * cosine, sink + part.c[i] * omega * sine
            rotor = omega - housing + self._carried * housing
            kinetic += 0.5 * part.m[i] * (across**2 + along**2) + 0.5 * part.I[i] * omega**2
            kinetic += 0.5 * part.armature[i] * rotor**2
            potential += part.m[i] * g * (height - part.c[i] * cosine)
            speed, sink = speed + part.l[i] * omega * cosine, sink + part.l[i] * omega * sine
            height -= part.l[i] * cosine
        return kinetic - potential

    def check_together(self, bounds: Mapping[str, np.ndarray]) -> None:
        """Refuse a last link without inertia about its joint; every other carries a mass."""
        n = self.links
        spread, rotor = bounds[f"I{n}"][0], bounds[f"armature{n}"][0]
        low, high = bounds[f"c{n}"]
        if spread <= 0 and rotor <= 0 and low <= 0 <= high:
            raise ConfigurationError(
                f"{self.name}: link {n} has no inertia about its joint, with I{n} = 0, "
                f"armature{n} = 0 and c{n} = 0: give one of them a positive value"
            )

    def terms_of_motion(self, q: Array, qd: Array, m: Array) -> tuple[list[_Row], _Row]:
        """M and f of M q̈ = τ + f in closed form, as scalars, which compile to less and run faster
        than derivatives of the Lagrangian. In absolute angles, with the rotors' part R,

            M_ij = a_ij cos(θ_i − θ_j) + R_ij
            f_i  = −Σ_j a_ij sin(θ_i − θ_j) ω_j² − g k_i sin θ_i
            M_xx = m_0 + Σ m_i,   M_xi = k_i cos θ_i,   f_x = Σ_i k_i sin θ_i ω_i²
        """
        first, of = self.kind.first, self._constants(m)
        theta, omega = self._absolute(q), self._absolute(qd)
        sine, cosine = [jnp.sin(t) for t in theta], [jnp.cos(t) for t in theta]
        each = range(self.links)
        squares = [w**2 for w in omega]

        def between(i: int, j: int) -> Array:
            return of.a[i][j] * (cosine[i] * cosine[j] + sine[i] * sine[j]) + of.rotors[i][j]

        def turning(i: int, j: int) -> Array:
            return of.a[i][j] * (cosine[i] * sine[j] - sine[i] * cosine[j]) * squares[j]

        matrix = [[between(i, j) for j in each] for i in each]
        weight = [-self._gravity(m) * of.k[i] * sine[i] for i in each]
        force = [sum((turning(i, j) for j in each if j != i), weight[i]) for i in each]
        if first:
            push = [of.k[i] * cosine[i] for i in each]
            matrix = [[self._cart(m)[0] + sum(self._links(m).m), *push]] + [
                [push[i], *matrix[i]] for i in each
            ]
            force = [sum(of.k[i] * sine[i] * squares[i] for i in each), *force]
        return self._in_own_angles(matrix, force)

    def friction(self, q: Vector, qd: Vector, m: Parameters) -> Vector:
        """F (n,): viscous and Coulomb friction in every joint, and of a cart on its track."""
        kind, part = self.kind, self._links(m)
        to_joints = kind.joints_of_absolute() @ kind.absolute_of_own()
        speeds = _times(to_joints, qd)
        damping, dry = part.viscous, part.coulomb
        if kind.on_cart:
            _, cart_damping, cart_dry = self._cart(m)
            damping = jnp.concatenate([cart_damping[None], damping])
            dry = jnp.concatenate([cart_dry[None], dry])
        return _times(to_joints.T, viscous(speeds, damping) + self.dry_friction(speeds, dry))

    def dry_friction(self, speeds: Vector, coefficients: Vector) -> Vector:
        """Coulomb friction (n,) in the joints, which a machine may state in another form."""
        return coulomb(speeds, coefficients, self.width)

    def energy_scale(self, m: Parameters) -> Scalar:
        """What lifts the chain from hanging to upright, or for g = 0 the kinetic energy of typical
        velocities.
        """
        lift = 2.0 * jnp.abs(self._gravity(m)) * sum(jnp.abs(k) for k in self._constants(m).k)
        return jnp.where(lift > 0.0, lift, super().energy_scale(m))

    # -- picture ----------------------------------------------------------------------------

    def scene(self, q: np.ndarray, qd: np.ndarray, effort: np.ndarray, m: np.ndarray) -> Scene:
        """Links with their centres of mass, the cart on its track, the tip's path and the forces.

        Arguments:
            effort: what each motor does, as a share of its full force.
        """
        kind, part = self.kind, self._links(m)
        joints = [(float(x), float(y)) for x, y in places(self, q, m)]
        reach, theta = float(np.sum(part.l)), absolute_angles(kind, q)
        torques = [
            Torque(at, float(s)) for at, s in zip(joints, effort[kind.first :], strict=False)
        ]
        picture = Scene(
            extent=(1.06 * reach, 1.06 * reach),
            rods=tuple(Rod(*ends) for ends in itertools.pairwise(joints)),
            bobs=tuple(_bobs(joints, theta, part)),
            torques=tuple(torques),
            trace=joints[-1],
        )
        return _on_cart(picture, float(q[0]), float(effort[0]), reach) if kind.on_cart else picture

    # -- internals --------------------------------------------------------------------------

    @property
    def _carried(self) -> float:
        """1 / N: how much a rotor turns with the link that carries it."""
        return 0.0 if self.gear is None else 1.0 / self.gear

    def _links(self, m: Any) -> Links:
        width = len(Links._fields)
        return Links(*m[: width * self.links].reshape(self.links, width).T)

    def _gravity(self, m: Parameters) -> Array:
        return m[len(Links._fields) * self.links]

    def _cart(self, m: Parameters) -> Array:
        """m0, viscous0, coulomb0."""
        return m[len(Links._fields) * self.links + 1 :]

    def _turned(self, values: VectorOrComponents, before: Array | float, i: int) -> Array:
        """The absolute angle or velocity of link i, from that of the link before it."""
        own = values[self.kind.first + i]
        return before + own if self.angles == RELATIVE else own

    def _absolute(self, values: Array) -> list[Array]:
        """Absolute angles or velocities, one scalar a link."""
        found: list[Array] = []
        for i in range(self.links):
            found.append(self._turned(values, found[-1] if found else 0.0, i))
        return found

    def _constants(self, m: Array) -> Constants:
        part = self._links(m)
        each = range(self.links)
        beyond = [sum(part.m[i + 1 :], jnp.zeros_like(m[0])) for i in each]
        k = [part.m[i] * part.c[i] + part.l[i] * beyond[i] for i in each]
        own = [part.I[i] + part.m[i] * part.c[i] ** 2 + part.l[i] ** 2 * beyond[i] for i in each]
        a = [[part.l[min(i, j)] * k[max(i, j)] if i != j else own[i] for j in each] for i in each]
        return Constants(k, a, self._rotors(part.armature))

    def _rotors(self, armature: Array) -> list[list[Array]]:
        """Rᵀ diag(A) R (n, n), whose R ω are the speeds of the rotors over N."""
        each, back = range(self.links), self._carried - 1.0
        zero = jnp.zeros_like(armature[0])
        found = [[zero for _ in each] for _ in each]
        for i in each:
            found[i][i] = armature[i]
        for i in range(1, self.links):
            found[i - 1][i - 1] = found[i - 1][i - 1] + back**2 * armature[i]
            found[i - 1][i] = found[i][i - 1] = back * armature[i]
        return found

    def _in_own_angles(self, matrix: list[_Row], force: _Row) -> tuple[list[_Row], _Row]:
        """Sᵀ M S and Sᵀ f: sums over this link and those beyond it, where angles are relative."""
        if self.angles != RELATIVE:
            return matrix, force
        first, n = self.kind.first, len(force)
        matrix, force = [list(row) for row in matrix], list(force)
        for i in reversed(range(first, n - 1)):
            force[i] = force[i] + force[i + 1]
            matrix[i] = [
                here + beyond for here, beyond in zip(matrix[i], matrix[i + 1], strict=True)
            ]
        for row in matrix:
            for j in reversed(range(first, n - 1)):
                row[j] = row[j] + row[j + 1]
        return matrix, force


@functools.lru_cache(maxsize=256)
def _parameters(chain: PlanarChain) -> dict[str, Parameter]:
    found: dict[str, Parameter] = {}
    for i in range(1, chain.links + 1):
        found |= _link(i, chain.published)
    gravity = chain.published.get("g", 9.81)
    found["g"] = Parameter(gravity, "m/s²", positive=False, scale=abs(gravity) or 9.81)
    if chain.on_cart:
        mass = chain.published.get("m0", 1.0)
        found["m0"] = Parameter(mass, "kg", scale=mass)
        found["viscous0"] = Parameter.of_friction(chain.published.get("viscous0", 0.0), "N·s/m")
        found["coulomb0"] = Parameter.of_friction(chain.published.get("coulomb0", 0.0), "N")
    return found


def _link(i: int, published: Mapping[str, float]) -> dict[str, Parameter]:
    """The parameters of link i, in the order of `Links`."""
    mass, length = published.get(f"m{i}", 1.0), published.get(f"l{i}", 1.0)
    centre = published.get(f"c{i}", length / 2)
    inertia = published.get(f"I{i}", mass * length**2 / 12)
    damping, dry, armature = (
        published.get(f"{name}{i}", 0.0) for name in ("viscous", "coulomb", "armature")
    )
    size = mass * length**2
    return {
        f"m{i}": Parameter(mass, "kg", scale=mass),
        f"l{i}": Parameter(length, "m", scale=length),
        f"c{i}": Parameter(centre, "m", positive=False, scale=length),
        f"I{i}": Parameter(inertia, "kg·m²", positive=False, scale=size, least=0.0),
        f"viscous{i}": Parameter.of_friction(damping, "N·m·s"),
        f"coulomb{i}": Parameter.of_friction(dry, "N·m"),
        f"armature{i}": Parameter(armature, "kg·m²", positive=False, scale=size, least=0.0),
    }


def _times(matrix: np.ndarray, vector: Array) -> Array:
    """A constant matrix of −1, 0 and 1 times a vector, by sums alone."""
    rows = []
    for row in matrix:
        terms = [vector[j] if row[j] > 0 else -vector[j] for j in np.flatnonzero(row)]
        rows.append(sum(terms[1:], terms[0]))
    return jnp.stack(rows)


def _bobs(joints: list[Point], theta: np.ndarray, part: Links) -> list[Bob]:
    """Centres of mass, smaller where there are many links, so that the links stay in sight."""
    size = min(1.3, 2.6 / len(theta)) ** 3 / float(np.max(part.m))
    at = zip(joints[:-1], theta, part.m, part.c, strict=True)
    return [
        Bob((x + float(c * np.sin(t)), y - float(c * np.cos(t))), size * float(mass))
        for (x, y), t, mass, c in at
    ]


def _on_cart(picture: Scene, x: float, effort: float, reach: float) -> Scene:
    """The same on a cart, which the camera follows once it leaves the middle."""
    width, height = 0.36 * reach, 0.18 * reach
    side = x + np.copysign(width / 2, effort)
    return picture._replace(
        extent=(1.3 * reach, 1.06 * reach),
        boxes=(Box((x, 0.0), width, height),),
        forces=(Force((float(side), 0.0), effort),),
        track=True,
        centre=(x - float(np.clip(x, -0.2 * reach, 0.2 * reach)), 0.0),
    )


class Chain(PlanarChain):
    r"""A planar chain of links, on a fixed pivot or on a cart.

    ## Description
    One to seven rigid links hang from a pivot or a cart. Every joint, and the cart, may have a
    motor, viscous and Coulomb friction and a rotor. The motion is that of the equations in
    `gym_lagrangian.systems.chain`. The default task is to swing up (`chain_tasks.SwingUp`);
    `chain_tasks.Balance` and `chain_tasks.Reach` are others.

    ## Action Space
    A `Box(-1, 1)`, float32, one component for every motor, a cart's first. It is the force on the
    cart, or the torque in a joint, which pushes back on the link before. With
    `absolute_torques=True` the torque acts on the link alone. A full action is `force_max` (N or
    N·m). Out-of-range actions are clipped.

    ## Observation Space
    A `Box`, float32: cos of every angle, sin of every angle, x of a cart, all velocities. Angles
    are zero hanging down, counter-clockwise positive.

    ## Rewards
    In [0, 1] at every step, see the task.

    ## Starting State
    Within 0.1 (rad, m, rad/s, m/s) of hanging at rest, for the default task. `reset(options=...)`
    takes `{"state": (q, q̇)}` exactly, or `{"low": ..., "high": ...}` for a uniform draw.

    ## Episode End
    Terminates when a cart leaves its track (and for `Balance` when a link falls). Truncated after
    500 steps, or with `info["diverged"]` when a velocity leaves its range or the state is not
    finite.

    ## Arguments
    | Name                 | Default      | Meaning                                               |
    |----------------------|--------------|-------------------------------------------------------|
    | `links`              | 2            | number of links, 1 to 7                               |
    | `on_cart`            | False        | on a cart, or on a fixed pivot                        |
    | `angles`             | `"relative"` | `"relative"` (joint1, …) or `"absolute"` (theta1, …)  |
    | `gear`               | None         | ratio of the motors' gears, see the equations         |
    | `width`              | 0.1          | width of Coulomb friction in rad/s and m/s            |
    | `m1`, `l1`           | 1.0          | mass in kg and length in m of link 1, …               |
    | `c1`                 | 0.5          | its centre of mass from its joint, in m               |
    | `I1`                 | 1/12         | its inertia about that, in kg·m²                      |
    | `viscous1`           | 0.0          | viscous friction of joint 1 in N·m·s, …               |
    | `coulomb1`           | 0.0          | Coulomb friction of joint 1 in N·m, …                 |
    | `armature1`          | 0.0          | inertia of its rotor, reflected to the joint, kg·m²   |
    | `g`                  | 9.81         | gravity in m/s²                                       |
    | `m0`                 | 1.0          | mass of the cart in kg                                |
    | `viscous0`           | 0.0          | its friction in N·s/m                                 |
    | `coulomb0`           | 0.0          | likewise, in N                                        |
    | `actuated`           | None         | names of the coordinates with a motor; None for all   |
    | `force_max`          | None         | N or N·m of a full action; None for typical ones      |
    | `absolute_torques`   | False        | torques on links without reaction                     |
    | `track`              | 2.4          | half the length of the track in m                     |
    | `velocity_max`       | None         | ends of the range of velocities                       |

    A parameter may be a pair (low, high) to draw from at reset. Each is drawn for itself: a length
    that varies does not move the centre of mass. `dt`, `dtype`, `integrator`, `substeps`,
    `render_mode` and `render_size` are as for every environment.

    ## Version History
    * v0: Initial version.
    """

    links: int = 2
    on_cart: bool = False
    angles: str = RELATIVE
    gear: float | None = None
    width: float = 0.1
