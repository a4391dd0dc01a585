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

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from gym_lagrangian.checks import one_of, positive_number
from gym_lagrangian.systems.base import Parameter, System
from gym_lagrangian.systems.preset import Preset
from gym_lagrangian.systems.sample import Sample
from gym_lagrangian.systems.scene import Bob, Force, Gauge, Scene

LAGRANGIANS = ("paper", "special_relativity")


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

    physical_options: ClassVar[tuple[str, ...]] = ("lagrangian",)
    coordinates: ClassVar[tuple[str, ...]] = ("q",)
    angular: ClassVar[tuple[bool, ...]] = (False,)
    parameters: ClassVar[dict[str, Parameter]] = {
        "m": Parameter(1.0, "kg"),
        "c": Parameter(1.0, "m/s"),
        "g": Parameter((-2.0, 2.0), "m/s²", positive=False, scale=10.0),
    }
    recipes: ClassVar[dict[str, Preset]] = {
        "LNN": Preset({"gradient": "force"}, {}),
        "HNN": Preset(
            {"momentum_scale": 1.0, "quadratic_start": 1.0, "learns": "accelerations"},
            {"learning_rate": 5e-3},
        ),
        # These soon learn all that they can; a motion's states count one by one.
        **dict.fromkeys(("Baseline", "DeLaN", "NoncanonicalHNN"), Preset({}, {"steps": 300_000})),
        **dict.fromkeys(("NODE", "MLP"), Preset({}, {"steps": 75_000})),
    }
    reset_low: ClassVar[tuple[float, ...]] = (-5.0, 0.0)
    reset_high: ClassVar[tuple[float, ...]] = (5.0, 0.0)
    substeps: ClassVar[int] = 4
    learned_substeps: ClassVar[int] = 4
    q_scale: ClassVar[tuple[float, ...]] = (10.0,)
    qd_scale: ClassVar[tuple[float, ...]] = (1.0,)
    tau_scale: ClassVar[tuple[float, ...]] = (10.0,)

    variant: str = eqx.field(static=True)
    force_max: float = eqx.field(static=True)
    position_max: float = eqx.field(static=True)

    def __init__(
        self, *, lagrangian: str = "paper", force_max: float = 4.0, position_max: float = 20.0
    ):
        self.variant = one_of("RelativisticParticle lagrangian", lagrangian, LAGRANGIANS)
        self.force_max = positive_number("RelativisticParticle force_max", force_max, "N")
        self.position_max = positive_number("RelativisticParticle position_max", position_max, "m")

    @property
    def options(self) -> dict[str, str | float]:
        return {
            "lagrangian": self.variant,
            "force_max": self.force_max,
            "position_max": self.position_max,
        }

    @property
    def speed_limit(self) -> tuple[tuple[str, str]]:
        """c; the mass of the paper's particle grows as γ⁵, the physical one's as γ³."""
        return (("c", "rapidity" if self.variant == "paper" else "kinetic"),)

    # -- physics ----------------------------------------------------------------------------

    def lagrangian(self, q: Array, qd: Array, m: Array) -> Array:
        """L in joules by the chosen variant; NaN where |v| ≥ c."""
        mass, c, g = m
        inverse_gamma = jnp.sqrt(1.0 - (qd[0] / c) ** 2)
        rest = mass * c**2
        if self.variant == "paper":
            kinetic = rest * (1.0 / inverse_gamma - 1.0)
        else:
            kinetic = -rest * inverse_gamma
        return kinetic + mass * g * q[0]

    def generalized_force(self, action: Array) -> Array:
        """The force along q in N of an action in [-1, 1]."""
        return self.force_max * action

    def energy_scale(self, m: Array) -> Array:
        """The rest energy m c²."""
        mass, c, _ = m
        return mass * c**2

    # -- task -------------------------------------------------------------------------------

    @property
    def action_size(self) -> int:
        """One force."""
        return 1

    def observation_bounds(self, m_bounds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """±`position_max`, ±c, and the range of g, or ±max(1, |g|) where g is fixed."""
        (_, _, g_low), (_, c, g_high) = m_bounds
        if g_low == g_high:  # a box of no width cannot be rescaled
            g_high = max(1.0, abs(g_high))
            g_low = -g_high
        low = np.array([-self.position_max, -c, g_low], np.float32)
        high = np.array([self.position_max, c, g_high], np.float32)
        return low, high

    def observation(self, q: Array, qd: Array, m: Array) -> Array:
        """(q, v, g)."""
        return jnp.stack([q[0], qd[0], m[2]])

    def reward(self, q: Array, qd: Array, m: Array) -> Array:
        """Half for being near the origin, half for being there and slow."""
        offset, beta = q[0], qd[0] / m[1]
        hold = jnp.exp(-(offset**2) / (2 * 0.5**2) - beta**2 / (2 * 0.2**2))
        return 0.5 / (1.0 + offset**2) + 0.5 * hold

    def at_goal(self, q: Array, qd: Array, m: Array) -> Array:
        """Within 0.2 m of the origin and slower than 0.1 c."""
        return (jnp.abs(q[0]) < 0.2) & (jnp.abs(qd[0]) < 0.1 * m[1])

    def in_range(self, q: Array, qd: Array, m: Array) -> Array:
        """|v| < c and |q| ≤ `position_max`."""
        return (jnp.abs(qd[0]) < m[1]) & (jnp.abs(q[0]) <= self.position_max)

    # -- data -------------------------------------------------------------------------------

    def sample(self, key: Array) -> Sample:
        """The protocol's states, half of them where the task goes, and half of those and of the
        others under a force F = 10·N(0, 1).
        """
        key_state, key_q, key_far, key_force, key_forced = jax.random.split(key, 5)
        state = self.protocol_sample(key_state)
        reach = 1.1 * self.position_max
        far = jax.random.uniform(key_q, (1,), minval=-reach, maxval=reach)
        q = jnp.where(jax.random.bernoulli(key_far), far, state.q)
        tau = 10.0 * jax.random.normal(key_force, (1,))
        tau = jnp.where(jax.random.bernoulli(key_forced), tau, 0.0)
        return state._replace(q=q, tau=tau)

    def protocol_sample(self, key: Array) -> Sample:
        """q ~ U(−10, 10), v = 0.99999 tanh(2 N(0, 1)), g = 10 N(0, 1), weight 1 + γ(v)."""
        key_q, key_v, key_g = jax.random.split(key, 3)
        q = jax.random.uniform(key_q, (1,), minval=-10.0, maxval=10.0)
        qd = 0.99999 * jnp.tanh(2.0 * jax.random.normal(key_v, (1,)))
        m = jnp.stack([1.0, 1.0, 10.0 * jax.random.normal(key_g)])
        weight = 1.0 + 1.0 / jnp.sqrt(1.0 - qd[0] ** 2)
        return Sample(q, qd, jnp.zeros_like(q), m, weight)

    def evaluation_sample(self, key: Array) -> Sample:
        """q ~ U(−10, 10), v ~ U(−0.99, 0.99), g = 10 N(0, 1), no forces."""
        key_state, key_qd = jax.random.split(key)
        qd = jax.random.uniform(key_qd, (1,), minval=-0.99, maxval=0.99)
        return self.protocol_sample(key_state)._replace(qd=qd)

    # -- picture ----------------------------------------------------------------------------

    def scene(self, q: np.ndarray, qd: np.ndarray, tau: np.ndarray, m: np.ndarray) -> Scene:
        """The particle on its line, the target, the force and a gauge of v/c."""
        mass, c, _ = (float(v) for v in m)
        here = (float(q[0]), 0.0)
        reach = max(8.0, 1.3 * abs(here[0]))  # so that the force beside it is seen too
        return Scene(
            extent=(reach, reach / 2),
            bobs=(Bob(here, mass),),
            forces=(Force(here, float(tau[0]) / self.force_max),),
            gauges=(Gauge("v / c", float(qd[0]) / c),),
            track=True,
            target=(0.0, 0.0),
        )
