"""Fine-tuning: a training that goes on from the weights of a trained model.

The model keeps its structure: class, settings, magnitudes and the parameters that it takes as
inputs. What it learns from may differ: other masses, other physics of the same coordinates.
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import jax

from gym_lagrangian import checkpoints
from gym_lagrangian.checkpoints import Checkpoint
from gym_lagrangian.checkpoints.card import hashable
from gym_lagrangian.checks import known_names
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.learning.conditions import ConditionedOn
from gym_lagrangian.models.base import Model
from gym_lagrangian.models.embedding import Embedding
from gym_lagrangian.models.ensemble import Ensemble
from gym_lagrangian.registration import load_model
from gym_lagrangian.systems.coordinates import Coordinates

Init = Checkpoint | str | os.PathLike[str]


class Initial(NamedTuple):
    """The model to go on from.

    Attributes:
        model: with its weights, for the coordinates that are learned from now.
        seen: these coordinates with the magnitudes that the model divides by.
        origin: what the new checkpoint says of it: its name and its SHA-256.
    """

    model: Model
    seen: Coordinates
    origin: dict[str, str]


def opened(init: Init, coordinates: Coordinates) -> Checkpoint:
    """The checkpoint of a path or a shipped name, or the one that was given.

    Raises:
        CheckpointError: no such file, or a damaged one.
        ConfigurationError: none of these, or a model of other coordinates.
    """
    if isinstance(init, str | os.PathLike):
        init = checkpoints.load(init, coordinates)
    if not isinstance(init, Checkpoint):
        raise ConfigurationError(
            f"init = {init!r}: expected a Checkpoint, the path of one or the name of a shipped one"
        )
    own = init.card.model_coordinates()
    if not own.agrees_with(coordinates):
        _refuse(init, f"is a model of {_names(own)}", _names(coordinates))
    return init


def asked_of(found: Checkpoint, asked: ConditionedOn | None, *, ranges: bool) -> ConditionedOn:
    """The parameters that the new model takes as inputs, which are those of the old one.

    Arguments:
        asked: the parameters that are asked for; None for as it was.
        ranges: whether the old ranges hold on, too.

    Raises:
        ConfigurationError: other parameters.
    """
    own = found.card.conditioned_on
    if asked is None:
        return {name: found.card.ranges.get(name) if ranges else None for name in own}
    if not isinstance(asked, str) and set(asked) != set(own):
        _refuse(found, f"takes {', '.join(own) or 'no parameter'} as input", ", ".join(asked))
    return asked


def initial(
    found: Checkpoint, model: str, coordinates: Coordinates, config: dict[str, Any]
) -> Initial:
    """The trained model as the beginning of a training.

    Arguments:
        model: the model that is asked for, its registered name or "module:Class".
        coordinates: what is learned from.
        config: settings that are asked for.

    Raises:
        ConfigurationError: another model, or other settings; the message says what differs. Or a
            canonical model of a machine whose Lagrangian is unknown.
    """
    _check(found, model, config)
    seen = _seen(found, coordinates)
    blank = load_model(model).build(
        Embedding.of(seen, found.card.conditioned_on),
        key=jax.random.key(0),
        legendre=coordinates.physics,
        **found.model.config,
    )
    weights = jax.tree.leaves(found.model)
    trained = jax.tree.unflatten(jax.tree.structure(blank), weights)
    if isinstance(found.model, Ensemble):
        trained = Ensemble(trained.embedding, trained, found.model.members)
    return Initial(trained, seen, {"checkpoint": _name(found), "sha256": found.sha256})


def _check(found: Checkpoint, model: str, config: dict[str, Any]) -> None:
    card, own = found.card, found.model.config
    if card.model != model:
        _refuse(found, f"is {card.model}", model)
    known_names(model, load_model(model).settings(), config)
    for name, value in config.items():
        if hashable(value) != hashable(own[name]):
            _refuse(found, f"has {name} = {own[name]!r}", repr(value))


def _refuse(found: Checkpoint, what: str, asked: str) -> None:
    raise ConfigurationError(
        f"init {_name(found)!r} {what}, not {asked or 'none'}: what goes on from it has to be the "
        "same; leave that out, or train from nothing without init"
    )


def _names(coordinates: Coordinates) -> str:
    places = zip(coordinates.coordinates, coordinates.units, strict=True)
    described = ", ".join(f"{name} in {unit}" for name, unit in places)
    parameters = ", ".join(coordinates.parameters) or "no parameters"
    return f"{coordinates.name} ({described}; {parameters})"


def _seen(found: Checkpoint, coordinates: Coordinates) -> Coordinates:
    """The coordinates with everything by which the trained model divides."""
    old = found.card.model_coordinates()
    scales = {name: parameter.scale for name, parameter in old.parameters.items()}
    parameters = [
        [name, *parameter._replace(scale=scales[name])]
        for name, parameter in coordinates.parameters.items()
    ]
    changed = {"name": coordinates.name, "parameters": parameters}
    return Coordinates.of_document(old.document() | changed)


def _name(found: Checkpoint) -> str:
    return "(in memory)" if found.path is None else found.path.stem
