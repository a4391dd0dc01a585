r"""The linear quadratic regulator at a task's goal: a value near it, and actions that hold it.

With x̃ the offset from the goal x* (angles wrapped) and ũ that from the action u* which holds it,
the motion of one step and the reward are, to first and second order,

    x̃' = A x̃ + B ũ,    r = r* − ½ x̃ᵀ Q x̃ − ½ ũᵀ R ũ,

A and B by forward derivatives of the dynamics, true or learned, Q and R the curvature of the task's
own reward. Where the reward has none (it is constant, or not smooth), Q weighs an offset by the
typical magnitudes. The solution P of the discrete Riccati equation with the discount γ,

    P = Q + γ Aᵀ P A − γ² Aᵀ P B (R + γ Bᵀ P B)⁻¹ Bᵀ P A,

gives ũ = −K x̃, K = γ (R + γ Bᵀ P B)⁻¹ Bᵀ P A, and the value V* − ½ x̃ᵀ P x̃, V* = r* / (1 − γ).

A quadratic says little far from the goal, where motors are at their limits and rewards are bounded.
As a terminal value the cost c = ½ x̃ᵀ P x̃ is therefore bounded by a depth D,

    V = V* − D (1 − exp(−c / D)),

which equals V* − c near the goal. D is the difference in value between staying at the goal and
staying at a start.

Source: Bertsekas, "Dynamic Programming and Optimal Control" I (2017), section 3.1.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
from jax import Array

from gym_lagrangian.checks import positive_number
from gym_lagrangian.envs.functional import FunctionalEnv, Params, cast
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.physics.shapes import Scalar, Vector
from gym_lagrangian.systems.task import TaskState

# The curvature of the cost of a full action at least: what keeps gains finite.
EFFORT = 0.1

# Steps of Newton's method for the action that holds the goal.
_NEWTON = 4

# How near 1 the closed loop's largest eigenvalue may be.
_SLOWEST = 1.0 - 1e-6

# A typical offset of an angle in rad, and the least weight of any offset as a share of the largest.
_ANGLE, _LEAST = 0.5, 1e-4


class Unholdable(ConfigurationError):
    """No linear feedback holds the goal in these dynamics."""


class LQR(eqx.Module):
    """A regulator, and as a function (q, q̇, m, goal) → scalar its value.

    Attributes:
        goal: x* (2n,).
        hold: u* (a,), in shares of full actions.
        gain: K (a, 2n).
        cost: P (2n, 2n), in the units of the reward.
        best: V*, what the goal is worth.
        depth: D > 0, how much less a state far away is worth.
        angular: which coordinates are angles.
    """

    goal: Array
    hold: Array
    gain: Array
    cost: Array
    best: Array
    depth: Array
    angular: tuple[bool, ...] = eqx.field(static=True)

    def __call__(self, q: Vector, qd: Vector, m: Any = None, goal: Any = None) -> Scalar:
        """What a state is worth."""
        return self.best + self.depth * jnp.expm1(-self.remaining(q, qd) / self.depth)

    def remaining(self, q: Vector, qd: Vector) -> Scalar:
        """The cost c = ½ x̃ᵀ P x̃ that the linear system still has to pay."""
        offset = self.offset(q, qd)
        return 0.5 * offset @ self.cost @ offset

    def action(self, q: Vector, qd: Vector) -> Array:
        """The action (a,), clipped to [-1, 1]."""
        return jnp.clip(self.hold - self.gain @ self.offset(q, qd), -1.0, 1.0)

    def offset(self, q: Vector, qd: Vector) -> Array:
        """x̃ (2n,), angles in [−π, π)."""
        return offset_from(self.goal, self.angular, jnp.concatenate([q, qd]))


def offset_from(goal: Array, angular: tuple[bool, ...], x: Array) -> Array:
    """x − x* (2n,) of a state from a goal, angles in [−π, π)."""
    apart = x - goal
    wrapped = jnp.mod(apart + jnp.pi, 2.0 * jnp.pi) - jnp.pi
    angles = np.array([*angular, *[False] * len(angular)])
    return jnp.where(angles, wrapped, apart)


def lqr(
    env: FunctionalEnv,
    params: Params,
    m: Any = None,
    goal: Any = None,
    *,
    discount: float = 1.0,
    effort: float = EFFORT,
    weights: Any = None,
) -> LQR:
    """The regulator at the goal state of a task, for steps of `params.dt`.

    Arguments:
        env, params: the task, and the dynamics and dt to linearise, true or learned.
        m, goal: parameters of the motion (k,) and of the task (g,); None for the middle of their
            bounds.
        discount: γ in (0, 1].
        effort: the least curvature of the cost of a full action, in the reward's units.
        weights: (2n,) diagonal of Q in place of the reward's curvature; None for that, or where the
            reward has none for one over the squared typical magnitudes.

    Raises:
        ConfigurationError: the task names no goal state, or weights of another size.
        Unholdable: no feedback holds it in these dynamics.
    """
    positive_number("effort", effort, "curvature of the reward")
    m, goal = _given(m, params.m_bounds), _given(goal, params.goal_bounds)
    at = goal_state(env, m, goal)
    with jax.enable_x64(True):  # a Riccati equation needs its digits, whatever steps the motion
        exact = cast((params, at, m, goal), "float64")
        found: dict[str, Any] = jax.tree.map(np.asarray, _at(env, *exact))
    q_cost, r_cost = _costs(env, found, effort, weights)
    cost, gain = _riccati(env, found["A"], found["B"], q_cost, r_cost, discount)
    best, depth = _scale(float(found["reward"]), float(found["start"]), float(params.dt), discount)
    return LQR(
        goal=at,
        hold=jnp.asarray(found["hold"], at.dtype),
        gain=jnp.asarray(gain, at.dtype),
        cost=jnp.asarray(cost, at.dtype),
        best=jnp.asarray(best, at.dtype),
        depth=jnp.asarray(depth, at.dtype),
        angular=env.coordinates.angular,
    )


def goal_state(env: FunctionalEnv, m: Array, goal: Array) -> Array:
    """The goal state x* (2n,) that a task names.

    Raises:
        ConfigurationError: it names none.
    """
    found = env.task.goal_state(m, goal)
    if found is None:
        raise ConfigurationError(
            f"{env.task.label} of {env.coordinates.name} names no goal state to get to or to hold: "
            f"state it by overriding {env.task.label}.goal_state(m, goal)"
        )
    return jnp.asarray(found, m.dtype)


@partial(jax.jit, static_argnames="env")
def _at(env: FunctionalEnv, params: Params, x: Array, m: Array, goal: Array) -> dict[str, Array]:
    """A, B, u*, and the reward with its curvature, at a state x (2n,)."""
    idle = jnp.zeros(env.task.action_size, x.dtype)

    def moved(x: Array, action: Array) -> Array:
        after = env.next(_seen(x, m, goal), action, params)
        return jnp.concatenate([after.q, after.qd])

    def reward(x: Array, action: Array) -> Array:
        return env.reward(_seen(x, m, goal), action, _seen(x, m, goal))

    def nearer(_: Any, action: Array) -> Array:  # Gauss–Newton: to where the state stays
        slope = jax.jacfwd(moved, 1)(x, action)
        return jnp.clip(action + jnp.linalg.pinv(slope) @ (x - moved(x, action)), -1.0, 1.0)

    hold = jax.lax.fori_loop(0, _NEWTON, nearer, idle)
    start = jnp.mean(jnp.asarray(params.reset_bounds, x.dtype), axis=-2).reshape(-1, len(x))[0]
    return {
        "A": jax.jacfwd(moved, 0)(x, hold),
        "B": jax.jacfwd(moved, 1)(x, hold),
        "hold": hold,
        "Q": -jax.hessian(reward, 0)(x, hold),
        "R": -jax.hessian(reward, 1)(x, hold),
        "reward": reward(x, hold),
        "start": reward(start, idle),
    }


def _scale(reward: float, start: float, dt: float, discount: float) -> tuple[float, float]:
    """V* and D, from the reward at the goal and at the middle of all starts. Where nothing is
    discounted V* would be infinite and is 0, and D is what a second at a start loses.
    """
    lost = max(reward - start, 0.1 * abs(reward)) or 1.0
    if discount == 1:
        return 0.0, lost / dt
    return reward / (1.0 - discount), lost / (1.0 - discount)


def _seen(x: Array, m: Array, goal: Array) -> TaskState:
    q, qd = jnp.split(x, 2)
    return TaskState(q, qd, m, goal, jnp.zeros((), x.dtype), jnp.zeros_like(q))


def _costs(env: FunctionalEnv, found: dict[str, Any], effort: float, weights: Any) -> tuple:
    """Q (2n, 2n) and R (a, a), both without negative eigenvalues, R positive."""
    usual = _weights(env)
    q_cost = _positive(found["Q"])
    if weights is not None or not q_cost.any():
        q_cost = np.diag(usual if weights is None else _checked(weights, len(usual)))
    q_cost = q_cost + _LEAST * np.linalg.norm(q_cost, 2) * np.diag(usual / usual.max())
    return q_cost, _positive(found["R"], least=effort)


def _checked(weights: Any, size: int) -> np.ndarray:
    found = np.asarray(weights, np.float64)
    if found.shape != (size,) or not np.all(np.isfinite(found) & (found >= 0)) or not found.any():
        raise ConfigurationError(
            f"weights = {weights!r}: expected {size} numbers ≥ 0, not all 0, of q and then of q̇"
        )
    return found


def _weights(env: FunctionalEnv) -> np.ndarray:
    typical = env.coordinates.magnitudes
    q = np.where(env.coordinates.angular, _ANGLE, typical.q)
    return 1.0 / np.concatenate([q, typical.qd]) ** 2


def _positive(matrix: np.ndarray, least: float = 0.0) -> np.ndarray:
    """The nearest symmetric matrix of no eigenvalue below `least`; of one that is not finite, 0."""
    matrix = matrix if np.isfinite(matrix).all() else np.zeros_like(matrix)
    values, vectors = np.linalg.eigh(0.5 * (matrix + matrix.T))
    values = np.where(values < 1e-9, 0.0, values)
    return (vectors * np.maximum(values, least)) @ vectors.T


def _riccati(
    env: FunctionalEnv, a: np.ndarray, b: np.ndarray, q: np.ndarray, r: np.ndarray, discount: float
) -> tuple[np.ndarray, np.ndarray]:
    """P (2n, 2n) and K (a, 2n)."""
    root = discount**0.5
    try:
        cost = scipy.linalg.solve_discrete_are(root * a, root * b, q, r)
    except (np.linalg.LinAlgError, ValueError) as error:
        raise _unholdable(env, error) from error
    gain = np.linalg.solve(r + discount * b.T @ cost @ b, discount * b.T @ cost @ a)
    if root * np.abs(np.linalg.eigvals(a - b @ gain)).max() > _SLOWEST:
        raise _unholdable(env, "its closed loop does not get there")
    return cost, gain


def _unholdable(env: FunctionalEnv, why: Any) -> Unholdable:
    return Unholdable(
        f"no linear feedback holds the goal of {env.task.label} of {env.coordinates.name} in these "
        f"dynamics ({why}): plan without an LQR"
    )


def middle_of(bounds: Any) -> Array:
    """The middle (k,) of bounds (2, k), or (N, 2, k) of N environments."""
    middle = np.asarray(bounds).mean(axis=tuple(range(np.ndim(bounds) - 1)))
    return jnp.asarray(middle, jnp.result_type(float))


def _given(value: Any, bounds: Any) -> Array:
    return middle_of(bounds) if value is None else jnp.asarray(value, jnp.result_type(float))
