"""Three policies in Gymnasium's own environments: at random, a feedback, PPO trained there.

    python examples/policies_in_truth.py --out policies

prints their returns from 50 starts. PPO (Stable-Baselines3, extra `sb3`) is trained once an
environment; what the folder has is not trained again. A policy is a pure function of the state
as a task of `gym_lagrangian.adapters.tasks` sees it, so that it also acts in learned twins.
"""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
from ppo_in_one_jit import forward

from gym_lagrangian.adapters import adapter_for
from gym_lagrangian.systems.task import TaskState


def held(gains, at, task):
    """Linear in the offset from the goal state: −K x̃, angles within ±π."""
    x = task.goal_state(at.m, at.goal)[: len(at.q)]
    angles = np.array(task.coordinates.angular)
    away = jnp.where(angles, jnp.mod(at.q - x + jnp.pi, 2 * jnp.pi) - jnp.pi, at.q - x)
    return -np.array(gains) @ jnp.concatenate([away, at.qd])


def pendulum(at, task):
    """Energy to that of standing up, E = θ̇²/6 + 5 cos θ, and linear near it."""
    pumped = at.qd * (5.0 - at.qd**2 / 6 - 5.0 * jnp.cos(at.q))
    near = (jnp.cos(at.q) > 0.9) & (jnp.abs(at.qd) < 2.0)
    return jnp.where(near, held([[5.0, 1.5]], at, task), pumped)


def acrobot(at, task):
    """Energy: the elbow's motor pushes wherever the elbow goes."""
    return jnp.sign(at.qd[1:])


def cart_pole(at, task):
    """The sign of what a linear feedback asks for."""
    return jnp.where(held([[1.0, 20.0, 2.0, 4.0]], at, task) < 0, 1.0, -1.0)


class Setup(NamedTuple):
    """The feedback of an environment, a function of (TaskState, task) that gives shares of full
    actions; what PPO is given; and the speeds at which the environment clips velocities.
    """

    feedback: Callable
    steps: int
    discount: float = 0.99
    rate: float = 3e-4
    fastest: tuple[float, ...] = (np.inf,)


# Gains for q and then q̇, of a regulator at the goal (InvertedPendulum's are negative: its motor
# pushes the cart under the pole).
SETUPS = {
    "Pendulum-v1": Setup(pendulum, 200_000, 0.9, 1e-3, (8.0,)),
    "Acrobot-v1": Setup(acrobot, 200_000, 0.99, 1e-3, (4 * np.pi, 9 * np.pi)),
    "CartPole-v1": Setup(cart_pole, 100_000, rate=1e-3),
    "InvertedPendulum-v5": Setup(partial(held, [[-0.58, -3.24, -0.6, -0.57]]), 100_000),
    "InvertedDoublePendulum-v5": Setup(
        partial(held, [[0.23, 1.55, 4.94, 0.31, 0.8, 0.76]]), 400_000
    ),
    "Reacher-v5": Setup(partial(held, [[0.5, 0, 0.1, 0], [0, 0.5, 0, 0.1]]), 500_000, 0.95),
}


def ppo(env_id, path, steps=None):
    """The layers of the mean of a policy that PPO has trained in an environment, kept in a file."""
    if not path.exists():
        np.savez(path, *(array for layer in trained(env_id, steps) for array in layer))
    with np.load(path) as file:
        arrays = list(file.values())
    return tuple(zip(arrays[::2], arrays[1::2], strict=True))


def trained(env_id, steps):
    import torch
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.vec_env import VecNormalize

    torch.set_num_threads(1)
    setup = SETUPS[env_id]
    env = VecNormalize(make_vec_env(env_id, 16, seed=0), gamma=setup.discount)
    sizes = {"n_steps": 128, "batch_size": 256, "n_epochs": 10}
    rates = {"learning_rate": lambda left: setup.rate * left, "gamma": setup.discount}
    agent = PPO("MlpPolicy", env, seed=0, device="cpu", **sizes, **rates)
    agent.learn(steps or setup.steps)
    net = [*agent.policy.mlp_extractor.policy_net[::2], agent.policy.action_net]
    layers = [(a.weight.detach().numpy().T, a.bias.detach().numpy()) for a in net]
    (weight, bias), scale = layers[0], np.sqrt(env.obs_rms.var + env.epsilon)
    weight = weight / scale[:, None]  # of the observation as it is
    return [(weight, bias - env.obs_rms.mean @ weight), *layers[1:]]


def policies(env_id, folder, steps=None):
    """The three of an environment, functions of (TaskState, noise (a,) uniform in [0, 1)) that give
    actions (a,): shares of full ones in [-1, 1], or as many as there are choices.
    """
    env, setup = gymnasium.make(env_id).unwrapped, SETUPS[env_id]
    task, choices = adapter_for(env).task(env), getattr(env.action_space, "n", None)
    layers = ppo(env_id, folder / f"{env_id}-ppo.npz", steps)

    def chosen(index):
        return 2.0 * index / (choices - 1) - 1.0

    def at_random(at, noise):
        return chosen(jnp.floor(choices * noise)) if choices else 2.0 * noise - 1.0

    def fed_back(at, noise):
        return jnp.clip(setup.feedback(at, task), -1.0, 1.0)

    def learned(at, noise):
        seen = forward(layers, task.observation(at))
        return chosen(jnp.argmax(seen)[None]) if choices else jnp.clip(seen, -1.0, 1.0)

    return {"random": at_random, "feedback": fed_back, "PPO": learned}


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--envs", nargs="+", default=[*SETUPS], choices=SETUPS)
    parser.add_argument("--ppo-steps", type=int, help="default: by environment")
    parser.add_argument("--starts", type=int, default=50)
    parser.add_argument("--out", type=Path, default=Path("policies"))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    for env_id in given.envs:
        for name, act in policies(env_id, given.out, given.ppo_steps).items():
            found = in_truth(env_id, act, given.starts).returns
            print(f"{env_id:26} {name:9} {found.mean():9.2f} ± {found.std():.2f}", flush=True)


if __name__ == "__main__":
    main()
