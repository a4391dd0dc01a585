r"""The paper's own implementation of its Eq. 2 (Appendix A), in current JAX.

    q̈ = pinv(∂²L/∂q̇²) (τ + ∂L/∂q − (∂²L/∂q∂q̇) q̇)

by nested automatic differentiation of the same network, its activation written plainly.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from gym_lagrangian.models import LNN


def appendix_a(model: LNN, q: Array, qd: Array, tau: Array, m: Array) -> Array:
    """q̈ (n,), equal to `model.acceleration` up to the damping of its solve."""

    def lagrangian(q, qd):
        # The model's Lagrangian is linear in its network: at a network of zeros it is the rest.
        empty = jax.tree.map(jnp.zeros_like, model)
        x = model.embedding.state(q, qd, m)
        weights, biases = model.network.weights, model.network.biases
        for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
            x = jax.nn.softplus(weight @ x + bias)
        return model.energy_scale * (weights[-1] @ x + biases[-1])[0] + empty.lagrangian(q, qd, m)

    hessian = jax.hessian(lagrangian, 1)(q, qd)
    mixed = jax.jacobian(jax.jacobian(lagrangian, 1), 0)(q, qd)
    return jnp.linalg.pinv(hessian) @ (tau + jax.grad(lagrangian, 0)(q, qd) - mixed @ qd)
