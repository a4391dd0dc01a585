"""The tables: every system, every model, every environment id.

A new physical system is one row of `SYSTEMS`, a new model one row of `MODELS`; the ids follow.
Rows are strings, so that importing this package loads neither jax nor a single checkpoint.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import gymnasium

from gym_lagrangian.errors import ConfigurationError


class SystemRow(NamedTuple):
    """Where a system's class is, and the steps after which its episodes are truncated."""

    entry_point: str
    max_episode_steps: int


class ModelRow(NamedTuple):
    """Where a model's class is, and the systems for which it ships trained."""

    entry_point: str
    ships_for: tuple[str, ...]


class EnvironmentRow(NamedTuple):
    """One registered id; `model` is None for the exact simulation."""

    id: str
    system: str
    model: str | None
    kwargs: dict[str, Any]
    max_episode_steps: int


SYSTEMS: dict[str, SystemRow] = {
    "DoublePendulum": SystemRow(
        "gym_lagrangian.systems.double_pendulum:DoublePendulum", max_episode_steps=500
    ),
    "RelativisticParticle": SystemRow(
        "gym_lagrangian.systems.relativistic_particle:RelativisticParticle",
        max_episode_steps=500,
    ),
}

BOTH = ("DoublePendulum", "RelativisticParticle")

MODELS: dict[str, ModelRow] = {
    "LNN": ModelRow("gym_lagrangian.models.lnn:LNN", ships_for=BOTH),
    "Baseline": ModelRow("gym_lagrangian.models.baseline:Baseline", ships_for=BOTH),
    "HNN": ModelRow("gym_lagrangian.models.hnn:HNN", ships_for=BOTH),
    "NoncanonicalHNN": ModelRow(
        "gym_lagrangian.models.noncanonical_hnn:NoncanonicalHNN", ships_for=BOTH
    ),
    "DeLaN": ModelRow("gym_lagrangian.models.delan:DeLaN", ships_for=BOTH),
    "NODE": ModelRow("gym_lagrangian.models.node:NODE", ships_for=BOTH),
    "MLP": ModelRow("gym_lagrangian.models.mlp:MLP", ships_for=BOTH),
}


def environments() -> Iterator[EnvironmentRow]:
    """Every id: the exact system, then its learned twins."""
    for system, row in SYSTEMS.items():
        kwargs = {"system": system}
        yield EnvironmentRow(f"{system}-v0", system, None, kwargs, row.max_episode_steps)
        for model, model_row in MODELS.items():
            if system in model_row.ships_for:
                name = f"{system}{model}"
                learned = {"system": system, "checkpoint": name}
                yield EnvironmentRow(f"{name}-v0", system, model, learned, row.max_episode_steps)


def find(env_id: str) -> EnvironmentRow:
    """The row of an id.

    Raises:
        ConfigurationError: not an id of this package; the message lists those.
    """
    rows = {row.id: row for row in environments()}
    if env_id not in rows:
        raise ConfigurationError(f"unknown id {env_id!r}; choose one of {', '.join(rows)}")
    return rows[env_id]


def find_model(system: str, model: str) -> EnvironmentRow:
    """The row of a system moved by a model.

    Raises:
        ConfigurationError: no such model is shipped; the message lists those that are.
    """
    rows = {row.model: row for row in environments() if row.system == system and row.model}
    if model not in rows:
        there = ", ".join(map(str, rows)) or "none"
        raise ConfigurationError(f"no trained {model!r} of {system}; there is: {there}")
    return rows[model]


def register() -> None:
    """Register every id with Gymnasium; ids that are already there are left alone."""
    for row in environments():
        if row.id not in gymnasium.registry:
            gymnasium.register(
                id=row.id,
                entry_point="gym_lagrangian.envs.scalar:LagrangianEnv",
                vector_entry_point="gym_lagrangian.envs.vector:LagrangianVectorEnv",
                max_episode_steps=row.max_episode_steps,
                kwargs=row.kwargs,
            )


def markdown_table() -> str:
    """The ids as the table that stands in the README."""
    lines = ["| Id | System | Moved by | Steps |", "|---|---|---|---|"]
    for row in environments():
        moved_by = (
            "its exact equation of motion" if row.model is None else f"`{row.model}`, trained"
        )
        lines.append(f"| `{row.id}` | `{row.system}` | {moved_by} | {row.max_episode_steps} |")
    return "\n".join(lines)


def load_system(name: str) -> Any:
    """The class of a registered system.

    Raises:
        ConfigurationError: the name is not in `SYSTEMS`.
    """
    return _load("system", name, SYSTEMS)


def load_model(name: str) -> Any:
    """The class of a registered model.

    Raises:
        ConfigurationError: the name is not in `MODELS`.
    """
    return _load("model", name, MODELS)


def _load(kind: str, name: str, table: dict[str, Any]) -> Any:
    if name not in table:
        raise ConfigurationError(f"unknown {kind} {name!r}; choose one of {', '.join(table)}")
    module, attribute = table[name].entry_point.split(":")
    return getattr(importlib.import_module(module), attribute)
