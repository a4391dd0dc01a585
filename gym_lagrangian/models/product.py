r"""A network whose parameters enter as factors.

Masses and lengths enter a Lagrangian as factors of functions of the state: L(q, q̇, m) is a sum
Σ_k c_k(m) L_k(q, q̇) with few terms. So does N here,

    N(x, m) = W(m) a(x) + b(m),    W(m) = W_0 + Σ_k φ_k(m) W_k,    b(m) = b_0 + Σ_k φ_k(m) b_k,

with a(x) the last hidden layer of a network that sees the state alone. Masses enter linearly and
lengths quadratically, so the factors are products of polynomials of the single parameters,

    φ_k(m) = Π_j (1 + a_kj y_j + b_kj y_j²),    y = m / scale − 1,

with numbers a and b that are learned. A network that has m among its inputs has to find the
products itself.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from gym_lagrangian.models.network import (
    Curvature,
    Directions,
    Inputs,
    Layer,
    Network,
    Neurons,
    Outputs,
    Shape,
    Weights,
)
from gym_lagrangian.physics.shapes import AnyArray

State = Float[AnyArray, " state"]

# How many factors φ there are.
FACTORS = 16


class Polynomials(eqx.Module):
    """φ as above.

    Attributes:
        slopes, bends: a and b (factors, k).
    """

    slopes: Weights
    bends: Weights

    def __init__(self, parameters: int, *, key: Array):
        """Random slopes of order one; bends start at zero."""
        self.slopes = jax.random.normal(key, (FACTORS, parameters))
        self.bends = jnp.zeros((FACTORS, parameters))

    def __call__(self, m: Inputs) -> Neurons:
        """The factors (factors,) for scaled parameters m (k,)."""
        y = m - 1.0
        return jnp.prod(1.0 + self.slopes * y + self.bends * y**2, axis=1)


class ProductNetwork(eqx.Module):
    """N as above, of one vector that holds x and m.

    Attributes:
        trunk: what sees x; W_0 and b_0 are its last layer.
        factors: φ.
        weights, biases: W_k, as one matrix (outputs · width, factors), and b_k (outputs, factors).
        start, end: which of the inputs are m.
    """

    trunk: Network
    factors: Polynomials
    weights: Weights
    biases: Weights
    start: int = eqx.field(static=True)
    end: int = eqx.field(static=True)

    def __init__(
        self, inputs: int, outputs: int, shape: Shape, *, parameters: tuple[int, int], key: Array
    ):
        """Random weights; `parameters` are the first input that is m, and the first after m."""
        self.start, self.end = parameters
        count = self.end - self.start
        key_factors, key_weights = jax.random.split(jax.random.fold_in(key, 1))
        self.trunk = Network(inputs - count, outputs, shape, key=key)
        self.factors = Polynomials(count, key=key_factors)
        spread = jax.random.normal(key_weights, (outputs * shape.width, FACTORS))
        self.weights = spread / jnp.sqrt(FACTORS * shape.width)
        self.biases = jnp.zeros((outputs, FACTORS))

    @property
    def shape(self) -> Shape:
        """That of the trunk."""
        return self.trunk.shape

    def __call__(self, x: Inputs) -> Outputs:
        """The outputs for one input: (inputs,) → (outputs,)."""
        return self.trunk(self._state(x), self._last(x))

    def second_order(self, x: Inputs, directions: Directions) -> tuple[Inputs, Curvature]:
        """As of `Network`, along directions that leave m as it is; the gradient is 0 along m."""
        along = jnp.concatenate([directions[:, : self.start], directions[:, self.end :]], axis=1)
        gradient, curvature = self.trunk.second_order(self._state(x), along, self._last(x))
        fixed = jnp.zeros(self.end - self.start, gradient.dtype)
        parts = [gradient[: self.start], fixed, gradient[self.start :]]
        return jnp.concatenate(parts), curvature

    def _state(self, x: Inputs) -> State:
        return jnp.concatenate([x[: self.start], x[self.end :]])

    def _last(self, x: Inputs) -> Layer:
        """W(m) and b(m)."""
        factors = self.factors(x[self.start : self.end])
        weights, biases = self.trunk.weights[-1], self.trunk.biases[-1]
        added = (self.weights @ factors).reshape(weights.shape)
        return weights + added, biases + self.biases @ factors
