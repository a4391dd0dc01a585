"""Fixed-step integrators: order, stages, dtype, and an independent solver as the oracle."""

from __future__ import annotations

from math import prod

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from gym_lagrangian.envs.functional import make
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.physics.dynamics import ContinuousDynamics
from gym_lagrangian.physics.integrators import INTEGRATORS, integrate
from gym_lagrangian.registration import distributions_of
from gym_lagrangian.systems import DoublePendulum

M = np.array([1.0, 1.0, 1.0, 1.0, 9.8])

DECLARED = {"rk4": (4, 4), "dopri5": (5, 6), "dop853": (8, 12)}


def by_hand(t, x, tau=(0.0, 0.0)):
    """The double pendulum's ẋ for unit masses and lengths, in plain numpy."""
    t1, t2, w1, w2 = x
    c, s = np.cos(t1 - t2), np.sin(t1 - t2)
    force = [tau[0] - w2**2 * s - 2 * 9.8 * np.sin(t1), tau[1] + w1**2 * s - 9.8 * np.sin(t2)]
    return np.concatenate([[w1, w2], np.linalg.solve([[2.0, c], [c, 1.0]], force)])


def oracle(start, time, tau=(0.0, 0.0)):
    """The state after `time` by scipy's adaptive DOP853 at the tightest tolerance it takes."""
    found = solve_ivp(
        by_hand, (0.0, time), start, args=(tau,), method="DOP853", rtol=1e-13, atol=1e-15
    )
    assert found.success
    return found.y[:, -1]


def pendulum_field(x):
    system = DoublePendulum()
    tau = jnp.zeros(2, x.dtype)
    qdd = system.acceleration(x[:2], x[2:], tau, jnp.asarray(M, x.dtype))
    return jnp.concatenate([x[2:], qdd])


def trees(size):
    """Every rooted tree of `size` nodes: the tuple of its root's subtrees, sorted."""
    if size == 1:
        return {()}
    return {bigger for tree in trees(size - 1) for bigger in with_one_more_leaf(tree)}


def with_one_more_leaf(tree):
    yield tuple(sorted((*tree, ())))
    for i, child in enumerate(tree):
        for bigger in with_one_more_leaf(child):
            yield tuple(sorted((*tree[:i], bigger, *tree[i + 1 :])))


def order_condition_residual(method, tree):
    """Σ_i b_i Φ_i(tree) − 1/γ(tree) (Butcher): zero for every tree of at most `order` nodes."""
    a = np.array([[*row, *[0.0] * (method.stages - len(row))] for row in method.a])

    def stages(tree):
        return prod((a @ stages(child) for child in tree), start=np.ones(method.stages))

    def size(tree):
        return 1 + sum(map(size, tree))

    def density(tree):
        return size(tree) * prod(map(density, tree))

    return np.dot(method.b, stages(tree)) - 1.0 / density(tree)


@pytest.fixture(scope="module")
def free_pendulum():
    """Sixteen starts, and where the oracle has them after one second."""
    starts = np.random.default_rng(0).uniform(-0.3, 0.3, (16, 4))
    return starts, np.array([oracle(start, 1.0) for start in starts])


def test_every_integrator_is_declared_here():
    assert {name: (rk.order, rk.stages) for name, rk in INTEGRATORS.items()} == DECLARED


@pytest.mark.parametrize("name", INTEGRATORS)
def test_butcher_conditions_hold_to_the_declared_order_and_no_further(name):
    method = INTEGRATORS[name]
    counts = [len(trees(size)) for size in range(1, method.order + 1)]
    assert counts == [1, 1, 2, 4, 9, 20, 48, 115][: method.order]
    for size in range(1, method.order + 1):
        assert max(abs(order_condition_residual(method, t)) for t in trees(size)) < 1e-13
    beyond = max(abs(order_condition_residual(method, t)) for t in trees(method.order + 1))
    assert beyond > 1e-7


