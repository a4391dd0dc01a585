r"""Tasks: what an agent does with a machine, whether its motion is true or learned.

A task states how an action in [-1, 1] becomes generalized forces, what is observed, what is
rewarded, where episodes start and end, and what varies from one to the next (its goal). Everything
has a default, so that a task states only what differs:

    class Hold(Task):
        def reward(self, q, qd, tau, m):
            return jnp.exp(-jnp.sum(qd**2))

Any task goes with any dynamics over the coordinates that it is made for.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple

import jax
import jax.extend
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from gym_lagrangian.checks import positive_number
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.physics.shapes import AnyArray, Flag, Parameters, Scalar, Vector
from gym_lagrangian.registration import load_task
from gym_lagrangian.systems.coordinates import Coordinates, Magnitudes, Parameter, bounds_of, each
from gym_lagrangian.systems.scene import Scene
from gym_lagrangian.systems.static import Static

# The default range of a task, in typical magnitudes of lengths and of velocities.
LENGTHS, VELOCITIES = 5.0, 4.0

# The default start: within so much of zero, in typical magnitudes.
NEAR = 0.1


Action = Float[AnyArray, " a"]
Goal = Float[AnyArray, " g"]
Observation = Float[AnyArray, " o"]


class TaskState(NamedTuple):
    """An instant of an episode, as a task sees it.

    Attributes:
        q, qd: coordinates and velocities (n,).
        m: parameters of the motion (k,).
        goal: parameters of the task (g,), in the order of `Task.goal`.
        t: seconds since the start.
        tau: generalized forces (n,) of the step that led here; zero at the start.
    """

    q: Vector
    qd: Vector
    m: Parameters
    goal: Goal
    t: Scalar
    tau: Vector


# A reward in its full form.
Reward = Callable[[TaskState, Action, TaskState], Scalar]


class Task(Static):
    r"""What to do with coordinates; the defaults drive every coordinate and reward nothing.

    A subclass overrides what differs. Its annotated fields, ``torque_max: float = 6.0``,
    are arguments of `gymnasium.make`. It compares by value. `state`, `before` and `after` are
    `TaskState`s; everything is written for one of them, in jax.

    Attributes:
        coordinates: those of which it is a task.
        requires: names of coordinates and parameters without which it makes no sense.
        actuated: names of the coordinates that a motor drives, in the order of the action's
            components; None for those of which the machine says so, all where it says nothing.
        force_max: N or N·m of a full action, one number or one for each that is actuated; None for
            what the machine says of its motors, otherwise for the typical magnitude of that force.
        position_max, velocity_max: ends of the valid range, one number or one a coordinate;
            angles have no end. None for 5 and 4 typical magnitudes.
        reset_low, reset_high: bounds (2n,) of the uniform distribution of starting states, one
            number or one for every q and then every q̇; None for ±0.1 typical magnitudes.
        goal: the task's own parameters, drawn at every reset: name → `Parameter`, number or pair
            (low, high). They are arguments of `gymnasium.make` too.
    """

    coordinates: Coordinates

    requires: ClassVar[tuple[str, ...]] = ()
    goal: ClassVar[Mapping[str, Any]] = {}
    actuated = None
    force_max = None
    position_max = None
    velocity_max = None
    reset_low = None
    reset_high = None

    # -- actions ------------------------------------------------------------------------------

    @property
    def action_size(self) -> int:
        """Number of action components, each in [-1, 1]."""
        return len(self.motors)

    def generalized_force(self, q: Vector, qd: Vector, action: Action) -> Vector:
        """τ (n,) that an action in [-1, 1] exerts in a state, in N or N·m.

        Where it depends on q or q̇ it is followed along the step, the action held.
        """
        zero = jnp.zeros(self.coordinates.n, action.dtype)
        force = action * np.array(self.full_force, np.dtype(action.dtype))
        return zero.at[np.array(self.motors, int)].set(force)

    # -- observations -------------------------------------------------------------------------

    def observation(self, state: TaskState) -> Observation:
        """(cos θ and sin θ of every angle, every length, q̇, goal)."""
        angles, lengths = _split(self.coordinates.angular)
        theta = state.q[angles]
        parts = [jnp.cos(theta), jnp.sin(theta), state.q[lengths], state.qd, state.goal]
        return jnp.concatenate(parts)

    def observation_bounds(
        self, m_bounds: np.ndarray, goal_bounds: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Finite float32 bounds of `observation` for parameters within `m_bounds` (2, k) and goals
        within `goal_bounds` (2, g).
        """
        angles, lengths = _split(self.coordinates.angular)
        ones = np.ones(2 * len(angles))
        q, qd = np.array(self.limits.q), np.array(self.limits.qd)
        own = np.concatenate([ones, q[lengths], qd])
        low, high = widened(goal_bounds)
        both = np.concatenate([-own, low]), np.concatenate([own, high])
        return both[0].astype(np.float32), both[1].astype(np.float32)

    def state_of(self, observation: Any) -> tuple[np.ndarray, np.ndarray]:
        """q and q̇ (n,) that an observation shows, angles within ±π: the inverse of `observation`.

        Raises:
            ConfigurationError: the task observes something else than usual and states no inverse.
        """
        if type(self).observation is not Task.observation:
            raise ConfigurationError(
                f"{self.label} has an observation of its own: state its inverse by overriding "
                f"{self.label}.state_of(observation)"
            )
        return self.usual_state_of(observation)

    def usual_state_of(self, observation: Any) -> tuple[np.ndarray, np.ndarray]:
        """As `state_of`, of any observation that begins as the usual one does."""
        seen = np.asarray(observation, np.float64)
        angles, lengths = _split(self.coordinates.angular)
        n, turning = self.coordinates.n, len(angles)
        q = np.empty(n)
        q[angles] = np.arctan2(seen[turning : 2 * turning], seen[:turning])
        q[lengths] = seen[2 * turning : turning + n]
        return q, seen[turning + n : turning + 2 * n]

    def goal_of(self, observation: Any, m: np.ndarray) -> np.ndarray:
        """The goal (g,) that an observation shows where the parameters are m (k,): of the usual
        observation its end.

        Raises:
            ConfigurationError: the task has a goal, observes something else than usual, and does
                not say where the goal is.
        """
        if self.goal and type(self).observation is not Task.observation:
            raise ConfigurationError(
                f"{self.label} has an observation of its own: say which goal it shows by "
                f"overriding {self.label}.goal_of(observation, m)"
            )
        seen = np.asarray(observation, np.float64)
        return seen[len(seen) - len(self.goal) :]

    # -- rewards and ends ---------------------------------------------------------------------

    def reward(self, q: Vector, qd: Vector, tau: Vector, m: Parameters) -> Scalar:
        """The reward of a step, a scalar of any sign; zero by default.

        A subclass states it in this short form, of the state reached under the force τ, or in
        full as ``reward(before, action, after)``.
        """
        return jnp.zeros((), q.dtype)

    def terminated(self, after: TaskState) -> Flag:
        """Whether the task is over, won or lost, a boolean scalar; never by default."""
        return jnp.zeros((), bool)

    def at_goal(self, state: TaskState) -> Flag:
        """Whether the state counts as solved, a boolean scalar; never by default."""
        return jnp.zeros((), bool)

    def goal_state(self, m: Parameters, goal: Goal) -> AnyArray | None:
        """The state (2n,) in which the task is done and can stay so, q and then q̇; None where
        there is not one such state. Planners linearise the motion there.
        """
        return None

    def in_range(self, state: TaskState) -> Flag:
        """Whether the state is within the range for which its motion means anything.

        A step that leaves it is undone and ends the episode as diverged.
        """
        q, qd = np.array(self.limits.q), np.array(self.limits.qd)
        near = jnp.where(np.array(self.coordinates.angular), True, jnp.abs(state.q) <= q)
        return jnp.all(near) & jnp.all(jnp.abs(state.qd) <= qd)

    # -- the picture --------------------------------------------------------------------------

    def scene(self, state: TaskState) -> Scene:
        """What to draw of a state (NumPy arrays): by default the picture of its coordinates."""
        q, qd, m, tau = (np.asarray(part) for part in (state.q, state.qd, state.m, state.tau))
        return self.coordinates.scene(q, qd, tau / strongest(self), m)

    # -- starts -------------------------------------------------------------------------------

    def reset_bounds(self) -> np.ndarray:
        """Bounds (2, 2n) between which the starting state is drawn."""
        typical = self.coordinates.magnitudes
        near = NEAR * np.array([*typical.q, *typical.qd])
        low = -near if self.reset_low is None else self._bound("reset_low")
        high = near if self.reset_high is None else self._bound("reset_high")
        return np.stack([low, high])

    def draw_goal(self, key: Array, low: Goal, high: Goal) -> Goal:
        """The goal (g,) of an episode, uniform between its bounds."""
        return low + (high - low) * jax.random.uniform(key, low.shape, low.dtype)

    # -- derived ------------------------------------------------------------------------------

    @property
    def motors(self) -> tuple[int, ...]:
        """Which coordinate each component of the action drives.

        Raises:
            ConfigurationError: `actuated` names none, or one that is no coordinate.
        """
        names = self.coordinates.coordinates
        stated = self.coordinates.usage.actuated if self.actuated is None else self.actuated
        chosen = names if stated is None else _names(stated)
        if not chosen or not set(chosen) <= set(names) or len(set(chosen)) < len(chosen):
            raise ConfigurationError(
                f"{self.label}.actuated = {stated!r}: expected some of {', '.join(names)}"
            )
        return tuple(names.index(name) for name in chosen)

    @property
    def full_force(self) -> tuple[float, ...]:
        """N or N·m of a full action, one for each motor."""
        if self.force_max is None:
            return self._usual_forces()
        values = each(self.label, "force_max", self.force_max, len(self.motors))
        return tuple(positive_number(f"{self.label}.force_max", v, "N") for v in values)

    @property
    def limits(self) -> Magnitudes:
        """The ends of the valid range of q (angles have none) and q̇, and of τ."""
        typical, n = self.coordinates.magnitudes, self.coordinates.n
        q = [LENGTHS * q for q in typical.q]
        qd = [VELOCITIES * qd for qd in typical.qd]
        if self.position_max is not None:
            q = each(self.label, "position_max", self.position_max, n)
        if self.velocity_max is not None:
            qd = each(self.label, "velocity_max", self.velocity_max, n)
        return Magnitudes(tuple(q), tuple(qd), typical.tau)

    @property
    def label(self) -> str:
        """What the task is called in messages."""
        return type(self).__name__

    @classmethod
    def argument_names(cls) -> tuple[str, ...]:
        """The names that it takes from the arguments of `gymnasium.make`."""
        own = (name for name in cls.option_names() if name != "coordinates")
        return (*own, *cls.goals())

    @classmethod
    def goals(cls) -> dict[str, Parameter]:
        """`goal`, every value of it a `Parameter`."""
        return {name: Parameter.of(value) for name, value in cls.goal.items()}

    def goal_bounds(self, **given: Any) -> np.ndarray:
        """Bounds (2, g) of the goal: equal where it is fixed, apart where it is drawn.

        Arguments:
            given: numbers or pairs (low, high) by name, in place of the defaults.

        Raises:
            ConfigurationError: an unknown name, or a value that is no finite number or pair.
        """
        return bounds_of(self.label, self.goals(), given)

    def _usual_forces(self) -> tuple[float, ...]:
        usage, names = self.coordinates.usage, self.coordinates.coordinates
        known = dict(zip(usage.actuated or names, usage.force_max or (), strict=False))
        typical = self.coordinates.magnitudes.tau
        return tuple(known.get(names[i]) or typical[i] for i in self.motors)

    def _bound(self, name: str) -> np.ndarray:
        values = each(self.label, name, getattr(self, name), 2 * self.coordinates.n)
        return np.array(values, np.float64)


