"""Transitions of other people's environments, and models fitted to them."""

import functools

import gymnasium
import numpy as np
import pytest
from adapter_helpers import Stated, Still
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv
from gymnasium.wrappers import RescaleAction
from gymnasium.wrappers.vector import TransformReward
from stranger.hoist import Hoist, HoistAdapter

from gym_lagrangian import (
    Coordinates,
    FitConfig,
    LearnedDynamicsEnv,
    Transitions,
    collect,
    fit,
)
from gym_lagrangian.adapters import adapter_for
from gym_lagrangian.errors import CheckpointError, ConfigurationError, DataError
from gym_lagrangian.models.embedding import Embedding
from gym_lagrangian.systems.machines import GymnasiumAcrobot

CLASSIC = ("Pendulum-v1", "CartPole-v1", "Acrobot-v1", "MountainCarContinuous-v0")
BRIEF = FitConfig(steps=300, batch=32, chunk=50, learning_rate=1e-2, horizon=2, warmup=10)
SMALL_MODEL = {"width": 16, "depth": 2}


@pytest.fixture(scope="module")
def pendulum():
    """Gentle motion, which is clipped nowhere."""
    return collect("Pendulum-v1", 400, episode_steps=8, options={"y_init": 4.0}, seed=1)


def euler_error(data):
    """What the equations of Gymnasium's own pendulum miss of every row."""
    speed = data.qd + 0.05 * (15.0 * np.sin(data.q) + 3.0 * data.tau)
    return np.abs([data.next_qd - speed, data.next_q - data.q - 0.05 * speed]).max()


def test_rows_are_the_steps_of_the_environment(pendulum):
    assert euler_error(pendulum) < 1e-6  # which it makes in float32 in part
    assert (len(pendulum), pendulum.dt, pendulum.forced) == (400, 0.05, True)
    lengths = np.bincount(pendulum.episode)
    assert lengths.max() == 8
    assert np.median(lengths) == 8
    assert pendulum.coordinates.coordinates == ("theta",)
    assert pendulum.m[0].tolist() == [10.0, 1.0, 1.0]


@pytest.mark.parametrize("name", CLASSIC)
def test_the_same_seed_records_the_same(name):
    one, two, other = (collect(name, 60, seed=seed) for seed in (0, 0, 1))
    for key, array in one.arrays.items():
        np.testing.assert_array_equal(array, two.arrays[key])
    assert not np.array_equal(one.q, other.q)
    env = gymnasium.make(name).unwrapped
    assert one.dt == adapter_for(env).dt(env)


def test_forces_are_clipped_and_rescaled_as_the_environment_does():
    env = gymnasium.make("Pendulum-v1", disable_env_checker=True)
    env = RescaleAction(env, np.float32(-10.0), np.float32(10.0))
    data = collect(env, 50, policy=lambda _: np.array([4.0], np.float32))
    np.testing.assert_allclose(data.tau, 0.8, rtol=1e-6)
    wild = gymnasium.make("Pendulum-v1", disable_env_checker=True)
    assert collect(wild, 20, policy=lambda _: np.array([9.0])).tau.max() == 2.0


def test_an_environment_is_left_as_it_was():
    env = gymnasium.make("CartPole-v1")
    collect(env, 20)
    assert "step" not in vars(env.unwrapped)
    with pytest.raises(RuntimeError, match="stop"):
        collect(env, 20, on_progress=lambda _: (_ for _ in ()).throw(RuntimeError("stop")))
    assert "step" not in vars(env.unwrapped)


def test_under_a_model_what_the_model_did_is_recorded():
    env = gymnasium.make("CartPole-v1")
    coordinates = adapter_for(env).coordinates(env.unwrapped)
    learned = LearnedDynamicsEnv(env, Stated(Embedding.of(coordinates), Still()))
    data = collect(learned, 20, episode_steps=5)
    np.testing.assert_array_equal(data.q, data.next_q)
    assert learned.step(1)[-1] == {"diverged": False, "disturbed": False}


class TestFreeSteps:
    def test_clipped_velocities_are_left_out(self):
        spin = {"policy": lambda o: np.array([2.0 * np.sign(o[2])])}
        with pytest.warns(UserWarning, match="steps were not free: .*clipped velocity"):
            free = collect("Pendulum-v1", 300, **spin)
        assert euler_error(free) < 1e-6
        with pytest.warns(UserWarning, match="steps were not free"):
            everything = collect("Pendulum-v1", 300, disturbed=True, **spin)
        assert euler_error(everything) > 0.01

    def test_nothing_to_learn_from(self):
        class Bumping(HoistAdapter):
            def watched(self, env, action):
                return super().watched(env, action)._replace(free=False)

        with pytest.raises(ConfigurationError, match="1000 steps, and not one to learn from"):
            collect(Hoist(), 10, adapter=Bumping(), episode_steps=50)

    def test_an_ordinary_recording_warns_of_nothing(self, recwarn):
        collect(Hoist(), 30, adapter=HoistAdapter, episode_steps=10)
        assert not [w for w in recwarn if "free" in str(w.message)]


