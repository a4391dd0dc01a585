"""Every id, however many there are: Gymnasium's checker, a vector environment, a picture."""

import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from gym_lagrangian.registration import environments
from gym_lagrangian.rendering.colours import WHITE

IDS = [row.id for row in environments()]

# Where accuracy is beside the point, a method of four stages compiles in a third of the time.
QUICK = {"integrator": "rk4", "substeps": 1}


def checked(env_id, **options):
    """Gymnasium's checker says nothing of an environment."""
    env = gymnasium.make(env_id, **options).unwrapped
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "the exact simulation")  # coarse on purpose
        check_env(env)


@pytest.mark.parametrize("env_id", IDS)
class TestEveryId:
    def test_check_env_finds_nothing(self, env_id):
        checked(env_id, **QUICK)

    @pytest.mark.slow
    def test_check_env_finds_nothing_in_the_default_environment(self, env_id):
        checked(env_id)

    def test_picture_shows_something(self, env_id):
        env = gymnasium.make(env_id, render_mode="rgb_array", render_size=300, **QUICK)
        env.reset(seed=0)
        env.step(np.ones(env.action_space.shape, np.float32))
        picture = env.render()
        assert picture.shape == (300, 300, 3)
        drawn = np.any(picture != WHITE, axis=2)
        assert 0.005 < drawn.mean() < 0.5

    def test_vector_environment_equals_scalar(self, env_id):
        # Resets within a step are compared in test_vector.
        how = {"vectorization_mode": "vector_entry_point", "autoreset_mode": "Disabled"}
        ours = gymnasium.make_vec(env_id, num_envs=2, **how, **QUICK)
        scalar = gymnasium.make(env_id, **QUICK)
        observation, _ = ours.reset(seed=3)
        np.testing.assert_array_equal(observation[0], scalar.reset(seed=3)[0])
        ours.action_space.seed(0)
        for _ in range(3):
            actions = ours.action_space.sample()
            found, expected = ours.step(actions), scalar.step(actions[0])
            for one, other in zip(found[:4], expected[:4], strict=True):
                np.testing.assert_allclose(one[0], other, atol=1e-6)