class Drive(Task):
    """The default task of any coordinates: drive some of them; no reward, no goal.

    Attributes:
        actuated, force_max, position_max, velocity_max: as for `Task`.
    """

    actuated: tuple[str, ...] | None = None
    force_max: float | tuple[float, ...] | None = None
    position_max: float | tuple[float, ...] | None = None
    velocity_max: float | tuple[float, ...] | None = None


def full_form(reward: Callable[..., Any]) -> Reward:
    """A reward in its full form ``(before, action, after)``, whichever of the two it has.

    Raises:
        ConfigurationError: it takes neither three arguments nor the four of the short form.
    """
    count = _arity(reward)
    if count == 3:
        return reward
    if count == 4:
        return lambda before, action, after: reward(after.q, after.qd, after.tau, after.m)
    raise ConfigurationError(
        f"reward {_name(reward)} takes {count} arguments: expected reward(before, action, after), "
        "or reward(q, qd, tau, m) of the state reached"
    )


@functools.lru_cache(maxsize=256)
def follows_the_state(task: Task) -> bool:
    """Whether the force of an action depends on the state, by what is computed from it."""
    n, size = task.coordinates.n, task.action_size
    closed = jax.make_jaxpr(task.generalized_force)(jnp.zeros(n), jnp.zeros(n), jnp.zeros(size))
    state = set(closed.jaxpr.invars[:2])
    used = [*closed.jaxpr.outvars, *(v for eqn in closed.jaxpr.eqns for v in eqn.invars)]
    return any(isinstance(v, jax.extend.core.Var) and v in state for v in used)


