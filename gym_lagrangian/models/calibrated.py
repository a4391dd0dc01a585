r"""Calibrated physics: the equations of a system, with its numbers learned.

The Lagrangian is that of a `System`, L(q, q̇, μ), and so is the friction. The parameters μ that
motion can tell apart are learned, each within its bounds (see `quantities`). Two things that real
machines have and textbooks leave out can be learned as well, with numbers of each coordinate. One
is friction in place of the system's own, with x = tanh(q̇ / w),

    F = −c q̇ − f (x + a x²),    c, f, w > 0,  −1 < a < 1,

takes energy out whatever the numbers are, as q̇ x ≥ 0 and |a x| < 1. It is viscous friction c,
Coulomb's f with its width w, and a difference a between the two directions. The other is the gain
γ of a motor, whose true force is γ τ where τ is the force that was measured or commanded:

    M q̈ = γ τ + f + F,    dE/dt = q̇ᵀ γ τ + q̇ᵀ F.

By default all parameters are learned, with two exceptions: lengths and the acceleration of gravity,
which are easily measured, and those whose effect on q̈ is a combination of the effects of others
before them, see `distinct`. (Of the masses, inertias and centres of a chain's links, motion
determines only a few combinations.) Gains γ are learned only where they are named: a common gain of
all motors has the same effect as other masses.

This is system identification by prediction error: Ljung, "System Identification" (1999), chapter 7.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import Array

from gym_lagrangian.checks import known_names, one_of
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.models.base import IntegratedModel, Target, acceleration_error
from gym_lagrangian.models.distinct import distinct
from gym_lagrangian.models.embedding import Embedding
from gym_lagrangian.models.quantities import Quantities, Quantity
from gym_lagrangian.physics.mechanics import Lagrangian, Terms
from gym_lagrangian.physics.shapes import Parameters, Scalar, Vector
from gym_lagrangian.registration import build_system, system_reference
from gym_lagrangian.systems.coordinates import Coordinates, Parameter
from gym_lagrangian.systems.preset import Preset
from gym_lagrangian.systems.sample import Sample

# A `System`: `Coordinates` with a `Lagrangian`, which models know by what these two state.
System = Any

SETTINGS = ("system", "options", "start", "learned", "friction")

# Numbers of friction in place of the system's own, one a coordinate, by the kind of friction.
FRICTIONS = {
    "none": (),
    "viscous": ("viscous",),
    "passive": ("viscous", "coulomb", "width", "skew"),
}

# Units of parameters that are not learned unless they are named.
_MEASURED = ("m", "m/s²")

# Friction begins at this share of typical forces, and Coulomb's width at this share of a typical
# velocity; the width stays above a tenth of that, as a narrower step makes the motion stiff.
_SMALL, _WIDTH, _NARROW = 0.05, 0.05, 0.1


class Calibrated(Lagrangian, IntegratedModel):
    """A system's own equations with learned parameters and friction.

    Attributes:
        system: whose equations.
        numbers: its parameters, and what is learned beside them.
        kind: ``"none"`` for the system's own friction; ``"viscous"`` or ``"passive"`` for one in
            its place, of every coordinate by itself.
        given: the options and the starting values that were given, as JSON-able items.

    Its settings are

        system: a registered name, "module:Class" or a `System`; default the system of the data. Its
            coordinates have to be as many as the machine's and of the same kinds, in the same
            order. Their names may differ.
        options: of the system's constructor.
        start: name → value from which the learning begins, and at which a parameter stays that is
            not learned; default the system's own defaults, the middle of what is drawn.
        learned: names of what is learned. Beside the system's parameters there are, for a
            coordinate ``joint1``, ``gain_joint1`` and, by the kind of friction,
            ``viscous_joint1``, ``coulomb_joint1``, ``width_joint1`` and ``skew_joint1``.
        friction: as `kind`.

    A parameter that the model is conditioned on is taken from m and not learned. Every other entry
    of m has no effect.
    """

    mass_matrix_solver: ClassVar[str] = "direct"
    presets: ClassVar[dict[str, Preset]] = {
        "package": Preset({"friction": "none"}, {"steps": 5_000, "optimiser": "adam"})
    }
    # Few numbers, of order one, from a good guess: a short fit by Adam.
    fitting: ClassVar[Preset] = Preset(
        {"friction": "none"}, {"steps": 1_500, "optimiser": "adam", "warmup": 50, "chunk": 100}
    )

    embedding: Embedding
    system: System
    numbers: Quantities
    kind: str = eqx.field(static=True)
    given: tuple[tuple[str, Any], ...] = eqx.field(static=True)

    @classmethod
    def settings(cls) -> tuple[str, ...]:
        return SETTINGS

    @classmethod
    def build(
        cls,
        embedding: Embedding,
        *,
        key: Array,
        legendre: Lagrangian | None = None,
        **config: Any,
    ) -> Calibrated:
        known_names(cls.__name__, SETTINGS, config)
        system, given = physics_of(cls.__name__, embedding, legendre, config)
        kind = one_of("friction", config.get("friction", "none"), FRICTIONS)
        table = quantities_of(system, embedding, kind, given["start"])
        chosen = config.get("learned")
        names = _usual(cls, embedding, system, table, kind) if chosen is None else chosen
        learned = _checked(system, embedding, table, names)
        return cls(embedding, system, Quantities(table, learned), kind, as_items(given))

    @property
    def config(self) -> dict[str, Any]:
        return as_config(self.given) | {
            "learned": list(self.numbers.learned),
            "friction": self.kind,
        }

    @property
    def quantities(self) -> Quantities:
        """What it learns."""
        return self.numbers

    @property
    def force_gains(self) -> Array | None:
        """γ (n,); None where none is learned or given."""
        return gains_of(self.numbers, self.system)

    def parameters(self, m: Parameters) -> Array:
        """μ (k,), the parameters of the system."""
        return parameters_of(self.numbers, self.system, self.embedding, m)

    def lagrangian(self, q: Vector, qd: Vector, m: Parameters) -> Scalar:
        """L(q, q̇, μ) in joules, a scalar."""
        return self.system.lagrangian(q, qd, self.parameters(m))

    def terms_of_motion(self, q: Vector, qd: Vector, m: Parameters) -> Terms:
        """M and f of the system at μ."""
        return self.system.terms_of_motion(q, qd, self.parameters(m))

    def friction(self, q: Vector, qd: Vector, m: Parameters) -> Vector | None:
        """F (n,): the system's own at μ, or the one in its place."""
        if self.kind == "none":
            return self.system.friction(q, qd, self.parameters(m))
        return joint_friction(self.numbers, self.system, qd)

    def loss(self, sample: Sample, target: Target) -> Scalar:
        """Σ_i |q̈_i error|."""
        return acceleration_error(self, sample, target)


