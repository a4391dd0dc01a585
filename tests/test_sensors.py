"""Noisy sensors and late motors: exact in every copy, alike in every kind of environment."""

import copy
import pickle

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gym_lagrangian import LagrangianEnv, LagrangianVectorEnv, LearnedDynamicsEnv
from gym_lagrangian.envs import functional
from gym_lagrangian.envs.sensors import noise_of
from gym_lagrangian.errors import ConfigurationError

COARSE = {"integrator": "rk4", "substeps": 1}
ID = "DoublePendulum-v0"
NOISE = (0.01, 0.02, 0.1, 0.2)
BOTH = {"observation_noise": NOISE, "action_delay": 2, **COARSE}
BENT = [0.5, -0.3, 0.2, 0.1]


def actions(count, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (count, 2)).astype(np.float32)


def run(env, moves):
    return [env.step(move) for move in moves]


class TestNoise:
    def test_has_the_standard_deviation_that_is_asked_for(self):
        """Of angles near zero, where sin θ shows θ, and of velocities."""
        env, params = functional.make("DoublePendulum", observation_noise=NOISE, **COARSE)
        keys = jax.random.split(jax.random.key(0), 4000)
        goal = jnp.zeros(0)

        def shown(key):
            stream = jax.random.randint(key, (2,), 0, 2**24)
            start = jnp.zeros(4), params.m_bounds[0], goal, params
            _, first = env.start(*start, stream=stream)
            return first.observation

        seen = np.asarray(jax.jit(jax.vmap(shown))(keys))[:, [1, 3, 4, 5]]
        np.testing.assert_allclose(seen.std(axis=0), NOISE, rtol=0.06)
        np.testing.assert_allclose(seen.mean(axis=0), 0.0, atol=0.08 * np.array(NOISE).max())
        assert np.abs(np.corrcoef(seen.T) - np.eye(4)).max() < 0.08

    def test_a_stream_is_two_numbers_and_both_count(self):
        env, params = functional.make("DoublePendulum", observation_noise=NOISE, **COARSE)
        state, _ = env.reset(jax.random.key(0), params)
        assert state.stream.shape == (2,)
        streams = np.array([[1, 2], [2, 2], [1, 3]])
        noise = [noise_of(stream, jnp.int32(0), jnp.float32, 4) for stream in streams]
        assert not np.any(np.isclose(noise[0], noise[1]) | np.isclose(noise[0], noise[2]))

    def test_is_in_the_observation_alone(self):
        """State, reward and flags are those of the same environment with exact sensors."""
        noisy = LagrangianEnv("DoublePendulum", **BOTH | {"action_delay": 0})
        exact = LagrangianEnv("DoublePendulum", **COARSE)
        firsts = noisy.reset(seed=4), exact.reset(seed=4)
        np.testing.assert_array_equal(*(info["state"] for _, info in firsts))
        assert np.abs(firsts[0][0] - firsts[1][0]).max() > 1e-3
        for ours, theirs in zip(run(noisy, actions(20)), run(exact, actions(20)), strict=True):
            np.testing.assert_allclose(ours[4]["state"], theirs[4]["state"], atol=1e-12)
            assert ours[1] == pytest.approx(theirs[1], abs=1e-12)
            assert np.abs(ours[0] - theirs[0]).max() > 1e-4
            assert noisy.observation_space.contains(ours[0])

    def test_is_the_seeds(self):
        env = LagrangianEnv("DoublePendulum", **BOTH)

        def seen(seed):
            first, _ = env.reset(seed=seed, options={"state": BENT})
            return np.stack([first, *(step[0] for step in run(env, actions(5)))])

        first, again, other = seen(1), seen(1), seen(2)
        np.testing.assert_array_equal(first, again)
        assert np.abs(first - other).max() > 1e-3
        assert len(np.unique(first[:, 1] - first[0, 1])) == len(first)  # new at every step

    def test_ends_where_the_observation_does(self):
        env = LagrangianEnv("DoublePendulum", observation_noise=1e3, **COARSE)
        observation, _ = env.reset(seed=0)
        assert env.observation_space.contains(observation)
        assert np.abs(observation).max() == pytest.approx(20.0)


