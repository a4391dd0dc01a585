"""Minari data sets: written while recording, and read as transitions."""

from unittest import mock

import gymnasium
import numpy as np
import pytest
from gymnasium.wrappers import FrameStackObservation
from stranger.hoist import Hoist, HoistAdapter

from gym_lagrangian import collect, read_minari
from gym_lagrangian.errors import ConfigurationError, DataError

minari = pytest.importorskip("minari")
pytest.importorskip("h5py")

OURS = "gym_lagrangian:DoublePendulum-v0"


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))


@pytest.mark.parametrize("name", ["Acrobot-v1", "InvertedDoublePendulum-v5", OURS])
def test_what_was_recorded_is_what_is_read(name):
    if name.startswith("Inverted"):
        pytest.importorskip("mujoco")
    recorded = collect(name, 60, episode_steps=25, minari="testing/here-v0")
    read = read_minari("testing/here-v0")
    turned, angular = read.q - recorded.q, read.coordinates.angular
    np.testing.assert_allclose(np.where(angular, np.sin(turned / 2), turned), 0, atol=1e-6)
    np.testing.assert_allclose(read.qd, recorded.qd, atol=1e-5)
    np.testing.assert_allclose(read.tau, recorded.tau, atol=1e-5)
    np.testing.assert_array_equal(read.episode, recorded.episode)
    for column, values in recorded.columns.items():  # Minari ends the last episode
        np.testing.assert_allclose(read.columns[column][:-1], values[:-1], atol=1e-6)
    assert read.dt == recorded.dt


def test_a_data_set_recovers_its_environment():
    """As a training loop uses it: the environment, and episodes with what it handed out."""
    collect("CartPole-v1", 40, minari="testing/here-v0")
    dataset = minari.load_dataset("testing/here-v0")
    env = dataset.recover_environment()
    episode = next(dataset.iterate_episodes())
    assert env.observation_space.contains(episode.observations[0])
    assert len(episode.observations) == len(episode.actions) + 1
    assert dataset.total_steps >= 40


def test_the_same_seed_is_the_same_data_set():
    ids = ("testing/here-v0", "testing/here-v1")
    first, second = (collect("CartPole-v1", 60, seed=4, minari=name) for name in ids)
    np.testing.assert_array_equal(first.q, second.q)
    assert len(set(first.episode)) > 1, "a single episode: nothing is shown"


def test_a_write_that_is_interrupted_leaves_no_data_set():
    interrupted = mock.patch("shutil.move", side_effect=KeyboardInterrupt)
    with interrupted, pytest.raises(KeyboardInterrupt):
        collect("CartPole-v1", 5, minari="testing/here-v0")
    assert not minari.list_local_datasets()
    collect("CartPole-v1", 5, minari="testing/here-v0")
    assert list(minari.list_local_datasets()) == ["testing/here-v0"]


def test_steps_that_a_lagrangian_has_no_word_for_are_left_out():
    """A pendulum so fast that its velocity is clipped."""
    fast = {"x_init": np.pi, "y_init": 16.0}
    with pytest.warns(UserWarning, match="steps were not free"):
        recorded = collect("Pendulum-v1", 20, options=fast, episode_steps=10, minari="testing/p-v0")
    assert len(read_minari("testing/p-v0", disturbed=True)) > len(recorded) == 20


class TestRefusals:
    def test_there_is_one_already(self):
        collect("CartPole-v1", 5, minari="testing/here-v0")
        with pytest.raises(ConfigurationError, match="such a data set already"):
            collect("CartPole-v1", 5, minari="testing/here-v0")

    @pytest.mark.parametrize("name", ["here", "testing/here", "-v0"])
    def test_no_id(self, name):
        with pytest.raises(ConfigurationError, match="pendulum/random-v0"):
            collect("CartPole-v1", 5, minari=name)

    def test_no_such_data_set(self):
        with pytest.raises(ConfigurationError, match="no such Minari data set"):
            read_minari("testing/nowhere-v0")

    def test_an_environment_that_nobody_can_make_again(self):
        with pytest.raises(ConfigurationError, match="has no spec"):
            collect(Hoist(), 5, adapter=HoistAdapter, minari="testing/here-v0")

    def test_a_vector_environment(self):
        with pytest.raises(ConfigurationError, match="only with a single environment"):
            collect(gymnasium.make_vec("CartPole-v1", 2), 5, minari="testing/here-v0")

    def test_observations_that_a_wrapper_has_changed(self):
        stacked = FrameStackObservation(gymnasium.make("CartPole-v1"), 2)
        collector = minari.DataCollector(stacked)
        collector.reset(seed=0)
        collector.step(0)
        with pytest.warns(UserWarning, match="author"):
            dataset = collector.create_dataset("testing/pairs-v0")
        with pytest.raises(DataError, match="wrappers changed them"):
            read_minari(dataset)

    def test_an_adapter_without_an_inverse(self):
        with pytest.raises(ConfigurationError, match=r"HoistAdapter\.state_of"):
            HoistAdapter().state_of(Hoist(), [0.0, 0.0])
