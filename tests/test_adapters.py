"""Other people's environments, moved by models: classic control, and one from outside."""

import pickle

import gymnasium
import jax.numpy as jnp
import numpy as np
import pytest
from adapter_helpers import Motion, Nowhere, Stated, Still, actions_of, assert_same_outcome, retrace
from gymnasium.utils.env_checker import check_env
from stranger.hoist import Hoist, HoistAdapter

from gym_lagrangian import LearnedDynamicsEnv, register_adapter
from gym_lagrangian.adapters import adapter_for
from gym_lagrangian.errors import CheckpointError, ConfigurationError
from gym_lagrangian.models.embedding import Embedding

CLASSIC = ("Pendulum-v1", "CartPole-v1", "Acrobot-v1", "MountainCarContinuous-v0")


def make(name):
    return gymnasium.make(name, disable_env_checker=True) if name != "Hoist" else Hoist()


def adapter_of(env):
    return HoistAdapter() if isinstance(env, Hoist) else adapter_for(env)


def moved_by(env, motion, **options):
    """The environment under a stated motion."""
    adapter = adapter_of(env)
    model = Stated(Embedding.of(adapter.coordinates(env.unwrapped)), motion)
    return LearnedDynamicsEnv(env, model, adapter=adapter, **options)


def still_outcome(name, action, before):
    """What a step hands out that leads to where it began, computed from the state by hand."""
    x, v = before
    if name == "Pendulum-v1":
        u = np.clip(action, -2, 2)[0]
        angle = np.arctan2(np.sin(x[0]), np.cos(x[0]))
        reward = -(angle**2 + 0.1 * v[0] ** 2 + 0.001 * u**2)
        return [np.cos(x[0]), np.sin(x[0]), v[0]], reward, False
    if name == "CartPole-v1":
        fallen = abs(x[0]) > 2.4 or abs(x[1]) > 12 * np.pi / 180
        return [x[0], v[0], x[1], v[1]], 1.0, fallen
    if name == "Acrobot-v1":
        up = -np.cos(x[0]) - np.cos(x[0] + x[1]) > 1
        angles = [np.cos(x[0]), np.sin(x[0]), np.cos(x[1]), np.sin(x[1])]
        return [*angles, *v], 0.0 if up else -1.0, up
    if name == "MountainCarContinuous-v0":
        return [x[0], v[0]], -0.1 * action[0] ** 2, False
    return [x[0], v[0]], -abs(x[0]), abs(x[0]) > 2


class TestEveryAdapter:
    @pytest.mark.parametrize("name", [*CLASSIC, "Hoist"])
    def test_the_true_next_states_give_the_true_trajectory(self, name):
        """10³ random steps, episode after episode: observation, reward and flags are equal."""
        assert retrace(lambda: make(name), adapter_of(make(name)), 1000) > 1

    @pytest.mark.parametrize("name", [*CLASSIC, "Hoist"])
    def test_a_model_that_stands_still(self, name):
        """Nothing that is handed out comes from the true next state."""
        env = moved_by(make(name), Still())
        first, _ = env.reset(seed=1)
        before = [np.array(part) for part in adapter_of(env.unwrapped).state(env.unwrapped)]
        for action in actions_of(env, 30):
            outcome = env.step(action)
            assert_same_outcome(outcome, (*still_outcome(name, action, before), False), atol=1e-6)
            np.testing.assert_allclose(outcome[0], first, atol=1e-6)
        after = adapter_of(env.unwrapped).state(env.unwrapped)
        np.testing.assert_allclose(after, before, atol=1e-7)

    @pytest.mark.parametrize("name", [*CLASSIC, "Hoist"])
    def test_a_force_is_what_moves_the_environment(self, name):
        """Two steps from one state differ in velocity in the direction of the difference of their
        forces, as a positive mass matrix demands.
        """
        env = make(name)
        adapter, base = adapter_of(env.unwrapped), env.unwrapped
        env.reset(seed=3)
        q, qd = (np.array(part) for part in adapter.state(base))
        choices = [0, 1, 2][: env.action_space.n] if hasattr(env.action_space, "n") else None
        choices = choices or [np.array([a], np.float32) for a in (-0.5, 0.0, 0.25, 0.5)]
        power = []
        for action in choices:
            adapter.set_state(base, q, qd)
            tau = np.array(adapter.generalized_force(base, action))
            base.step(action)
            power.append((tau, np.array(adapter.state(base)[1])))
        (tau_0, v_0), *others = power
        for tau, v in others:
            assert (tau - tau_0) @ (v - v_0) > 0

    @pytest.mark.parametrize("name", [*CLASSIC, "Hoist"])
    def test_states_are_set_as_they_are_read(self, name):
        env = make(name)
        adapter, base = adapter_of(env.unwrapped), env.unwrapped
        env.reset(seed=0)
        q, qd = (np.array(part) + 0.01 for part in adapter.state(base))
        adapter.set_state(base, q, qd)
        np.testing.assert_allclose(adapter.state(base), (q, qd), atol=1e-7)

    @pytest.mark.parametrize("name", [*CLASSIC, "Hoist"])
    @pytest.mark.filterwarnings("ignore::UserWarning")
    def test_gymnasium_finds_nothing_wrong(self, name):
        env = moved_by(make(name), Still())
        check_env(env, skip_render_check=True)


