"""The tables of systems, models and ids, and the registration of systems from outside.

A new physical system of the package is one row of `SYSTEMS`, a new model one row of `MODELS`; the
ids follow. A system from outside is registered by `register_system`, or named as ``"module:Class"``
without being registered: both are accepted wherever a system's name is. Rows are strings, so that
importing this package loads neither jax nor a single checkpoint.
"""

from __future__ import annotations

import importlib
import inspect
import os
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import gymnasium

from gym_lagrangian import references
from gym_lagrangian.checks import known_arguments, known_names, mapping
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.files import at_home

GENERIC_ID = "Lagrangian-v0"
MAX_EPISODE_STEPS = 500

# What every environment takes beside the arguments of its system and its task.
COMMON_ARGUMENTS = (
    "system",
    "checkpoint",
    "task",
    "reward",
    "observation_noise",
    "action_delay",
    "dt",
    "dtype",
    "integrator",
    "substeps",
    "uncertainty_limit",
    "uncertainty_penalty",
    "member",
    "render_mode",
    "render_size",
    "show_truth",
    "device",
)

_SCALAR = "gym_lagrangian.envs.scalar:LagrangianEnv"
_VECTOR = "gym_lagrangian.envs.vector:LagrangianVectorEnv"


class SystemRow(NamedTuple):
    """A system.

    Attributes:
        entry_point: where its class is.
        summary: what it is, in a few words.
        learned: the models of it that ship trained.
        conditioned: those that ship once more, conditioned on parameters, in the file
            ``<System><Model>-conditioned``.
        max_episode_steps: the steps after which its episodes are truncated.
        distributions: where the function is that says what its models are judged on, in place of
            the system's own `distributions`.
    """

    entry_point: str
    summary: str
    learned: tuple[str, ...] = ()
    conditioned: tuple[str, ...] = ()
    max_episode_steps: int = MAX_EPISODE_STEPS
    distributions: str | None = None


class EnvironmentRow(NamedTuple):
    """One environment: an id and what `gymnasium.make` is given with it.

    Attributes:
        id: the registered id.
        system: the system's name, or "module:Class"; None where a checkpoint decides.
        model: the model that moves it, None for the exact simulation.
        kwargs: further arguments of `gymnasium.make`.
        max_episode_steps: the steps after which episodes are truncated.
        conditioned: the checkpoint that takes over from the one in `kwargs` at parameters at which
            that was not trained; None for none.
    """

    id: str
    system: str | None
    model: str | None
    kwargs: dict[str, Any]
    max_episode_steps: int
    conditioned: str | None = None


MODELS: dict[str, str] = {
    "LNN": "gym_lagrangian.models.lnn:LNN",
    "Baseline": "gym_lagrangian.models.baseline:Baseline",
    "HNN": "gym_lagrangian.models.hnn:HNN",
    "NoncanonicalHNN": "gym_lagrangian.models.noncanonical_hnn:NoncanonicalHNN",
    "DeLaN": "gym_lagrangian.models.delan:DeLaN",
    "SpatialChain": "gym_lagrangian.models.spatial_chain:SpatialChain",
    "NODE": "gym_lagrangian.models.node:NODE",
    "MLP": "gym_lagrangian.models.mlp:MLP",
    "Calibrated": "gym_lagrangian.models.calibrated:Calibrated",
    "Residual": "gym_lagrangian.models.residual:Residual",
}

# Those that networks alone are, which know nothing of a system's equations.
NETWORKS = ("LNN", "Baseline", "HNN", "NoncanonicalHNN", "DeLaN", "NODE", "MLP")

_MACHINES = "gym_lagrangian.systems.machines"

# Whose systems they are, by how their names begin.
_FAMILIES = {
    "DoublePendulum": "The paper",
    "RelativisticParticle": "The paper",
    "Gymnasium": "Gymnasium, nothing clipped",
    "Pilco": "PILCO",
    "Dfki": "DFKI's rig, design C.1",
    "Ramesh": "Ramesh & Ravindran",
}
_OTHERS = "Others"

