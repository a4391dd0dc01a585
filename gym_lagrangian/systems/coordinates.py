r"""Coordinates: the description of a machine apart from its motion.

They have names, kinds (angle or length), typical magnitudes, and the parameters m on which the
motion may depend. Models, recorded transitions and checkpoints need no more than these. A machine
that is known by its recordings alone has coordinates and nothing else:

    arm = Coordinates(("shoulder", "elbow"), angular=True)

A `System` is coordinates whose equations are known.
"""

from __future__ import annotations

import functools
import keyword
import math
from collections import namedtuple
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import jax
import numpy as np

from gym_lagrangian.checks import (
    finite_number,
    known_names,
    mapping,
    numbers_in,
    positive_number,
    shown,
)
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.physics.shapes import Parameters
from gym_lagrangian.systems.preset import Preset
from gym_lagrangian.systems.scene import Scene, curves_of

# The step in seconds for which a number of substeps is recommended.
REFERENCE_DT = 0.05

# Steps of the integrator "dop853" in it for a pendulum of 5 rad/s, exact and learned: an energy
# drift of 3e-9 and 1e-4 in 100 s. Faster motion takes more in proportion.
_SUBSTEPS, _LEARNED_SUBSTEPS, _FREQUENCY = 6, 2, 5.0


class Parameter(NamedTuple):
    """One number of a system or of a task that can be set, or drawn at every reset.

    Attributes:
        default: its value, or (low, high) where it is drawn at every reset by default.
        unit: SI unit, for messages and documentation.
        positive: whether only values > 0 make sense.
        scale: a typical magnitude, by which networks that see it divide.
        least: the smallest value that makes sense, such as 0 for a coefficient of friction; None
            for none.
    """

    default: float | tuple[float, float]
    unit: str = ""
    positive: bool = True
    scale: float = 1.0
    least: float | None = None

    @classmethod
    def of_friction(cls, default: float | tuple[float, float], unit: str) -> Parameter:
        """A coefficient of friction, at least 0; its magnitude is that of its default."""
        size = float(np.max(np.abs(np.asarray(default, np.float64))))
        return cls(default, unit, positive=False, scale=size or 1.0, least=0.0)

    @classmethod
    def of(cls, value: Any) -> Parameter:
        """`value`, or a parameter whose default that number or pair is."""
        if isinstance(value, Parameter):
            return value
        size = float(np.max(np.abs(numbers_in(value).astype(np.float64))))
        default = tuple(value) if isinstance(value, Sequence) else value
        return cls(default, positive=False, scale=size or 1.0)


class Magnitudes(NamedTuple):
    """Typical magnitudes of q, q̇ and τ, n numbers each, in their units."""

    q: tuple[float, ...]
    qd: tuple[float, ...]
    tau: tuple[float, ...]


class Usage(NamedTuple):
    """The usual use of a machine; None for what is not known.

    Attributes:
        dt: seconds in one step of its environments.
        actuated: names of the coordinates that have a motor, of those that a task drives.
        force_max: N or N·m of each motor at full action, in the order of `actuated`.
        task: "module:Class" of its task.
        reward: "module:function" of its reward.
        friction: the kind of friction that models of it learn.
        logs: where its logs keep the coordinates, as `Machine.arguments` in JSON.
    """

    dt: float | None = None
    actuated: tuple[str, ...] | None = None
    force_max: tuple[float, ...] | None = None
    task: str | None = None
    reward: str | None = None
    friction: str | None = None
    logs: str | None = None

    def document(self) -> dict[str, Any]:
        """What is known as JSON-able data."""
        return {name: value for name, value in self._asdict().items() if value is not None}

    @classmethod
    def of(cls, value: Any) -> Usage:
        """A `Usage`, or one from what `document` gave; every list a tuple.

        Raises:
            ConfigurationError: an unknown name.
        """
        given = value._asdict() if isinstance(value, Usage) else mapping("usage", value)
        known_names("usage", cls._fields, given)
        values: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in given.items()
        }
        return cls(**values)