class EulerPendulum(Motion):
    """The map of Pendulum-v1."""

    def step(self, state, tau, m, dt):
        theta, speed = state
        speed = speed + (15.0 * jnp.sin(theta) + 3.0 * tau[0]) * dt
        speed = jnp.clip(speed, -8.0, 8.0)
        return jnp.stack([theta + speed * dt, speed])


class TestOracle:
    def test_the_whole_of_pendulum(self):
        """Through wrappers, time limit and all: the pendulum's own episode."""
        env, truth = moved_by(make("Pendulum-v1"), EulerPendulum()), make("Pendulum-v1")
        np.testing.assert_array_equal(env.reset(seed=5)[0], truth.reset(seed=5)[0])
        for action in actions_of(truth, 200):
            exact = np.round(64 * action) / 64  # Gymnasium multiplies in float32
            found, expected = env.step(exact), truth.step(exact)
            assert_same_outcome(found, expected, atol=1e-6)
        assert found[3]

    def test_the_time_limit_of_the_wrapper_below(self):
        env = moved_by(gymnasium.make("Pendulum-v1", max_episode_steps=3), Still())
        env.reset(seed=0)
        action = np.zeros(1, np.float32)
        assert [env.step(action)[3] for _ in range(3)] == [False, False, True]

    def test_info_of_reset_and_step_have_the_same_entries(self):
        env = moved_by(make("Acrobot-v1"), Still())
        expected = {"diverged": False, "disturbed": False}
        assert (env.reset(seed=0)[1], env.step(0)[-1]) == (expected, expected)

    def test_statistics_of_wrappers_above(self):
        env = gymnasium.make("CartPole-v1", max_episode_steps=7)
        env = gymnasium.wrappers.RecordEpisodeStatistics(moved_by(env, Still()))
        env.reset(seed=0)
        for _ in range(7):
            *_, info = env.step(1)
        assert (info["episode"]["l"], info["episode"]["r"]) == (7, 7.0)

    def test_films_of_wrappers_above(self, tmp_path):
        pytest.importorskip("moviepy")
        env = moved_by(gymnasium.make("Pendulum-v1", render_mode="rgb_array"), Still())
        env = gymnasium.wrappers.RecordVideo(env, str(tmp_path), video_length=4)
        env.reset(seed=0)
        for _ in range(5):
            env.step(np.zeros(1, np.float32))
        env.close()
        assert [path.suffix for path in tmp_path.iterdir()] == [".mp4"]

    def test_pictures_are_the_environments_own(self):
        env = moved_by(gymnasium.make("Pendulum-v1", render_mode="rgb_array"), Still())
        env.reset(seed=0)
        picture = env.render()
        env.step(np.array([0.0], np.float32))
        assert picture.shape == (500, 500, 3)
        env.unwrapped.last_u = None
        np.testing.assert_array_equal(env.render(), picture)


