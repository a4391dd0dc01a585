"""What the tests of single systems share: environments by a path, random states, free motion."""

from __future__ import annotations

import warnings

import gymnasium
import numpy as np
from gymnasium.utils.env_checker import check_env
from physics_helpers import batched

from gym_lagrangian.systems.task import TaskState

# Where accuracy is beside the point, a method of four stages compiles in a third of the time.
QUICK = {"integrator": "rk4", "substeps": 1}


def make(path: str, **options):
    """The environment of a system of the package, ``"module:Class"``."""
    system = f"gym_lagrangian.systems.{path}"
    return gymnasium.make("gym_lagrangian:Lagrangian-v0", system=system, **options).unwrapped


def random_states(n: int, rows: int = 40) -> tuple[np.ndarray, ...]:
    """q, q̇ and τ (rows, n)."""
    rng = np.random.default_rng(2)
    q = rng.uniform(-np.pi, np.pi, (rows, n))
    return q, 3.0 * rng.normal(size=(rows, n)), rng.normal(size=(rows, n))


def random_parameters(system, rows: int = 40, **fixed: float) -> np.ndarray:
    """Parameters (rows, k) of every size that makes sense."""
    drawn = np.random.default_rng(1).uniform(0.3, 1.5, (rows, len(system.parameters)))
    for name, value in fixed.items():
        drawn[:, list(system.parameters).index(name)] = value
    return drawn


def accelerations(system, q, qd, tau, m) -> np.ndarray:
    """q̈ (rows, n)."""
    return batched(system.acceleration, q, qd, tau, m)


def motion(env, state, steps: int, action: float = 0.0) -> tuple[np.ndarray, dict]:
    """States (steps + 1, 2n) from `state` on under one action, whatever ends, and the last info."""
    states = [env.reset(seed=0, options={"state": state})[1]["state"]]
    push = np.full(env.action_space.shape, action, np.float32)
    for _ in range(steps):
        info = env.step(push)[4]
        states.append(info["state"])
    return np.array(states, np.float64), info


def task_state(system, q, qd=None, *, goal=(), tau=None) -> TaskState:
    """An instant with the default parameters, at rest unless `qd` is given."""
    zero = np.zeros(system.n)
    qd, tau = (zero if part is None else part for part in (qd, tau))
    arrays = (q, qd, system.parameter_bounds()[0], goal, 0.0, tau)
    return TaskState(*(np.asarray(part, float) for part in arrays))


def passes_the_checker(path: str, **options) -> None:
    """Gymnasium's own checks, of which a warning counts as well."""
    env = make(path, **QUICK, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "the exact simulation")  # coarse on purpose
        check_env(env)