class Coordinates:
    """The n coordinates of a machine and the k parameters of its motion.

    A value: compared by what it says, a node without arrays to jax.

    Attributes:
        name: of the machine, for messages.
        coordinates: names of the n coordinates.
        angular: for each of them, whether it is an angle in radians (period 2π) rather than a
            length in metres.
        parameters: name → `Parameter`, in the order of m.
        q_scale, qd_scale, tau_scale: typical magnitudes (n,) by which networks divide, None where
            they are to be estimated; see `magnitudes`.
        speed_limit: for each velocity, the parameter that it cannot exceed and how networks see
            what is below it (see `gym_lagrangian.models.embedding`), or None.
        cyclic: names of coordinates on which the Lagrangian does not depend, as it does not on
            the place of a cart on a level rail: ∂L/∂q_i = 0, so that without forces p_i is
            conserved. Networks do not see them.
        usage: what environments and fits of the machine assume unless they are told otherwise.
    """

    name: str
    coordinates: tuple[str, ...]
    angular: tuple[bool, ...]
    parameters: dict[str, Parameter]
    q_scale: tuple[float, ...] | None = None
    qd_scale: tuple[float, ...] | None = None
    tau_scale: tuple[float, ...] | None = None
    speed_limit: tuple[tuple[str, str] | None, ...] = ()
    cyclic: tuple[str, ...] = ()

    #: Seconds in one step of environments that are not told otherwise.
    time_step: ClassVar[float] = REFERENCE_DT

    #: The friction that models learn unless told otherwise; see `System.learned_friction`.
    learned_friction: ClassVar[str] = "none"

    #: What else is assumed of a machine unless told otherwise.
    usage: Usage = Usage()

    #: How this package trains its models of a system otherwise; see `System.recipes`.
    recipes: ClassVar[dict[str, Preset]] = {}

    @classmethod
    def tried(cls, model: str) -> bool:
        """Whether there is a recipe for a model that goes with the model's own magnitudes."""
        return model in cls.recipes and cls.recipes[model].own_magnitudes

    def __init__(
        self,
        coordinates: Sequence[str],
        *,
        angular: bool | Sequence[bool] = False,
        parameters: Mapping[str, Any] | None = None,
        q_scale: float | Sequence[float] | None = None,
        qd_scale: float | Sequence[float] | None = None,
        tau_scale: float | Sequence[float] | None = None,
        speed_limit: Sequence[tuple[str, str] | None] = (),
        cyclic: Sequence[str] = (),
        name: str = "Coordinates",
        usage: Usage | Mapping[str, Any] | None = None,
    ):
        """Arguments as the attributes; one value stands for n equal ones.

        Raises:
            ConfigurationError: no coordinates, a name that is no name or stands twice, another
                number of values than of coordinates, or cyclic ones that are no coordinates or all
                of them; the message says which.
        """
        self.__dict__.update(
            name=name,
            coordinates=coordinates,
            angular=angular,
            parameters={} if parameters is None else parameters,
            q_scale=q_scale,
            qd_scale=qd_scale,
            tau_scale=tau_scale,
            speed_limit=speed_limit,
            cyclic=cyclic,
        )
        self.__dict__.update(normalised(name, self))
        self.__dict__.update(_as_used(Usage.of(usage)))

    def __setattr__(self, attribute: str, value: Any) -> None:
        raise AttributeError(f"coordinates are a value: make new ones to change {attribute}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Coordinates) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        return f"<{self.name}: {', '.join(self.coordinates)}>"

    # -- what is known ------------------------------------------------------------------------

    @property
    def physics(self) -> Any:
        """The `System` whose coordinates these are; None where the equations are unknown."""
        return None

    @property
    def n(self) -> int:
        """Number of coordinates."""
        return len(self.coordinates)

    @property
    def units(self) -> tuple[str, ...]:
        """The unit of each coordinate."""
        return tuple("rad" if angular else "m" for angular in self.angular)

    @property
    def magnitudes(self) -> Magnitudes:
        """Typical magnitudes of q, q̇ and τ: what is given, 1 in its unit where nothing is."""
        ones = (1.0,) * self.n
        return Magnitudes(self.q_scale or ones, self.qd_scale or ones, self.tau_scale or ones)

    @property
    def estimated(self) -> tuple[str, ...]:
        """Names of the scales that were not given."""
        return tuple(name for name in SCALES if getattr(self, name) is None)

    def with_magnitudes(self, magnitudes: Magnitudes) -> Coordinates:
        """The same coordinates with these magnitudes, and without equations."""
        document = self.document() | dict(zip(SCALES, magnitudes, strict=True))
        return Coordinates.of_document(document)

    def used(self, **changes: Any) -> Coordinates:
        """The same coordinates with these changes of `usage`, and without equations."""
        usage = self.usage._replace(**changes).document()
        return Coordinates.of_document(self.document() | {"usage": usage})

    def agrees_with(self, other: Coordinates) -> bool:
        """Whether both name the same coordinates and parameters."""
        return self._names() == other._names()

    def named(self, m: Parameters | np.ndarray) -> Any:
        """The parameters m (k,) by name: ``self.named(m).l1``."""
        return _record(tuple(self.parameters))(*(m[i] for i in range(len(self.parameters))))

    def default_substeps(
        self,
        dt: float,
        *,
        learned: bool,
        m_bounds: np.ndarray | None = None,
        conditioned_on: Iterable[str] = (),
    ) -> int:
        """Steps of the integrator in one step of `dt` seconds, in proportion to what is
        recommended for 0.05 s.

        Arguments:
            m_bounds: (2, k), between which m lies, as friction may be stiff; default the
                parameters' own.
            conditioned_on: the parameters that a learned model takes. Where one of them is fixed
                here, the model is followed in steps half as long: it describes machines that are
                about twice as fast as this one.
        """
        recommended = self._recommended_substeps(learned=learned, m_bounds=m_bounds)
        if set(conditioned_on) - set(self.varying):
            recommended *= 2
        return max(1, math.ceil(recommended * dt / REFERENCE_DT - 1e-9))

    def friction_to_learn(self, m_bounds: np.ndarray) -> str:
        """The kind of friction that models learn unless told otherwise, of a machine whose
        parameters lie between `m_bounds` (2, k): `learned_friction` here.
        """
        return self.learned_friction

    def scene(self, q: np.ndarray, qd: np.ndarray, effort: np.ndarray, m: np.ndarray) -> Scene:
        """What to draw of a state, in metres: by default curves of the coordinates.

        Arguments:
            effort: the generalized forces (n,), each as a share of the strongest that one
                actuator exerts on it.
        """
        pairs = zip(self.angular, self.magnitudes.q, strict=True)
        least = [np.pi if angular else typical for angular, typical in pairs]
        return curves_of(self.coordinates, self.units, q, least)

    # -- parameters ---------------------------------------------------------------------------

    @property
    def varying(self) -> tuple[str, ...]:
        """Names of the parameters that are drawn at every reset by default."""
        return tuple(k for k, v in self.parameters.items() if isinstance(v.default, tuple))

    def fixed_parameters(self, conditioned_on: tuple[str, ...]) -> dict[str, float]:
        """Name → default of the parameters that a model is not conditioned on.

        Raises:
            ConfigurationError: one of them has no single default.
        """
        for name in self.varying:
            if name not in conditioned_on:
                raise ConfigurationError(
                    f"{self.name} draws {name} at every reset: a model must be conditioned on it"
                )
        return {
            name: float(parameter.default)
            for name, parameter in self.parameters.items()
            if name not in conditioned_on and not isinstance(parameter.default, tuple)
        }

    def parameter_bounds(self, **given: float | tuple[float, float]) -> np.ndarray:
        """Bounds (2, k) of m: equal where a parameter is fixed, apart where it is drawn.

        Arguments:
            given: values, or (low, high) pairs drawn from uniformly at every reset, by name;
                what is not given has its default.

        Raises:
            ConfigurationError: an unknown name, a value that is not a finite number or a
                (low, high) pair in order, or one that must be positive and is not.
        """
        bounds = bounds_of(self.name, self.parameters, given)
        self.check_together(dict(zip(self.parameters, bounds.T, strict=True)))
        return bounds

    def check_together(self, bounds: Mapping[str, np.ndarray]) -> None:
        """Refuse parameters that make no sense together; by default, each is checked for itself.

        Arguments:
            bounds: (low, high) of every parameter by name.

        Raises:
            ConfigurationError: they make no sense.
        """

    # -- as plain data ------------------------------------------------------------------------

    def document(self) -> dict[str, Any]:
        """All of it as JSON-able data; parameters are a list, as their order counts."""
        return {
            "name": self.name,
            "coordinates": list(self.coordinates),
            "angular": list(self.angular),
            "parameters": [[name, *parameter] for name, parameter in self.parameters.items()],
            **{
                name: list(scale)
                for name, scale in zip(SCALES, self.magnitudes, strict=True)
                if name not in self.estimated or self.physics is not None
            },
            "speed_limit": [limit and list(limit) for limit in self.speed_limit],
            **({"cyclic": list(self.cyclic)} if self.cyclic else {}),
            **({"usage": self.usage.document()} if self.usage != Usage() else {}),
        }

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> Coordinates:
        """The coordinates that `document` described, without equations.

        Raises:
            ConfigurationError: as for the class.
        """
        kept = dict(document)
        kept["parameters"] = {
            name: Parameter(tuple(default) if isinstance(default, list) else default, *rest)
            for name, default, *rest in kept.get("parameters", ())
        }
        limits = kept.get("speed_limit", ())
        kept["speed_limit"] = [limit and tuple(limit) for limit in limits]
        return Coordinates(**kept)

    # -- internals ----------------------------------------------------------------------------

    def _recommended_substeps(self, *, learned: bool, m_bounds: np.ndarray | None) -> float:
        reach = self.magnitudes
        pairs = zip(reach.qd, reach.q, self.angular, strict=True)
        frequency = max(qd / (1.0 if angular else q) for qd, q, angular in pairs)
        return (_LEARNED_SUBSTEPS if learned else _SUBSTEPS) * frequency / _FREQUENCY

    def _names(self) -> tuple:
        return self.coordinates, self.angular, tuple(self.parameters)

    def _key(self) -> tuple:
        scales = (self.q_scale, self.qd_scale, self.tau_scale, self.speed_limit, self.usage)
        others = tuple(self.parameters.values()), self.cyclic
        return type(self), self.name, self._names(), others, scales


SCALES = ("q_scale", "qd_scale", "tau_scale")

jax.tree_util.register_static(Coordinates)


def normalised(name: str, stated: Any) -> dict[str, Any]:
    """The attributes of `Coordinates` in their own types, as the object `stated` has them.

    Arguments:
        name: what they are called in messages.

    Raises:
        ConfigurationError: as for `Coordinates`.
    """
    names = _names(name, stated.coordinates)
    n = len(names)
    limits: Any = stated.speed_limit
    limits = None if isinstance(limits, tuple | list) and not limits else limits
    found = {
        "coordinates": names,
        "angular": tuple(_flag(name, one) for one in each(name, "angular", stated.angular, n)),
        "parameters": _parameters(name, stated.parameters),
        "speed_limit": tuple(_limit(name, one) for one in each(name, "speed_limit", limits, n)),
    }
    found["cyclic"] = _cyclic(name, stated.cyclic, names)
    for scale in SCALES:
        value = getattr(stated, scale)
        found[scale] = None if value is None else _scale(name, scale, value, n)
    return found


def _as_used(usage: Usage) -> dict[str, Any]:
    """The attributes of coordinates that a usage decides."""
    stated = {"time_step": usage.dt, "learned_friction": usage.friction}
    return {"usage": usage} | {name: one for name, one in stated.items() if one is not None}


def each(name: str, what: str, value: Any, count: int) -> tuple:
    """`count` values: those given, or one that stands for all.

    Raises:
        ConfigurationError: another number of values.
    """
    if value is None or isinstance(value, str | bool | int | float):
        return (value,) * count
    try:
        values = tuple(value)
    except TypeError as error:
        raise ConfigurationError(
            f"{name}.{what} = {shown(value)}: expected one value a coordinate"
        ) from error
    if len(values) != count:
        raise ConfigurationError(
            f"{name}.{what} has {len(values)} values, expected {count}: one a coordinate"
        )
    return values


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool | np.bool_) and value not in (0, 1):
        raise ConfigurationError(f"{name}.angular has {shown(value)}: expected True or False")
    return bool(value)


