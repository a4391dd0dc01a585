r"""A policy that plans anew at every step, from states to actions.

At every step the policy plans `horizon` actions of its own dt, hands out the first, and keeps the
rest. A step of the environment of h ≤ dt seconds later the plan, constant over each dt, is read
from there on, by its mean over every dt of the new grid:

    u'_k = (1 − h/dt) u_k + (h/dt) u_{k+1},

with nothing, u = 0, beyond the end.

Near the goal a policy may leave planning to the regulator of the linearised motion, which is finer:
see `takeover`.
"""

from __future__ import annotations

import dataclasses
import math
import os
import warnings
from collections.abc import Mapping
from functools import partial
from typing import Any

import equinox as eqx
import gymnasium
import gymnasium.wrappers.vector
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from gym_lagrangian.checks import one_of, positive_number, seed_number, whole_number
from gym_lagrangian.envs import functional
from gym_lagrangian.envs.functional import FunctionalEnv, Params, cast, check_dt
from gym_lagrangian.envs.shell import Shell
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.physics.integrators import INTEGRATORS
from gym_lagrangian.planning.budget import Budget
from gym_lagrangian.planning.planner import Planner
from gym_lagrangian.planning.regulators import Regulators
from gym_lagrangian.planning.returns import Value
from gym_lagrangian.planning.takeover import SECONDS, regulated
from gym_lagrangian.registration import find, load_reward
from gym_lagrangian.systems.task import TaskState, check_task

FunctionalTask = tuple[FunctionalEnv, Params]

# What changes the reward of an environment from above.
REWARD_WRAPPERS = (
    gymnasium.RewardWrapper,
    gymnasium.wrappers.NormalizeReward,
    gymnasium.vector.VectorRewardWrapper,
    gymnasium.wrappers.vector.NormalizeReward,
)

# Whatever the process is set to: a plan is coarse, and this is twice as fast.
_float32 = partial(jax.enable_x64, False)