# -- what the numbers are ------------------------------------------------------------------------


def physics_of(
    model: str, embedding: Embedding, legendre: Lagrangian | None, config: Mapping[str, Any]
) -> tuple[System, dict[str, Any]]:
    """The system that a configuration names, and what was given of it, JSON-able.

    Raises:
        ConfigurationError: none is named and the data have none, or it has other coordinates.
    """
    named, options = config.get("system"), dict(config.get("options") or {})
    frozen = {name: _frozen(value) for name, value in options.items()}
    source = legendre if named is None else build_system(named, frozen)
    system = source.physics if isinstance(source, Coordinates) else None
    if system is None:
        raise ConfigurationError(
            f"{model} needs equations, and those of {named or embedding.system} are unknown: name "
            'a system of as many coordinates, as in model_config={"system": "Chain", "options": '
            '{"links": 2}}, or fit with system="Chain"'
        )
    _refuse_other_kinds(model, system, embedding)
    known_names(
        f"{model} conditioned on parameters of {system.name}", system.parameters, embedding.m_names
    )
    reference, start = system_reference(type(system)), dict(config.get("start") or {})
    return system, {"system": reference, "options": options or system.options, "start": start}


def _refuse_other_kinds(model: str, system: System, embedding: Embedding) -> None:
    if system.angular == embedding.angular:
        return
    own, found = (
        ", ".join("angle" if angular else "length" for angular in kinds)
        for kinds in (system.angular, embedding.angular)
    )
    raise ConfigurationError(
        f"{model}: {system.name} has the coordinates {', '.join(system.coordinates)} ({own}), and "
        f"{embedding.system} has {len(embedding.angular)} ({found}): expected as many, of the same "
        "kinds and in the same order; choose other options, or describe the machine otherwise"
    )


def quantities_of(
    system: System, embedding: Embedding, kind: str, start: Mapping[str, float]
) -> tuple[Quantity, ...]:
    """Every number that can be learned, in the order of preference."""
    extra = _extra(system, embedding, kind)
    own = {name: value for name, value in start.items() if name in system.parameters}
    known_names(f"start of {system.name}", (*system.parameters, *extra), start)
    middle = system.parameter_bounds(**own).mean(axis=0).tolist()
    rows = [
        _of_parameter(name, parameter, value, embedding)
        for (name, parameter), value in zip(system.parameters.items(), middle, strict=True)
    ]
    others = [q._replace(start=_start_of(q, start)) for q in extra.values()]
    return (*rows, *others)


def _start_of(quantity: Quantity, start: Mapping[str, float]) -> float:
    value = float(start.get(quantity.name, quantity.start))
    low = -1.0 if quantity.share else quantity.least
    if (
        not np.isfinite(value)
        or (low is not None and value <= low)
        or (quantity.share and value >= 1)
    ):
        raise ConfigurationError(
            f"start {quantity.name} = {value}: expected more than {low:g} {quantity.unit}".rstrip()
            + (" and less than 1" if quantity.share else "")
        )
    return value


def _of_parameter(name: str, parameter: Parameter, value: float, embedding: Embedding) -> Quantity:
    least = 0.0 if parameter.positive else parameter.least
    size = abs(value) or _typical(parameter, embedding)
    return Quantity(name, value, parameter.unit, size, least)


