r"""Typical magnitudes of motion: the units in which a model of it learns.

A network works with numbers of order one. Their units come from recorded data, or from the states
that a system draws to train on, with their true accelerations:

    velocity       s_i = 2 std q̇_i                    (where the coordinates state none)
    acceleration   a_i = std q̈_i
    time           T   = min_i s_i / a_i
    mass           κ_i = std τ_i / a_i                 (a joint with a motor)
    energy         h   = mean κ_i s_i²                 (over the joints with a motor)
    mass           κ_j = h / s_j²                      (a joint without)
    momentum       p_i = κ_i s_i
    power          P   = mean κ_i a_i s_i

Where the equations are known, they say more. Of the states that a system draws κ_i is the mean of
M_ii, and h the mean of κ_i s_i² over all joints. Momenta are the true ones: p_i = 2 std ∂L/∂q̇_i.
(The cart of a cart-pole is pushed by its pole more than by its motor, and the ratio of the motor's
force to the cart's acceleration is far from its mass.)

A joint has a motor if its power std τ_i · s_i is at least a hundredth of the largest one: the
sensor noise of a passive joint is below that. A joint without a motor is given the mean
energy of those that have one. Without any torque no recording tells a mass from twice that mass: h
is then 1 J by convention, and the checkpoint records that no force was seen. Every rule is a
product of powers of what is measured. If all masses, lengths or times are multiplied by a number,
the magnitudes change as their units do, and the scaled motion stays the same.

No sensor measures q̈, and a difference of two velocities over a short time is mostly noise. With
noise of variance σ² on q̇ and D(k) the mean square of q̇(t + k dt) − q̇(t),

    D(k) ≈ 2σ² + a² (k dt)²,    a² = (D(2k) − D(k)) / (3 (k dt)²),

and the noise has cancelled. k is the first of 1, 2, 4 … at which D(2k) is at least twice D(k):
from there on the motion exceeds the noise.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.learning.transitions import Transitions
from gym_lagrangian.systems.base import System
from gym_lagrangian.systems.coordinates import Coordinates, Magnitudes
from gym_lagrangian.systems.sample import Ranges, varied

# States of a system that are drawn to find its magnitudes.
_DRAWN = 1024

# The longest time over which accelerations are taken, as a share of an episode.
_LONGEST = 0.25

# The least share of the largest power that a joint with a motor has.
_DRIVEN = 0.01


class Scales(NamedTuple):
    """Typical magnitudes of a motion, in SI units.

    Attributes:
        speed, acceleration, mass, momentum: s, a, κ and p, n numbers each.
        energy: h in joules.
        time: T in seconds.
        exceeds_noise: the time k dt in seconds over which the motion exceeds the noise.
    """

    speed: np.ndarray
    acceleration: np.ndarray
    mass: np.ndarray
    momentum: np.ndarray
    energy: float
    time: float
    exceeds_noise: float

    def settings(self, known: tuple[str, ...]) -> dict[str, Any]:
        """The settings of a model that are magnitudes.

        Arguments:
            known: the names of the model's settings. Without ``"mass_scale"`` its masses are 1.
        """
        has_mass = "mass_scale" in known
        energy = self.energy if has_mass else float(np.mean(self.speed**2))
        found = {
            "energy_scale": energy,
            "potential_scale": energy,
            "mass_scale": self.mass.tolist(),
            "quadratic_start": 1.0,
            "momentum_scale": self.momentum.tolist(),
            "acceleration_scale": self.acceleration.tolist(),
            "friction_scale": float(np.mean(self.mass * self.acceleration * self.speed)),
        }
        return {name: value for name, value in found.items() if name in known}


def scales(data: Transitions, coordinates: Coordinates) -> Scales:
    """The magnitudes above.

    Arguments:
        coordinates: those of the model, which state s.
    """
    typical = _of_motion(data, coordinates)
    if data.system is None:
        return typical
    return typical._replace(momentum=_momenta(data.system, data.q, data.qd, data.m))


def _of_motion(data: Transitions, coordinates: Coordinates) -> Scales:
    """The magnitudes that need no equations, momenta κ s."""
    speed = np.array(coordinates.magnitudes.qd)
    acceleration, lag = _acceleration(data)
    acceleration = _moving(acceleration, speed)
    mass, energy = _masses(data.tau.std(axis=0), speed, acceleration)
    time = float(np.min(speed / acceleration))
    return Scales(speed, acceleration, mass, mass * speed, energy, time, lag * data.dt)


def scales_of(system: System, ranges: Ranges | None = None) -> Scales:
    """The magnitudes of the states that a system draws to train on.

    Arguments:
        ranges: of the parameters that are drawn anew for every state.
    """
    draw = varied(system.sample, system, ranges or {})
    drawn = jax.vmap(draw)(jax.random.split(jax.random.key(0), _DRAWN))
    qdd = jax.jit(jax.vmap(system.acceleration))(drawn.q, drawn.qd, drawn.tau, drawn.m)
    counts = (np.asarray(drawn.weight) > 0) & np.isfinite(qdd).all(axis=1)
    if not counts.any():
        raise ConfigurationError(
            f"{system.name}.sample drew no state of {_DRAWN} with a finite acceleration and a "
            "positive weight"
        )
    q, qd, m = drawn.q[counts], drawn.qd[counts], drawn.m[counts]
    matrices = jax.jit(jax.vmap(system.mass_matrix))(q, qd, m)
    mass = np.asarray(jnp.diagonal(matrices, axis1=1, axis2=2), np.float64).mean(axis=0)
    speed = np.array(system.magnitudes.qd)
    acceleration = _moving(np.asarray(qdd, np.float64)[counts].std(axis=0), speed)
    energy, time = float(np.mean(mass * speed**2)), float(np.min(speed / acceleration))
    return Scales(speed, acceleration, mass, _momenta(system, q, qd, m), energy, time, 0.0)


def _moving(acceleration: np.ndarray, speed: np.ndarray) -> np.ndarray:
    """The spread of accelerations; where there is no motion at all, a number for it."""
    return np.where(acceleration > 0, acceleration, speed)


def _momenta(system: System, *states: Any) -> np.ndarray:
    """2 std ∂L/∂q̇ (n,) of true momenta."""
    states = tuple(jnp.asarray(array, jnp.float32) for array in states)
    spread = np.asarray(jax.jit(jax.vmap(system.momentum))(*states), np.float64).std(axis=0)
    return np.where(spread > 0, 2.0 * spread, 1.0)


def seen_as(data: Transitions) -> Coordinates:
    """The coordinates of the data, with the magnitudes of the data where none were stated.

    A length's is its largest value, an angle's one radian, a velocity's twice its standard
    deviation, a force's twice that as well. A joint without a motor has the force κ a of its
    motion.
    """
    coordinates = data.coordinates
    if not coordinates.estimated:
        return coordinates
    reach = np.where(coordinates.angular, 1.0, np.abs(data.q).max(axis=0))
    stated = [getattr(coordinates, name) for name in ("q_scale", "qd_scale", "tau_scale")]
    q, qd = stated[0] or _sizes(reach), stated[1] or _sizes(2.0 * data.qd.std(axis=0))
    known = coordinates.with_magnitudes(Magnitudes(q, qd, stated[2] or (1.0,) * coordinates.n))
    return known if stated[2] else known.with_magnitudes(Magnitudes(q, qd, _forces(data, known)))


def _forces(data: Transitions, coordinates: Coordinates) -> tuple[float, ...]:
    found = _of_motion(data, coordinates)
    spread = data.tau.std(axis=0)
    return _sizes(2.0 * np.where(spread > 0, spread, found.mass * found.acceleration))


def _sizes(values: np.ndarray) -> tuple[float, ...]:
    """The values, 1 in place of those that are zero."""
    return tuple(float(value) or 1.0 for value in values)


def _masses(
    force: np.ndarray, speed: np.ndarray, acceleration: np.ndarray
) -> tuple[np.ndarray, float]:
    """κ (n,) and h."""
    power = force * speed
    driven = (power > 0) & (power >= _DRIVEN * power.max())
    ratio = force / acceleration
    energy = float(np.mean((ratio * speed**2)[driven])) if driven.any() else 1.0
    return np.where(driven, ratio, energy / speed**2), energy


def _acceleration(data: Transitions) -> tuple[np.ndarray, int]:
    """The spread a (n,) of accelerations, and the largest k of a coordinate."""
    velocities, episode = _instants(data)
    longest = max(1, int(_LONGEST * np.bincount(episode).max()))
    lags = 2 ** np.arange(longest.bit_length())
    spread = np.array([_structure(velocities, episode, k) for k in lags.tolist()])
    coarse = np.sqrt(spread[-1]) / (lags[-1] * data.dt)
    if len(lags) == 1:
        return coarse, 1
    chosen = _first_above_noise(spread)
    gain = np.take_along_axis(np.diff(spread, axis=0), chosen[None], axis=0)[0]
    fine = np.sqrt(np.maximum(gain, 0.0) / 3.0) / (lags[chosen] * data.dt)
    return np.where(fine > 0, fine, coarse), int(lags[chosen].max())


def _first_above_noise(spread: np.ndarray) -> np.ndarray:
    """For each coordinate the first row of D (lags, n) that the next at least doubles; where there
    is none, the row after which it grows most.
    """
    growth = spread[1:] / np.maximum(spread[:-1], np.finfo(float).tiny)
    doubles = growth >= 2
    return np.where(doubles.any(axis=0), doubles.argmax(axis=0), growth.argmax(axis=0))


def _instants(data: Transitions) -> tuple[np.ndarray, np.ndarray]:
    """The velocities (N + episodes, n) of all instants, and the episode of each."""
    episode = data.episode
    ends = np.flatnonzero(np.diff(episode, append=-1))
    place = np.concatenate([np.arange(len(data)), ends + 0.5])
    order = np.argsort(place, kind="stable")
    velocities = np.concatenate([data.qd, data.next_qd[ends]])
    return velocities[order], np.concatenate([episode, episode[ends]])[order]


def _structure(velocities: np.ndarray, episode: np.ndarray, k: int) -> np.ndarray:
    """D(k) (n,)."""
    same = episode[k:] == episode[:-k]
    change = (velocities[k:] - velocities[:-k])[same]
    return np.mean(change**2, axis=0)
