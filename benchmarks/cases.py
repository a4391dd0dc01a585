"""What is timed: every function prepares one case and returns (run, units).

`run()` does a block of work to its end, `units` says how much: environment steps, or q̈ evaluations
and training steps where that is what is compared. Each library is imported by its own case, so
that this file serves the environment of the peers as well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Case = tuple[Callable[[], Any], int]

STEPS = 10  # of a batch, in one scan


def scalar(env_id: str, **options: Any) -> Case:
    """Steps of one environment as `gymnasium.make` returns it, resets included."""
    import gymnasium

    env = gymnasium.make(env_id, **options)
    env.reset(seed=0)
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(200)]

    def run():
        for action in actions:
            *_, terminated, truncated, _ = env.step(action)
            if terminated or truncated:
                env.reset()

    return run, len(actions)


def gymnasium_vector(env_id: str, envs: int, kind: str) -> Case:
    """`SyncVectorEnv` or `AsyncVectorEnv` of an environment."""
    import gymnasium

    batch = gymnasium.make_vec(env_id, num_envs=envs, vectorization_mode=kind)
    batch.reset(seed=0)
    actions = batch.action_space.sample()
    return lambda: batch.step(actions), envs


def lagrangian_vector(env_id: str, envs: int, dtype: str = "float32") -> Case:
    """Steps of this package's vector environment, NumPy in and out."""
    import gymnasium

    import gym_lagrangian  # noqa: F401

    batch = gymnasium.make_vec(
        env_id, num_envs=envs, vectorization_mode="vector_entry_point", dtype=dtype
    )
    batch.reset(seed=0)
    actions = batch.action_space.sample()
    return lambda: batch.step(actions), envs


def learned_twin(env_id: str, task: str, envs: int, as_fitted: bool = False) -> Case:
    """Steps of the jitted vector twin of another package's environment, in a DeLaN of it, with
    rewards, terminations and automatic resets. The fit is short: weights do not change the speed.

    `as_fitted` integrates as the fit did, RK4 in one step, in place of the default.
    """
    import tempfile
    import warnings

    import gymnasium

    import gym_lagrangian

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # steps at the end of a joint's range are left out
        data = gym_lagrangian.collect(env_id, 200, seed=0)
        out = f"{folder}/twin.safetensors"
        config = gym_lagrangian.FitConfig.of("DeLaN", steps=10, starts=1)
        how = {"friction": "viscous", "config": config, "metrics": False}
        gym_lagrangian.fit(data, "DeLaN", out=out, **how)
        batch = gymnasium.make_vec(
            "gym_lagrangian:Lagrangian-v0",
            num_envs=envs,
            vectorization_mode="vector_entry_point",
            checkpoint=out,
            task=task,
            dt=data.dt,
            dtype="float32",
            **({"integrator": "rk4", "substeps": 1} if as_fitted else {}),
        )
    batch.reset(seed=0)
    actions = batch.action_space.sample()
    return lambda: batch.step(actions), envs


def lagrangian_scan(
    system: str, envs: int, checkpoint: str | None = None, width: int | None = None
) -> Case:
    """Steps of the pure functions with automatic resets, in one jitted scan, float32.

    `width` replaces the network of the checkpoint by an untrained LNN of that width.
    """
    import dataclasses
    from functools import partial

    import jax
    import jax.numpy as jnp
    from gymnasium.vector import AutoresetMode

    from gym_lagrangian import functional
    from gym_lagrangian.autoreset import advance, begin
    from gym_lagrangian.models import LNN
    from gym_lagrangian.models.embedding import Embedding

    env, params = functional.make(system, checkpoint=checkpoint)
    if width is not None:
        model = LNN.build(Embedding.of(env.coordinates), width=width, key=jax.random.key(0))
        substeps = env.coordinates.default_substeps(float(params.dt), learned=True)
        dynamics = model.dynamics(integrator="dop853", substeps=substeps)
        params = dataclasses.replace(params, dynamics=dynamics)

    @jax.jit
    def go(params, episodes, action):
        step = partial(advance, env, params, mode=AutoresetMode.NEXT_STEP, max_steps=500)

        def one(episodes, _):
            episodes, timestep, _ = jax.vmap(step)(episodes, action)
            return episodes, timestep.reward.sum()

        return jax.lax.scan(one, episodes, None, length=STEPS)

    keys = jax.random.split(jax.random.key(0), envs)
    episodes, _ = jax.vmap(partial(begin, env, params))(keys)
    action = jnp.zeros((envs, env.task.action_size))
    return lambda: jax.block_until_ready(go(params, episodes, action)), envs * STEPS