SYSTEMS: dict[str, SystemRow] = {
    "DoublePendulum": SystemRow(
        "gym_lagrangian.systems.double_pendulum:DoublePendulum",
        "two point masses on massless rods, the paper's",
        NETWORKS,
        conditioned=("LNN", "DeLaN", "Baseline"),
        distributions="gym_lagrangian.reproduce.distributions:double_pendulum",
    ),
    "RelativisticParticle": SystemRow(
        "gym_lagrangian.systems.relativistic_particle:RelativisticParticle",
        "a particle near the speed of light, the paper's",
        NETWORKS,
        distributions="gym_lagrangian.reproduce.distributions:relativistic_particle",
    ),
    "Chain": SystemRow(
        "gym_lagrangian.systems.chain:Chain", "one to seven links, on a pivot or on a cart"
    ),
    "GymnasiumPendulum": SystemRow(
        f"{_MACHINES}:GymnasiumPendulum",
        "the physics of Gymnasium's `Pendulum-v1`, nothing clipped",
        max_episode_steps=200,
    ),
    "GymnasiumCartPole": SystemRow(
        f"{_MACHINES}:GymnasiumCartPole",
        "the physics of Gymnasium's `CartPole-v1`, under any force up to 10 N",
    ),
    "GymnasiumAcrobot": SystemRow(
        f"{_MACHINES}:GymnasiumAcrobot", "the physics of Gymnasium's `Acrobot-v1`, nothing clipped"
    ),
    "PilcoPendulum": SystemRow(
        f"{_MACHINES}:PilcoPendulum", "PILCO's pendulum, damped", max_episode_steps=40
    ),
    "PilcoCartPole": SystemRow(
        f"{_MACHINES}:PilcoCartPole",
        "PILCO's cart-pole, damped",
        ("LNN", "DeLaN", "Baseline"),
        conditioned=("LNN",),
        max_episode_steps=40,
    ),
    "PilcoDoublePendulum": SystemRow(
        f"{_MACHINES}:PilcoDoublePendulum",
        "PILCO's double pendulum, torques on absolute angles",
        max_episode_steps=30,
    ),
    "PilcoCartDoublePendulum": SystemRow(
        f"{_MACHINES}:PilcoCartDoublePendulum",
        "PILCO's cart with two links, damped",
        max_episode_steps=100,
    ),
    "DfkiC1": SystemRow(
        f"{_MACHINES}:DfkiC1",
        "DFKI's double pendulum, design C.1, as identified, both motors",
        ("LNN", "DeLaN", "Baseline"),
        max_episode_steps=1000,
    ),
    "DfkiAcrobot": SystemRow(
        f"{_MACHINES}:DfkiAcrobot", "the same, the elbow's motor alone", max_episode_steps=1000
    ),
    "DfkiPendubot": SystemRow(
        f"{_MACHINES}:DfkiPendubot", "the same, the shoulder's motor alone", max_episode_steps=1000
    ),
    "RameshPendulum": SystemRow(
        f"{_MACHINES}:RameshPendulum", "Ramesh & Ravindran's pendulum", max_episode_steps=1000
    ),
    "RameshReacher": SystemRow(
        f"{_MACHINES}:RameshReacher",
        "Ramesh & Ravindran's planar arm, without gravity, and a target",
        max_episode_steps=1000,
    ),
    "RameshCartPole": SystemRow(
        f"{_MACHINES}:RameshCartPole", "Ramesh & Ravindran's cart-pole", max_episode_steps=1000
    ),
    "RameshCartTwoPole": SystemRow(
        f"{_MACHINES}:RameshCartTwoPole",
        "Ramesh & Ravindran's cart with two links",
        max_episode_steps=1000,
    ),
    "RameshCartThreePole": SystemRow(
        f"{_MACHINES}:RameshCartThreePole",
        "Ramesh & Ravindran's cart with three links",
        max_episode_steps=1000,
    ),
    "RameshAcrobot": SystemRow(
        f"{_MACHINES}:RameshAcrobot", "Ramesh & Ravindran's acrobot", max_episode_steps=1000
    ),
    "RameshAcroThreeBot": SystemRow(
        f"{_MACHINES}:RameshAcroThreeBot",
        "Ramesh & Ravindran's acro-3-bot: three links, motors in the first and the last joint",
        max_episode_steps=1000,
    ),
    "Furuta": SystemRow(
        "gym_lagrangian.systems.furuta:Furuta",
        "a rotary pendulum, the QUBE-Servo 2, damped",
        ("LNN", "DeLaN", "Baseline"),
    ),
    "ChargedParticle": SystemRow(
        "gym_lagrangian.systems.charged_particle:ChargedParticle",
        "a charge in a magnetic and an electric field, in a plane or in space",
        ("LNN", "Baseline"),
    ),
    "SphericalPendulum": SystemRow(
        "gym_lagrangian.systems.spherical_pendulum:SphericalPendulum",
        "a rod on a universal joint",
    ),
    "Kepler": SystemRow(
        "gym_lagrangian.systems.kepler:Kepler", "a body about a fixed centre of attraction"
    ),
    "TriplePendulum": SystemRow(
        f"{_MACHINES}:TriplePendulum",
        "three equal links with damped joints and three motors",
        ("LNN", "DeLaN", "Baseline"),
        conditioned=("LNN",),
    ),
}