@pytest.mark.parametrize(
    ("name", "counts"),
    [("rk4", (40, 57, 80, 113, 160)), ("dopri5", (64, 91, 128, 181)), ("dop853", (8, 11, 16, 20))],
)
def test_order_by_regression_of_error_on_step(name, counts, free_pendulum):
    """Slope of log error (geometric mean over the starts) on log dt.

    The step counts are where errors are below the preasymptotic wiggle and above rounding.
    """
    starts, ends = free_pendulum
    method = INTEGRATORS[name]

    @jax.jit
    @jax.vmap
    def advance(x, count):
        return jax.lax.fori_loop(
            0, count, lambda _, x: method.step(pendulum_field, x, 1.0 / count), x
        )

    errors = []
    with jax.enable_x64(True):
        for count in counts:
            found = advance(starts, np.full(len(starts), count))
            errors.append(np.log(np.linalg.norm(found - ends, axis=1)).mean())
    assert np.log(1e-11) < min(errors)
    assert max(errors) < np.log(1e-3)
    slope = np.polyfit(np.log(1.0 / np.array(counts)), errors, 1)[0]
    print(f"{name}: order {slope:.2f}")  # noqa: T201
    assert abs(slope - method.order) < 0.3


@pytest.mark.parametrize("name", INTEGRATORS)
def test_one_step_evaluates_the_field_once_a_stage(name):
    calls = []

    def field(y):
        calls.append(y)
        return -y

    INTEGRATORS[name].step(field, jnp.ones(2), 0.1)
    assert len(calls) == INTEGRATORS[name].stages == DECLARED[name][1]


@pytest.mark.parametrize("name", INTEGRATORS)
def test_substeps_are_equal_steps(name):
    """Ẏ = −y: s substeps of h multiply y by R(−h)^s, R the stability polynomial ≈ exp."""
    y = jnp.array([2.0, -1.0])
    once = integrate(lambda y: -y, y, 0.3, integrator=name, substeps=1)
    assert np.allclose(once, y * np.exp(-0.3), rtol=1e-4)
    one_factor = integrate(lambda y: -y, y, 0.1, integrator=name, substeps=1) / y
    thrice = integrate(lambda y: -y, y, 0.3, integrator=name, substeps=3)
    np.testing.assert_allclose(thrice, y * one_factor**3, rtol=1e-6)


MODES = [("float32", False), ("float32", True), ("float64", True)]


@pytest.mark.parametrize("name", INTEGRATORS)
@pytest.mark.parametrize(("dtype", "x64"), MODES)
def test_results_have_the_dtype_of_the_state(name, dtype, x64):
    with jax.enable_x64(x64):
        for dt in (0.05, np.float64(0.05), jnp.asarray(0.05)):
            y = jnp.ones(3, dtype)
            out = jax.eval_shape(
                lambda y, dt: integrate(jnp.sin, y, dt, integrator=name, substeps=2), y, dt
            )
            assert (out.dtype, out.shape) == (dtype, (3,))


@pytest.mark.parametrize(("dtype", "x64"), MODES)
def test_a_system_in_motion_keeps_its_dtype(dtype, x64):
    with jax.enable_x64(x64):
        dynamics = ContinuousDynamics(DoublePendulum(), "rk4", 2)
        x, tau, m = (jnp.ones(size, dtype) for size in (4, 2, 5))
        out = jax.eval_shape(dynamics.step, x, tau, m, jnp.asarray(0.05))
        energy = jax.eval_shape(dynamics.energy, x, m)
    assert (out.dtype, energy.dtype) == (dtype, dtype)


def test_float32_inside_x64_mode_is_the_same_as_outside():
    dynamics = ContinuousDynamics(DoublePendulum(), "rk4", 2)
    arguments = [np.asarray(a, np.float32) for a in ([1.0, 2.0, 3.0, -4.0], [1.0, -2.0], M)]
    outside = jax.jit(dynamics.step)(*arguments, 0.05)
    with jax.enable_x64(True):
        inside = jax.jit(dynamics.step)(*arguments, 0.05)
    assert inside.dtype == np.float32
    np.testing.assert_allclose(inside, outside, rtol=1e-5)


