"""Simulations beside an environment, against stepping it."""

import functools

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_compilation import compilations

from gym_lagrangian import EnvState, LearnedDynamicsEnv, Task, functional
from gym_lagrangian.errors import CheckpointError, ConfigurationError

DRAWN = {"m1": (0.5, 2.0)}
# A true id, and a learned one of each kind of dynamics: an acceleration, momenta, a step.
IDS = ["DoublePendulum-v0", "DoublePendulumLNN-v0", "DoublePendulumHNN-v0", "DoublePendulumMLP-v0"]
IDS += ["RelativisticParticle-v0", "RelativisticParticleHNN-v0"]
TRUTH = "DoublePendulum-v0"
# Where the method is beside the point, one of four stages compiles in a third of the time.
QUICK = {"integrator": "rk4", "substeps": 2}


class Clocked(Task):
    """Rewards that tell the time, an end, and a goal."""

    goal = {"target": (1.0, 2.0)}  # noqa: RUF012 (as users write it)

    def reward(self, before, action, after):
        return after.t + 100.0 * after.goal[0]

    def terminated(self, state):
        return jnp.abs(state.q[0]) > 1.0


def make(env_id=TRUTH, **arguments):
    env = gymnasium.make(env_id, **arguments).unwrapped
    env.reset(seed=3)
    return env


def sequence(env, *shape, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (*shape, *env.action_space.shape))


def stepped(env, actions):
    """Observations, rewards, flags and states from stepping."""
    path = [env.step(action) for action in actions]
    observations, rewards, terminated, truncated, infos = zip(*path, strict=True)
    states = np.array([info["state"] for info in infos])
    return states, np.array(observations), np.array(rewards), terminated, truncated


def assert_steps(found, env, actions):
    """What was found equals stepping from the state in which the environment is."""
    start = env.get_state().x
    states, observations, rewards, terminated, truncated = stepped(env, actions)
    np.testing.assert_array_equal(found.states[0], start)
    np.testing.assert_allclose(found.states[1:], states, rtol=0, atol=1e-10)
    np.testing.assert_allclose(found.observations[1:], observations, rtol=0, atol=1e-6)
    np.testing.assert_allclose(found.rewards, rewards, rtol=0, atol=1e-10)
    np.testing.assert_array_equal(found.terminated, terminated)
    np.testing.assert_array_equal(found.truncated, truncated)


def one_of(found, i):
    return jax.tree.map(lambda rows: rows[i], found)


