r"""A planner at work: states in, actions out, one after another.

At every step the policy plans `horizon` actions of its own dt, hands out the first, and keeps the
rest. A step of the environment of h ≤ dt seconds later the plan, constant over each dt, is read
from there on, by its mean over every dt of the new grid:

    u'_k = (1 − h/dt) u_k + (h/dt) u_{k+1},

with nothing, u = 0, beyond the end.
"""

from __future__ import annotations

import dataclasses
import os
from functools import partial
from typing import Any

import gymnasium
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
from gym_lagrangian.planning.planner import Planner
from gym_lagrangian.registration import find

Task = tuple[FunctionalEnv, Params]

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
    seed, m or weights compile nothing. Plans are float32.
    """

    def __init__(
        self,
        where: str | gymnasium.Env | gymnasium.vector.VectorEnv | Task,
        planner: Planner,
        *,
        dt: float | None = None,
        integrator: str = "rk4",
        substeps: int = 1,
        checkpoint: str | os.PathLike[str] | None = None,
        seed: int = 0,
    ):
        """Plan in the dynamics, and for the reward, of `where`.

        Arguments:
            where: an id of this package, an environment of it (scalar or vector, wrapped or not),
                or the (env, params) of `gym_lagrangian.envs.functional`.
            planner: `MPPI`, `CEM` or a `Planner` of your own.
            dt: seconds for which a planned action holds, the environment's step or longer; None
                for the environment's step.
            integrator, substeps: how a planned step is integrated, coarse being good enough.
            checkpoint: with an id, name or path of the model to plan in.
            seed: of the planner's noise.

        Raises:
            ConfigurationError: not an environment of this package; a dt that is shorter than the
                environment's step, or another than the model can take; a model trained without
                forces.
            CheckpointError: the checkpoint is damaged, or was trained for something else.
        """
        if not isinstance(planner, Planner):
            raise ConfigurationError(f"planner = {planner!r}: expected MPPI(...) or CEM(...)")
        self._env, params = _task(where, checkpoint)
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
        dynamics = params.dynamics.integrated(integrator=integrator, substeps=substeps)
        params = dataclasses.replace(params, dynamics=dynamics, dt=np.asarray(self.dt))
        with _float32():
            self._params = cast(params, "float32")
        self._fixed = _fixed_parameters(np.asarray(params.m_bounds))
        self.planner = planner
        self._plans: Array | None = None
        self.reset(seed=seed)

    def reset(self, *, seed: int | None = None, mask: np.ndarray | None = None) -> None:
        """Forget the plan.

        Arguments:
            seed: of the planner's noise from now on; None goes on with the current noise.
            mask: booleans (N,): forget only the plans of these states, where sub-environments
                have begun new episodes.
        """
        if seed is not None:
            with _float32():
                self._key = jax.random.key(seed_number(seed))
        if mask is None or self._plans is None:
            self._plans = None
        else:
            self._plans = jnp.where(np.asarray(mask, bool)[:, None, None], 0.0, self._plans)

    def act(self, state: Any, m: Any = None) -> np.ndarray:
        """The action in [-1, 1] to take in a state.

        Arguments:
            state: (2n,), or (N, 2n) for N states, each with its own plan.
            m: parameters (k,) or (N, k); None where the environment fixes them.

        Returns:
            A float32 array (a,) or (N, a).

        Raises:
            ConfigurationError: a state or m of another shape or not finite; m is left out though
                the environment draws it; another number of states than before, without `reset`.
        """
        system = self._env.system
        x = _finite("state", state, 2 * system.n)
        rows = np.atleast_2d(x)
        m = self._parameters(m, len(rows))
        with _float32():
            plans = self._plans_for(len(rows))
            elapsed = self._interval / self.dt
            actions, self._plans, self._key = _decide(
                self._env, self.planner, self._params, rows, m, plans, elapsed, self._key
            )
        actions = np.asarray(actions)
        return actions if x.ndim == 2 else actions[0]

    def _parameters(self, m: Any, count: int) -> np.ndarray:
        system = self._env.system
        if m is None:
            m = self._fixed
            if m is None:
                raise ConfigurationError(
                    f"{system.name} draws its parameters at every reset: give act() those of the "
                    f"episode, m = ({', '.join(system.parameters)})"
                )
        m = _finite("m", m, len(system.parameters))
        if m.ndim == 2 and len(m) != count:
            raise ConfigurationError(f"m has {len(m)} rows for {count} states: expected as many")
        return np.broadcast_to(m, (count, len(system.parameters)))

    def _plans_for(self, count: int) -> Array:
        if self._plans is None:
            shape = (count, self.planner.horizon, self._env.system.action_size)
            return jnp.zeros(shape, jnp.float32)
        if len(self._plans) != count:
            raise ConfigurationError(
                f"{count} states, but plans for {len(self._plans)}: reset() before another number"
            )
        return self._plans


@partial(jax.jit, static_argnames=("env", "planner"))
def _decide(
    env: FunctionalEnv,
    planner: Planner,
    params: Params,
    x: Array,
    m: Array,
    plans: Array,
    elapsed: Array | float,
    key: Array,
) -> tuple[Array, Array, Array]:
    """Actions (N, a) to take now, the plans (N, horizon, a) that follow them, and the next key."""
    key, draw = jax.random.split(key)

    def one(i, x, m, plan):
        plan = planner.plan(env, params, x, m, plan, jax.random.fold_in(draw, i))
        return plan[0], later(plan, elapsed)

    return *jax.vmap(one)(jnp.arange(len(x)), x, m, plans), key


def later(plan: Array, elapsed: Array | float) -> Array:
    """A plan (horizon, a) as it reads once a share `elapsed` ≤ 1 of its first step has passed."""
    following = jnp.concatenate([plan[1:], jnp.zeros_like(plan[:1])])
    return (1.0 - elapsed) * plan + elapsed * following


def _task(where: Any, checkpoint: Any) -> Task:
    if isinstance(where, str):
        row = find(where)
        return functional.make(row.system, checkpoint=checkpoint or row.kwargs.get("checkpoint"))
    if checkpoint is not None:
        raise ConfigurationError("checkpoint: only with an id; an environment has its own dynamics")
    base = getattr(where, "unwrapped", None)
    if isinstance(base, Shell):
        return base.functional
    match where:
        case (FunctionalEnv() as env, Params() as params):
            return env, params
    raise ConfigurationError(
        f"{where!r}: expected an id, an environment of gym_lagrangian, or the (env, params) of "
        "gym_lagrangian.envs.functional"
    )


def _fixed_parameters(bounds: np.ndarray) -> np.ndarray | None:
    """The m (k,) or (N, k) in bounds (2, k) or (N, 2, k); None where it is drawn at reset."""
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
