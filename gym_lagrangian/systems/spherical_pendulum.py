r"""A pendulum that swings in all directions about a universal joint.

A point mass m hangs on a massless rod of length l. The joint has two crossed axes. The outer one
is fixed along x, and about it the whole joint turns by α. The inner one, along y when α = 0, turns
with it, and about it the rod tilts by β. From the joint, z pointing up, the mass is at

    l (sin β, sin α cos β, −cos α cos β),

so that α > 0 moves it towards y and β > 0 towards x. With zero energy at the joint,

    T = ½ m l² (cos² β α̇² + β̇²),    V = −m g l cos α cos β.

Why these angles: the textbook's polar angle and azimuth are singular where the pendulum hangs, as
longitude is at a pole, and the azimuth jumps there. The angles of the joint are regular hanging and
upright. They too have two poles, as any two angles on a sphere do, but on the x axis: at β = ±π/2
the mass matrix is singular (the joint is locked), and tasks end before. About the vertical axis the
angular momentum m l² (n_x ṅ_y − n_y ṅ_x), n being the direction of the rod, is conserved.

Friction acts in both axes: F_i = −b_i v_i − f_i tanh(v_i / w), v = (α̇, β̇). SI units and radians.

Reference: Goldstein, Poole & Safko, "Classical Mechanics" (2002), for the pendulum; Landau &
Lifshitz, "Mechanics", section 14, for its motion in polar angles.
"""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from gym_lagrangian.checks import positive_number
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.physics.friction import coulomb, viscous
from gym_lagrangian.physics.shapes import (
    AnyArray,
    Flag,
    Parameters,
    Scalar,
    Vector,
    VectorOrComponents,
)
from gym_lagrangian.systems.base import System
from gym_lagrangian.systems.coordinates import Parameter
from gym_lagrangian.systems.projection import circle, points, projected
from gym_lagrangian.systems.sample import Distributions, Sample, drawn_at
from gym_lagrangian.systems.scene import Bob, Rod, Scene, force
from gym_lagrangian.systems.task import Action, Goal, Task, TaskState

# How near upright and how slow the rod has to be to count as held, in rad and rad/s.
_NEAR, _SLOW = 0.2, 0.5

# Widths of the reward, in rad and rad/s.
_ANGLE, _SPEED = 0.5, 2.0

# States to learn from go a little beyond the stop of the default task, in rad; starts of free
# motion are so near hanging that it never comes near the joint's lock.
_STEEPEST, _START = 1.1, 0.7


class SphericalTask(Task):
    """Drive both axes of the joint; see `SwingUp` and `Balance`.

    Attributes:
        force_max: torque of a full action in N·m, one number or one an axis.
        stop: how far the joint's inner axis turns to either side in rad, below π/2. The episode
            terminates beyond it.
        velocity_max: ends of the valid range of velocities in rad/s, one or one a coordinate; None
            for four typical magnitudes.
    """

    requires: ClassVar[tuple[str, ...]] = ("outer", "inner")

    force_max: float | tuple[float, ...] = 4.0
    stop: float = 1.0
    velocity_max: float | tuple[float, ...] | None = None

    def __post_init__(self):
        if positive_number(f"{self.label} stop", self.stop, "rad") >= np.pi / 2:
            raise ConfigurationError(
                f"{self.label} stop = {self.stop}: expected less than π/2, where the joint locks"
            )

    def terminated(self, after: TaskState) -> Flag:
        """Whether the joint has gone beyond its stop."""
        return jnp.abs(after.q[1]) > self.stop

    def at_goal(self, state: TaskState) -> Flag:
        """The rod within 0.2 rad of upright and slower than 0.5 rad/s."""
        upright = rod_height(state.q) > np.cos(_NEAR)
        return upright & (_squared_speed(state.q, state.qd) < _SLOW**2)

    def goal_state(self, m: Parameters, goal: Goal) -> AnyArray:
        """The rod upright at rest."""
        return jnp.array([np.pi, 0.0, 0.0, 0.0])