class TestBesideAnEnvironment:
    @pytest.mark.parametrize("env_id", IDS)
    def test_equals_stepping(self, env_id):
        env = make(env_id)
        actions = sequence(env, 30)
        found = env.simulate(env.get_state(), actions)
        assert found.states.shape == (31, 2 * env.coordinates.n)
        assert found.states.dtype == found.rewards.dtype == np.float64
        assert_steps(found, env, actions)

    @pytest.mark.parametrize("model", ["LNN", "MLP"])
    def test_of_a_learned_wrapper(self, model, make_checkpoint):
        path = make_checkpoint("DoublePendulum", model)
        env = LearnedDynamicsEnv(gymnasium.make(TRUTH), path)
        env.reset(seed=0)
        actions = sequence(env, 10)
        found = env.simulate(env.unwrapped.get_state(), actions)
        assert_steps(found, env.unwrapped, actions)

    def test_many_states_and_sequences(self):
        env = make(**QUICK)
        states = np.random.default_rng(1).uniform(-1, 1, (3, 4))
        actions = sequence(env, 3, 8)
        found = env.simulate(states, actions)
        assert found.states.shape == (3, 9, 4)
        assert found.rewards.shape == found.truncated.shape == (3, 8)
        for i in range(3):
            env.set_state(states[i])
            assert_steps(one_of(found, i), env, actions[i])
        shared, single = env.simulate(states, actions[1]), env.simulate(states[2], actions)
        for i in range(3):
            env.set_state(states[i])
            assert_steps(one_of(shared, i), env, actions[1])
            env.set_state(states[2])
            assert_steps(one_of(single, i), env, actions[i])

    def test_touches_nothing(self):
        env, twin = (make(**DRAWN, **QUICK) for _ in range(2))
        env.simulate(env.get_state(), sequence(env, 5), m1=1.0)
        assert_same = functools.partial(jax.tree.map, np.testing.assert_array_equal)
        assert_same(env.get_state(full=True), twin.get_state(full=True))
        assert_same(env.reset(), twin.reset())

    def test_before_the_first_reset(self):
        env = gymnasium.make(TRUTH).unwrapped
        actions = sequence(env, 5)
        found = env.simulate(np.zeros(4), actions)
        env.reset(options={"state": np.zeros(4)})
        assert_steps(found, env, actions)
        drawn = gymnasium.make(TRUTH, **DRAWN).unwrapped
        with pytest.raises(ConfigurationError, match=r"drawn at reset.*call reset\(\)"):
            drawn.simulate(np.zeros(4), actions)
        named = drawn.simulate(np.zeros(4), actions, m1=1.0)
        np.testing.assert_array_equal(named.states, found.states)

    def test_masses_of_the_episode_or_of_the_state_or_by_name(self):
        env = make(**DRAWN, **QUICK)
        actions, x = sequence(env, 10), np.array([1.0, 0.5, 0.0, 0.0])
        env.set_state(x)
        assert_steps(env.simulate(x, actions), env, actions)
        m = np.array([1.7, 1.0, 1.0, 1.0, 9.8])
        other = EnvState(x, m, np.zeros(0))
        found = env.simulate(other, actions)
        named = env.simulate(x, actions, m1=1.7)
        np.testing.assert_array_equal(found.states, named.states)
        env.set_state(other)
        assert_steps(found, env, actions)

    def test_a_mass_for_each(self):
        env = make(**QUICK)
        masses, actions, x = np.array([0.5, 1.0, 2.0]), sequence(env, 6), np.ones(4)
        found = env.simulate(x, actions, m1=masses, l2=0.8)
        assert found.states.shape == (3, 7, 4)
        for i, mass in enumerate(masses):
            alone = make(m1=float(mass), l2=0.8, **QUICK)
            alone.set_state(x)
            assert_steps(one_of(found, i), alone, actions)

    def test_in_float32(self):
        env = make(dtype="float32")
        actions = sequence(env, 5)
        found = env.simulate(env.get_state(), actions)
        np.testing.assert_allclose(found.states[1:], stepped(env, actions)[0], atol=1e-4)
        assert found.states.dtype == np.float64

    def test_a_state_that_leaves_its_range_is_held_and_flagged(self):
        env = make(omega_max=5.0)
        x = np.array([[np.pi / 2, np.pi / 2, -4.9, -4.9], [0.0, 0.0, 0.0, 0.0]])
        actions = np.zeros((6, 2))
        found = env.simulate(x, actions)
        np.testing.assert_array_equal(found.truncated, [[True] * 6, [False] * 6])
        np.testing.assert_array_equal(found.states[0], [x[0]] * 7)
        env.set_state(x[0])
        *_, rewards, _, truncated = stepped(env, actions[:1])
        assert truncated == (True,)
        assert found.rewards[0, 0] == pytest.approx(rewards[0])
        np.testing.assert_array_equal(found.rewards[0, 1:], 0.0)

    def test_clock_goal_and_termination(self):
        env = make(task=Clocked, **QUICK)
        stepped(env, sequence(env, 3))
        actions = sequence(env, 4)
        named = env.simulate(env.get_state(), actions, target=1.5)
        np.testing.assert_allclose(named.rewards, 150.0 + 0.05 * np.arange(1, 5))
        clock = env.simulate(env.get_state(full=True), actions)
        assert_steps(clock, env, actions)
        fast = np.array([0.9, 0.0, 4.0, 0.0])
        ended = env.simulate([EnvState(fast, *env.get_state()[1:])] * 2, actions)
        np.testing.assert_array_equal(ended.terminated, np.ones((2, 4), bool))
        assert abs(ended.states[0, 1, 0]) > 1.0
        np.testing.assert_array_equal(ended.states[0, 2:], ended.states[0, [1, 1, 1]])
        np.testing.assert_array_equal(ended.rewards[:, 1:], 0.0)

    def test_a_clock_with_a_mass_for_each(self):
        env = make(task=Clocked, **QUICK)
        stepped(env, sequence(env, 3))
        found = env.simulate(env.get_state(full=True), np.zeros((2, 2)), target=np.array([1.0, 2]))
        np.testing.assert_allclose(found.rewards, [[100.2, 100.25], [200.2, 200.25]])

    def test_a_thousand_compile_once(self):
        env = make()
        states = np.random.default_rng(0).uniform(-1, 1, (1024, 4))
        env.simulate(states, sequence(env, 1024, 100))
        again = make(m1=1.3)
        with compilations() as found:
            result = again.simulate(states[::-1], sequence(env, 1024, 100, seed=1), m1=1.4)
        assert not found
        assert result.states.shape == (1024, 101, 4)


