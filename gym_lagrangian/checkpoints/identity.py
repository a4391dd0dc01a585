r"""The identity of the physics that a checkpoint belongs to, by a fingerprint of its motion.

The class of a system can be moved to another module, renamed or edited. So a checkpoint records q̈
and E at eight fixed states in float64: the fingerprint. Two systems are the same physics if they
give the same numbers there, whatever their names. An edited Lagrangian gives others.
"""

from __future__ import annotations

import functools
import json
from typing import Any

import jax
import numpy as np

from gym_lagrangian.physics.numbers import evaluated
from gym_lagrangian.systems.base import System

STATES = 8

# Numbers of another processor or another jax are equal to within this share of the largest.
_TOLERANCE = 1e-6

_GIVEN, _FOUND = ("q", "qd", "tau", "m"), ("qdd", "energy")


@functools.lru_cache(maxsize=256)
def fingerprint(system: System) -> str:
    """States, and q̈ and E there, as JSON: ``{"q": …, "qd": …, "tau": …, "m": …, "qdd": …,
    "energy": …}``, a row a state.
    """
    states = _states(system)
    found = _motion(system, states)
    return json.dumps({k: v.tolist() for k, v in (states | found).items()})


@functools.lru_cache(maxsize=256)
def moves_as(system: System, recorded: str) -> bool:
    """Whether a system moves as the fingerprint says."""
    document = {k: np.asarray(v, np.float64) for k, v in json.loads(recorded).items()}
    k = len(system.parameters)
    if document["q"].shape != (STATES, system.n) or document["m"].shape != (STATES, k):
        return False
    found = _motion(system, {name: document[name] for name in _GIVEN})
    return all(_equal(found[name], document[name]) for name in _FOUND)


def _states(system: System) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(2020)
    typical = system.magnitudes
    low, high = system.parameter_bounds()
    shares = rng.uniform(size=(STATES, len(low)))
    m = np.where(low == high, low * (0.8 + 0.4 * shares), low + (high - low) * shares)
    reach = np.where(system.angular, np.pi, typical.q)

    def around(size: Any) -> np.ndarray:
        return rng.uniform(-1.0, 1.0, (STATES, system.n)) * size

    speed = 0.5 * np.array(typical.qd)
    return {"q": around(reach), "qd": around(speed), "tau": around(np.array(typical.tau)), "m": m}


def _motion(system: System, states: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    def one(q: Any, qd: Any, tau: Any, m: Any) -> tuple[Any, Any]:
        return system.acceleration(q, qd, tau, m), system.energy(q, qd, m)

    found = evaluated(jax.vmap(one), *(states[name] for name in _GIVEN))
    return dict(zip(_FOUND, found, strict=True))


def _equal(found: np.ndarray, recorded: np.ndarray) -> bool:
    size = np.max(np.abs(recorded), initial=0.0, where=np.isfinite(recorded))
    return np.allclose(found, recorded, rtol=_TOLERANCE, atol=_TOLERANCE * size, equal_nan=True)
