r"""The planar double pendulum, the paper's first system.

Two point masses on rigid massless rods. Both angles are absolute, measured counter-clockwise
from hanging straight down. With ω = θ̇,

    T = ½ (m1 + m2) l1² ω1² + ½ m2 l2² ω2² + m2 l1 l2 ω1 ω2 cos(θ1 − θ2)
    V = −(m1 + m2) g l1 cos θ1 − m2 g l2 cos θ2          (zero at the pivot)
    L = T − V

SI units and radians: masses kg, lengths m, g m/s², torques N·m. The shoulder torque u_s acts
on the first link from the pivot. The elbow torque u_e acts between the links, so its work is
u_e d(θ2 − θ1) and the generalized forces are τ1 = u_s − u_e, τ2 = u_e.

Reference: Cranmer et al., "Lagrangian Neural Networks" (2020), whose masses and lengths are 1.
"""

from __future__ import annotations

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from gym_lagrangian.checks import one_of, positive_number
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
from gym_lagrangian.systems.preset import Preset
from gym_lagrangian.systems.sample import Sample, uniform_state
from gym_lagrangian.systems.scene import Bob, Rod, Scene, Torque
from gym_lagrangian.systems.task import Action, Goal, Observation, Task, TaskState

ACTUATED = ("both", "shoulder", "elbow")

# Training states go beyond the range of the default task, in rad/s and N·m.
_FASTEST, _STRONGEST = 22.0, 7.5

# The energy scale of the default pendulum, in joules.
_ENERGY = 29.4


