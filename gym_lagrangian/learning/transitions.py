r"""Transitions: recorded motion, one step of dt after another.

A transition is a state (q, q̇), the generalized forces τ held over dt seconds, the parameters m,
and the next state (q, q̇)⁺. Accelerations are not needed, since few machines measure them. Angles
may be wrapped: only their differences on the circle are used.

Rows that follow one another form an episode: where the next state of a row is, number for number,
the state of the row below it, and m is the same. Recordings have this order by nature, noisy ones
too, as long as each instant is recorded once. Rows in no particular order count as one-step
episodes and can be learned from too.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gym_lagrangian.checkpoints.card import hashable
from gym_lagrangian.checks import shown
from gym_lagrangian.errors import DataError
from gym_lagrangian.files import replacing, writable_path
from gym_lagrangian.learning.npz import read_npz
from gym_lagrangian.learning.sources import as_array, check_values, digest
from gym_lagrangian.registration import build_system, load_system, system_reference
from gym_lagrangian.systems.base import System
from gym_lagrangian.systems.coordinates import Coordinates

REQUIRED = ("q", "qd", "next_q", "next_qd", "dt")
OPTIONAL = ("tau", "m", "noise", "qdd")
# What says of which machine the arrays are: a system and its options, or coordinates.
_ORIGIN = ("system", "system_options", "coordinates")
# What the names of further columns begin with in a file.
_COLUMN = "column_"


class Transitions:
    """N recorded transitions of one machine at one dt.

    Attributes:
        coordinates: what moved; a `System` where its equations are known.
        q, qd, tau: coordinates, velocities and generalized forces (N, n), float64.
        m: parameters (N, k), in the order of the coordinates' parameters.
        next_q, next_qd: coordinates and velocities `dt` seconds later (N, n).
        qdd: accelerations (N, n) in the middle of each; None where they were not estimated.
        dt: seconds in one transition.
        noise: the standard deviation of the noise that is known to be on q and q̇, in units of
            the typical magnitudes of q and q̇.
        columns: whatever else was recorded, by name, N rows each. Nothing is learned from them;
            they are kept by `save`, `first` and `noisy`. `collect` records ``observation``,
            ``action``, ``reward``, ``next_observation``, ``terminated`` and ``truncated``.
    """

    def __init__(
        self,
        system: Any,
        *,
        q: Any,
        qd: Any,
        next_q: Any,
        next_qd: Any,
        dt: Any,
        tau: Any = None,
        m: Any = None,
        noise: Any = 0.0,
        qdd: Any = None,
        columns: Mapping[str, Any] | None = None,
        system_options: dict[str, Any] | None = None,
        label: str = "given arrays",
    ):
        """Arrays as above, N rows each.

        Arguments:
            system: `Coordinates`, where the equations are unknown; or a system: a registered name,
                "module:Class", a `System` subclass or an instance.
            system_options: the constructor's arguments of a system.
            tau: default none.
            m: default the parameters' own defaults.
            dt: a number, or an array of one value repeated.
            label: what the arrays are called in messages.

        Raises:
            DataError: no rows, a wrong shape, a value that is not a finite number, more than
                one dt, or no m where parameters vary by default; the message names the array.
            ConfigurationError: no such system or option.
        """
        self.coordinates: Coordinates = build_system(system, system_options or {})
        n, k = self.coordinates.n, len(self.coordinates.parameters)
        arrays = {"q": q, "qd": qd, "tau": tau, "m": m, "next_q": next_q, "next_qd": next_qd}
        arrays["qdd"] = qdd
        arrays = {name: as_array(name, a, label) for name, a in arrays.items() if a is not None}
        if absent := [name for name in REQUIRED[:-1] if name not in arrays]:
            raise DataError(f"{label}: arrays {', '.join(absent)} are None: expected numbers")
        if arrays["q"].ndim == 0 or len(arrays["q"]) == 0:
            raise DataError(f"{label}: there is not one transition: array q has no rows")
        rows = len(arrays["q"])
        shapes = dict.fromkeys(arrays, (rows, n))
        shapes["m"] = (rows, k)
        check_values(arrays, shapes, self.coordinates, label)
        defaults = {
            "tau": np.zeros((rows, n)),
            "m": np.tile(self.coordinates.parameter_bounds()[0], (rows, 1)),
        }
        full = {k: np.asarray(v, np.float64) for k, v in (defaults | arrays).items()}
        self.q, self.qd, self.tau, self.m = (full[name] for name in ("q", "qd", "tau", "m"))
        self.next_q, self.next_qd, self.qdd = full["next_q"], full["next_qd"], full.get("qdd")
        self.dt = _one_dt(dt, label, rows)
        self.noise = _noise(noise, label)
        self.columns = _columns(columns or {}, rows, label)

    def __len__(self) -> int:
        """How many there are."""
        return len(self.q)

    def __repr__(self) -> str:
        return f"<{self.description()}>"

    @property
    def system(self) -> System | None:
        """The system of which they are; None where its equations are unknown."""
        return self.coordinates.physics

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        system: Any = None,
        system_options: dict[str, Any] | None = None,
        *,
        columns: bool = True,
    ) -> Transitions:
        """The transitions in an npz file: arrays of the names above; nothing is unpickled.

        Arguments:
            system, system_options: of which machine, as for the class, for a file that does not say
                so itself as those that `save` wrote do.
            columns: whether further columns are read.

        Raises:
            DataError: as for the class; unreadable file, a missing or unknown array, a file that
                names no system or another one.
        """
        arrays = read_npz(path, without=None if columns else _COLUMN)
        label = os.path.basename(os.fspath(path))
        return cls.of(arrays, system, system_options, label=label)

    @classmethod
    def of(
        cls,
        arrays: Mapping[str, Any],
        system: Any = None,
        system_options: dict[str, Any] | None = None,
        *,
        label: str = "given arrays",
    ) -> Transitions:
        """As `load`, from arrays in memory."""
        missing = [name for name in REQUIRED if name not in arrays]
        columns = {_column(name): a for name, a in arrays.items() if name.startswith(_COLUMN)}
        arrays = {name: a for name, a in arrays.items() if not name.startswith(_COLUMN)}
        unknown = [name for name in arrays if name not in (*REQUIRED, *OPTIONAL, *_ORIGIN)]
        if missing or unknown:
            raise DataError(
                f"{label}: missing arrays {missing}, unknown arrays {unknown}; expected "
                f"{', '.join(REQUIRED)} and optionally {', '.join(OPTIONAL)}, and further columns "
                f"named {_COLUMN}…"
            )
        moved = _moved(arrays, system, system_options, label)
        numbers = {k: v for k, v in arrays.items() if k not in _ORIGIN}
        return cls(moved, label=label, columns=columns, **numbers)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write an npz file that `load` reads; `path` holds the old file or the whole new one.

        Raises:
            DataError: the path does not end in ``.npz`` or cannot be written.
        """
        path = writable(path)
        further = {_COLUMN + name: column for name, column in self.columns.items()}
        kept: dict[str, Any] = {**self._origin(), **self.arrays, **further}
        with replacing(path, failure=DataError) as part, part.open("wb") as file:
            np.savez_compressed(file, dt=self.dt, noise=self.noise, **kept)

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """The six arrays by name, and q̈ where it is known."""
        names = ("q", "qd", "tau", "m", "next_q", "next_qd")
        found = {k: getattr(self, k) for k in names}
        return found if self.qdd is None else found | {"qdd": self.qdd}

    @property
    def episode(self) -> np.ndarray:
        """Which episode a row belongs to (N,), counted from 0; see the module."""
        kept = (self.next_q[:-1] == self.q[1:]) & (self.next_qd[:-1] == self.qd[1:])
        follows = np.all(kept, axis=1) & np.all(self.m[:-1] == self.m[1:], axis=1)
        return np.concatenate([[0], np.cumsum(~follows)])

    @property
    def forced(self) -> bool:
        """Whether forces act in any of them."""
        return bool(np.any(self.tau != 0.0))

    def first(self, count: int) -> Transitions:
        """The first `count` of them."""
        columns = {name: column[:count] for name, column in self.columns.items()}
        arrays = {name: array[:count] for name, array in self.arrays.items()}
        return self._with(arrays, self.noise, columns)

    def where(self, kept: np.ndarray) -> Transitions:
        """Those of them that a mask (N,) keeps."""
        columns = {name: column[kept] for name, column in self.columns.items()}
        arrays = {name: array[kept] for name, array in self.arrays.items()}
        return self._with(arrays, self.noise, columns)

    def of_system(self, system: Any, system_options: dict[str, Any] | None = None) -> Transitions:
        """The same motion as that of a system, so that a model of it moves its environments.

        Coordinates are taken in their order, whatever their names. The parameters are the system's
        defaults.

        Raises:
            DataError: the system has another number of coordinates, or other kinds.
            ConfigurationError: no such system or option.
        """
        built = build_system(system, system_options or {})
        if built.angular != self.coordinates.angular:
            found = dict(zip(self.coordinates.coordinates, self.coordinates.units, strict=True))
            asked = dict(zip(built.coordinates, built.units, strict=True))
            raise DataError(
                f"these are transitions of {self.coordinates.name} with the coordinates {found}, "
                f"not of {built.name} with {asked}: expected as many, of the same kinds and in the "
                "same order"
            )
        kept: dict[str, Any] = {**self.arrays, "m": None, "dt": self.dt, "noise": self.noise}
        return Transitions(built, **kept, columns=self.columns)

    def noisy(self, noise: float, seed: int) -> Transitions:
        """As a sensor would have recorded them: Gaussian noise of the standard deviation
        `noise` typical magnitudes on q and q̇, one draw an instant.

        Raises:
            DataError: the noise is not a finite number ≥ 0.
        """
        _noise(noise, "noisy")
        typical = self.coordinates.magnitudes
        scale = np.array([*typical.q, *typical.qd])
        x, after = np.hstack([self.q, self.qd]), np.hstack([self.next_q, self.next_qd])
        error, error_after = noise * scale * np.random.default_rng(seed).normal(size=(2, *x.shape))
        same = np.diff(self.episode) == 0  # this row's next state is the state of the one below
        error_after[:-1][same] = error[1:][same]
        n = self.coordinates.n
        (q, qd), (next_q, next_qd) = (
            (y[:, :n], y[:, n:]) for y in (x + error, after + error_after)
        )
        changed = {"q": q, "qd": qd, "next_q": next_q, "next_qd": next_qd}
        known = {k: array for k, array in self.arrays.items() if k != "qdd"}  # of clean states
        return self._with(known | changed, math.hypot(self.noise, noise), self.columns)

    def description(self) -> str:
        """A sentence for the checkpoint."""
        noise = f"noise {self.noise:g}" if self.noise else "no known noise"
        forces = "with forces" if self.forced else "without forces"
        return (
            f"{len(self)} recorded transitions of {self.dt:g} s, {forces}, {noise} "
            f"(SHA-256 {digest(self.arrays)[:16]})"
        )

    def _with(
        self, arrays: dict[str, np.ndarray], noise: float, columns: dict[str, np.ndarray]
    ) -> Transitions:
        kept: dict[str, Any] = {"dt": self.dt, "noise": noise, "columns": columns, **arrays}
        return Transitions(self.coordinates, **kept)

    def _origin(self) -> dict[str, str]:
        """The text from which a file's reader knows what moved."""
        if self.system is None:
            return {"coordinates": json.dumps(self.coordinates.document())}
        reference = system_reference(type(self.system))
        return {"system": reference, "system_options": json.dumps(self.system.options)}


