r"""Friction: generalized forces F(q, q̇, m) that only ever take energy out, q̇ᵀF ≤ 0.

    viscous    F_i = −c_i q̇_i
    Coulomb    F_i = −c_i tanh(q̇_i / w_i)

with c ≥ 0. Coulomb's force keeps its size whatever the speed, and is smooth here: within a few
widths w of rest it is viscous, with the coefficient c / w. A narrow width makes it stiff. With
friction the equation of motion reads M q̈ = τ + f + F, and the energy balance dE/dt = q̇ᵀτ + q̇ᵀF.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from gym_lagrangian.checks import positive_number
from gym_lagrangian.physics.shapes import Vector

# The least width w of Coulomb's force that models learn, as a share of a typical velocity: a
# narrower one makes the motion stiff.
NARROWEST = 0.01


def viscous(qd: Vector, coefficients: ArrayLike) -> Vector:
    """−c q̇, shape (n,).

    Arguments:
        coefficients: c ≥ 0 in N·s/m (along a length) or N·m·s (about an angle), one or n of them.
    """
    return -jnp.asarray(coefficients, qd.dtype) * qd


def coulomb(qd: Vector, coefficients: ArrayLike, width: float | tuple[float, ...]) -> Vector:
    """−c tanh(q̇ / w), shape (n,).

    Arguments:
        coefficients: c ≥ 0 in N or N·m, one or n of them.
        width: w in m/s or rad/s, one or n of them.

    Raises:
        ConfigurationError: a width that is not positive.
    """
    widths = [positive_number("width of Coulomb friction", w) for w in np.atleast_1d(width)]
    w = jnp.asarray(widths if np.ndim(width) else widths[0], qd.dtype)
    return -jnp.asarray(coefficients, qd.dtype) * jnp.tanh(qd / w)
