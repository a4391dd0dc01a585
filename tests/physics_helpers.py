"""What several test files need: physical cases with random states, and small training runs."""

from __future__ import annotations

from typing import NamedTuple

import jax
import numpy as np

from gym_lagrangian.learning.config import TrainingConfig
from gym_lagrangian.systems import DoublePendulum, RelativisticParticle
from gym_lagrangian.systems.base import System

STATES = 64


class Case(NamedTuple):
    """A system and float64 numpy batches of states, one row a state, none of them special."""

    system: System
    q: np.ndarray
    qd: np.ndarray
    tau: np.ndarray
    m: np.ndarray


def pendulum_energy(x, m1=1.0, m2=1.0, l1=1.0, l2=1.0, g=9.8):
    """The energy of double pendulums x (…, 4), from the Cartesian motion of the two masses."""
    a, b, wa, wb = np.moveaxis(np.asarray(x), -1, 0)
    velocity1 = l1 * wa * np.array([np.cos(a), np.sin(a)])
    velocity2 = velocity1 + l2 * wb * np.array([np.cos(b), np.sin(b)])
    height1 = -l1 * np.cos(a)
    height2 = height1 - l2 * np.cos(b)
    kinetic = 0.5 * (m1 * (velocity1**2).sum(axis=0) + m2 * (velocity2**2).sum(axis=0))
    return kinetic + g * (m1 * height1 + m2 * height2)


def pendulum_case(seed: int = 0) -> Case:
    rng = np.random.default_rng(seed)
    return Case(
        DoublePendulum(),
        q=rng.uniform(-7.0, 7.0, (STATES, 2)),
        qd=rng.uniform(-8.0, 8.0, (STATES, 2)),
        tau=rng.uniform(-9.0, 9.0, (STATES, 2)),
        m=rng.uniform([0.4, 0.5, 0.3, 0.6, 3.0], [2.0, 3.0, 1.5, 2.0, 12.0], (STATES, 5)),
    )


def particle_case(variant: str, seed: int = 1) -> Case:
    rng = np.random.default_rng(seed)
    m = rng.uniform([0.5, 0.7, -3.0], [2.0, 3.0, 3.0], (STATES, 3))
    return Case(
        RelativisticParticle(lagrangian=variant),
        q=rng.uniform(-5.0, 5.0, (STATES, 1)),
        qd=rng.uniform(-0.9, 0.9, (STATES, 1)) * m[:, 1:2],
        tau=rng.uniform(-4.0, 4.0, (STATES, 1)),
        m=m,
    )


CASES = {
    "pendulum": pendulum_case(),
    "paper": particle_case("paper"),
    "special_relativity": particle_case("special_relativity"),
}


def batched(function, *arrays, dtype="float64"):
    """`function` of every row, as numpy, computed in `dtype`."""
    with jax.enable_x64(True):
        rows = [np.asarray(array, dtype) for array in arrays]
        return jax.tree.map(np.asarray, jax.jit(jax.vmap(function))(*rows))


# One configuration for all short trainings, so that jit compiles for it once a session; its
# last chunk is shorter than the others.
SMALL = TrainingConfig(steps=100, batch=32, chunk=40, learning_rate=5e-2, optimiser="adam", seed=3)
SMALL_MODEL = {"width": 8, "depth": 2}


def cheap_measure(model, card):
    """In place of `evaluation.measure`, which runs a hundred seconds of physics."""
    return {"acceleration_loss": 0.25, "energy_discrepancy_100s": {"mean": 0.5}}
