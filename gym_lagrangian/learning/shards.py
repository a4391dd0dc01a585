r"""Shards: recorded transitions in more files than memory holds.

A fit goes over the files twice.

First it reads each file once, one at a time: every row is checked, and of each file a stretch of
consecutive rows is kept. The stretches are the *sample*. Typical magnitudes, suspicions and the
held-out rows are taken from the sample alone. The range of the parameters, and whether forces act,
are taken from every row.

Then it learns. The files are drawn in a random order, all of them once before any a second time
(an epoch), and as many as fit are in memory together. These are a *group*. Every chunk of the
optimiser's steps draws its batches from the next group. Order and groups follow from the seed and
the number of the chunk, so that a run that was interrupted goes on with the group that was due.

Within a group batches are drawn at random; from one group to the next they are not. Files should
therefore be alike and far smaller than memory, which then holds many of them.
"""

from __future__ import annotations

import glob
import hashlib
import math
import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import count, islice
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from gym_lagrangian.checks import shown, whole_number
from gym_lagrangian.errors import DataError
from gym_lagrangian.files import at_home
from gym_lagrangian.learning.npz import rows_in
from gym_lagrangian.learning.sources import Source, digest
from gym_lagrangian.learning.transitions import Transitions, of_machine

ROWS_IN_MEMORY = 1_000_000

# The most rows in a sample.
_SAMPLE = 100_000

# A list of files, or a folder or a pattern of them.
Files = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


class Seen(NamedTuple):
    """What a fit takes from all rows of a file.

    Attributes:
        stretch: the file's part of the sample.
        begin: its first row in the file.
        low, high: the least and the largest parameters (k,).
        forced: whether forces act in any row.
        digest: the SHA-256 of the arrays.
    """

    stretch: Transitions
    begin: int
    low: np.ndarray
    high: np.ndarray
    forced: bool
    digest: str


