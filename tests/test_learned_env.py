"""`LearnedDynamicsEnv`: a trained model in the place of an environment's own dynamics."""

import pickle

import gymnasium
import jax
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec

from gym_lagrangian import LearnedDynamicsEnv, checkpoints
from gym_lagrangian.errors import CheckpointError, ConfigurationError, GymLagrangianError

TRUTH = "DoublePendulum-v0"


@pytest.fixture(scope="module")
def other_checkpoint(make_checkpoint) -> str:
    """The structure of `lnn_checkpoint` with other weights."""
    return make_checkpoint("DoublePendulum", "LNN", seed=1)


@pytest.fixture(scope="module")
def particle_checkpoint(make_checkpoint) -> str:
    return make_checkpoint("RelativisticParticle", "LNN")


@pytest.fixture(scope="module")
def compilations():
    """A function that says how many programs XLA has compiled so far."""
    finished = []

    def listen(event: str, duration: float, **_) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            finished.append(duration)

    jax.monitoring.register_event_duration_secs_listener(listen)
    return lambda: len(finished)


def follow(env, *, seed=3, steps=5) -> np.ndarray:
    """Observation and reward of some steps under actions drawn with the same seed."""
    actions = np.random.default_rng(seed).uniform(-1, 1, (steps, *env.action_space.shape))
    rows = [[*env.reset(seed=seed)[0], 0.0]]
    for action in actions:
        observation, reward, *_ = env.step(action.astype(np.float32))
        rows.append([*observation, reward])
    return np.array(rows)


def reward_of(x) -> float:
    """The double pendulum's reward of a state, as its documentation states it."""
    q, qd = x[:2], x[2:]
    height = 0.5 - 0.25 * np.cos(q).sum()
    offset = np.arctan2(-np.sin(q), -np.cos(q))
    held = np.exp(-(offset**2).sum() / (2 * 0.5**2) - (qd**2).sum() / (2 * 2.0**2))
    return 0.5 * height + 0.5 * held


class TestWhatChanges:
    @pytest.mark.parametrize("given", ["path", "checkpoint", "model"])
    def test_steps_as_the_environment_made_with_the_checkpoint(self, lnn_checkpoint, given):
        loaded = checkpoints.load(lnn_checkpoint)
        model = {"path": lnn_checkpoint, "checkpoint": loaded, "model": loaded.model}[given]
        expected = follow(gymnasium.make(TRUTH, checkpoint=lnn_checkpoint))
        found = follow(LearnedDynamicsEnv(gymnasium.make(TRUTH), model))
        np.testing.assert_array_equal(found, expected)
        assert np.abs(found - follow(gymnasium.make(TRUTH))).max() > 0.01

    def test_baseline(self, baseline_checkpoint):
        expected = follow(gymnasium.make(TRUTH, checkpoint=baseline_checkpoint))
        env = LearnedDynamicsEnv(gymnasium.make(TRUTH), baseline_checkpoint)
        np.testing.assert_array_equal(follow(env), expected)

    def test_particle_conditioned_on_its_potential(self, particle_checkpoint):
        env = LearnedDynamicsEnv(
            gymnasium.make("RelativisticParticle-v0"), particle_checkpoint, integrator="rk4"
        )
        _, info = env.reset(seed=0)
        assert "model_energy" in info
        observation, reward, *_ = env.step(np.zeros(1, np.float32))
        assert observation in env.observation_space
        assert 0 <= reward <= 1

    def test_model_energy_appears_in_info(self, lnn_checkpoint):
        env = gymnasium.make(TRUTH)
        assert "model_energy" not in env.reset(seed=0)[1]
        learned = LearnedDynamicsEnv(env, lnn_checkpoint)
        _, info = learned.reset(seed=0)
        assert "model_energy" in info
        # The true energy of the state stays beside it.
        assert info["energy"] == pytest.approx(-29.4, abs=0.5)

    def test_set_model_from_the_next_step_on(self, lnn_checkpoint, other_checkpoint):
        env = LearnedDynamicsEnv(gymnasium.make(TRUTH), lnn_checkpoint)
        expected = follow(LearnedDynamicsEnv(gymnasium.make(TRUTH), other_checkpoint))
        before = follow(env)
        env.set_model(other_checkpoint)
        np.testing.assert_array_equal(follow(env), expected)
        env.set_model(lnn_checkpoint)
        np.testing.assert_array_equal(follow(env), before)
        assert np.abs(before - expected).max() > 1e-5

    def test_an_episode_goes_on_under_the_model(self, lnn_checkpoint):
        """Swapped in the middle of an episode: same state, clock and picture, new motion."""
        env = gymnasium.make(TRUTH, render_mode="rgb_array")
        start, action = np.array([1.0, -0.5, 0.3, 0.2]), np.ones(2, np.float32)
        env.reset(seed=0, options={"state": start})
        env.step(action)
        x = env.unwrapped.get_state()
        learned = LearnedDynamicsEnv(env, lnn_checkpoint)
        np.testing.assert_array_equal(env.unwrapped.get_state(), x)
        assert learned.render().shape == (500, 500, 3)
        *_, info = learned.step(action)
        assert info["time"] == pytest.approx(0.1)
        found = info["state"]
        learned.reset(options={"state": x})
        np.testing.assert_array_equal(learned.step(action)[-1]["state"], found)

    def test_integrator_and_substeps_are_arguments(self, lnn_checkpoint):
        coarse = {"integrator": "rk4", "substeps": 1}
        env = LearnedDynamicsEnv(gymnasium.make(TRUTH), lnn_checkpoint, **coarse)
        expected = follow(gymnasium.make(TRUTH, checkpoint=lnn_checkpoint, **coarse))
        np.testing.assert_array_equal(follow(env), expected)


