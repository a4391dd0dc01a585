"""Logs of a small simulated arm, as a robot would write them.

Two joints, joint 2 relative to link 1, hanging down is 0; links .35 and .30 m, 1.2 and .8 kg,
viscous and Coulomb friction; 100 Hz with jitter, encoders of 12 bits wrapped to (−π, π], no
velocities, some rows dropped.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NamedTuple

import numpy as np

COUNTS = 2 * np.pi / 4096
INERTIA = (1.2 * 0.35**2 / 3 + 0.8 * (0.35**2 + 0.15**2) + 0.8 * 0.3**2 / 12, 0.8 * 0.3**2 / 3)
COUPLING, LIMITS = 0.8 * 0.35 * 0.15, np.array([5.0, 2.0])
VISCOUS, COULOMB = np.array([0.08, 0.05]), np.array([0.15, 0.08])

MACHINE = """
name = "Arm"
dt = 0.02

[time]
column = "t"

[[coordinates]]
name = "shoulder"
kind = "angle"
position = "q1"
force = "tau1"
force_max = 5.0

[[coordinates]]
name = "elbow"
kind = "angle"
position = "q2"
force = "tau2"
force_max = 2.0
"""


class Log(NamedTuple):
    """t (N,), and q, q̇, τ (N, 2), exact."""

    t: np.ndarray
    q: np.ndarray
    qd: np.ndarray
    tau: np.ndarray


def acceleration(q, v, tau):
    """q̈ (2,)."""
    b, c, s = COUPLING, np.cos(q[1]), np.sin(q[1])
    a, d = INERTIA[0] + 2 * b * c, INERTIA[1]
    mass = np.array([[a, d + b * c], [d + b * c, d]])
    lower = 9.81 * 0.8 * 0.15 * np.sin(q[0] + q[1])
    gravity = np.array([9.81 * (1.2 * 0.175 + 0.8 * 0.35) * np.sin(q[0]) + lower, lower])
    inertial = b * s * np.array([2 * v[0] * v[1] + v[1] ** 2, -(v[0] ** 2)])
    friction = VISCOUS * v + COULOMB * np.tanh(v / 0.02)
    return np.linalg.solve(mass, tau + inertial - gravity - friction)


def follow(q, v, tau, dt, substeps):
    """One row by the midpoint rule, the torque held."""
    h = dt / substeps
    for _ in range(substeps):
        middle = v + h / 2 * acceleration(q, v, tau)
        v = v + h * acceleration(q + h / 2 * v, middle, tau)
        q = q + h * middle
    return q, v


def motion(seed: int, rows: int, *, rate: float = 100.0, jitter: float = 0.02) -> Log:
    """One exact log under three sines a joint."""
    rng = np.random.default_rng(seed)
    q, v, t = rng.uniform(-1, 1, 2), np.zeros(2), 0.0
    phase, frequency = rng.uniform(0, 6.28, (2, 3)), rng.uniform(0.2, 1.5, (2, 3))
    kept = []
    for _ in range(rows):
        waves = np.sin(2 * np.pi * frequency * t + phase).sum(-1)
        tau = np.clip(np.array([1.5, 0.55]) * waves, -LIMITS, LIMITS)
        kept.append((t, q, v, tau))
        dt = (1 + jitter * rng.normal()) / rate
        q, v = follow(q, v, tau, dt, 6)
        t += dt
    return Log(*(np.array(column) for column in zip(*kept, strict=True)))


def encoder(q: np.ndarray) -> np.ndarray:
    """Readings of 12 bits in (−π, π]."""
    return (np.round(q / COUNTS) * COUNTS + np.pi) % (2 * np.pi) - np.pi


def columns(log: Log, *, dropped: float = 0.0, seed: int = 0) -> dict[str, np.ndarray]:
    """What a log file holds."""
    q, keep = encoder(log.q), np.random.default_rng(seed).random(len(log.t)) >= dropped
    every = {"t": log.t, "q1": q[:, 0], "q2": q[:, 1], "tau1": log.tau[:, 0], "tau2": log.tau[:, 1]}
    return {name: column[keep] for name, column in every.items()}


def write(path: Path, given: dict[str, np.ndarray]) -> Path:
    """A CSV file."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(given)
        writer.writerows([f"{x:.6f}" for x in row] for row in zip(*given.values(), strict=True))
    return path
