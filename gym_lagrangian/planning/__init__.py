"""Planning in JAX: CEM, MPPI and iLQR through any dynamics of this package, true or learned.

    policy = Policy("DoublePendulumLNN-v0", MPPI(samples=1024, horizon=25), dt=0.1, seed=0)
    action = policy.act(info["state"])

A planner is a few numbers and one pure function, from a state to a sequence of actions; `Policy`
plans anew at every step of an environment and starts from what is left of the plan before.
`policy_for` has settings that were tried on the machines of the package, and defaults for all
others.
"""

from gym_lagrangian.planning.cem import CEM
from gym_lagrangian.planning.ilqr import ILQR
from gym_lagrangian.planning.lqr import LQR, Unholdable, lqr
from gym_lagrangian.planning.mppi import MPPI
from gym_lagrangian.planning.planner import Planner
from gym_lagrangian.planning.policy import Policy
from gym_lagrangian.planning.returns import plan_return
from gym_lagrangian.planning.sampling import SamplingPlanner, Search
from gym_lagrangian.planning.settings import Setting, planner_for, policy_for

__all__ = [
    "CEM",
    "ILQR",
    "LQR",
    "MPPI",
    "Planner",
    "Policy",
    "SamplingPlanner",
    "Search",
    "Setting",
    "Unholdable",
    "lqr",
    "plan_return",
    "planner_for",
    "policy_for",
]
