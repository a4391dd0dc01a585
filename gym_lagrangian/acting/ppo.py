r"""PPO in one jit, on short roll-outs that branch off states which were really experienced.

Every roll-out begins at an experienced state and lasts a few steps, so that the errors of a model
do not add up (Janner et al.'s branched roll-outs). Where it ends by its length, the value of the
state that it reached stands for the rest; where the task ends it, nothing follows. With
δ_t = r_t + γ V(s_{t+1}) − V(s_t), the advantages A_t = δ_t + γ λ A_{t+1} within a roll-out and the
ratio ρ = π(u | o) / π_old(u | o), the clipped objective is

    max E[min(ρ A, clip(ρ, 1 − ε, 1 + ε) A)] − E[(V − (A + V_old))²].

References: Schulman et al., "Proximal Policy Optimization Algorithms" (2017); Janner, Fu, Zhang
and Levine, "When to Trust Your Model: Model-Based Policy Optimization", NeurIPS (2019).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from gym_lagrangian.checks import positive_number, whole_number
from gym_lagrangian.envs.functional import FunctionalEnv, Params

# λ and ε above.
_LAMBDA, _CLIP = 0.95, 0.2

Layers = list[tuple[Array, Array]]


class Agent(NamedTuple):
    """A policy and its value.

    Attributes:
        actor: layers from an observation to the mean action (a,), before it is clipped.
        critic: layers to the value.
        log_std: of the actions (a,).
    """

    actor: Layers
    critic: Layers
    log_std: Array


@dataclass(frozen=True)
class PPO:
    """How an agent is trained.

    Attributes:
        updates: rounds of roll-outs and of gradient steps.
        rollouts: roll-outs in a round.
        steps: the length of one.
        epochs, minibatches: passes over a round, and gradient steps in a pass.
        discount: γ.
        learning_rate: of Adam, falling to zero.
        width: units of the two hidden layers.

    Raises:
        ConfigurationError: a number that makes no sense; the message names it.
    """

    updates: int = 100
    rollouts: int = 256
    steps: int = 20
    epochs: int = 8
    minibatches: int = 8
    discount: float = 0.97
    learning_rate: float = 1e-3
    width: int = 64

    def __post_init__(self) -> None:
        for name in ("updates", "rollouts", "steps", "epochs", "minibatches", "width"):
            whole_number(name, getattr(self, name))
        for name in ("discount", "learning_rate"):
            positive_number(name, getattr(self, name))


def fresh(inputs: int, outputs: int, width: int, key: Array) -> Agent:
    """An untrained agent."""
    actor, critic = jax.random.split(key)
    hidden = (inputs, width, width)
    return Agent(
        _layers(actor, *hidden, outputs), _layers(critic, *hidden, 1), jnp.full(outputs, -0.5)
    )


def mean_action(agent: Agent, observation: Array) -> Array:
    """The action (a,) in [-1, 1] without its noise; the observation in units of its bounds."""
    return jnp.clip(_forward(agent.actor, observation), -1.0, 1.0)


class _Batch(NamedTuple):
    """Steps, each array with a first axis for them."""

    observation: Array
    action: Array
    log_probability: Array
    advantage: Array
    target: Array


@partial(jax.jit, static_argnames=("env", "how"))
def train(
    env: FunctionalEnv,
    how: PPO,
    params: Params,
    agent: Agent,
    scale: Array,
    states: Array,
    count: Array,
    key: Array,
) -> tuple[Agent, Array]:
    """The agent after `how.updates` rounds, and the mean reward of a step in each of them.

    Arguments:
        env, params: the task, and the model and dt in which to train.
        scale: units (o,) of observations.
        states: experienced states (N, 2n), of which the first `count` are real.
    """
    total = how.updates * how.epochs * how.minibatches
    rate = optax.linear_schedule(how.learning_rate, 0.0, total)
    optimiser = optax.chain(optax.clip_by_global_norm(0.5), optax.adam(rate))

    def update(carry: Any, key: Array) -> Any:
        agent, memory = carry
        key_begin, key_act, key_learn = jax.random.split(key, 3)
        chosen = jax.random.randint(key_begin, (how.rollouts,), 0, count)
        roll = partial(_rollout, env, how, params, agent, scale)
        batch, reward = jax.vmap(roll)(states[chosen], jax.random.split(key_act, how.rollouts))
        rows = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), batch)
        carry = _improved(how, optimiser, agent, memory, rows, key_learn)
        return carry, jnp.mean(reward)

    carry = agent, optimiser.init(agent)
    (agent, _), rewards = jax.lax.scan(update, carry, jax.random.split(key, how.updates))
    return agent, rewards


def _rollout(
    env: FunctionalEnv, how: PPO, params: Params, agent: Agent, scale: Array, x: Array, key: Array
) -> tuple[_Batch, Array]:
    """One roll-out from a state: a batch of its steps, and the rewards."""
    goal = env.draw_goal(jax.random.fold_in(key, how.steps), params)  # no step has that key
    state, first = env.start(x, jnp.asarray(params.m_bounds[0]), goal, params)

    def step(carry: Any, key: Array) -> Any:
        state, observation, over = carry
        mean = _forward(agent.actor, observation)
        action = mean + jnp.exp(agent.log_std) * jax.random.normal(key, mean.shape)
        state, stepped = env.step(None, state, action, params)
        after = stepped.observation / scale
        ended = over | stepped.terminated | stepped.truncated
        reward = jnp.where(over, 0.0, stepped.reward)
        out = observation, action, reward, after, over, ended
        return (state, after, ended), out

    begin = state, first.observation / scale, jnp.zeros((), bool)
    _, out = jax.lax.scan(step, begin, jax.random.split(key, how.steps))
    observation, action, reward, after, over, ended = out
    value, following = (_forward(agent.critic, o)[:, 0] for o in (observation, after))
    error = jnp.where(over, 0.0, reward + how.discount * following * ~ended - value)
    advantage = _advantages(error, how.discount * _LAMBDA * ~ended)
    old = _log_probability(agent, observation, action)
    return _Batch(observation, action, old, advantage, advantage + value), reward


def _advantages(errors: Array, weights: Array) -> Array:
    """A_t = δ_t + w_t A_{t+1} (T,)."""

    def weigh(later: Array, now: tuple[Array, Array]) -> tuple[Array, Array]:
        advantage = now[0] + now[1] * later
        return advantage, advantage

    return jax.lax.scan(weigh, jnp.zeros(()), (errors, weights), reverse=True)[1]


def _improved(
    how: PPO, optimiser: Any, agent: Agent, memory: Any, batch: _Batch, key: Array
) -> tuple[Agent, Any]:
    """The agent after several passes over a batch."""
    size = len(batch.advantage) // how.minibatches
    keys = jax.random.split(key, how.epochs)
    order = jax.vmap(lambda key: jax.random.permutation(key, len(batch.advantage)))(keys)
    parts = order[:, : size * how.minibatches].reshape(-1, size)

    def learn(carry: Any, rows: Array) -> Any:
        agent, memory = carry
        gradient = jax.grad(_loss)(agent, jax.tree.map(lambda x: x[rows], batch))
        changes, memory = optimiser.update(gradient, memory)
        return (optax.apply_updates(agent, changes), memory), None

    return jax.lax.scan(learn, (agent, memory), parts)[0]


def _loss(agent: Agent, batch: _Batch) -> Array:
    ratio = jnp.exp(
        _log_probability(agent, batch.observation, batch.action) - batch.log_probability
    )
    a = (batch.advantage - batch.advantage.mean()) / (batch.advantage.std() + 1e-8)
    gain = jnp.minimum(ratio * a, jnp.clip(ratio, 1.0 - _CLIP, 1.0 + _CLIP) * a)
    missed = _forward(agent.critic, batch.observation)[:, 0] - batch.target
    return jnp.mean(missed**2) - jnp.mean(gain)


def _log_probability(agent: Agent, observation: Array, action: Array) -> Array:
    mean, deviation = _forward(agent.actor, observation), jnp.exp(agent.log_std)
    return jax.scipy.stats.norm.logpdf(action, mean, deviation).sum(-1)


def _layers(key: Array, *sizes: int) -> Layers:
    draw, keys = jax.nn.initializers.orthogonal(), jax.random.split(key, len(sizes) - 1)
    return [(draw(k, io), jnp.zeros(io[1])) for k, io in zip(keys, pairwise(sizes), strict=True)]


def _forward(layers: Layers, x: Array) -> Array:
    for weight, bias in layers[:-1]:
        x = jnp.tanh(x @ weight + bias)
    weight, bias = layers[-1]
    return x @ weight + bias
