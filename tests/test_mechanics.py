"""Everything that follows from L, compared with equations written by hand."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from physics_helpers import CASES, batched

from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.physics.components import Components
from gym_lagrangian.physics.linear import as_matrix, as_vector
from gym_lagrangian.physics.mechanics import (
    Lagrangian,
    components_of_motion,
    euler_lagrange,
    motion_terms,
)
from gym_lagrangian.systems import DoublePendulum, RelativisticParticle


@pytest.fixture(params=CASES)
def case(request):
    return CASES[request.param]


# -- the equations by hand ------------------------------------------------------------------


def pendulum_acceleration_by_hand(q, qd, tau, m):
    """The textbook's explicit form for free motion, plus M⁻¹ τ by Cramer's rule."""
    (t1, t2), (w1, w2), (m1, m2, l1, l2, g) = q.T, qd.T, m.T
    d = t1 - t2
    below = 2 * m1 + m2 - m2 * np.cos(2 * d)
    a1 = -g * (2 * m1 + m2) * np.sin(t1) - m2 * g * np.sin(t1 - 2 * t2)
    a1 -= 2 * np.sin(d) * m2 * (w2**2 * l2 + w1**2 * l1 * np.cos(d))
    a2 = w1**2 * l1 * (m1 + m2) + g * (m1 + m2) * np.cos(t1) + w2**2 * l2 * m2 * np.cos(d)
    free = np.stack([a1 / (l1 * below), 2 * np.sin(d) * a2 / (l2 * below)], 1)
    m11, m12, m22 = (m1 + m2) * l1**2, m2 * l1 * l2 * np.cos(d), m2 * l2**2
    det = m11 * m22 - m12**2
    forced = np.stack([m22 * tau[:, 0] - m12 * tau[:, 1], m11 * tau[:, 1] - m12 * tau[:, 0]], 1)
    return free + forced / det[:, None]


def pendulum_energy_by_hand(q, qd, m):
    """½ m1 |ẋ1|² + ½ m2 |ẋ2|² + m1 g y1 + m2 g y2 from the Cartesian positions of the bobs."""
    (t1, t2), (w1, w2), (m1, m2, l1, l2, g) = q.T, qd.T, m.T
    v1 = np.stack([l1 * np.cos(t1) * w1, l1 * np.sin(t1) * w1])
    v2 = v1 + np.stack([l2 * np.cos(t2) * w2, l2 * np.sin(t2) * w2])
    y1 = -l1 * np.cos(t1)
    y2 = y1 - l2 * np.cos(t2)
    kinetic = 0.5 * m1 * (v1**2).sum(0) + 0.5 * m2 * (v2**2).sum(0)
    return kinetic + m1 * g * y1 + m2 * g * y2


def particle_by_hand(variant, q, qd, tau, m):
    """Acceleration, momentum and energy from the table in the module's docstring."""
    (q,), (v,), (force,), (mass, c, g) = q.T, qd.T, tau.T, m.T
    beta = v / c
    gamma = (1 - beta**2) ** -0.5
    if variant == "paper":
        acceleration = (g + force / mass) * gamma**-5 / (1 + 2 * beta**2)
        momentum = mass * v * gamma**3
        energy = mass * c**2 * ((2 * beta**2 - 1) * gamma**3 + 1) - mass * g * q
    else:
        acceleration = (g + force / mass) * gamma**-3
        momentum = mass * v * gamma
        energy = mass * c**2 * gamma - mass * g * q
    return acceleration, momentum, energy


def test_pendulum_acceleration_equals_the_textbook():
    system, q, qd, tau, m = CASES["pendulum"]
    expected = pendulum_acceleration_by_hand(q, qd, tau, m)
    np.testing.assert_allclose(batched(system.acceleration, q, qd, tau, m), expected, rtol=1e-9)