class TestDelay:
    def test_equals_earlier_actions_without_delay(self):
        """Zeros first, then what was asked for d steps before; the reward is of what acts."""
        late = LagrangianEnv("DoublePendulum", action_delay=3, **COARSE)
        prompt = LagrangianEnv("DoublePendulum", **COARSE)
        moves = actions(12)
        for env in (late, prompt):
            env.reset(seed=1)
        shifted = np.concatenate([np.zeros((3, 2), np.float32), moves[:-3]])
        for ours, theirs in zip(run(late, moves), run(prompt, shifted), strict=True):
            np.testing.assert_allclose(ours[4]["state"], theirs[4]["state"], atol=1e-12)
            np.testing.assert_array_equal(ours[0], theirs[0])
            assert ours[1] == theirs[1]

    def test_a_reset_forgets_what_was_on_its_way(self):
        env = LagrangianEnv("DoublePendulum", action_delay=2, **COARSE)
        outcomes = []
        for before in (np.ones((4, 2)), np.zeros((4, 2))):
            env.reset(seed=3)
            run(env, before)
            env.reset(seed=5)
            outcomes.append(run(env, np.zeros((2, 2)))[-1][4]["state"])
        np.testing.assert_array_equal(*outcomes)


def episodes_alike(env, twin, moves):
    for ours, theirs in zip(run(env, moves), run(twin, moves), strict=True):
        np.testing.assert_array_equal(ours[0], theirs[0])
        np.testing.assert_array_equal(ours[4]["state"], theirs[4]["state"])


class TestCopies:
    def test_go_on_alike(self):
        env = LagrangianEnv("DoublePendulum", **BOTH)
        env.reset(seed=7)
        run(env, actions(5))
        twin = copy.deepcopy(env)
        episodes_alike(env, twin, actions(6, seed=1))
        np.testing.assert_array_equal(env.reset()[0], twin.reset()[0])

    def test_a_whole_state_set_again_and_simulated(self):
        """In float32, in which the numbers of a stream travel too."""
        env = LagrangianEnv("DoublePendulum", dtype="float32", **BOTH)
        env.reset(seed=7)
        run(env, actions(5))
        state, moves = env.get_state(full=True), actions(6, seed=1)
        imagined = env.simulate(state, moves)
        first = run(env, moves)
        env.set_state(state)
        again = run(env, moves)
        for k, (one, other) in enumerate(zip(first, again, strict=True)):
            np.testing.assert_array_equal(one[0], other[0])
            np.testing.assert_array_equal(one[4]["state"], other[4]["state"])
            np.testing.assert_allclose(imagined.observations[k + 1], one[0], atol=2e-5)
            np.testing.assert_allclose(imagined.states[k + 1], one[4]["state"], atol=2e-5)

    def test_a_vector_of_them(self):
        env = LagrangianVectorEnv("DoublePendulum", num_envs=2, **BOTH)
        env.reset(seed=7)
        moves = np.stack([actions(8), actions(8, seed=2)], axis=1)
        run(env, moves[:4])
        state = env.get_state(full=True)
        twin = pickle.loads(pickle.dumps(env))
        episodes_alike(env, twin, moves[4:])
        imagined = env.simulate(state, np.moveaxis(moves[4:], 0, 1))
        np.testing.assert_allclose(imagined.states[:, -1], env.get_state().x, atol=1e-9)

    def test_an_episode_of_other_sensors_or_motors(self):
        env, other = (LagrangianEnv("DoublePendulum", **how) for how in (BOTH, COARSE))
        env.reset(seed=0)
        other.reset(seed=0)
        with pytest.raises(ConfigurationError, match="action_delay = 2 and noisy sensors, the env"):
            other.simulate(env.get_state(full=True), actions(2))
        with pytest.raises(ConfigurationError, match="an episode of another kind"):
            other.set_state(env.get_state(full=True))