class Policy:
    """Drives any environment of this package by planning anew at every step.

        policy = Policy("DoublePendulumLNN-v0", MPPI(samples=1024, horizon=25), dt=0.1, seed=0)
        env = gymnasium.make("DoublePendulum-v0")
        observation, info = env.reset(seed=0)
        for _ in range(500):
            observation, reward, terminated, truncated, info = env.step(policy.act(info["state"]))

    The planner sees the state, not the observation. A batch of states (N, 2n), as a vector
    environment's `info["state"]` is, is planned for in one call, every row with a plan of its own.
    It compiles once for a kind of dynamics, a planner and a number of states; another instance,
    seed, m or weights, of a model or of a learned value, compile nothing. Plans are float32.

    Attributes:
        dt: seconds for which a planned action holds.
        took_over: whether the regulator acted in each state (N,) of the last decision.
    """

    def __init__(
        self,
        where: str | gymnasium.Env | gymnasium.vector.VectorEnv | FunctionalTask,
        planner: Planner,
        *,
        dt: float | None = None,
        integrator: str = "rk4",
        substeps: int = 1,
        checkpoint: str | os.PathLike[str] | None = None,
        seed: int = 0,
        reward: Any = None,
        value: Value | str | None = None,
        takeover: bool = False,
        budget: float | None = None,
        **arguments: Any,
    ):
        """Plan in the dynamics, and for the reward, of `where`.

        Arguments:
            where: an id of this package, an environment of it (scalar or vector, wrapped or not),
                or the (env, params) of `gym_lagrangian.envs.functional`.
            planner: `MPPI`, `CEM`, `ILQR` or a `Planner` of your own.
            dt: seconds for which a planned action holds, the environment's step or longer; None
                for the environment's step.
            integrator, substeps: how a planned step is integrated, coarse being good enough.
            checkpoint: with an id, name or path of the model to plan in.
            seed: of the planner's noise.
            reward: what to plan for in place of the environment's reward, a function or
                "module:function", in one of the two forms of `Task.reward`.
            value: what the state at the end of a plan is worth: a pure function (q, q̇, m, goal) →
                scalar in the reward's units, an equinox module being one; ``"lqr"`` for the value
                of the regulator at the task's goal, see `lqr`; None for nothing.
            takeover: whether that regulator acts in place of the planner where its closed loop,
                followed in these dynamics, gets to the goal.
            budget: seconds for one decision: as many iterations as fit, at least one, which makes
                plans depend on the machine. None for the planner's number of iterations.
            arguments: with an id, further arguments of `gymnasium.make`, but for those above.

        Raises:
            ConfigurationError: not an environment of this package; a dt that is shorter than the
                environment's step, or another than the model can take; a model trained without
                forces; an LQR for a task without a goal state.
            Unholdable: a `ConfigurationError`, from here or from `act`: no feedback holds the goal
                in these dynamics.
            CheckpointError: the checkpoint is damaged, or was trained for something else.
        """
        if not isinstance(planner, Planner):
            raise ConfigurationError(
                f"planner = {planner!r}: expected MPPI(...), CEM(...) or ILQR(...)"
            )
        _check_rewarded(planner, reward=reward)
        self._env, params = functional_task(where, checkpoint, arguments)
        self._interval = float(params.dt)
        self.dt = self._interval if dt is None else positive_number("dt", dt, "seconds")
        if self.dt < self._interval * (1 - 1e-6):
            raise ConfigurationError(
                f"dt = {self.dt} is shorter than the environment's step of {self._interval:g} s: "
                "plan in steps at least as long"
            )
        check_dt(params.dynamics, self.dt)
        if not params.dynamics.takes_forces:
            raise ConfigurationError(
                "this model was trained on free motion alone: what an action does in it is "
                "arbitrary, and no plan. Train it on states with forces"
            )
        one_of("integrator", integrator, INTEGRATORS)
        whole_number("substeps", substeps)
        self._acting_in = self._env
        if reward is not None:
            self._env = dataclasses.replace(self._env, own_reward=load_reward(reward))
            check_task(self._env.task, self._env.own_reward)
        dynamics = params.dynamics.integrated(integrator=integrator, substeps=substeps)
        params = dataclasses.replace(params, dynamics=dynamics, dt=np.asarray(self.dt))
        with _float32():
            self._params = cast(params, "float32")
            fine = self._interval if dynamics.fixed_dt is None else self.dt
            self._fine = dataclasses.replace(self._params, dt=jnp.float32(fine))
            self._elapsed = jnp.float32(self._interval / self.dt)
        self.planner = planner
        self._takeover = self._regulators(self._fine, 1.0) if takeover else None
        self._budget = None if budget is None else Budget(budget)
        self.value = value
        self._bounds = {
            "m": np.asarray(params.m_bounds),
            "goal": np.asarray(params.goal_bounds),
        }
        self.took_over = np.zeros(0, bool)
        self._clock: np.ndarray | None = None
        self._noticed = False
        self._plans: Array | None = None
        self.reset(seed=seed)

    @property
    def value(self) -> Value | str | None:
        """What the state at the end of a plan is worth; assign to replace it. An equinox module of
        the same structure compiles nothing.
        """
        return self._value if self._lqr is None else "lqr"

    @value.setter
    def value(self, value: Value | str | None) -> None:
        _check_rewarded(self.planner, value=value)
        if not (value is None or value == "lqr" or callable(value)):
            raise ConfigurationError(
                f'value = {value!r}: expected a function of (q, qd, m, goal), "lqr" or None'
            )
        self._lqr = self._value = None
        if value == "lqr":
            self._lqr = self._regulators(self._params, self.planner.discount)
        else:
            with _float32():
                self._value = cast(value, "float32")

    def reset(self, *, seed: int | None = None, mask: np.ndarray | None = None) -> None:
        """Forget the plan.

        Arguments:
            seed: of the planner's noise from now on; None goes on with the current noise.
            mask: booleans (N,): forget only the plans of these states, where sub-environments
                have begun new episodes.
        """
        self._clock = None
        if seed is not None:
            with _float32():
                self._key = jax.random.key(seed_number(seed))
        if mask is None or self._plans is None:
            self._plans = None
        else:
            self._plans = jnp.where(np.asarray(mask, bool)[:, None, None], 0.0, self._plans)

    def act(self, state: Any, m: Any = None, goal: Any = None, time: Any = 0.0) -> np.ndarray:
        """The action in [-1, 1] to take in a state.

        Arguments:
            state: (2n,), or (N, 2n) for N states, each with its own plan; or the `info` of an
                environment of this package, which holds state, goal and time.
            m: parameters (k,) or (N, k); None where the environment fixes them.
            goal: the task's goal (g,) or (N, g), likewise.
            time: seconds since the start of the episode, for tasks that depend on it.

        Returns:
            A float32 array (a,) or (N, a).

        Raises:
            ConfigurationError: a state, m or goal of another shape or not finite; m or goal is left
                out though the environment draws it; another number of states than before, without
                `reset`.
        """
        if isinstance(state, Mapping):
            self._notice_dt(state)
            goal = state.get("goal") if goal is None else goal
            state, time = state["state"], state["time"]
        n = self._env.coordinates.n
        x = _finite("state", state, 2 * n)
        rows: Any = np.atleast_2d(x)
        count = len(rows)
        clock: Any = np.broadcast_to(np.asarray(time, np.float32), (count,))
        start = TaskState(
            q=rows[:, :n],
            qd=rows[:, n:],
            m=self._known("m", m, tuple(self._env.coordinates.parameters), count),
            goal=self._known("goal", goal, tuple(self._env.task.goal), count),
            t=clock,
            tau=0.0 * rows[:, :n],
        )
        with _float32():
            actions = self._decided(start, self._plans_for(count))
        return actions if x.ndim == 2 else actions[0]

    def _decided(self, start: TaskState, plans: Array) -> np.ndarray:
        """Actions (N, a), by the regulator or by planning."""
        regulated, self.took_over = self._regulated(start)
        if self.took_over.all():
            self._plans = jnp.zeros_like(plans)
            return regulated
        actions, self._plans = self._planned(start, plans)
        if not self.took_over.any():
            return actions
        taken = self.took_over[:, None]
        self._plans = jnp.where(taken[:, :, None], 0.0, self._plans)
        return np.where(taken, regulated, actions)

    def _planned(self, start: TaskState, plans: Array) -> tuple[np.ndarray, Array]:
        """Actions (N, a) by planning, and the plans (N, horizon, a) that follow them."""
        value, own = self._value, isinstance(self._lqr, Regulators)
        if self._lqr is not None:
            value = self._lqr.at(start)

        def decide(iterations: int) -> tuple[Any, ...]:
            given = (start, plans, self._key, value, jnp.int32(iterations), self._elapsed)
            found = _decide(self._env, self.planner, self._params, *given, own=own)
            return np.asarray(found[0]), *found[1:]

        if self._budget is None:
            found = decide(self.planner.iterations)
        else:
            found = self._budget.decide((plans.shape, jax.tree.structure(value)), decide)
        actions, plans, self._key = found
        return actions, plans

    def _regulated(self, start: TaskState) -> tuple[np.ndarray, np.ndarray]:
        """The regulators' actions (N, a), and which of them (N,) reach the goal."""
        if self._takeover is None:
            return np.zeros(0), np.zeros(len(start.q), bool)
        steps = math.ceil(SECONDS / float(self._fine.dt))
        regulators = self._takeover.at(start)
        found = regulated(self._env, self._fine, regulators, start, steps)
        return np.array(found[0]), np.array(found[1])

    def _regulators(self, params: Params, discount: float) -> Regulators:
        with _float32():
            return Regulators(self._env, params, discount)

    def check(self, env: Any) -> tuple[str, ...]:
        """In what an environment differs from what is planned for, and a warning of each.

        Arguments:
            env: the environment that the actions are for, scalar or vector, wrapped or not.

        Raises:
            ConfigurationError: it is no environment of this package.
        """
        differences = _differences(self._acting_in, self._interval, self._bounds, env)
        for difference in differences:
            warnings.warn(f"this policy plans for {difference}", stacklevel=2)
        return differences

    def _notice_dt(self, info: Mapping[str, Any]) -> None:
        """Warn, once, of an environment whose clock runs in other steps."""
        now = np.atleast_1d(np.asarray(info["time"], np.float64))
        before, self._clock = self._clock, now
        if before is None or before.shape != now.shape or self._noticed:
            return
        passed = (now - before)[now > before]
        if passed.size and not np.allclose(passed, self._interval, rtol=1e-3):
            self._noticed = True
            warnings.warn(
                f"this policy plans for steps of {self._interval:g} s, and the environment's clock "
                f"went on by {passed[0]:g} s: make the policy from that environment",
                stacklevel=3,
            )

    def _known(self, what: str, value: Any, names: tuple[str, ...], count: int) -> Any:
        """Rows (count, k) of m or of a goal, as given or as the environment fixes them."""
        value = _fixed(self._bounds[what]) if value is None else value
        if value is None:
            label = self._env.coordinates.name if what == "m" else self._env.task.label
            raise ConfigurationError(
                f"{label} draws {'its parameters' if what == 'm' else 'its goal'} at every reset: "
                f"give act() those of the episode, {what} = ({', '.join(names)})"
            )
        if not names:
            return np.zeros((count, 0), np.float32)
        value = _finite(what, value, len(names))
        if value.ndim == 2 and len(value) != count:
            raise ConfigurationError(
                f"{what} has {len(value)} rows for {count} states: expected as many"
            )
        return np.broadcast_to(value, (count, len(names)))

    def _plans_for(self, count: int) -> Array:
        if self._plans is None:
            shape = (count, self.planner.horizon, self._env.task.action_size)
            return jnp.zeros(shape, jnp.float32)
        if len(self._plans) != count:
            raise ConfigurationError(
                f"{count} states, but plans for {len(self._plans)}: reset() before another number"
            )
        return self._plans


