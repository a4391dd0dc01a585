# requires: torchrl
# %% [markdown]
# # With TorchRL
#
# **Question:** How do I train an agent of TorchRL inside a learned model, and judge it in truth?
#
# Install the extra `torchrl`. Install a CPU build of torch first, unless you want CUDA.
#
# `GymEnv("DoublePendulumDeLaN-v0")` is one environment. For many, TorchRL's `GymWrapper` takes the
# compiled vector environment. TorchRL asks for one of two modes of autoreset: `SAME_STEP`, or
# `DISABLED`, in which it resets by itself.

# %%
import gymnasium
import torch
from gymnasium.vector import AutoresetMode
from tensordict.nn import InteractionType, TensorDictModule, set_interaction_type
from torch import nn
from torchrl.envs import GymWrapper
from torchrl.modules import NormalParamExtractor, ProbabilisticActor, TanhNormal, ValueOperator
from torchrl.objectives import ClipPPOLoss
from torchrl.objectives.value import GAE

import gym_lagrangian


def many(env_id):
    """Sixteen copies of an environment as one of TorchRL's."""
    arguments = {"dtype": "float32", "max_episode_steps": 100}
    envs = gymnasium.make_vec(
        env_id,
        num_envs=16,
        vectorization_mode="vector_entry_point",
        autoreset_mode=AutoresetMode.DISABLED,
        **arguments,
    )
    return GymWrapper(envs)


inside = many("DoublePendulumDeLaN-v0")
inside.set_seed(0)
print(inside.batch_size, inside.rollout(3)["next", "observation"].shape)

# %% [markdown]
# An actor, a critic and PPO, as in TorchRL's own tutorials:

# %%
torch.manual_seed(0)
size, actions = inside.observation_spec["observation"].shape[-1], inside.action_spec.shape[-1]
mean = nn.Sequential(
    nn.Linear(size, 64), nn.Tanh(), nn.Linear(64, 2 * actions), NormalParamExtractor()
)
actor = ProbabilisticActor(
    TensorDictModule(mean, in_keys=["observation"], out_keys=["loc", "scale"]),
    in_keys=["loc", "scale"],
    distribution_class=TanhNormal,
    return_log_prob=True,
)
critic = ValueOperator(
    nn.Sequential(nn.Linear(size, 64), nn.Tanh(), nn.Linear(64, 1)), in_keys=["observation"]
)
loss, advantage = ClipPPOLoss(actor, critic), GAE(gamma=0.99, lmbda=0.95, value_network=critic)
optimiser = torch.optim.Adam(loss.parameters(), lr=3e-4)

for _ in range(3):
    with torch.no_grad():
        batch = advantage(inside.rollout(64, actor, break_when_any_done=False))
    for _ in range(4):
        found = loss(batch.reshape(-1))
        optimiser.zero_grad()
        sum(found[name] for name in ("loss_objective", "loss_critic", "loss_entropy")).backward()
        optimiser.step()

# %% [markdown]
# That was 3,072 steps, for this page. A swing-up takes a few million.
#
# ## Judge it in truth

# %%
with torch.no_grad(), set_interaction_type(InteractionType.DETERMINISTIC):
    for name, envs in {"learned model": inside, "truth": many("DoublePendulum-v0")}.items():
        envs.set_seed(1)
        returns = envs.rollout(100, actor)["next", "reward"].sum(dim=1)
        print(f"{name}: {returns.mean():.1f} ± {returns.std():.1f}")

# %% [markdown]
# ## Go on
#
# * How policies that were trained in models do in truth:
#   [results](../results/reinforcement-learning.md).
# * Other loops over vector environments: [CleanRL-style loops](training_loops.md).
