r"""A body about a fixed centre of gravity, in a plane: Kepler's problem.

A body of mass m is at (x, y) from a centre with the gravitational parameter μ = G M, which is too
heavy to move. With r² = x² + y² + s²,

    L = ½ m (ẋ² + ẏ²) + m μ / r.

The softening s is 0 by default, as in nature: the force grows without bound towards the centre.
Free motion conserves the energy, the angular momentum h = x ẏ − y ẋ and, for s = 0, the vector of
Laplace, Runge and Lenz, v × h − μ x / r. A bound orbit is an ellipse of the semi-major axis a and
the period 2π √(a³ / μ). A circular orbit of the radius R has the speed √(μ / R). SI units.

Reference: Goldstein, Poole & Safko, "Classical Mechanics" (2002), chapter 3.
"""

from __future__ import annotations

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from gym_lagrangian.checks import positive_number
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.physics.shapes import (
    Flag,
    Parameters,
    Scalar,
    Vector,
    VectorOrComponents,
)
from gym_lagrangian.systems.base import System
from gym_lagrangian.systems.coordinates import Parameter
from gym_lagrangian.systems.projection import circle
from gym_lagrangian.systems.sample import Distributions, Sample, drawn_at
from gym_lagrangian.systems.scene import Bob, Point, Scene, force
from gym_lagrangian.systems.task import Action, Task, TaskState

# Distances to the orbit, as shares of its radius: half the reward, the width of the reward, and
# reached. Velocities likewise, as shares of that of the orbit.
_HALF, _WIDTH, _REACHED = 0.2, 0.1, 0.05
_SPEED, _SLOW = 0.2, 0.1

# Distances from the centre that states to learn from have, in m, and those that free motion starts
# from.
_STATES, _STARTS = (0.35, 3.3), (0.8, 2.0)


class HoldOrbit(Task):
    r"""Reach a circular orbit of a radius that is drawn at reset, and stay on it; see `Kepler`.

    Attributes:
        force_max: thrust of a full action along each coordinate in N, one number or one a
            coordinate.
        collision: distance in m below which the body has hit the centre. The episode terminates.
        escape: distance in m beyond which it has escaped. The episode terminates.
        velocity_max: ends of the valid range of velocities in m/s, one or one a coordinate; None
            for four typical magnitudes.
        goal: `radius` of the orbit in m.
    """

    requires: ClassVar[tuple[str, ...]] = ("x", "y", "mu")
    goal: ClassVar[dict[str, Any]] = {"radius": Parameter((0.9, 1.8), "m")}

    force_max: float | tuple[float, ...] = 0.5
    collision: float = 0.4
    escape: float = 3.0
    velocity_max: float | tuple[float, ...] | None = None

    reset_low = (0.9, -0.2, -0.3, 1.5)
    reset_high = (1.5, 0.2, 0.3, 2.1)

    def __post_init__(self):
        near = positive_number(f"{self.label} collision", self.collision, "m")
        if positive_number(f"{self.label} escape", self.escape, "m") <= near:
            raise ConfigurationError(
                f"{self.label} escape = {self.escape}: expected more than collision = {near} m"
            )

    @property
    def position_max(self) -> float:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Twice the distance of escape, so that it is the end of a task, no divergence."""
        return 2.0 * self.escape

    def terminated(self, after: TaskState) -> Flag:
        """Whether the body has hit the centre or escaped."""
        distance = jnp.linalg.norm(after.q)
        return (distance < self.collision) | (distance > self.escape)

    def reward(self, before: TaskState, action: Action, after: TaskState) -> Scalar:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Half for the distance from the centre, half for motion along the orbit."""
        distance, speed = self.errors(after)
        cost = distance**2 / (2 * _WIDTH**2) + speed**2 / (2 * _SPEED**2)
        return 0.5 / (1.0 + (distance / _HALF) ** 2) + 0.5 * jnp.exp(-cost)

    def at_goal(self, state: TaskState) -> Flag:
        """Within 5 % of the radius, its velocity within 10 % of that of the orbit."""
        distance, speed = self.errors(state)
        return (jnp.abs(distance) < _REACHED) & (speed < _SLOW)

    def errors(self, state: TaskState) -> tuple[Scalar, Scalar]:
        """By how much the distance from the centre and the velocity miss those of the orbit, which
        is counter-clockwise: the first as a share of the radius, the second, the length of a
        vector, of the orbit's speed.
        """
        radius, (x, y) = state.goal[0], state.q
        distance = jnp.sqrt(x**2 + y**2)
        along = jnp.stack([-y, x]) / distance
        speed = jnp.sqrt(self.coordinates.named(state.m).mu / radius)
        return distance / radius - 1.0, jnp.linalg.norm(state.qd / speed - along)

    def scene(self, state: TaskState) -> Scene:
        """The body, the orbit to reach, and where it would collide and escape."""
        picture = super().scene(state)
        ends, orbit = (_ring(self.collision), _ring(self.escape)), _ring(float(state.goal[0]))
        reach = 1.03 * self.escape
        return picture._replace(lines=ends, course=orbit, extent=(reach, reach))


