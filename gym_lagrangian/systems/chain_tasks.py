r"""Tasks for planar chains: swing up, balance, reach a target with the tip.

Motors sit in joints or act on links. The torque u_i of a motor in joint i turns link i and pushes
back on link i − 1, so its work is u_i times the angle of the joint; a torque on an absolute angle
has no reaction on any other link, its work is u_i dθ_i. With D and S of `chain_kinematics`, the
generalized forces are τ = Sᵀ Dᵀ u for the one and τ = Sᵀ u for the other.

Every task goes with any coordinates that are named as those of a chain.
"""

from __future__ import annotations

from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np

from gym_lagrangian.checks import positive_number
from gym_lagrangian.physics.shapes import AnyArray, Flag, Parameters, Scalar, Vector
from gym_lagrangian.systems.chain_kinematics import (
    Kind,
    absolute_angles,
    kind_of,
    lengths,
    module_of,
    places,
    two_link_angles,
)
from gym_lagrangian.systems.coordinates import Magnitudes
from gym_lagrangian.systems.scene import Scene
from gym_lagrangian.systems.task import Action, Goal, Observation, Task, TaskState

# How near upright and how slow a chain has to be to count as held, in rad and rad/s or m/s.
_NEAR, _SLOW = 0.2, 0.5

# Widths of the rewards: of the angles in rad, of the velocities in rad/s or m/s, of a cart in m.
_ANGLE, _SPEED, _PLACE = 0.5, 2.0, 1.0

# Distances to a target, as shares of the chain's length: half the reward, and reached.
_HALF, _REACHED = 0.2, 0.05

# The default range of velocities, in typical magnitudes.
_FASTEST = 8.0


class ChainTask(Task):
    """Drive some joints of a chain; see `SwingUp`, `Balance` and `Reach`.

    Attributes:
        actuated: names of the coordinates that have a motor; None for all.
        force_max: N or N·m of a full action, one number or one a motor; None for typical ones.
        absolute_torques: whether torques act on links without reaction, rather than in joints.
        track: half the length of a cart's track in m. The episode terminates beyond it.
        velocity_max: ends of the valid range of velocities, one or one a coordinate; None for eight
            typical magnitudes.
    """

    requires: ClassVar[tuple[str, ...]] = ("l1",)

    actuated: str | tuple[str, ...] | None = None
    force_max: float | tuple[float, ...] | None = None
    absolute_torques: bool = False
    track: float = 2.4
    velocity_max: float | tuple[float, ...] | None = None

    def __post_init__(self):
        kind_of(self.coordinates)
        positive_number(f"{self.label} track", self.track, "m")

    @property
    def kind(self) -> Kind:
        """What chain it is a task of."""
        return kind_of(self.coordinates)

    @property
    def position_max(self) -> tuple[float, ...] | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Twice the track for a cart, so that leaving it is the end of a task, no divergence."""
        return (2.0 * self.track, *(1.0,) * self.kind.links) if self.kind.on_cart else None

    @property
    def limits(self) -> Magnitudes:
        """As for every task, with more room for velocities: links whip."""
        found, typical = super().limits, self.coordinates.magnitudes
        if self.velocity_max is not None:
            return found
        return found._replace(qd=tuple(_FASTEST * qd for qd in typical.qd))

    def generalized_force(self, q: Vector, qd: Vector, action: Action) -> Vector:
        """τ (n,) in N or N·m of an action in [-1, 1], one component a motor."""
        forces = np.asarray(self.full_force) * self._effects()[:, list(self.motors)]
        return jnp.sum(jnp.asarray(forces, action.dtype) * action, axis=1)

    def terminated(self, after: TaskState) -> Flag:
        """Whether the cart, if there is one, has left its track."""
        return self.off_track(after)

    def off_track(self, state: TaskState) -> Flag:
        """Whether there is a cart and |x| > `track`."""
        if not self.kind.on_cart:
            return jnp.zeros((), bool)
        return jnp.abs(state.q[0]) > self.track

    def scene(self, state: TaskState) -> Scene:
        """The chain with the force of every motor, and the ends of the track."""
        q, qd, m = (np.asarray(part) for part in (state.q, state.qd, state.m))
        picture = self.coordinates.scene(q, qd, self._efforts(np.asarray(state.tau)), m)
        return picture._replace(stops=(-self.track, self.track) if self.kind.on_cart else ())

    def from_upright(self, q: Vector) -> AnyArray:
        """The absolute angles (links,) from straight up, in (−π, π]."""
        theta = absolute_angles(self.kind, q)
        return jnp.arctan2(-jnp.sin(theta), -jnp.cos(theta))

    def goal_place(self, state: TaskState) -> AnyArray:
        """Where the tip is to be, (2,) in m: straight above the pivot, a cart's being at x = 0."""
        length, xp = lengths(self.coordinates, state.m).sum(), module_of(state.m)
        return xp.stack([0.0 * length, length])

    def tip_distance(self, state: TaskState) -> Scalar:
        """The tip's distance from `goal_place`, as a share of the chain's length."""
        offset = self.goal_place(state) - places(self.coordinates, state.q, state.m)[-1]
        squared = (offset**2).sum() / lengths(self.coordinates, state.m).sum() ** 2
        return squared**0.5

    def held_upright(self, state: TaskState) -> Flag:
        """Every link within 0.2 rad of upright, every coordinate slower than 0.5 rad/s or m/s."""
        upright = jnp.all(jnp.abs(self.from_upright(state.q)) < _NEAR)
        return upright & jnp.all(jnp.abs(state.qd) < _SLOW)

    def upright(self, offset: float = 0.0) -> tuple[float, ...]:
        """The state (2n,) with every link upright at rest, a cart in the middle, plus an offset."""
        kind = self.kind
        angles = [np.pi if i == 0 or kind.angles == "absolute" else 0.0 for i in range(kind.links)]
        middle = np.array([*([0.0] * kind.first), *angles, *([0.0] * self.coordinates.n)])
        return tuple((middle + offset).tolist())

    def _effects(self) -> np.ndarray:
        """Columns (n, n): the generalized force of a unit force or torque of every motor."""
        kind = self.kind
        own = kind.absolute_of_own()
        return own.T if self.absolute_torques else (kind.joints_of_absolute() @ own).T

    def _efforts(self, tau: np.ndarray) -> np.ndarray:
        """What every motor does, as shares of its full force; 0 where there is none."""
        motors = list(self.motors)
        efforts = np.zeros(self.coordinates.n)
        efforts[motors] = np.linalg.solve(self._effects(), tau)[motors] / self.full_force
        return efforts