@functools.lru_cache(maxsize=256)
def strongest(task: Task) -> np.ndarray:
    """The strongest generalized force (n,) that one actuator exerts on each coordinate, at q = 0;
    1 where there is none.
    """
    zero = jnp.zeros(task.coordinates.n)
    forces = [task.generalized_force(zero, zero, one) for one in jnp.eye(task.action_size)]
    found = np.abs(np.asarray(forces)).max(axis=0)
    return np.where(found > 0, found, 1.0)


def widened(bounds: np.ndarray) -> np.ndarray:
    """Bounds (2, d) of an observation: a box of no width cannot be rescaled."""
    low, high = bounds
    reach = np.maximum(1.0, np.abs(high))
    return np.where(low == high, np.stack([-reach, reach]), bounds)


@functools.lru_cache(maxsize=256)
def check_task(task: Task, reward: Callable[..., Any] | None = None) -> None:
    """Refuse a task that does not fit its coordinates or returns what it must not.

    Raises:
        ConfigurationError: naming the task, what it returned and what was expected.
    """
    known = (*task.coordinates.coordinates, *task.coordinates.parameters)
    missing = [name for name in task.requires if name not in known]
    if missing:
        raise ConfigurationError(
            f"{task.label} is a task for {', '.join(task.requires)}, but "
            f"{task.coordinates.name} has no {', '.join(missing)}; it has {', '.join(known)}"
        )
    low, high = task.reset_bounds()
    if np.any(low > high):
        raise ConfigurationError(f"{task.label}.reset_low = {low} exceeds reset_high = {high}")
    _check_results(task, full_form(reward or task.reward))


