"""A vector as separate scalars, for Lagrangians that use no array operations."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from typing import SupportsIndex, overload

from jax import Array


class Components:
    """The entries of a vector (n,), each a scalar of its own.

    They can be indexed (from the end as well), sliced, counted, iterated over and unpacked: all of
    it means what it means for an array. Everything else raises `TypeError`, arithmetic above all:
    ``2 * q`` doubles an array and would repeat a tuple.
    """

    __slots__ = ("_entries",)
    __array_ufunc__ = None  # NumPy leaves an operation to this class, which has none
    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def __init__(self, entries: Sequence[Array]):
        self._entries = tuple(entries)

    @overload
    def __getitem__(self, index: SupportsIndex) -> Array: ...
    @overload
    def __getitem__(self, index: slice) -> Components: ...

    def __getitem__(self, index: SupportsIndex | slice) -> Array | Components:
        if isinstance(index, slice):
            return Components(self._entries[index])
        if isinstance(index, bool):  # adds an axis to an array
            raise TypeError("components are indexed by integers, not by booleans")
        return self._entry(operator.index(index))

    def _entry(self, index: int) -> Array:
        n = len(self)
        if not -n <= index < n:  # JAX would clamp it without a word
            raise IndexError(f"index {index} is out of range: there are {n} coordinates")
        return self._entries[index]

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Array]:
        return iter(self._entries)

    def __repr__(self) -> str:
        return f"Components({', '.join(map(repr, self._entries))})"

    # Python would answer these two by identity, and truth by length.

    def __eq__(self, other: object) -> bool:
        raise _refusal("==")

    def __ne__(self, other: object) -> bool:
        raise _refusal("!=")

    def __bool__(self) -> bool:
        raise _refusal("bool")


def _refusal(operation: str) -> TypeError:
    return TypeError(f"components have no operation {operation!r}; index them first")