class TestParity:
    @pytest.mark.parametrize("mode", ["NEXT_STEP", "SAME_STEP"])
    def test_vector_equals_scalar(self, mode):
        """Under the same seeds, also where one of them resets."""
        how = {"max_episode_steps": 4, **BOTH}
        envs = gymnasium.vector.SyncVectorEnv(
            [lambda: gymnasium.make(ID, **how)] * 2,
            autoreset_mode=gymnasium.vector.AutoresetMode[mode],
        )
        batch = LagrangianVectorEnv("DoublePendulum", num_envs=2, autoreset_mode=mode, **how)
        firsts = envs.reset(seed=3)[0], batch.reset(seed=3)[0]
        np.testing.assert_allclose(*firsts, atol=1e-6)
        for move in np.stack([actions(10), actions(10, seed=2)], axis=1):
            ours, theirs = batch.step(move), envs.step(move)
            for one, other in zip(ours[:4], theirs[:4], strict=True):
                np.testing.assert_allclose(one, other, atol=1e-6)
            np.testing.assert_allclose(ours[4]["state"], theirs[4]["state"], atol=1e-9)

    def test_functional_equals_scalar(self):
        env = LagrangianEnv("DoublePendulum", dtype="float32", **BOTH)
        first, _ = env.reset(seed=3)
        pure, params = functional.make("DoublePendulum", **BOTH)
        state = jax.tree.map(jnp.asarray, env.functional_state)
        np.testing.assert_allclose(pure.observe(state, params).observation, first, atol=1e-5)
        step = jax.jit(pure.step)
        for move in actions(6):
            state, timestep = step(None, state, move, params)
            observation, reward, *_ = env.step(move)
            np.testing.assert_allclose(timestep.observation, observation, atol=1e-4)
            assert timestep.reward == pytest.approx(reward, abs=1e-4)

    def test_under_a_learned_model(self, lnn_checkpoint):
        """The same noise and delay, whether the id's, or a model put into the environment."""
        own = gymnasium.make(ID, checkpoint=lnn_checkpoint, **BOTH)
        put = LearnedDynamicsEnv(gymnasium.make(ID, **BOTH), lnn_checkpoint, **COARSE)
        np.testing.assert_array_equal(own.reset(seed=2)[0], put.reset(seed=2)[0])
        for ours, theirs in zip(run(own, actions(5)), run(put, actions(5)), strict=True):
            np.testing.assert_allclose(ours[0], theirs[0], atol=1e-6)

    def test_by_make_and_make_vec(self):
        env = gymnasium.make(ID, **BOTH)
        vector = gymnasium.make_vec(ID, 2, vectorization_mode="vector_entry_point", **BOTH)
        seen, _ = env.reset(seed=5)
        batch, _ = vector.reset(seed=5)
        np.testing.assert_array_equal(seen, batch[0])
        assert env.unwrapped.functional[0].action_delay == 2
        remade = gymnasium.make(gymnasium.envs.registration.EnvSpec.from_json(env.spec.to_json()))
        np.testing.assert_array_equal(remade.reset(seed=5)[0], seen)


BAD = [
    (
        {"observation_noise": -0.1},
        r"observation_noise = -0\.1: expected one standard deviation ≥ 0",
    ),
    ({"observation_noise": (0.1, 0.2)}, r"or 4: of theta1, theta2 and then of their velocities"),
    ({"observation_noise": float("nan")}, "observation_noise = nan: expected one standard"),
    ({"observation_noise": "much"}, "observation_noise = 'much': expected one standard"),
    ({"action_delay": -1}, "action_delay = -1: expected a whole number of at least 0"),
    ({"action_delay": 1.5}, r"action_delay = 1\.5: expected a whole number"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_bad_input(arguments, message):
    for make in (LagrangianEnv, LagrangianVectorEnv, functional.make):
        with pytest.raises(ConfigurationError, match=message):
            make("DoublePendulum", **arguments)