def of_machine(
    data: Transitions, system: Any, system_options: dict[str, Any] | None
) -> Transitions:
    """The transitions as those of the system that is given; None for what the
    data say.

    Raises:
        DataError: they are of another system, or of other options.
    """
    if system is not None and data.system is None:
        return data.of_system(system, system_options)
    if system is not None and not data.coordinates.agrees_with(
        build_system(system, system_options or {})
    ):
        raise DataError(f"these are transitions of {data.coordinates.name}, not of {system}")
    options = {} if data.system is None else data.system.options
    for name, asked in (system_options or {}).items():
        if name in options and asked != options[name]:
            raise DataError(f"these are transitions with {name}={options[name]!r}, not {asked!r}")
    return data


def wrapped(angle: np.ndarray) -> np.ndarray:
    """Angles in [−π, π); those that are there already stay as they are."""
    turned = np.remainder(angle + np.pi, 2 * np.pi) - np.pi
    return np.where((angle >= -np.pi) & (angle < np.pi), angle, turned)


def writable(path: str | os.PathLike[str]) -> Path:
    """The path of a file of transitions to write, checked before anything is recorded for it.

    Raises:
        DataError: it does not end in ``.npz``, or its folder is none to write to.
    """
    return writable_path(path, ".npz", "a file of transitions", failure=DataError)