@eqx.filter_jit
def _decide(
    env: FunctionalEnv,
    planner: Planner,
    params: Params,
    start: TaskState,
    plans: Array,
    key: Array,
    value: Value | None,
    iterations: Array,
    elapsed: Array,
    *,
    own: bool,
) -> tuple[Array, Array, Array]:
    """Actions (N, a) to take now, the plans (N, horizon, a) that follow them, and the next key.

    Arguments:
        own: whether every state has a value of its own, `value` having a first axis N.
    """
    key, draw = jax.random.split(key)

    def one(i, start, plan, arrays):
        found, noise = eqx.combine(arrays, fixed), jax.random.fold_in(draw, i)
        plan = planner.plan(env, params, start, plan, noise, value=found, iterations=iterations)
        return plan[0], later(plan, elapsed)

    arrays, fixed = eqx.partition(value, eqx.is_array)
    axes = (0, 0, 0, 0 if own else None)
    return *jax.vmap(one, in_axes=axes)(jnp.arange(len(plans)), start, plans, arrays), key


def later(plan: Array, elapsed: Array | float) -> Array:
    """A plan (horizon, a) as it reads once a share `elapsed` ≤ 1 of its first step has passed."""
    following = jnp.concatenate([plan[1:], jnp.zeros_like(plan[:1])])
    return (1.0 - elapsed) * plan + elapsed * following


