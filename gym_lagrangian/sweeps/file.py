"""A sweep's TOML file.

    systems = ["DoublePendulum"]      # names, or "module:Class"
    models = ["LNN", "DeLaN"]
    seeds = 3                         # 0, 1, 2; or a list
    steps = 5000
    pack = 16                         # runs in one program, at most

    [training]                        # fields of TrainingConfig, each a value or a list of values
    learning_rate = [3e-3, 1e-2]

    [model]                           # arguments of the models' constructors, likewise
    width = [32, 64]

    [model.LNN]                       # for one of the models alone; [training.LNN] likewise
    energy_scale = [20.0, 60.0]

    [early_stopping]                  # leave it out to train all to the end
    first = 500
    factor = 3

Every combination of the values is a setting. A value that is a list itself stands in a list.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

from gym_lagrangian.checks import known_names, shown, whole_number
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.files import readable_path
from gym_lagrangian.sweeps.halving import Halving
from gym_lagrangian.sweeps.plan import Grid, Sweep, Values

_NEEDED = ("systems", "models", "steps")
_KEYS = (*_NEEDED, "seeds", "pack", "training", "model", "early_stopping")


def read_sweep(path: str | os.PathLike[str]) -> Sweep:
    """The sweep that a file states.

    Raises:
        ConfigurationError: it cannot be read, a key is missing or unknown, or a value makes no
            sense; the message names the file.
    """
    where = readable_path(path, "the sweep", failure=ConfigurationError)
    try:
        return sweep_in(_read(where))
    except ConfigurationError as error:
        raise ConfigurationError(f"{where}: {error}") from error


def sweep_in(document: dict[str, Any]) -> Sweep:
    """The sweep in the tables of a file.

    Raises:
        ConfigurationError: as `read_sweep`.
    """
    known_names("a sweep", _KEYS, document)
    missing = [name for name in _NEEDED if name not in document]
    if missing:
        raise ConfigurationError(f"no {', '.join(missing)}: a sweep states {', '.join(_NEEDED)}")
    names = {what: _names(what, document[what]) for what in ("systems", "models")}
    return Sweep(
        **names,
        steps=document["steps"],
        seeds=_seeds(document.get("seeds", 1)),
        training=_grid("training", document),
        settings=_grid("model", document),
        early_stopping=_early_stopping(document),
        pack=document.get("pack", Sweep.pack),
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"cannot read it: {error}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"not a TOML file: {error}") from error


def _names(what: str, value: Any) -> tuple[str, ...]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ConfigurationError(f"{what} = {shown(value)}: expected a list of names")
    return tuple(names)


def _seeds(value: Any) -> tuple[int, ...]:
    """A list of them, or how many."""
    if isinstance(value, list):
        return tuple(value)
    return tuple(range(whole_number("seeds", value, most=10_000)))


def _grid(what: str, document: dict[str, Any]) -> Grid:
    table = _table(what, document.get(what, {}))
    tables = {name: value for name, value in table.items() if isinstance(value, dict)}
    common = {name: value for name, value in table.items() if name not in tables}
    return Grid(
        _values(what, common),
        {name: _values(f"{what}.{name}", one) for name, one in tables.items()},
    )


def _values(what: str, table: dict[str, Any]) -> dict[str, Values]:
    found = {name: tuple(v) if isinstance(v, list) else (v,) for name, v in table.items()}
    for name, values in found.items():
        if not values:
            raise ConfigurationError(f"{what}.{name} is an empty list: expected values to try")
        if any(not isinstance(value, bool | int | float | str | list) for value in values):
            raise ConfigurationError(
                f"{what}.{name} = {shown(table[name])}: expected numbers, texts, truth values or "
                "lists of them"
            )
    return found


def _early_stopping(document: dict[str, Any]) -> Halving | None:
    if "early_stopping" not in document:
        return None
    table = _table("early_stopping", document["early_stopping"])
    known_names("[early_stopping]", ("first", "factor"), table)
    if "first" not in table:
        raise ConfigurationError("[early_stopping] has no first: expected the steps to judge after")
    return Halving(**table)


def _table(what: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigurationError(f"{what} = {shown(value)}: expected a table, [{what}]")
    return value
