"""Learning while acting: an agent learns a model from its own steps, and plans in the model.

    found = learn("PilcoPendulum-v0", "DeLaN", budget=30.0, out="run")

An agent begins at rest and without data. It acts at random for a few seconds, fits a model to what
it observed, plans in the model, acts, and fits again: this is `loop`. The other modules are its
parts. `world` holds what the agent is told of an environment, `episode` is an episode and its file,
`fitting` fits the model after every episode, and `planning` and `policy_search` choose actions.
"""

from gym_lagrangian.acting.loop import Learned, Progress, learn
from gym_lagrangian.acting.planning import Planning
from gym_lagrangian.acting.policy_search import PolicySearch
from gym_lagrangian.acting.ppo import PPO
from gym_lagrangian.acting.strategy import Strategy
from gym_lagrangian.acting.success import tip_at_goal

__all__ = [
    "PPO",
    "Learned",
    "Planning",
    "PolicySearch",
    "Progress",
    "Strategy",
    "learn",
    "tip_at_goal",
]