@pytest.mark.usefixtures("types_unchecked")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"integrator": "euler"}, r"'euler'.*rk4, dopri5, dop853"),
        ({"substeps": 0}, "substeps = 0"),
        ({"substeps": 1.5}, r"substeps = 1\.5"),
    ],
)
def test_bad_integrator_or_substeps(change, message):
    settings = {"integrator": "rk4", "substeps": 1} | change
    with pytest.raises(ConfigurationError, match=message):
        ContinuousDynamics(DoublePendulum(), **settings)


@pytest.fixture(scope="module")
def run():
    """The exact `DoublePendulum` as it comes: float64, dt = 0.05 s, default substeps.

    `run(x0 (b, 4), tau (b, 2), steps)`: final states, and the largest energy drifts.

    The drift is (E − E0 − work) / 29.4 J, its largest size on the way.
    """
    with jax.enable_x64(True):
        env, params = make("DoublePendulum", dtype="float64")

    @jax.jit
    def run_batch(starts, taus, steps):
        def one(x, tau):
            action = jnp.stack([tau[0] + tau[1], tau[1]]) / env.task.torque_max

            def step(_, carry):
                state, worst = carry
                state, timestep = env.step(None, state, action, params)
                return state, jnp.maximum(worst, jnp.abs(timestep.info.energy_drift))

            state, _ = env.start(x, params.m_bounds[0], params.goal_bounds[0], params)
            state, worst = jax.lax.fori_loop(0, steps, step, (state, jnp.zeros(())))
            return state.x, worst, state.steps, state.diverged

        return jax.vmap(one)(starts, taus)

    return run_batch


def test_forced_motion_equals_scipy(run):
    """Ten seconds; the last start is chaotic, e-folding in about a second."""
    starts = np.array([[1, 0.5, 0, 0], [1, 0.5, 0, 0], [0.5, -0.5, 0, 0], [1, 2, 3, -4.0]])
    taus = np.array([[4, -2], [-3, 3], [4, -2], [4, -2.0]])
    with jax.enable_x64(True):
        found, drift, _, diverged = map(np.asarray, run(starts, taus, 200))
    expected = np.array([oracle(x, 10.0, tau) for x, tau in zip(starts, taus, strict=True)])
    assert not diverged.any()
    assert found.dtype == np.float64
    np.testing.assert_allclose(found[:3], expected[:3], atol=1e-9)
    np.testing.assert_allclose(found[3], expected[3], atol=2e-6)
    assert drift.max() < 1e-8  # energy accounts for the work of the torques


def test_free_motion_keeps_energy_for_100_seconds(run):
    """The paper's 40 evaluation states, at the worst moment of each; 29.4 J is 1."""
    with jax.enable_x64(True):
        keys = jax.random.split(jax.random.key(0), 40)
        samples = jax.vmap(distributions_of(DoublePendulum()).starts)(keys)
        starts = np.concatenate([samples.q, samples.qd], axis=1).astype(np.float64)
        found = run(starts, np.zeros((40, 2)), 2000)
        _, drift, steps, diverged = map(np.asarray, found)
    print(f"energy drift over 100 s: max {drift.max():.2e}, median {np.median(drift):.2e}")  # noqa: T201
    assert not diverged.any()
    assert (steps == 2000).all()
    assert drift.max() < 1e-8


def test_rolled_substeps_are_a_smaller_program_of_the_same_motion():
    dynamics = ContinuousDynamics(DoublePendulum(), "dop853", 6)
    state, tau, m = np.array([1.0, 0.5, 0.2, -0.3]), np.zeros(2), np.array([1, 1, 1, 1, 9.8])
    with jax.enable_x64(True):
        programs = [
            jax.make_jaxpr(one.step)(state, tau, m, 0.05) for one in (dynamics, dynamics.rolled())
        ]
        unrolled, rolled = (len(str(program)) for program in programs)
        assert rolled < 0.5 * unrolled
        moved = [jax.jit(one.step)(state, tau, m, 0.05) for one in (dynamics, dynamics.rolled())]
    np.testing.assert_allclose(*moved, rtol=1e-12)
