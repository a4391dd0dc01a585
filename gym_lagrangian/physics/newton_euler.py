r"""Rigid bodies in a row, in space: the forces in their joints, and their Lagrangian.

Link i hangs on link i − 1 by a joint that turns about an axis, or slides along it. Everything of a
link is constant in its own frame, whose origin is on its joint. The frames of all links are
parallel where all q are zero, with z up.

Outwards go the angular velocity ω, the vertical u and the acceleration of the origin a, which
begins as g u, since gravity feels like a ground that accelerates. With m, h = ∫ r dm and
I = ∫ (|r|² 1 − r rᵀ) dm of a link, Newton's and Euler's laws ask for

    force    f = m a + ω̇ × h + ω × (ω × h)
    torque   n = I ω̇ + ω × I ω + h × a

about the origin. Inwards go the sums of both over a link and all that it carries, and a joint's
motor supplies their component along its axis. The cost grows as n, and no matrix is formed.

Reference: Luh, Walker, Paul, "On-line computational scheme for mechanical manipulators" (1980);
Featherstone, "Rigid Body Dynamics Algorithms" (2008), chapter 5.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Float

from gym_lagrangian.physics.shapes import AnyArray, Scalar, Vector

Point = Float[AnyArray, "3"]
Points = Float[AnyArray, "n 3"]
Tensors = Float[AnyArray, "n 3 3"]


class Links(NamedTuple):
    """n links.

    Attributes:
        turns: for each joint, whether it turns rather than slides.
        axes: unit vectors along the joints (n, 3).
        offsets: from the joint before (or the base) to the joint, (n, 3) in metres.
        mass: m (n,) in kg.
        first: h (n, 3) in kg·m.
        inertia: I (n, 3, 3) in kg·m².
    """

    turns: tuple[bool, ...]
    axes: Points
    offsets: Points
    mass: Vector
    first: Points
    inertia: Tensors


class _Joint(NamedTuple):
    """A joint at a state: whether it turns, its axis, angle or 0, and the way to it (3,)."""

    turns: bool
    axis: Point
    angle: Scalar
    way: Point


def joint_forces(links: Links, q: Vector, qd: Vector, qdd: Vector, gravity: float) -> Vector:
    """The forces (n,) in N (sliding) or N·m (turning) that cause q̈ under gravity."""
    joints, wrenches = _joints(links, q), []
    spin = turning = jnp.zeros(3, q.dtype)
    pull = jnp.array([0.0, 0.0, gravity], q.dtype)
    for i, (turns, axis, angle, way) in enumerate(joints):
        pull = pull + jnp.cross(turning, way) + jnp.cross(spin, jnp.cross(spin, way))
        if turns:
            spin, turning, pull = (_into(x, axis, angle) for x in (spin, turning, pull))
            turning = turning + qdd[i] * axis + qd[i] * jnp.cross(spin, axis)
            spin = spin + qd[i] * axis
        else:
            pull = pull + qdd[i] * axis + 2.0 * qd[i] * jnp.cross(spin, axis)
        wrenches.append(_wrench(links, i, spin, turning, pull))
    return _along_axes(joints, wrenches)


def lagrangian(links: Links, q: Vector, qd: Vector, gravity: float) -> Scalar:
    """Σ ½ m |v|² + v·(ω × h) + ½ ωᵀ I ω − g (m z + u·h) in joules, with v the velocity and z the
    height of a link's origin.
    """
    spin = speed = jnp.zeros(3, q.dtype)
    up, height, value = jnp.array([0.0, 0.0, 1.0], q.dtype), 0.0, jnp.zeros((), q.dtype)
    for i, (turns, axis, angle, way) in enumerate(_joints(links, q)):
        height, speed = height + up @ way, speed + jnp.cross(spin, way)
        if turns:
            spin, speed, up = (_into(x, axis, angle) for x in (spin, speed, up))
            spin = spin + qd[i] * axis
        else:
            speed = speed + qd[i] * axis
        mass, first = links.mass[i], links.first[i]
        value += 0.5 * mass * speed @ speed + speed @ jnp.cross(spin, first)
        value += 0.5 * spin @ links.inertia[i] @ spin - gravity * (mass * height + up @ first)
    return value


def _joints(links: Links, q: Vector) -> list[_Joint]:
    zero = jnp.zeros((), q.dtype)
    rows = zip(links.turns, links.axes, links.offsets, q, strict=True)
    return [
        _Joint(turns, axis, x if turns else zero, offset if turns else offset + x * axis)
        for turns, axis, offset, x in rows
    ]


def _wrench(links: Links, i: int, spin: Point, turning: Point, pull: Point) -> tuple[Point, Point]:
    """f and n of one link."""
    mass, first, inertia = links.mass[i], links.first[i], links.inertia[i]
    force = mass * pull + jnp.cross(turning, first) + jnp.cross(spin, jnp.cross(spin, first))
    gyroscopic = jnp.cross(spin, inertia @ spin)
    return force, inertia @ turning + gyroscopic + jnp.cross(first, pull)


def _along_axes(joints: list[_Joint], wrenches: list[tuple[Point, Point]]) -> Vector:
    """The components along the axes of what each joint carries."""
    force = torque = jnp.zeros_like(joints[0].axis)
    found = []
    for (turns, axis, angle, way), (own_force, own_torque) in zip(
        reversed(joints), reversed(wrenches), strict=True
    ):
        force, torque = force + own_force, torque + own_torque
        found.append(axis @ (torque if turns else force))
        if turns:
            force, torque = (_into(x, axis, -angle) for x in (force, torque))
        torque = torque + jnp.cross(way, force)
    return jnp.stack(found[::-1])


def _into(x: Point, axis: Point, angle: Scalar) -> Point:
    """A vector (3,) of the frame before a joint in the frame after it (Rodrigues)."""
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    return cos * x + sin * jnp.cross(x, axis) + (1.0 - cos) * (axis @ x) * axis
