"""Names for shapes, which tests check by `jaxtyping` at every call.

``n`` counts coordinates and ``k`` parameters m; one call has one n and one k. NumPy arrays are
taken wherever JAX arrays are. Type checkers see plain JAX arrays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jax import Array
from jaxtyping import Bool, Float

from gym_lagrangian.physics.components import Components

if TYPE_CHECKING:
    AnyArray = Array
    VectorOrComponents = Array
else:
    AnyArray = Array | np.ndarray
    # What `lagrangian` is called with: q or q̇ as an array (n,), or as `Components`.
    VectorOrComponents = Float[AnyArray, " n"] | Components

Scalar = Float[AnyArray, ""]
Vector = Float[AnyArray, " n"]
Matrix = Float[AnyArray, "n n"]
Parameters = Float[AnyArray, " k"]
State = Float[AnyArray, " x"]  # x = 2n: (q, q̇), or (q, p)
States = Float[AnyArray, "steps x"]
Flag = Bool[AnyArray, ""]