# Environments from outside, by their ids.
_outside: dict[str, EnvironmentRow] = {}


def environments() -> Iterator[EnvironmentRow]:
    """Every id of a system: the exact one, then its learned twins; then those from outside."""
    for system, row in SYSTEMS.items():
        kwargs = {"system": system}
        yield EnvironmentRow(f"{system}-v0", system, None, kwargs, row.max_episode_steps)
        for model in row.learned:
            name, steps = f"{system}{model}", row.max_episode_steps
            learned = {"system": system, "checkpoint": name}
            twin = f"{name}-conditioned" if model in row.conditioned else None
            yield EnvironmentRow(f"{name}-v0", system, model, learned, steps, twin)
    yield from _outside.values()


def conditioned_twin(checkpoint: str) -> str | None:
    """The checkpoint, conditioned on parameters, that belongs to the one that moves an id; None
    where there is none.

    Arguments:
        checkpoint: its name or path, as the id has it.
    """
    twins = (
        row.conditioned for row in environments() if row.kwargs.get("checkpoint") == checkpoint
    )
    return next((twin for twin in twins if twin is not None), None)


def find(what: str) -> EnvironmentRow:
    """The row of an id, or of the exact environment of a system.

    Arguments:
        what: an id ("module:id" imports the module first), a system's name, or "module:Class".

    Raises:
        ConfigurationError: none of these; the message lists the ids.
    """
    rows = {row.id: row for row in environments()}
    if isinstance(what, str) and what in rows:
        return rows[what]
    if what in SYSTEMS:
        return rows[f"{what}-v0"]
    if what == GENERIC_ID:
        return EnvironmentRow(GENERIC_ID, None, None, {}, MAX_EPISODE_STEPS)
    spec = gymnasium.registry.get(what) if isinstance(what, str) else None
    if spec is not None and spec.entry_point == _SCALAR:  # an id that a user gave to our class
        system = spec.kwargs.get("system")
        return EnvironmentRow(what, system, None, dict(spec.kwargs), spec.max_episode_steps or 0)
    if isinstance(what, str) and ":" in what:
        module, name = what.split(":", 1)
        if name.endswith("-v0"):
            importlib.import_module(module)
            return find(name)
        if references.is_reference(what):
            load_system(what)
            return EnvironmentRow(GENERIC_ID, what, None, {"system": what}, MAX_EPISODE_STEPS)
    raise ConfigurationError(
        f"unknown id {what!r}; choose one of {', '.join(rows)}, or name a system of your own as "
        "module:Class"
    )


def find_model(system: str | None, model: str) -> EnvironmentRow:
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
    """Register every id of the package with Gymnasium; what is already there is left alone."""
    generic = EnvironmentRow(GENERIC_ID, None, None, {}, MAX_EPISODE_STEPS)
    for row in (*environments(), generic):
        if row.id not in gymnasium.registry:
            _register(row)


