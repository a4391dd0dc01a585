"""The card of a checkpoint: what was trained, on which data, with which settings and results."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from gym_lagrangian import references
from gym_lagrangian.checkpoints.identity import fingerprint
from gym_lagrangian.checks import whole_number
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.models.base import Model
from gym_lagrangian.models.embedding import Embedding
from gym_lagrangian.models.ensemble import MOST_MEMBERS, Ensemble
from gym_lagrangian.registration import SYSTEMS, build_system, load_model, load_system
from gym_lagrangian.systems.base import System
from gym_lagrangian.systems.coordinates import Coordinates


@dataclass(frozen=True)
class Card:
    """What a checkpoint says of itself, JSON-able.

    Attributes:
        coordinates: what moves, see `Coordinates.document`, with the magnitudes that the model
            divides by, whether given or taken from its data.
        physics: of a model of known equations, ``"entry_point"``, ``"options"`` and the
            ``"fingerprint"`` that identifies them (see `identity`; None in files of format 1);
            None for a model of coordinates alone.
        parameters: name → value at which it was trained, for parameters it is not
            conditioned on.
        conditioned_on: names of the parameters that the model takes as inputs.
        model, model_config: the model's registered name and constructor arguments.
        training: the training configuration, seed included.
        data: a sentence about the states it learned from.
        forced: whether forces acted on any of them.
        metrics: name → measured number.
        package_version: the version of gym_lagrangian that wrote it.
        ranges: name → (low, high) between which a parameter of `conditioned_on` lay in training;
            empty where that is not known.
        friction: the kind of friction that the model has; None for none.
        members: how many models of the same structure there are; of more than one, the checkpoint
            holds an `Ensemble`.
        base: the physics that the model corrects; None for a model of its own.
        init: ``"checkpoint"`` and ``"sha256"`` of the trained model that it went on from; None for
            one that began with random weights.
    """

    coordinates: dict[str, Any]
    physics: dict[str, Any] | None
    parameters: dict[str, float]
    conditioned_on: tuple[str, ...]
    model: str
    model_config: dict[str, Any]
    training: dict[str, Any] = field(default_factory=dict)
    data: str = ""
    forced: bool = True
    metrics: dict[str, Any] = field(default_factory=dict)
    package_version: str = ""
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)
    friction: str | None = None
    members: int = 1
    base: dict[str, Any] | None = None
    init: dict[str, str] | None = None

    @classmethod
    def of(
        cls, coordinates: Coordinates, *, seen: Coordinates | None = None, **fields: Any
    ) -> Card:
        """The card of a model of `coordinates`, which may be a system.

        Arguments:
            seen: the same coordinates with the magnitudes that the model divides by, where these
                are not their own.
        """
        document = (seen or coordinates).document()
        origin = {"coordinates": document, "physics": _physics(coordinates)}
        return cls(**_as_read(origin), **fields)

    @classmethod
    def of_format_1(cls, fields: Mapping[str, Any]) -> Card:
        """The card that a file of format 1 holds, which names a system of this package.

        Raises:
            ConfigurationError: there is no such system.
            KeyError, TypeError: it is not such a card.
        """
        kept = dict(fields)
        name, options = kept.pop("system"), kept.pop("system_options")
        system_class = load_system(name)
        physical = {k: v for k, v in options.items() if k in system_class.option_names()}
        entry_point = SYSTEMS[name].entry_point
        physics = {"entry_point": entry_point, "options": physical, "fingerprint": None}
        origin = {"coordinates": system_class(**physical).document(), "physics": physics}
        return cls(**_as_read(origin), **kept)

    @property
    def system(self) -> str:
        """The name of the machine."""
        return self.coordinates["name"]

    @property
    def options(self) -> dict[str, Any]:
        """The options of the physics as its constructor takes them."""
        given = {} if self.physics is None else self.physics["options"]
        return {name: hashable(value) for name, value in given.items()}

    def validity(self) -> dict[str, tuple[float, float]]:
        """Name → (low, high) of the parameters at which the model was trained, as far as known."""
        return {name: (value, value) for name, value in self.parameters.items()} | self.ranges

    def defaults(self) -> dict[str, float]:
        """Name → value of the parameters at which it was trained, and of those that it is
        conditioned on the machine's own where that is one number within their range.
        """
        own = self.model_coordinates().parameters
        found = dict(self.parameters)
        for name in self.conditioned_on:
            low, high = self.ranges.get(name, (-np.inf, np.inf))
            default = own[name].default
            if not isinstance(default, tuple) and low <= default <= high:
                found[name] = float(default)
        return found

    def model_coordinates(self) -> Coordinates:
        """The coordinates as the model sees them, without equations."""
        return Coordinates.of_document(self.coordinates)

    def origin(self) -> tuple[Any, dict[str, Any]]:
        """The system's class and its options; the coordinates and nothing for a model of
        coordinates alone.

        Raises:
            ConfigurationError: the class cannot be found.
        """
        if self.physics is None:
            return self.model_coordinates(), {}
        return load_system(self.physics["entry_point"]), self.options

    def build_system(self) -> System:
        """The system that the model was trained on.

        Raises:
            ConfigurationError: its class cannot be found, or it is a model of coordinates alone.
        """
        source, options = self.origin()
        if not isinstance(source, type):
            raise ConfigurationError(
                f"{self.system} is known by its coordinates alone: there are no true equations"
            )
        return build_system(source, options)

    def build_model(self, *, key: jax.Array) -> Model:
        """A model of the recorded structure with fresh weights; an ensemble where there are more
        members than one.

        Raises:
            ConfigurationError: a number of members, or settings, that make no sense.
        """
        members = whole_number("members", self.members, most=MOST_MEMBERS)
        if members == 1:
            return self._build_member(key=key)
        return Ensemble.of([self._build_member(key=one) for one in jax.random.split(key, members)])

    def _build_member(self, *, key: jax.Array) -> Model:
        model_class = load_model(self.model)
        embedding = Embedding.of(self.model_coordinates(), tuple(self.conditioned_on))
        legendre = self.build_system() if model_class.canonical else None
        return model_class.build(embedding, key=key, legendre=legendre, **self.model_config)


def fresh_model(
    name: str,
    coordinates: Coordinates,
    conditioned_on: tuple[str, ...],
    *,
    key: jax.Array,
    **config: Any,
) -> Model:
    """A registered model of a system or of coordinates, with fresh weights; `config` as the
    model's constructor.

    Raises:
        ConfigurationError: an unknown argument, or a model in canonical momenta of a machine whose
            Lagrangian is unknown.
    """
    embedding = Embedding.of(coordinates, conditioned_on)
    return load_model(name).build(embedding, key=key, legendre=coordinates.physics, **config)


def hashable(value: Any) -> Any:
    """An option, which is compared by value, with tuples in place of lists and arrays."""
    if isinstance(value, np.ndarray | jax.Array):
        value = value.tolist()  # of a masked array with None where the mask is
    return tuple(map(hashable, value)) if isinstance(value, list) else value


def _as_read(document: dict[str, Any]) -> dict[str, Any]:
    """A document as it will be read from the file, to be equal to what is."""
    return json.loads(json.dumps(document))


def _physics(coordinates: Coordinates) -> dict[str, Any] | None:
    system = coordinates.physics
    if system is None:
        return None
    return {
        "entry_point": references.reference_to(type(system), "system"),
        "options": system.options,
        "fingerprint": fingerprint(system),
    }
