"""Gymnasium's rewards, observations and ends as pure functions: equal to the originals."""

import gymnasium
import jax
import numpy as np
import pytest
from adapter_helpers import HAS_MUJOCO
from gymnasium.spaces import Discrete

from gym_lagrangian import (
    Coordinates,
    FitConfig,
    LagrangianVectorEnv,
    LearnedDynamicsEnv,
    collect,
    fit,
)
from gym_lagrangian.adapters import adapter_for, tasks
from gym_lagrangian.systems.task import TaskState

CLASSIC = {
    "Pendulum-v1": tasks.Pendulum,
    "CartPole-v1": tasks.CartPole,
    "Acrobot-v1": tasks.Acrobot,
}
MUJOCO = {
    "InvertedPendulum-v5": tasks.InvertedPendulum,
    "InvertedDoublePendulum-v5": tasks.InvertedDoublePendulum,
    "Reacher-v5": tasks.Reacher,
}
TASKS = CLASSIC | MUJOCO
ARM = Coordinates(("joint0", "joint1"), angular=True)

needs_mujoco = pytest.mark.skipif(not HAS_MUJOCO, reason="mujoco and imageio are not installed")
EVERY = [*CLASSIC, *(pytest.param(name, marks=needs_mujoco) for name in MUJOCO)]


def share(env, action):
    """An action as a share of the largest force."""
    if isinstance(env.action_space, Discrete):
        return [2.0 * action / (env.action_space.n - 1) - 1.0]
    return np.clip(action / env.action_space.high, -1.0, 1.0)


def transitions(name, count, seed=0):
    """What the original hands out: (q, q̇, action share, q⁺, q̇⁺, goal) and (observation, reward,
    terminated), every array with `count` rows. States reach well beyond those of its episodes.
    """
    env, rows = gymnasium.make(name, disable_env_checker=True).unwrapped, []
    adapter, rng = adapter_for(env), np.random.default_rng(seed)
    n = adapter.coordinates(env).n
    env.reset(seed=seed)
    env.action_space.seed(seed)
    for i in range(count):
        if i % 100 == 0:
            env.reset()
        env.steps_beyond_terminated = None
        before, after = rng.uniform(-1, 1, (2, 2, n)) * np.array([[0.5], [3.0]])
        adapter.set_state(env, *before)
        action = env.action_space.sample()
        observation, reward, terminated, _, _ = adapter.step(env, action, *after)
        goal = env.data.qpos[2:].copy() if name.startswith("Reacher") else np.zeros(0)
        inputs = (*before, share(env, action), *after, goal)
        rows.append((*inputs, observation, reward, terminated))
    columns = zip(*rows, strict=True)
    return [np.stack([np.asarray(part, np.float64) for part in column]) for column in columns]


@pytest.mark.parametrize("name", EVERY)
def test_equal_to_the_original_on_many_transitions(name):
    q, qd, action, next_q, next_qd, goal, observation, reward, terminated = transitions(
        name, 10_000
    )
    env = gymnasium.make(name).unwrapped
    task = TASKS[name](coordinates=adapter_for(env).coordinates(env))
    m = np.zeros(len(task.coordinates.parameters))

    def found(q, qd, action, next_q, next_qd, goal):
        before = TaskState(q, qd, m, goal, 0.0 * q[0], 0.0 * q)
        after = TaskState(next_q, next_qd, m, goal, 0.0 * q[0], 0.0 * q)
        outcome = task.observation(after), task.reward(before, action, after)
        return *outcome, task.terminated(after), task.generalized_force(q, qd, action)

    with jax.enable_x64(True):
        given = (q, qd, action, next_q, next_qd, goal)
        seen, worth, over, force = map(np.asarray, jax.jit(jax.vmap(found))(*given))
    if name == "InvertedDoublePendulum-v5":  # the force of the rail's end, which here is never met
        assert np.all(observation[:, -1] == 0)
    np.testing.assert_allclose(seen, observation, atol=1e-6)
    np.testing.assert_allclose(worth, reward, atol=1e-6)
    np.testing.assert_array_equal(over, terminated.astype(bool))
    if terminated.any():
        assert 0.02 < terminated.mean() < 0.98
    assert np.abs(force).max() == pytest.approx(task.force_max, rel=0.01)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_jitted_vector_twin_of_a_wrapped_environment(tmp_path):
    """Four copies in one compiled call make the steps of the environment under the same model."""
    data = collect("Acrobot-v1", 80)
    out = tmp_path / "acrobot.safetensors"
    small = {"width": 8, "depth": 2}
    fit(data, "Baseline", out=out, config=FitConfig(steps=2, horizon=1), model_config=small)
    env = LearnedDynamicsEnv(gymnasium.make("Acrobot-v1"), out)
    task = "gym_lagrangian.adapters.tasks:Acrobot"
    twin = LagrangianVectorEnv(num_envs=4, checkpoint=out, task=task, dt=0.2)
    adapter = adapter_for(env)
    twin.reset(seed=0)
    starts = np.asarray(twin.get_state().x)
    choices = np.array([0, 1, 2, 2])
    seen, worth, over, *_ = twin.step(choices[:, None] - 1.0)
    for start, action, *twins in zip(starts, choices, seen, worth, over, strict=True):
        env.reset(seed=0)
        adapter.set_state(env.unwrapped, *np.split(start, 2))
        found = env.step(action)
        np.testing.assert_allclose(twins[0], found[0], atol=1e-5)
        assert twins[1:] == list(found[1:3])


def test_reachers_targets_are_in_a_disc():
    task, key = tasks.Reacher(coordinates=ARM), jax.random.key(0)
    low, high = np.array([[-0.2, -0.2], [0.2, 0.2]], np.float32)
    keys = jax.random.split(key, 4000)
    goals = jax.vmap(lambda key: task.draw_goal(key, low, high))(keys)
    distance = np.linalg.norm(goals, axis=1)
    assert distance.max() <= 0.2
    assert np.mean(distance < 0.1) == pytest.approx(0.25, abs=0.03)  # as areas are
    fixed = np.array([[0.1, 0.05]] * 2, np.float32)
    np.testing.assert_allclose(task.draw_goal(key, *fixed), fixed[0])