def _cyclic(name: str, value: Any, names: tuple[str, ...]) -> tuple[str, ...]:
    given = (value,) if isinstance(value, str) or not isinstance(value, Sequence) else tuple(value)
    unknown = [one for one in given if one not in names]
    if unknown or len(set(given)) == len(names):
        raise ConfigurationError(
            f"{name}.cyclic = {shown(given)}: expected some of {', '.join(names)}, and not all"
        )
    return tuple(one for one in names if one in given)


def _limit(name: str, value: Any) -> Any:
    is_pair = isinstance(value, tuple | list) and len(value) == 2
    if value is not None and not (is_pair and all(isinstance(one, str) for one in value)):
        raise ConfigurationError(
            f"{name}.speed_limit has {shown(value)}: expected two names of parameters, or None"
        )
    return value


def bounds_of(
    name: str, parameters: Mapping[str, Parameter], given: Mapping[str, Any]
) -> np.ndarray:
    """Bounds (2, k) of parameters, see `Coordinates.parameter_bounds`."""
    for one in given:
        if one not in parameters:
            known = ", ".join(parameters) or "none"
            raise ConfigurationError(f"{name} has no parameter {one!r}; it has {known}")
    rows = [
        _bounds(name, one, parameter, given.get(one, parameter.default))
        for one, parameter in parameters.items()
    ]
    return np.array(rows, dtype=np.float64).reshape(-1, 2).T


