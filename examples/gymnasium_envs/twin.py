"""The learned twin of an environment, and what policies and actions do in it."""

from functools import partial

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np

from gym_lagrangian import FitConfig, checkpoints, collect, fit, functional
from gym_lagrangian.adapters import adapter_for
from gymnasium_envs.truth import seen


def fitted(env_id, model, count, seed, options):
    """The file of a model of an environment, fitted unless it is there; an unfinished fit begins
    anew.
    """
    path = options.out / f"{env_id}-{model}-{count}-{seed}.safetensors"
    if not path.exists():
        data = collect(env_id, count, seed=seed)
        config = FitConfig.of(model, steps=options.fit_steps, seed=seed)
        friction = "viscous" if model in ("LNN", "DeLaN") else None
        how = {"friction": friction, "config": config, "metrics": False, "overwrite": True}
        fit(data, model, out=path, **how)
    return path


def twin_of(env_id, path, task=None):
    """The pure functions and numbers of an environment that a model moves, integrated as it was
    when it was fitted.
    """
    env = gymnasium.make(env_id).unwrapped
    adapter = adapter_for(env)
    task, dt = task or type(adapter.task(env)), adapter.dt(env)
    fit_by = checkpoints.load(path).card.training
    how = {name: fit_by[name] for name in ("integrator", "substeps")}
    return functional.make(checkpoint=path, task=task, dt=dt, **how)


def moved(env, params, at, share, fastest):
    """The state dt later, velocities clipped as the environment clips them."""
    after = env.next(at, share, params)
    return after._replace(qd=jnp.clip(after.qd, -fastest, fastest))


@partial(jax.jit, static_argnames=("env", "act", "fastest"))
def imagined(env, params, act, x, goal, noise, fastest):
    """The returns (N,) of a policy in the learned environment, from states x (N, 2n)."""

    def alone(x, goal, noise):
        def step(carry, draw):
            at, running, total = carry
            share = act(at, draw)
            after = moved(env, params, at, share, np.array(fastest))
            running &= env.is_valid(after)
            total += jnp.where(running, env.reward(at, share, after), 0.0)
            at = jax.tree.map(lambda a, b: jnp.where(running, a, b), after, at)
            return (at, running & ~env.task.terminated(after), total), None

        start = seen(x, params.m_bounds[0], goal)
        (_, _, total), _ = jax.lax.scan(step, (start, jnp.bool(True), 0.0), noise)
        return total

    return jax.vmap(alone, (0, 0, 1))(x, goal, noise)


@partial(jax.jit, static_argnames=("env", "fastest"))
def predicted(env, params, x, share, fastest):
    """The states (N, 2n) to which actions (N, T, a) lead from x (N, 2n)."""

    def alone(x, share):
        def step(at, one):
            return moved(env, params, at, one, np.array(fastest)), None

        goal = jnp.zeros(params.goal_bounds.shape[-1])
        end, _ = jax.lax.scan(step, seen(x, params.m_bounds[0], goal), share)
        return jnp.concatenate([end.q, end.qd])

    return jax.vmap(alone)(x, share)