def functional_task(
    where: Any, checkpoint: Any = None, arguments: Mapping[str, Any] | None = None
) -> FunctionalTask:
    """The pure functions of an id, of an environment or of themselves, and their parameters.

    Raises:
        ConfigurationError: it is none of these.
    """
    arguments = dict(arguments or {})
    if isinstance(where, str):
        row = find(where)
        given = row.kwargs | arguments
        if checkpoint is not None:
            given["checkpoint"] = checkpoint
        return functional.make(**given)
    if checkpoint is not None or arguments:
        names = ", ".join(["checkpoint"] * (checkpoint is not None) + [*arguments])
        raise ConfigurationError(f"{names}: only with an id; an environment has its own")
    base = getattr(where, "unwrapped", None)
    if isinstance(base, Shell):
        _warn_of_rewards(where)
        return base.functional
    match where:
        case (FunctionalEnv() as env, Params() as params):
            return env, params
    raise ConfigurationError(
        f"{where!r}: expected an id, an environment of gym_lagrangian, or the (env, params) of "
        "gym_lagrangian.functional"
    )


def _check_rewarded(planner: Planner, **given: Any) -> None:
    for name, value in given.items():
        if value is not None and not planner.rewarded:
            raise ConfigurationError(
                f"{name} = {value!r}: {type(planner).__name__} plans for no reward, but to get to "
                "the goal state that the task names"
            )


