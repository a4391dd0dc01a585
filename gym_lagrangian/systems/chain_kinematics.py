r"""Kinematics of a planar chain, determined by the names of its coordinates.

A chain has the coordinate ``x`` if it stands on a cart, and then one angle a link, of one of two
kinds:

    theta1 … thetaN    absolute: of each link from hanging straight down
    joint1 … jointN    relative: of each link from the one before, the first from hanging down

Counter-clockwise is positive. With absolute angles θ and lengths l of the links, joint i + 1 is at
(x + Σ_{j≤i} l_j sin θ_j, −Σ_{j≤i} l_j cos θ_j), the tip being joint N + 1.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.systems.coordinates import Coordinates

CART = "x"
ABSOLUTE, RELATIVE = "absolute", "relative"
ANGLES = (ABSOLUTE, RELATIVE)
PREFIXES = {ABSOLUTE: "theta", RELATIVE: "joint"}


class Kind(NamedTuple):
    """What the names of a chain's coordinates say of it.

    Attributes:
        links: number of links.
        on_cart: whether the first coordinate is that of a cart.
        angles: ``"absolute"`` or ``"relative"``.
    """

    links: int
    on_cart: bool
    angles: str

    @property
    def coordinates(self) -> tuple[str, ...]:
        """The names of the coordinates."""
        prefix = PREFIXES[self.angles]
        cart = (CART,) if self.on_cart else ()
        return (*cart, *(f"{prefix}{i + 1}" for i in range(self.links)))

    @property
    def first(self) -> int:
        """The index of the first angle among the coordinates."""
        return int(self.on_cart)

    def absolute_of_own(self) -> np.ndarray:
        """The matrix S (n, n) with (x, θ) = S q: a cart's position and absolute angles."""
        n = self.first + self.links
        matrix = np.eye(n)
        if self.angles == RELATIVE:
            matrix[self.first :, self.first :] = np.tril(np.ones((self.links, self.links)))
        return matrix

    def joints_of_absolute(self) -> np.ndarray:
        """The matrix D (n, n) whose product with (ẋ, θ̇) are the velocities in the joints."""
        n = self.first + self.links
        matrix = np.eye(n)
        for i in range(self.first + 1, n):
            matrix[i, i - 1] = -1.0
        return matrix


def kind_of(coordinates: Coordinates) -> Kind:
    """What chain has these coordinates.

    Raises:
        ConfigurationError: none has them.
    """
    names = coordinates.coordinates
    on_cart = names[0] == CART
    for angles in ANGLES:
        kind = Kind(len(names) - on_cart, on_cart, angles)
        if kind.links and kind.coordinates == names:
            return kind
    raise ConfigurationError(
        f"{coordinates.name} has the coordinates {', '.join(names)}: expected those of a chain, "
        "theta1, theta2, … or joint1, joint2, …, with x before them for a cart"
    )


def absolute_angles(kind: Kind, q: Any) -> Any:
    """θ (links,): the angle of each link from hanging straight down."""
    angles = q[kind.first :]
    return angles.cumsum() if kind.angles == RELATIVE else angles


def lengths(coordinates: Coordinates, m: Any) -> Any:
    """l (links,) in m."""
    named = coordinates.named(m)
    of_links = [getattr(named, f"l{i + 1}") for i in range(kind_of(coordinates).links)]
    return module_of(m).stack(of_links)


def places(coordinates: Coordinates, q: Any, m: Any) -> Any:
    """Where the joints and the tip are, (links + 1, 2) in m, the pivot first."""
    kind, xp = kind_of(coordinates), module_of(q)
    theta, length = absolute_angles(kind, q), lengths(coordinates, m)
    steps = xp.stack([length * xp.sin(theta), -length * xp.cos(theta)], axis=1)
    zero = xp.zeros_like(theta[0])
    pivot = xp.stack([q[0] if kind.on_cart else zero, zero])[None]
    return xp.concatenate([pivot, pivot + steps.cumsum(axis=0)])


def two_link_angles(tip: Any, first: Any, second: Any) -> Any:
    """Absolute angles (2,) of two links of these lengths in m from hanging down whose tip is at
    `tip` (2,), the second turned counter-clockwise from the first; of a tip out of reach, as near
    to it as they come.
    """
    x, down = tip[0], -tip[1]
    squared = x**2 + down**2
    bent = (squared - first**2 - second**2) / (2.0 * first * second)
    elbow = jnp.arccos(jnp.clip(bent, -1.0, 1.0))
    sideways, along = second * jnp.sin(elbow), first + second * jnp.cos(elbow)
    shoulder = jnp.arctan2(x, down) - jnp.arctan2(sideways, along)
    return jnp.stack([shoulder, shoulder + elbow])


def module_of(array: Any) -> Any:
    """NumPy for its own arrays, which pictures are drawn of; `jax.numpy` elsewhere."""
    return np if isinstance(array, np.ndarray | np.generic) else jnp
