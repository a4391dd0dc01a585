r"""Uncertainty of an ensemble in the environment that it moves: limit, penalty, single members.

The members of an ensemble step from the same state, and the spread of the step (see
`gym_lagrangian.physics.ensemble`) is the environment's uncertainty u. An episode may end where u
exceeds a limit, r − penalty · u may take the place of the reward r, and an episode may follow one
member in place of the mean.

References: Kidambi et al., "MOReL: Model-Based Offline Reinforcement Learning", NeurIPS (2020), for
the limit; Yu et al., "MOPO: Model-based Offline Policy Optimization", NeurIPS (2020), for the
penalty; Janner et al., "When to Trust Your Model: Model-Based Policy Optimization", NeurIPS (2019),
for members that are drawn.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from gym_lagrangian.checks import finite_number, positive_number
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.physics.dynamics import Dynamics
from gym_lagrangian.physics.ensemble import EnsembleDynamics, member_index

# The number of the mean where a member is asked for.
MEAN = -1


class TrustOptions(NamedTuple):
    """Options of an ensemble; None for the default.

    Attributes:
        uncertainty_limit: the uncertainty above which an episode is truncated.
        uncertainty_penalty: what a unit of uncertainty costs, in units of the reward.
        member: ``"mean"``, ``"draw"`` for one member an episode, or the number of a member.
    """

    uncertainty_limit: float | None = None
    uncertainty_penalty: float | None = None
    member: str | int | None = None


class Trust(eqx.Module):
    """The numbers of `TrustOptions`, which are data: other ones compile nothing.

    Attributes:
        limit: infinite for none.
        penalty: 0 for none.
        first, last: the members between which that of an episode is drawn; −1 is the mean.
    """

    limit: Array | np.ndarray
    penalty: Array | np.ndarray
    first: Array | np.ndarray
    last: Array | np.ndarray

    def draw(self, key: Array) -> Array:
        """The member of an episode, ()."""
        return jax.random.randint(key, (), self.first, self.last + 1, jnp.int32)

    def allowed(self, member: Array) -> Array:
        """The nearest member that an episode may follow."""
        return jnp.clip(member, self.first, self.last).astype(jnp.int32)


def trust_of(dynamics: Dynamics, options: TrustOptions) -> Trust | None:
    """The trust in dynamics; None where they have no members.

    Raises:
        ConfigurationError: options of an ensemble for a single model or the exact dynamics, a limit
            that is not positive, a negative penalty, or no such member.
    """
    if not isinstance(dynamics, EnsembleDynamics):
        return _refuse_any(options)
    limit, penalty, member = options
    limit = np.inf if limit is None else positive_number("uncertainty_limit", limit)
    penalty = 0.0 if penalty is None else finite_number("uncertainty_penalty", penalty, "reward")
    if penalty < 0:
        raise ConfigurationError(f"uncertainty_penalty = {penalty}: expected at least 0")
    bounds = _bounds(member, dynamics.members)
    return Trust(
        np.asarray(limit), np.asarray(penalty), *(np.asarray(one, np.int32) for one in bounds)
    )


def _refuse_any(options: TrustOptions) -> None:
    given = [name for name, value in options._asdict().items() if value is not None]
    if given:
        raise ConfigurationError(
            f"{', '.join(given)}: only for an ensemble, and what moves this environment has no "
            "members that could disagree; fit one, as in fit(data, model, members=5)"
        )


def _bounds(member: Any, members: int) -> tuple[int, int]:
    """Between which members the one of an episode is drawn."""
    if member is None or member == "mean":
        return MEAN, MEAN
    if member == "draw":
        return 0, members - 1
    if isinstance(member, str):
        raise ConfigurationError(
            f'member = {member!r}: choose "mean", "draw" or a number from 0 to {members - 1}'
        )
    index = member_index(member, members)
    return index, index