class TestVector:
    def test_the_rows_of_each_stay_together(self):
        env = SyncVectorEnv([lambda: gymnasium.make("CartPole-v1")] * 3)
        data = collect(env, 100, seed=2)
        assert len(data) == 100
        assert np.median(np.bincount(data.episode)) > 5

    def test_each_records_what_it_would_alone(self):
        """The first environment has the seed of the whole, and there a single one begins as it."""
        push = {"seed": 5, "policy": lambda _: 1}
        alone = collect("CartPole-v1", 5, **push)
        env = SyncVectorEnv([lambda: gymnasium.make("CartPole-v1")] * 2)
        together = collect(env, 10, seed=5, policy=lambda _: np.ones(2, int))
        for name, array in alone.arrays.items():
            np.testing.assert_array_equal(together.arrays[name][:5], array)
        assert not np.array_equal(together.q[5:], alone.q)

    def test_what_it_cannot_do(self):
        env = SyncVectorEnv([lambda: gymnasium.make("CartPole-v1")])
        with pytest.raises(ConfigurationError, match="a vector environment resets itself"):
            collect(env, 10, episode_steps=5)

    def test_a_vector_environment_of_its_own_kind(self):
        env = gymnasium.make_vec("CartPole-v1", 2, vectorization_mode="vector_entry_point")
        with pytest.raises(ConfigurationError, match="expected an environment of gym_lag"):
            collect(env, 10)


class TestColumns:
    """What the environment was given and gave, beside the states."""

    def test_are_what_the_environment_hands_out(self):
        data = collect("CartPole-v1", 200, seed=3)
        seen = data.columns
        np.testing.assert_allclose(
            seen["observation"][:, [0, 2, 1, 3]], np.hstack([data.q, data.qd]), atol=1e-6
        )
        np.testing.assert_array_equal(seen["reward"], 1.0)
        np.testing.assert_array_equal(data.tau[:, 0], np.where(seen["action"] == 1, 10.0, -10.0))
        last = np.append(np.diff(data.episode) > 0, False)
        np.testing.assert_array_equal(seen["terminated"][:-1], last[:-1])
        np.testing.assert_array_equal(
            seen["next_observation"][:-1][~last[:-1]], seen["observation"][1:][~last[:-1]]
        )

    def test_a_time_limit_shows(self):
        data = collect(gymnasium.make("Pendulum-v1", max_episode_steps=7), 21, disturbed=True)
        assert np.flatnonzero(data.columns["truncated"]).tolist() == [6, 13, 20]
        assert not data.columns["terminated"].any()

    @pytest.mark.parametrize("vector", [False, True])
    def test_of_this_package_s_own(self, vector):
        env = (
            gymnasium.make_vec("gym_lagrangian:DoublePendulum-v0", 2)
            if vector
            else gymnasium.make("gym_lagrangian:DoublePendulum-v0", max_episode_steps=15)
        )
        data = collect(env, 40)
        theta1, theta2 = data.q.T
        expected = [np.cos(theta1), np.cos(theta2), np.sin(theta1), np.sin(theta2)]
        np.testing.assert_allclose(
            np.sort(data.columns["observation"][:, :4]), np.sort(np.stack(expected, 1)), atol=1e-5
        )
        assert data.columns["reward"].shape == (40,)
        assert data.columns["truncated"].sum() == (0 if vector else 2)

    def test_survive_files_and_selection(self, tmp_path):
        data = collect("CartPole-v1", 50, seed=3)
        data.save(tmp_path / "data.npz")
        loaded = Transitions.load(tmp_path / "data.npz")
        assert set(loaded.columns) == set(data.columns)
        for name, column in data.columns.items():
            np.testing.assert_array_equal(loaded.columns[name], column)
            np.testing.assert_array_equal(loaded.first(7).columns[name], column[:7])
            np.testing.assert_array_equal(loaded.noisy(0.1, 0).columns[name], column)

    def test_of_another_length_or_of_text_are_refused(self):
        few = {"q": np.zeros((3, 1)), "qd": np.zeros((3, 1))}
        few |= {"next_q": np.zeros((3, 1)), "next_qd": np.zeros((3, 1)), "dt": 0.1}
        for column in (np.zeros(2), np.array(["a", "b", "c"]), 1.0):
            with pytest.raises(DataError, match=r"column reward.*(3 rows of|finite) numbers"):
                Transitions(Coordinates(("x",)), columns={"reward": column}, **few)


