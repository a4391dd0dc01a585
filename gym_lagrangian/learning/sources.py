r"""Where training states come from: drawn afresh from the system, or a fixed set of arrays.

What a model learns of a state is its true acceleration or, for a model with a `Horizon`, the
true states that follow.
"""

from __future__ import annotations

import hashlib
import math
import os
from abc import abstractmethod
from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from gym_lagrangian.checks import numbers_in, shown
from gym_lagrangian.errors import DataError
from gym_lagrangian.learning.npz import read_npz
from gym_lagrangian.models.base import Horizon, Model
from gym_lagrangian.physics.dynamics import ContinuousDynamics
from gym_lagrangian.registration import distributions_of
from gym_lagrangian.systems.base import System
from gym_lagrangian.systems.coordinates import Coordinates
from gym_lagrangian.systems.sample import Ranges, Sample, varied


def drawn(key: Array, size: int, count: Array | int, bootstrap: Array | None) -> Array:
    """`size` of `count` rows, with replacement.

    Arguments:
        bootstrap: a jax key that stands for a resample of the rows, `count` of them drawn with
            replacement once, of which the batch is drawn; None for the rows themselves.
    """
    chosen = jax.random.randint(key, (size,), 0, count)
    if bootstrap is None:
        return chosen

    def resampled(place: Array) -> Array:
        return jax.random.randint(jax.random.fold_in(bootstrap, place), (), 0, count)

    return jax.vmap(resampled)(chosen)


class Source(eqx.Module):
    """Draws a batch of states and what is to be learned of them from a key, inside jit."""

    @abstractmethod
    def batch(self, key: Array, size: int) -> tuple[Sample, Array]:
        """`size` samples and their targets: q̈ (size, n), or states (size, steps, 2n)."""

    def loss(self, model: Model, sample: Sample, target: Array) -> Array:
        """What is minimised for one sample, a scalar: the model's own loss."""
        return model.loss(sample, target)

    def resampled(self, bootstrap: Array) -> Source:
        """The source of a member of an ensemble, which learns from a resample of the rows (see
        `drawn`); itself where every batch is of fresh states.
        """
        return self

    @abstractmethod
    def description(self) -> str:
        """A sentence for the checkpoint."""

    @property
    @abstractmethod
    def forced(self) -> bool:
        """Whether forces act on any of the states."""


class FreshStates(Source):
    """Independent states from the system's `sample`, with the exact targets of `horizon`.

    Attributes:
        ranges: rows (name, low, high) of the parameters that are drawn anew for every state.
        law: by which they are drawn, see `systems.sample.varied`.
    """

    system: System
    horizon: Horizon | None = eqx.field(static=True, default=None)
    ranges: tuple[tuple[str, float, float], ...] = eqx.field(static=True, default=())
    law: str = eqx.field(static=True, default="uniform")

    def batch(self, key: Array, size: int) -> tuple[Sample, Array]:
        ranges = {name: (low, high) for name, low, high in self.ranges}
        draw = varied(self.system.sample, self.system, ranges, self.law)
        samples = jax.vmap(draw)(jax.random.split(key, size))
        return _with_targets(self.system, samples, self.horizon)

    def description(self) -> str:
        target = "accelerations"
        if self.horizon is not None:
            target = f"motion over {self.horizon.steps} × {self.horizon.dt:g} s"
        law = "U" if self.law == "uniform" else self.law
        drawn = "".join(f", {name} ~ {law}({low:g}, {high:g})" for name, low, high in self.ranges)
        return f"fresh states from {self.system.name}.sample{drawn}, exact {target}"

    @property
    def forced(self) -> bool:
        return True


class FixedStates(Source):
    """Rows of a fixed data set, drawn with replacement."""

    samples: Sample
    targets: Array
    label: str = eqx.field(static=True)
    bootstrap: Array | None = None

    def resampled(self, bootstrap: Array) -> FixedStates:
        return replace(self, bootstrap=bootstrap)

    def batch(self, key: Array, size: int) -> tuple[Sample, Array]:
        rows = drawn(key, size, self.targets.shape[0], self.bootstrap)
        return jax.tree.map(lambda array: array[rows], (self.samples, self.targets))

    def description(self) -> str:
        return f"{self.label}, {self.targets.shape[0]} fixed states"

    @property
    def forced(self) -> bool:
        return bool(jnp.any(self.samples.tau != 0.0))


