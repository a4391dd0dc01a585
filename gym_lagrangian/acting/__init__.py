"""Learning while acting: a model learned from what an agent does, and what to do from the model.

    found = learn("PilcoPendulum-v0", "DeLaN", budget=30.0, out="run")

An agent begins at rest and knows nothing. It acts at random for a few seconds, fits a model to what
it observed, plans in the model, acts, and fits again. `loop` is that; the other modules are its
parts: what is known of an environment (`world`), an episode and its file (`episode`), how a model
is fitted again and again (`fitting`), how actions come of it (`planning`, `policy_search`).
"""

from gym_lagrangian.acting.loop import Learned, Progress, learn
from gym_lagrangian.acting.planning import Planning
from gym_lagrangian.acting.policy_search import PolicySearch
from gym_lagrangian.acting.strategy import Strategy
from gym_lagrangian.acting.success import tip_at_goal

__all__ = ["Learned", "Planning", "PolicySearch", "Progress", "Strategy", "learn", "tip_at_goal"]
