r"""A relativistic particle in a uniform potential, the paper's second system.

One coordinate q along a line, speed |v| < c, a potential of strength g. Two Lagrangians,
chosen by name; with β = v/c, γ = (1 − β²)^(−½) and m c² the energy scale:

=================== ============================== ================================
                    ``"paper"``                    ``"special_relativity"``
=================== ============================== ================================
L                   m c² (γ − 1) + m g q           −m c² / γ + m g q
p = ∂L/∂v           m v γ³                         m v γ
v̇ (no other force)  g γ^(−5) / (1 + 2β²)           g γ^(−3)
energy v p − L      m c² ((2β² − 1) γ³ + 1) − mgq  m c² γ − m g q
=================== ============================== ================================

The paper prints the first, which puts the kinetic energy γ − 1 where −1/γ belongs, and its
experiments use it: the accelerations differ by 0.50× at v = 0.5 c and 0.073× at v = 0.9 c.
The second is the motion of special relativity. SI units in form; with the defaults m = c = 1
they are natural units.

Reference: Cranmer et al., "Lagrangian Neural Networks" (2020), section 5.
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
from gym_lagrangian.systems.sample import Sample
from gym_lagrangian.systems.scene import Bob, Force, Gauge, Scene
from gym_lagrangian.systems.task import Goal, Observation, Task, TaskState, widened

LAGRANGIANS = ("paper", "special_relativity")

# Training positions go 10 % beyond the range of the default task, in m.
_FARTHEST = 22.0


class Reach(Task):
    """Reach and hold the origin; see `RelativisticParticle`.

    Attributes:
        force_max: force of a full action in N.
        position_max: distance from the origin that ends an episode, in m.
    """

    requires: ClassVar[tuple[str, ...]] = ("q", "c", "g")

    force_max: float = 4.0
    position_max: float = 20.0

    reset_low = (-5.0, 0.0)
    reset_high = (5.0, 0.0)

    def __post_init__(self):
        force = positive_number("RelativisticParticle force_max", self.force_max, "N")
        object.__setattr__(self, "force_max", force)  # a whole number may be too large for jax
        positive_number("RelativisticParticle position_max", self.position_max, "m")

    def observation_bounds(
        self, m_bounds: np.ndarray, goal_bounds: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """±`position_max`, ±c, and the range of g, or ±max(1, |g|) where g is fixed."""
        (_, _, g_low), (_, _, g_high) = widened(m_bounds)
        c = m_bounds[1, 1]
        low = np.array([-self.position_max, -c, g_low], np.float32)
        high = np.array([self.position_max, c, g_high], np.float32)
        return low, high

    def observation(self, state: TaskState) -> Observation:
        """(q, v, g)."""
        return jnp.stack([state.q[0], state.qd[0], self.coordinates.named(state.m).g])

    def state_of(self, observation: Any) -> tuple[np.ndarray, np.ndarray]:
        q, v, _ = np.asarray(observation, np.float64)
        return np.array([q]), np.array([v])

    def reward(self, q: Vector, qd: Vector, tau: Vector, m: Parameters) -> Scalar:
        """Half for being near the origin, half for being there and slow."""
        offset, beta = q[0], qd[0] / self.coordinates.named(m).c
        hold = jnp.exp(-(offset**2) / (2 * 0.5**2) - beta**2 / (2 * 0.2**2))
        return 0.5 / (1.0 + offset**2) + 0.5 * hold

    def at_goal(self, state: TaskState) -> Flag:
        """Within 0.2 m of the origin and slower than 0.1 c."""
        c = self.coordinates.named(state.m).c
        return (jnp.abs(state.q[0]) < 0.2) & (jnp.abs(state.qd[0]) < 0.1 * c)

    def goal_state(self, m: Parameters, goal: Goal) -> AnyArray:
        """At rest at the origin."""
        return jnp.zeros(2)

    def in_range(self, state: TaskState) -> Flag:
        """|v| < c and |q| ≤ `position_max`."""
        c = self.coordinates.named(state.m).c
        return (jnp.abs(state.qd[0]) < c) & (jnp.abs(state.q[0]) <= self.position_max)


class RelativisticParticle(System):
    r"""Reach and hold the origin against a uniform potential, below the speed of light.

    ## Description
    A particle moves along a line under a uniform potential that pulls with m g and a force
    that the agent controls. Near the speed of light it grows too heavy to accelerate. Two
    Lagrangians are offered, with γ = (1 − v²/c²)^(−½):

        "paper"               L = m c² (γ − 1) + m g q    (as the paper prints it)
        "special_relativity"  L = −m c² / γ + m g q       (as physics has it)

    ## Action Space
    A `Box(-1, 1, (1,))`, float32:

    | Num | Action        | Min | Max | Unit          |
    |-----|---------------|-----|-----|---------------|
    | 0   | force along q | -1  | 1   | `force_max` N |

    Out-of-range actions are clipped.

    ## Observation Space
    A `Box` of shape (3,), float32:

    | Num | Observation             | Min | Max | Unit |
    |-----|-------------------------|-----|-----|------|
    | 0   | position q              | -20 | 20  | m    |
    | 1   | velocity v              | -1  | 1   | m/s  |
    | 2   | potential strength g    | -2  | 2   | m/s² |

    The bounds are `position_max`, c and the range of g (±max(1, |g|) where g is fixed).

    ## Rewards
    In [0, 1] at every step, for being near the origin and slow:

        r = ½ / (1 + q²) + ½ exp(−q²/(2·0.5²) − (v/c)²/(2·0.2²)).

    `info["success"]` is True when for the last 2 s the particle was within 0.2 m of the
    origin and slower than 0.1 c.

    ## Starting State
    At rest at q ~ U(−5, 5); g ~ U(−2, 2) unless given. `reset(options=...)` takes
    `{"state": (q, v)}` exactly, or `{"low": ..., "high": ...}` for a uniform draw.

    ## Episode End
    Never terminates. Truncated after 500 steps (25 s at the default `dt`), or with
    `info["diverged"]` when |v| ≥ c, |q| exceeds `position_max` or the state is not finite:
    the step then returns the last valid observation and reward.

    ## Arguments
    | Name            | Default   | Meaning                                                     |
    |-----------------|-----------|-------------------------------------------------------------|
    | `m`             | 1.0       | rest mass in kg, or a pair (low, high) to draw from at reset |
    | `c`             | 1.0       | speed of light in m/s, likewise                             |
    | `g`             | (-2, 2)   | strength of the potential in m/s², likewise                 |
    | `lagrangian`    | `"paper"` | `"paper"` or `"special_relativity"`                         |
    | `force_max`     | 4.0       | force of a full action in N                                 |
    | `position_max`  | 20.0      | distance from the origin that ends an episode, in m         |

    and what every environment takes: `dt`, `dtype`, `integrator`, `substeps`, `render_mode`,
    `render_size`, see `gym_lagrangian.envs.LagrangianEnv`. With the default parameters and
    step the integrator cannot cross c: |m g| + `force_max` ≤ 6 N change v by at most 0.075 c
    in one of its steps, and ever less near c.

    ## Version History
    * v0: Initial version.
    """

    coordinates = ("q",)
    parameters: ClassVar[dict[str, Parameter]] = {
        "m": Parameter(1.0, "kg"),
        "c": Parameter(1.0, "m/s"),
        "g": Parameter((-2.0, 2.0), "m/s²", positive=False, scale=10.0),
    }
    recipes: ClassVar[dict[str, Preset]] = {
        "LNN": Preset({"gradient": "force"}, {"steps": 1_200_000}),
        "HNN": Preset(
            {"momentum_scale": 1.0, "quadratic_start": 1.0, "learns": "accelerations"},
            {"learning_rate": 5e-3, "steps": 1_200_000},
        ),
        # These soon learn all that they can; a motion's states count one by one.
        **dict.fromkeys(("Baseline", "DeLaN", "NoncanonicalHNN"), Preset({}, {"steps": 300_000})),
        **dict.fromkeys(("NODE", "MLP"), Preset({}, {"steps": 75_000})),
    }
    substeps = 4
    learned_substeps = 4
    q_scale = (10.0,)
    qd_scale = (1.0,)
    tau_scale = (10.0,)
    varies: ClassVar[dict[str, Any]] = {"m": 0.5, "g": (-30.0, 30.0)}  # g: three σ of `sample`
    task = Reach

    variant: str = "paper"

    def __init__(self, *, lagrangian: str = "paper"):
        """Choose one of the two Lagrangians by name."""
        variant = one_of("RelativisticParticle lagrangian", lagrangian, LAGRANGIANS)
        object.__setattr__(self, "variant", variant)

    @property
    def options(self) -> dict[str, Any]:
        return {"lagrangian": self.variant}

    @property
    def speed_limit(self) -> tuple[tuple[str, str]]:  # type: ignore[override]
        """c; the mass of the paper's particle grows as γ⁵, the physical one's as γ³."""
        return (("c", "rapidity" if self.variant == "paper" else "kinetic"),)

    # -- physics ----------------------------------------------------------------------------

    def lagrangian(self, q: VectorOrComponents, qd: VectorOrComponents, m: Parameters) -> Scalar:
        """L in joules by the chosen variant; NaN where |v| ≥ c."""
        mass, c, g = self.named(m)
        inverse_gamma = jnp.sqrt(1.0 - (qd[0] / c) ** 2)
        rest = mass * c**2
        if self.variant == "paper":
            kinetic = rest * (1.0 / inverse_gamma - 1.0)
        else:
            kinetic = -rest * inverse_gamma
        return kinetic + mass * g * q[0]

    def energy_scale(self, m: Parameters) -> Scalar:
        """The rest energy m c²."""
        mass, c, _ = self.named(m)
        return mass * c**2

    # -- data -------------------------------------------------------------------------------

    def sample(self, key: Array, m: Parameters | None = None) -> Sample:
        """Half of the states with q ~ U(−10, 10), the others where the task goes, q ~ U(−22, 22),
        all with v = 0.99999 tanh(2 N(0, 1)) c and g = 10 N(0, 1), half of each under a force
        F = 10 N(0, 1); weight 1 + γ(v).
        """
        key_state, key_q, key_far, key_force, key_forced = jax.random.split(key, 5)
        state = self.fast_state(key_state, m)
        far = jax.random.uniform(key_q, (1,), minval=-_FARTHEST, maxval=_FARTHEST)
        q = jnp.where(jax.random.bernoulli(key_far), far, state.q)
        tau = 10.0 * jax.random.normal(key_force, (1,))
        tau = jnp.where(jax.random.bernoulli(key_forced), tau, 0.0)
        return state._replace(q=q, tau=tau)

    def fast_state(self, key: Array, m: Parameters | None = None) -> Sample:
        """q ~ U(−10, 10), v = 0.99999 tanh(2 N(0, 1)) c, g = 10 N(0, 1) or the parameters m,
        weight 1 + γ(v).
        """
        key_q, key_v, key_g = jax.random.split(key, 3)
        q = jax.random.uniform(key_q, (1,), minval=-10.0, maxval=10.0)
        beta = 0.99999 * jnp.tanh(2.0 * jax.random.normal(key_v, (1,)))
        if m is None:
            m = jnp.stack([1.0, 1.0, 10.0 * jax.random.normal(key_g)])
        weight = 1.0 + 1.0 / jnp.sqrt(1.0 - beta[0] ** 2)
        return Sample(q, self.named(m).c * beta, jnp.zeros_like(q), m, weight)

    # -- picture ----------------------------------------------------------------------------

    def scene(self, q: np.ndarray, qd: np.ndarray, effort: np.ndarray, m: np.ndarray) -> Scene:
        """The particle on its line, the target, the force and a gauge of v/c."""
        mass, c, _ = map(float, m)
        here = (float(q[0]), 0.0)
        reach = max(8.0, 1.3 * abs(here[0]))  # so that the force beside it is seen too
        return Scene(
            extent=(reach, reach / 2),
            bobs=(Bob(here, mass),),
            forces=(Force(here, float(effort[0])),),
            gauges=(Gauge("v / c", float(qd[0]) / c),),
            track=True,
            target=(0.0, 0.0),
        )
