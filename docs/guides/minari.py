# requires: minari, h5py
# %% [markdown]
# # With Minari
#
# **Question:** How do I write recorded motion as a Minari data set, and learn from one?
#
# Install the extra `minari`. `collect` writes every step that was made; `read_minari` returns
# transitions, to which a model is fitted. Leave the second line out to use Minari's own folder.

# %%
import os

os.environ["MINARI_DATASETS_PATH"] = os.path.abspath("data_sets")

import gym_lagrangian

recorded = gym_lagrangian.collect("Acrobot-v1", 300, minari="acrobot/random-v0", seed=0)
print(recorded)

# %%
import minari

data_set = minari.load_dataset("acrobot/random-v0")
print(data_set.total_episodes, "episodes,", data_set.total_steps, "steps")

# %% [markdown]
# ## Learn from it
#
# The environment of the data set needs an adapter, for an observation alone does not say what the
# coordinates are. See [your own environment](own_environment.md).

# %%
data = gym_lagrangian.read_minari("acrobot/random-v0")
config = gym_lagrangian.FitConfig.of("DeLaN", steps=100)
model = gym_lagrangian.fit(data, "DeLaN", out="acrobot.safetensors", config=config)
print(model.card.data)

# %% [markdown]
# ## Go on
#
# * Steps in which a contact or a clipped velocity acts are left out: `disturbed=True` keeps them.
# * The reference: [learning](../api/learning.md).