def register_system(
    system: Any,
    name: str | None = None,
    namespace: str | None = None,
    *,
    max_episode_steps: int = MAX_EPISODE_STEPS,
    checkpoints: Mapping[str, str | os.PathLike[str]] | None = None,
    conditioned: Mapping[str, str | os.PathLike[str]] | None = None,
) -> tuple[str, ...]:
    """Give a system of one's own its ids with Gymnasium, and return them.

    They are ``<namespace>/<name>-v0`` for the exact simulation and ``<namespace>/<name><Model>-v0``
    for every checkpoint. Registering the same entry point again replaces it.

        register_system("mypkg.systems:CartPole", checkpoints={"LNN": "cartpole.safetensors"})

    Arguments:
        system: a subclass of `System` at the top level of a module, or "module:Class". A class of
            a script or a notebook works in its own process only.
        name: default the class's name.
        namespace: default the name of the top-level package of its module.
        max_episode_steps: the steps after which episodes are truncated.
        checkpoints: a label, such as the model's name → the file that moves it.
        conditioned: a label of those → the file, of a model conditioned on parameters, that moves
            it where the environment is given parameters at which the other was not trained.

    Raises:
        ConfigurationError: no such class, a class that is no `System` or lacks a Lagrangian, an
            argument that both physics and task take, or an id that something else has.
    """
    built = load_system(system)
    if not inspect.isclass(built):
        raise ConfigurationError(
            f"system {system!r} is {built!r}, which has no equations: it needs no id of its own, "
            f"as {GENERIC_ID} takes a checkpoint of it"
        )
    entry_point = _entry_point(system, _entry_points(), "system")
    _refuse_shared_arguments(built)
    module, class_name = entry_point.split(":")
    name = name or class_name.split(".")[-1]
    namespace = namespace or module.split(".")[0].strip("_")
    files, twins = _paths(checkpoints), _paths(conditioned)
    known_names("conditioned", files, twins)
    models = {None: {}} | {label: {"checkpoint": path} for label, path in files.items()}
    rows = [
        EnvironmentRow(
            f"{namespace}/{name}{model or ''}-v0",
            entry_point,
            model,
            {"system": entry_point, **arguments},
            max_episode_steps,
            twins.get(model or ""),
        )
        for model, arguments in models.items()
    ]
    for row in rows:
        _refuse_taken(row)
    for row in rows:
        gymnasium.registry.pop(row.id, None)
        _register(row)
        _outside[row.id] = row
    return tuple(row.id for row in rows)


def _paths(given: Mapping[str, str | os.PathLike[str]] | None) -> dict[str, str]:
    return {label: at_home(path) for label, path in (given or {}).items()}


def markdown_table() -> str:
    """The package's systems as the README has them: a row a family, shipped models in brackets."""
    lines = ["| Source | Systems |", "|---|---|"]
    for family, names in _families().items():
        lines.append(f"| {family} | {', '.join(map(_with_models, names))} |")
    return "\n".join(lines)


def _families() -> dict[str, list[str]]:
    """Family → the names of its systems, in the order of the tables."""
    families = dict.fromkeys([*_FAMILIES.values(), _OTHERS])
    return {one: [name for name in SYSTEMS if _family(name) == one] for one in families}


def _family(name: str) -> str:
    return next((text for start, text in _FAMILIES.items() if name.startswith(start)), _OTHERS)


def _with_models(name: str) -> str:
    """``DoublePendulum (LNN, DeLaN)``."""
    learned = ", ".join(SYSTEMS[name].learned)
    return f"`{name}` ({learned})" if learned else f"`{name}`"


def load_system(system: Any) -> Any:
    """The class of a system, or the `Coordinates` that a reference names.

    Arguments:
        system: a registered name, "module:Class", or the class itself.

    Raises:
        ConfigurationError: an unknown name, a module that cannot be imported, or something that
            is no `System`; the message says what was found.
    """
    found = _load("system", system, _entry_points())
    if inspect.isclass(found) and inspect.isabstract(found):
        missing = ", ".join(sorted(vars(found)["__abstractmethods__"]))
        raise ConfigurationError(f"{found.__name__} is no complete System: it lacks {missing}")
    return found


def build_system(system: Any, options: Mapping[str, Any]) -> Any:
    """A system, or coordinates.

    Arguments:
        system: as `load_system`, or an instance, which has its options already.
        options: of its constructor.

    Raises:
        ConfigurationError: as `load_system`, or an unknown option.
    """
    found, options = load_system(system), mapping("system_options", options)
    if inspect.isclass(found):
        known_arguments(found.__name__, found, options)
        return found(**options)
    if options:
        raise ConfigurationError(
            f"{', '.join(options)}: {found.name} is an instance, which has its options already"
        )
    return found


def system_reference(system: Any) -> str:
    """The text that names a system: its registered name, or "module:Class"."""
    return _registered_name(system, _entry_points(), "system")


def distributions_of(system: Any) -> Any:
    """What models of a system instance are judged on: the registered distributions, or its own."""
    entry_point = f"{type(system).__module__}:{type(system).__qualname__}"
    row = next((row for row in SYSTEMS.values() if row.entry_point == entry_point), None)
    if row is None or row.distributions is None:
        return system.distributions()
    return references.load(row.distributions, "distributions")(system)


