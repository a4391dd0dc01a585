"""Environments that hide their state, recorded by what they observe."""

import gymnasium
import numpy as np
import pytest
from adapter_helpers import HAS_MUJOCO
from stranger.hoist import Hoist

from gym_lagrangian import Coordinates, LagrangianEnv, collect
from gym_lagrangian.adapters import adapter_for
from gym_lagrangian.errors import ConfigurationError

LOAD = Coordinates(("height",), usage={"dt": 0.02}, name="Hoist")


def test_an_observation_that_is_the_state():
    data = collect(Hoist(), 30, coordinates=LOAD)
    np.testing.assert_allclose(data.next_q, data.q + data.dt * data.next_qd, atol=1e-12)
    np.testing.assert_array_equal(data.tau, data.columns["action"])
    np.testing.assert_array_equal(data.columns["observation"], np.hstack([data.q, data.qd]))


def test_functions_say_what_it_means():
    """Gymnasium's Acrobot by its observations is Acrobot by its adapter."""
    moved = Coordinates(("a", "b"), angular=True, usage={"dt": 0.2})
    how = {
        "state": lambda seen: (np.arctan2(seen[[1, 3]], seen[[0, 2]]), seen[4:]),
        "force": lambda action: [0.0, action - 1.0],
    }
    hidden = collect("Acrobot-v1", 40, coordinates=moved, **how)
    known = collect("Acrobot-v1", 40)
    np.testing.assert_allclose(hidden.q, known.q, atol=1e-6)
    np.testing.assert_allclose(hidden.next_qd, known.next_qd, atol=1e-5)
    np.testing.assert_array_equal(hidden.tau, known.tau)


def test_motors_take_the_components_of_an_action_in_their_order():
    pole = Coordinates(("x", "theta"), usage={"dt": 0.02, "actuated": ("x",)})
    env = gymnasium.make("InvertedPendulum-v5") if HAS_MUJOCO else pytest.skip("no mujoco")
    data = collect(env, 10, coordinates=pole)
    np.testing.assert_array_equal(data.tau[:, 0], data.columns["action"][:, 0])
    assert not data.tau[:, 1].any()


@pytest.mark.parametrize(
    "name",
    ["Pendulum-v1", "CartPole-v1", "Acrobot-v1", "MountainCarContinuous-v0"]
    + ["InvertedPendulum-v5", "InvertedDoublePendulum-v4", "Reacher-v5"] * HAS_MUJOCO,
)
def test_adapters_know_the_state_that_an_observation_shows(name):
    env = gymnasium.make(name)
    adapter, (seen, _) = adapter_for(env), env.reset(seed=0)
    for _ in range(20):
        q, qd = adapter.state_of(env.unwrapped, seen)
        own_q, own_qd = adapter.state(env.unwrapped)
        np.testing.assert_allclose(np.sin(q), np.sin(own_q), atol=1e-6)
        np.testing.assert_allclose(np.cos(q), np.cos(own_q), atol=1e-6)
        shown = np.isfinite(qd)
        np.testing.assert_allclose(np.asarray(qd)[shown], np.asarray(own_qd)[shown], atol=1e-5)
        assert np.all(np.abs(own_qd)[~shown] >= 10.0)  # where InvertedDoublePendulum clips
        seen, *_ = env.step(env.action_space.sample())


@pytest.mark.parametrize(
    "name", ["DoublePendulum", "RelativisticParticle", "RameshReacher", "PilcoCartPole", "Kepler"]
)
def test_tasks_know_the_state_that_an_observation_shows(name):
    env: LagrangianEnv = gymnasium.make(f"gym_lagrangian:{name}-v0").unwrapped
    seen, _ = env.reset(seed=1)
    x = np.asarray(env.get_state())
    q, qd = env.task.state_of(seen)
    angular = np.array(env.coordinates.angular)
    np.testing.assert_allclose(
        np.where(angular, np.sin(q), q),
        np.where(angular, np.sin(x[: len(q)]), x[: len(q)]),
        atol=1e-5,
    )
    np.testing.assert_allclose(qd, x[len(q) :], atol=1e-5)


class TestRefusals:
    def test_dt_that_nobody_states(self):
        with pytest.raises(ConfigurationError, match="how long a step takes"):
            collect("CartPole-v1", 5, coordinates=Coordinates(("x", "theta")))

    def test_observations_and_actions_of_another_length(self):
        two = Coordinates(("x", "y"), usage={"dt": 0.02})
        with pytest.raises(
            ConfigurationError, match=r"observation has shape \(2,\), expected \(4,"
        ):
            collect(Hoist(), 5, coordinates=two)
        with pytest.raises(ConfigurationError, match=r"force has shape \(2,\), expected \(1,"):
            collect(Hoist(), 5, coordinates=LOAD, force=lambda action: [0.0, 0.0])
        with pytest.raises(ConfigurationError, match="not numbers"):
            collect(Hoist(), 5, coordinates=LOAD, force=lambda action: "up")

    def test_functions_without_coordinates(self):
        with pytest.raises(ConfigurationError, match="only with the coordinates"):
            collect("CartPole-v1", 5, state=lambda seen: (seen, seen))

    def test_a_vector_environment(self):
        with pytest.raises(ConfigurationError, match="only with a single environment"):
            collect(gymnasium.make_vec("CartPole-v1", 2), 5, coordinates=LOAD)
