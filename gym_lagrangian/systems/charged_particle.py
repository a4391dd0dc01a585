r"""A charged particle in a magnetic and an electric field, in a plane or in space.

With mass m, charge e, the potentials A(x) and φ(x) of the fields, and a trap of stiffness k,

    L = ½ m v² + e A(x)·v − e φ(x) − ½ k x².

The canonical momentum is p = m v + e A, and the equation of motion Newton's with the force of
Lorentz and that of the trap,

    m v̇ = e (E + v × B) − k x,    B = ∇ × A,    E = −∇φ.

The fields are uniform here, A = ½ B × x and φ = −E·x; a subclass states others. The magnetic force
is linear in v and does no work: no kinetic energy ½ q̇ᵀ M(q) q̇ and no potential V(q) make one, so
it is what a deep Lagrangian network (DeLaN) cannot learn.

Without a trap the particle turns with e B / m about a centre that drifts with E × B / B². SI units.

Reference: Landau & Lifshitz, "The Classical Theory of Fields", sections 16 to 22; Cranmer et al.,
"Lagrangian Neural Networks" (2020), section 3, for the limits of DeLaN.
"""

from __future__ import annotations

from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np

from gym_lagrangian.checks import positive_number, whole_number
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.physics.shapes import (
    AnyArray,
    Flag,
    Parameters,
    Scalar,
    Vector,
    VectorOrComponents,
)
from gym_lagrangian.systems.base import System
from gym_lagrangian.systems.coordinates import REFERENCE_DT, Parameter
from gym_lagrangian.systems.projection import points, projected
from gym_lagrangian.systems.scene import Bob, Point, Scene, force
from gym_lagrangian.systems.task import Action, Goal, Task, TaskState

AXES = ("x", "y", "z")

# Distances to the target in m: half the reward, and reached; and velocities that count as slow.
_HALF, _REACHED = 0.5, 0.2
_SPEED, _SLOW = 1.0, 0.3

# How far the integrator may turn a particle in one of its steps, in rad: so that energy is kept to
# 1e-8 over 100 s, and for learned models, whose own error is larger.
_TURN, _LEARNED_TURN = 0.25, 1.0


class Reach(Task):
    """Push a particle to a target drawn at reset, and hold it there; see `ChargedParticle`.

    Attributes:
        force_max: force of a full action along each coordinate in N, one number or one a
            coordinate.
        box: half the side in m of the box about the origin. The episode terminates outside of it.
        velocity_max: ends of the valid range of velocities in m/s, one or one a coordinate; None
            for four typical magnitudes.
        goal: `target_x` and `target_y` in m; in space the target is in the plane z = 0.
    """

    requires: ClassVar[tuple[str, ...]] = ("x", "y")
    goal: ClassVar[dict[str, Any]] = {
        "target_x": Parameter((-1.5, 1.5), "m", positive=False),
        "target_y": Parameter((-1.5, 1.5), "m", positive=False),
    }

    force_max: float | tuple[float, ...] = 4.0
    box: float = 3.0
    velocity_max: float | tuple[float, ...] | None = None

    reset_low = -1.0
    reset_high = 1.0

    def __post_init__(self):
        positive_number(f"{self.label} box", self.box, "m")

    @property
    def position_max(self) -> float:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Twice the box, so that leaving it is the end of a task, no divergence."""
        return 2.0 * self.box

    def terminated(self, after: TaskState) -> Flag:
        """Whether the particle has left the box."""
        return jnp.any(jnp.abs(after.q) > self.box)

    def reward(self, before: TaskState, action: Action, after: TaskState) -> Scalar:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Half for being near the target, half for being there and slow."""
        squared = jnp.sum(self.offset(after) ** 2)
        cost = squared / (2 * _REACHED**2) + jnp.sum(after.qd**2) / (2 * _SPEED**2)
        return 0.5 / (1.0 + squared / _HALF**2) + 0.5 * jnp.exp(-cost)

    def at_goal(self, state: TaskState) -> Flag:
        """Within 0.2 m of the target and slower than 0.3 m/s."""
        near = jnp.sum(self.offset(state) ** 2) < _REACHED**2
        return near & (jnp.sum(state.qd**2) < _SLOW**2)

    def goal_state(self, m: Parameters, goal: Goal) -> AnyArray:
        """At rest at the target."""
        return jnp.zeros(2 * self.coordinates.n).at[:2].set(goal)

    def offset(self, state: TaskState) -> Vector:
        """The particle from the target, (n,) in m."""
        plane = state.q[:2] - state.goal
        return jnp.concatenate([plane, state.q[2:]])

    def scene(self, state: TaskState) -> Scene:
        """The particle in the box, and the target."""
        target, walls = np.zeros(self.coordinates.n), _walls(self.coordinates.n, self.box)
        target[:2] = state.goal
        width, height = np.abs(np.concatenate(walls)).max(axis=0).tolist()
        picture = super().scene(state)._replace(extent=(1.03 * width, 1.03 * height))
        lines = (*walls, *_drops(state.q, self.box))
        return picture._replace(target=in_picture(target), lines=lines)