def make_vec(env_id=TRUTH, num_envs=3, **arguments):
    env = gymnasium.make_vec(env_id, num_envs=num_envs, **arguments).unwrapped
    env.reset(seed=3)
    return env


class TestBesideAVectorEnvironment:
    @pytest.mark.parametrize("env_id", ["DoublePendulum-v0", "DoublePendulumLNN-v0"])
    def test_equals_stepping(self, env_id):
        env = make_vec(env_id)
        actions = np.random.default_rng(0).uniform(-1, 1, (3, 20, 2))
        found = env.simulate(env.get_state(), actions)
        assert found.states.shape == (3, 21, 4)
        path = [env.step(actions[:, t]) for t in range(20)]
        for t, (observation, reward, terminated, truncated, info) in enumerate(path):
            np.testing.assert_allclose(found.states[:, t + 1], info["state"], rtol=0, atol=1e-10)
            np.testing.assert_allclose(found.rewards[:, t], reward, rtol=0, atol=1e-10)
            np.testing.assert_allclose(found.observations[:, t + 1], observation, atol=1e-6)
            np.testing.assert_array_equal(found.terminated[:, t], terminated)
            np.testing.assert_array_equal(found.truncated[:, t], truncated)

    @pytest.mark.parametrize(
        "masses", [(0.5, 2.0), np.array([0.6, 1.0, 1.7])], ids=["drawn", "each"]
    )
    def test_a_bare_state_has_the_masses_of_the_sub_environments(self, masses):
        env = make_vec(m1=masses, **QUICK)
        actions = np.random.default_rng(0).uniform(-1, 1, (8, 2))
        x = np.array([1.0, 0.5, 0.0, 0.0])
        found = env.simulate(x, actions)
        assert found.states.shape == (3, 9, 4)
        env.set_state(x)
        for t, action in enumerate(actions):
            *_, info = env.step(np.tile(action, (3, 1)))
            np.testing.assert_allclose(found.states[:, t + 1], info["state"], rtol=0, atol=1e-10)
        assert np.ptp(found.states[:, -1], axis=0).max() > 1e-3

    def test_what_has_ended_is_held(self):
        """Where stepping begins a new episode."""
        env = make_vec(task=Clocked, autoreset_mode="SAME_STEP", **QUICK)
        now = env.get_state()
        now.x[1] = [0.9, 0.0, 4.0, 0.0]
        env.set_state(now)
        found = env.simulate(env.get_state(full=True), np.zeros((4, 2)))
        *_, terminated, _, _ = env.step(np.zeros((3, 2)))
        np.testing.assert_array_equal(found.terminated[:, 0], terminated)
        np.testing.assert_array_equal(found.terminated[1], True)
        assert not found.terminated[[0, 2]].any()
        np.testing.assert_array_equal(found.states[1, 2:], found.states[1, [1, 1, 1]])

    def test_touches_nothing(self):
        env, twin = (make_vec(**DRAWN, **QUICK) for _ in range(2))
        env.simulate(env.get_state(), np.zeros((5, 2)), m1=1.0)
        assert_same = functools.partial(jax.tree.map, np.testing.assert_array_equal)
        assert_same(env.get_state(full=True), twin.get_state(full=True))
        assert_same(env.reset(), twin.reset())

    def test_before_the_first_reset(self):
        actions = np.zeros((2, 2))
        env = gymnasium.make_vec(TRUTH, num_envs=2, m1=np.array([0.5, 1.5])).unwrapped
        found = env.simulate(np.ones(4), actions)
        assert found.states.shape == (2, 3, 4)
        drawn = gymnasium.make_vec(TRUTH, num_envs=2, **DRAWN).unwrapped
        with pytest.raises(ConfigurationError, match=r"drawn at reset.*call reset\(\)"):
            drawn.simulate(np.ones(4), actions)
        again = drawn.simulate(np.ones(4), actions, m1=np.array([0.5, 1.5]))
        np.testing.assert_array_equal(again.states, found.states)

    @pytest.mark.parametrize(
        ("state", "actions", "parameters", "message"),
        [
            (np.zeros(4), np.zeros((3, 1)), {}, r"actions have shape \(3, 1\)"),
            (np.zeros((2, 4)), np.zeros((3, 2)), {}, "2 of states, 3 of m"),
            (np.zeros(4), np.zeros((5, 3, 2)), {}, "3 of m, .*5 of actions"),
            (np.zeros(4), np.zeros((3, 2)), {"m3": 1.0}, "no parameter 'm3'"),
            (np.full(4, np.nan), np.zeros((3, 2)), {}, "is not finite"),
        ],
    )
    def test_what_makes_no_sense(self, state, actions, parameters, message):
        with pytest.raises(ConfigurationError, match=message):
            make_vec().simulate(state, actions, **parameters)

    def test_masses_at_which_the_model_was_not_trained(self):
        with pytest.raises(CheckpointError, match=r"trained at m1 = 1\.0, not 1\.4"):
            make_vec("DoublePendulumLNN-v0").simulate(np.zeros(4), np.zeros((3, 2)), m1=1.4)


