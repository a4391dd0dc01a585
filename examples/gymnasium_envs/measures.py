"""Errors of a model of an environment."""

import jax
import jax.numpy as jnp
import numpy as np

from gym_lagrangian import collect
from gymnasium_envs.policies import policies
from gymnasium_envs.setups import SETUPS
from gymnasium_envs.truth import in_truth, noise_of
from gymnasium_envs.twin import imagined, predicted, twin_of

AHEAD, WATCHED = 20, 200  # steps predicted in a row, and the first of an episode, which are judged


class World:
    """An environment with its policies, what they do in truth, and steps to judge by."""

    def __init__(self, env_id, options):
        self.env_id, self.fastest = env_id, SETUPS[env_id].fastest
        self.policies = policies(env_id, options.out, options.ppo_steps)
        self.truth = {
            name: in_truth(env_id, act, options.starts) for name, act in self.policies.items()
        }
        self.held_out = collect(env_id, options.transitions // 2, seed=10**6)
        self.noise = noise_of(env_id, options.starts)
        self.returns = {name: float(e.returns.mean()) for name, e in self.truth.items()}
        self.span = max(self.returns.values()) - self.returns["random"]

    def judged(self, path):
        """What a model is wrong by."""
        env, params = twin_of(self.env_id, path)
        gaps = {name: self.gap(env, params, name) for name in self.policies}
        return {
            "one step": one_step(env, params, self.held_out),
            "20 steps": ahead(env, params, self.truth["feedback"], self.fastest),
            **{f"gap {name}, %": gap for name, gap in gaps.items()},
        }

    def gap(self, env, params, name):
        """Of a policy's mean return, in per cent of best − random."""
        there = self.truth[name]
        starts = (there.x[0].astype(np.float32), there.goal)
        found = imagined(env, params, self.policies[name], *starts, self.noise, self.fastest)
        return 100 * abs(float(found.mean()) - self.returns[name]) / self.span


def apart(env, x, y):
    """|x − y| (N, 2n), of angles by the shorter way."""
    angles = np.array([*env.coordinates.angular, *[False] * env.coordinates.n])
    away = np.asarray(x, np.float64) - y
    return np.abs(np.where(angles, (away + np.pi) % (2 * np.pi) - np.pi, away))


def one_step(env, params, data):
    """Mean Σ|error of the state| / dt of recorded steps."""
    x, true = np.hstack([data.q, data.qd]), np.hstack([data.next_q, data.next_qd])
    given = (jnp.asarray(one, jnp.float32) for one in (x, data.tau, data.m))
    found = jax.vmap(lambda x, tau, m: params.dynamics.step(x, tau, m, params.dt))(*given)
    return float(apart(env, found, true).sum(axis=1).mean() / data.dt)


def ahead(env, params, episodes, fastest):
    """Σ|error of q| after AHEAD steps: the median over stretches of the first WATCHED ones. A pole
    multiplies an error many times over meanwhile, so that a mean would be that of the worst.
    """
    ends = range(AHEAD, min(WATCHED, len(episodes.share)) + 1, AHEAD)
    kept = np.concatenate([episodes.running[t - 1] for t in ends])
    starts, true = (np.concatenate([episodes.x[t - d] for t in ends]) for d in (AHEAD, 0))
    share = np.concatenate([episodes.share[t - AHEAD : t].swapaxes(0, 1) for t in ends])
    found = predicted(env, params, starts.astype(np.float32), share, fastest)
    wrong = apart(env, found, true)[kept, : env.coordinates.n].sum(axis=1)
    return float(np.median(np.nan_to_num(wrong, nan=np.inf)))
