"""Episodes of a policy in the original environment, many side by side."""

from typing import NamedTuple

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np

from gym_lagrangian.adapters import adapter_for
from gym_lagrangian.systems.task import TaskState


class Episodes(NamedTuple):
    """Episodes of an environment, N side by side.

    Attributes:
        x, share: states (T + 1, N, 2n) and actions (T, N, a); once an episode is over, its last.
        goal: of each episode (N, g), Reacher's target.
        running: whether an episode was under way (T, N) at the start of a step.
        returns: (N,).
    """

    x: np.ndarray
    share: np.ndarray
    goal: np.ndarray
    running: np.ndarray
    returns: np.ndarray


def noise_of(env_id, count, seed=0):
    """The draws (T, N, a) of a random policy in `count` episodes."""
    env = gymnasium.make(env_id)
    size = getattr(env.action_space, "shape", ()) or (1,)
    draws = (env.spec.max_episode_steps, count, *size)
    return np.random.default_rng(seed).uniform(size=draws).astype(np.float32)


def in_truth(env_id, act, count=50, seed=0):
    """Episodes of the environment itself, reset with the seeds from `seed` on."""
    envs = [gymnasium.make(env_id).unwrapped for _ in range(count)]
    adapter, noise = adapter_for(envs[0]), noise_of(env_id, count)
    for number, env in enumerate(envs):
        env.reset(seed=seed + number)
    goal = np.array([goal_of(env) for env in envs], np.float32)
    m = np.zeros((count, len(adapter.coordinates(envs[0]).parameters)), np.float32)
    decide = jax.jit(jax.vmap(lambda x, m, goal, noise: act(seen(x, m, goal), noise)))
    now = np.array([np.concatenate(adapter.state(env)) for env in envs])
    states, shares, running, returns = [now], [], [np.ones(count, bool)], np.zeros(count)
    for draw in noise:
        share = np.asarray(decide(np.float32(now), m, goal, draw))
        now, over = now.copy(), ~running[-1]
        for i in np.flatnonzero(running[-1]):
            _, reward, over[i], *_ = envs[i].step(action_of(envs[i], share[i]))
            returns[i] += reward
            now[i] = np.concatenate(adapter.state(envs[i]))
        states, shares, running = [*states, now], [*shares, share], [*running, ~over]
        if over.all():
            break
    return Episodes(np.stack(states), np.stack(shares), goal, np.stack(running[:-1]), returns)


def goal_of(env):
    """Reacher's target."""
    return env.data.qpos[2:] if type(env).__name__ == "ReacherEnv" else np.zeros(0)


def seen(x, m, goal):
    """A state x (2n,) as a task sees it."""
    q, qd = jnp.split(x, 2)
    return TaskState(q, qd, m, goal, jnp.zeros(()), jnp.zeros_like(q))


def action_of(env, share):
    """The environment's own action."""
    if hasattr(env.action_space, "n"):
        return round((share[0] + 1.0) / 2.0 * (env.action_space.n - 1))
    return share * env.action_space.high
