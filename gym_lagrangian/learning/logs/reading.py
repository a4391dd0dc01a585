"""Reading the logs of a machine."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from gym_lagrangian.checks import one_of, positive_number
from gym_lagrangian.errors import ConfigurationError, DataError
from gym_lagrangian.learning.logs.accelerations import Accelerating, Instants, accelerating
from gym_lagrangian.learning.logs.checks import of_recordings
from gym_lagrangian.learning.logs.extremes import KINDS
from gym_lagrangian.learning.logs.machine import Machine
from gym_lagrangian.learning.logs.recording import Recording, recording
from gym_lagrangian.learning.logs.resampling import Smoothing, instants, resampled, smoothing
from gym_lagrangian.learning.logs.tables import tables
from gym_lagrangian.learning.suspicions import Suspicion, one_machine, refuse
from gym_lagrangian.learning.transitions import Transitions

# Rows of each log by which it is compared with the others.
_COMPARED = 20_000


def read_logs(
    machine: Machine, sources: Any, *, on_rows: Callable[[int], Any] | None = None
) -> Logs:
    """The logs of a machine, read and cleaned.

    Arguments:
        machine: which says what the columns are.
        sources: files (CSV, npz or parquet; CSV may be gzipped), folders of files, or arrays in
            memory, one or a list of them. Arrays are a mapping from columns to (N,), or one array
            (N, columns).
        on_rows: called now and then with how many more rows were read.

    Raises:
        DataError: nothing to read, an unreadable or damaged file, a column that is not there, a
            cell that is no number, fewer than two usable rows; the message names file and line.
        MissingExtra: a parquet file without pyarrow.
    """
    if not isinstance(machine, Machine):
        raise ConfigurationError(
            f"machine is a {type(machine).__name__}: expected a Machine, which says what the "
            "columns are"
        )
    found = [recording(machine, one) for one in tables(sources, machine.columns, on_rows)]
    return Logs(machine, found)


class Logs:
    """What was recorded of a machine.

    Attributes:
        machine: which.
        recordings: one a log.
    """

    def __init__(self, machine: Machine, recordings: Sequence[Recording]):
        self.machine, self.recordings = machine, tuple(recordings)

    def __len__(self) -> int:
        """How many rows there are."""
        return sum(len(one.time) for one in self.recordings)

    def __repr__(self) -> str:
        return f"<{len(self.recordings)} logs of {self.machine.name}, {len(self)} rows>"

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out or put right, in words."""
        return tuple(note for one in self.recordings for note in one.notes)

    @cached_property
    def smoothing(self) -> tuple[Smoothing, ...]:
        """How each coordinate is smoothed."""
        return tuple(smoothing(self.recordings, i) for i in range(len(self.machine.joints)))

    @cached_property
    def faster(self) -> tuple[Accelerating, ...]:
        """How the acceleration of each coordinate is estimated."""
        return tuple(accelerating(self.recordings, i) for i in range(len(self.machine.joints)))

    @cached_property
    def suspicions(self) -> tuple[Suspicion, ...]:
        """What looks wrong with them."""
        widths = [one.position.half_width for one in self.smoothing]
        found = of_recordings(self.machine, self.recordings, widths)
        return found if any(one.fatal for one in found) else (*found, *self._strangers())

    def _strangers(self) -> list[Suspicion]:
        """Logs that are of another machine than the rest."""
        parts = {}
        for one in self.recordings if len(self.recordings) > 1 else ():
            with contextlib.suppress(DataError):  # too short to tell
                short = one.first(_COMPARED)
                parts[one.label] = resampled(self.machine, [short], how=self.smoothing)
        return one_machine(list(parts.values()), list(parts))

    def transitions(
        self,
        *,
        dt: float | None = None,
        keep: Sequence[str] = (),
        insist: bool = False,
        accelerations: bool = False,
    ) -> Transitions:
        """Transitions of one dt, to fit a model to.

        Arguments:
            dt: seconds in one; default the machine's, otherwise what the logs allow.
            keep: ``"saturation"`` to keep steps in which a motor was saturated, ``"stops"`` to keep
                those at an end stop.
            insist: take them although they look wrong.
            accelerations: estimate q̈ too, for a fit with the objective ``"force"``.

        Raises:
            DataError: they look wrong in a way that makes a fit meaningless, or give no step.
        """
        dt = None if dt is None else positive_number("dt", dt, "seconds")
        keep = [one_of("keep", kind, KINDS) for kind in keep]
        refuse(self.suspicions, insist=insist)
        faster = self.faster if accelerations else None
        how = {"how": self.smoothing, "faster": faster}
        return resampled(self.machine, self.recordings, dt=dt, keep=keep, **how)

    def instants(self, like: Logs | None = None) -> Instants:
        """Every row with its smoothed state, its estimated acceleration and its force.

        Arguments:
            like: logs whose windows are taken; default its own.

        Raises:
            DataError: no episode has five rows.
        """
        like = self if like is None else like
        return instants(self.machine, self.recordings, like.smoothing, like.faster)