def gymnax_scan(env_id: str, envs: int) -> Case:
    """Steps of a gymnax environment with its automatic resets, in one jitted scan."""
    import gymnax
    import jax

    env, params = gymnax.make(env_id)
    key = jax.random.key(0)
    keys = jax.random.split(key, envs)
    _, states = jax.vmap(env.reset, in_axes=(0, None))(keys, params)
    actions = jax.vmap(lambda key: env.action_space(params).sample(key))(keys)

    @jax.jit
    def go(key, states):
        def one(states, key):
            keys = jax.random.split(key, envs)
            result = jax.vmap(env.step, in_axes=(0, 0, 0, None))(keys, states, actions, params)
            return result[1], result[2].sum()

        return jax.lax.scan(one, states, jax.random.split(key, STEPS))

    return lambda: jax.block_until_ready(go(key, states)), envs * STEPS


def brax_scan(env_id: str, envs: int) -> Case:
    """Steps of a brax environment (generalized coordinates) with its automatic resets."""
    import brax.envs
    import jax
    import jax.numpy as jnp

    env = brax.envs.create(env_id, backend="generalized", batch_size=envs, auto_reset=True)
    state = jax.jit(env.reset)(jax.random.PRNGKey(0))
    action = jnp.zeros((envs, env.action_size))

    @jax.jit
    def go(state):
        one = lambda state, _: ((state := env.step(state, action)), state.reward.sum())  # noqa: E731
        return jax.lax.scan(one, state, None, length=STEPS)

    return lambda: jax.block_until_ready(go(state)), envs * STEPS


def decision(env_id: str, samples: int, horizon: int) -> Case:
    """Decisions of MPPI for one state, float32, NumPy in and out."""
    from gym_lagrangian.planning import MPPI, Policy

    policy = Policy(env_id, MPPI(samples=samples, horizon=horizon), dt=0.1)
    state = [0.1, -0.1, 0.0, 0.0]
    return lambda: policy.act(state), 1


def real_time(dt: float) -> Case:
    """Steps of a world that nobody computes."""
    import time

    return lambda: time.sleep(dt), 1


def acceleration(formula: str, width: int, batch: int, *, train: bool) -> Case:
    """q̈ of a batch, or a training step on it: by the model, or by the paper's Appendix A."""
    import jax
    import jax.numpy as jnp
    import optax
    from appendix_a import appendix_a

    from gym_lagrangian.models import LNN
    from gym_lagrangian.models.embedding import Embedding
    from gym_lagrangian.systems import DoublePendulum

    system = DoublePendulum()
    model = LNN.build(Embedding.of(system), width=width, key=jax.random.key(0))
    samples = jax.vmap(system.sample)(jax.random.split(jax.random.key(1), batch))
    target = jax.vmap(system.acceleration)(samples.q, samples.qd, samples.tau, samples.m)
    one = {"ours": LNN.acceleration, "appendix_a": appendix_a}[formula]
    optimiser = optax.adam(1e-3)

    @jax.jit
    def predict(model):
        return jax.vmap(one, in_axes=(None, 0, 0, 0, 0))(
            model, samples.q, samples.qd, samples.tau, samples.m
        )

    @jax.jit
    def step(model, state):
        error = lambda model: jnp.mean(jnp.abs(predict(model) - target))  # noqa: E731
        changes, state = optimiser.update(jax.grad(error)(model), state)
        return optax.apply_updates(model, changes), state

    state = optimiser.init(model)
    if train:
        return lambda: jax.block_until_ready(step(model, state)), 1
    return lambda: predict(model).block_until_ready(), 1