class Shards:
    """Recorded transitions of one machine in npz files, of which a bounded number is in memory.

    Attributes:
        files: their paths, in the order given; those of a folder or a pattern by name.
        counts: the transitions in each.
        rows_in_memory: the most transitions that are learned from at a time.
    """

    def __init__(
        self,
        files: Files,
        system: Any = None,
        system_options: dict[str, Any] | None = None,
        *,
        rows_in_memory: int = ROWS_IN_MEMORY,
    ):
        """The headers of the files are read, nothing else.

        Arguments:
            files: paths of npz files as `Transitions.save` writes them; a folder of such files; or
                a pattern, as ``"runs/*.npz"``.
            system, system_options: of which machine they are, as for `fit`.
            rows_in_memory: a number of transitions. A row of n coordinates and k parameters takes
                about 4 (5n + k + 2) bytes on the device, and while it is read 24 (5n + k) in
                memory.

        Raises:
            DataError: no file, a file given twice, one that cannot be read or has more rows than
                may be in memory.
            ConfigurationError: `rows_in_memory` is no whole number of at least 1.
        """
        self.files = _paths(files)
        self.rows_in_memory = whole_number("rows_in_memory", rows_in_memory)
        self.counts = tuple(rows_in(path, "q") for path in self.files)
        self._machine = system, system_options
        if not self.fit_in_memory:
            self._refuse_large()

    def __len__(self) -> int:
        """How many transitions there are."""
        return sum(self.counts)

    def __repr__(self) -> str:
        return f"<{len(self):,} transitions in {len(self.files)} files>"

    @property
    def fit_in_memory(self) -> bool:
        """Whether all transitions may be in memory together."""
        return len(self) <= self.rows_in_memory or len(self.files) == 1

    @cached_property
    def sample(self) -> Transitions:
        """A stretch of consecutive transitions of every file: at most 100,000 in all."""
        return _joined([one.stretch for one in self._seen], self._names(range(len(self.files))))

    @property
    def m(self) -> np.ndarray:
        """The least and the largest parameters (2, k)."""
        low, high = ([getattr(one, name) for one in self._seen] for name in ("low", "high"))
        return np.stack([np.min(low, axis=0), np.max(high, axis=0)])

    @property
    def forced(self) -> bool:
        """Whether forces act in any of them."""
        return any(one.forced for one in self._seen)

    def of_system(self, system: Any, system_options: dict[str, Any] | None = None) -> Shards:
        """The same files, read as those of a system; see `Transitions.of_system`."""
        return Shards(self.files, system, system_options, rows_in_memory=self.rows_in_memory)

    def joined(self, chosen: Sequence[int] | None = None) -> Transitions:
        """The transitions of some files, one after another; of all by default.

        A file whose first row goes on from the last row of the file before it continues its
        episode.

        Raises:
            DataError: as `Transitions.load`; transitions of another machine or dt than those of
                the first file, or of one with and one without accelerations.
        """
        chosen = range(len(self.files)) if chosen is None else chosen
        return _joined([self._load(i) for i in chosen], self._names(chosen))

    def group(self, turn: int, seed: int) -> tuple[int, ...]:
        """The numbers of the files that are in memory in a chunk of steps, counted from 0."""
        return next(islice(self._groups(seed), turn, None))

    def learnable(self, chosen: Sequence[int], held: np.ndarray) -> np.ndarray:
        """Which rows (N,) of some files are not held out.

        Arguments:
            held: which rows of the sample are.
        """
        parts = np.split(held, np.cumsum([len(one.stretch) for one in self._seen])[:-1])
        return np.concatenate([self._learnable(i, parts[i]) for i in chosen])

    def description(self) -> str:
        """A sentence for the checkpoint."""
        forces = "with forces" if self.forced else "without forces"
        found = hashlib.sha256("".join(one.digest for one in self._seen).encode()).hexdigest()
        return (
            f"{len(self)} recorded transitions of {self.sample.dt:g} s in {len(self.files)} files, "
            f"{self.rows_in_memory} in memory, {forces} (SHA-256 {found[:16]})"
        )

    @cached_property
    def _seen(self) -> tuple[Seen, ...]:
        """Of every file, read one at a time."""
        return tuple(map(self._see, range(len(self.files))))

    def _see(self, i: int) -> Seen:
        whole, rows = self._load(i), np.arange(self.counts[i])
        kept = min(len(rows), max(1, min(_SAMPLE, self.rows_in_memory) // len(self.files)))
        begin = int(np.random.default_rng(i).integers(len(rows) - kept + 1))
        stretch = whole.where((rows >= begin) & (rows < begin + kept))
        bounds = whole.m.min(axis=0), whole.m.max(axis=0)
        return Seen(stretch, begin, *bounds, whole.forced, digest(whole.arrays))

    def _names(self, chosen: Sequence[int]) -> list[str]:
        return [self.files[i].name for i in chosen]

    def _load(self, i: int) -> Transitions:
        found = Transitions.load(self.files[i], *self._machine, columns=False)
        if len(found) != self.counts[i]:
            raise DataError(
                f"{self.files[i].name} has {len(found)} transitions and had {self.counts[i]} when "
                "the fit began: begin again, with overwrite"
            )
        return of_machine(found, *self._machine)

    def _groups(self, seed: int) -> Iterator[tuple[int, ...]]:
        """Files that fit in memory together, without end; those of an epoch about equally large."""
        usual = len(self) / math.ceil(len(self) / self.rows_in_memory)
        for epoch in count():
            group, rows = [], 0
            for i in np.random.default_rng([seed, epoch]).permutation(len(self.files)).tolist():
                if rows >= usual or rows + self.counts[i] > self.rows_in_memory:
                    yield tuple(group)
                    group, rows = [], 0
                group.append(i)
                rows += self.counts[i]
            yield tuple(group)

    def _learnable(self, i: int, held: np.ndarray) -> np.ndarray:
        begin, kept = self._seen[i].begin, np.ones(self.counts[i], bool)
        kept[begin : begin + len(held)] = ~held
        return kept

    def _refuse_large(self) -> None:
        for path, rows in zip(self.files, self.counts, strict=True):
            if rows > self.rows_in_memory:
                raise DataError(
                    f"{path.name} has {rows} transitions, and at most rows_in_memory = "
                    f"{self.rows_in_memory} may be in memory: cut it into files of a tenth of that"
                )


class Movable(Protocol):
    """A source whose rows can be exchanged for others: `Windows` and `Torques`."""

    def among(self, data: Transitions, usable: np.ndarray, room: int) -> Source:
        """The source among other rows; see there."""
        ...


class Rotation(NamedTuple):
    """Chunk after chunk of optimiser steps, the next group of shards.

    Attributes:
        shards: the files.
        source: what is learned of them, among rows of the sample.
        held: which rows of the sample (N,) are held out.
        seed: of the order of the files.
    """

    shards: Shards
    source: Movable
    held: np.ndarray
    seed: int

    def __call__(self, turn: int) -> Source:
        """What is learned from in a chunk, counted from 0."""
        chosen = self.shards.group(turn, self.seed)
        usable = self.shards.learnable(chosen, self.held)
        return self.source.among(self.shards.joined(chosen), usable, self.shards.rows_in_memory)


def are_many(data: Any) -> bool:
    """Whether the argument is a list, a folder or a pattern of files."""
    if isinstance(data, str | os.PathLike):
        path = at_home(data)
        return os.path.isdir(path) or (_is_pattern(path) and not os.path.exists(path))
    return isinstance(data, list | tuple)


def _is_pattern(path: str | os.PathLike[str]) -> bool:
    return glob.has_magic(os.fspath(path))


def _paths(files: Files) -> tuple[Path, ...]:
    """The paths of the files given, each once."""
    found = _found(files) if isinstance(files, str | os.PathLike) else files
    is_list = isinstance(found, list | tuple) and len(found) > 0
    if not is_list or not all(isinstance(one, str | os.PathLike) for one in found):
        raise DataError(f"files = {shown(files)}: expected paths of npz files, and at least one")
    paths = tuple(Path(one) for one in found)
    if twice := [path.name for i, path in enumerate(paths) if path in paths[:i]]:
        raise DataError(f"{', '.join(twice)} is given twice: expected every file once")
    return paths


def _found(files: str | os.PathLike[str]) -> list[str]:
    """The files in a folder or of a pattern, by name; a path alone."""
    path = at_home(files)
    if os.path.isdir(path):
        return sorted(glob.glob(os.path.join(glob.escape(path), "*.npz")))
    return sorted(glob.glob(path)) if _is_pattern(path) else [path]


def _joined(parts: Sequence[Transitions], labels: Sequence[str]) -> Transitions:
    for part, label in zip(parts, labels, strict=True):
        _refuse_other(part, label, parts[0], labels[0])
    arrays = [part.arrays for part in parts]
    whole: dict[str, Any] = {k: np.concatenate([a[k] for a in arrays]) for k in arrays[0]}
    noise = max(part.noise for part in parts)
    return Transitions(parts[0].coordinates, dt=parts[0].dt, noise=noise, **whole)


def _refuse_other(part: Transitions, label: str, first: Transitions, its: str) -> None:
    """Transitions that cannot follow those of the first file."""
    if not part.coordinates.agrees_with(first.coordinates) or _options(part) != _options(first):
        (name, how), (other, its_how) = ((x.coordinates.name, _options(x)) for x in (part, first))
        raise DataError(f"{label} holds transitions of {name} {how}, {its} of {other} {its_how}")
    if not math.isclose(part.dt, first.dt):
        raise DataError(f"{label} has a dt of {part.dt:g} s, {its} of {first.dt:g} s: expected one")
    if (part.qdd is None) != (first.qdd is None):
        raise DataError(f"one of {label} and {its} has accelerations qdd: expected all or none")


def _options(data: Transitions) -> dict[str, Any]:
    return {} if data.system is None else data.system.options