def load_model(model: Any) -> Any:
    """The class of a model.

    Arguments:
        model: a registered name, "module:Class", or the class itself.

    Raises:
        ConfigurationError: as `load_system`.
    """
    return _load("model", model, MODELS)


def model_reference(model: Any) -> str:
    """The text that names a model: its registered name, or "module:Class"."""
    load_model(model)
    return _registered_name(model, MODELS, "model")


def load_task(task: Any) -> Any:
    """The class of a task.

    Arguments:
        task: "module:Class", or the class itself.

    Raises:
        ConfigurationError: as `load_system`.
    """
    return _load("task", task, {})


def load_reward(reward: Any) -> Any:
    """A reward: a function, or "module:function".

    Raises:
        ConfigurationError: neither, or it cannot be imported.
    """
    found = references.load(reward, "reward") if references.is_reference(reward) else reward
    if not callable(found):
        raise ConfigurationError(
            f'reward = {reward!r}: expected a function, or "module:function" that names one'
        )
    if getattr(type(found), "__hash__", None) is None:
        raise ConfigurationError(
            f"reward = {reward!r} cannot be hashed, as what jax compiles for has to be: give a "
            "function, and its numbers as options or goal of a task"
        )
    return found


# What the class of each kind descends from.
_BASES = {
    "system": "gym_lagrangian.systems.coordinates:Coordinates",
    "model": "gym_lagrangian.models.base:Model",
    "task": "gym_lagrangian.systems.task:Task",
}


def _entry_points() -> dict[str, str]:
    """The registered systems, name → "module:Class"."""
    return {name: row.entry_point for name, row in SYSTEMS.items()}


def _load(kind: str, given: Any, table: Mapping[str, str]) -> Any:
    found = given
    if isinstance(given, str) and given in table:
        return references.load(table[given], kind)
    if references.is_reference(given):
        found = references.load(given, kind)
    elif isinstance(given, str):
        known = f"choose one of {', '.join(table)}, or " if table else ""
        raise ConfigurationError(
            f"unknown {kind} {given!r}; {known}name one of your own as module:Class"
        )
    base = references.load(_BASES[kind], kind)
    if isinstance(found, base) or (inspect.isclass(found) and issubclass(found, base)):
        return found
    raise ConfigurationError(
        f"{kind} {given!r} is {found!r}: expected a subclass of gym_lagrangian's "
        f"{base.__name__ if kind != 'system' else 'System'}"
    )


def _entry_point(thing: Any, table: Mapping[str, str], kind: str) -> str:
    if isinstance(thing, str):
        return table.get(thing, thing)
    return references.reference_to(thing, kind)


def _registered_name(thing: Any, table: Mapping[str, str], kind: str) -> str:
    entry_point = _entry_point(thing, table, kind)
    names = (name for name, known in table.items() if known == entry_point)
    return next(names, entry_point)


def _register(row: EnvironmentRow) -> None:
    gymnasium.register(
        id=row.id,
        entry_point=_SCALAR,
        vector_entry_point=_VECTOR,
        max_episode_steps=row.max_episode_steps,
        kwargs=row.kwargs,
    )


def _refuse_taken(row: EnvironmentRow) -> None:
    there = _outside.get(row.id)
    if row.id not in gymnasium.registry or (there is not None and there.system == row.system):
        return
    owner = there.system if there is not None else gymnasium.registry[row.id].entry_point
    raise ConfigurationError(
        f"the id {row.id!r} is taken by {owner}: choose another name or namespace"
    )


def _refuse_shared_arguments(system: Any) -> None:
    """Refuse a name that two of parameters, physics, task and environment claim."""
    claims = {
        "its parameters": tuple(system.parameters) if isinstance(system.parameters, dict) else (),
        "its options": system.option_names(),
        "its task": system.task.argument_names(),
        "every environment": COMMON_ARGUMENTS,
    }
    owners: dict[str, str] = {}
    for owner, names in claims.items():
        for name in names:
            if owners.setdefault(name, owner) != owner:
                raise ConfigurationError(
                    f"{system.__name__}: {name!r} is an argument of {owners[name]} and of {owner}; "
                    "rename one of them"
                )
