r"""The iterative linear quadratic regulator: drive to the goal by derivatives of the dynamics.

Where trying sequences is hopeless, as for a cart with two links on it, derivatives tell how to
change a sequence. The task's reward plays no part, but the goal state x* that the task names. A
sequence u_0 … u_{H−1} that gets to the states x_1 … x_H is worth that of its best arrival,

    J = max_h [ −c(x_h) − dt Σ_{k<h} (1 + e |u_k|²) ],    c(x) = ½ Σ ((x − x*) / s)²,

in seconds: c is what an offset from the goal costs, with s a share `near` of the typical
magnitudes and angles wrapped, and e what a second of a full action costs beside that second. The
time of arrival is free. What comes after it does not count: near the goal a regulator takes over,
see `takeover`. A motion that leaves the task's range or ends the task does not arrive.

In every iteration the motion along the sequence is linearised, x̃' = A x̃ + B ũ, and the quadratic
that c is at the arrival is carried back from there. With p, P its gradient and curvature at a later
state,

    Q_u = Bᵀp + 2 e dt u,  Q_uu = Bᵀ P B + (2 e dt + μ) I,  Q_ux = Bᵀ P A,

the step ũ = −Q_uu⁻¹ Q_u within the bounds of actions and the feedback K = −Q_uu⁻¹ Q_ux, of the
actions that stay free, improve the sequence. Several shares of that step are followed, each with
the feedback, and the best becomes the next sequence. The damping μ falls after a success and rises
after a failure.

References: Li and Todorov, "Iterative Linear Quadratic Regulator Design for Nonlinear Biological
Movement Systems", ICINCO (2004); Tassa, Mansard and Todorov, "Control-Limited Differential Dynamic
Programming", ICRA (2014).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from gym_lagrangian.checks import positive_number, whole_number
from gym_lagrangian.envs.functional import FunctionalEnv, Params
from gym_lagrangian.physics.shapes import Scalar, Vector
from gym_lagrangian.planning.lqr import goal_state, offset_from
from gym_lagrangian.planning.noise import sizes
from gym_lagrangian.planning.planner import Planner
from gym_lagrangian.planning.returns import Value
from gym_lagrangian.systems.task import TaskState

# Shares of a step that are followed.
_SHARES = (1.0, 0.5, 0.2, 0.05, 0.01)

# The damping μ in s: at first, at least, and what a success and a failure make of it.
_DAMPING, _LEAST, _EASED, _RAISED = 2e-2, 2e-4, 0.25, 8.0

# A search ends at a gain of fewer seconds, or after so many failures in a row.
_GAIN, _FAILURES = 2e-3, 5

# The cost of an arrival in s below which no other sequences are tried.
_ARRIVED = 1.0

# The smallest noise of the first sequences, as a share of `sigma`, and the sweeps of a step.
_FINEST, _SWEEPS = 0.03, 8


class Motion(NamedTuple):
    """A sequence of H actions and what it leads to.

    Attributes:
        plan: the actions (H, a).
        before, after: the states (H, ...) before and after every action.
        cost: c (H,) of the states after it, in s; infinite where a motion does not arrive.
        worth: −c minus the time and effort until there, (H,) in s.
    """

    plan: Array
    before: TaskState
    after: TaskState
    cost: Array
    worth: Array


class _Search(NamedTuple):
    """A motion that is being improved: damping, failures in a row, last gain, iterations so far."""

    motion: Motion
    damping: Array
    failures: Array
    gain: Array
    tried: Array


@dataclass(frozen=True)
class ILQR(Planner):
    """The iterative linear quadratic regulator, to the goal state that a task names.

    Attributes:
        samples: sequences tried to begin with, around the plan so far.
        elites: how many of them, the best, are improved, unless the plan so far arrives: then that
            alone is.
        horizon: actions in a sequence; the goal has to be within reach in `horizon` × dt seconds.
        iterations: how often a sequence is improved at most, where there is no plan yet.
        again: the same of a plan that goes on.
        near: which offset from the goal counts as near, as a share of the typical magnitudes.
        effort: e, the cost of a second of a full action in s.
        sigma, smoothness: of the noise, as for `Planner`.

    Raises:
        ConfigurationError: a number that makes no sense; the message names it.
    """

    rewarded: ClassVar[bool] = False

    samples: int = 64
    elites: int = 4
    horizon: int = 80
    iterations: int = 100
    again: int = 10
    near: float = 0.1
    effort: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        whole_number("again", self.again)
        positive_number("near", self.near, "share of the typical magnitudes")
        positive_number("effort", self.effort, "s")

    def plan(
        self,
        env: FunctionalEnv,
        params: Params,
        start: TaskState,
        plan: Array,
        key: Array,
        *,
        value: Value | None = None,
        iterations: Array | int | None = None,
    ) -> Array:
        """As `Planner.plan`, for the goal state alone.

        Raises:
            ConfigurationError: the task names no goal state.
        """
        problem = _Problem(self, env, params, start)
        tried = self.sample(plan, self.sigma * sizes(self.samples, _FINEST, plan), key)
        found = jax.vmap(problem.motion)(tried)
        ranked = found.worth.max(axis=1).at[0].set(jnp.inf)  # the plan so far is one of them
        _, best = jax.lax.top_k(ranked, self.elites)
        most = self.iterations if iterations is None else iterations
        most = jnp.where(jnp.any(plan != 0.0), jnp.minimum(most, self.again), most)
        arrives = found.cost[0].min() < _ARRIVED
        counts = jnp.where(arrives & (jnp.arange(self.elites) > 0), 0, most)
        begin = jax.tree.map(lambda leaf: leaf[best], found)
        plans, worth = jax.lax.map(lambda one: problem.improved(*one), (begin, counts))
        return plans[jnp.argmax(worth)]


class _Problem:
    """To get from one state to the goal."""

    def __init__(self, planner: ILQR, env: FunctionalEnv, params: Params, start: TaskState):
        self._env, self._params, self._start = env, params, start
        self._goal = goal_state(env, start.m, start.goal)
        typical = env.coordinates.magnitudes
        self._near = planner.near * jnp.asarray([*typical.q, *typical.qd], self._goal.dtype)
        self._dt = jnp.asarray(params.dt, self._goal.dtype)
        self._effort = planner.effort * self._dt

    def improved(self, motion: Motion, most: Array) -> tuple[Array, Scalar]:
        """A sequence after `most` iterations, or as many as it gains from, and what it is worth."""

        def goes_on(search: _Search) -> Array:
            tired = (search.failures >= _FAILURES) | (search.gain < _GAIN)
            return (search.tried < most) & ~tired

        inf = jnp.full_like(motion.worth[0], jnp.inf)
        zero = jnp.zeros((), jnp.int32)
        begin = _Search(motion, jnp.full_like(inf, _DAMPING), zero, inf, zero)
        found = jax.lax.while_loop(goes_on, self._iteration, begin).motion
        return found.plan, found.worth.max()

    def motion(self, plan: Array) -> Motion:
        """What a sequence (H, a) leads to."""
        return self._followed(plan, lambda action, state: action)

    def _followed(self, steps: Any, act: Callable[[Any, TaskState], Array]) -> Motion:
        """The motion under actions (a,) that `act` makes of every one of some steps and the state
        before it.
        """

        def step(carry: tuple[TaskState, Array], one: Any) -> tuple:
            before, valid = carry
            action = act(one, before)
            after = self._env.next(before, action, self._params)
            valid &= self._env.is_valid(after) & ~self._env.task.terminated(after)
            after = jax.tree.map(lambda new, old: jnp.where(valid, new, old), after, before)
            return (after, valid), (action, before, after, valid)

        begin = self._start, ~self._env.task.terminated(self._start)
        _, (plan, before, after, valid) = jax.lax.scan(step, begin, steps)
        cost = jax.vmap(self._cost)(_vector(after))
        spent = jnp.cumsum(self._dt + self._effort * jnp.sum(plan**2, axis=-1))
        cost = jnp.where(valid, cost, jnp.inf)
        return Motion(plan, before, after, cost, -cost - spent)

    def _cost(self, x: Vector) -> Scalar:
        offset = offset_from(self._goal, self._env.coordinates.angular, x) / self._near
        return 0.5 * offset @ offset

    def _iteration(self, search: _Search) -> _Search:
        now = search.motion
        tried = self._alternatives(now, search.damping)
        worth = tried.worth.max(axis=1)
        best = jnp.argmax(worth)
        gain = worth[best] - now.worth.max()
        better = gain > 0.0  # False of nan: neither arrives

        def chosen(new: Array, old: Array) -> Array:
            return jnp.where(better, new[best], old)

        eased = jnp.maximum(search.damping * _EASED, _LEAST)
        return _Search(
            motion=jax.tree.map(chosen, tried, now),
            damping=jnp.where(better, eased, search.damping * _RAISED),
            failures=jnp.where(better, 0, search.failures + 1),
            gain=jnp.where(better, gain, jnp.inf),
            tried=search.tried + 1,
        )

    def _alternatives(self, motion: Motion, damping: Array) -> Motion:
        """The motions under several shares of the step, with a first axis of those."""
        change, feedback = self._step(motion, damping)
        along = _vector(motion.before)

        def followed(share: Array) -> Motion:
            def act(one: tuple[Array, ...], state: TaskState) -> Array:
                action, change, gain, x = one
                action = action + share * change + gain @ (_vector(state) - x)
                return jnp.clip(jnp.nan_to_num(action), -1.0, 1.0)

            return self._followed((motion.plan, change, feedback, along), act)

        return jax.vmap(followed)(jnp.asarray(_SHARES, motion.plan.dtype))

    def _step(self, motion: Motion, damping: Array) -> tuple[Array, Array]:
        """The changes ũ (H, a) of a whole step, and the feedback K (H, a, 2n)."""
        arrival = jnp.argmax(motion.worth)
        x = _vector(motion.after)[arrival]
        quadratic = jax.grad(self._cost)(x), jnp.diag(self._near**-2)
        zero = jax.tree.map(jnp.zeros_like, quadratic)

        def back(later: tuple[Array, Array], one: tuple[Array, ...]) -> tuple:
            k, slope, action = one
            p, P = jax.tree.map(lambda at, on: jnp.where(k == arrival, at, on), quadratic, later)
            change, gain, before = self._backward(slope, action, p, P, damping)
            live = k <= arrival
            return before, (jnp.where(live, change, 0.0), jnp.where(live, gain, 0.0))

        slopes = jax.vmap(self._slope)(motion.before, motion.plan)
        slopes = jnp.where(jnp.isfinite(slopes), slopes, 0.0)
        steps = jnp.arange(len(slopes)), slopes, motion.plan
        return jax.lax.scan(back, zero, steps, reverse=True)[1]

    def _slope(self, before: TaskState, action: Array) -> Array:
        """(A, B), (2n, 2n + a), of one step."""
        x = _vector(before)

        def moved(both: Array) -> Array:
            q, qd = jnp.split(both[: len(x)], 2)
            at = before._replace(q=q, qd=qd)
            return _vector(self._env.next(at, both[len(x) :], self._params))

        return jax.jacfwd(moved)(jnp.concatenate([x, action]))

    def _backward(
        self, slope: Array, action: Array, p: Vector, P: Array, damping: Array
    ) -> tuple[Array, Array, tuple[Array, Array]]:
        """The change (a,), the feedback (a, 2n), and p and P before this action."""
        A, B = jnp.split(slope, [len(p)], axis=1)
        one = jnp.eye(len(action), dtype=action.dtype)
        q_u = B.T @ p + 2.0 * self._effort * action
        q_ux, q_uu = B.T @ P @ A, B.T @ P @ B + 2.0 * self._effort * one
        damped = q_uu + damping * one
        change = _least(damped, q_u, -1.0 - action, 1.0 - action)
        free = (action + change > -1.0) & (action + change < 1.0)
        alone = jnp.where(free[:, None] & free, damped, one)
        gain = -jnp.linalg.solve(alone, jnp.where(free[:, None], q_ux, 0.0))
        before = A.T @ p + gain.T @ (q_uu @ change + q_u) + q_ux.T @ change
        P = A.T @ P @ A + gain.T @ q_uu @ gain + gain.T @ q_ux + q_ux.T @ gain
        return change, gain, (before, 0.5 * (P + P.T))


def _vector(state: TaskState) -> Array:
    """(q, q̇), (..., 2n)."""
    return jnp.concatenate([state.q, state.qd], axis=-1)


def _least(hessian: Array, gradient: Vector, low: Vector, high: Vector) -> Vector:
    """The least of ½ uᵀ H u + gᵀ u within bounds, coordinate by coordinate."""
    size = len(gradient)

    def sweep(i: Array, u: Vector) -> Vector:
        j = i % size
        slope = gradient[j] + hessian[j] @ u - hessian[j, j] * u[j]
        return u.at[j].set(jnp.clip(-slope / hessian[j, j], low[j], high[j]))

    count = 1 if size == 1 else _SWEEPS * size
    return jax.lax.fori_loop(0, count, sweep, jnp.zeros_like(gradient))