def test_pendulum_energy_is_that_of_its_two_bobs():
    system, q, qd, _, m = CASES["pendulum"]
    expected = pendulum_energy_by_hand(q, qd, m)
    np.testing.assert_allclose(batched(system.energy, q, qd, m), expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("variant", ["paper", "special_relativity"])
def test_particle_equals_its_table(variant):
    system, q, qd, tau, m = CASES[variant]
    acceleration, momentum, energy = particle_by_hand(variant, q, qd, tau, m)
    np.testing.assert_allclose(
        batched(system.acceleration, q, qd, tau, m)[:, 0], acceleration, rtol=1e-10
    )
    np.testing.assert_allclose(batched(system.momentum, q, qd, m)[:, 0], momentum, rtol=1e-11)
    np.testing.assert_allclose(batched(system.energy, q, qd, m), energy, rtol=1e-10, atol=1e-11)


def test_the_two_particles_differ_as_documented():
    """The paper's accelerations are 0.50 of the physical ones at 0.5 c, 0.073 at 0.9 c."""
    v = np.array([[0.5], [0.9]])
    q, tau, m = np.zeros_like(v), np.zeros_like(v), np.ones((2, 3))
    paper, physical = (
        batched(RelativisticParticle(lagrangian=name).acceleration, q, v, tau, m)[:, 0]
        for name in ("paper", "special_relativity")
    )
    np.testing.assert_allclose(paper / physical, [0.50, 0.073], rtol=0.01)


def test_energy_scales():
    with jax.enable_x64(True):
        default = np.array([1.0, 1.0, 1.0, 1.0, 9.8])
        assert DoublePendulum().energy_scale(jnp.asarray(default)) == pytest.approx(29.4)
        particle = RelativisticParticle().energy_scale(jnp.array([2.0, 3.0, 1.0]))
        assert particle == pytest.approx(18)


@pytest.mark.parametrize(
    ("actuated", "power"),
    [
        ("both", lambda a, w: a[0] * w[0] + a[1] * (w[1] - w[0])),
        ("shoulder", lambda a, w: a[0] * w[0]),
        ("elbow", lambda a, w: a[0] * (w[1] - w[0])),
    ],
)
def test_motor_power_is_torque_times_joint_velocity(actuated, power):
    """The shoulder works on θ̇1, the elbow on the relative θ̇2 − θ̇1."""
    system = DoublePendulum()
    task = system.task(coordinates=system, actuated=actuated, torque_max=3.0)
    rng = np.random.default_rng(5)
    for _ in range(5):
        action, w = rng.uniform(-1, 1, task.action_size), rng.normal(size=2)
        q, qd = jnp.asarray(rng.normal(size=2)), jnp.asarray(w)
        tau = np.asarray(task.generalized_force(q, qd, jnp.asarray(action)))
        assert tau @ w == pytest.approx(power(3.0 * action, w), rel=1e-5, abs=1e-5)


# -- what holds for every Lagrangian --------------------------------------------------------


def test_mass_matrix_is_symmetric_positive_definite_and_the_hessian(case):
    matrix = batched(case.system.mass_matrix, case.q, case.qd, case.m)
    np.testing.assert_allclose(matrix, matrix.swapaxes(1, 2), rtol=1e-13, atol=1e-13)
    assert np.linalg.eigvalsh(matrix).min() > 0
    hessian = batched(
        lambda q, qd, m: jax.hessian(lambda v: case.system.lagrangian(q, v, m))(qd),
        *(case.q, case.qd, case.m),
    )
    np.testing.assert_allclose(matrix, hessian, rtol=1e-10, atol=1e-12)


def test_energy_changes_by_the_power_of_the_forces(case):
    system = case.system

    def rate(q, qd, tau, m):
        flow = (qd, system.acceleration(q, qd, tau, m))
        return jax.jvp(lambda q, qd: system.energy(q, qd, m), (q, qd), flow)[1]

    power = np.sum(case.qd * case.tau, axis=1)
    rates = batched(rate, case.q, case.qd, case.tau, case.m)
    np.testing.assert_allclose(rates, power, rtol=1e-8, atol=1e-8)


def test_momentum_obeys_newtons_second_law(case):
    """Dp/dt = ∂L/∂q + τ along the flow: the equation of motion in its other form."""
    system = case.system

    def residual(q, qd, tau, m):
        flow = (qd, system.acceleration(q, qd, tau, m))
        rate = jax.jvp(lambda q, qd: system.momentum(q, qd, m), (q, qd), flow)[1]
        return rate - jax.grad(system.lagrangian)(q, qd, m) - tau

    assert np.abs(batched(residual, case.q, case.qd, case.tau, case.m)).max() < 1e-8


def test_inverse_dynamics_undoes_acceleration(case):
    system = case.system

    def both_ways(q, qd, tau, m):
        qdd = system.acceleration(q, qd, tau, m)
        again = system.acceleration(q, qd, system.inverse_dynamics(q, qd, tau, m), m)
        return system.inverse_dynamics(q, qd, qdd, m), again

    forces, accelerations = batched(both_ways, case.q, case.qd, case.tau, case.m)
    np.testing.assert_allclose(forces, case.tau, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(accelerations, case.tau, rtol=1e-9, atol=1e-9)


def by_component(lagrangian, q, qd, m):
    """As `euler_lagrange`, from scalars."""
    rows, force = components_of_motion(lagrangian, q, qd, m)
    return as_matrix(rows), as_vector(force)


def test_the_two_euler_lagrange_passes_agree(case):
    lagrangian = case.system.lagrangian
    arrays = (case.q, case.qd, case.m)
    whole = batched(lambda *x: euler_lagrange(lagrangian, *x), *arrays)
    parts = batched(lambda *x: by_component(lagrangian, *x), *arrays)
    for a, b in zip(whole, parts, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11)


def test_mixed_derivatives_are_indexed_as_stated():
    """A Lagrangian with an unsymmetric ∂²L/∂q∂q̇: the index order of the mixed matrix shows."""

    def lagrangian(q, qd, m):
        return 0.5 * (qd[0] ** 2 + 2 * qd[1] ** 2) + m[0] * q[0] ** 2 * q[1] * qd[1]

    # p2 = 2 v2 + b x² y, so d/dt gives 2 a2 + b (2 x y v1 + x² v2) = b x² v2, a1 = 2 b x y v2.
    q, qd, m = np.array([[1.5, -0.7]]), np.array([[0.3, 2.0]]), np.array([[0.9]])
    (x, y), (v1, v2), b = q[0], qd[0], 0.9
    expected_force = [2 * b * x * y * v2, -2 * b * x * y * v1]
    for function in (euler_lagrange, by_component):
        matrix, force = batched(lambda *a, f=function: f(lagrangian, *a), q, qd, m)
        np.testing.assert_allclose(matrix[0], np.diag([1.0, 2.0]), atol=1e-14)
        np.testing.assert_allclose(force[0], expected_force, rtol=1e-13)


# -- equivalent Lagrangians -----------------------------------------------------------------


@dataclass(frozen=True)
class Transformed(Lagrangian):
    """A L + b + d/dt F(q): the same free motion, by the generic equation of motion."""

    mass_matrix_solver: ClassVar[str] = "direct"
    base: Lagrangian
    scale: float
    shift: float
    gauge: Callable

    def lagrangian(self, q, qd, m):
        total_derivative = jax.jvp(self.gauge, (q,), (qd,))[1]
        return self.scale * self.base.lagrangian(q, qd, m) + self.shift + total_derivative

    def terms_of_motion(self, q, qd, m):
        return motion_terms(self.lagrangian, q, qd, m)


def test_scale_constant_and_total_derivative_leave_the_motion_alone(case):
    other = Transformed(case.system, 2.5, -7.0, lambda q: jnp.sum(jnp.sin(q) * q[0] ** 2))
    arrays = (case.q, case.qd, case.tau, case.m)
    expected = batched(case.system.acceleration, *arrays)
    scaled = batched(lambda q, qd, tau, m: other.acceleration(q, qd, 2.5 * tau, m), *arrays)
    np.testing.assert_allclose(scaled, expected, rtol=1e-9, atol=1e-9)
    # Forced motion sees the scale: this is why training data needs forces.
    unscaled = batched(other.acceleration, *arrays)
    assert np.abs(unscaled - expected).max() > 0.1
    energy = batched(case.system.energy, case.q, case.qd, case.m)
    shifted = batched(other.energy, case.q, case.qd, case.m)
    np.testing.assert_allclose(shifted, 2.5 * energy + 7.0, rtol=1e-9, atol=1e-9)


# -- a Lagrangian in its author's own hand --------------------------------------------------


def cart_pole_by_index(q, qd, m):
    mass, bob, length, g = m
    kinetic = 0.5 * (mass + bob) * qd[0] ** 2 + 0.5 * bob * length**2 * qd[-1] ** 2
    kinetic += bob * length * qd[0] * qd[1] * jnp.cos(q[1])
    return kinetic + bob * g * length * jnp.cos(q[1])


def cart_pole_unpacked(q, qd, m):
    (_, theta), (v, omega) = q, qd
    mass, bob, length, g = m
    x_rate, y_rate = v + length * omega * jnp.cos(theta), length * omega * jnp.sin(theta)
    kinetic = 0.5 * mass * v**2 + 0.5 * bob * (x_rate**2 + y_rate**2)
    return kinetic + bob * g * length * jnp.cos(theta)


def cart_pole_in_arrays(q, qd, m):
    mass, bob, length, g = m
    coupling = bob * length * jnp.cos(q)[1]
    matrix = jnp.array([[mass + bob, coupling], [coupling, bob * length**2]])
    return 0.5 * qd @ matrix @ qd + bob * g * length * jnp.cos(q[1])


@dataclass(frozen=True)
class Written(Lagrangian):
    """A system of one function."""

    mass_matrix_solver: ClassVar[str] = "direct"
    function: Callable

    def lagrangian(self, q, qd, m):
        return self.function(q, qd, m)

    def terms_of_motion(self, q, qd, m):
        return motion_terms(self.lagrangian, q, qd, m)


CART_POLES = (cart_pole_by_index, cart_pole_unpacked, cart_pole_in_arrays)


def all_of_mechanics(system, q, qd, tau, m):
    def moved(*x):
        return jnp.sum(jnp.sin(system.acceleration(*x)))

    return {
        "acceleration": system.acceleration(q, qd, tau, m),
        "gradient": jax.grad(moved, argnums=(0, 1, 2, 3))(q, qd, tau, m),
        "force": system.inverse_dynamics(q, qd, tau, m),
        "equation": system.equation_of_motion(q, qd, m),
        "energy": system.energy(q, qd, m),
        "velocity": system.velocity(q, system.momentum(q, qd, m), m),
    }


@pytest.mark.parametrize("promotion", ["allow", "raise"])
def test_a_cart_pole_is_the_same_however_it_is_written(promotion):
    rng = np.random.default_rng(3)
    q, qd, tau = (rng.normal(size=(8, 2)) * s for s in (2.0, 3.0, 5.0))
    m = rng.uniform(0.5, 2.0, (8, 4))
    with jax.numpy_rank_promotion(promotion):
        first, *others = (
            batched(lambda *x, w=w: all_of_mechanics(Written(w), *x), q, qd, tau, m)
            for w in CART_POLES
        )
    for other in others:
        for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(other), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)
    theta, (mass, bob, length, g) = q[:, 1], m.T
    matrix = np.moveaxis(
        np.array([[mass + bob, bob * length * np.cos(theta)], [0 * mass, bob * length**2]]), 2, 0
    )
    np.testing.assert_allclose(np.triu(first["equation"][0]), matrix, rtol=1e-12, atol=1e-12)
    force = [bob * length * qd[:, 1] ** 2 * np.sin(theta), -bob * g * length * np.sin(theta)]
    np.testing.assert_allclose(first["equation"][1].T, force, rtol=1e-12, atol=1e-12)


def test_the_fast_path_is_taken_where_it_can_be():
    q, m = jnp.ones(2), jnp.ones(4)
    fast = [isinstance(Written(w).terms_of_motion(q, q, m)[1], list) for w in CART_POLES]
    assert fast == [True, True, False]
    for case in CASES.values():
        row = [jnp.asarray(x[0]) for x in (case.q, case.qd, case.m)]
        assert isinstance(motion_terms(case.system.lagrangian, *row)[1], list)


def test_a_list_of_components_is_an_array():
    def lagrangian(q, qd, m):
        velocity = jnp.stack([*qd[:1], *qd[1:]])
        return 0.5 * velocity @ velocity + sum(x * v for x, v in zip(q, qd, strict=True))

    q = jnp.array([0.3, -0.4])
    rows, force = motion_terms(lagrangian, q, q, m=jnp.ones(0))
    np.testing.assert_array_equal(as_matrix(rows), jnp.eye(2))
    np.testing.assert_array_equal(as_vector(force), jnp.zeros(2))


def test_components_are_indexed_sliced_counted_and_unpacked():
    entries = list(jnp.array([1.0, 2.0, 3.0]))
    components = Components(entries)
    first, *rest = components
    assert [first, *rest] == entries
    assert (components[-1], len(components)) == (3.0, 3)
    assert list(components[1:]) == list(components[-2:]) == [2.0, 3.0]
    assert components[np.int64(1)] == 2.0
    assert isinstance(components[:0], Components)


@pytest.mark.parametrize(
    "operation",
    [
        lambda x: x + x,
        lambda x: 2 * x,
        lambda x: -x,
        lambda x: jnp.ones(2) * x,
        lambda x: x @ jnp.ones(2),
        lambda x: np.ones(2) * x,
        lambda x: x * np.ones(2),
        lambda x: np.float64(2) * x,
        lambda x: np.sin(x),
        lambda x: jnp.sin(x),
        lambda x: jnp.sum(x),
        lambda x: x == x,
        lambda x: x != 0,
        lambda x: x < x,
        lambda x: bool(x),
        lambda x: hash(x),
        lambda x: float(x),
        lambda x: x[True],
        lambda x: x[...],
        lambda x: x[None],
        lambda x: x[0, 1],
        lambda x: x["q"],
        lambda x: x[[0, 1]],
        lambda x: x[jnp.arange(2)],
    ],
)
def test_components_refuse(operation):
    with pytest.raises(TypeError):
        operation(Components([jnp.ones(()), jnp.ones(())]))


CONSTANTS = (0.0, 3, True, np.float64(2.0), np.int64(1), np.array(4), jnp.array(2))


@pytest.mark.parametrize("value", CONSTANTS, ids=repr)
def test_a_constant_moves_nothing(value):
    system = Written(lambda q, qd, m: value)
    x, none = jnp.ones(2), jnp.zeros(2)
    mass_matrix, force = system.equation_of_motion(x, x, jnp.ones(1))
    np.testing.assert_array_equal(mass_matrix, jnp.zeros((2, 2)))
    np.testing.assert_array_equal(force, none)
    np.testing.assert_array_equal(system.momentum(x, x, jnp.ones(1)), none)
    assert system.energy(x, x, jnp.ones(1)) == -float(value)


@pytest.mark.parametrize(
    ("function", "found"),
    [
        (lambda q, qd, m: qd[:1], r"float32 of shape \(1,\)"),
        (lambda q, qd, m: 0.5 * qd**2, r"float32 of shape \(2,\)"),
        (lambda q, qd, m: qd, r"float32 of shape \(2,\)"),
        (lambda q, qd, m: 1j * qd[0], r"complex64 of shape \(\)"),
        (lambda q, qd, m: None, "NoneType"),
        (lambda q, qd, m: (qd[0], q[0]), "tuple"),
    ],
)
def test_a_lagrangian_that_is_no_scalar_is_named(function, found):
    system, x = Written(function), jnp.ones(2)
    message = rf"Written\.lagrangian returned {found}: expected .* shape \(\)"
    for ask in (system.mass_matrix, system.energy, system.momentum):
        with pytest.raises(ConfigurationError, match=message):
            ask(x, x, jnp.ones(1))


def fails_on_its_own(q, qd, m):
    if len(q) == 2:
        raise RuntimeError("no spring constant")
    return qd[0]


def fails_in_a_call(q, qd, m):
    return qd @ jnp.ones(3)


def unpacks_too_many(q, qd, m):
    _, _, _ = qd
    return 0.0


def branches_on_a_value(q, qd, m):
    return qd[0] if q[0] > 0 else qd[1]


@pytest.mark.parametrize(
    ("function", "error"),
    [
        (fails_on_its_own, RuntimeError),
        (fails_in_a_call, TypeError),
        (unpacks_too_many, ValueError),
        (branches_on_a_value, jax.errors.TracerBoolConversionError),
    ],
)
def test_an_author_sees_his_own_error(function, error):
    """From arrays, which he knows of, and with the line at which it happens."""
    x = jnp.ones(2)
    with pytest.raises(error) as caught:
        jax.jit(Written(function).acceleration)(x, x, x, jnp.ones(1))
    assert function.__name__ in [entry.name for entry in caught.traceback]
    assert "omponents" not in str(caught.value)
    assert caught.value.__context__ is None or "omponents" not in str(caught.value.__context__)


def test_a_coordinate_that_does_not_exist_is_refused():
    """An array would clamp the index: a wrong system without a word."""
    x = jnp.ones(2)
    with pytest.raises(IndexError, match="index 2 is out of range: there are 2 coordinates"):
        Written(lambda q, qd, m: qd[0] * q[2]).mass_matrix(x, x, x)


# -- momentum and back ----------------------------------------------------------------------


def test_velocity_inverts_momentum_from_rest_and_from_a_guess(case):
    system = case.system

    def round_trip(q, qd, guess, m):
        return system.velocity(q, system.momentum(q, qd, m), m, guess)

    twice = [np.concatenate([a, a]) for a in (case.q, case.qd, case.m)]
    guess = np.concatenate([np.zeros_like(case.qd), 0.9 * case.qd])
    found = batched(round_trip, *twice[:2], guess, twice[2])
    np.testing.assert_allclose(found, twice[1], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("variant", ["paper", "special_relativity"])
def test_velocity_near_the_speed_of_light(variant, dtype):
    """From rest: where trained, v reaches 0.99999 c, and momentum there is 10⁵ to 10⁸ m c."""
    system = RelativisticParticle(lagrangian=variant)
    share = np.array([0.5, -0.9, 0.99, -0.99, 0.999, -0.9999, 0.99999])[:, None]
    m = np.tile([1.3, 2.0, 1.0], (len(share), 1))
    found = batched(
        lambda q, qd, m: system.velocity(q, system.momentum(q, qd, m), m),
        *(np.zeros_like(share), 2.0 * share, m),
        dtype=dtype,
    )
    assert found.dtype == dtype
    tolerance = 1e-9 if dtype == "float64" else 3e-5
    np.testing.assert_allclose(found / 2.0, share, atol=tolerance)


def test_velocity_is_differentiable(case):
    """∂v/∂p, ∂v/∂q and ∂v/∂m against central differences; ∂v/∂p is the inverse mass matrix."""
    system, rows, h = case.system, 6, 1e-5
    q, qd, m = case.q[:rows], case.qd[:rows], case.m[:rows]
    p = batched(system.momentum, q, qd, m)
    slopes = batched(jax.jacobian(system.velocity, argnums=(0, 1, 2)), q, p, m)
    inverse = np.linalg.inv(batched(system.mass_matrix, q, qd, m))
    np.testing.assert_allclose(slopes[1], inverse, rtol=1e-8, atol=1e-10)
    x = np.concatenate([q, p, m], axis=1)
    n, width = system.n, x.shape[1]
    moved = np.stack([x[:, None] + h * np.eye(width), x[:, None] - h * np.eye(width)])
    v = batched(
        lambda x: system.velocity(x[:n], x[n : 2 * n], x[2 * n :]), moved.reshape(-1, width)
    ).reshape(2, rows, width, n)
    differences = ((v[0] - v[1]) / (2 * h)).swapaxes(1, 2)
    np.testing.assert_allclose(np.concatenate(slopes, axis=2), differences, rtol=1e-5, atol=1e-6)


def test_velocity_has_second_derivatives():
    """V = p / √(m² + p²/c²) in special relativity, so d²v/dp² is known in closed form."""
    system = RelativisticParticle(lagrangian="special_relativity")
    p, m = np.array([[0.4], [-1.5]]), np.array([[1.0, 1.0, 0.0]] * 2)

    def v(p, m):
        return system.velocity(jnp.zeros(1), p[None], m)[0]

    second = batched(jax.grad(jax.grad(v)), p[:, 0], m)
    np.testing.assert_allclose(second, -3 * p[:, 0] * (1 + p[:, 0] ** 2) ** -2.5, rtol=1e-8)


def test_velocity_of_a_batch_ends():
    """A thousand states at once in float32, from wrong guesses: once, this never returned.

    In a process of its own, since a loop that does not end cannot be interrupted from here.
    """
    program = """
import jax, jax.numpy as jnp, numpy as np
from gym_lagrangian.systems import DoublePendulum
system, rng = DoublePendulum(), np.random.default_rng(0)
m = jnp.asarray(system.parameter_bounds()[0], jnp.float32)
q, qd = (jnp.asarray(rng.uniform(-x, x, (1000, 2)), jnp.float32) for x in (3.0, 10.0))
guess = qd + jnp.asarray(rng.normal(size=qd.shape), jnp.float32)
round_trip = lambda q, qd, g: system.velocity(q, system.momentum(q, qd, m), m, g)
print(float(jnp.abs(jax.jit(jax.vmap(round_trip))(q, qd, guess) - qd).max()))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 1e-4