class SwingUp(Task):
    """Swing both links up and hold them there; see `DoublePendulum`.

    Attributes:
        actuated: ``"both"``, ``"shoulder"`` or ``"elbow"``.
        torque_max: torque of a full action in N·m.
        omega_max: angular velocity that ends an episode, in rad/s.
    """

    requires: ClassVar[tuple[str, ...]] = ("theta1", "theta2", "l1", "l2")

    actuated: str = "both"
    torque_max: float = 6.0
    omega_max: float = 20.0

    reset_low = -0.1
    reset_high = 0.1

    def __post_init__(self):
        one_of("DoublePendulum actuated", self.actuated, ACTUATED)
        torque = positive_number("DoublePendulum torque_max", self.torque_max, "N·m")
        object.__setattr__(self, "torque_max", torque)  # a whole number may be too large for jax
        positive_number("DoublePendulum omega_max", self.omega_max, "rad/s")

    @property
    def action_size(self) -> int:
        """One component for every actuated joint."""
        return 2 if self.actuated == "both" else 1

    def generalized_force(self, q: Vector, qd: Vector, action: Action) -> Vector:
        """(τ1, τ2) in N·m of an action in [-1, 1]."""
        torque = self.torque_max * action
        if self.actuated == "shoulder":
            return jnp.stack([torque[0], jnp.zeros_like(torque[0])])
        if self.actuated == "elbow":
            return jnp.stack([-torque[0], torque[0]])
        return jnp.stack([torque[0] - torque[1], torque[1]])

    def observation_bounds(
        self, m_bounds: np.ndarray, goal_bounds: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """±1 for cosines and sines, ±`omega_max` for angular velocities."""
        high = np.array([1, 1, 1, 1, self.omega_max, self.omega_max], np.float32)
        return -high, high

    def observation(self, state: TaskState) -> Observation:
        """(cos θ1, sin θ1, cos θ2, sin θ2, ω1, ω2)."""
        c, s = jnp.cos(state.q), jnp.sin(state.q)
        return jnp.stack([c[0], s[0], c[1], s[1], state.qd[0], state.qd[1]])

    def state_of(self, observation: Any) -> tuple[np.ndarray, np.ndarray]:
        c1, s1, c2, s2, *speeds = np.asarray(observation, np.float64)
        return np.arctan2([s1, s2], [c1, c2]), np.array(speeds)

    def reward(self, q: Vector, qd: Vector, tau: Vector, m: Parameters) -> Scalar:
        """Half for the tip's height, half for being upright and still."""
        p = self.coordinates.named(m)
        height = 0.5 - 0.5 * (p.l1 * jnp.cos(q[0]) + p.l2 * jnp.cos(q[1])) / (p.l1 + p.l2)
        offset = jnp.sum(_from_upright(q) ** 2) / (2 * 0.5**2)
        motion = jnp.sum(qd**2) / (2 * 2.0**2)
        return 0.5 * height + 0.5 * jnp.exp(-offset - motion)

    def at_goal(self, state: TaskState) -> Flag:
        """Both links within 0.2 rad of upright and slower than 0.5 rad/s."""
        upright = jnp.all(jnp.abs(_from_upright(state.q)) < 0.2)
        return upright & jnp.all(jnp.abs(state.qd) < 0.5)

    def goal_state(self, m: Parameters, goal: Goal) -> AnyArray:
        """Both links upright at rest."""
        return jnp.array([np.pi, np.pi, 0.0, 0.0])

    def in_range(self, state: TaskState) -> Flag:
        """|ω| ≤ `omega_max`."""
        return jnp.all(jnp.abs(state.qd) <= self.omega_max)


class DoublePendulum(System):
    r"""A swing-up task for the planar double pendulum.

    ## Description
    Two point masses on massless rods hang from a pivot. Motors at the shoulder, the elbow or
    both are too weak to lift the arm directly (holding it out horizontally would take 29.4
    N·m against 6), so it has to be swung up; the goal is to hold both links upright. The
    motion is the exact Euler–Lagrange equation of the Lagrangian

        L = ½ (m1 + m2) l1² ω1² + ½ m2 l2² ω2² + m2 l1 l2 ω1 ω2 cos(θ1 − θ2)
            + (m1 + m2) g l1 cos θ1 + m2 g l2 cos θ2,

    with no friction: with zero action, energy is conserved.

    ## Action Space
    A `Box(-1, 1)`, float32, with one component for every actuated joint, shoulder first:

    | Num | Action                                           | Min | Max | Unit             |
    |-----|--------------------------------------------------|-----|-----|------------------|
    | 0   | shoulder: torque on link 1 from the pivot        | -1  | 1   | `torque_max` N·m |
    | 1   | elbow: torque between the links                  | -1  | 1   | `torque_max` N·m |

    `actuated="shoulder"` or `"elbow"` leaves one component. Out-of-range actions are clipped.

    ## Observation Space
    A `Box` of shape (6,), float32:

    | Num | Observation               | Min | Max | Unit  |
    |-----|---------------------------|-----|-----|-------|
    | 0   | cos θ1                    | -1  | 1   |       |
    | 1   | sin θ1                    | -1  | 1   |       |
    | 2   | cos θ2                    | -1  | 1   |       |
    | 3   | sin θ2                    | -1  | 1   |       |
    | 4   | angular velocity ω1       | -20 | 20  | rad/s |
    | 5   | angular velocity ω2       | -20 | 20  | rad/s |

    Both angles are absolute, zero hanging down, counter-clockwise positive. The bounds on ω
    are `omega_max`.

    ## Rewards
    In [0, 1] at every step: half for the height of the tip, half for being upright and still,

        r = ½ h + ½ exp(−(δ1² + δ2²)/(2·0.5²) − (ω1² + ω2²)/(2·2²)),

    with h the tip's height as a share of its range and δ the angles from upright.
    `info["success"]` is True when for the last 2 s both links were within 0.2 rad of upright
    and slower than 0.5 rad/s.

    ## Starting State
    Hanging at rest with noise: θ1, θ2, ω1, ω2 ~ U(−0.1, 0.1). `reset(options=...)` takes
    `{"state": (θ1, θ2, ω1, ω2)}` exactly, or `{"low": ..., "high": ...}` for a uniform draw.

    ## Episode End
    Never terminates. Truncated after 500 steps (25 s at the default `dt`), or with
    `info["diverged"]` when |ω| exceeds `omega_max` or the state is not finite: the step then
    returns the last valid observation and reward.

    ## Arguments
    | Name         | Default  | Meaning                                                        |
    |--------------|----------|----------------------------------------------------------------|
    | `m1`, `m2`   | 1.0      | masses in kg, or a pair (low, high) to draw from at reset      |
    | `l1`, `l2`   | 1.0      | lengths in m, likewise                                         |
    | `g`          | 9.8      | gravity in m/s², likewise                                      |
    | `actuated`   | `"both"` | `"both"`, `"shoulder"` or `"elbow"`                            |
    | `torque_max` | 6.0      | torque of a full action in N·m                                 |
    | `omega_max`  | 20.0     | angular velocity that ends an episode, in rad/s                |

    and what every environment takes: `dt`, `dtype`, `integrator`, `substeps`, `render_mode`,
    `render_size`, see `gym_lagrangian.envs.LagrangianEnv`.

    ## Version History
    * v0: Initial version.
    """

    coordinates = ("theta1", "theta2")
    angular = (True, True)
    parameters: ClassVar[dict[str, Parameter]] = {
        "m1": Parameter(1.0, "kg"),
        "m2": Parameter(1.0, "kg"),
        "l1": Parameter(1.0, "m"),
        "l2": Parameter(1.0, "m"),
        "g": Parameter(9.8, "m/s²", positive=False, scale=9.8),
    }
    # Energy drift over 100 s, worst of 400 free starts: 3e-9 (6 substeps), 1e-4 (2 substeps).
    substeps = 6
    learned_substeps = 2
    # The models' own magnitudes were chosen on this system.
    recipes: ClassVar[dict[str, Preset]] = {
        **dict.fromkeys(
            ("LNN", "Baseline", "HNN", "DeLaN", "NoncanonicalHNN"), Preset({}, {"steps": 1_200_000})
        ),
        **dict.fromkeys(("NODE", "MLP"), Preset({}, {})),
    }
    q_scale = (1.0, 1.0)
    qd_scale = (5.0, 5.0)
    tau_scale = (10.0, 10.0)
    varies: ClassVar[dict[str, float]] = {"m1": 0.5, "m2": 0.5, "l1": 0.5, "l2": 0.5, "g": 0.2}
    task = SwingUp

    # -- physics ----------------------------------------------------------------------------

    def lagrangian(self, q: VectorOrComponents, qd: VectorOrComponents, m: Parameters) -> Scalar:
        """T − V in joules."""
        m1, m2, l1, l2, g = self.named(m)
        v1, v2 = l1 * qd[0], l2 * qd[1]
        kinetic = 0.5 * (m1 + m2) * v1**2 + 0.5 * m2 * v2**2
        kinetic += m2 * v1 * v2 * jnp.cos(q[0] - q[1])
        potential = -(m1 + m2) * g * l1 * jnp.cos(q[0]) - m2 * g * l2 * jnp.cos(q[1])
        return kinetic - potential

    def energy_scale(self, m: Parameters) -> Scalar:
        """V at the top, (m1 + m2) |g| l1 + m2 |g| l2: 29.4 J by default, the paper's scale."""
        m1, m2, l1, l2, g = self.named(m)
        return (m1 + m2) * jnp.abs(g) * l1 + m2 * jnp.abs(g) * l2

    # -- data -------------------------------------------------------------------------------

    def sample(self, key: Array, m: Parameters | None = None) -> Sample:
        """A mixture that covers the whole range of the task, with and without torques.

        Velocities: half from U(−10, 10)²; 30 % by kinetic energy, T ~ U(0, 75) J in
        every direction alike, which is where free trajectories go (for given parameters, in
        proportion to `energy_scale`); 20 % from U(−22, 22)², 10 % more than the task allows.
        Torques at both joints ~ U(−7.5, 7.5) for half of the states, none for the other. The
        weight 1 / (1 + |ω|² / 100) keeps the fast states, whose accelerations are largest, from
        dominating the loss.
        """
        key_state, key_kind, key_energy, key_wide, key_torque, key_forced = jax.random.split(key, 6)
        state = uniform_state(key_state, self, (0.0, 2 * jnp.pi), (-10.0, 10.0), m)
        most = 75.0 if m is None else 75.0 / _ENERGY * self.energy_scale(m)
        by_energy = self._velocity_of_kinetic_energy(key_energy, state.q, state.m, most)
        by_range = jax.random.uniform(key_wide, (2,), minval=-_FASTEST, maxval=_FASTEST)
        kind = jax.random.choice(key_kind, 3, p=jnp.array([0.5, 0.3, 0.2]))
        qd = jnp.stack([state.qd, by_energy, by_range])[kind]
        torques = jax.random.uniform(key_torque, (2,), minval=-_STRONGEST, maxval=_STRONGEST)
        shoulder, elbow = torques
        forced = jax.random.bernoulli(key_forced, 0.5)
        tau = jnp.where(forced, jnp.stack([shoulder - elbow, elbow]), 0.0)
        return Sample(state.q, qd, tau, state.m, 1.0 / (1.0 + jnp.sum(qd**2) / 100.0))

    def _velocity_of_kinetic_energy(
        self, key: Array, q: Vector, m: Parameters, most: float | Scalar
    ) -> Vector:
        """ω with ½ ωᵀM ω ~ U(0, `most`), isotropic in the metric of M."""
        key_energy, key_direction = jax.random.split(key)
        energy = jax.random.uniform(key_energy, maxval=most)
        direction = jax.random.normal(key_direction, (2,))
        speed = jnp.sqrt(2.0 * energy) * direction / jnp.linalg.norm(direction)
        factor = jnp.linalg.cholesky(self.mass_matrix(q, jnp.zeros_like(q), m))
        return jax.scipy.linalg.solve_triangular(factor.T, speed, lower=False)

    # -- picture ----------------------------------------------------------------------------

    def scene(self, q: np.ndarray, qd: np.ndarray, effort: np.ndarray, m: np.ndarray) -> Scene:
        """Two rods, two bobs, the tip's path and the torques."""
        m1, m2, l1, l2, _ = map(float, m)
        elbow = (l1 * np.sin(q[0]), -l1 * np.cos(q[0]))
        tip = (elbow[0] + l2 * np.sin(q[1]), elbow[1] - l2 * np.cos(q[1]))
        reach = 1.08 * (l1 + l2)
        shoulder, at_elbow = float(effort[0] + effort[1]), float(effort[1])
        return Scene(
            extent=(reach, reach),
            rods=(Rod((0.0, 0.0), elbow), Rod(elbow, tip)),
            bobs=(Bob(elbow, m1), Bob(tip, m2)),
            torques=(Torque((0.0, 0.0), shoulder), Torque(elbow, at_elbow)),
            trace=tip,
        )


def _from_upright(q: Vector) -> Vector:
    """The angles from straight up, in (−π, π]."""
    return jnp.arctan2(-jnp.sin(q), -jnp.cos(q))