def _names(name: str, coordinates: Any) -> tuple[str, ...]:
    is_list = isinstance(coordinates, Sequence) and not isinstance(coordinates, str)
    names = tuple(coordinates) if is_list else ()
    usable = all(isinstance(one, str) and one.strip() for one in names)
    if not names or not usable or len(set(names)) != len(names):
        raise ConfigurationError(
            f"{name}.coordinates = {coordinates!r}: expected one different name for every "
            'coordinate, such as ("x", "theta")'
        )
    return names


def _parameters(name: str, parameters: Mapping[str, Any]) -> dict[str, Parameter]:
    if not isinstance(parameters, Mapping):
        raise ConfigurationError(
            f'{name}.parameters = {parameters!r}: expected name → value, such as {{"g": 9.8}}'
        )
    for one in parameters:
        usable = isinstance(one, str) and one.isidentifier() and not keyword.iskeyword(one)
        if not usable or one.startswith("_"):
            raise ConfigurationError(
                f"{name}.parameters: {one!r} is no name for a parameter, as it is given by "
                "keyword; expected letters, digits and _"
            )
    try:
        found = {one: Parameter.of(value) for one, value in parameters.items()}
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            f"{name}.parameters = {shown(dict(parameters))}: expected numbers, pairs (low, high) "
            "or Parameter(...)"
        ) from error
    bounds_of(name, found, {})
    return found


