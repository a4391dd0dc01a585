r"""How points in space are drawn: their parallel projection onto a picture, in metres.

The eye looks at the origin from far away, from the azimuth a (about z, from the x axis) and the
elevation e (above the x–y plane). With the z axis upright in the picture, its axes are

    right = (−sin a, cos a, 0),    up = (−sin e cos a, −sin e sin a, cos e).

Lengths across the line of sight are kept, so a picture's extent is the same as the world's.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from gym_lagrangian.systems.scene import Point

# The default view: x to the right and a little towards the eye, y away from it, z up.
AZIMUTH, ELEVATION = np.radians(-65.0), np.radians(22.0)


def projected(
    point: ArrayLike, azimuth: float = AZIMUTH, elevation: float = ELEVATION
) -> np.ndarray:
    """Where points (…, 3) in m are in the picture, (…, 2) in m.

    Arguments:
        azimuth, elevation: of the eye, in rad.
    """
    sine, cosine = np.sin(azimuth), np.cos(azimuth)
    right = (-sine, cosine, 0.0)
    up = (-np.sin(elevation) * cosine, -np.sin(elevation) * sine, np.cos(elevation))
    return np.asarray(point, np.float64) @ np.array([right, up]).T


def points(places: ArrayLike) -> tuple[Point, ...]:
    """The projections of places (k, 3), as a scene takes them."""
    return tuple((x, y) for x, y in projected(places).tolist())


def circle(radius: float, height: float = 0.0, corners: int = 48) -> np.ndarray:
    """A closed circle about the z axis, (corners + 1, 3) in m."""
    turn = np.linspace(0.0, 2.0 * np.pi, corners + 1)
    return np.stack(
        [radius * np.cos(turn), radius * np.sin(turn), np.full_like(turn, height)], axis=1
    )
