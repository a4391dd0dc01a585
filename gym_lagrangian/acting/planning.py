"""Planning in the learned model, anew at every step: the first strategy.

An ensemble is planned through as any model is: what the planner makes of its members is the
planner's affair.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from gym_lagrangian.acting.strategy import Actor, Situation, Strategy
from gym_lagrangian.acting.world import World
from gym_lagrangian.envs.functional import Params, dynamics_of
from gym_lagrangian.planning import MPPI, Planner, Policy

# How far a planner looks ahead where nobody says otherwise, in seconds.
_AHEAD = 1.8

# The substeps of the integrator in a step of dt seconds: one for every so many seconds.
_SUBSTEP = 0.05


def usual_planner(world: World) -> Planner:
    """MPPI that looks 1.8 s ahead, in steps of the environment's own."""
    return MPPI(samples=1024, horizon=max(5, round(_AHEAD / world.dt)), discount=0.97)


def substeps_of(dt: float) -> int:
    """How finely a model is followed in a step of dt seconds, in fits and in plans alike."""
    return max(1, int(np.ceil(dt / _SUBSTEP - 1e-6)))


def params_of(world: World, checkpoint: Any, *, integrator: str, substeps: int) -> Params:
    """The numbers of the environment with the model in place of the motion."""
    return Params(
        dynamics=dynamics_of(checkpoint, integrator=integrator, substeps=substeps),
        m_bounds=np.stack([world.m, world.m]),
        goal_bounds=np.stack([world.goal, world.goal]),
        reset_bounds=world.task.reset_bounds(),
        dt=np.asarray(world.dt),
    )


@dataclass(frozen=True)
class Planning(Strategy):
    """MPPI, CEM or another planner, in the model and for the task's own reward.

    Attributes:
        planner: None for `usual_planner`.
        dt: seconds for which a planned action holds; None for the environment's step.
        substeps: how finely a planned step is integrated; None for one every .05 s.
    """

    planner: Planner | None = None
    dt: float | None = None
    substeps: int | None = None

    def actor(self, situation: Situation) -> Actor:
        world, how = situation.world, {"integrator": "rk4", "substeps": self._substeps(situation)}
        params = params_of(world, situation.checkpoint, **how)
        planner = self.planner or usual_planner(world)
        where = (world.functional, params)
        policy = Policy(where, planner, dt=self.dt, seed=situation.seed, **how)
        return lambda state, observation, time: policy.act(state, time=time)

    def document(self, world: World) -> dict[str, Any]:
        planner = self.planner or usual_planner(world)
        settings = {type(planner).__name__: dataclasses.asdict(planner)}
        return {"planning": settings, "dt": self.dt, "substeps": self.substeps}

    def _substeps(self, situation: Situation) -> int:
        return self.substeps or substeps_of(self.dt or situation.world.dt)
