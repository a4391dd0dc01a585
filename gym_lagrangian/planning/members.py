r"""Which members of an ensemble follow a sequence of actions that a planner tries.

``"mean"``
    Every sequence follows the mean of the members' steps, as in any other environment.
``"own"``
    Sequence i follows member i mod k on its own: at a k-th of the cost of the mean, and a plan is
    good only if sequences near it are good for every member.
``"all"``
    Every sequence follows every member on its own, at the cost of the mean. With the returns R_1 …
    R_k it is worth mean R − pessimism · std R. A negative pessimism is optimism, which seeks out
    what the members disagree about.

References: Chua et al., "Deep Reinforcement Learning in a Handful of Trials using Probabilistic
Dynamics Models", NeurIPS (2018); Lowrey et al., "Plan Online, Learn Offline", ICLR (2019), for
optimism.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from gym_lagrangian.envs.functional import Params
from gym_lagrangian.physics.dynamics import Dynamics
from gym_lagrangian.physics.ensemble import EnsembleDynamics, members_of
from gym_lagrangian.planning.returns import PlanReturn

THROUGH = ("mean", "own", "all")

# The return of one sequence of actions (H, a) in the dynamics of these parameters.
ReturnOf = Callable[[Params, Array], PlanReturn]


def returns_through(
    worth: ReturnOf, params: Params, actions: Array, through: str, pessimism: float
) -> PlanReturn:
    """The returns (N,) of sequences (N, H, a).

    Arguments:
        worth: of one sequence.
        through: which members follow them, as above.
        pessimism: of ``"all"``.

    Raises:
        ConfigurationError: ``"own"`` or ``"all"`` where no ensemble moves.
    """
    if through == "mean":
        return jax.vmap(lambda one: worth(params, one))(actions)
    alone, ensemble = dataclasses.replace(params, trust=None), members_of(params.dynamics)

    def by(member: Dynamics, actions: Array) -> PlanReturn:
        moved = alone.moved_by(member)
        return jax.vmap(lambda one: worth(moved, one))(actions)

    if through == "own":
        return _own(by, ensemble, actions)
    found = ensemble.over(lambda member: by(member, actions))
    value = jnp.mean(found.value, axis=0) - pessimism * jnp.std(found.value, axis=0)
    return PlanReturn(value, jnp.min(found.valid, axis=0))


def _own(
    by: Callable[[Dynamics, Array], PlanReturn], ensemble: EnsembleDynamics, actions: Array
) -> PlanReturn:
    """Sequence i by member i mod k: k groups of sequences, the last ones filled up."""
    count, k = len(actions), ensemble.members
    filled = jnp.arange(-(-count // k) * k) % count
    groups = jnp.moveaxis(actions[filled].reshape(-1, k, *actions.shape[1:]), 1, 0)
    found = jax.vmap(by)(ensemble.each, groups)
    return jax.tree.map(lambda one: one.T.reshape(-1)[:count], found)