def ensemble_steps(model: str, members: int, envs: int) -> Case:
    """Steps of environments that an ensemble moves, or one model, in one jitted scan, float32."""
    import jax
    import jax.numpy as jnp

    from gym_lagrangian import functional
    from gym_lagrangian.checkpoints import fresh_model
    from gym_lagrangian.learning.members import built

    env, params = functional.make("DoublePendulum")
    found = built(
        lambda key: fresh_model(model, env.coordinates, (), key=key), jax.random.key(0), members
    )
    params = params.moved_by(found.dynamics(integrator="rk4", substeps=1))
    step = jax.vmap(lambda state, action: env.step(None, state, action, params))

    @jax.jit
    def go(states, action):
        def one(states, _):
            states, timestep = step(states, action)
            return states, timestep.reward.sum()

        return jax.lax.scan(one, states, None, length=STEPS)

    keys = jax.random.split(jax.random.key(1), envs)
    states, _ = jax.vmap(lambda key: env.reset(key, params))(keys)
    action = jnp.zeros((envs, env.task.action_size))
    return lambda: jax.block_until_ready(go(states, action)), envs * STEPS


def ensemble_fit(model: str, members: int, batch: int) -> Case:
    """Steps of a fit to recorded transitions, four in a row, of an ensemble or one model."""
    import gymnasium
    import jax

    from gym_lagrangian import FitConfig, collect
    from gym_lagrangian.checkpoints import fresh_model
    from gym_lagrangian.learning.loop import trial
    from gym_lagrangian.learning.members import built
    from gym_lagrangian.learning.windows import windows

    name = "gym_lagrangian:DoublePendulum-v0"
    env = gymnasium.make_vec(name, num_envs=20, vectorization_mode="vector_entry_point")
    data = collect(env, 2000, episode_steps=50, seed=0)
    how = {"integrator": "rk4", "substeps": 1, "share": 0.1, "seed": 0}
    source, _ = windows(data, 4, **how)
    config = FitConfig(steps=STEPS, batch=batch, chunk=STEPS)
    found = built(
        lambda key: fresh_model(model, data.system, (), key=key), jax.random.key(0), members
    )
    key = jax.random.key(1)
    return lambda: jax.block_until_ready(trial(found, source, config, key)), STEPS


def chain_training(model: str, links: int, batch: int) -> Case:
    """Training steps of a model of a chain on a batch that stays the same."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp
    import optax

    from gym_lagrangian.checkpoints import fresh_model
    from gym_lagrangian.systems import Chain

    system = Chain(links=links)
    system.magnitudes  # noqa: B018 - estimated before anything is traced
    built = fresh_model(model, system, (), key=jax.random.key(0))
    samples = jax.vmap(system.sample)(jax.random.split(jax.random.key(1), batch))
    target = jax.vmap(system.acceleration)(samples.q, samples.qd, samples.tau, samples.m)
    weights, fixed = eqx.partition(built, eqx.is_array)
    optimiser = optax.adam(1e-3)

    @jax.jit
    def step(weights, state):
        loss = lambda w: jnp.mean(jax.vmap(eqx.combine(w, fixed).loss)(samples, target))  # noqa: E731
        changes, state = optimiser.update(jax.grad(loss)(weights), state)
        return optax.apply_updates(weights, changes), state

    state = optimiser.init(weights)
    return lambda: jax.block_until_ready(step(weights, state)), 1


def chain_motion(model: str | None, links: int, batch: int) -> Case:
    """q̈ of a chain, by its equations or by a model of it."""
    import jax

    from gym_lagrangian.checkpoints import fresh_model
    from gym_lagrangian.systems import Chain

    system = Chain(links=links)
    system.magnitudes  # noqa: B018 - estimated before anything is traced
    built = system if model is None else fresh_model(model, system, (), key=jax.random.key(0))
    samples = jax.vmap(system.sample)(jax.random.split(jax.random.key(1), batch))
    move = jax.jit(jax.vmap(built.acceleration))
    arguments = (samples.q, samples.qd, samples.tau, samples.m)
    return lambda: move(*arguments).block_until_ready(), batch


def matmul(size: int) -> Case:
    """Multiply–adds of one large float32 matrix product: the machine's peak in practice."""
    import jax
    import jax.numpy as jnp

    a = jnp.ones((size, size), jnp.float32)
    product = jax.jit(lambda a, b: a @ b)
    return lambda: product(a, a).block_until_ready(), size**3
