"""A machine's TOML file as the arguments of `Machine`."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

from gym_lagrangian.errors import ConfigurationError

# Key of the file → argument of `Machine`.
_TOP = ("name", "dt", "friction", "cyclic", "task", "reward", "forces", "gap", "episode")
_TIME = {"column": "time", "unit": "time_unit", "interval": "interval"}

# Keys of the table of a coordinate that are arguments with one value a coordinate.
_JOINT = (
    "unit",
    "position",
    "velocity",
    "velocity_unit",
    "force",
    "gain",
    "zero",
    "force_gain",
    "force_max",
    "stops",
)
_USUAL = {"gain": 1.0, "zero": 0.0, "force_gain": 1.0}
_KINDS = ("angle", "length")


def arguments_in(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The arguments of `Machine` that a file states.

    Raises:
        ConfigurationError: it cannot be read, or has an unknown key.
    """
    document, where = _read(path), os.fspath(path)
    _known(where, "", document, (*_TOP, "time", "coordinates"))
    clock = _table(where, "time", document.get("time", {}))
    _known(where, "time.", clock, _TIME)
    found = {key: document[key] for key in _TOP if key in document}
    found.setdefault("name", Path(path).stem)
    found |= {_TIME[key]: value for key, value in clock.items()}
    return found | _of_coordinates(where, document.get("coordinates"))


def _read(path: str | os.PathLike[str]) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot read {os.fspath(path)!r}: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{os.fspath(path)}: not a TOML file: {error}") from error


def _of_coordinates(where: str, tables: Any) -> dict[str, Any]:
    if not isinstance(tables, list) or not tables:
        raise ConfigurationError(
            f"{where}: no coordinates: expected a table [[coordinates]] for each"
        )
    rows = [_coordinate(where, i, table) for i, table in enumerate(tables)]
    found: dict[str, Any] = {"coordinates": [row["name"] for row in rows]}
    found["angular"] = [row["kind"] == "angle" for row in rows]
    for key in _JOINT:
        found[key] = [row.get(key, _USUAL.get(key)) for row in rows]
    found["position"] = [row.get("position", row["name"]) for row in rows]
    return found | _actuated(where, rows)


def _coordinate(where: str, number: int, table: Any) -> dict[str, Any]:
    key = f"coordinates[{number}]"
    row = _table(where, key, table)
    _known(where, f"{key}.", row, ("name", "kind", "actuated", *_JOINT))
    for needed, meaning in (("name", "its name"), ("kind", '"angle" or "length"')):
        if needed not in row:
            raise ConfigurationError(f"{where}: {key} has no {needed}: expected {meaning}")
    if row["kind"] not in _KINDS:
        raise ConfigurationError(
            f"{where}: {key}.kind = {row['kind']!r}: choose one of {', '.join(_KINDS)}"
        )
    return row


def _actuated(where: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Nothing where no table says; otherwise who has a motor."""
    for row in rows:
        if not isinstance(row.get("actuated", True), bool):
            raise ConfigurationError(
                f"{where}: actuated = {row['actuated']!r} of {row['name']}: expected true or false"
            )
    if not any("actuated" in row for row in rows):
        return {}
    chosen = [row["name"] for row in rows if row.get("actuated", "force" in row)]
    return {"actuated": chosen}


def _table(where: str, key: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigurationError(f"{where}: {key} = {value!r}: expected a table")
    return value


def _known(where: str, prefix: str, given: dict[str, Any], known: Any) -> None:
    for key in given:
        if key not in known:
            raise ConfigurationError(
                f"{where}: unknown key {prefix}{key}; the keys here are {', '.join(known)}"
            )
