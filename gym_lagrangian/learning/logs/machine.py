r"""The description of a machine: its coordinates, the columns of its logs, and its usual use.

    arm = Machine(
        ("shoulder", "elbow"), angular=True, unit="deg", time="t", position=("q1", "q2"),
        force=("tau1", "tau2"), force_max=(5.0, 2.0), dt=0.02,
    )

is the same as `Machine.load` of the file

    name = "Arm"
    dt = 0.02                     # seconds in one step

    [time]
    column = "t"

    [[coordinates]]
    name = "shoulder"
    kind = "angle"
    unit = "deg"
    position = "q1"
    force = "tau1"
    force_max = 5.0

and another such table for the elbow. Beside `dt` may stand ``cyclic = ["rail"]``, the coordinates
whose place makes no difference. A column is a name, or a number counted from 0. The numbers
in the column of a coordinate become

    q = gain · (position − zero) · unit,
    q̇ = gain · velocity · velocity_unit,
    τ = force_gain · force

in radians or metres, per second, and in N·m or N.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from gym_lagrangian.checks import finite_number, one_of, positive_number
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.learning.logs.machine_file import arguments_in
from gym_lagrangian.learning.logs.units import ANGLES, LENGTHS, TIMES, VELOCITIES
from gym_lagrangian.systems.coordinates import Coordinates, Usage, each

# A column of a log: its name, or its number from 0.
Column = str | int

# Arguments with one value a coordinate.
_EACH = (
    "angular",
    "position",
    "velocity",
    "force",
    "unit",
    "velocity_unit",
    "gain",
    "zero",
    "force_gain",
    "force_max",
    "stops",
)

FORCES = ("held", "sampled")
FRICTIONS = ("none", "viscous", "coulomb", "passive")


class Joint(NamedTuple):
    """Where the logs keep one coordinate.

    Attributes:
        name: of the coordinate.
        angular: whether it is an angle.
        position, velocity, force: columns; None for what is not recorded.
        unit, velocity_unit: radians or metres (per second) in one unit of the column.
        gain: of position and velocity; −1 for a sensor that counts the other way.
        zero: the reading at q = 0, in the column's unit.
        force_gain: N·m or N in one unit of the force's column.
        force_max: N·m or N of its motor at full action; None for unknown.
        stops: the least and the largest q that its end stops allow, in the column's unit.
    """

    name: str
    angular: bool
    position: Column
    velocity: Column | None
    force: Column | None
    unit: float
    velocity_unit: float
    gain: float
    zero: float
    force_gain: float
    force_max: float | None
    stops: tuple[float, float] | None

    @property
    def limits(self) -> tuple[float, float] | None:
        """The end stops in radians or metres."""
        if self.stops is None:
            return None
        low, high = sorted(self.gain * (stop - self.zero) * self.unit for stop in self.stops)
        return low, high


class Machine:
    """`Coordinates`, where logs keep them, and what is assumed of the machine.

    Attributes:
        coordinates: a `Coordinates` whose `usage` holds dt, motors, task, reward and friction.
        joints: a `Joint` for each coordinate.
        time: the column of the clock, None for rows `interval` seconds apart.
        time_unit: seconds in one unit of that column.
        interval: seconds between rows of logs without a clock.
        episode: the column that tells episodes apart; None for none.
        dt: seconds in one transition; None for what the logs allow, see `resampling`.
        gap: the longest time without a row within an episode, in typical intervals.
        forces: ``"held"`` if a force acts from its row to the next one, as a command does;
            ``"sampled"`` if it was measured at the instant of its row.
    """

    def __init__(
        self,
        coordinates: Sequence[str],
        *,
        name: str = "Machine",
        angular: bool | Sequence[bool] = False,
        unit: str | Sequence[str] | None = None,
        time: Column | None = None,
        time_unit: str = "s",
        interval: float | None = None,
        episode: Column | None = None,
        position: Column | Sequence[Column] | None = None,
        velocity: Column | Sequence[Column | None] | None = None,
        velocity_unit: str | Sequence[str | None] | None = None,
        force: Column | Sequence[Column | None] | None = None,
        gain: float | Sequence[float] = 1.0,
        zero: float | Sequence[float] = 0.0,
        force_gain: float | Sequence[float] = 1.0,
        force_max: float | Sequence[float | None] | None = None,
        actuated: Sequence[str] | None = None,
        stops: Sequence[Sequence[float] | None] | None = None,
        cyclic: Sequence[str] = (),
        forces: str = "held",
        gap: float = 2.5,
        dt: float | None = None,
        friction: str = "passive",
        task: str | None = None,
        reward: str | None = None,
    ):
        """Arguments as above, one for all coordinates or one for each; columns one for each.

        Arguments:
            angular: whether a coordinate is an angle rather than a length.
            unit: of a position: ``"rad"``, ``"deg"`` or ``"turn"``, ``"m"`` or ``"mm"``; default
                rad and m.
            velocity_unit: as ``"deg/s"`` or ``"rpm"``; default the position's unit per second.
            time_unit: ``"s"``, ``"ms"``, ``"us"``, ``"ns"`` or ``"min"``.
            position: default the columns that are called as the coordinates are.
            velocity, force: None for what is not recorded.
            actuated: names of the coordinates that have a motor; default those with a column of
                forces.
            cyclic: names of the coordinates whose place makes no difference, as that of a cart on
                a level rail, see `Coordinates`.
            friction: ``"passive"``, ``"coulomb"``, ``"viscous"`` or ``"none"``: what models of the
                machine learn.

        Raises:
            ConfigurationError: a value that makes no sense; the message names the argument.
        """
        given = {argument: value for argument, value in locals().items() if argument != "self"}
        known = Coordinates(coordinates, angular=angular, name=name)
        given |= {"position": known.coordinates if position is None else position}
        given |= {key: _each(known, key, given[key]) for key in _EACH}
        self.joints = _joints(known, **{key: given[key] for key in _EACH if key != "angular"})
        self.time, self.interval = _clock(name, time, interval)
        self.time_unit = TIMES[one_of(f"{name}.time_unit", time_unit, TIMES)]
        self.episode = None if episode is None else _column(f"{name}.episode", episode)
        self.dt = None if dt is None else positive_number(f"{name}.dt", dt, "seconds")
        self.gap = positive_number(f"{name}.gap", gap, "typical intervals")
        self.forces = one_of(f"{name}.forces", forces, FORCES)
        motors = _motors(name, self.joints, actuated)
        usage = Usage(
            dt=self.dt,
            actuated=motors,
            force_max=_strengths(name, self.joints, motors),
            task=_reference(f"{name}.task", task),
            reward=_reference(f"{name}.reward", reward),
            friction=one_of(f"{name}.friction", friction, FRICTIONS),
            logs=json.dumps(given, default=_plain),
        )
        self.coordinates = Coordinates(
            coordinates, angular=angular, cyclic=cyclic, name=name, usage=usage
        )

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Machine:
        """The machine that a TOML file describes; see the module.

        Raises:
            ConfigurationError: the file cannot be read, has an unknown key or a value that makes
                no sense; the message names the file and the key.
        """
        arguments = arguments_in(path)
        try:
            return cls(**arguments)
        except ConfigurationError as error:
            raise ConfigurationError(f"{os.fspath(path)}: {error}") from error

    @classmethod
    def of(cls, coordinates: Coordinates) -> Machine:
        """The machine whose coordinates these are, as a checkpoint knows them.

        Raises:
            ConfigurationError: they are of no machine that was ever described.
        """
        if coordinates.usage.logs is None:
            raise ConfigurationError(
                f"{coordinates.name} was not fitted to the logs of a described machine: name its "
                "MACHINE.toml"
            )
        return cls(**json.loads(coordinates.usage.logs) | {"dt": coordinates.usage.dt})

    def __repr__(self) -> str:
        return f"<{self.name}: {', '.join(self.coordinates.coordinates)}>"

    @property
    def name(self) -> str:
        """What it is called."""
        return self.coordinates.name

    @property
    def columns(self) -> tuple[Column, ...]:
        """Every column that its logs must have."""
        own = [c for joint in self.joints for c in (joint.position, joint.velocity, joint.force)]
        wanted = [c for c in (self.time, self.episode, *own) if c is not None]
        return tuple(dict.fromkeys(wanted))


def _plain(value: Any) -> Any:
    """An argument that JSON does not know, as lists and numbers."""
    return value.tolist() if hasattr(value, "tolist") else list(value)


def _joints(known: Coordinates, **given: Any) -> tuple[Joint, ...]:
    """The joints, each checked."""
    rows = [dict(zip(given, row, strict=True)) for row in zip(*given.values(), strict=True)]
    pairs = zip(known.coordinates, known.angular, rows, strict=True)
    joints = tuple(_joint(known.name, name, angular, row) for name, angular, row in pairs)
    _refuse_twice(known.name, joints)
    return joints


def _each(known: Coordinates, key: str, value: Any) -> tuple:
    """One value a coordinate; of columns one must be given for each."""
    if key in ("position", "velocity", "force") and isinstance(value, str | int) and known.n > 1:
        raise ConfigurationError(
            f"{known.name}.{key} = {value!r}: expected one column for each of "
            f"{', '.join(known.coordinates)}"
        )
    return each(known.name, key, value, known.n)


def _joint(machine: str, name: str, angular: bool, given: Mapping[str, Any]) -> Joint:
    where = f"{machine}, coordinate {name}: "
    units = ANGLES if angular else LENGTHS
    unit = one_of(f"{where}unit", given["unit"] or next(iter(units)), units)
    speed = given["velocity_unit"]
    if speed is not None:
        one_of(f"{where}velocity_unit", speed, VELOCITIES[angular])
    numbers: dict[str, Any] = {
        k: finite_number(where + k, given[k], "number") for k in ("gain", "zero")
    }
    numbers["force_gain"] = finite_number(f"{where}force_gain", given["force_gain"], "N or N·m")
    for key in ("gain", "force_gain"):
        if numbers[key] == 0:
            raise ConfigurationError(f"{where}{key} = 0: every reading would become 0")
    columns: dict[str, Any] = {
        k: _column(where + k, given[k]) for k in ("position", "velocity", "force")
    }
    if columns["position"] is None:
        raise ConfigurationError(f"{where}position = None: expected the column of its position")
    strength = given["force_max"]
    return Joint(
        name=name,
        angular=angular,
        unit=units[unit],
        velocity_unit=units[unit] if speed is None else VELOCITIES[angular][speed],
        force_max=None if strength is None else positive_number(f"{where}force_max", strength, "N"),
        stops=_stops(where, given["stops"]),
        **columns,
        **numbers,
    )


def _column(what: str, value: Any) -> Any:
    usable = value is None or (isinstance(value, str) and value.strip())
    if usable or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
        return value
    raise ConfigurationError(
        f"{what} = {value!r}: expected the name of a column, or its number from 0"
    )


def _stops(where: str, value: Any) -> tuple[float, float] | None:
    if value is None:
        return None
    pair = tuple(value) if isinstance(value, Sequence) else ()
    if len(pair) != 2:
        raise ConfigurationError(f"{where}stops = {value!r}: expected a pair [low, high]")
    low, high = (finite_number(f"{where}stops", one, "as the position") for one in pair)
    if low >= high:
        raise ConfigurationError(f"{where}stops = {value!r}: expected low < high")
    return low, high


def _refuse_twice(machine: str, joints: Sequence[Joint]) -> None:
    used: dict[Any, str] = {}
    for joint in joints:
        for kind in ("position", "velocity", "force"):
            column, what = getattr(joint, kind), f"the {kind} of {joint.name}"
            if column is not None and column in used:
                raise ConfigurationError(
                    f"{machine}: the column {column!r} is {used[column]} and {what}: "
                    "expected one column for each"
                )
            used[column] = what


def _clock(name: str, time: Any, interval: Any) -> tuple[Column | None, float | None]:
    if (time is None) == (interval is None):
        found = "neither time nor" if time is None else "both time and"
        raise ConfigurationError(
            f"{name} has {found} interval: give the column of the clock, or the seconds between "
            "two rows of logs without a clock"
        )
    if interval is not None:
        return None, positive_number(f"{name}.interval", interval, "seconds")
    return _column(f"{name}.time", time), None


def _motors(name: str, joints: Sequence[Joint], actuated: Any) -> tuple[str, ...] | None:
    """Names of the coordinates with a motor; None where nothing tells of any."""
    if actuated is None:
        return tuple(j.name for j in joints if j.force is not None) or None
    chosen = (actuated,) if isinstance(actuated, str) else tuple(actuated)
    names = [joint.name for joint in joints]
    if not chosen or not set(chosen) <= set(names) or len(set(chosen)) < len(chosen):
        raise ConfigurationError(
            f"{name}.actuated = {actuated!r}: expected some of {', '.join(names)}"
        )
    return chosen


def _strengths(
    name: str, joints: Sequence[Joint], motors: tuple[str, ...] | None
) -> tuple[float, ...] | None:
    known = {j.name: j.force_max for j in joints if j.force_max is not None}
    chosen = motors or tuple(joint.name for joint in joints)
    absent = [one for one in chosen if one not in known]
    if not known:
        return None
    if absent or set(known) - set(chosen):
        raise ConfigurationError(
            f"{name}.force_max is given for {', '.join(known)}, and motors have "
            f"{', '.join(chosen)}: expected it for each of them, or for none"
        )
    return tuple(known[one] for one in chosen)


def _reference(what: str, value: Any) -> str | None:
    if value is None or (isinstance(value, str) and value.count(":") == 1):
        return value
    raise ConfigurationError(f'{what} = {value!r}: expected "module:name", importable by others')
