"""States to learn from: what systems draw and models are judged on."""

from __future__ import annotations

from typing import NamedTuple

from jax import Array


class Sample(NamedTuple):
    """States to learn from: q, q̇, τ (n,), m (k,), and the weight of each in the loss."""

    q: Array
    qd: Array
    tau: Array
    m: Array
    weight: Array
