r"""Random actions for the first episodes.

White noise in short steps averages out before a pendulum moves, and a force that holds too long
drives a cart off its track or spins a light link. The actions here are a first-order
autoregression with a correlation time of T,

    u_k = clip(σ ε_k, −1, 1),    ε_k = β ε_{k−1} + √(1 − β²) η_k,    β = exp(−dt / T),

with T = 0.1 s and σ = ½: smooth for short steps, nearly independent for long ones. Gentle motion
is the easiest to learn from first.
"""

from __future__ import annotations

import numpy as np

# T in seconds, and σ as a share of a full action.
_CORRELATED, _SIZE = 0.1, 0.5


def random_actions(size: int, steps: int, dt: float, seed: np.random.SeedSequence) -> np.ndarray:
    """Smooth random actions (steps, size), shares of the full forces.

    Arguments:
        dt: seconds in a step.
    """
    beta = float(np.exp(-dt / _CORRELATED))
    noise = np.random.default_rng(seed).normal(size=(steps, size))
    for k in range(1, steps):
        noise[k] = beta * noise[k - 1] + (1.0 - beta**2) ** 0.5 * noise[k]
    return np.clip(_SIZE * noise, -1.0, 1.0)