def _check_results(task: Task, reward: Reward) -> None:
    """Every method's result has the shape and kind that it must have."""
    n, k, g = task.coordinates.n, len(task.coordinates.parameters), len(task.goal)
    shapes = ((n,), (n,), (k,), (g,), (), (n,))
    shaped: Any = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    state = TaskState(*shaped)
    action = jax.ShapeDtypeStruct((task.action_size,), jnp.float32)
    low, _ = task.observation_bounds(task.coordinates.parameter_bounds(), task.goal_bounds())
    expect = functools.partial(_expect, task)
    expect("generalized_force", (n,), task.generalized_force, state.q, state.qd, action)
    expect("reward", (), reward, state, action, state)
    expect("observation", low.shape, task.observation, state)
    for name in ("terminated", "at_goal", "in_range"):
        expect(name, (), getattr(task, name), state, kind=np.bool_)


def _expect(
    task: Task, name: str, shape: tuple[int, ...], function: Any, *given: Any, kind: Any = None
) -> None:
    found = jax.eval_shape(lambda *a: jnp.asarray(function(*a)), *given)
    wanted = f"shape {shape}" + ("" if kind is None else ", true or false")
    if found.shape != shape or (kind is not None and found.dtype != kind):
        raise ConfigurationError(
            f"{task.label}.{name} returns an array of shape {found.shape} and {found.dtype}: "
            f"expected {wanted}"
        )


def _split(angular: tuple[bool, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Which coordinates are angles, and which are not."""
    return np.flatnonzero(angular), np.flatnonzero(~np.array(angular))


def _names(actuated: Any) -> tuple[str, ...]:
    return (actuated,) if isinstance(actuated, str) else tuple(actuated)


def _arity(function: Callable[..., Any]) -> int:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(function).parameters.values()
    return sum(p.kind in kinds and p.default is inspect.Parameter.empty for p in parameters)


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__qualname__", repr(function))


def default_task(source: Coordinates | type[Coordinates]) -> type[Task]:
    """The task that a system, or its class, or the usage of a machine names; `Drive` where none
    does.
    """
    stated = source.usage.task
    return getattr(source, "task", Drive) if stated is None else load_task(stated)