class TestWhatStays:
    def test_spaces_metadata_and_dt(self, lnn_checkpoint):
        env = gymnasium.make(TRUTH, actuated="elbow", omega_max=7.0, dt=0.02)
        learned = LearnedDynamicsEnv(env, lnn_checkpoint)
        assert learned.observation_space == env.observation_space
        assert learned.observation_space.high[-1] == 7.0
        assert learned.action_space.shape == (1,)
        assert learned.metadata["render_fps"] == 50
        assert learned.unwrapped.dt == 0.02
        assert learned.unwrapped is env.unwrapped

    def test_seeding(self, lnn_checkpoint):
        env, learned = gymnasium.make(TRUTH), gymnasium.make(TRUTH)
        learned = LearnedDynamicsEnv(learned, lnn_checkpoint)
        for seed in (3, None, 2**32 + 3, None):
            np.testing.assert_array_equal(learned.reset(seed=seed)[0], env.reset(seed=seed)[0])

    def test_reward_of_the_state_reached(self, lnn_checkpoint):
        env = LearnedDynamicsEnv(gymnasium.make(TRUTH), lnn_checkpoint)
        env.reset(options={"state": [3.0, -3.3, 0.1, 0.2]})
        for _ in range(10):
            _, reward, _, _, info = env.step(np.ones(2, np.float32))
            assert reward == pytest.approx(reward_of(info["state"]), rel=1e-9)

    def test_wrappers_below(self, lnn_checkpoint):
        env = LearnedDynamicsEnv(gymnasium.make(TRUTH, max_episode_steps=3), lnn_checkpoint)
        action = np.zeros(2, np.float32)
        with pytest.raises(gymnasium.error.ResetNeeded):
            env.step(action)
        env.reset(seed=0)
        assert [env.step(action)[3] for _ in range(3)] == [False, False, True]

    def test_unwrapped_environment_will_do(self, lnn_checkpoint):
        env = LearnedDynamicsEnv(gymnasium.make(TRUTH).unwrapped, lnn_checkpoint)
        expected = follow(LearnedDynamicsEnv(gymnasium.make(TRUTH), lnn_checkpoint))
        np.testing.assert_array_equal(follow(env), expected)

    def test_spec_makes_the_same_again(self, lnn_checkpoint):
        env = LearnedDynamicsEnv(gymnasium.make(TRUTH), lnn_checkpoint)
        twin = gymnasium.make(EnvSpec.from_json(env.spec.to_json()))
        assert isinstance(twin, LearnedDynamicsEnv)
        np.testing.assert_array_equal(follow(twin), follow(env))

    def test_pickle_keeps_the_model(self, lnn_checkpoint):
        env = LearnedDynamicsEnv(gymnasium.make(TRUTH), lnn_checkpoint)
        expected = follow(env)
        twin = pickle.loads(pickle.dumps(env))
        np.testing.assert_array_equal(follow(twin), expected)

    def test_non_finite_model_ends_the_episode_with_the_last_state(self, lnn_checkpoint):
        broken = jax.tree.map(lambda leaf: leaf * np.nan, checkpoints.load(lnn_checkpoint).model)
        env = LearnedDynamicsEnv(gymnasium.make(TRUTH), broken)
        before, _ = env.reset(seed=0)
        observation, reward, terminated, truncated, info = env.step(np.ones(2, np.float32))
        assert (terminated, truncated, info["diverged"]) == (False, True, True)
        np.testing.assert_array_equal(observation, before)
        assert np.isfinite([reward, info["energy"], info["energy_drift"]]).all()