@pytest.fixture(scope="module")
def pendulum():
    return make()


class TestRefusals:
    @pytest.mark.parametrize(
        ("state", "actions", "parameters", "message"),
        [
            (np.zeros(4), np.zeros((3, 2)), {"m3": 1.0}, "no parameter 'm3'; it has m1, m2, l1"),
            (np.zeros(4), np.zeros((3, 2)), {"m1": -1.0}, "m1 = .*expected a positive number"),
            (np.zeros(4), np.zeros((3, 2)), {"m1": np.nan}, "m1 = nan is not finite"),
            (np.zeros(4), np.zeros((3, 2)), {"m1": "heavy"}, "m1 = 'heavy': expected a number"),
            (np.zeros(4), np.zeros((3, 2)), {"m1": np.ones((2, 2))}, r"m1 has shape \(2, 2\)"),
            (np.zeros(4), np.zeros(2), {}, r"actions have shape \(2,\), expected \(T, 2\)"),
            (np.zeros(4), np.zeros((3, 1)), {}, r"actions have shape \(3, 1\)"),
            (np.zeros(4), np.zeros((0, 2)), {}, r"actions have shape \(0, 2\)"),
            (np.zeros(4), [np.zeros((2, 2)), np.zeros((3, 2))], {}, "actions of unlike lengths"),
            (np.zeros(4), np.full((3, 2), np.nan), {}, "is not finite"),
            (np.zeros((3, 4)), np.zeros((2, 5, 2)), {}, "3 of states, 2 of actions"),
            (np.zeros((3, 4)), np.zeros((5, 2)), {"m1": np.ones(2)}, "3 of states, 2 of m1"),
            (np.zeros(3), np.zeros((3, 2)), {}, r"state has shape \(3,\), expected \(4,\)"),
            (np.zeros((0, 4)), np.zeros((3, 2)), {}, "no states at all: expected at least one"),
            (np.full(4, np.inf), np.zeros((3, 2)), {}, "is not finite"),
            (np.full((2, 4), np.nan), np.zeros((3, 2)), {}, "is not finite"),
            (np.full(4, 99.0), np.zeros((3, 2)), {}, "outside the range of DoublePendulum"),
            ("upright", np.zeros((3, 2)), {}, "expected numbers"),
        ],
    )
    def test_what_makes_no_sense(self, pendulum, state, actions, parameters, message):
        with pytest.raises(ConfigurationError, match=message):
            pendulum.simulate(state, actions, **parameters)

    def test_masses_at_which_the_model_was_not_trained(self, lnn_checkpoint):
        env = LearnedDynamicsEnv(gymnasium.make(TRUTH), lnn_checkpoint)
        for one in (env, make(checkpoint=lnn_checkpoint)):
            with pytest.raises(CheckpointError, match=r"trained at m1 = 1\.0, not 1\.4"):
                one.simulate(np.zeros(4), np.zeros((3, 2)), m1=1.4)


