r"""The multilayer perceptron inside every model, with its exact second-order pass.

A scalar network N(x) = W_D σ(… σ(W_0 x + b_0) …) + b_D needs its gradient and its curvature
along a few directions u_1 … u_k to state an equation of motion. With z_l the pre-activations,
u̇_i z_l their derivatives along u_i and δ_l = ∂N/∂a_l the adjoint of the activation a_l = σ(z_l),

    u_iᵀ (∂²N/∂x²) u_j = Σ_l Σ_units δ_l σ''(z_l) (u̇_i z_l) (u̇_j z_l):

the curvature is born only in the activations, so no matrix product beyond the k tangents
forward and the one adjoint backward is spent on it (k + 2 in all; nesting automatic
differentiation spends 2k + 2). The sum over l and units is one sum at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import no_type_check

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from gym_lagrangian.checks import one_of, whole_number
from gym_lagrangian.physics.shapes import AnyArray

Inputs = Float[AnyArray, " inputs"]
Outputs = Float[AnyArray, " outputs"]
Directions = Float[AnyArray, "directions inputs"]
Curvature = Float[AnyArray, "directions directions"]
Weights = Float[AnyArray, "_ _"]
Units = Float[AnyArray, " units"]
Layer = tuple[Weights, Units]
Elements = Float[AnyArray, "..."]


def _softplus(z: Elements) -> tuple[Elements, ...]:
    decay = jnp.exp(-jnp.abs(z))
    s = jnp.where(z > 0, 1.0, decay) / (1.0 + decay)
    bend = s * (1.0 - s)
    return jnp.maximum(z, 0.0) + jnp.log1p(decay), s, bend, bend * (1.0 - 2.0 * s)


def _squareplus(z: Elements) -> tuple[Elements, ...]:
    """(z + √(z² + 4)) / 2, softplus's algebraic twin (Barron, 2021): no exponential to pay for."""
    r = jax.lax.rsqrt(z * z + 4.0)
    bend = 2.0 * r**3
    return 0.5 * (z + 1.0 / r), 0.5 * (1.0 + z * r), bend, -3.0 * z * r * r * bend


def _tanh(z: Elements) -> tuple[Elements, ...]:
    t = jnp.tanh(z)
    slope = 1.0 - t * t
    return t, slope, -2.0 * t * slope, slope * (6.0 * t * t - 2.0)


# Each activation with its first three derivatives: they share their one expensive term.
ACTIVATIONS: dict[str, Callable[[Elements], tuple[Elements, ...]]] = {
    "softplus": _softplus,
    "squareplus": _squareplus,
    "tanh": _tanh,
}


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def activate(activation: str, order: int, z: Elements) -> Elements:
    """The derivative of the named activation of the given order (0, 1, 2 or 3), elementwise."""
    return ACTIVATIONS[activation](z)[order]


@activate.defjvp
def _activate_jvp(activation, order, primals, tangents):
    (z,), (dz,) = primals, tangents
    if order < 3:
        return activate(activation, order, z), activate(activation, order + 1, z) * dz
    return jax.jvp(lambda z: ACTIVATIONS[activation](z)[order], (z,), (dz,))


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
    biases: tuple[Units, ...]
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
        value, tangents = x, list(directions)
        slopes, bends, bent = [], [], []
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            z = weight @ value + bias
            value, slope, bend = (activate(self.shape.activation, order, z) for order in range(3))
            tangents = [weight @ tangent for tangent in tangents]
            slopes.append(slope)
            bends.append(bend)
            bent.append(tangents)
            tangents = [slope * tangent for tangent in tangents]
        adjoint = (last[0] if last else self.weights[-1])[0]
        births = []
        for weight, slope, bend in zip(
            reversed(self.weights[:-1]), reversed(slopes), reversed(bends), strict=True
        ):
            births.append(adjoint * bend)
            adjoint = (adjoint * slope) @ weight
        born = jnp.concatenate(births[::-1])
        along = [jnp.concatenate(layers) for layers in zip(*bent, strict=True)]
        return adjoint, _symmetric([born * one for one in along], along)


def _symmetric(weighted: list[Units], vectors: list[Units]) -> Curvature:
    """The inner products w_i · v_j (k, k), given that they are symmetric."""
    k = len(vectors)
    upper = {(i, j): jnp.sum(weighted[i] * vectors[j]) for i in range(k) for j in range(i, k)}
    return jnp.stack([jnp.stack([upper[min(i, j), max(i, j)] for j in range(k)]) for i in range(k)])
