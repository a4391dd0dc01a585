"""Three policies of each environment: at random, a feedback, PPO trained in the original.

PPO is that of Stable-Baselines3 (extra `sb3`), trained once and kept as a file of numbers.
"""

import gymnasium
import jax.numpy as jnp
import numpy as np
from ppo_in_one_jit import forward

from gym_lagrangian.adapters import adapter_for
from gymnasium_envs.setups import SETUPS


def policies(env_id, folder, steps=None):
    """The three of an environment, functions of (TaskState, noise (a,) uniform in [0, 1)) that give
    actions (a,): shares of full ones in [-1, 1], or as many as there are choices.
    """
    env, setup = gymnasium.make(env_id).unwrapped, SETUPS[env_id]
    task, choices = adapter_for(env).task(env), getattr(env.action_space, "n", None)
    full = getattr(env.action_space, "high", 1.0)  # PPO's actions are the environment's own
    layers = ppo(env_id, folder / f"{env_id}-ppo.npz", steps)

    def chosen(index):
        return 2.0 * index / (choices - 1) - 1.0

    def at_random(at, noise):
        return chosen(jnp.floor(choices * noise)) if choices else 2.0 * noise - 1.0

    def fed_back(at, noise):
        return jnp.clip(setup.feedback(at, task), -1.0, 1.0)

    def learned(at, noise):
        seen = forward(layers, task.observation(at))
        return chosen(jnp.argmax(seen)[None]) if choices else jnp.clip(seen / full, -1.0, 1.0)

    return {"random": at_random, "feedback": fed_back, "PPO": learned}


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
