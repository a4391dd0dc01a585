r"""The rotary pendulum of Furuta: a pendulum on the end of an arm that a motor turns.

The arm of length l1 turns by θ about the vertical, counter-clockwise seen from above. The pendulum
turns by α about the arm, from hanging down; where α > 0 it swings towards growing θ. The arm, its
hub and the rotor of the motor have the inertia J1 about the vertical axis. The pendulum is slender:
it has the mass m2, its centre of mass at c2 from its joint, and the inertia I2 about every axis
through it that is perpendicular to the pendulum. With Ĵ0 = J1 + m2 l1² and Ĵ2 = I2 + m2 c2²,

    T = ½ (Ĵ0 + Ĵ2 sin² α) θ̇² + m2 l1 c2 cos α θ̇ α̇ + ½ Ĵ2 α̇²
    V = −m2 g c2 cos α.

Friction acts in both joints i, with the velocities v = (θ̇, α̇):

    F_i = −b_i v_i − f_i tanh(v_i / w).

SI units and radians.

Reference: Cazzolato & Prime, "On the dynamics of the Furuta pendulum", Journal of Control Science
and Engineering (2011), equations 30 to 34.
"""

from __future__ import annotations

from typing import ClassVar

import jax.numpy as jnp
import numpy as np

from gym_lagrangian.checks import positive_number
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
from gym_lagrangian.systems.projection import circle, points
from gym_lagrangian.systems.scene import Bob, Rod, Scene, Torque
from gym_lagrangian.systems.task import Action, Goal, Task, TaskState

# How near upright and how slow the rig has to be to count as held, in rad and rad/s.
_NEAR, _SLOW = 0.2, 2.0

# Widths of the reward: of the pendulum's angle and the arm's in rad, of velocities in rad/s.
_ANGLE, _PLACE, _SPEED = 0.5, 1.0, 5.0


class FurutaTask(Task):
    """Turn the arm of a rotary pendulum; see `SwingUp` and `Balance`.

    Attributes:
        force_max: torque of a full action on the arm in N·m.
        arm_max: how far the arm turns to either side, in rad. The episode terminates beyond it.
        velocity_max: ends of the valid range of velocities in rad/s, one or one a coordinate; None
            for four typical magnitudes.
    """

    requires: ClassVar[tuple[str, ...]] = ("arm", "pendulum")

    actuated = ("arm",)
    force_max: float = 0.03
    arm_max: float = 2.3
    velocity_max: float | tuple[float, ...] | None = None

    def __post_init__(self):
        positive_number(f"{self.label} arm_max", self.arm_max, "rad")

    def terminated(self, after: TaskState) -> Flag:
        """Whether the arm has turned too far."""
        return jnp.abs(after.q[0]) > self.arm_max

    def at_goal(self, state: TaskState) -> Flag:
        """The pendulum within 0.2 rad of upright, both joints slower than 2 rad/s."""
        upright = jnp.abs(from_upright(state.q[1])) < _NEAR
        return upright & jnp.all(jnp.abs(state.qd) < _SLOW)

    def goal_state(self, m: Parameters, goal: Goal) -> AnyArray:
        """The pendulum upright and the arm in its middle, at rest."""
        return jnp.array([0.0, np.pi, 0.0, 0.0])