class Kepler(System):
    r"""A body about a centre of gravity, to be brought to a circular orbit by small thrusts.

    ## Description
    A body moves in a plane under the attraction of a fixed centre, with thrusters along x and y.
    The default task is to reach a circular orbit of a given radius, counter-clockwise, and to stay
    on it (`HoldOrbit`). The motion is the exact Euler–Lagrange equation of

        L = ½ m (ẋ² + ẏ²) + m mu / √(x² + y² + softening²).

    ## Action Space
    A `Box(-1, 1, (2,))`, float32:

    | Num | Action          | Min | Max | Unit          |
    |-----|-----------------|-----|-----|---------------|
    | 0   | thrust along x  | -1  | 1   | `force_max` N |
    | 1   | thrust along y  | -1  | 1   | `force_max` N |

    Out-of-range actions are clipped.

    ## Observation Space
    A `Box` of shape (5,), float32:

    | Num  | Observation         | Min             | Max            | Unit |
    |------|---------------------|-----------------|----------------|------|
    | 0, 1 | position x, y       | -2 `escape`     | 2 `escape`     | m    |
    | 2, 3 | velocity            | -`velocity_max` | `velocity_max` | m/s  |
    | 4    | radius of the orbit | 0.9             | 1.8            | m    |

    ## Rewards
    In [0, 1] at every step. With d the distance from the centre over the radius, less 1, and u the
    velocity less that of the orbit there, over its speed,

        r = ½ / (1 + (d/0.2)²) + ½ exp(−d²/(2·0.1²) − u²/(2·0.2²)).

    `info["success"]` is True when for the last 2 s |d| was below 0.05 and |u| below 0.1.

    ## Starting State
    On the side of x: x ~ U(0.9, 1.5), y ~ U(−0.2, 0.2), ẋ ~ U(−0.3, 0.3), ẏ ~ U(1.5, 2.1), and the
    radius ~ U(0.9, 1.8). `reset(options=...)` takes `{"state": (x, y, ẋ, ẏ)}` exactly, or
    `{"low": ..., "high": ...}` for a uniform draw.

    ## Episode End
    Terminates when the body is nearer to the centre than `collision` or farther than `escape`.
    Truncated after 500 steps, or with `info["diverged"]` when a velocity leaves its range or the
    state is not finite.

    ## Arguments
    | Name           | Default    | Meaning                                                  |
    |----------------|------------|----------------------------------------------------------|
    | `m`            | 1.0        | mass of the body in kg                                   |
    | `mu`           | 4.0        | gravitational parameter G M of the centre in m³/s²       |
    | `softening`    | 0.0        | softening length in m                                    |
    | `radius`       | (0.9, 1.8) | radius of the orbit to reach in m, drawn at reset        |
    | `force_max`    | 0.5        | thrust of a full action in N, one or one a coordinate    |
    | `collision`    | 0.4        | distance of a collision in m                             |
    | `escape`       | 3.0        | distance of an escape in m                               |
    | `velocity_max` | None       | ends of the range of velocities in m/s; None: 8          |

    A parameter may be a pair (low, high) to draw from at reset. `dt`, `dtype`, `integrator`,
    `substeps`, `render_mode` and `render_size` are as for every environment. At a radius of 1 m the
    period is 3.1 s. Energy is kept to 1e-8 on orbits that stay outside of the default `collision`;
    a smaller one takes more `substeps`.

    ## Version History
    * v0: Initial version.
    """

    coordinates = ("x", "y")
    parameters: ClassVar[dict[str, Parameter]] = {
        "m": Parameter(1.0, "kg"),
        "mu": Parameter(4.0, "m³/s²", scale=4.0),
        "softening": Parameter(0.0, "m", positive=False, least=0.0),
    }
    # Energy drift over 100 s on orbits between 0.4 and 3 m: below 1e-12 (6 substeps).
    substeps = 6
    learned_substeps = 2
    q_scale = (1.0, 1.0)
    qd_scale = (2.0, 2.0)
    tau_scale = (4.0, 4.0)
    varies: ClassVar[dict[str, float]] = {"m": 0.5, "mu": 0.5}
    task = HoldOrbit

    # -- physics ----------------------------------------------------------------------------

    def lagrangian(self, q: VectorOrComponents, qd: VectorOrComponents, m: Parameters) -> Scalar:
        """T − V in joules."""
        p = self.named(m)
        distance = jnp.sqrt(q[0] ** 2 + q[1] ** 2 + p.softening**2)
        return 0.5 * p.m * (qd[0] ** 2 + qd[1] ** 2) + p.m * p.mu / distance

    def energy_scale(self, m: Parameters) -> Scalar:
        """What frees the body from the orbit of 1 m, ½ m mu / (1 m)."""
        p = self.named(m)
        return 0.5 * p.m * p.mu

    # -- data -------------------------------------------------------------------------------

    def sample(self, key: Array, m: Parameters | None = None) -> Sample:
        """Distances ~ U(0.35, 3.3) m in every direction, velocities ~ N(0, μ / r) along each
        coordinate; forces as for every system.
        """
        key_place, key_speed, key_rest = jax.random.split(key, 3)
        sample = super().sample(key_rest, m)
        q = _place(key_place, *_STATES)
        spread = self._circular_speed(q, sample.m)
        return sample._replace(q=q, qd=spread * jax.random.normal(key_speed, (2,)))

    def distributions(self) -> Distributions:
        """Unforced states of `sample`, and free motion on bound orbits: from U(0.8, 2) m across the
        line to the centre, with 0.85 to 1.15 times the speed of a circular orbit.
        """
        unforced = super().distributions().states

        def bound(key: Array, m: Parameters | None = None) -> Sample:
            sample = drawn_at(unforced, key, m)
            key_place, key_speed, key_turn = jax.random.split(key, 3)
            q = _place(key_place, *_STARTS)
            share = jax.random.uniform(key_speed, minval=0.85, maxval=1.15)
            turn = jnp.where(jax.random.bernoulli(key_turn), share, -share)
            across = jnp.stack([-q[1], q[0]]) / jnp.linalg.norm(q)
            return sample._replace(q=q, qd=turn * self._circular_speed(q, sample.m) * across)

        return Distributions(unforced, bound)

    def _circular_speed(self, q: Vector, m: Parameters) -> Scalar:
        return jnp.sqrt(self.named(m).mu / jnp.linalg.norm(q))

    # -- picture ----------------------------------------------------------------------------

    def scene(self, q: np.ndarray, qd: np.ndarray, effort: np.ndarray, m: np.ndarray) -> Scene:
        """The centre, the body, its path and the thrust."""
        here = (float(q[0]), float(q[1]))
        reach = max(2.0, 1.2 * float(np.hypot(*here)))
        return Scene(
            extent=(reach, reach),
            bobs=(Bob((0.0, 0.0), 5.0), Bob(here, 0.3)),
            forces=(force(here, effort),),
            trace=here,
        )


def _place(key: Array, low: float, high: float) -> Vector:
    """A place (2,) in a direction and at a distance that are both uniform."""
    key_angle, key_distance = jax.random.split(key)
    angle = jax.random.uniform(key_angle, minval=-jnp.pi, maxval=jnp.pi)
    distance = jax.random.uniform(key_distance, minval=low, maxval=high)
    return distance * jnp.stack([jnp.cos(angle), jnp.sin(angle)])


def _ring(radius: float) -> tuple[Point, ...]:
    return tuple((x, y) for x, y, _ in circle(radius).tolist())
