"""The strategy that plans in the learned model at every step.

The strategy takes an ensemble as it takes any model. The planner decides how its members are used.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gym_lagrangian.acting.strategy import Actor, Situation, Strategy
from gym_lagrangian.acting.world import World
from gym_lagrangian.envs.functional import Params, dynamics_of
from gym_lagrangian.physics.integrators import steps_in
from gym_lagrangian.planning import Planner, Policy
from gym_lagrangian.planning.policy import FunctionalTask
from gym_lagrangian.planning.settings import (
    Setting,
    UnholdableWarning,
    in_steps_of,
    policy_for,
    setting_of,
)
from gym_lagrangian.systems.coordinates import Coordinates

# A substep of the integrator takes at most so many seconds, and a link turns by at most so much.
_SUBSTEP, _TURN = 0.05, 0.35


def substeps_of(dt: float, coordinates: Coordinates) -> int:
    """How finely a model is followed in a step of dt seconds, in fits and in plans alike."""
    pairs = zip(coordinates.angular, coordinates.magnitudes.qd, strict=True)
    fastest = max((qd for angular, qd in pairs if angular), default=0.0)
    return steps_in(dt, min(_SUBSTEP, _TURN / fastest if fastest else np.inf))


def params_of(world: World, checkpoint: Any, substeps: int | None = None) -> Params:
    """The numbers of the environment with the model in place of the motion.

    Arguments:
        substeps: how finely it is followed in a step; None for `substeps_of`.
    """
    substeps = substeps or substeps_of(world.dt, world.moved)
    return Params(
        dynamics=dynamics_of(checkpoint, integrator="rk4", substeps=substeps),
        m_bounds=np.stack([world.m, world.m]),
        goal_bounds=world.goal_bounds,
        reset_bounds=world.task.reset_bounds(),
        dt=np.asarray(world.dt),
    )


@dataclass(frozen=True)
class Planning(Strategy):
    """MPPI, CEM or another planner, in the model and for the task's own reward.

    Attributes:
        planner: None for that of `planning.settings`. With that, and with one that drives to a goal
            state, the regulator at the goal takes over as soon as the model has one.
        dt: seconds for which a planned action holds; None for the setting's, or with a planner of
            one's own for the environment's step.
        substeps: how finely a planned step is integrated; None for the setting's, or as finely
            as it was fitted.
        regulated: of a planner of one's own that plans for rewards, whether a plan ends in the
            value of the regulator at the goal, which takes over near it, as soon as the model has
            one.
    """

    planner: Planner | None = None
    dt: float | None = None
    substeps: int | None = None
    regulated: bool = False

    def actor(self, situation: Situation) -> Actor:
        world = situation.world
        setting = self._setting(world)
        params = params_of(world, situation.checkpoint, setting.arguments["substeps"])
        where, (planner, arguments) = (world.functional, params), in_steps_of(setting, params)
        given = {"planner": planner, **arguments, "integrator": "rk4", "seed": situation.seed}
        policy = _policy(where, given)

        def act(state: np.ndarray, observation: np.ndarray, time: float) -> np.ndarray:
            return policy.act(state, goal=world.goal_of(observation), time=time)

        return act

    def document(self, world: World) -> dict[str, Any]:
        planner, arguments = self._setting(world)
        return {"planning": {type(planner).__name__: dataclasses.asdict(planner), **arguments}}

    def _setting(self, world: World) -> Setting:
        """The planner, and further arguments of `Policy`."""
        planner: Any = self.planner
        usual: Mapping[str, Any]
        if planner is not None:
            value = "lqr" if self.regulated and planner.rewarded else None
            usual = {"value": value, "takeover": self.regulated or not planner.rewarded}
        else:
            bounds = np.stack([world.m, world.m]), world.goal_bounds
            planner, usual = setting_of(world.functional, world.dt, *bounds)
        dt = self.dt or usual.get("dt") or world.dt
        substeps = self.substeps or usual.get("substeps") or substeps_of(dt, world.moved)
        return Setting(planner, {**usual, "dt": dt, "substeps": substeps})


def _policy(where: FunctionalTask, given: dict[str, Any]) -> Policy:
    """The policy of a setting. A model that has learned little has no regulator at the goal yet,
    and a warning of that after every fit would be of no use.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnholdableWarning)
        return policy_for(where, **given)
