r"""Gradient and curvature of a network with one output, in one pass over its layers.

A scalar network N(x) = W_D σ(… σ(W_0 x + b_0) …) + b_D needs its gradient and its curvature
along a few directions u_1 … u_k to state an equation of motion. With z_l the pre-activations,
u̇_i z_l their derivatives along u_i and δ_l = ∂N/∂a_l the adjoint of the activation a_l = σ(z_l),

    u_iᵀ (∂²N/∂x²) u_j = Σ_l Σ_units δ_l σ''(z_l) (u̇_i z_l) (u̇_j z_l):

curvature arises in the activations alone, so it costs no matrix product beyond those of the k
tangents forward and of the one adjoint backward (k + 2 in all; nested automatic differentiation
costs 2k + 2).

A batch is passed through with its axis last, so that every product of a layer is one matrix
product and nothing is transposed between layers. `jax.vmap` alone would put the axis elsewhere.
On a processor the batch goes through in blocks whose intermediate results stay in its cache.
Derivatives of the pass are those of the pass for one sample.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Float

from gym_lagrangian.models.activations import activate
from gym_lagrangian.physics.shapes import AnyArray

Inputs = Float[AnyArray, " inputs"]
Directions = Float[AnyArray, "directions inputs"]
Curvature = Float[AnyArray, "directions directions"]
Weights = Float[AnyArray, "_ _"]
Neurons = Float[AnyArray, " units"]

# What a block of a batch keeps of its pass: about half of a core's second-level cache.
BLOCK_BYTES = 2**20
SMALLEST_BLOCK = 64


class Hidden(eqx.Module):
    """The hidden layers of a network.

    Attributes:
        weights: one (units, inputs) matrix a layer.
        biases: one (units,) vector a layer.
        activation: the name of the function after each.
    """

    weights: tuple[Weights, ...]
    biases: tuple[Neurons, ...]
    activation: str = eqx.field(static=True)


@jax.custom_jvp
def second_order(
    hidden: Hidden, last: Neurons, x: Inputs, directions: Directions
) -> tuple[Inputs, Curvature]:
    """Gradient (inputs,) and curvature (k, k) along `directions` (k, inputs) at `x` (inputs,).

    Arguments:
        last: the weights (units,) of the last layer.
    """
    return _one_or_many(hidden, last, x, directions)


@partial(second_order.defjvp, symbolic_zeros=True)
def _second_order_jvp(primals, tangents):
    """Of what moves alone: derivatives by states leave the weights as they are."""
    leaves, structure = jax.tree.flatten(primals)
    rates = jax.tree.leaves(tangents)
    moving = [i for i, rate in enumerate(rates) if not isinstance(rate, SymbolicZero)]

    def of(*moved):
        now = [*leaves]
        for i, leaf in zip(moving, moved, strict=True):
            now[i] = leaf
        return jax.tree.map(_batched_first, _passed(*jax.tree.unflatten(structure, now)))

    return jax.jvp(of, [leaves[i] for i in moving], [rates[i] for i in moving])


def _batched_first(array):
    """The same array. Of a batch it has the axis of the batch first, where `_batch` has it: JAX
    confuses the two where a derivative is taken of a function that was compiled before.
    """
    return array.reshape(1, *array.shape).reshape(array.shape)


@custom_vmap
def _one_or_many(hidden, last, x, directions):
    return _passed(hidden, last, x, directions)


@_one_or_many.def_vmap
def _many(size, batched, hidden, *arrays):
    if any(jax.tree.leaves(batched[0])):
        return _each_its_own(_passed, batched, hidden, *arrays)
    return _batch(hidden, *_repeated(size, batched, arrays)), (True, True)


@custom_vmap
def _batch(hidden, *arrays):
    """The passes of a batch, whose axis is the first of all arrays."""
    return jax.lax.platform_dependent(hidden, *arrays, cpu=_in_blocks, default=_with_batch_last)


@_batch.def_vmap
def _batch_of_batches(size, batched, hidden, *arrays):
    if any(jax.tree.leaves(batched[0])):
        return _each_its_own(_with_batch_last, batched, hidden, *arrays)
    merged = [a.reshape(-1, *a.shape[2:]) for a in _repeated(size, batched, arrays)]
    found = _batch(hidden, *merged)
    return tuple(part.reshape(size, -1, *part.shape[1:]) for part in found), (True, True)


def _each_its_own(function, batched, *arguments):
    """What a function gives where every sample has layers of its own."""
    axes = jax.tree.map(lambda one: 0 if one else None, tuple(batched))
    return jax.vmap(function, in_axes=axes)(*arguments), (True, True)


def _repeated(size, batched, arrays):
    """The arrays, each with the axis of the batch first."""
    return [
        array if one else jnp.broadcast_to(array, (size, *array.shape))
        for array, one in zip(arrays, batched[1:], strict=True)
    ]


def _in_blocks(hidden: Hidden, *arrays: AnyArray) -> tuple[AnyArray, ...]:
    """As `_with_batch_last`, block after block."""
    size, length = len(arrays[0]), _block_length(hidden, *arrays)
    blocks = math.ceil(size / length)
    if blocks == 1:
        return _with_batch_last(hidden, *arrays)
    length = math.ceil(size / blocks)

    def cut(array: AnyArray) -> AnyArray:
        missing = [(0, blocks * length - size)] + [(0, 0)] * (array.ndim - 1)
        return jnp.pad(array, missing).reshape(blocks, length, *array.shape[1:])

    found = jax.lax.map(lambda some: _with_batch_last(hidden, *some), [cut(a) for a in arrays])
    return tuple(part.reshape(-1, *part.shape[2:])[:size] for part in found)


def _block_length(hidden: Hidden, last: AnyArray, x: AnyArray, directions: AnyArray) -> int:
    """Samples in a block: each keeps a value, an adjoint and k tangents of every unit."""
    units = sum(len(bias) for bias in hidden.biases)
    kept = (directions.shape[1] + 2) * units * x.dtype.itemsize
    return max(BLOCK_BYTES // kept, SMALLEST_BLOCK)


def _with_batch_last(hidden: Hidden, *arrays: AnyArray) -> tuple[AnyArray, ...]:
    """The pass of a batch, whose axis is the first of all arrays."""
    found = _passed(hidden, *(jnp.moveaxis(array, 0, -1) for array in arrays))
    return tuple(jnp.moveaxis(part, -1, 0) for part in found)


def _passed(
    hidden: Hidden, last: AnyArray, x: AnyArray, directions: AnyArray
) -> tuple[AnyArray, AnyArray]:
    """As `second_order`, of one sample, or of a batch whose axis is the last of all arrays."""
    alone = x.ndim == 1
    value, tangents = x, list(directions)
    layers = []
    for weight, bias in zip(hidden.weights, hidden.biases, strict=True):
        z = weight @ value + bias.reshape(-1, *[1] * (x.ndim - 1))
        value, slope, bend = (activate(hidden.activation, order, z) for order in range(3))
        bent = [weight @ tangent for tangent in tangents]
        tangents = [slope * tangent for tangent in bent]
        layers.append((weight, slope, bend, bent))
    adjoint, born = last, []
    for weight, slope, bend, bent in reversed(layers):
        born.append((adjoint * bend, bent))
        back = adjoint * slope
        adjoint = back @ weight if alone else weight.T @ back
    if alone:  # one sum over all layers: it and its derivatives are faster
        born = [_joined(born)]
    sums = [_upper(*layer) for layer in born]
    return adjoint, _symmetric(jax.tree.map(lambda *layers: sum(layers), *sums))


def _joined(layers):
    """The units of all layers as those of one: weights, and as many vectors."""
    weights, vectors = zip(*layers, strict=True)
    return jnp.concatenate(weights), [jnp.concatenate(v) for v in zip(*vectors, strict=True)]


def _upper(weights: AnyArray, vectors: Sequence[AnyArray]) -> list[list[AnyArray]]:
    """Σ_units weights · v_i · v_j, row by row from the diagonal on."""
    weighted = [weights * vector for vector in vectors]
    return [
        [jnp.sum(one * other, axis=0) for other in vectors[i:]] for i, one in enumerate(weighted)
    ]


def _symmetric(upper: Sequence[Sequence[AnyArray]]) -> AnyArray:
    """The symmetric matrix whose rows are given from the diagonal on."""
    k = len(upper)
    return jnp.stack(
        [jnp.stack([upper[min(i, j)][abs(i - j)] for j in range(k)]) for i in range(k)]
    )