def _moved(
    arrays: Mapping[str, Any], system: Any, options: dict[str, Any] | None, label: str
) -> Coordinates:
    """What moved, as the arrays say or, where they do not, as the arguments do."""
    given = None if system is None else build_system(system, options or {})
    stated = _stated(arrays, label)
    if stated is None and given is None:
        raise DataError(
            f'{label} names no system: say which, as in system="DoublePendulum", or give the '
            "Coordinates"
        )
    if stated is None or given is None:
        return stated or given  # type: ignore[return-value]
    if not stated.agrees_with(given):
        raise DataError(f"{label} holds transitions of {stated.name}, not of {given.name}")
    return stated if options is None else given


def _stated(arrays: Mapping[str, Any], label: str) -> Coordinates | None:
    if "coordinates" in arrays:
        return Coordinates.of_document(_options(arrays["coordinates"], label))
    if "system" not in arrays:
        return None
    options = _options(arrays.get("system_options", "{}"), label)
    source = load_system(str(arrays["system"]))
    # Files of version 0.1 name options of the task as well.
    physical = {k: hashable(v) for k, v in options.items() if k in source.option_names()}
    return build_system(source, physical)


def _options(value: Any, label: str) -> dict[str, Any]:
    try:
        return dict(json.loads(str(value)))
    except (TypeError, ValueError) as error:
        raise DataError(f"{label}: {value!s} is not a JSON object") from error