@pytest.fixture(scope="module")
def pure():
    env, params = functional.make("DoublePendulum", **QUICK)
    key = jax.random.key(0)
    keys = jax.random.split(key, 3)
    return env, params, env.reset(key, params)[0], jax.vmap(lambda k: env.reset(k, params)[0])(keys)


class TestPure:
    def test_a_policy_follows_what_it_observes(self, pure):
        env, params, state, _ = pure

        def policy(observation):
            return -0.1 * observation[-2:]

        found = functional.simulate(env, params, state, policy, steps=12)
        actions = jax.vmap(policy)(found.observations[:-1])
        expected = functional.simulate(env, params, state, actions)
        np.testing.assert_allclose(found.states, expected.states, atol=1e-5)
        assert np.abs(actions).max() > 0

    def test_branches_equal_steps(self, pure):
        env, params, _, states = pure
        actions = jnp.full((3, 6, 2), jnp.array([0.3, -0.2])) * jnp.arange(1, 4)[:, None, None]
        found = jax.jit(functools.partial(functional.simulate, env))(params, states, actions)
        step = jax.jit(lambda state, action: env.step(None, state, action, params))
        for i in range(3):
            state = jax.tree.map(lambda leaf, i=i: leaf[i], states)
            for t in range(6):
                state, timestep = step(state, actions[i, t])
                np.testing.assert_allclose(found.states[i, t + 1], state.x, atol=1e-5)
                np.testing.assert_allclose(found.rewards[i, t], timestep.reward, atol=1e-5)

    def test_many_starts_under_one_policy(self, pure):
        env, params, _, states = pure
        found = functional.simulate(env, params, states, lambda _: jnp.zeros(2), steps=4)
        assert found.states.shape == (3, 5, 4)
        np.testing.assert_array_equal(found.states[:, 0], states.x)

    def test_gradients_of_the_rewards(self, pure):
        env, params, state, _ = pure

        def total(actions):
            return functional.simulate(env, params, state, actions).rewards.sum()

        slope = jax.grad(total)(jnp.full((5, 2), 0.1))
        assert np.isfinite(slope).all()
        assert np.abs(slope).max() > 0

    def test_a_start_that_is_not_finite_is_flagged(self, pure):
        """Within a jitted function failure is data."""
        env, params, state, _ = pure
        broken = state._replace(x=jnp.full(4, jnp.nan))
        assert functional.simulate(env, params, broken, jnp.zeros((3, 2))).truncated.all()

    @pytest.mark.parametrize(
        ("changes", "actions", "steps", "message"),
        [
            ({}, np.zeros((3, 1)), None, r"actions have shape \(3, 1\)"),
            ({}, np.zeros(2), None, r"actions have shape \(2,\)"),
            ({}, np.zeros((3, 2)), 3, "only for a policy"),
            ({}, lambda _: jnp.zeros(1), 3, r"policy's action has shape \(1,\), expected \(2,\)"),
            ({}, lambda _: jnp.zeros(2), None, "steps = None: expected a whole number"),
            ({"x": np.zeros(3, np.float32)}, np.zeros((3, 2)), None, r"shapes \(3,\)"),
            (
                {"x": np.zeros((2, 4), np.float32)},
                np.zeros((3, 2)),
                None,
                r"shapes \(2, 4\), \(5,\)",
            ),
        ],
    )
    def test_refusals(self, pure, changes, actions, steps, message):
        env, params, state, _ = pure
        with pytest.raises(ConfigurationError, match=message):
            functional.simulate(env, params, state._replace(**changes), actions, steps=steps)

    def test_unlike_batches(self, pure):
        env, params, _, states = pure
        with pytest.raises(ConfigurationError, match="3 states and 2 sequences"):
            functional.simulate(env, params, states, jnp.zeros((2, 4, 2)))
