r"""What every learned model has in common.

A new model is one subclass of `Model` in a file of its own and one row of
`gym_lagrangian.registration.MODELS`. Training, checkpoints, evaluation and environments work
on what is declared here. Most models are made of one network and some settings and are an
acceleration field that an integrator follows. Such a model subclasses `NetworkModel` and
`IntegratedModel` and states its settings, the network's `sizes`, q̈ and a loss.

A method is either abstract or final: a concrete method is never overridden.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, ClassVar, NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from gym_lagrangian.checks import known_names, one_of, positive_number, whole_number
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.models.embedding import Embedding
from gym_lagrangian.models.friction import FRICTIONS, Friction, typical_power
from gym_lagrangian.models.network import Network, Shape
from gym_lagrangian.models.product import ProductNetwork
from gym_lagrangian.models.quantities import Quantities
from gym_lagrangian.models.settings import as_given
from gym_lagrangian.physics.dynamics import ContinuousDynamics, Dynamics
from gym_lagrangian.physics.ensemble import EnsembleDynamics, members_of
from gym_lagrangian.physics.mechanics import Lagrangian
from gym_lagrangian.physics.shapes import AnyArray, Parameters, Scalar, Vector
from gym_lagrangian.systems.preset import Preset
from gym_lagrangian.systems.sample import Sample

# The true q̈ (n,), or the true states (steps, 2n) of a `Horizon`.
Target = Float[AnyArray, "..."]

ModelT = TypeVar("ModelT", bound="Model")
NetworkT = TypeVar("NetworkT", bound="NetworkModel")

# The entries of a configuration that are the network's.
SHAPE = tuple(field.name for field in fields(Shape))

# The entries that are the friction's: its kind, and its power scale in watts.
FRICTION = ("friction", "friction_scale")


@dataclass(frozen=True)
class Horizon:
    """Motion to learn from: the true states `dt`, 2 `dt` … `steps` · `dt` seconds later."""

    dt: float
    steps: int

    def __post_init__(self):
        positive_number("dt", self.dt, "s")
        whole_number("steps", self.steps)


# The paper, section 5, as far as it goes; what it leaves out is Adam's usual setting.
PAPER_TRAINING: dict[str, Any] = {
    "steps": 600_000,
    "batch": 32,
    "optimiser": "adam",
    "learning_rate": 1e-3,
    "warmup": 0,
    "clip": None,
    "fixed_states": 600_000,
}


class Model(eqx.Module):
    """A learned motion.

    Its configuration is flat and JSON-able, one entry a setting, so that a checkpoint, a preset
    and the command line can state it: ``type(model).build(embedding, key=key, **model.config)``
    has the structure of `model`.

    Attributes:
        embedding: how the model sees a state.
        has_energy: whether there is a method ``energy(q, qd, m)``, as `Lagrangian` has it,
            that forces and friction alone change along the model's own motion.
        canonical: whether the model lives in canonical coordinates (q, p). `build` then needs
            ``legendre``, the `Lagrangian` whose p = ∂L/∂q̇ these are.
        learned: True, as of every model; a system says False.
    """

    embedding: eqx.AbstractVar[Embedding]
    has_energy: ClassVar[bool]
    canonical: ClassVar[bool] = False
    learned: ClassVar[bool] = True

    #: ``"package"``: how this package trains it; ``"paper"``, where there is one: how the
    #: paper did.
    presets: ClassVar[dict[str, Preset]] = {"package": Preset({}, {})}

    #: What suits this model better where it is fitted to recorded transitions (`FitConfig`).
    fitting: ClassVar[Preset] = Preset({}, {})

    @classmethod
    def preset(cls, name: str) -> Preset:
        """One of `presets`.

        Raises:
            ConfigurationError: this model has none of that name; the message lists those it has.
        """
        return cls.presets[one_of(f"preset of {cls.__name__}", name, cls.presets)]

    @classmethod
    @abstractmethod
    def settings(cls) -> tuple[str, ...]:
        """The names that a configuration may hold."""

    @classmethod
    @abstractmethod
    def build(
        cls: type[ModelT],
        embedding: Embedding,
        *,
        key: Array,
        legendre: Lagrangian | None = None,
        **config: Any,
    ) -> ModelT:
        """A model with random weights.

        Arguments:
            legendre: the Lagrangian that says what a momentum is; used by canonical models only,
                and no part of the configuration.
            config: some of `settings`, the others having their defaults.

        Raises:
            ConfigurationError: an unknown name or a value that makes no sense, or no `legendre`
                for a canonical model.
        """

    @property
    @abstractmethod
    def config(self) -> dict[str, Any]:
        """The whole configuration: every one of `settings` by name, JSON-able."""

    @property
    def needs_forces(self) -> bool:
        """Whether `loss` makes sense only where forces act on some of the states.

        The usual answer, like that of `horizon`; a model states it where it differs.
        """
        return False

    @property
    def horizon(self) -> Horizon | None:
        """The motion that `loss` learns from; None if it learns from accelerations."""
        return None

    @property
    def quantities(self) -> Quantities | None:
        """The physical numbers that it learns; None, the usual answer, for none."""
        return None

    @abstractmethod
    def friction(self, q: Vector, qd: Vector, m: Parameters) -> Vector | None:
        """The generalized force of friction (n,) of the model; None where it tells no
        friction from other forces.
        """

    @abstractmethod
    def loss(self, sample: Sample, target: Target) -> Scalar:
        """What training minimises for one state, a scalar.

        Arguments:
            target: the true q̈ (n,), or the true states (steps, 2n) of `horizon`.
        """

    @abstractmethod
    def dynamics(self, *, integrator: str, substeps: int) -> Dynamics:
        """What an environment steps."""

    def predict(
        self,
        states: Any,
        forces: Any,
        *,
        dt: float,
        m: Any = (),
        integrator: str = "rk4",
        substeps: int = 1,
        members: bool = False,
    ) -> Array:
        """Open-loop prediction: the states (T, 2n) after each of T steps, in one compiled call.

        Arguments:
            states: where to start, (q, q̇) of shape (2n,), or (B, 2n) for B motions.
            forces: generalized forces (T, n) held for `dt` seconds each, or (B, T, n).
            m: parameters (k,) of all motions.
            integrator, substeps: how a step is integrated.
            members: of an ensemble, follow each of its k members on its own: (k, T, 2n) or
                (k, B, T, 2n).

        Raises:
            ConfigurationError: shapes that do not fit, a dt that is not positive, or members of a
                single model.
        """
        start, tau = (jnp.asarray(array, jnp.float32) for array in (states, forces))
        positive_number("dt", dt, "seconds")
        if start.ndim not in (1, 2) or tau.shape[:-2] != start.shape[:-1] or tau.ndim < 2:
            raise ConfigurationError(
                f"states have shape {start.shape} and forces {tau.shape}: expected (2n,) and "
                "(T, n), or (B, 2n) and (B, T, n)"
            )
        one = self.dynamics(integrator=integrator, substeps=substeps)
        parameters = jnp.asarray(m, jnp.float32).reshape(-1)
        if members:
            return _each_predicted(members_of(one), start, tau, parameters, float(dt))
        return _predicted(one, start, tau, parameters, float(dt))


@eqx.filter_jit
def _each_predicted(
    dynamics: EnsembleDynamics, start: Array, tau: Array, m: Array, dt: float
) -> Array:
    """The states (k, T, 2n) or (k, B, T, 2n)."""
    return dynamics.over(lambda one: _predicted(one, start, tau, m, dt))


@eqx.filter_jit
def _predicted(dynamics: Dynamics, start: Array, tau: Array, m: Array, dt: float) -> Array:
    """The states (T, 2n) or (B, T, 2n)."""

    def follow(x: Array, forces: Array) -> Array:
        def step(x: Array, force: Array) -> tuple[Array, Array]:
            x = dynamics.step(x, force, m, dt)
            return x, x

        return jax.lax.scan(step, x, forces)[1]

    return (follow if start.ndim == 1 else jax.vmap(follow))(start, tau)


class Sizes(NamedTuple):
    """The inputs and outputs of a model's network.

    Attributes:
        inputs, outputs: how many there are.
        after: how many of the inputs follow the parameters that the model is conditioned on.
    """

    inputs: int
    outputs: int
    after: int = 0

    def network(self, shape: Shape, parameters: int, key: Array) -> Network | ProductNetwork:
        """A network with random weights; so many of its inputs are parameters."""
        if shape.conditioning == "input" or not parameters:
            return Network(self.inputs, self.outputs, shape, key=key)
        end = self.inputs - self.after
        where = (end - parameters, end)
        return ProductNetwork(self.inputs, self.outputs, shape, parameters=where, key=key)


class NetworkModel(Model):
    """A model made of one network and of settings.

    A subclass declares its own settings as fields by `gym_lagrangian.models.settings.setting`.

    A model that can have friction takes two more settings. ``friction`` is ``"none"``,
    ``"viscous"``, ``"coulomb"`` or ``"passive"``, see `gym_lagrangian.models.friction`.
    ``friction_scale`` is a typical power of it in watts; None for the mean of the typical τ q̇.

    Attributes:
        usual: the network's shape where the configuration does not say otherwise.
        damped: whether the model can have friction.
        resistance: the learned friction; None for none.
    """

    usual: ClassVar[Shape]
    damped: ClassVar[bool] = False

    embedding: Embedding
    network: Network | ProductNetwork
    resistance: Friction | None = eqx.field(default=None, kw_only=True)

    def __check_init__(self):
        n = self.embedding.n
        for name in self._own():
            value = getattr(self, name)
            if isinstance(value, tuple) and len(value) != n:
                raise ConfigurationError(
                    f"{name} has {len(value)} values, expected one number or {n}: one a coordinate"
                )

    @classmethod
    @abstractmethod
    def sizes(cls, embedding: Embedding) -> Sizes:
        """How many numbers go into the network, and how many come out."""

    @classmethod
    def settings(cls) -> tuple[str, ...]:
        """Those of the network's shape, then the model's own, then those of friction."""
        return (*SHAPE, *cls._own(), *(FRICTION if cls.damped else ()))

    @classmethod
    def _own(cls) -> tuple[str, ...]:
        return tuple(f.name for f in fields(cls) if f.kw_only and f.name != "resistance")

    @classmethod
    def build(
        cls: type[NetworkT],
        embedding: Embedding,
        *,
        key: Array,
        legendre: Lagrangian | None = None,
        **config: Any,
    ) -> NetworkT:
        known_names(cls.__name__, cls.settings(), config)
        shape = replace(cls.usual, **{name: config.pop(name) for name in SHAPE if name in config})
        network = cls.sizes(embedding).network(shape, len(embedding.m_index), key)
        friction = {name: config.pop(name) for name in FRICTION if name in config}
        resistance = learned_friction(embedding, shape, key, **friction)
        momenta = cls._momenta(embedding, legendre)
        return cls(embedding, network, *momenta, resistance=resistance, **config)

    def friction(self, q: Vector, qd: Vector, m: Parameters) -> Vector | None:
        """The learned force F (n,) of friction, with q̇ᵀF ≤ 0; None where there is none."""
        return None if self.resistance is None else self.resistance(q, qd, m)

    @classmethod
    def _momenta(cls, embedding: Embedding, legendre: Lagrangian | None) -> tuple[Lagrangian, ...]:
        """What a canonical model's constructor is given besides; nothing for the others."""
        if not cls.canonical:
            return ()
        if legendre is None:
            raise ConfigurationError(
                f"{cls.__name__} needs the canonical momenta p = ∂L/∂q̇: give it the system as "
                f"`legendre`. Where the Lagrangian of {embedding.system} is unknown, choose LNN "
                "or DeLaN, which learn from (q, q̇)"
            )
        return (legendre,)

    @property
    def config(self) -> dict[str, Any]:
        own = {name: as_given(getattr(self, name)) for name in self._own()}
        return {**asdict(self.network.shape), **own, **self._friction_config()}

    def _friction_config(self) -> dict[str, Any]:
        if not self.damped:
            return {}
        found = self.resistance
        kind, power = ("none", None) if found is None else (found.kind, found.power)
        return dict(zip(FRICTION, (kind, power), strict=True))


