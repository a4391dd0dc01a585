"""A whole PPO training in one jit, rollouts, advantages and updates, on the pure functions.

python examples/ppo_in_one_jit.py --updates 50
"""

import argparse
from functools import partial
from itertools import pairwise

import jax
import jax.numpy as jnp
import optax
from gymnasium.vector import AutoresetMode

from gym_lagrangian import functional
from gym_lagrangian.autoreset import advance, begin

STEPS, EPOCHS, MINIBATCHES, GAMMA, LAMBDA = 64, 10, 8, 0.99, 0.95


# An agent is (actor layers, critic layers, log standard deviation of its actions).
def layers(key, *sizes):
    draw = jax.nn.initializers.orthogonal()
    keys = jax.random.split(key, len(sizes) - 1)
    return [(draw(k, io), jnp.zeros(io[1])) for k, io in zip(keys, pairwise(sizes), strict=True)]


def forward(layers, x):
    for weight, bias in layers[:-1]:
        x = jnp.tanh(x @ weight + bias)
    return x @ layers[-1][0] + layers[-1][1]


def log_probability(agent, observation, action):
    actor, _, log_std = agent
    mean = forward(actor, observation)
    return jax.scipy.stats.norm.logpdf(action, mean, jnp.exp(log_std)).sum(-1)


def loss(agent, batch):
    observation, action, old, advantage, target = batch
    ratio = jnp.exp(log_probability(agent, observation, action) - old)
    advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
    gain = jnp.minimum(ratio * advantage, jnp.clip(ratio, 0.8, 1.2) * advantage)
    return -gain.mean() + jnp.mean((forward(agent[1], observation)[:, 0] - target) ** 2)


@partial(jax.jit, static_argnames=("env", "count", "updates", "max_steps"))
def train(env, params, scale, key, count, updates, max_steps=500, gamma=GAMMA):
    actor_key, critic_key, begin_key, key = jax.random.split(key, 4)
    inputs, outputs = len(scale), env.task.action_size
    actor, critic = (
        layers(actor_key, inputs, 64, 64, outputs),
        layers(critic_key, inputs, 64, 64, 1),
    )
    agent = (actor, critic, jnp.full(outputs, -0.5))
    episodes, first = jax.vmap(partial(begin, env, params))(jax.random.split(begin_key, count))
    go = partial(advance, env, params, mode=AutoresetMode.SAME_STEP, max_steps=max_steps)
    rate = optax.linear_schedule(1e-3, 0.0, updates * EPOCHS * MINIBATCHES)
    optimiser = optax.chain(optax.clip_by_global_norm(0.5), optax.adam(rate))

    def step(agent, carry, key):
        episodes, observation = carry
        mean = forward(agent[0], observation)
        action = mean + jnp.exp(agent[2]) * jax.random.normal(key, mean.shape)
        old = log_probability(agent, observation, action)
        episodes, timestep, stepped = jax.vmap(go)(episodes, action)
        seen = jnp.stack([observation, stepped.observation / scale])
        value, following = forward(agent[1], seen)[..., 0]
        error = stepped.reward + gamma * following * ~stepped.terminated - value
        out = (observation, action, old, value, error, stepped.reward, episodes.done)
        return (episodes, timestep.observation / scale), out

    def update(carry, key):
        agent, state, running = carry
        keys = jax.random.split(key, STEPS + EPOCHS)
        running, out = jax.lax.scan(partial(step, agent), running, keys[:STEPS])
        observation, action, old, value, error, reward, done = out
        traces = (error, gamma * LAMBDA * ~done)
        weigh = lambda a, x: (x[0] + x[1] * a,) * 2  # noqa: E731
        _, advantage = jax.lax.scan(weigh, jnp.zeros(count), traces, reverse=True)
        batch = (observation, action, old, advantage, advantage + value)
        batch = jax.tree.map(lambda x: x.reshape(STEPS * count, *x.shape[2:]), batch)

        def minibatch(carry, chosen):
            agent, state = carry
            gradient = jax.grad(loss)(agent, jax.tree.map(lambda x: x[chosen], batch))
            changes, state = optimiser.update(gradient, state)
            return (optax.apply_updates(agent, changes), state), None

        order = jax.vmap(lambda key: jax.random.permutation(key, STEPS * count))(keys[STEPS:])
        order = order.reshape(EPOCHS * MINIBATCHES, -1)
        (agent, state), _ = jax.lax.scan(minibatch, (agent, state), order)
        return (agent, state, running), reward.mean()

    carry = (agent, optimiser.init(agent), (episodes, first.observation / scale))
    (agent, _, _), rewards = jax.lax.scan(update, carry, jax.random.split(key, updates))
    return agent, rewards


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--envs", type=int, default=256)
    parser.add_argument("--updates", type=int, default=50)
    options = parser.parse_args()

    env, params = functional.make("RelativisticParticle")
    _, scale = env.task.observation_bounds(params.m_bounds, params.goal_bounds)
    sizes = (options.envs, options.updates)
    _, rewards = train(env, params, scale, jax.random.key(0), *sizes)
    few = max(1, options.updates // 20)
    print(
        f"reward a step: {rewards[:few].mean():.3f} at first, {rewards[-few:].mean():.3f} at last"
    )


if __name__ == "__main__":
    main()