class SwingUp(ChainTask):
    r"""Swing every link up and hold it there, a cart near the middle of its track.

    With h the height of the tip as a share of its range, δ the absolute angles from upright and x
    the cart's position where there is one, the reward of a step is

        r = ½ h + ½ exp(−Σ δ² / (2·0.5²) − Σ q̇² / (2·2²) − x² / (2·1²)),

    between 0 and 1. The episode terminates when the cart leaves its track. `info["success"]` is
    True when for the last 2 s every link was within 0.2 rad of upright and every
    velocity below 0.5.

    Attributes:
        actuated, force_max, absolute_torques, track, velocity_max: as for `ChainTask`.
    """

    reset_low = -0.1
    reset_high = 0.1

    def reward(self, before: TaskState, action: Action, after: TaskState) -> Scalar:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Half for the tip's height, half for being upright, still and near the middle."""
        tip = places(self.coordinates, after.q, after.m)[-1]
        height = 0.5 + 0.5 * tip[1] / jnp.sum(lengths(self.coordinates, after.m))
        cost = jnp.sum(self.from_upright(after.q) ** 2) / (2 * _ANGLE**2)
        cost += jnp.sum(after.qd**2) / (2 * _SPEED**2)
        if self.kind.on_cart:
            cost += after.q[0] ** 2 / (2 * _PLACE**2)
        return 0.5 * height + 0.5 * jnp.exp(-cost)

    def at_goal(self, state: TaskState) -> Flag:
        """Upright and nearly still."""
        return self.held_upright(state)

    def goal_state(self, m: Parameters, goal: Goal) -> AnyArray:
        """Every link upright at rest, a cart in the middle."""
        return jnp.array(self.upright())