def _with_targets(system: System, samples: Sample, horizon: Horizon | None) -> tuple[Sample, Array]:
    """Samples and what is to be learned of them, by the exact dynamics."""
    if horizon is not None:
        return jax.vmap(lambda sample: _motion(system, sample, horizon))(samples)
    qdd = jax.vmap(system.acceleration)(samples.q, samples.qd, samples.tau, samples.m)
    return samples, qdd


def _motion(system: System, sample: Sample, horizon: Horizon) -> tuple[Sample, Array]:
    """The states that follow; the weight is zero where they leave the domain of L."""
    substeps = system.default_substeps(horizon.dt, learned=False)
    dynamics = ContinuousDynamics(system, "dop853", substeps)
    start = jnp.concatenate([sample.q, sample.qd])
    states = dynamics.trajectory(start, sample.tau, sample.m, horizon.dt, horizon.steps)
    valid = jnp.all(jnp.isfinite(states))
    weight = jnp.where(valid, sample.weight, 0.0)
    return sample._replace(weight=weight), jnp.where(valid, states, start)


def protocol_states(
    system: System,
    count: int,
    horizon: Horizon | None = None,
    *,
    key: Array,
    ranges: Ranges | None = None,
    law: str = "uniform",
) -> FixedStates:
    """`count` unforced states of those on which models are judged, drawn once.

    Arguments:
        ranges: of the parameters that are drawn anew for every state.
        law: by which they are drawn, see `systems.sample.varied`.
    """
    chosen = distributions_of(system)
    draw = varied(chosen.states, system, ranges or {}, law)
    samples = jax.vmap(draw)(jax.random.split(key, count))
    full = eqx.filter_jit(_with_targets)(system, samples, horizon)
    return FixedStates(*full, f"unforced, from {chosen.label} of {system.name}")


def states_of(
    system: System,
    count: int | None,
    horizon: Horizon | None,
    *,
    key: Array,
    ranges: Ranges,
    law: str,
) -> Source:
    """Fresh states, or `count` of `protocol_states`."""
    if count is not None:
        return protocol_states(system, count, horizon, key=key, ranges=ranges, law=law)
    rows = tuple((name, low, high) for name, (low, high) in ranges.items())
    return FreshStates(system, horizon, rows, law)


def digest(arrays: dict[str, np.ndarray]) -> str:
    """The SHA-256 of the arrays in the order of their names."""
    found = hashlib.sha256()
    for name in sorted(arrays):
        found.update(np.ascontiguousarray(arrays[name]).tobytes())
    return found.hexdigest()


def from_npz(
    path: str | os.PathLike[str], system: System, horizon: Horizon | None = None
) -> FixedStates:
    """The data set in an npz file, as float32.

    Arrays, N rows each: ``q``, ``qd``, ``qdd`` (N, n); optionally ``tau`` (N, n), default
    none, ``m`` (N, k), default the system's parameters, and ``weight`` (N,), default 1. For a
    model with a horizon, in place of ``qdd``: ``states`` (N, steps or more, 2n), those that
    follow q, q̇ under the same forces, and the number ``dt``, the seconds between them.

    Raises:
        DataError: unreadable file, a missing or unknown array, a wrong shape, no rows, a
            value that is not finite, or states of another ``dt``; the message names the array.
    """
    arrays = read_npz(path)
    return from_arrays(arrays, system, horizon, label=label_of(path, arrays))


def label_of(path: str | os.PathLike[str], arrays: dict[str, np.ndarray]) -> str:
    """What a checkpoint calls the arrays of a file: its name and their hash."""
    return f"{os.path.basename(os.fspath(path))} (SHA-256 {digest(arrays)[:16]})"


def from_arrays(
    arrays: dict[str, np.ndarray],
    system: System,
    horizon: Horizon | None = None,
    *,
    label: str = "given arrays",
) -> FixedStates:
    """As `from_npz`, from arrays in memory.

    Raises:
        DataError: as `from_npz`.
    """
    _check_names(arrays, horizon, label)
    arrays = {name: as_array(name, array, label) for name, array in arrays.items()}
    check_values(arrays, _shapes(arrays, system, horizon), system, label)
    rows = len(arrays["q"])
    defaults = {
        "tau": np.zeros((rows, system.n)),
        "m": np.tile(system.parameter_bounds()[0], (rows, 1)),
        "weight": np.ones(rows),
    }
    full = {k: jnp.array(v, jnp.float32) for k, v in (defaults | arrays).items()}
    if horizon is None:
        targets = full.pop("qdd")
    else:
        _check_dt(float(arrays["dt"]), horizon, label)
        del full["dt"]
        targets = full.pop("states")[:, : horizon.steps]
    return FixedStates(Sample(**full), targets, label)


