r"""Rigid bodies in a row, in space: the forces in their joints, and their Lagrangian.

Link i hangs on link i − 1 by a joint that turns about an axis, or slides along it. Everything of a
link is constant in its own frame, whose origin is on its joint. The frames of all links are
parallel where all q are zero, with z up.

Outwards go the angular velocity ω, the vertical u and the acceleration of the origin a, which
begins as g u, since gravity acts like an upward acceleration of the ground. With m, h = ∫ r dm and
I = ∫ (|r|² 1 − r rᵀ) dm of a link, Newton's and Euler's laws require

    force    f = m a + ω̇ × h + ω × (ω × h)
    torque   n = I ω̇ + ω × I ω + h × a

about the origin. Inwards go the sums of both over a link and all that it carries, and a joint's
motor supplies their component along its axis. The cost grows as n, and no matrix is formed.

Reference: Luh, Walker, Paul, "On-line computational scheme for mechanical manipulators" (1980);
Featherstone, "Rigid Body Dynamics Algorithms" (2008), chapter 5.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

from gym_lagrangian.physics.shapes import AnyArray, Scalar, Vector

Point = Float[AnyArray, "3"]
Points = Float[AnyArray, "n 3"]
Tensors = Float[AnyArray, "n 3 3"]


class Links(NamedTuple):
    """n links.

    Attributes:
        turns: 1 for each joint that turns, 0 for one that slides, (n,).
        axes: unit vectors along the joints (n, 3).
        offsets: from the joint before (or the base) to the joint, (n, 3) in metres.
        mass: m (n,) in kg.
        first: h (n, 3) in kg·m.
        inertia: I (n, 3, 3) in kg·m².
    """

    turns: Vector
    axes: Points
    offsets: Points
    mass: Vector
    first: Points
    inertia: Tensors


class _Joints(NamedTuple):
    """Joints at a state: their axes (n, 3), angles (n,), 0 where they slide, and the ways from one
    to the next (n, 3).
    """

    axis: Points
    angle: Vector
    way: Points


def joint_forces(links: Links, q: Vector, qd: Vector, qdd: Vector, gravity: float) -> Vector:
    """The forces (n,) in N (sliding) or N·m (turning) that cause q̈ under gravity."""
    joints = _joints(links, q)
    rest = jnp.zeros(3, q.dtype)
    start = (rest, rest, jnp.array([0.0, 0.0, gravity], q.dtype))
    # Loops rather than one long program, which takes minutes to compile for seven links.
    wrenches = jax.lax.scan(_outwards, start, (links, joints, qd, qdd))[1]
    along = (links.turns, joints, wrenches)
    return jax.lax.scan(_inwards, (rest, rest), along, reverse=True)[1]


def lagrangian(links: Links, q: Vector, qd: Vector, gravity: float) -> Scalar:
    """Σ ½ m |v|² + v·(ω × h) + ½ ωᵀ I ω − g (m z + u·h) in joules, with v the velocity and z the
    height of a link's origin.
    """

    def outwards(carry: Any, of_link: Any) -> tuple[Any, Scalar]:
        (spin, speed, up, height), (link, joint, rate) = carry, of_link
        height, speed = height + up @ joint.way, speed + jnp.cross(spin, joint.way)
        spin, speed, up = (_into(x, joint.axis, joint.angle) for x in (spin, speed, up))
        spin = spin + link.turns * rate * joint.axis
        speed = speed + (1.0 - link.turns) * rate * joint.axis
        kinetic = 0.5 * link.mass * speed @ speed + speed @ jnp.cross(spin, link.first)
        kinetic += 0.5 * spin @ link.inertia @ spin
        potential = gravity * (link.mass * height + up @ link.first)
        return (spin, speed, up, height), kinetic - potential

    rest, up = jnp.zeros(3, q.dtype), jnp.array([0.0, 0.0, 1.0], q.dtype)
    start = (rest, rest, up, jnp.zeros((), q.dtype))
    return jnp.sum(jax.lax.scan(outwards, start, (links, _joints(links, q), qd))[1])


def _joints(links: Links, q: Vector) -> _Joints:
    slid = ((1.0 - links.turns) * q)[:, None] * links.axes
    return _Joints(links.axes, links.turns * q, links.offsets + slid)


def _outwards(carry: Any, of_link: Any) -> tuple[Any, tuple[Point, Point]]:
    """ω, ω̇ and a of a link from those of the one before, and its f and n."""
    (spin, turning, pull), (link, joint, rate, growth) = carry, of_link
    pull = pull + jnp.cross(turning, joint.way)
    pull = pull + jnp.cross(spin, jnp.cross(spin, joint.way))
    spin, turning, pull = (_into(x, joint.axis, joint.angle) for x in (spin, turning, pull))
    grown, swept = growth * joint.axis, rate * jnp.cross(spin, joint.axis)
    pull = pull + (1.0 - link.turns) * (grown + 2.0 * swept)
    turning = turning + link.turns * (grown + swept)
    spin = spin + link.turns * rate * joint.axis
    return (spin, turning, pull), _wrench(link, spin, turning, pull)


def _wrench(link: Links, spin: Point, turning: Point, pull: Point) -> tuple[Point, Point]:
    """f and n of one link."""
    swung = jnp.cross(turning, link.first) + jnp.cross(spin, jnp.cross(spin, link.first))
    gyroscopic = jnp.cross(spin, link.inertia @ spin)
    torque = link.inertia @ turning + gyroscopic + jnp.cross(link.first, pull)
    return link.mass * pull + swung, torque


def _inwards(carry: Any, of_link: Any) -> tuple[Any, Scalar]:
    """What a joint carries, in the frame before it, and the component along its axis."""
    (force, torque), (turns, joint, (own_force, own_torque)) = carry, of_link
    force, torque = force + own_force, torque + own_torque
    along = turns * (joint.axis @ torque) + (1.0 - turns) * (joint.axis @ force)
    force, torque = (_into(x, joint.axis, -joint.angle) for x in (force, torque))
    return (force, torque + jnp.cross(joint.way, force)), along


def _into(x: Point, axis: Point, angle: Scalar) -> Point:
    """A vector (3,) of the frame before a joint in the frame after it (Rodrigues)."""
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    return cos * x + sin * jnp.cross(x, axis) + (1.0 - cos) * (axis @ x) * axis