class SwingUp(SphericalTask):
    r"""Swing the pendulum up and hold it there; see `SphericalPendulum`.

    Attributes:
        force_max, stop, velocity_max: as for `SphericalTask`.
    """

    reset_low = -0.1
    reset_high = 0.1

    def reward(self, before: TaskState, action: Action, after: TaskState) -> Scalar:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Half for the height, half for being upright and still."""
        height = rod_height(after.q)
        cost = (1.0 - height) / _ANGLE**2 + _squared_speed(after.q, after.qd) / (2 * _SPEED**2)
        return 0.25 * (1.0 + height) + 0.5 * jnp.exp(-cost)


class Balance(SphericalTask):
    """Keep the pendulum upright: 1 a step until it falls.

    The episode starts upright and terminates when the rod leans by more than `tilt_max`; that last
    step earns 0. `info["success"]` is as for `SwingUp`.

    Attributes:
        force_max, stop, velocity_max: as for `SphericalTask`.
        tilt_max: the largest angle from upright in rad.
        spread: starting states are drawn within so much of upright and of rest.
    """

    tilt_max: float = float(np.radians(20.0))
    spread: float = 0.05

    def __post_init__(self):
        super().__post_init__()
        positive_number(f"{self.label} tilt_max", self.tilt_max, "rad")
        positive_number(f"{self.label} spread", self.spread, "rad")

    @property
    def reset_low(self) -> tuple[float, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """`spread` below upright and rest."""
        return (np.pi - self.spread, -self.spread, -self.spread, -self.spread)

    @property
    def reset_high(self) -> tuple[float, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """`spread` above upright and rest."""
        return (np.pi + self.spread, self.spread, self.spread, self.spread)

    def terminated(self, after: TaskState) -> Flag:
        """Whether the rod leans too far, or the joint has gone beyond its stop."""
        fallen = rod_height(after.q) < np.cos(self.tilt_max)
        return fallen | super().terminated(after)

    def reward(self, before: TaskState, action: Action, after: TaskState) -> Scalar:  # pyright: ignore[reportIncompatibleMethodOverride]
        """1 while it stands, 0 at the end."""
        return jnp.where(self.terminated(after), 0.0, 1.0).astype(after.q.dtype)


class SphericalPendulum(System):
    r"""A pendulum about a universal joint with motors, to be swung up.

    ## Description
    A point mass on a rod swings in all directions about a joint of two crossed axes, each with a
    motor too weak to lift it directly. The default task is to swing it up and to hold it upright
    (`SwingUp`); `Balance`, as ``task="gym_lagrangian.systems.spherical_pendulum:Balance"``, starts
    there. The motion is the exact Euler–Lagrange equation of

        L = ½ m l² (cos² β α̇² + β̇²) + m g l cos α cos β

    with viscous and Coulomb friction in both axes, none by default. The outer axis is fixed and
    turns by α, the inner one by β; see `gym_lagrangian.systems.spherical_pendulum` for why these
    angles.

    ## Action Space
    A `Box(-1, 1, (2,))`, float32:

    | Num | Action                   | Min | Max | Unit            |
    |-----|--------------------------|-----|-----|-----------------|
    | 0   | torque in the outer axis | -1  | 1   | `force_max` N·m |
    | 1   | torque in the inner axis | -1  | 1   | `force_max` N·m |

    Out-of-range actions are clipped.

    ## Observation Space
    A `Box` of shape (6,), float32:

    | Num | Observation                        | Min             | Max            | Unit  |
    |-----|------------------------------------|-----------------|----------------|-------|
    | 0   | cos α                              | -1              | 1              |       |
    | 1   | cos β                              | -1              | 1              |       |
    | 2   | sin α                              | -1              | 1              |       |
    | 3   | sin β                              | -1              | 1              |       |
    | 4   | angular velocity of the outer axis | -`velocity_max` | `velocity_max` | rad/s |
    | 5   | angular velocity of the inner axis | -`velocity_max` | `velocity_max` | rad/s |

    Both angles are zero hanging down.

    ## Rewards
    In [0, 1] at every step: half for the height of the mass, half for being upright and still.
    With h = −cos α cos β its height over l and ω the angular velocity of the rod,

        r = ½ · (1 + h) / 2 + ½ exp(−2 (1 − h)/(2·0.5²) − ω²/(2·2²)).

    `info["success"]` is True when for the last 2 s the rod was within 0.2 rad of upright and slower
    than 0.5 rad/s. `Balance` rewards 1 a step.

    ## Starting State
    Hanging at rest with noise: α, β, α̇, β̇ ~ U(−0.1, 0.1); for `Balance` within `spread` of upright.
    `reset(options=...)` takes `{"state": (α, β, α̇, β̇)}` exactly, or `{"low": ..., "high": ...}` for
    a uniform draw.

    ## Episode End
    Terminates when |β| exceeds `stop`, and for `Balance` when the rod leans by more than
    `tilt_max`. Truncated after 500 steps, or with `info["diverged"]` when a velocity leaves its
    range or the state is not finite.

    ## Arguments
    | Name                   | Default | Meaning                                               |
    |------------------------|---------|-------------------------------------------------------|
    | `m`                    | 1.0     | mass in kg                                            |
    | `l`                    | 1.0     | length of the rod in m                                |
    | `g`                    | 9.81    | gravity in m/s²                                       |
    | `viscous1`, `viscous2` | 0.0     | viscous friction of the outer and inner axis in N·m·s |
    | `coulomb1`, `coulomb2` | 0.0     | Coulomb friction likewise, in N·m                     |
    | `width`                | 0.1     | width of Coulomb friction in rad/s                    |
    | `force_max`            | 4.0     | torque of a full action in N·m, one or one an axis    |
    | `stop`                 | 1.0     | how far the inner axis turns to either side, in rad   |
    | `velocity_max`         | None    | ends of the range of velocities; None: 4 typical ones |

    A parameter may be a pair (low, high) to draw from at reset. `dt`, `dtype`, `integrator`,
    `substeps`, `render_mode` and `render_size` are as for every environment.

    ## Version History
    * v0: Initial version.
    """

    coordinates = ("outer", "inner")
    angular = (True, True)
    parameters: ClassVar[dict[str, Parameter]] = {
        "m": Parameter(1.0, "kg"),
        "l": Parameter(1.0, "m"),
        "g": Parameter(9.81, "m/s²", positive=False, scale=9.81),
        "viscous1": Parameter.of_friction(0.0, "N·m·s"),
        "viscous2": Parameter.of_friction(0.0, "N·m·s"),
        "coulomb1": Parameter.of_friction(0.0, "N·m"),
        "coulomb2": Parameter.of_friction(0.0, "N·m"),
    }
    q_scale = (1.0, 1.0)
    qd_scale = (3.0, 3.0)
    tau_scale = (5.0, 5.0)
    varies: ClassVar[dict[str, float]] = {"m": 0.5, "l": 0.5, "g": 0.2}
    task = SwingUp

    width: float = 0.1

    def __post_init__(self):
        positive_number(f"{self.name} width", self.width, "rad/s")

    # -- physics ----------------------------------------------------------------------------

    def lagrangian(self, q: VectorOrComponents, qd: VectorOrComponents, m: Parameters) -> Scalar:
        """T − V in joules."""
        p, cosine = self.named(m), jnp.cos(q[1])
        kinetic = 0.5 * p.m * p.l**2 * ((cosine * qd[0]) ** 2 + qd[1] ** 2)
        return kinetic + p.m * p.g * p.l * jnp.cos(q[0]) * cosine

    def friction(self, q: Vector, qd: Vector, m: Parameters) -> Vector:
        """F (2,): viscous and Coulomb friction in both axes."""
        p = self.named(m)
        damping, dry = jnp.stack([p.viscous1, p.viscous2]), jnp.stack([p.coulomb1, p.coulomb2])
        return viscous(qd, damping) + coulomb(qd, dry, self.width)

    def energy_scale(self, m: Parameters) -> Scalar:
        """What lifts the mass from hanging to upright, or for g = 0 the kinetic energy of typical
        velocities.
        """
        p = self.named(m)
        lift = 2.0 * p.m * jnp.abs(p.g) * p.l
        return jnp.where(lift > 0.0, lift, super().energy_scale(m))

    # -- data -------------------------------------------------------------------------------

    def sample(self, key: Array, m: Parameters | None = None) -> Sample:
        """As for every system, but |β| ≤ 1.1 rad, and with cos² β as a further weight: as the
        joint comes to lock, α̈ grows without bound.
        """
        sample = super().sample(key, m)
        q = sample.q * np.array([1.0, _STEEPEST / np.pi], np.float32)
        return sample._replace(q=q, weight=sample.weight * jnp.cos(q[1]) ** 2)

    def distributions(self) -> Distributions:
        """Unforced states of `sample`, and free motion from rest with both angles ~ U(−0.7, 0.7),
        whose |β| stays below 0.95 rad.
        """
        states, at_rest = super().distributions()[:2]

        def near_hanging(key: Array, m: Parameters | None = None) -> Sample:
            q = jax.random.uniform(key, (2,), minval=-_START, maxval=_START)
            return drawn_at(at_rest, key, m)._replace(q=q)

        return Distributions(states, near_hanging)

    # -- picture ----------------------------------------------------------------------------

    def scene(self, q: np.ndarray, qd: np.ndarray, effort: np.ndarray, m: np.ndarray) -> Scene:
        """The rod seen from above and aside, its path, and the force of both motors on the mass.

        A faint circle is level with the joint, and a faint line upright from it to the mass.
        """
        p = self.named(m)
        place, push = p.l * direction(q), effort @ tangents(q)
        level = place * np.array([1.0, 1.0, 0.0])
        joint, here = points([np.zeros(3), place])
        reach = 1.08 * float(p.l)
        return Scene(
            extent=(reach, reach),
            rods=(Rod(joint, here),),
            bobs=(Bob(here, float(p.m)),),
            forces=(force(here, projected(push)),),
            trace=here,
            lines=(points(circle(float(p.l))), points([level, place])),
        )


def direction(q: np.ndarray) -> np.ndarray:
    """n (3,): from the joint to the mass, of length 1."""
    (sa, sb), (ca, cb) = np.sin(q), np.cos(q)
    return np.array([sb, sa * cb, -ca * cb])


def tangents(q: np.ndarray) -> np.ndarray:
    """Where the mass goes as α grows and as β grows, (2, 3), rows of length 1."""
    (sa, sb), (ca, cb) = np.sin(q), np.cos(q)
    return np.array([[0.0, ca, sa], [cb, -sa * sb, ca * sb]])


def rod_height(q: Vector) -> Scalar:
    """The height of the mass over the joint as a share of l: −1 hanging, 1 upright."""
    return -jnp.cos(q[0]) * jnp.cos(q[1])


def _squared_speed(q: Vector, qd: Vector) -> Scalar:
    """The squared angular velocity of the rod in rad²/s²."""
    return (jnp.cos(q[1]) * qd[0]) ** 2 + qd[1] ** 2