def _typical(parameter: Parameter, embedding: Embedding) -> float:
    """The size of a parameter whose default is zero: by its unit where that is of friction."""
    unit = parameter.unit.replace("N·m", "τ").replace("N", "τ")
    if unit not in ("τ", "τ·s", "τ·s/m"):
        return parameter.scale
    about = parameter.unit.startswith("N·m")
    rows = [i for i, angular in enumerate(embedding.angular) if angular == about]
    force, speed = (np.array(s)[rows or ...] for s in (embedding.tau_scale, embedding.qd_scale))
    return float(np.mean(force if unit == "τ" else force / speed))


def _extra(system: System, embedding: Embedding, kind: str) -> dict[str, Quantity]:
    """What can be learned beside the system's parameters, by name."""
    found: list[Quantity] = []
    scales = zip(embedding.qd_scale, embedding.tau_scale, strict=True)
    for name, angular, (speed, force) in zip(
        system.coordinates, system.angular, scales, strict=True
    ):
        unit, place = ("N·m", "rad") if angular else ("N", "m")
        width = _WIDTH * speed
        every = {
            "viscous": Quantity(
                "viscous", _SMALL * force / speed, f"{unit}·s/{place}", force / speed, 0.0
            ),
            "coulomb": Quantity("coulomb", _SMALL * force, unit, force, 0.0),
            "width": Quantity("width", width, f"{place}/s", width, _NARROW * width),
            "skew": Quantity("skew", 0.0, "", 1.0, share=True),
        }
        found += [every[which]._replace(name=f"{which}_{name}") for which in FRICTIONS[kind]]
    found += [Quantity(f"gain_{name}", 1.0, "", 1.0, 0.0) for name in system.coordinates]
    return {quantity.name: quantity for quantity in found}


def _usual(
    cls: type[Calibrated],
    embedding: Embedding,
    system: System,
    table: tuple[Quantity, ...],
    kind: str,
) -> tuple[str, ...]:
    """What is learned by default."""
    names = [
        q.name
        for q in table
        if q.unit not in _MEASURED
        and not q.name.startswith("gain_")
        and q.name not in embedding.m_names
    ]
    candidate = cls(embedding, system, Quantities(table, tuple(names)), kind, ())
    return distinct(candidate, system)


def _checked(
    system: System, embedding: Embedding, table: tuple[Quantity, ...], names: Any
) -> tuple[str, ...]:
    is_list = isinstance(names, Sequence) and not isinstance(names, str)
    known = [quantity.name for quantity in table]
    if not is_list or not names or len(set(names)) < len(names):
        raise ConfigurationError(
            f"learned = {names!r}: expected different names of {', '.join(known)}"
        )
    known_names(f"learned of {system.name}", known, names)
    both = [name for name in names if name in embedding.m_names]
    if both:
        raise ConfigurationError(
            f"learned names {', '.join(both)}, on which the model is conditioned: a parameter that "
            "is given with every state is not learned; leave it out of one of them"
        )
    return tuple(names)


# -- what follows from them ----------------------------------------------------------------------


def parameters_of(
    numbers: Quantities, system: System, embedding: Embedding, m: Parameters
) -> Array:
    """μ (k,): learned and fixed values, and from m what the model is conditioned on."""
    values = numbers.values()
    given = dict(zip(embedding.m_names, embedding.m_index, strict=True))
    return jnp.stack(
        [m[given[name]] if name in given else values[name] for name in system.parameters]
        or [jnp.zeros(())]
    )[: len(system.parameters)]


def gains_of(numbers: Quantities, system: System) -> Array | None:
    """γ (n,); None where every gain is 1."""
    names = [f"gain_{name}" for name in system.coordinates]
    usual = all(q.start == 1.0 for q in numbers.table if q.name in names)
    if usual and not set(names) & set(numbers.learned):
        return None
    values = numbers.values()
    return jnp.stack([values[name] for name in names])


def joint_friction(numbers: Quantities, system: System, qd: Vector) -> Vector:
    """F (n,) of every coordinate by itself, as above."""
    values = numbers.values()
    each = [
        {w: values[f"{w}_{name}"] for w in FRICTIONS["passive"] if f"{w}_{name}" in values}
        for name in system.coordinates
    ]
    return -jnp.stack([_resistance(v, **own) for v, own in zip(qd, each, strict=True)])


def _resistance(
    v: Array, viscous: Array, coulomb: Any = 0.0, width: Any = 1.0, skew: Any = 0.0
) -> Array:
    x = jnp.tanh(v / width)
    return viscous * v + coulomb * (x + skew * x**2)


# -- as plain data -------------------------------------------------------------------------------


def as_items(given: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    """A dictionary as a value that can be hashed."""
    return tuple(
        (k, as_items(v) if isinstance(v, Mapping) else _frozen(v)) for k, v in given.items()
    )


def as_config(items: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
    """What `as_items` was given, JSON-able: the system, its options and the starting values."""
    found = dict(items)
    options, start = ({k: _thawed(v) for k, v in found[name]} for name in ("options", "start"))
    return {"system": found["system"], "options": options, "start": start}


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else value


def _thawed(value: Any) -> Any:
    return list(map(_thawed, value)) if isinstance(value, tuple) else value