def parameters_in(arrays: dict[str, np.ndarray], system: System) -> np.ndarray:
    """The parameters (N, k) in arrays that `from_arrays` takes; one row, the system's own, where
    there are none. What is no such array, `from_arrays` refuses.
    """
    m = arrays.get("m")
    columns = len(system.parameters)
    usable = m is not None and m.ndim == 2 and m.shape[1] == columns and len(m) > 0
    if m is None or not usable or not np.issubdtype(m.dtype, np.floating):
        return system.parameter_bounds()[:1]
    return m.astype(np.float64)


def _check_names(arrays: dict[str, np.ndarray], horizon: Horizon | None, label: str) -> None:
    required = ("q", "qd", "qdd") if horizon is None else ("q", "qd", "states", "dt")
    known = (*required, "tau", "m", "weight")
    missing = [name for name in required if name not in arrays]
    unknown = [name for name in arrays if name not in known]
    if missing or unknown:
        raise DataError(
            f"{label}: missing arrays {missing}, unknown arrays {unknown}; expected "
            f"{', '.join(required)} and optionally tau, m, weight"
        )
    if np.ndim(arrays["q"]) == 0 or len(arrays["q"]) == 0:
        raise DataError(f"{label}: array q has no rows")


def _shapes(
    arrays: dict[str, np.ndarray], system: System, horizon: Horizon | None
) -> dict[str, tuple[int, ...]]:
    """The shape that every array must have, given how many rows q has."""
    rows = len(arrays["q"])
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(("q", "qd", "qdd", "tau"), (rows, system.n))
    shapes |= {"m": (rows, len(system.parameters)), "weight": (rows,), "dt": ()}
    if horizon is not None:
        found = arrays["states"].shape[1:2]
        shapes["states"] = (rows, max(horizon.steps, *found), 2 * system.n)
    return shapes


# What float32, in which models learn, holds at most.
_LARGEST = float(np.finfo(np.float32).max)


def as_array(name: str, value: Any, label: str) -> np.ndarray:
    """An array of numbers of its own.

    Raises:
        DataError: complex, masked or ragged numbers, durations, text, or anything else.
    """
    try:
        return numbers_in(value)
    except ValueError as error:
        raise DataError(
            f"{label}: array {name} = {shown(value)}: expected finite numbers ({error})"
        ) from error


def check_values(
    arrays: dict[str, np.ndarray],
    shapes: dict[str, tuple[int, ...]],
    system: Coordinates,
    label: str,
) -> None:
    """Refuse arrays that are not finite numbers of the shapes given, and a missing m.

    Raises:
        DataError: naming the array.
    """
    for name, array in arrays.items():
        if array.shape != shapes[name]:
            raise DataError(
                f"{label}: array {name} has shape {array.shape}, expected {shapes[name]} for "
                f"{len(arrays['q'])} states of {system.name} (n = {system.n}, "
                f"k = {len(system.parameters)})"
            )
        is_number = array.dtype.kind in "iuf"
        bad = np.argwhere(~np.isfinite(array)) if is_number else np.zeros((1, 0), int)
        if len(bad):
            rows = np.unique(bad[:, 0]) if bad.shape[1] else ()
            where = f" in row {', '.join(map(str, rows[:5]))}" if len(rows) else ""
            more = f" and {len(rows) - 5} more" if len(rows) > 5 else ""
            raise DataError(
                f"{label}: array {name} holds values that are not finite numbers{where}{more} "
                "(rows count from 0)"
            )
        if np.abs(array).max(initial=0.0) > _LARGEST:
            row = np.argwhere(np.abs(array) > _LARGEST)[0][:1]
            raise DataError(
                f"{label}: array {name} holds {np.abs(array).max():.3g} in row {int(row.sum())} "
                f"(rows count from 0): expected at most {_LARGEST:.3g}, as float32 holds"
            )
    if "m" not in arrays and system.varying:
        raise DataError(
            f"{label}: {system.name} varies in {', '.join(system.varying)}; give an array m of "
            f"shape {shapes['m']} with columns {', '.join(system.parameters)}"
        )


def _check_dt(dt: float, horizon: Horizon, label: str) -> None:
    if not math.isclose(dt, horizon.dt):
        raise DataError(
            f"{label}: array dt is {dt} s, but the model learns from states "
            f"{horizon.dt} s apart; give those, or configure the model with dt={dt}"
        )