def _warn_of_rewards(env: Any) -> None:
    """Warn of wrappers that give another reward than the environment's own."""
    while env is not env.unwrapped:
        if isinstance(env, REWARD_WRAPPERS):
            warnings.warn(
                f"this policy plans for the reward of {type(env.unwrapped).__name__}, not for that "
                f"of its wrapper {type(env).__name__}: give it as reward= to gymnasium.make to "
                "plan for it",
                stacklevel=4,
            )
        env = env.env


def _differences(
    planned: FunctionalEnv, interval: float, bounds: dict[str, np.ndarray], env: Any
) -> tuple[str, ...]:
    base = env.unwrapped
    if not isinstance(base, Shell):
        raise ConfigurationError(f"{env!r} is no environment of gym_lagrangian")
    driven, params = base.functional
    found = []
    if not np.isclose(interval, base.dt):
        found.append(f"steps of {interval:g} s, the environment's are {base.dt:g} s")
    if planned.task != driven.task or planned.own_reward != driven.own_reward:
        found.append(f"{planned.task}, the environment's task is {driven.task}")
    for what, of_env in (("m", params.m_bounds), ("goal", params.goal_bounds)):
        ours, theirs = np.asarray(bounds[what]), np.asarray(of_env)
        if ours.shape[-1] != theirs.shape[-1] or not np.allclose(ours, theirs):
            found.append(f"{what} = {_shown(ours)}, the environment has {_shown(theirs)}")
    return tuple(found)


def _shown(bounds: np.ndarray) -> str:
    """Bounds (2, k), or (N, 2, k) of N environments, as numbers and ranges."""
    low, high = np.moveaxis(bounds, -2, 0)
    low, high = (
        low.reshape(-1, low.shape[-1]).min(axis=0),
        high.reshape(-1, high.shape[-1]).max(axis=0),
    )
    pairs = zip(low, high, strict=True)
    return f"({', '.join(f'{a:g}' if a == b else f'{a:g} to {b:g}' for a, b in pairs)})"


def _fixed(bounds: np.ndarray) -> np.ndarray | None:
    """The values (k,) or (N, k) in bounds (2, k) or (N, 2, k); None where they are drawn."""
    low, high = np.moveaxis(bounds, -2, 0)
    if np.any(low != high):
        return None
    return low[0] if low.ndim == 2 and np.all(low == low[0]) else low


def _finite(what: str, value: Any, size: int) -> np.ndarray:
    """`value` as a float32 array (size,) or (N, size)."""
    try:
        array = np.array(value, np.float32)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"{what} = {value!r}: expected {size} numbers") from error
    if array.ndim not in (1, 2) or array.shape[-1] != size or not array.size:
        raise ConfigurationError(
            f"{what} has shape {array.shape}, expected ({size},), or (N, {size}) for a batch"
        )
    if not np.isfinite(array).all():
        raise ConfigurationError(f"{what} = {array} is not finite")
    return array
