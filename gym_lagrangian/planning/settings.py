"""Settings of planners by machine, in one table that was tried: where a row says nothing else, by
planning in true dynamics.

    policy = policy_for("PilcoCartPole-v0", seed=0)

Each row states how many swing-ups from rest succeed with it. A success has the tip within 10 % of
its length of upright, with the cart in the middle, during the whole last second. Machines without a
row get defaults: sequences of two seconds, in steps in which a link does not turn far, and a
regulator at the goal where the task names one.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, NamedTuple

from gym_lagrangian.envs.functional import FunctionalEnv, Params
from gym_lagrangian.planning.ilqr import ILQR
from gym_lagrangian.planning.lqr import Unholdable, middle_of
from gym_lagrangian.planning.mppi import MPPI
from gym_lagrangian.planning.planner import Planner
from gym_lagrangian.planning.policy import Policy, functional_task

# How far to look ahead where nothing is known, and the shortest planned step, in seconds.
_AHEAD, _SHORTEST = 2.0, 0.08

_LQR: Mapping[str, Any] = MappingProxyType({"value": "lqr", "takeover": True})


class UnholdableWarning(UserWarning):
    """A policy plans without the regulator at the goal that its setting has."""


class Setting(NamedTuple):
    """A planner and how to use it.

    Attributes:
        planner: the planner.
        arguments: further arguments of `Policy`.
    """

    planner: Planner
    arguments: Mapping[str, Any]


# The name of what moves → its setting. The seconds of a planned step are those of the
# environment where no dt is stated.
SETTINGS: dict[str, Setting] = {
    # 5 of 5, upright from 2.2 to 3.0 s of 4, with a regulator that took over from farther away.
    "PilcoPendulum": Setting(MPPI(samples=512, horizon=20), _LQR),
    # 5 of 5, upright from 1.6 to 2.9 s of 4.
    "PilcoCartPole": Setting(MPPI(samples=512, horizon=20), _LQR),
    # 5 of 5, upright from 1.2 to 1.6 s of 3.
    "PilcoDoublePendulum": Setting(
        MPPI(samples=512, horizon=20, iterations=2), {**_LQR, "substeps": 3}
    ),
    # 6 of 6, upright from 1.3 to 2.7 s of 5; by MPPI 1 of 6.
    "PilcoCartDoublePendulum": Setting(ILQR(horizon=60), {"takeover": True, "substeps": 2}),
    # 3 of 3, upright after .8 to 1.2 s; by MPPI after 5.1 to 7.8 s.
    "RameshCartTwoPole": Setting(ILQR(horizon=60), {"takeover": True, "dt": 0.05, "substeps": 1}),
    # 6 of 6, upright after 1.1 to 1.6 s; by MPPI 0 of 5.
    "RameshAcrobot": Setting(
        ILQR(samples=256, elites=8, horizon=40), {"takeover": True, "dt": 0.05, "substeps": 1}
    ),
    # At the target after .8 s in 12 of 12, in a model learned of 8 s; in steps of .08 s, 9 of 12.
    "Reacher-v5": Setting(MPPI(samples=512, horizon=20), {**_LQR, "dt": 0.04, "substeps": 1}),
    # 6 of 6 each, upright after .5 to .7 s and .7 to 1.1 s.
    "DfkiAcrobot": Setting(ILQR(horizon=40), {"takeover": True, "dt": 0.05, "substeps": 2}),
    "DfkiPendubot": Setting(ILQR(horizon=40), {"takeover": True, "dt": 0.05, "substeps": 2}),
}


def planner_for(where: Any) -> Setting:
    """The setting for an environment.

    Arguments:
        where: as for `Policy`: an id, an environment of this package, or (env, params).

    Raises:
        ConfigurationError: it is none of these.
    """
    env, params = functional_task(where)
    found = setting_of(env, float(params.dt), params.m_bounds, params.goal_bounds)
    return in_steps_of(found, params)


def setting_of(env: FunctionalEnv, dt: float, m_bounds: Any, goal_bounds: Any) -> Setting:
    """The setting for a task in steps of dt seconds, whatever moves it."""
    found = SETTINGS.get(env.coordinates.name)
    return found or _usual(env, dt, middle_of(m_bounds), middle_of(goal_bounds))


def policy_for(where: Any, **arguments: Any) -> Policy:
    """A `Policy` with the setting for an environment. Where no regulator holds the goal in these
    dynamics, as in a model that has learned little yet, it plans without one, and warns.

    Arguments:
        where: as for `Policy`.
        arguments: of `Policy`, in place of those of the setting; `planner` as well.

    Raises:
        ConfigurationError: as `Policy`.
    """
    planner, usual = planner_for(where)
    given = {"planner": planner, **usual, **arguments}
    if not given["planner"].rewarded:
        given["value"] = arguments.get("value")  # that of the setting is for another planner
    try:
        return Policy(where, **given)
    except Unholdable as error:
        warnings.warn(str(error), UnholdableWarning, stacklevel=2)
        return Policy(where, **given | {"value": None, "takeover": False})


def _usual(env: FunctionalEnv, dt: float, m: Any, goal: Any) -> Setting:
    dt = max(dt, _SHORTEST)
    known = env.task.goal_state(m, goal) is not None
    planner = MPPI(samples=512, horizon=max(2, round(_AHEAD / dt)))
    return Setting(planner, {"dt": dt, "substeps": 2, **(_LQR if known else {})})


def in_steps_of(setting: Setting, params: Params) -> Setting:
    """The same for a model that can only take steps of one length."""
    only, dt = params.dynamics.fixed_dt, setting.arguments.get("dt", float(params.dt))
    if only is None:
        return setting
    planner = replace(setting.planner, horizon=max(2, round(setting.planner.horizon * dt / only)))
    return Setting(planner, {**setting.arguments, "dt": only})
