"""The multilayer perceptron inside every model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import no_type_check

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from gym_lagrangian.checks import one_of, whole_number
from gym_lagrangian.models.activations import ACTIVATIONS, activate
from gym_lagrangian.models.second_order import (
    Curvature,
    Directions,
    Hidden,
    Inputs,
    Neurons,
    Weights,
    second_order,
)
from gym_lagrangian.physics.shapes import AnyArray

Outputs = Float[AnyArray, " outputs"]
Layer = tuple[Weights, Neurons]


def fan_in(key: Array, sizes: tuple[int, ...]) -> tuple[Weights, ...]:
    """Standard deviation 1/√(fan-in) in every layer."""
    keys = jax.random.split(key, len(sizes) - 1)
    return tuple(
        jax.random.normal(k, (o, i)) / jnp.sqrt(i)
        for k, i, o in zip(keys, sizes[:-1], sizes[1:], strict=True)
    )


def paper(key: Array, sizes: tuple[int, ...]) -> tuple[Weights, ...]:
    """Appendix B, Eq. 3: σ = (1/√n) · {2.2 first; 0.58 i hidden layer i ≥ 1; n output}."""
    keys = jax.random.split(key, len(sizes) - 1)
    n = sizes[1]
    last = len(sizes) - 2
    deviation = [2.2] + [0.58 * i for i in range(1, last)] + [float(n)]
    return tuple(
        jax.random.normal(k, (o, i)) * d / jnp.sqrt(n)
        for k, i, o, d in zip(keys, sizes[:-1], sizes[1:], deviation, strict=True)
    )


def gentle(key: Array, sizes: tuple[int, ...]) -> tuple[Weights, ...]:
    """As `fan_in`, and a tenth of that in the last layer: a function that is nearly constant. An
    untrained mass matrix that varies with q is felt by q̇²: fast motion blows up within a step.
    """
    *hidden, last = fan_in(key, sizes)
    return (*hidden, 0.1 * last)


INITIALISERS: dict[str, Callable[[Array, tuple[int, ...]], tuple[Weights, ...]]] = {
    "fan_in": fan_in,
    "paper": paper,
    "gentle": gentle,
}

CONDITIONINGS = ("input", "product")


@no_type_check  # of a wrong type it speaks itself
@dataclass(frozen=True)
class Shape:
    """What a network is made of, apart from how many numbers go in and come out.

    Attributes:
        width, depth: units in a hidden layer, and hidden layers.
        activation: a name in `ACTIVATIONS`; smooth, since q̈ may be made of second derivatives.
        initialiser: the name in `INITIALISERS` of what draws the first weights: ``"fan_in"``,
            ``"gentle"`` for a nearly constant function, or ``"paper"`` for Appendix B.
        conditioning: how the parameters enter that a model is conditioned on: ``"input"``, beside
            the state; or ``"product"``, as factors, see `gym_lagrangian.models.product`.

    Raises:
        ConfigurationError: an unknown activation, initialiser or conditioning, or a size below 1.
    """

    width: int
    depth: int = 3
    activation: str = "softplus"
    initialiser: str = "fan_in"
    conditioning: str = "input"

    def __post_init__(self):
        object.__setattr__(self, "width", whole_number("width", self.width, most=2**16))
        object.__setattr__(self, "depth", whole_number("depth", self.depth, most=2**10))
        one_of("activation", self.activation, ACTIVATIONS)
        one_of("initialiser", self.initialiser, INITIALISERS)
        one_of("conditioning", self.conditioning, CONDITIONINGS)


class Network(eqx.Module):
    """Dense layers with one smooth activation between them; biases start at zero.

    Attributes:
        weights: one (outputs, inputs) matrix a layer.
        biases: one (outputs,) vector a layer.
        shape: hidden layers, activation and initialiser.
    """

    weights: tuple[Weights, ...]
    biases: tuple[Neurons, ...]
    shape: Shape = eqx.field(static=True)

    def __init__(self, inputs: int, outputs: int, shape: Shape, *, key: Array):
        """Random weights: `shape.depth` hidden layers, `shape.depth` + 1 matrices."""
        sizes = (inputs, *([shape.width] * shape.depth), outputs)
        self.weights = INITIALISERS[shape.initialiser](key, sizes)
        self.biases = tuple(jnp.zeros(size) for size in sizes[1:])
        self.shape = shape

    def __call__(self, x: Inputs, last: Layer | None = None) -> Outputs:
        """The outputs for one input: (inputs,) → (outputs,).

        Arguments:
            last: another last layer in place of its own.
        """
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            x = activate(self.shape.activation, 0, weight @ x + bias)
        weight, bias = last or (self.weights[-1], self.biases[-1])
        return weight @ x + bias

    def second_order(
        self, x: Inputs, directions: Directions, last: Layer | None = None
    ) -> tuple[Inputs, Curvature]:
        """Gradient (inputs,) and curvature (k, k) along `directions` (k, inputs) at `x`.

        For a network with one output; equal to `jax.grad` and `jax.hessian` of it.
        """
        row = (last[0] if last else self.weights[-1])[0]
        hidden = Hidden(self.weights[:-1], self.biases[:-1], self.shape.activation)
        return second_order(hidden, row, x, directions)
