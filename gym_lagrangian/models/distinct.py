r"""Identifiability: which physical numbers of a model motion can tell apart.

A number z_j moves the acceleration by ∂q̈/∂z_j, a vector over states and coordinates. Where that
vector is a combination of those of other numbers, a change of z_j is made up for by changes of the
others, and no recording of q, q̇, q̈ and τ tells them apart. So the vectors are taken one after the
other at fixed states, and a number is kept if its vector has a part that is orthogonal to those of
the numbers kept before (Gram–Schmidt).

This is the search for base parameters: Gautier, "Numerical calculation of the base inertial
parameters of robots" (1991).
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import numpy as np

from gym_lagrangian.physics.numbers import evaluated

# States at which effects are compared.
_STATES = 128

# The part of an effect that has to be its own, and the least effect beside the largest.
_OWN, _LEAST = 1e-3, 1e-7


def distinct(model: Any, system: Any) -> tuple[str, ...]:
    """Names of the learned quantities of a model that motion tells apart.

    Arguments:
        model: with `quantities` and an acceleration, at its start.
        system: the `System` whose typical states are visited.
    """
    effects = _effects(model, system)
    sizes = np.linalg.norm(effects, axis=0)
    kept: list[str] = []
    basis = np.zeros((len(effects), 0))
    for name, effect, size in zip(model.quantities.learned, effects.T, sizes, strict=True):
        own = effect - basis @ (basis.T @ effect)
        own = own - basis @ (basis.T @ own)  # once more, for what was rounded off
        if size > _LEAST * sizes.max() and np.linalg.norm(own) > _OWN * size:
            basis = np.column_stack([basis, own / np.linalg.norm(own)])
            kept.append(name)
    return tuple(kept)


def _effects(model: Any, system: Any) -> np.ndarray:
    """∂q̈/∂z (states · n, p), q̈ in units of its spread."""
    q, qd, tau = _states(system)
    given = _conditions(model, system)
    z = np.zeros(len(model.quantities.learned))

    def moved(z: Any, q: Any, qd: Any, tau: Any, m: Any) -> Any:
        changed = eqx.tree_at(lambda one: one.quantities.z, model, z)
        return changed.acceleration(q, qd, tau, m)

    slopes = jax.vmap(jax.jacfwd(moved), in_axes=(None, 0, 0, 0, None))
    found = evaluated(slopes, z, q, qd, tau, given)
    size = np.sqrt(np.mean(found**2, axis=(0, 2), keepdims=True))
    return (found / np.where(size > 0, size, 1.0)).reshape(-1, found.shape[2])


def _conditions(model: Any, system: Any) -> np.ndarray:
    """The m of which the model takes the entries that it is conditioned on, at their middle."""
    middle = dict(zip(system.parameters, system.parameter_bounds().mean(axis=0), strict=True))
    found = np.zeros(1 + max(model.embedding.m_index, default=-1))
    for name, i in zip(model.embedding.m_names, model.embedding.m_index, strict=True):
        found[i] = middle[name]
    return found


def _states(system: Any) -> list[Any]:
    """q, q̇ and τ (states, n) all over what is typical."""
    rng, typical = np.random.default_rng(0), system.magnitudes
    reach = np.where(system.angular, np.pi, typical.q)
    return [
        rng.uniform(-1.0, 1.0, (_STATES, system.n)) * s for s in (reach, typical.qd, typical.tau)
    ]
