"""Energies of every system, against equations that are derived once more and integrated by scipy.

The package's energies, works and drifts come from its own mechanics and its own integrators. Here
the equation of motion is that of a textbook, from the Hessian of the Lagrangian, and scipy follows
it together with the power of the forces and of friction. A system is covered by being registered.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from gym_lagrangian import functional
from gym_lagrangian.registration import SYSTEMS, load_system
from gym_lagrangian.systems.chain import PlanarChain

STEPS, STARTS = 6, 4

# A fine step of a method that compiles fast: the error of a step is below that of the comparison.
FINE = {"integrator": "rk4", "substeps": 400, "dtype": "float64"}

TOLERANCE = 1e-6  # of the system's energy scale


class Course(NamedTuple):
    """What an environment showed after every step, each array (T, …), and what led there."""

    state: functional.State
    info: functional.Info


def with_friction(name):
    """Parameters by which a system that can have friction has some, where it has none by default.

    Parameters whose least sensible value is 0 are coefficients of friction, inertias of rotors, and
    the softening of a centre of gravity.
    """
    system = load_system(name)()
    little = 0.05 * min(system.magnitudes.tau) / max(1.0, *system.magnitudes.qd)
    absent = [k for k, p in system.parameters.items() if p.least == 0.0 and p.default == 0.0]
    return dict.fromkeys(absent, little)


@partial(jax.jit, static_argnums=0)
def followed(env, params, keys, actions):
    """First states, courses (K, …) under actions (T, a) from states that the system is trained on,
    and energy scales.
    """

    def one(key):
        low, high = jnp.asarray(params.m_bounds)
        m = low + (high - low) * jax.random.uniform(key, low.shape, low.dtype)
        sample = env.system.sample(key, m)
        x = jnp.concatenate([sample.q, sample.qd]).astype(m.dtype)
        first, _ = env.start(x, m, env.draw_goal(key, params), params)

        def step(state, action):
            state, timestep = env.step(None, state, action, params)
            return state, Course(state, timestep.info)

        courses = jax.lax.scan(step, first, actions)[1]
        return first, courses, functional.energy_scale(env.system, m)

    return jax.vmap(one)(keys)


@partial(jax.jit, static_argnums=0)
def textbook(env, y, action, m):
    """ẏ of y = (q, q̇, work, dissipated), by the Euler–Lagrange equation as textbooks have it, and
    the energy q̇ᵀ ∂L/∂q̇ − L.
    """
    system, (q, qd) = env.system, jnp.split(y[:-2], 2)
    value, (slope, momentum) = jax.value_and_grad(system.lagrangian, (0, 1))(q, qd, m)
    mixed, masses = jax.jacfwd(jax.grad(system.lagrangian, 1), (0, 1))(q, qd, m)
    tau = env.task.generalized_force(q, qd, action)
    friction = system.friction(q, qd, m)
    friction = jnp.zeros_like(q) if friction is None else friction
    qdd = jnp.linalg.solve(masses, slope - mixed @ qd + tau + friction)
    rates = jnp.concatenate([qd, qdd, jnp.stack([qd @ tau, -qd @ friction])])
    return rates, qd @ momentum - value


def integrated(env, start, actions, dt):
    """Energies, works and dissipated works (T + 1,), the start first, by scipy."""

    def field(_, y, action):
        return np.asarray(textbook(env, y, action, start.m)[0])

    ys = [np.concatenate([start.x, np.zeros(2)])]
    for action in actions:
        how = {"method": "DOP853", "rtol": 1e-11, "atol": 1e-12, "args": (action,)}
        ys.append(solve_ivp(field, (0.0, dt), ys[-1], **how).y[:, -1])
    energies = [float(textbook(env, y, actions[0], start.m)[1]) for y in ys]
    return np.array(energies), *np.array(ys)[:, -2:].T


def cases():
    """Every registered system. Those with the equations of an earlier one, and those of more than
    two coordinates, which take longer to compile, are slow.
    """
    seen = set()
    for name in SYSTEMS:
        system = load_system(name)()
        equations = system.kind if isinstance(system, PlanarChain) else type(system)
        dear = system.n > 2 or equations in seen
        seen.add(equations)
        yield pytest.param(name, marks=[pytest.mark.slow] if dear else [])


@pytest.mark.parametrize("name", list(cases()))
def test_energies_are_those_of_an_independent_integration(name):
    with jax.enable_x64(True):
        env, params = functional.make(name, **FINE, **with_friction(name))
        params = params.moved_by(params.dynamics.rolled())
        rng = np.random.default_rng(0)
        actions = rng.uniform(-1.0, 1.0, (STEPS, env.task.action_size))
        keys = jax.random.split(jax.random.key(0), STARTS)
        found = jax.device_get(followed(env, params, keys, actions))
        within = np.flatnonzero(~found[1].info.diverged.any(axis=1))
        assert len(within), "every motion left the task's range: nothing is shown"
        start, course, scale = jax.tree.map(lambda array: array[within[0]], found)
        energies, works, losses = integrated(env, start, actions, float(params.dt))
    close = partial(np.testing.assert_allclose, rtol=TOLERANCE, atol=TOLERANCE * scale)
    close(energies - energies[0], works - losses)  # scipy's own balance
    close(course.info.energy, energies[1:])
    close(course.state.work, works[1:])
    close(course.info.dissipated, losses[1:])
    assert np.abs(course.info.energy_drift).max() < TOLERANCE
    assert np.abs(works).max() > 100 * TOLERANCE * scale, "the forces do next to nothing"
    if losses.any() or any(k.startswith(("viscous", "coulomb")) for k in with_friction(name)):
        assert losses[-1] > 10 * TOLERANCE * scale, "hardly anything is dissipated"