class TestGivingBack:
    def test_its_own_motion(self):
        env, truth = make("Pendulum-v1"), make("Pendulum-v1")
        learned = moved_by(env, Still())
        assert learned.unwrap() is env
        env.reset(seed=0)
        truth.reset(seed=0)
        action = np.ones(1, np.float32)
        assert_same_outcome(env.step(action), truth.step(action))
        learned = moved_by(env, Still())
        learned.close()
        learned.close()
        assert "step" not in vars(env.unwrapped)

    def test_pickle_keeps_the_model(self):
        env = moved_by(make("CartPole-v1"), Still())
        first, _ = env.reset(seed=0)
        twin = pickle.loads(pickle.dumps(env))
        np.testing.assert_array_equal(twin.step(1)[0], first)
        twin.unwrap().step(1)
        assert not np.array_equal(twin.unwrapped.state, env.unwrapped.state)


class TestRefusals:
    def test_no_adapter_shows_how_to_write_one(self):
        model = Stated(Embedding.of(HoistAdapter().coordinates(Hoist())), Still())
        with pytest.raises(ConfigurationError) as refusal:
            LearnedDynamicsEnv(Hoist(), model)
        assert "class MyAdapter(gym_lagrangian.Adapter)" in str(refusal.value)
        assert "register_adapter('stranger.hoist:Hoist', MyAdapter)" in str(refusal.value)

    def test_registered_by_class_or_by_name(self, monkeypatch):
        monkeypatch.setattr("gym_lagrangian.adapters.registry._ADAPTERS", {})

        class Heavy(Hoist):
            """A subclass has the adapter of its base."""

        register_adapter(Hoist, HoistAdapter)
        assert isinstance(adapter_for(Heavy()), HoistAdapter)
        register_adapter("stranger.hoist:Hoist", "stranger.hoist:HoistAdapter")
        assert isinstance(adapter_for(Heavy()), HoistAdapter)

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ((3, HoistAdapter), "env = 3: expected a class"),
            ((Hoist, 3), "adapter = 3: expected an Adapter"),
            ((Hoist, Hoist), "expected an Adapter"),
        ],
    )
    def test_what_is_no_adapter(self, given, message):
        with pytest.raises(ConfigurationError, match=message):
            register_adapter(*given)

    def test_a_model_of_another_environment(self):
        adapter = HoistAdapter()
        model = Stated(Embedding.of(adapter.coordinates(Hoist())), Still())
        with pytest.raises(CheckpointError, match="model of Hoist, this is Pendulum-v1"):
            LearnedDynamicsEnv(make("Pendulum-v1"), model)

    def test_an_environment_that_a_model_moves_already(self):
        env = moved_by(make("Pendulum-v1"), Still())
        with pytest.raises(ConfigurationError, match="moved by something else already"):
            moved_by(env, Still())

    def test_before_the_first_reset(self):
        env = moved_by(make("CartPole-v1").unwrapped, Still())
        with pytest.raises(ConfigurationError, match="was the environment reset"):
            env.step(1)

    def test_an_adapter_that_returns_something_else(self):
        class Odd(HoistAdapter):
            def generalized_force(self, env, action):
                return [1.0, 2.0]

        model = Stated(Embedding.of(HoistAdapter().coordinates(Hoist())), Still())
        env = LearnedDynamicsEnv(Hoist(), model, adapter=Odd())
        env.reset(seed=0)
        with pytest.raises(ConfigurationError, match=r"Odd.generalized_force has shape \(2,\)"):
            env.step(np.zeros(1, np.float32))

    def test_a_prediction_that_is_not_finite_ends_the_episode_where_it_was(self):
        env = moved_by(make("Acrobot-v1"), Nowhere())
        before, _ = env.reset(seed=0)
        observation, _, terminated, truncated, info = env.step(2)
        assert (terminated, truncated, info["diverged"]) == (False, True, True)
        np.testing.assert_array_equal(observation, before)

    def test_simulate_needs_a_reward(self):
        env = moved_by(make("Pendulum-v1"), Still())
        with pytest.raises(ConfigurationError, match="simulate needs the reward"):
            env.simulate(np.zeros(2), np.zeros((3, 1)))

    def test_a_noisy_acrobot(self):
        env = moved_by(make("Acrobot-v1"), Still())
        env.unwrapped.torque_noise_max = 0.1
        env.reset(seed=0)
        with pytest.raises(ConfigurationError, match=r"torque_noise_max = 0\.1"):
            env.step(0)