class ChargedParticle(System):
    r"""A charged particle in a magnetic and an electric field, to be pushed to a target.

    ## Description
    A particle turns in a uniform magnetic field, drifts in an electric one and is held near the
    origin by a weak trap. A force pushes it along each coordinate. The default task is to bring it
    to a target and to hold it there against the fields (`Reach`). With x the position, v the
    velocity and A and φ the potentials of the fields, the motion is that of

        L = ½ m v² + charge (A·v − φ) − ½ k x²,    A = ½ B × x,    φ = −E·x,

    without friction. It takes place in a plane, B being perpendicular to it, or in space.

    ## Action Space
    A `Box(-1, 1)`, float32, one component a coordinate:

    | Num | Action                             | Min | Max | Unit          |
    |-----|------------------------------------|-----|-----|---------------|
    | 0   | force along x                      | -1  | 1   | `force_max` N |
    | 1   | force along y                      | -1  | 1   | `force_max` N |
    | 2   | force along z, for `dimensions=3`  | -1  | 1   | `force_max` N |

    Out-of-range actions are clipped.

    ## Observation Space
    A `Box` of shape (6,), or (8,) in space, float32:

    | Num       | Observation            | Min             | Max            | Unit |
    |-----------|------------------------|-----------------|----------------|------|
    | 0 … n−1   | position x, y (, z)    | -2 `box`        | 2 `box`        | m    |
    | n … 2n−1  | velocity               | -`velocity_max` | `velocity_max` | m/s  |
    | 2n, 2n+1  | target x, y            | -1.5            | 1.5            | m    |

    ## Rewards
    In [0, 1] at every step, d being the distance from the target:

        r = ½ / (1 + (d/0.5)²) + ½ exp(−d²/(2·0.2²) − v²/(2·1²)).

    `info["success"]` is True when for the last 2 s d was below 0.2 m and |v| below 0.3 m/s.

    ## Starting State
    Every coordinate ~ U(−1, 1) m, every velocity ~ U(−1, 1) m/s, the target's x and y
    ~ U(−1.5, 1.5) m. `reset(options=...)` takes `{"state": (x, v)}` exactly, or
    `{"low": ..., "high": ...}` for a uniform draw.

    ## Episode End
    Terminates when the particle leaves the box, |x|, |y| or |z| > `box`. Truncated after 500 steps,
    or with `info["diverged"]` when a velocity leaves its range or the state is not finite.

    ## Arguments
    | Name                   | Default    | Meaning                                              |
    |------------------------|------------|------------------------------------------------------|
    | `dimensions`           | 2          | 2 for a plane, 3 for space                           |
    | `m`                    | 1.0        | mass in kg                                           |
    | `charge`               | 1.0        | charge in C, of any sign                             |
    | `B`                    | 4.0        | in a plane: magnetic field along z in T              |
    | `Bx`, `By`, `Bz`       | 0, 0, 4    | in space: its components in T                        |
    | `Ex`, `Ey` (, `Ez`)    | 0.5, 0, 0  | electric field in N/C                                |
    | `k`                    | 1.0        | stiffness of the trap in N/m                         |
    | `target_x`, `target_y` | ±1.5       | the target in m, (-1.5, 1.5) by default; z = 0       |
    | `force_max`            | 4.0        | force of a full action in N, one or one a coordinate |
    | `box`                  | 3.0        | half the side of the box in m                        |
    | `velocity_max`         | None       | ends of the range of velocities in m/s               |

    A parameter may be a pair (low, high) to draw from at reset. `dt`, `dtype`, `integrator`,
    `substeps`, `render_mode` and `render_size` are as for every environment. With the default
    parameters the particle turns 16 times in an episode.

    Other fields: a subclass overrides `vector_potential` and `scalar_potential`, and adds what they
    need to `parameters`.

    ## Version History
    * v0: Initial version.
    """

    varies: ClassVar[dict[str, float]] = {"m": 0.5, "charge": 0.5, "k": 0.5}
    task = Reach

    dimensions: int = 2

    def __post_init__(self):
        if whole_number(f"{self.name} dimensions", self.dimensions) not in (2, 3):
            raise ConfigurationError(
                f"{self.name} dimensions = {self.dimensions!r}: expected 2, a plane, or 3, space"
            )

    # -- coordinates ------------------------------------------------------------------------

    @property
    def coordinates(self) -> tuple[str, ...]:  # type: ignore[override]
        """x, y and in space z."""
        return AXES[: self.dimensions]

    @property
    def angular(self) -> tuple[bool, ...]:  # type: ignore[override]
        """None is an angle."""
        return (False,) * self.dimensions

    @property
    def parameters(self) -> dict[str, Parameter]:  # type: ignore[override]
        """m, charge, the components of B and of E, k."""
        return {
            "m": Parameter(1.0, "kg"),
            "charge": Parameter(1.0, "C", positive=False),
            **self._magnetic_field(),
            **{f"E{axis}": _field(0.5 * (axis == "x"), "N/C", 1.0) for axis in self.coordinates},
            "k": Parameter(1.0, "N/m", positive=False, least=0.0),
        }

    # -- physics ----------------------------------------------------------------------------

    def vector_potential(self, x: VectorOrComponents, m: Parameters) -> tuple[Scalar, ...]:
        """A(x) in T·m, one scalar a coordinate: ½ B × x, that of a uniform field."""
        p = self.named(m)
        if self.dimensions == 2:
            return -0.5 * p.B * x[1], 0.5 * p.B * x[0]
        return (
            0.5 * (p.By * x[2] - p.Bz * x[1]),
            0.5 * (p.Bz * x[0] - p.Bx * x[2]),
            0.5 * (p.Bx * x[1] - p.By * x[0]),
        )

    def scalar_potential(self, x: VectorOrComponents, m: Parameters) -> Scalar:
        """φ(x) in V: −E·x, that of a uniform field."""
        p = self.named(m)
        plane = p.Ex * x[0] + p.Ey * x[1]
        return -plane if self.dimensions == 2 else -(plane + p.Ez * x[2])

    def lagrangian(self, q: VectorOrComponents, qd: VectorOrComponents, m: Parameters) -> Scalar:
        """½ m v² + charge (A·v − φ) − ½ k x² in joules."""
        p, each = self.named(m), range(self.dimensions)
        potential = self.vector_potential(q, m)
        along = sum(potential[i] * qd[i] for i in each)
        kinetic = 0.5 * p.m * sum(qd[i] ** 2 for i in each)
        trap = 0.5 * p.k * sum(q[i] ** 2 for i in each)
        return kinetic + p.charge * (along - self.scalar_potential(q, m)) - trap

    # -- picture ----------------------------------------------------------------------------

    def scene(self, q: np.ndarray, qd: np.ndarray, effort: np.ndarray, m: np.ndarray) -> Scene:
        """The particle, its path and the force on it; space is seen from above and aside."""
        here = in_picture(q)
        reach = max(3.0, 1.2 * float(np.max(np.abs(here))))
        return Scene(
            extent=(reach, reach),
            bobs=(Bob(here, float(self.named(m).m)),),
            forces=(force(here, in_picture(effort)),),
            trace=here,
        )

    # -- internals --------------------------------------------------------------------------

    def _magnetic_field(self) -> dict[str, Parameter]:
        if self.dimensions == 2:
            return {"B": _field(4.0, "T", 4.0)}
        return {f"B{axis}": _field(4.0 * (axis == "z"), "T", 4.0) for axis in AXES}

    def _recommended_substeps(self, *, learned: bool, m_bounds: np.ndarray | None) -> float:
        """As for every system, but enough for every turn in the magnetic field."""
        usual = super()._recommended_substeps(learned=learned, m_bounds=m_bounds)
        low, high = self.parameter_bounds() if m_bounds is None else m_bounds
        names = list(self.parameters)
        most = dict(zip(names, np.maximum(np.abs(low), np.abs(high)).tolist(), strict=True))
        field = np.linalg.norm([most[name] for name in self._magnetic_field()])
        turns = most["charge"] * field / low[names.index("m")]
        return max(usual, REFERENCE_DT * float(turns) / (_LEARNED_TURN if learned else _TURN))


def _field(default: float, unit: str, scale: float) -> Parameter:
    return Parameter(default, unit, positive=False, scale=scale)


def in_picture(x: np.ndarray) -> Point:
    """Where a place (2,) or (3,) in m is in the picture."""
    place = projected(x) if len(x) == 3 else x
    return (float(place[0]), float(place[1]))


def _drops(place: AnyArray, half: float) -> tuple[tuple[Point, ...], ...]:
    """In space, the line from a place down to the floor of the box, which shows where it is."""
    if len(place) == 2:
        return ()
    x, y, z = (float(part) for part in place)
    return (points([(x, y, z), (x, y, -half)]),)


def _walls(dimensions: int, half: float) -> tuple[tuple[Point, ...], ...]:
    """The edges of a square or a cube about the origin."""
    corners = [(-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1)]
    if dimensions == 2:
        return (tuple((half * x, half * y) for x, y in corners),)
    floor, roof = (half * np.array([(x, y, z) for x, y in corners]) for z in (-1, 1))
    posts = np.stack([floor, roof], axis=1)[:-1]
    return (points(floor), points(roof), *(points(post) for post in posts))