def _column(name: str) -> str:
    """The name of a further column, of its name in a file."""
    return name.removeprefix(_COLUMN)


def _columns(columns: Mapping[str, Any], rows: int, label: str) -> dict[str, np.ndarray]:
    """Further columns as arrays of N rows of numbers or truth values."""
    found = {name: _column_array(name, column, label) for name, column in columns.items()}
    for name, column in found.items():
        if column.ndim == 0 or len(column) != rows or column.dtype.kind not in "biuf":
            raise DataError(
                f"{label}: column {name} has shape {column.shape} and type {column.dtype}: "
                f"expected {rows} rows of numbers"
            )
    return found


def _column_array(name: str, column: Any, label: str) -> np.ndarray:
    if getattr(column, "dtype", None) == np.bool_ and not isinstance(column, np.ma.MaskedArray):
        return np.array(column)
    return as_array(f"column {name}", column, label)


# Seconds; models learn in float32, which holds nothing much smaller.
_LEAST_DT = 1e-30


def _one_dt(dt: Any, label: str, rows: int) -> float:
    given = as_array("dt", dt, label)
    if given.ndim > 1 or (given.ndim == 1 and len(given) not in (1, rows)):
        raise DataError(
            f"{label}: array dt has shape {given.shape}, expected one number, or one for each of "
            f"the {rows} rows"
        )
    found = np.unique(given)
    if not np.all(np.isfinite(found)) or np.any(found < _LEAST_DT):
        raise DataError(f"{label}: dt is {shown(dt)}: expected a positive number of seconds")
    if not math.isclose(found[0], found[-1]):
        listed = ", ".join(f"{value:g}" for value in found[:5])
        raise DataError(
            f"{label}: mixed dt, {listed}{' …' if len(found) > 5 else ''} s: a fit learns from "
            "transitions of one dt; give those of each apart"
        )
    return float(found[0])


def _noise(noise: Any, label: str) -> float:
    array = as_array("noise", noise, label)
    if array.shape != () or not np.isfinite(array) or array < 0:
        raise DataError(f"{label}: noise is {shown(noise)}: expected a finite number ≥ 0")
    return float(array)
