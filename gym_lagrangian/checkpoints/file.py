r"""Checkpoints: a model's weights and where they came from, in one safetensors file.

The file holds the arrays under their paths in the model (``network.weights.0`` …) and, in the
header, one JSON document: the format version, the `Card`, and a SHA-256 over all of it. Format 1,
which names a system of this package, is read as well. Nothing is ever unpickled, and a file that
was truncated or edited by hand is refused.

The weights are readable without this package, as plain NumPy arrays:

    from safetensors.numpy import load_file
    arrays = load_file("DoublePendulumLNN.safetensors")
    arrays["model.network.weights.0"]       # (outputs, inputs); biases.0 (outputs,); layers 0 to 3

The weights of an ensemble of k models have a first axis k and lie under ``each``:

    arrays["model.each.network.weights.0"]  # (k, outputs, inputs)

The docstring of the model says what its network computes, and that of
`gym_lagrangian.models.embedding` what the inputs of the network are.

A name without a path separator or ``.safetensors`` is a checkpoint shipped with the package. For
a system in a variant other than its default the same name stands for the checkpoint of that
variant, where one is shipped: ``RelativisticParticleLNN`` with ``lagrangian="special_relativity"``
is the file ``RelativisticParticleLNN-special_relativity``.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np
import safetensors.numpy
from safetensors import safe_open

from gym_lagrangian import references
from gym_lagrangian.checkpoints.card import Card
from gym_lagrangian.checkpoints.identity import moves_as
from gym_lagrangian.checks import finite_number, shown
from gym_lagrangian.errors import CheckpointError, ConfigurationError
from gym_lagrangian.files import at_home, is_file, replacing, writable_path
from gym_lagrangian.models.base import Model
from gym_lagrangian.registration import conditioned_twin
from gym_lagrangian.systems.coordinates import Coordinates
from gym_lagrangian.systems.view import Mechanics

FORMAT = 2
_READABLE = (1, 2)
SUFFIX = ".safetensors"
_KEY = "gym_lagrangian"

# Parameters are the same within this share.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Checkpoint:
    """A trained model and what came with it.

    Attributes:
        model, card: the model, and what its file says of it.
        sha256: of both.
        extra: further arrays saved beside it.
        path: the file that it was read from; None for one that was not.
        name: the shipped name, or the path, by which it was asked for.
    """

    model: Model
    card: Card
    sha256: str
    extra: dict[str, np.ndarray]
    path: Path | None = None
    name: str = ""

    @property
    def mechanics(self) -> Mechanics:
        """The model's energies, momenta and forces in SI units, as `System.mechanics` has the true
        ones. Parameters have the values at which it was trained; one that it is conditioned on has
        the machine's own, where that lies within its range.
        """
        card, coordinates = self.card, self.card.model_coordinates()
        check = partial(check_parameters, card, coordinates, what="the model")
        return Mechanics(self.model, coordinates, card.defaults(), check)


def shipped() -> tuple[str, ...]:
    """Names of the checkpoints inside the package."""
    folder = resources.files("gym_lagrangian") / "checkpoints"
    names = (entry.name for entry in folder.iterdir()) if folder.is_dir() else ()
    return tuple(sorted(name.removesuffix(SUFFIX) for name in names if name.endswith(SUFFIX)))


def resolve(name_or_path: str | os.PathLike[str], system: Coordinates | None = None) -> Path:
    """The file of a path or of a shipped name, which stands for the variant that `system` is.

    Raises:
        CheckpointError: there is no such file; the message lists the shipped names.
    """
    if not isinstance(name_or_path, str | os.PathLike):
        raise CheckpointError(
            f"checkpoint = {shown(name_or_path)}: expected a path, or one of the shipped names "
            f"{', '.join(shipped()) or '(none)'}"
        )
    text = os.fspath(name_or_path)
    is_name = os.sep not in text and "/" not in text and not text.endswith(SUFFIX)
    path = Path(at_home(text))
    if is_name:
        physics = None if system is None else system.physics
        options = () if physics is None else physics.options.values()
        variant = "-".join(map(str, (text, *options)))
        name = variant if variant in shipped() else text
        path = Path(str(resources.files("gym_lagrangian") / "checkpoints" / f"{name}{SUFFIX}"))
    if not is_file(path):
        raise CheckpointError(
            f"no checkpoint {shown(text)}: expected the path of a {SUFFIX} file, or one of the "
            f"shipped names {', '.join(shipped()) or '(none)'}"
        )
    return path


def writable(path: str | os.PathLike[str]) -> Path:
    """The path of a checkpoint to write.

    Raises:
        CheckpointError: it does not end in ``.safetensors``, or its folder is none to write to.
    """
    return writable_path(path, SUFFIX, "the checkpoint", failure=CheckpointError)


def save(
    path: str | os.PathLike[str],
    model: Model,
    card: Card,
    *,
    extra: dict[str, np.ndarray] | None = None,
) -> str:
    """Write a checkpoint and return its SHA-256; `path` holds the old file or the whole new one.

    Arguments:
        extra: further arrays (an optimiser's state), stored under their own names.

    Raises:
        CheckpointError: the path does not end in ``.safetensors`` or cannot be written.
    """
    path = writable(path)
    tensors = {f"model.{name}": array for name, array in _arrays(model).items()}
    tensors |= {f"extra.{name}": np.asarray(array) for name, array in (extra or {}).items()}
    document = {"format": FORMAT, "card": asdict(card)}
    digest = _digest(document, tensors)
    metadata = {_KEY: json.dumps(document | {"sha256": digest}, sort_keys=True)}
    with replacing(path, failure=CheckpointError) as part:
        part.write_bytes(safetensors.numpy.save(tensors, metadata=metadata))
    return digest


def load(name_or_path: str | os.PathLike[str], system: Coordinates | None = None) -> Checkpoint:
    """Read a checkpoint, checking every claim that it makes.

    Arguments:
        system: the variant that a shipped name stands for; default the system's default.

    Raises:
        CheckpointError: missing, truncated, edited, of a newer format, or not of this package.
    """
    path = resolve(name_or_path, system)
    document, tensors = _read(path)
    claimed = document.pop("sha256", None)
    version = document["format"]
    if claimed != _digest(document, tensors):
        raise CheckpointError(
            f"{str(path)!r} does not match the SHA-256 in its header: it was edited or damaged; "
            "retrain it or fetch it again"
        )
    card = _card(path, document["card"], version)
    arrays = _with_prefix("model.", tensors)
    _refuse_larger(path, card.model_config, arrays)
    _refuse_other_members(path, card.members, arrays)
    try:
        skeleton = eqx.filter_eval_shape(lambda: card.build_model(key=jax.random.key(0)))
    except Exception as error:  # whatever a constructor raises that is given what a file says
        raise CheckpointError(f"{str(path)!r} cannot be rebuilt: {error}") from error
    model = _fill(path, skeleton, arrays)
    return Checkpoint(
        model, card, claimed, _with_prefix("extra.", tensors), path, os.fspath(name_or_path)
    )


def load_for(
    name_or_path: str | os.PathLike[str], system: Coordinates, m_bounds: np.ndarray
) -> Checkpoint:
    """Read a checkpoint for use in place of `system` with parameters within `m_bounds` (2, k).

    Where it was not trained at these, the conditioned checkpoint is read that belongs to it, if one
    was registered beside it (`registration.conditioned_twin`) and knows them.

    Raises:
        CheckpointError: as `load`, or the model was trained for another system, for another
            variant of it, or at other parameters; the message names both.
    """
    found = load(name_or_path, system)
    try:
        check_fits(found.card, system, m_bounds, what=f"checkpoint {found.name!r}")
    except CheckpointError as error:
        twin = conditioned_twin(found.name)
        if twin is None:
            raise
        return _load_twin(twin, system, m_bounds, error)
    return found


def _load_twin(
    name: str, system: Coordinates, m_bounds: np.ndarray, refusal: CheckpointError
) -> Checkpoint:
    try:
        found = load(name, system)
        check_fits(found.card, system, m_bounds, what=f"checkpoint {name!r}")
    except CheckpointError as error:
        raise CheckpointError(f"{refusal}. Its conditioned twin does not serve: {error}") from error
    return found


def check_fits(card: Card, coordinates: Coordinates, m_bounds: np.ndarray, *, what: str) -> None:
    """Refuse a model that did not learn this machine at these parameters.

    Raises:
        CheckpointError: naming what the model was trained for and what was asked for.
    """
    _check_physics(card, coordinates, what)
    check_parameters(card, coordinates, m_bounds, what=what)


def check_parameters(
    card: Card, coordinates: Coordinates, m_bounds: np.ndarray, *, what: str
) -> None:
    """Refuse parameters (2, k) or between such bounds at which a model was not trained.

    Parameters are equal where they are so to 1e-6, as float32 holds them.

    Raises:
        CheckpointError: naming the parameter, its value and those at which the model was trained.
    """
    known = card.validity()
    for name, low, high in zip(coordinates.parameters, *np.asarray(m_bounds).tolist(), strict=True):
        least, most = known.get(name, (-np.inf, np.inf))
        slack = _ROUNDING * max(abs(low), abs(high))
        if low < least - slack or high > most + slack:
            asked = low if low == high else (low, high)
            raise CheckpointError(f"{what} {_only_at(name, least, most).format(asked)}")


def _only_at(name: str, least: float, most: float) -> str:
    """What to say of a parameter that is out of range, which {} stands for."""
    if least == most:
        return (
            f"was trained at {name} = {least}, not {{}}; leave {name} out, or train a model "
            f"conditioned on {name}"
        )
    return (
        f"was trained on {name} from {least:g} to {most:g}, not {{}}; stay within, or train a "
        f"model on a wider range of {name}"
    )


def _check_physics(card: Card, coordinates: Coordinates, what: str) -> None:
    """Refuse a model of other equations; of other coordinates where equations are unknown."""
    found, system = card.physics, coordinates.physics
    if not card.model_coordinates().agrees_with(coordinates):
        raise CheckpointError(f"{what} is a model of {card.system}, this is {coordinates.name}")
    if found is None or system is None:
        return
    for name, trained in card.options.items():
        asked = system.options.get(name)
        if asked is not None and trained != asked:
            raise CheckpointError(f"{what} was trained for {name}={trained!r}, not {asked!r}")
    here = references.reference_to(type(system), "system")
    recorded = found["fingerprint"]
    try:
        same = here == found["entry_point"] if recorded is None else moves_as(system, recorded)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{what} has a fingerprint that is none: {error}") from error
    if not same:
        raise CheckpointError(
            f"{what} is a model of {found['entry_point']}, and {here} moves otherwise: its "
            "Lagrangian was edited since, or it is another system; train a model of it"
        )


def _with_prefix(prefix: str, tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    try:
        with safe_open(str(path), framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except Exception as error:  # whatever the bytes of a damaged file make the library raise
        raise CheckpointError(
            f"{str(path)!r} is not a readable safetensors file (truncated?): {error}"
        ) from error
    try:
        document = json.loads(metadata[_KEY])
        format_version = document["format"]
        document["card"]
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{str(path)!r} is a safetensors file without a gym_lagrangian header; "
            "expected one written by gym_lagrangian.checkpoints.file.save"
        ) from error
    if format_version not in _READABLE:
        raise CheckpointError(
            f"{str(path)!r} has checkpoint format {format_version}, this package reads "
            f"{' and '.join(map(str, _READABLE))}; upgrade gym-lagrangian"
        )
    return document, tensors


def _card(path: Path, fields: dict[str, Any], version: int) -> Card:
    try:
        _check_fields(fields)
        ranges = {name: _pair(one) for name, one in fields.get("ranges", {}).items()}
        kept = {**fields, "conditioned_on": tuple(fields["conditioned_on"])}
        kept |= {"ranges": ranges} if ranges else {}
        return Card.of_format_1(kept) if version == 1 else Card(**kept)
    except ConfigurationError as error:
        raise CheckpointError(f"{str(path)!r}: {error}") from error
    except Exception as error:  # whatever a header raises that has the form of none
        raise CheckpointError(f"{str(path)!r} has an incomplete header: {error}") from error


_Kinds = dict[str, type | tuple[type | None, ...]]

# What the fields of a card are in JSON, where a file has them.
_FIELDS: _Kinds = {
    "coordinates": dict,
    "physics": (dict, None),
    "parameters": dict,
    "conditioned_on": list,
    "model": str,
    "model_config": dict,
    "training": dict,
    "data": str,
    "forced": bool,
    "metrics": dict,
    "package_version": str,
    "ranges": dict,
    "friction": (str, None),
    "members": int,
    "base": (dict, None),
    "init": (dict, None),
}


# The same of what a card says of the equations.
_PHYSICS: _Kinds = {
    "entry_point": str,
    "options": dict,
    "fingerprint": (str, None),
}


def _check_fields(fields: dict[str, Any]) -> None:
    """Refuse a card whose fields are of another kind than they are written as.

    Raises:
        ValueError: naming the field.
    """
    _check_kinds(fields, _FIELDS)
    physics = fields.get("physics")
    if physics is not None:
        if _PHYSICS.keys() - physics.keys():
            raise ValueError(f"physics is {shown(physics)}")
        _check_kinds(physics, _PHYSICS)
    for name, value in fields["parameters"].items():
        finite_number(name, value, "as JSON has it")


def _check_kinds(fields: dict[str, Any], known: _Kinds) -> None:
    for name, kinds in known.items():
        expected = kinds if isinstance(kinds, tuple) else (kinds,)
        found = fields.get(name, ...)
        usual = any(found is None if kind is None else isinstance(found, kind) for kind in expected)
        if found is not ... and not usual:
            raise ValueError(f"{name} is {shown(found)}")


def _pair(value: Any) -> tuple[float, float]:
    low, high = value
    return float(low), float(high)


def _named_leaves(model: Model) -> tuple[list[tuple[str, Any]], Any]:
    leaves, treedef = jax.tree_util.tree_flatten_with_path(model)
    named = [(jax.tree_util.keystr(p, simple=True, separator="."), leaf) for p, leaf in leaves]
    return named, treedef


def _arrays(model: Model) -> dict[str, np.ndarray]:
    return {name: np.asarray(leaf) for name, leaf in _named_leaves(model)[0]}


# What a setting of a model counts is at most so many where a file has fewer numbers than that.
_FEW = 10_000


def _refuse_larger(path: Path, config: Any, arrays: dict[str, np.ndarray]) -> None:
    """Refuse settings of a model that is larger than the arrays beside them, before it is built."""
    layers, weights = len(arrays), max(_FEW, sum(array.size for array in arrays.values()))
    for name, value in config.items() if isinstance(config, dict) else ():
        most = layers if name == "depth" else weights
        if isinstance(value, int) and value > most:
            raise CheckpointError(
                f"{str(path)!r}: {name} = {shown(value)} does not go with its {layers} arrays of "
                f"{weights} numbers"
            )


def _refuse_other_members(path: Path, members: int, arrays: dict[str, np.ndarray]) -> None:
    """Refuse a number of members that the arrays, each with a first axis of them, do not have."""
    found = {array.shape for array in arrays.values()}
    if members > 1 and any(shape[:1] != (members,) for shape in found):
        raise CheckpointError(
            f"{str(path)!r}: members = {shown(members)} does not go with its arrays, of shapes "
            f"{', '.join(map(str, sorted(found)))}"
        )


def _fill(path: Path, skeleton: Model, arrays: dict[str, np.ndarray]) -> Model:
    named, treedef = _named_leaves(skeleton)
    expected = {name: leaf.shape for name, leaf in named}
    found = {name: array.shape for name, array in arrays.items()}
    if expected != found:
        raise CheckpointError(
            f"{str(path)!r} holds arrays {found}, but its configuration describes {expected}"
        )
    with np.errstate(over="ignore"):  # what becomes infinite is refused
        leaves = [arrays[name].astype(_coarser(arrays[name], leaf)) for name, leaf in named]
    bad = [
        name for (name, _), leaf in zip(named, leaves, strict=True) if not np.isfinite(leaf).all()
    ]
    if bad:
        raise CheckpointError(
            f"{str(path)!r} holds weights that are not finite in {', '.join(bad)}: train "
            "the model again"
        )
    return jax.tree_util.tree_unflatten(treedef, map(jax.device_put, leaves))


def _coarser(stored: np.ndarray, leaf: Any) -> Any:
    """The dtype of the two that is smaller: a file's weights do not become exacter by loading."""
    return min(stored.dtype, leaf.dtype, key=lambda dtype: dtype.itemsize)


def _digest(document: dict[str, Any], tensors: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode())
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name])
        digest.update(f"{name}{array.dtype}{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