@pytest.mark.parametrize("wrapped", [False, True])
def test_processes_of_their_own_record_what_this_one_does(wrapped):
    """The rows of each environment of an `AsyncVectorEnv` are those of the `SyncVectorEnv`."""
    make = [functools.partial(gymnasium.make, "CartPole-v1") for _ in range(2)]
    envs = SyncVectorEnv(make), AsyncVectorEnv(make, context="spawn")
    if wrapped:
        envs = tuple(TransformReward(env, np.negative) for env in envs)
    here, there = (collect(env, 150, seed=5) for env in envs)
    assert len(here) == len(there) == 150
    np.testing.assert_array_equal(here.q, there.q)
    np.testing.assert_array_equal(here.columns["terminated"], there.columns["terminated"])
    assert envs[1].reset(seed=0)[0].shape == (2, 4)  # it is still there, and its own again
    for env in envs:
        env.close()


class TestFit:
    @pytest.mark.filterwarnings("ignore::UserWarning")
    def test_a_pendulum_in_three_lines(self, pendulum, tmp_path):
        """A model that was learned moves its environment better than standing still does."""
        out = tmp_path / "pendulum.safetensors"
        fit(pendulum, "DeLaN", out=out, config=BRIEF, model_config=SMALL_MODEL)
        env, truth = (gymnasium.make("Pendulum-v1") for _ in range(2))
        env = LearnedDynamicsEnv(env, out)
        errors, changes = [], []
        for seed in range(40):
            first, _ = env.reset(seed=seed)
            truth.reset(seed=seed)
            action = np.array([seed % 3 - 1.0])
            found, expected = env.step(action), truth.step(action)
            assert found[1] == pytest.approx(expected[1], abs=1e-9)  # of the state before
            errors.append(abs(found[0] - expected[0]))
            changes.append(abs(first - expected[0]))
        assert np.mean(errors) < 0.2 * np.mean(changes)

    @pytest.mark.filterwarnings("ignore::UserWarning")
    def test_what_was_learned_at_other_parameters_is_refused(self, pendulum, tmp_path):
        out = tmp_path / "pendulum.safetensors"
        fit(
            pendulum, "LNN", out=out, config=FitConfig(steps=2, horizon=1), model_config=SMALL_MODEL
        )
        with pytest.raises(CheckpointError, match=r"trained at g = 10\.0, not 9\.81"):
            LearnedDynamicsEnv(gymnasium.make("Pendulum-v1", g=9.81), out)
        LearnedDynamicsEnv(gymnasium.make("Pendulum-v1"), out)
        with pytest.raises(CheckpointError, match="model of Pendulum-v1, this is CartPole-v1"):
            LearnedDynamicsEnv(gymnasium.make("CartPole-v1"), out)
        with pytest.raises(DataError, match=r"of Pendulum-v1 with .* not of GymnasiumAcrobot"):
            fit(pendulum, "LNN", system=GymnasiumAcrobot, out=out)

    @pytest.mark.filterwarnings("ignore::UserWarning")
    def test_a_step_that_was_learned_is_the_only_one(self, tmp_path):
        data, out = collect(Hoist(), 60, adapter=HoistAdapter), tmp_path / "hoist.safetensors"
        fit(data, "MLP", out=out, config=FitConfig(steps=2, horizon=1), model_config=SMALL_MODEL)
        slow = Hoist()
        slow.dt = 0.04
        LearnedDynamicsEnv(Hoist(), out, adapter=HoistAdapter)
        with pytest.raises(ConfigurationError, match=r"steps of 0\.02 s, not dt = 0\.04"):
            LearnedDynamicsEnv(slow, out, adapter=HoistAdapter)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_model_that_saw_no_force_moves_no_environment_with_actions(tmp_path):
    out = tmp_path / "falling.safetensors"
    data = collect(Hoist(), 40, adapter=HoistAdapter, policy=lambda _: np.zeros(1))
    fit(data, "Baseline", out=out, config=FitConfig(steps=2, horizon=1), model_config=SMALL_MODEL)
    with pytest.raises(CheckpointError, match="was learned without forces"):
        LearnedDynamicsEnv(Hoist(), out, adapter=HoistAdapter)


def test_the_physics_of_acrobot_is_that_of_the_packages_own():
    """An independent solver: recorded accelerations over a short step are those of
    `GymnasiumAcrobot` in the adapter's coordinates and forces.
    """
    system = GymnasiumAcrobot()
    env = gymnasium.make("Acrobot-v1").unwrapped
    env.dt = 1e-3
    data = collect(env, 100, episode_steps=100, options={"low": -1.0, "high": 1.0})
    m = system.parameter_bounds()[0]
    expected = [system.acceleration(*row, m) for row in zip(data.q, data.qd, data.tau, strict=True)]
    found = (data.next_qd - data.qd) / data.dt
    np.testing.assert_allclose(found, expected, atol=0.05)
