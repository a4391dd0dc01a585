r"""The paper's Table 1, whose ticks are measurements here.

Every cell is a number and whether it passes a threshold. Errors are those of one step of 0.05 s
on the paper's states, as shares of what is to be predicted, the step's own length Σ|Δx|:

models the dynamics
    The error on the double pendulum, at most 1 %.
learns a differential equation
    The larger of the errors per second at half and at twice the step, over that at the step
    itself; at most 2. A next-state network has one step only and fails.
conserves energy
    The pendulum's mean energy discrepancy after 100 s, at most 0.05 % of 29.4 J.
learns from arbitrary coordinates
    The error on the pendulum of the model fed (q, q̇), at most 1 %. The HNN's is that of the
    `NoncanonicalHNN`: canonical momenta are what it needs.
learns arbitrary Lagrangians
    The larger of the errors on the double pendulum and on the relativistic particle, fed (q, q̇),
    at most 1 %, with energy conserved as above: there is no Lagrangian otherwise.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from gym_lagrangian import evaluation
from gym_lagrangian.physics.dynamics import Driven, Dynamics, Force, Rates
from gym_lagrangian.reproduce.protocol import Protocol
from gym_lagrangian.systems.base import System
from gym_lagrangian.systems.coordinates import REFERENCE_DT

MOST_ERROR, MOST_GROWTH, MOST_DRIFT = 0.01, 2.0, 0.0005

ROWS = (
    "Can model dynamical systems",
    "Learns differential equations",
    "Learns exact conservation laws",
    "Learns from arbitrary coords.",
    "Learns arbitrary Lagrangians",
)

# The paper's columns and ticks; its "neural net" is the next-state network, our `MLP`.
PAPER: dict[str, tuple[bool, ...]] = {
    "MLP": (True, False, False, True, False),
    "NODE": (True, True, False, True, False),
    "HNN": (True, True, True, False, False),
    "DeLaN": (True, True, True, True, False),
    "LNN": (True, True, True, True, True),
}

# Which model shows what another makes of (q, q̇).
ARBITRARY = {"HNN": "NoncanonicalHNN"}


class Cell(NamedTuple):
    """A measurement, None where there is nothing to measure, and whether it passes."""

    value: float | None
    passes: bool


class Unmoved(Dynamics):
    """Nothing moves: its one-step error is the length of the step to be predicted."""

    def step(self, state: Array, tau: Array, m: Array, dt: Any) -> Array:
        """The same state."""
        return state

    def driven(self, state: Array, force: Force, rates: Rates, m: Array, dt: Any) -> Driven:
        """The same state all along."""
        q, qd = jnp.split(state, 2)
        return Driven(state, rates(q, qd, force(q, qd)) * dt)

    def energy(self, state: Array, m: Array) -> None:
        """There is none."""

    def friction(self, q: Array, qd: Array, m: Array) -> None:
        """There is none."""

    @property
    def learned(self) -> bool:
        """It is no system."""
        return True


def step_length(system: System, protocol: Protocol) -> float:
    """The weighted mean of Σ|Δx| / dt over a step of 0.05 s from the paper's states."""
    how: Any = {"dt": REFERENCE_DT, "forced": False, "states": protocol.loss_states}
    return evaluation.one_step_error(Unmoved(), system, **how)


def measure(
    pendulum: dict[str, Any], particle: dict[str, Any], length: dict[str, float]
) -> dict[str, Any]:
    """The cells by model and row, JSON-able.

    Arguments:
        pendulum, particle: what was measured of every model of the two systems.
        length: the `step_length` of either, ``"pendulum"`` and ``"particle"``.
    """
    errors = {
        "pendulum": {name: _error(found, length["pendulum"]) for name, found in pendulum.items()},
        "particle": {name: _error(found, length["particle"]) for name, found in particle.items()},
    }
    names = [name for name in pendulum if name in particle]
    return {name: _column(name, pendulum[name], errors) for name in names}


def _error(found: dict[str, Any], length: float) -> float:
    return found["losses"]["one_step_error"] / length


def _column(
    name: str, found: dict[str, Any], errors: dict[str, dict[str, float]]
) -> dict[str, dict[str, Any]]:
    """A model's cells, given the errors of all on both systems."""
    fed = ARBITRARY.get(name, name)
    here, elsewhere = (errors[system].get(fed, np.inf) for system in ("pendulum", "particle"))
    growth, drift = _growth(found["step_errors"]), found["drift"]
    conserves = drift <= MOST_DRIFT
    cells = (
        Cell(errors["pendulum"][name], errors["pendulum"][name] <= MOST_ERROR),
        Cell(growth, growth is not None and growth <= MOST_GROWTH),
        Cell(drift, conserves),
        Cell(here, here <= MOST_ERROR),
        Cell(max(here, elsewhere), max(here, elsewhere) <= MOST_ERROR and conserves),
    )
    return {row: cell._asdict() for row, cell in zip(ROWS, cells, strict=True)}


def _growth(errors: dict[str, float]) -> float | None:
    """How much worse another step is; None where there is no other."""
    if len(errors) == 1:
        return None
    return max(errors["half"], errors["double"]) / errors["one"]