def learned_friction(
    embedding: Embedding,
    shape: Shape,
    key: Array,
    friction: Any = "none",
    friction_scale: Any = None,
) -> Friction | None:
    """Friction with random weights, None for none; the model's own network does not use this key.

    Arguments:
        shape: of its network, where it has one.
        friction: its kind, see `gym_lagrangian.models.friction`.
        friction_scale: its power scale in watts; default `typical_power`.

    Raises:
        ConfigurationError: an unknown kind, or a scale that is not positive.
    """
    kind = one_of("friction", friction, ("none", *FRICTIONS))
    if friction_scale is not None:
        friction_scale = positive_number("friction_scale", friction_scale, "W")
    if kind == "none":
        return None
    power = friction_scale or typical_power(embedding)
    return FRICTIONS[kind](embedding, shape, power, key=jax.random.fold_in(key, 1))


def friction_kind(model: Model) -> str | None:
    """The kind of friction that a model has, for its card; None for none."""
    kind = model.config.get("friction", "none")
    return None if kind == "none" else kind


class AccelerationModel(Model):
    """A model that states q̈(q, q̇, τ, m)."""

    @abstractmethod
    def acceleration(self, q: Vector, qd: Vector, tau: Vector, m: Parameters) -> Vector:
        """q̈ (n,) in rad/s² or m/s²."""


class IntegratedModel(AccelerationModel):
    """A learned acceleration field that an integrator follows."""

    def dynamics(self, *, integrator: str, substeps: int) -> Dynamics:
        """The field with an integrator, rolled: a network is work enough."""
        return ContinuousDynamics(self, integrator, substeps, roll=True)


def acceleration_error(model: AccelerationModel, sample: Sample, target: Target) -> Scalar:
    """Σ_i |q̈_i error|, in the unit of the paper's losses."""
    predicted = model.acceleration(sample.q, sample.qd, sample.tau, sample.m)
    return jnp.sum(jnp.abs(predicted - target))
