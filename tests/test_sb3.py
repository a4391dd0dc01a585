"""The adapter for Stable-Baselines3 against its own `DummyVecEnv`, and its learners on it."""

import gymnasium
import numpy as np
import pytest

WHY = 'needs Stable-Baselines3: pip install "gym-lagrangian[sb3]"'
pytest.importorskip("stable_baselines3", reason=WHY)

import torch
from adapter_helpers import Stated, Still
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.env_checker import check_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import (
    DummyVecEnv,
    VecFrameStack,
    VecMonitor,
    VecNormalize,
    VecVideoRecorder,
)
from stranger.systems import CartPole

from gym_lagrangian import LearnedDynamicsEnv
from gym_lagrangian.adapters import adapter_for
from gym_lagrangian.envs.sb3 import SB3VecEnv
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.models.embedding import Embedding

# Where accuracy is beside the point, a method of four stages compiles in a third of the time; and
# the same time limit everywhere compiles once.
QUICK = {"integrator": "rk4", "substeps": 1, "max_episode_steps": 17}
# Narrow ranges, so that some episodes diverge while others go on, and some end by time.
NARROW = {
    "DoublePendulumLNN-v0": {"omega_max": 2.0},
    "RelativisticParticle-v0": {"position_max": 5.01},
}


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """More would fight over cores with the other tests, and change sums in their last digits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def pendula(num_envs=3, **arguments) -> SB3VecEnv:
    return SB3VecEnv("DoublePendulum-v0", num_envs=num_envs, **{**QUICK, **arguments})


def follow(env, steps=5):
    """First observations, and the stream of steps under fixed actions."""
    actions = np.random.default_rng(0).uniform(-1, 1, (steps, env.num_envs, 2))
    return env.reset(), [env.step(a.astype(np.float32)) for a in actions]


class TestContract:
    @pytest.mark.parametrize("env_id", NARROW)
    def test_equals_dummy_vec_env_step_by_step(self, env_id):
        count, arguments = 4, {**QUICK, **NARROW[env_id]}
        ours = SB3VecEnv(env_id, num_envs=count, **arguments)
        theirs = DummyVecEnv([lambda: gymnasium.make(env_id, **arguments)] * count)
        assert ours.seed(7) == theirs.seed(7)
        np.testing.assert_array_equal(ours.reset(), theirs.reset())
        assert_same_infos(ours.reset_infos, theirs.reset_infos)
        assert ours.observation_space == theirs.observation_space
        assert ours.action_space == theirs.action_space
        rng = np.random.default_rng(0)
        partial = 0
        for _ in range(45):
            actions = rng.uniform(-1, 1, (count, *ours.action_space.shape)).astype(np.float32)
            observation, reward, done, infos = ours.step(actions)
            expected, expected_reward, expected_done, expected_infos = theirs.step(actions)
            np.testing.assert_allclose(observation, expected, atol=1e-6)
            np.testing.assert_allclose(reward, expected_reward, atol=1e-6)
            np.testing.assert_array_equal(done, expected_done)
            assert (observation.dtype, reward.dtype, done.dtype) == ("float32", "float32", bool)
            assert all(info == {} for info, end in zip(infos, done, strict=True) if not end)
            for info, other in zip(infos, expected_infos, strict=True):
                if info:
                    assert info.pop("is_success") == other["success"]
                    assert_same_infos([info], [other])
            assert_same_infos(ours.reset_infos, theirs.reset_infos)
            partial += 0 < done.sum() < count
        assert partial > 0, "some episodes must diverge while others go on"

    def test_divergence_is_a_truncation(self):
        env = pendula(2, omega_max=5.0)
        env.reset()
        calm, falling = [0.0, 0.0, 0.0, 0.0], [np.pi / 2, np.pi / 2, -4.9, -4.9]
        env.env_method("set_state", np.array([calm, falling]))
        _, _, done, infos = env.step(np.zeros((2, 2), np.float32))
        assert done.tolist() == [False, True]
        assert infos[1]["diverged"]
        assert infos[1]["TimeLimit.truncated"]
        assert not infos[1]["is_success"]

    def test_success_is_told_at_the_end(self):
        upright = np.array([np.pi, np.pi, 0.0, 0.0])
        env = pendula(2, g=0.0, max_episode_steps=60)  # without gravity it stays there
        env.set_options([{"state": upright}, {"state": 0.5 * upright}])
        env.reset()
        for _ in range(60):
            *_, infos = env.step(np.zeros((2, 2), np.float32))
        assert [info["is_success"] for info in infos] == [True, False]

    def test_seeds_hold_for_one_reset(self):
        one, two = pendula(), pendula()
        one.seed(3)
        two.seed(3)
        (first, steps), (other, other_steps) = follow(one), follow(two)
        np.testing.assert_array_equal(first, other)
        for a, b in zip(steps, other_steps, strict=True):
            for x, y in zip(a[:3], b[:3], strict=True):
                np.testing.assert_array_equal(x, y)
        assert not np.any(one.reset() == first)
        one.seed(4)
        assert not np.any(one.reset() == first)

    def test_options_hold_for_one_reset(self):
        env = pendula()
        env.set_options({"state": np.array([1.0, 2.0, 0.0, 0.0])})
        env.reset()
        np.testing.assert_array_equal(env.env_method("get_state"), [[1.0, 2.0, 0.0, 0.0]] * 3)
        env.set_options([{"low": x, "high": np.full(4, x)} for x in (0.1, 0.2, 0.3)])
        env.reset()
        np.testing.assert_allclose(env.env_method("get_state"), [[0.1] * 4, [0.2] * 4, [0.3] * 4])
        env.reset()
        assert np.all(np.abs(env.env_method("get_state")) <= 0.1)

    def test_what_is_handed_out_stays_as_it_was(self):
        env = pendula()
        first, steps = follow(env)
        kept = [first.copy(), *(step[0].copy() for step in steps)]
        env.step(np.ones((3, 2), np.float32))
        for one, two in zip([first, *(step[0] for step in steps)], kept, strict=True):
            np.testing.assert_array_equal(one, two)


def assert_same_infos(ours: list[dict], theirs: list[dict]) -> None:
    for one, two in zip(ours, theirs, strict=True):
        assert one.keys() == two.keys()
        for key, value in one.items():
            np.testing.assert_allclose(value, two[key], atol=1e-6, err_msg=key)


class TestWhatIsMade:
    """An id, a system of somebody else's, or a checkpoint of one's own."""

    def test_another_persons_system(self):
        arguments = {"task": "stranger.tasks:HoldStill", "g": (5.0, 15.0), **QUICK}
        by_name = SB3VecEnv("stranger.systems:CartPole", num_envs=3, **arguments)
        by_class = SB3VecEnv(CartPole, num_envs=3, **arguments)
        theirs = DummyVecEnv(
            [lambda: gymnasium.make("Lagrangian-v0", system=CartPole, **arguments)] * 3
        )
        streams = []
        for env in (by_name, by_class, theirs):
            env.seed(1)
            streams.append(follow(env))
        (first, steps), *others = streams
        for other, other_steps in others:
            np.testing.assert_allclose(first, other, atol=1e-6)
            np.testing.assert_allclose(steps[-1][0], other_steps[-1][0], atol=1e-5)
        assert steps[-1][1].max() < 0

    @pytest.mark.parametrize("what", ["DoublePendulum-v0", "DoublePendulum", None], ids=str)
    def test_a_checkpoint_of_ones_own(self, what, lnn_checkpoint):
        given = () if what is None else (what,)
        env = SB3VecEnv(*given, num_envs=2, checkpoint=lnn_checkpoint, **QUICK)
        assert env.get_attr("dynamics")[0].learned
        assert env.get_attr("system")[0].name == "DoublePendulum"
        env.reset()
        assert env.step(np.zeros((2, 2), np.float32))[0].shape == (2, 6)


class TestSubEnvironments:
    def test_get_attr(self):
        env = pendula(dt=0.02)
        assert env.get_attr("dt") == [0.02] * 3
        assert env.get_attr("dt", indices=[0, 2]) == [0.02] * 2
        assert env.get_attr("action_space", indices=1) == [env.action_space]
        assert env.has_attr("system")
        assert not env.has_attr("nonsense")
        assert env.env_is_wrapped(gymnasium.Wrapper) == [False] * 3

    def test_set_attr_swaps_the_dynamics(self):
        exact, learned = pendula(), SB3VecEnv("DoublePendulumLNN-v0", num_envs=3, **QUICK)
        learned.set_attr("dynamics", exact.get_attr("dynamics", indices=0)[0])
        exact.seed(0)
        learned.seed(0)
        (first, steps), (other, other_steps) = follow(exact), follow(learned)
        np.testing.assert_array_equal(first, other)
        np.testing.assert_array_equal(steps[-1][0], other_steps[-1][0])

    def test_env_method(self):
        env = pendula()
        env.reset()
        states = np.arange(12.0).reshape(3, 4) / 10
        assert env.env_method("set_state", states) == [None] * 3
        np.testing.assert_array_equal(env.env_method("get_state", indices=[2, 0]), states[[2, 0]])

    def test_states_travel_with_their_masses(self):
        env, other = pendula(m1=(0.5, 2.0)), pendula(m1=(0.5, 2.0))
        env.reset()
        other.reset()
        states = env.env_method("get_state")
        other.env_method("set_state", states)
        masses = [state.m for state in states]
        np.testing.assert_array_equal([one.m for one in other.env_method("get_state")], masses)
        other.set_options([{"state": state} for state in states])
        other.reset()
        np.testing.assert_array_equal([one.m for one in other.env_method("get_state")], masses)

    def test_pictures_are_tiled(self):
        env = pendula(render_mode="rgb_array", render_size=100)
        env.reset()
        assert [picture.shape for picture in env.get_images()] == [(100, 100, 3)] * 3
        assert env.render().shape == (200, 200, 3)
        env.close()

    def test_no_pictures_without_a_render_mode(self):
        env = pendula()
        env.reset()
        assert env.render_mode is None
        assert env.get_images() == [None] * 3


class TestWrappers:
    def test_monitor_counts_every_episode(self):
        env = VecMonitor(pendula(), info_keywords=("energy_drift",))
        _, steps = follow(env, 34)
        for t in (17, 34):
            episodes = [info["episode"] for info in steps[t - 1][3]]
            total = sum(step[1] for step in steps[t - 17 : t])
            np.testing.assert_allclose([episode["r"] for episode in episodes], total, atol=1e-5)
            assert [episode["l"] for episode in episodes] == [17] * 3
            assert all("energy_drift" in episode for episode in episodes)

    def test_normalisation_takes_the_last_observation_along(self):
        plain, env = pendula(), VecNormalize(pendula())
        plain.seed(0)
        env.seed(0)
        last, expected = (
            np.array([info["terminal_observation"] for info in follow(one, 17)[1][-1][3]])
            for one in (env, plain)
        )
        assert not np.allclose(last, expected, atol=0.1)
        np.testing.assert_allclose(env.unnormalize_obs(last), expected, atol=1e-4)

    def test_frames_are_stacked_within_an_episode(self):
        env = VecFrameStack(pendula(), 2)
        _, steps = follow(env, 17)
        last = steps[-1][3][0]["terminal_observation"]
        np.testing.assert_array_equal(last[:6], steps[-2][0][0][6:])
        np.testing.assert_array_equal(steps[-1][0][:, :6], 0.0)

    def test_video(self, tmp_path):
        pytest.importorskip("moviepy", reason="what VecVideoRecorder writes with")
        env = pendula(render_mode="rgb_array", render_size=100)
        env = VecVideoRecorder(env, str(tmp_path), lambda step: step == 0, video_length=3)
        follow(env)
        env.close()
        assert list(tmp_path.glob("*.mp4"))


class TestErrors:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"env": "CartPole-v1"}, "choose one of DoublePendulum-v0"),
            ({"env": "DoublePendulum-v0", "num_envs": 0}, "num_envs = 0"),
            ({"env": "DoublePendulum-v0", "autoreset_mode": "NEXT_STEP"}, 'mode="SAME_STEP"'),
            ({"env": "DoublePendulum-v0", "output": "jax"}, 'needs "numpy"'),
            ({"env": "DoublePendulum-v0", "massive": 1.0}, "massive"),
            ({"env": "stranger.systems:Acrobot"}, "no such name; it has .*CartPole"),
            ({}, "neither system nor checkpoint"),
        ],
    )
    def test_bad_arguments(self, arguments, message):
        with pytest.raises(ConfigurationError, match=message):
            SB3VecEnv(**arguments)

    def test_of_an_environment_that_is_there(self):
        kwargs = {"num_envs": 2, "vectorization_mode": "vector_entry_point", **QUICK}
        there = gymnasium.make_vec("DoublePendulum-v0", autoreset_mode="SAME_STEP", **kwargs)
        assert SB3VecEnv(there).num_envs == 2
        with pytest.raises(ConfigurationError, match="num_envs, dt: only for an id"):
            SB3VecEnv(there, num_envs=2, dt=0.02)
        with pytest.raises(ConfigurationError, match="NEXT_STEP: Stable-Baselines3 needs"):
            SB3VecEnv(gymnasium.make_vec("DoublePendulum-v0", **kwargs))
        with pytest.raises(ConfigurationError, match="expected an id or a LagrangianVectorEnv"):
            SB3VecEnv(gymnasium.make("DoublePendulum-v0", **QUICK))

    def test_of_what_the_sub_environments_share(self):
        env = pendula()
        env.reset()
        with pytest.raises(ConfigurationError, match=r"sub-environments \[1\] only"):
            env.set_attr("dynamics", None, indices=1)
        with pytest.raises(ConfigurationError, match=r"sub-environments \[0, 2\] only"):
            env.env_method("set_state", np.zeros(4), indices=[0, 2])
        with pytest.raises(ConfigurationError, match="offer get_state, set_state, render"):
            env.env_method("reset")

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ([{"state": np.zeros(4)}, {}], r"sub-environment 1 are \[\], of sub-environment 0"),
            ([{"state": np.zeros(4)}, {"state": np.zeros(3)}], "state"),
            ({"state": np.zeros(3)}, r"shape \(2, 3\)"),
        ],
    )
    def test_bad_options(self, options, message):
        env = pendula(2)
        env.set_options(options)
        with pytest.raises(ConfigurationError, match=message):
            env.reset()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("env_id", NARROW)
def test_their_check_env_warns_of_nothing(env_id):
    check_env(gymnasium.make(env_id).unwrapped)


def particles(num_envs: int) -> SB3VecEnv:
    return SB3VecEnv(
        "RelativisticParticle-v0",
        num_envs=num_envs,
        dtype="float32",
        integrator="rk4",
        substeps=1,
        max_episode_steps=200,
    )


def mean_return(model) -> float:
    """Over 32 episodes of 200 steps with a reward of at most 1 each, without noise."""
    env = VecMonitor(particles(32))
    env.seed(100)
    return float(evaluate_policy(model, env, n_eval_episodes=32)[0])


class TestLearning:
    """Random and zero forces reach a mean return of 22 to 27."""

    def test_ppo_learns(self):
        """Seeds 0, 1 and 2 reach 140, 140 and 132; before learning they have 27."""
        small = {"policy_kwargs": {"log_std_init": -0.5}, "device": "cpu", "seed": 0}
        batches = {"n_steps": 64, "batch_size": 256, "n_epochs": 10}
        rates = {"learning_rate": 2e-3, "gamma": 0.98}
        model = PPO("MlpPolicy", particles(32), **batches, **rates, **small)
        assert mean_return(model) < 40
        assert mean_return(model.learn(40_960)) > 110

    @pytest.mark.slow
    def test_sac_learns(self):
        """Seeds 0, 1 and 2 reach 107, 114 and 96; before learning they have 24, 22 and 20."""
        small = {"policy_kwargs": {"net_arch": [64, 64]}, "device": "cpu", "seed": 0}
        batches = {"learning_starts": 1_600, "gradient_steps": 8, "batch_size": 128}
        rates = {"learning_rate": 3e-3, "gamma": 0.97, "ent_coef": "auto_0.1"}
        model = SAC("MlpPolicy", particles(16), train_freq=1, **batches, **rates, **small)
        assert mean_return(model) < 40
        assert mean_return(model.learn(5_600)) > 70

    def test_a_policy_saved_and_loaded_acts_the_same(self, tmp_path):
        env = pendula(4)
        model = PPO("MlpPolicy", env, n_steps=16, batch_size=32, device="cpu", seed=0).learn(128)
        model.save(tmp_path / "policy")
        loaded = PPO.load(tmp_path / "policy", env=env, device="cpu")
        observations = np.array([env.observation_space.sample() for _ in range(100)])
        one, two = (m.predict(observations, deterministic=True)[0] for m in (model, loaded))
        np.testing.assert_array_equal(one, two)
        assert len(np.unique(one, axis=0)) > 90
        alone = gymnasium.make("DoublePendulum-v0", **QUICK)
        assert loaded.predict(alone.reset(seed=0)[0])[0].shape == (2,)
        loaded.learn(64)


def test_somebody_elses_environment_that_a_model_moves():
    """Stable-Baselines3 finds nothing wrong with it, and learns in it."""
    env = gymnasium.make("Pendulum-v1")
    model = Stated(Embedding.of(adapter_for(env).coordinates(env.unwrapped)), Still())
    moved = LearnedDynamicsEnv(env, model)
    check_env(moved)
    policy = PPO("MlpPolicy", moved, n_steps=64, batch_size=32, n_epochs=1, seed=0, device="cpu")
    policy.learn(128)
    start, _ = moved.reset(seed=0)
    after, *_ = moved.step(policy.predict(start)[0])
    np.testing.assert_array_equal(after, start)  # the model stands still
