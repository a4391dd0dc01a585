r"""A physicist's view of a system or of a learned model, the same for both.

    swing = DoublePendulum().mechanics
    model = gym_lagrangian.checkpoint.load("DoublePendulumLNN").mechanics
    model.potential([0.3, 0.1]), model.energy(q, qd), swing.mass_matrix(q, m1=1.4)

Parameters m that are not named have the values that the system states or at which the model was
trained. The energy E, which forces and friction alone change, is split as the literature does,

    V(q) = E(q, 0)        (−L(q, 0) of a Lagrangian, H(q, p = 0) of a Hamiltonian)
    T(q, q̇) = E(q, q̇) − V(q).

A learned Lagrangian is known up to a constant and up to the time derivative of a function of q,
since neither changes the motion: potentials agree with the true ones up to a constant. The unit of
energies and momenta is arbitrary too if the model was trained without forces.

NumPy arrays and lists are computed in float64, unless all of them are float32, and give NumPy
arrays. jax arrays give jax arrays in their own precision, within jit, vmap and grad too. Arrays may
have leading axes, one state each: q (…, n) gives V (…).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer
from jax.typing import ArrayLike

from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.systems.coordinates import Coordinates, bounds_of

Result = np.ndarray | Array


class Mechanics:
    """Energies, momenta and forces in SI units; what the module describes.

    Attributes:
        coordinates: what moves: n coordinates, k parameters.
        parameters: name → the value that stands where it is not named.
    """

    def __init__(
        self,
        field: Any,
        coordinates: Coordinates,
        parameters: Mapping[str, float],
        check: Callable[[np.ndarray], None] = lambda bounds: None,
    ):
        """View a field, with default values of the parameters.

        Arguments:
            field: a system or a model.
            check: refuses bounds (2, k) of parameters at which the field is unknown.
        """
        self.coordinates, self.parameters = coordinates, dict(parameters)
        self._field, self._check = field, check

    def __repr__(self) -> str:
        return f"<mechanics of {self.coordinates.name} by {type(self._field).__name__}>"

    def potential(self, q: ArrayLike, **parameters: ArrayLike) -> Result:
        """V(q) (…) in J, the energy at rest.

        Arguments:
            q: coordinates (…, n) in rad or m.
            parameters: values by name, a number or an array (…).

        Raises:
            ConfigurationError: no energy (`Baseline`, `NODE` and `MLP` have none), an array of
                another shape, an unknown parameter, one of a value that makes no sense, or one
                that has no default and is not named.
            CheckpointError: the model was not trained at these parameters.
        """
        return self._found(_potential, "()", {"q": q}, parameters)

    def kinetic(self, q: ArrayLike, qd: ArrayLike, **parameters: ArrayLike) -> Result:
        """T(q, q̇) (…) in J, the energy beyond that at rest.

        Arguments and errors as of `potential`, with velocities qd (…, n) in rad/s or m/s.
        """
        return self._found(_kinetic, "()", {"q": q, "qd": qd}, parameters)

    def energy(self, q: ArrayLike, qd: ArrayLike, **parameters: ArrayLike) -> Result:
        """E(q, q̇) = T + V (…) in J.

        Arguments and errors as of `kinetic`.
        """
        return self._found(_energy, "()", {"q": q, "qd": qd}, parameters)

    def mass_matrix(
        self, q: ArrayLike, qd: ArrayLike | None = None, **parameters: ArrayLike
    ) -> Result:
        """M = ∂p/∂q̇ (…, n, n) in kg, kg·m or kg·m².

        Arguments and errors as of `kinetic`; at rest where there is no qd.
        """
        return self._found(_mass_matrix, "(n,n)", {"q": q, "qd": qd}, parameters)

    def momentum(self, q: ArrayLike, qd: ArrayLike, **parameters: ArrayLike) -> Result:
        """The canonical momentum p = ∂L/∂q̇ (…, n) in kg·m/s or kg·m²/s.

        Arguments and errors as of `kinetic`.
        """
        return self._found(_momentum, "(n)", {"q": q, "qd": qd}, parameters)

    def acceleration(
        self, q: ArrayLike, qd: ArrayLike, tau: ArrayLike | None = None, **parameters: ArrayLike
    ) -> Result:
        """q̈ (…, n) in rad/s² or m/s² under generalized forces tau (…, n) in N·m or N, or none.

        Arguments and errors as of `kinetic`, but that models without an energy have it, too.
        """
        states = {"q": q, "qd": qd, "tau": tau}
        return self._found(_acceleration, "(n)", states, parameters)

    def inverse_dynamics(
        self, q: ArrayLike, qd: ArrayLike, qdd: ArrayLike, **parameters: ArrayLike
    ) -> Result:
        """The generalized forces τ (…, n) in N·m or N that cause q̈ = qdd (…, n), friction included.

        Arguments and errors as of `kinetic`.
        """
        states = {"q": q, "qd": qd, "qdd": qdd}
        return self._found(_inverse_dynamics, "(n)", states, parameters)

    # -- internals ----------------------------------------------------------------------------

    def _found(
        self,
        function: Callable[..., Array],
        result: str,
        states: Mapping[str, Any],
        parameters: Mapping[str, Any],
    ) -> Result:
        self._require(function)
        arrays = [self._array(name, one) for name, one in states.items() if one is not None]
        arrays += [0 * arrays[0]] * (len(states) - len(arrays))  # at rest, and without forces
        if any(isinstance(one, jax.Array) for one in (*arrays, *parameters.values())):
            dtype = jnp.result_type(*(one for one in arrays if isinstance(one, jax.Array)), float)
            return _evaluate(function, result, self._field, *self._cast(arrays, parameters, dtype))
        dtype = np.result_type(np.float32, *arrays)
        with jax.enable_x64(True):
            arguments = self._cast(arrays, parameters, dtype)
            return np.asarray(_evaluate(function, result, self._field, *arguments))

    def _cast(
        self, arrays: list[Result], parameters: Mapping[str, Any], dtype: Any
    ) -> tuple[list[Array], Array]:
        return [jnp.asarray(one, dtype) for one in arrays], self._m(parameters, dtype)

    def _require(self, function: Callable[..., Array]) -> None:
        """Refuse what the field does not have."""
        kind = type(self._field).__name__
        has = hasattr(self._field, "acceleration") and function is _acceleration
        if not has and not getattr(type(self._field), "has_energy", False):
            raise ConfigurationError(
                f"{kind} has no {function.__name__[1:]}: it knows no energy. LNN, DeLaN and HNN do"
            )

    def _array(self, name: str, given: Any) -> Result:
        names = self.coordinates.coordinates
        try:
            array = given if isinstance(given, jax.Array) else np.asarray(given)
        except ValueError as error:
            raise ConfigurationError(f"{name} = {given!r}: rows of unlike lengths") from error
        if array.dtype.kind not in "fiu" or array.shape[-1:] != (len(names),):
            raise ConfigurationError(
                f"{name} is {array.dtype} of shape {array.shape}, expected real numbers "
                f"(…, {len(names)}): {', '.join(names)}"
            )
        return array

    def _m(self, given: Mapping[str, Any], dtype: Any) -> Array:
        """m (…, k) with the values by name in place of the defaults."""
        known = self.coordinates.parameters
        values = {**self.parameters, **given}
        missing = [name for name in known if name not in values]
        if missing:
            raise ConfigurationError(
                f"{', '.join(missing)} of {self.coordinates.name} has no value of its own here: "
                f"name it, as in {missing[0]}=…"
            )
        concrete = {name: _span(one) for name, one in values.items() if not _is_traced(one)}
        bounds = bounds_of(self.coordinates.name, known, concrete)
        if len(concrete) == len(known):
            self._check(bounds)
        columns = jnp.broadcast_arrays(*(jnp.asarray(values[name], dtype) for name in known))
        return jnp.stack(columns, axis=-1) if columns else jnp.zeros((0,), dtype)


def _span(value: Any) -> Any:
    """The bounds of the values of a parameter; what are no numbers, as it is."""
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        return value
    return (float(array.min()), float(array.max())) if array.size else value


def _is_traced(value: Any) -> bool:
    return isinstance(value, Tracer)


@eqx.filter_jit
def _evaluate(
    function: Callable[..., Array], result: str, field: Any, arrays: list[Array], m: Array
) -> Array:
    signature = f"{'(n),' * len(arrays)}(k)->{result}"
    return jnp.vectorize(functools.partial(function, field), signature=signature)(*arrays, m)


def _potential(field: Any, q: Array, m: Array) -> Array:
    return field.energy(q, jnp.zeros_like(q), m)


def _kinetic(field: Any, q: Array, qd: Array, m: Array) -> Array:
    return field.energy(q, qd, m) - _potential(field, q, m)


def _energy(field: Any, q: Array, qd: Array, m: Array) -> Array:
    return field.energy(q, qd, m)


def _mass_matrix(field: Any, q: Array, qd: Array, m: Array) -> Array:
    return field.mass_matrix(q, qd, m)


def _momentum(field: Any, q: Array, qd: Array, m: Array) -> Array:
    return field.momentum(q, qd, m)


def _acceleration(field: Any, q: Array, qd: Array, tau: Array, m: Array) -> Array:
    return field.acceleration(q, qd, tau, m)


def _inverse_dynamics(field: Any, q: Array, qd: Array, qdd: Array, m: Array) -> Array:
    return field.inverse_dynamics(q, qd, qdd, m)
