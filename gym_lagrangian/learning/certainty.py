r"""Standard errors of the physical numbers of a model.

With r_wi the errors of prediction along a window w, in units of their own spread over all windows,
and J = ∂r/∂z at the end of a fit, the curvature of the sum of squares is H = Σ_w J_wᵀ J_w, and the
numbers z scatter with the covariance

    C = H⁻¹ (Σ_w g_w g_wᵀ) H⁻¹,    g_w = J_wᵀ r_w.

This is the "sandwich" estimate. It assumes that errors of different windows are independent, as
they nearly are, and allows those within one window to be correlated. C is set to at least the H⁻¹
of independent errors. The windows do not overlap. C does not include a systematic error of the
equations, nor the noise of the states that windows start from.

A quantity is not determined where its standard error exceeds half of its size, or of its typical
size where that is larger.

Reference: White, "Maximum likelihood estimation of misspecified models" (1982).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from gym_lagrangian.envs.functional import cast
from gym_lagrangian.learning.sources import Source
from gym_lagrangian.learning.windows import Windows
from gym_lagrangian.models.base import Model

# The most windows whose errors are looked at.
_WINDOWS = 300

# A direction is not determined if its curvature is below this share of the largest.
_FLAT = 1e-10

# A standard error that is larger is one of a number that is not determined, as a share of its size.
_DETERMINED = 0.5

# The least spread of errors, in typical magnitudes: float32 does not tell less.
_ROUNDING = 1e-6


class Estimate(NamedTuple):
    """A learned number.

    Attributes:
        value: in its SI unit.
        error: its standard error.
        unit: of both.
        size: the size that its error is compared with.
    """

    value: float
    error: float
    unit: str
    size: float

    @property
    def determined(self) -> bool:
        """Whether the data say what it is."""
        return self.error <= _DETERMINED * self.size


def estimates(model: Model, source: Windows) -> dict[str, Estimate]:
    """Name → estimate of everything physical that a model has learned; nothing for networks.

    Arguments:
        source: the windows that it learned from.
    """
    if model.quantities is None:
        return {}
    with jax.enable_x64(True):
        exact = cast(model, "float64")
        slopes, missed = _linearised(exact, cast(source, "float64"))
        spread = np.sqrt(_covariance(slopes, missed).diagonal())
        z = np.asarray(exact.quantities.z)
        found = {}
        for quantity, at, error in zip(exact.quantities.of_learned(), z, spread, strict=True):
            value, slope = (float(x) for x in jax.value_and_grad(quantity.value)(jnp.asarray(at)))
            size = max(abs(value), quantity.size)
            found[quantity.name] = Estimate(value, abs(slope) * error, quantity.unit, size)
    return found


def findings(model: Model, source: Source) -> dict[str, Any]:
    """What the metrics of a fit say of physical numbers: values and, of a fit to motion, standard
    errors by name.

    Warns:
        UserWarning: the data do not determine some of them.
    """
    if model.quantities is None:
        return {}
    if not isinstance(source, Windows):
        numbers = model.quantities
        every = zip(numbers.of_learned(), np.asarray(numbers.z), strict=True)
        return {"parameters": {one.name: float(one.value(jnp.asarray(z))) for one, z in every}}
    found = estimates(model, source)
    _warn_of_undetermined(type(model).__name__, found)
    return {
        "parameters": {name: one.value for name, one in found.items()},
        "standard_errors": {name: one.error for name, one in found.items()},
    }


def _warn_of_undetermined(model: str, found: Mapping[str, Estimate]) -> None:
    loose = [
        f"{name} ({one.value:.3g} ± {one.error:.2g} {one.unit})".replace(" )", ")")
        for name, one in found.items()
        if not one.determined
    ]
    if loose:
        warnings.warn(
            f"the data do not determine {', '.join(loose)} of the fitted {model}: record motion "
            "that depends on them, or hold them at known values: name in `learned` what else is to "
            "be learned, and in `start` what they are",
            stacklevel=5,
        )


def _apart(starts: np.ndarray, steps: int) -> np.ndarray:
    """Starts of windows that do not overlap."""
    kept, free = [], -1
    for start in np.sort(starts).tolist():
        if start >= free:
            kept.append(start)
            free = start + steps
    return np.array(kept)[:: max(1, -(-len(kept) // _WINDOWS))]


@eqx.filter_jit
def _slopes(model: Any, source: Windows, starts: Array) -> tuple[Array, Array]:
    """∂r/∂z (W, steps · 2n, p) and r (W, steps · 2n)."""
    rows = starts[:, None] + jnp.arange(source.steps)

    def missed(z: Array, start: Array, tau: Array, target: Array, m: Array) -> tuple[Array, Array]:
        moved = eqx.tree_at(lambda one: one.quantities.z, model, z)
        dynamics = moved.dynamics(integrator=source.integrator, substeps=source.substeps)

        def step(x: Array, force: Array) -> tuple[Array, Array]:
            x = dynamics.step(x, force, m, source.dt)
            return x, x

        error = _error(model.embedding, jax.lax.scan(step, start, tau)[1], target)
        return error, error

    seen = source.samples
    x = jnp.concatenate([seen.q, seen.qd], axis=1)[starts]
    arguments = (model.quantities.z, x, seen.tau[rows], source.after[rows], seen.m[starts])
    return jax.vmap(jax.jacfwd(missed, has_aux=True), (None, 0, 0, 0, 0))(*arguments)


def _error(embedding: Any, states: Array, target: Array) -> Array:
    """The error (steps · 2n,) in typical magnitudes, of an angle on the circle."""
    error = states - target
    angular = np.array([*embedding.angular, *[False] * embedding.n])
    error = jnp.where(angular, jnp.arctan2(jnp.sin(error), jnp.cos(error)), error)
    return (error / jnp.array([*embedding.q_scale, *embedding.qd_scale])).ravel()


def _linearised(model: Any, source: Windows) -> tuple[np.ndarray, np.ndarray]:
    """∂r/∂z (W, steps · 2n, p) and r (W, steps · 2n), each component in units of its spread."""
    starts = jnp.asarray(_apart(np.asarray(source.starts), source.steps))
    slopes, missed = (np.asarray(a) for a in _slopes(model, source, starts))
    per_state = missed.reshape(len(missed), source.steps, -1)
    spread = np.sqrt(np.mean(per_state**2, axis=(0, 1))) + _ROUNDING
    scale = np.tile(spread, source.steps)
    return slopes / scale[:, None], missed / scale


def _covariance(slopes: np.ndarray, missed: np.ndarray) -> np.ndarray:
    """C (p, p), at least H⁻¹ on its diagonal."""
    curvature = np.einsum("wip,wiq->pq", slopes, slopes)
    root = np.sqrt(np.maximum(curvature.diagonal(), np.finfo(float).tiny))
    values, vectors = np.linalg.eigh(curvature / np.outer(root, root))
    inverse = (vectors / np.maximum(values, _FLAT * values.max())) @ vectors.T
    inverse = inverse / np.outer(root, root)
    pull = np.einsum("wip,wi->wp", slopes, missed)
    sandwich = inverse @ (pull.T @ pull) @ inverse
    return np.diag(np.maximum(sandwich.diagonal(), inverse.diagonal()))
