"""What users hand in, right and wrong, as hypothesis strategies; one for each kind."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

HUGE = 10**400

#: Numbers of every size, and what is none.
numbers = st.one_of(
    st.floats(),
    st.floats(0.1, 3.0),
    st.integers(-(10**25), 10**25),
    st.sampled_from([HUGE, -HUGE, 0, -0.0, 5e-324, 1e39, -3.5e38, 1.7e308]),
)
oddities = st.one_of(
    st.none(),
    st.booleans(),
    st.text(max_size=5),
    st.binary(max_size=5),
    st.complex_numbers(),
    st.just(object()),
    st.just([[1], [1, 2]]),
    st.just({"a": 1}),
    st.just(np.timedelta64(3, "s")),
    st.just(np.ma.masked),
    st.just(np.ma.array([1.0, 2.0], mask=[True, False])),
    st.lists(st.floats(), max_size=3),
)
anything = st.one_of(numbers, oddities)

_TYPES = ("f2", "f4", "f8", "i4", "u8", "?", "c8", "m8[s]", "U2", "O")


def arrays(*shapes: tuple[int, ...]):
    """Arrays of one of the shapes, or of another one, of every type; some of jax, some lists."""
    shape = st.one_of(st.sampled_from(shapes), arrays_of.array_shapes(max_dims=2, max_side=5))

    def filled(dtype: str):
        if dtype == "O":
            return arrays_of.arrays(object, shape, elements=anything)
        return arrays_of.arrays(np.dtype(dtype), shape)

    drawn = st.sampled_from(_TYPES).flatmap(filled)
    small = arrays_of.arrays(np.float64, shape, elements=st.floats(-2.0, 2.0))
    masked = small.map(lambda array: np.ma.array(array, mask=array > 0))
    listed = drawn.map(lambda array: array.tolist())
    return st.one_of(drawn, small, small.map(jnp.asarray), masked, listed, oddities)


#: JSON, as a header may have it.
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(10**25), 10**25), st.just(HUGE), st.floats())
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)

#: Names of files that are, are not, and cannot be.
paths = st.one_of(
    st.sampled_from(
        ["/", "/dev/null", "/dev/zero", "~", "", ".", "x" * 5000, "a\0", "/proc/self/mem"]
    ),
    st.text(max_size=20),
    oddities,
)