class TestGivingBack:
    def test_close(self, lnn_checkpoint):
        env = gymnasium.make(TRUTH)
        expected = follow(env)
        learned = LearnedDynamicsEnv(env, lnn_checkpoint)
        assert np.abs(follow(learned) - expected).max() > 0.01
        learned.close()
        learned.close()
        np.testing.assert_array_equal(follow(env), expected)

    def test_unwrap(self, lnn_checkpoint):
        env = gymnasium.make(TRUTH)
        expected = follow(env)
        learned = LearnedDynamicsEnv(env, lnn_checkpoint)
        follow(learned)
        assert learned.unwrap() is env
        np.testing.assert_array_equal(follow(env), expected)
        assert "model_energy" not in env.reset()[1]

    def test_of_a_learned_environment_its_own_model(self, lnn_checkpoint, other_checkpoint):
        env = gymnasium.make(TRUTH, checkpoint=lnn_checkpoint)
        expected = follow(env)
        with LearnedDynamicsEnv(env, other_checkpoint) as learned:
            assert np.abs(follow(learned) - expected).max() > 1e-5
        np.testing.assert_array_equal(follow(env), expected)

    def test_a_refused_model_changes_nothing(self, lnn_checkpoint, particle_checkpoint):
        env = gymnasium.make(TRUTH)
        expected = follow(env)
        with pytest.raises(CheckpointError):
            LearnedDynamicsEnv(env, particle_checkpoint)
        np.testing.assert_array_equal(follow(env), expected)
        learned = LearnedDynamicsEnv(env, lnn_checkpoint)
        expected = follow(learned)
        with pytest.raises(CheckpointError):
            learned.set_model(particle_checkpoint)
        np.testing.assert_array_equal(follow(learned), expected)