def _scale(name: str, what: str, value: Any, n: int) -> tuple[float, ...]:
    return tuple(positive_number(f"{name}.{what}", one) for one in each(name, what, value, n))


def _ends(value: Any) -> tuple[Any, ...]:
    """The number, or the numbers of a pair."""
    if isinstance(value, np.ndarray | jax.Array) and not isinstance(value, np.ma.MaskedArray):
        value = value.tolist()
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def _bounds(
    system: str, name: str, parameter: Parameter, value: float | Sequence[float]
) -> tuple[float, float]:
    what = f"{system} parameter {name}"
    ends = _ends(value)
    if isinstance(value, str) or len(ends) not in (1, 2):
        raise ConfigurationError(
            f"{what} = {shown(value)}: expected a finite number in {parameter.unit}, or a pair "
            "(low, high) to draw from at every reset"
        )
    check = positive_number if parameter.positive else finite_number
    pair = [check(what, v, parameter.unit) for v in ends]
    low, high = pair[0], pair[-1]
    if parameter.least is not None and low < parameter.least:
        raise ConfigurationError(
            f"{what} = {value!r}: expected at least {parameter.least:g} ({parameter.unit})"
        )
    if low > high:
        raise ConfigurationError(
            f"{what} = {value!r}: the range is reversed; write ({high:g}, {low:g})"
        )
    return low, high


@functools.cache
def _record(names: tuple[str, ...]) -> Any:
    return namedtuple("Parameters", names)
