"""TorchRL takes the environments, scalar and vector, and finds nothing wrong with them."""

import gymnasium
import pytest
from gymnasium.vector import AutoresetMode

pytest.importorskip("torchrl", reason='needs TorchRL: pip install "gym-lagrangian[torchrl]"')

import torch
from torchrl.envs import GymEnv, GymWrapper, default_info_dict_reader
from torchrl.envs.utils import check_env_specs

import gym_lagrangian  # noqa: F401

QUICK = {"integrator": "rk4", "substeps": 1}
IDS = ("DoublePendulum-v0", "DoublePendulumLNN-v0")


@pytest.mark.parametrize("env_id", IDS)
def test_an_environment_has_the_specs_that_it_states(env_id):
    check_env_specs(GymEnv(env_id, **QUICK))


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.DISABLED])
@pytest.mark.parametrize("env_id", IDS)
def test_many_are_stepped_and_reset(env_id, mode):
    how = {"num_envs": 3, "vectorization_mode": "vector_entry_point", "max_episode_steps": 5}
    env = GymWrapper(gymnasium.make_vec(env_id, autoreset_mode=mode, **how, **QUICK))
    check_env_specs(env)
    env.set_seed(0)
    found = env.rollout(12, break_when_any_done=False)
    assert env.batch_size == torch.Size([3])
    assert found["next", "truncated"][..., 0].sum(dim=0).tolist() == [0, 0, 0, 0, 3] * 2 + [0, 0]
    # What follows the end of an episode is the observation of a reset.
    begun, ended = found["observation"][:, 5], found["next", "observation"][:, 4]
    assert not torch.equal(begun, ended)
    torch.testing.assert_close(found["observation"][:, 6], found["next", "observation"][:, 5])


def test_steps_equal_those_of_gymnasium():
    ours, inner = (gymnasium.make(IDS[0], **QUICK) for _ in range(2))
    theirs = GymWrapper(inner)
    found = theirs.reset()
    ours.reset()
    ours.unwrapped.set_state(inner.unwrapped.get_state())
    for _ in range(4):
        found = theirs.rand_step(found)
        observation, reward, *_ = ours.step(found["action"].numpy())
        torch.testing.assert_close(torch.as_tensor(observation), found["next", "observation"])
        assert found["next", "reward"].item() == pytest.approx(reward)


def test_numbers_of_info_can_be_recorded():
    """TorchRL asks a value of `info` for its dtype, which a plain float has not."""
    names = ["energy", "energy_drift", "dissipated", "time"]
    env = GymWrapper(gymnasium.make(IDS[0], **QUICK))
    env.set_info_dict_reader(default_info_dict_reader(names))
    found = env.rollout(3)["next"]
    dt = env.unwrapped.dt
    assert found["time"].flatten().tolist() == pytest.approx([dt, 2 * dt, 3 * dt])
    assert all(found[name].numel() == 3 for name in names)