class SwingUp(FurutaTask):
    r"""Swing the pendulum up and hold it there; see `Furuta`.

    Attributes:
        force_max, arm_max, velocity_max: as for `FurutaTask`.
    """

    reset_low = -0.1
    reset_high = 0.1

    def reward(self, before: TaskState, action: Action, after: TaskState) -> Scalar:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Half for the height, half for being upright, still and with the arm near its middle."""
        height = 0.5 - 0.5 * jnp.cos(after.q[1])
        cost = from_upright(after.q[1]) ** 2 / (2 * _ANGLE**2) + after.q[0] ** 2 / (2 * _PLACE**2)
        return 0.5 * height + 0.5 * jnp.exp(-cost - jnp.sum(after.qd**2) / (2 * _SPEED**2))


class Balance(FurutaTask):
    """Keep the pendulum upright: 1 a step until it falls or the arm has turned too far.

    The episode starts upright and terminates when the pendulum leans by more than `tilt_max`, or
    when the arm turns beyond `arm_max`; that last step earns 0. `info["success"]` is as for
    `SwingUp`.

    Attributes:
        force_max, arm_max, velocity_max: as for `FurutaTask`.
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
        return (-self.spread, np.pi - self.spread, -self.spread, -self.spread)

    @property
    def reset_high(self) -> tuple[float, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """`spread` above upright and rest."""
        return (self.spread, np.pi + self.spread, self.spread, self.spread)

    def terminated(self, after: TaskState) -> Flag:
        """Whether the pendulum leans too far, or the arm has turned too far."""
        fallen = jnp.abs(from_upright(after.q[1])) > self.tilt_max
        return fallen | super().terminated(after)

    def reward(self, before: TaskState, action: Action, after: TaskState) -> Scalar:  # pyright: ignore[reportIncompatibleMethodOverride]
        """1 while it stands, 0 at the end."""
        return jnp.where(self.terminated(after), 0.0, 1.0).astype(after.q.dtype)


class Furuta(System):
    r"""The rotary pendulum, with the dimensions of Quanser's QUBE-Servo 2.

    ## Description
    A motor turns a horizontal arm about the vertical. A pendulum hangs from the arm's end and
    swings about the arm. The motor turns the arm alone, so the pendulum has to be swung up by it;
    the default task is to do so and to hold the pendulum upright (`SwingUp`). `Balance`, as
    ``task="gym_lagrangian.systems.furuta:Balance"``, starts upright. The motion is the exact
    Euler–Lagrange equation of

        L = ½ (J1 + m2 l1² + (I2 + m2 c2²) sin² α) θ̇² + m2 l1 c2 cos α θ̇ α̇
            + ½ (I2 + m2 c2²) α̇² + m2 g c2 cos α

    with viscous and Coulomb friction in both joints.

    ## Action Space
    A `Box(-1, 1, (1,))`, float32:

    | Num | Action                | Min | Max | Unit            |
    |-----|-----------------------|-----|-----|-----------------|
    | 0   | torque on the arm     | -1  | 1   | `force_max` N·m |

    Out-of-range actions are clipped.

    ## Observation Space
    A `Box` of shape (6,), float32:

    | Num | Observation                      | Min            | Max           | Unit  |
    |-----|----------------------------------|----------------|---------------|-------|
    | 0   | cos θ                            | -1             | 1             |       |
    | 1   | cos α                            | -1             | 1             |       |
    | 2   | sin θ                            | -1             | 1             |       |
    | 3   | sin α                            | -1             | 1             |       |
    | 4   | angular velocity of the arm      | -`velocity_max`| `velocity_max`| rad/s |
    | 5   | angular velocity of the pendulum | -`velocity_max`| `velocity_max`| rad/s |

    θ is zero in the middle of the arm's range, counter-clockwise positive seen from above; α is
    zero hanging down.

    ## Rewards
    In [0, 1] at every step: half for the height of the pendulum, half for being upright and still
    with the arm near its middle. With δ the pendulum's angle from upright,

        r = ½ · (1 − cos α) / 2 + ½ exp(−δ²/(2·0.5²) − θ²/(2·1²) − (θ̇² + α̇²)/(2·5²)).

    `info["success"]` is True when for the last 2 s the pendulum was within 0.2 rad of upright and
    both velocities were below 2 rad/s. `Balance` rewards 1 a step.

    ## Starting State
    Hanging at rest with noise: θ, α, θ̇, α̇ ~ U(−0.1, 0.1); for `Balance` within `spread` of
    upright. `reset(options=...)` takes `{"state": (θ, α, θ̇, α̇)}` exactly, or
    `{"low": ..., "high": ...}` for a uniform draw.

    ## Episode End
    Terminates when |θ| exceeds `arm_max`, and for `Balance` when the pendulum leans by more than
    `tilt_max`. Truncated after 500 steps, or with `info["diverged"]` when a velocity leaves its
    range or the state is not finite.

    ## Arguments
    | Name           | Default   | Meaning                                                        |
    |----------------|-----------|----------------------------------------------------------------|
    | `J1`           | 2.334e-4  | inertia of arm, hub and rotor about the vertical, in kg·m²     |
    | `l1`           | 0.085     | length of the arm in m                                         |
    | `viscous1`     | 2.7e-4    | viscous friction of the arm in N·m·s                           |
    | `coulomb1`     | 0.0       | Coulomb friction of the arm in N·m                             |
    | `m2`           | 0.024     | mass of the pendulum in kg                                     |
    | `c2`           | 0.0645    | its centre of mass from its joint, in m                        |
    | `I2`           | 3.328e-5  | its inertia about that, in kg·m²                               |
    | `viscous2`     | 5e-5      | viscous friction of the pendulum in N·m·s                      |
    | `coulomb2`     | 0.0       | Coulomb friction of the pendulum in N·m                        |
    | `g`            | 9.81      | gravity in m/s²                                                |
    | `width`        | 0.5       | width of Coulomb friction in rad/s                             |
    | `force_max`    | 0.03      | torque of a full action in N·m: that of the motor held at 6 V  |
    | `arm_max`      | 2.3       | how far the arm may turn to either side, in rad                |
    | `velocity_max` | None      | ends of the range of velocities in rad/s; None: 4 typical ones |

    A parameter may be a pair (low, high) to draw from at reset. `dt`, `dtype`, `integrator`,
    `substeps`, `render_mode` and `render_size` are as for every environment. The rig is fast: it
    swings with 11 rad/s, and who balances it will want `dt=0.02`.

    Sources of the parameters: Quanser's QUBE-Servo 2 user manual (an arm of 0.095 kg and 0.085 m,
    a pendulum of 0.024 kg and 0.129 m, both uniform rods; a rotor of 4.0e-6 and a hub of
    0.6e-6 kg·m²; 0.042 N·m/A, 8.4 Ω). Friction is no part of it: that of the simulator in
    github.com/BlueRiverTech/quanser-openai-driver (gym_brt/quanser/qube_simulator.py) is the
    default, and Quanser's own exercises have 1.5e-3 and 5e-4 N·m·s. The motor's back-EMF is left
    out, as for a motor under current control.

    ## Version History
    * v0: Initial version.
    """

    coordinates = ("arm", "pendulum")
    angular = (True, True)
    parameters: ClassVar[dict[str, Parameter]] = {
        "J1": Parameter(0.095 * 0.085**2 / 3 + 4.6e-6, "kg·m²", scale=2e-4),
        "l1": Parameter(0.085, "m", scale=0.085),
        "viscous1": Parameter.of_friction(2.7e-4, "N·m·s"),
        "coulomb1": Parameter(0.0, "N·m", positive=False, scale=1e-3, least=0.0),
        "m2": Parameter(0.024, "kg", scale=0.024),
        "c2": Parameter(0.0645, "m", scale=0.0645),
        "I2": Parameter(0.024 * 0.129**2 / 12, "kg·m²", positive=False, scale=1e-4, least=0.0),
        "viscous2": Parameter.of_friction(5e-5, "N·m·s"),
        "coulomb2": Parameter(0.0, "N·m", positive=False, scale=1e-3, least=0.0),
        "g": Parameter(9.81, "m/s²", positive=False, scale=9.81),
    }
    varies: ClassVar[dict[str, float]] = dict.fromkeys(
        ("J1", "l1", "m2", "c2", "I2", "viscous1", "viscous2"), 0.5
    ) | {"g": 0.2}
    task = SwingUp
    learned_friction = "viscous"

    width: float = 0.5

    def __post_init__(self):
        positive_number(f"{self.name} width", self.width, "rad/s")

    # -- physics ----------------------------------------------------------------------------

    def lagrangian(self, q: VectorOrComponents, qd: VectorOrComponents, m: Parameters) -> Scalar:
        """T − V in joules, T being that of the arm and of the pendulum's motion and turning."""
        p = self.named(m)
        sine, cosine = jnp.sin(q[1]), jnp.cos(q[1])
        across = p.l1 * qd[0] + p.c2 * cosine * qd[1]
        turning = qd[1] ** 2 + sine**2 * qd[0] ** 2
        kinetic = 0.5 * p.J1 * qd[0] ** 2 + 0.5 * p.I2 * turning
        kinetic += 0.5 * p.m2 * (across**2 + (p.c2 * sine) ** 2 * (qd[0] ** 2 + qd[1] ** 2))
        return kinetic + p.m2 * p.g * p.c2 * cosine

    def friction(self, q: Vector, qd: Vector, m: Parameters) -> Vector:
        """F (2,): viscous and Coulomb friction in both joints."""
        p = self.named(m)
        damping, dry = jnp.stack([p.viscous1, p.viscous2]), jnp.stack([p.coulomb1, p.coulomb2])
        return viscous(qd, damping) + coulomb(qd, dry, self.width)

    def energy_scale(self, m: Parameters) -> Scalar:
        """What lifts the pendulum from hanging to upright, or for g = 0 the kinetic energy of
        typical velocities.
        """
        p = self.named(m)
        lift = 2.0 * p.m2 * jnp.abs(p.g) * p.c2
        return jnp.where(lift > 0.0, lift, super().energy_scale(m))

    # -- picture ----------------------------------------------------------------------------

    def scene(self, q: np.ndarray, qd: np.ndarray, effort: np.ndarray, m: np.ndarray) -> Scene:
        """The arm and the pendulum seen from above and aside, and the torque on the arm."""
        p, (theta, alpha) = self.named(m), q
        length = 2.0 * p.c2
        outward = np.array([np.cos(theta), np.sin(theta), 0.0])
        sideways = np.array([-np.sin(theta), np.cos(theta), 0.0])
        hanging = np.sin(alpha) * sideways - np.cos(alpha) * np.array([0.0, 0.0, 1.0])
        end = p.l1 * outward
        hub, elbow, tip = points([np.zeros(3), end, end + length * hanging])
        reach = 1.06 * float(np.hypot(p.l1, length))
        return Scene(
            extent=(reach, reach),
            rods=(Rod(hub, elbow), Rod(elbow, tip)),
            bobs=(Bob(tip, 0.3),),
            torques=(Torque(hub, float(effort[0])),),
            trace=tip,
            lines=(points(circle(float(p.l1))), points([(0.0, 0.0, 0.0), (0.0, 0.0, -length)])),
        )


def from_upright(alpha: Scalar) -> Scalar:
    """The pendulum's angle from straight up, in (−π, π]."""
    return jnp.arctan2(-jnp.sin(alpha), -jnp.cos(alpha))