class TipUp(SwingUp):
    r"""Swing up as `SwingUp`, rewarded for the place of the tip alone, as PILCO's tasks are.

    With d the distance of the tip from straight above the pivot, a cart's being at x = 0, as a
    share of the chain's length,

        reward = ½ / (1 + d²) + ½ exp(−d² / (2·0.2²)),

    between 0 and 1. The second half is PILCO's saturating cost, the first says everywhere where the
    goal is.

    Attributes:
        actuated, force_max, absolute_torques, track, velocity_max: as for `ChainTask`.
    """

    def reward(self, before: TaskState, action: Action, after: TaskState) -> Scalar:  # pyright: ignore[reportIncompatibleMethodOverride]
        """As the class says."""
        offset = self.goal_place(after) - places(self.coordinates, after.q, after.m)[-1]
        squared = jnp.sum(offset**2) / jnp.sum(lengths(self.coordinates, after.m)) ** 2
        return 0.5 / (1.0 + squared) + 0.5 * jnp.exp(-squared / (2 * _HALF**2))


class Balance(ChainTask):
    """Keep every link upright: 1 a step until one falls or the cart leaves its track.

    The episode starts upright and terminates when a link leans by more than `tilt_max`, or when
    the cart leaves its track; that last step earns 0. `info["success"]` is as for `SwingUp`.

    Attributes:
        actuated, force_max, absolute_torques, track, velocity_max: as for `ChainTask`.
        tilt_max: the largest angle from upright in rad; Gymnasium's CartPole has 12°.
        spread: starting states are drawn within so much of upright and of rest.
    """

    tilt_max: float = float(np.radians(12.0))
    spread: float = 0.05

    def __post_init__(self):
        super().__post_init__()
        positive_number(f"{self.label} tilt_max", self.tilt_max, "rad")
        positive_number(f"{self.label} spread", self.spread, "rad")

    @property
    def reset_low(self) -> tuple[float, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """`spread` below upright and rest."""
        return self.upright(-self.spread)

    @property
    def reset_high(self) -> tuple[float, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """`spread` above upright and rest."""
        return self.upright(self.spread)

    def terminated(self, after: TaskState) -> Flag:
        """Whether a link leans too far, or the cart has left its track."""
        fallen = jnp.any(jnp.abs(self.from_upright(after.q)) > self.tilt_max)
        return fallen | self.off_track(after)

    def reward(self, before: TaskState, action: Action, after: TaskState) -> Scalar:  # pyright: ignore[reportIncompatibleMethodOverride]
        """1 while it stands, 0 at the end."""
        return jnp.where(self.terminated(after), 0.0, 1.0).astype(after.q.dtype)

    def at_goal(self, state: TaskState) -> Flag:
        """Upright and nearly still."""
        return self.held_upright(state)

    def goal_state(self, m: Parameters, goal: Goal) -> AnyArray:
        """Every link upright at rest, a cart in the middle."""
        return jnp.array(self.upright())

    def scene(self, state: TaskState) -> Scene:
        """The chain, seen from nearer: nothing of it is far below the pivot."""
        picture = super().scene(state)
        (width, height), (x, y) = picture.extent, picture.centre
        return picture._replace(extent=(0.75 * width, 0.68 * height), centre=(x, y + 0.4 * height))


class Reach(ChainTask):
    r"""Bring the tip to a target that is drawn at reset, and hold it there.

    The target is drawn at a distance and in a direction from the pivot, a cart's being at x = 0.
    With R = Σ l the length of the chain and r = max(0, 2 max l − R) the distance within which the
    tip cannot come, its distance is r + s (R − r). With d the tip's distance from it over R,

        reward = ½ / (1 + (d / 0.2)²) + ½ exp(−d² / (2·0.05²)),

    between 0 and 1. The episode terminates when a cart leaves its track. `info["success"]` is True
    when for the last 2 s d was below 0.05 and every velocity below 0.5.

    The observation ends with the target's place and its offset from the tip, (x, y) of each in m.

    Attributes:
        actuated, force_max, absolute_torques, track, velocity_max: as for `ChainTask`.
        goal: `target_share`, which is s, and `target_angle` in rad from hanging down.
    """

    goal: ClassVar[dict[str, Any]] = {
        "target_share": (0.2, 0.95),
        "target_angle": (-float(np.pi), float(np.pi)),
    }

    @property
    def reset_low(self) -> tuple[float, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Angles anywhere, a cart in the middle, at rest."""
        return self._anywhere(-1.0)

    @property
    def reset_high(self) -> tuple[float, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Angles anywhere, a cart in the middle, at rest."""
        return self._anywhere(1.0)

    def target(self, state: TaskState) -> AnyArray:
        """Where the target is, (2,) in m."""
        (least, most), xp = self._range(state.m), module_of(state.m)
        share, angle = state.goal
        return (least + share * (most - least)) * xp.stack([xp.sin(angle), -xp.cos(angle)])

    def _range(self, m: Any) -> tuple[Any, Any]:
        """The least and the largest distance in m of the tip from the pivot."""
        length, xp = lengths(self.coordinates, m), module_of(m)
        most = length.sum()
        return xp.maximum(0.0, 2.0 * length.max() - most), most

    def goal_place(self, state: TaskState) -> AnyArray:
        """`target`."""
        return self.target(state)

    def observation(self, state: TaskState) -> Observation:
        """(cos and sin of every angle, x of a cart, q̇, target, target − tip)."""
        own = super().observation(state)[: -len(self.goal)]
        target = self.target(state)
        return jnp.concatenate([own, target, target - self._tip(state)])

    def state_of(self, observation: Any) -> tuple[np.ndarray, np.ndarray]:
        return self.usual_state_of(observation)

    def goal_of(self, observation: Any, m: np.ndarray) -> np.ndarray:
        """The share and the angle of the target that is observed."""
        x, y = np.asarray(observation, np.float64)[-4:-2]
        least, most = self._range(m)
        return np.array([(np.hypot(x, y) - least) / (most - least), np.arctan2(x, -y)])

    def observation_bounds(
        self, m_bounds: np.ndarray, goal_bounds: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The target within the chain's length of the pivot, the tip twice as far and more."""
        _, high = super().observation_bounds(m_bounds, goal_bounds)
        reach = float(np.sum(np.asarray(lengths(self.coordinates, m_bounds[1]))))
        share = max(1.0, float(np.abs(goal_bounds[:, 0]).max()))
        cart = 2.0 * self.track if self.kind.on_cart else 0.0
        far = [share * reach] * 2 + [(1.0 + share) * reach + cart] * 2
        bounds = np.concatenate([high[: -len(self.goal)], 1.01 * np.array(far)])
        bounds = bounds.astype(np.float32)
        return -bounds, bounds

    def reward(self, before: TaskState, action: Action, after: TaskState) -> Scalar:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Half for being near the target, half for being there."""
        squared = self._squared_distance(after)
        return 0.5 / (1.0 + squared / _HALF**2) + 0.5 * jnp.exp(-squared / (2 * _REACHED**2))

    def at_goal(self, state: TaskState) -> Flag:
        """The tip at the target and nearly still."""
        there = self._squared_distance(state) < _REACHED**2
        return there & jnp.all(jnp.abs(state.qd) < _SLOW)

    def goal_state(self, m: Parameters, goal: Goal) -> AnyArray | None:
        """The tip at the target at rest, the elbow bent to the positive side. None but for two
        links on a pivot: one seldom gets there, of more there is a choice.
        """
        if self.kind.links != 2 or self.kind.on_cart:
            return None
        q = jnp.zeros(2)
        target = self.target(TaskState(q, q, m, goal, jnp.zeros(()), q))
        angles = two_link_angles(target, *lengths(self.coordinates, m))
        own = np.linalg.inv(self.kind.absolute_of_own()) @ angles
        return jnp.concatenate([own, jnp.zeros(2)])

    def scene(self, state: TaskState) -> Scene:
        """The chain, and the target."""
        arrays: Any = (np.asarray(part) for part in state)
        x, y = self.target(TaskState(*arrays)).tolist()
        return super().scene(state)._replace(target=(x, y))

    def _tip(self, state: TaskState) -> AnyArray:
        return places(self.coordinates, state.q, state.m)[-1]

    def _squared_distance(self, state: TaskState) -> Scalar:
        offset = self.target(state) - self._tip(state)
        return jnp.sum(offset**2) / jnp.sum(lengths(self.coordinates, state.m)) ** 2

    def _anywhere(self, sign: float) -> tuple[float, ...]:
        kind = self.kind
        angles = [sign * float(np.pi)] * kind.links
        return (*[0.0] * kind.first, *angles, *[0.0] * self.coordinates.n)
