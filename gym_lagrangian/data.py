r"""Where training states come from: drawn afresh from the system, or a fixed set of arrays."""

from __future__ import annotations

import hashlib
import os
from abc import abstractmethod

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from gym_lagrangian.errors import DataError
from gym_lagrangian.sample import Sample
from gym_lagrangian.systems.base import System


class Source(eqx.Module):
    """Draws a batch of states and their accelerations from a key, inside jit."""

    @abstractmethod
    def batch(self, key: Array, size: int) -> tuple[Sample, Array]:
        """`size` samples and their true q̈ (size, n)."""

    @abstractmethod
    def description(self) -> str:
        """A sentence for the checkpoint."""


class FreshStates(Source):
    """Independent states from the system's `sample`, with exact accelerations."""

    system: System

    def batch(self, key: Array, size: int) -> tuple[Sample, Array]:
        samples = jax.vmap(self.system.sample)(jax.random.split(key, size))
        qdd = jax.vmap(self.system.acceleration)(samples.q, samples.qd, samples.tau, samples.m)
        return samples, qdd

    def description(self) -> str:
        return f"fresh states from {self.system.name}.sample, exact accelerations"


class FixedStates(Source):
    """Rows of a fixed data set, drawn with replacement."""

    samples: Sample
    qdd: Array
    label: str = eqx.field(static=True)

    def batch(self, key: Array, size: int) -> tuple[Sample, Array]:
        rows = jax.random.randint(key, (size,), 0, self.qdd.shape[0])
        return jax.tree.map(lambda array: array[rows], (self.samples, self.qdd))

    def description(self) -> str:
        return f"{self.label}, {self.qdd.shape[0]} fixed states"


def from_npz(path: str | os.PathLike[str], system: System) -> FixedStates:
    """The data set in an npz file, as float32.

    Arrays, N rows each: ``q``, ``qd``, ``qdd`` (N, n); optionally ``tau`` (N, n), default
    none, ``m`` (N, k), default the system's parameters, and ``weight`` (N,), default 1.

    Raises:
        DataError: unreadable file, a missing or unknown array, a wrong shape, no rows, or a
            value that is not finite; the message names the array.

    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: np.asarray(file[name]) for name in file.files}
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {os.fspath(path)!r} as an npz file: {error}") from error
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    label = f"{os.path.basename(os.fspath(path))} (SHA-256 {digest.hexdigest()[:16]})"
    return from_arrays(arrays, system, label=label)


def from_arrays(
    arrays: dict[str, np.ndarray], system: System, *, label: str = "given arrays"
) -> FixedStates:
    """As `from_npz`, from arrays in memory.

    Raises:
        DataError: as `from_npz`.

    """
    known = ("q", "qd", "qdd", "tau", "m", "weight")
    missing = [name for name in known[:3] if name not in arrays]
    unknown = [name for name in arrays if name not in known]
    if missing or unknown:
        raise DataError(
            f"{label}: missing arrays {missing}, unknown arrays {unknown}; expected q, qd, qdd "
            "and optionally tau, m, weight"
        )
    rows = arrays["q"].shape[0] if arrays["q"].ndim else 0
    if rows == 0:
        raise DataError(f"{label}: array q has no rows")
    k = len(system.parameters)
    shapes = {
        "q": (rows, system.n),
        "qd": (rows, system.n),
        "qdd": (rows, system.n),
        "tau": (rows, system.n),
        "m": (rows, k),
        "weight": (rows,),
    }
    for name, array in arrays.items():
        if array.shape != shapes[name]:
            raise DataError(
                f"{label}: array {name} has shape {array.shape}, expected {shapes[name]} for "
                f"{rows} states of {system.name} (n = {system.n}, k = {k})"
            )
        if not np.issubdtype(array.dtype, np.number) or not np.all(np.isfinite(array)):
            raise DataError(f"{label}: array {name} holds values that are not finite numbers")
    if "m" not in arrays and system.varying:
        raise DataError(
            f"{label}: {system.name} varies in {', '.join(system.varying)}; give an array m of "
            f"shape {shapes['m']} with columns {', '.join(system.parameters)}"
        )
    defaults = {
        "tau": np.zeros((rows, system.n)),
        "m": np.tile(system.parameter_bounds()[0], (rows, 1)),
        "weight": np.ones(rows),
    }
    full = {name: jnp.asarray(arrays.get(name, defaults.get(name)), jnp.float32) for name in known}
    qdd = full.pop("qdd")
    return FixedStates(Sample(**full), qdd, label)