@pytest.mark.usefixtures("types_unchecked")
class TestRefusals:
    def test_foreign_environment(self, lnn_checkpoint):
        env = gymnasium.make("FrozenLake-v1")
        with pytest.raises(ConfigurationError, match=r"FrozenLake.*not an environment of gym_lag"):
            LearnedDynamicsEnv(env, lnn_checkpoint)

    def test_other_coordinates_of_a_foreign_environment(self, lnn_checkpoint):
        with pytest.raises(CheckpointError, match=r"model of DoublePendulum, this is CartPole-v1"):
            LearnedDynamicsEnv(gymnasium.make("CartPole-v1"), lnn_checkpoint)

    @pytest.mark.parametrize("given", ["path", "checkpoint", "model"])
    def test_model_of_another_system(self, particle_checkpoint, given):
        loaded = checkpoints.load(particle_checkpoint)
        model = {"path": particle_checkpoint, "checkpoint": loaded, "model": loaded.model}[given]
        with pytest.raises(
            CheckpointError, match="model of RelativisticParticle, this is DoublePendulum"
        ):
            LearnedDynamicsEnv(gymnasium.make(TRUTH), model)

    @pytest.mark.parametrize("m1", [2.0, (0.5, 2.0)])
    def test_parameters_it_was_not_trained_at(self, lnn_checkpoint, m1):
        env = gymnasium.make(TRUTH, m1=m1)
        with pytest.raises(CheckpointError, match=r"trained at m1 = 1\.0, not .*2\.0.*m1"):
            LearnedDynamicsEnv(env, lnn_checkpoint)

    def test_other_lagrangian(self, particle_checkpoint):
        env = gymnasium.make("RelativisticParticle-v0", lagrangian="special_relativity")
        with pytest.raises(CheckpointError, match="'paper', not 'special_relativity'"):
            LearnedDynamicsEnv(env, particle_checkpoint)

    def test_task_options_are_free(self, lnn_checkpoint):
        env = gymnasium.make(TRUTH, torque_max=3.0, actuated="shoulder", omega_max=9.0)
        LearnedDynamicsEnv(env, lnn_checkpoint)

    @pytest.mark.parametrize(
        ("model", "message"),
        [
            (None, "model = None: expected a Model, a Checkpoint"),
            (3, "model = 3: expected a Model, a Checkpoint"),
            ("NoSuchModel", "no checkpoint 'NoSuchModel'"),
            ("nowhere/model.safetensors", r"no checkpoint 'nowhere/model\.safetensors'"),
        ],
    )
    def test_no_model(self, model, message):
        with pytest.raises(GymLagrangianError, match=message):
            LearnedDynamicsEnv(gymnasium.make(TRUTH), model)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"integrator": "euler"}, "integrator = 'euler': choose one of rk4"),
            ({"substeps": 0}, "substeps = 0: expected a whole number of at least 1"),
            ({"substeps": 1.5}, r"substeps = 1\.5: expected a whole number"),
        ],
    )
    def test_integration(self, lnn_checkpoint, arguments, message):
        with pytest.raises(ConfigurationError, match=message):
            LearnedDynamicsEnv(gymnasium.make(TRUTH), lnn_checkpoint, **arguments)


class TestRecompilation:
    @staticmethod
    def exercise(env, seed):
        env.reset(seed=seed)
        env.step(np.ones(2, np.float32))
        env.unwrapped.set_state(np.full(4, 0.1))
        return env.step(np.ones(2, np.float32))[-1]["state"]

    def test_the_counter_counts(self, compilations):
        before = compilations()
        jax.jit(lambda x: x * np.pi + before)(np.ones(7, np.float32))
        assert compilations() > before

    def test_weights_instances_resets_and_seeds(
        self, compilations, lnn_checkpoint, other_checkpoint
    ):
        env = LearnedDynamicsEnv(gymnasium.make(TRUTH), lnn_checkpoint)
        reached = [self.exercise(env, seed=0)]
        before = compilations()
        reached.append(self.exercise(env, seed=1))
        env.set_model(other_checkpoint)
        reached.append(self.exercise(env, seed=2))
        fresh = LearnedDynamicsEnv(gymnasium.make(TRUTH), other_checkpoint)
        reached.append(self.exercise(fresh, seed=2**40))
        made = gymnasium.make(TRUTH, checkpoint=lnn_checkpoint)
        reached.append(self.exercise(made, seed=0))
        assert compilations() == before
        # The same weights from the same state reach the same; others do not.
        np.testing.assert_array_equal(reached[0], reached[1])
        np.testing.assert_array_equal(reached[2], reached[3])
        np.testing.assert_array_equal(reached[0], reached[4])
        assert not np.array_equal(reached[0], reached[2])

    def test_parameters_dt_and_ranges(self, compilations):
        self.exercise(gymnasium.make(TRUTH), seed=0)
        before = compilations()
        self.exercise(gymnasium.make(TRUTH, m1=2.0, l2=(0.5, 1.0), dt=0.049), seed=1)
        assert compilations() == before


def test_the_specification_holds_the_model_itself(lnn_checkpoint):
    """And no copy, which may be large."""
    model = checkpoints.load(lnn_checkpoint).model
    env = LearnedDynamicsEnv(gymnasium.make(TRUTH), model)
    assert env.spec.additional_wrappers[-1].kwargs["model"] is model
    env.close()
