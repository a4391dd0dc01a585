"""Forces of a motion: accelerations from logs, fits by force, and chains in space."""

from __future__ import annotations

import json

import arm_logs
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gym_lagrangian import Coordinates, FitConfig, Machine, Transitions, fit, read_logs
from gym_lagrangian.cli import main
from gym_lagrangian.envs.functional import cast
from gym_lagrangian.errors import ConfigurationError, DataError
from gym_lagrangian.learning.logs.local import derivatives
from gym_lagrangian.learning.torques import middles
from gym_lagrangian.models.embedding import Embedding
from gym_lagrangian.models.spatial_chain import SpatialChain
from gym_lagrangian.physics.dynamics import ContinuousDynamics
from gym_lagrangian.physics.mechanics import euler_lagrange, force_of_motion
from gym_lagrangian.systems import DoublePendulum

NONE = jnp.zeros(0)
ARM = Coordinates(("shoulder", "elbow"), angular=True, name="Arm")
QUICK = FitConfig(steps=400, batch=64, chunk=100, learning_rate=2e-2)


def friction_of_arm(v):
    """What acts against the joints of `arm_logs` (…, 2)."""
    return arm_logs.VISCOUS * v + arm_logs.COULOMB * np.tanh(v / 0.02)


@pytest.fixture(scope="module")
def log():
    """12 s of the arm, exact."""
    return arm_logs.motion(3, 1200, jitter=0.0)


@pytest.fixture(scope="module")
def data(log):
    """Its transitions."""
    q, v = log.q, log.qd
    states = {"q": q[:-1], "qd": v[:-1], "next_q": q[1:], "next_qd": v[1:]}
    return Transitions(ARM, dt=0.01, tau=log.tau[:-1], **states)


# -- accelerations ------------------------------------------------------------------------------


def test_polynomials_of_the_third_degree_are_found_exactly_at_uneven_instants():
    rng = np.random.default_rng(0)
    time = np.sort(rng.uniform(0, 2, 60))
    values, at = 1 + 2 * time - 3 * time**2 + 0.5 * time**3, np.array([0.0, 0.7, 2.0])
    found = derivatives(time, values, at, half_width=6)
    expected = [1 + 2 * at - 3 * at**2 + 0.5 * at**3, 2 - 6 * at + 1.5 * at**2, -6 + 3 * at]
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def test_the_middle_of_a_transition_lies_on_the_cubic_through_its_ends():
    def cubic(t):
        return 3.0 + 0.4 * t - t**2 + 2 * t**3, 0.4 - 2 * t + 6 * t**2

    start, middle, end = (np.array(cubic(t))[:, None, None] for t in (0.0, 0.1, 0.2))
    arrays = {"q": start[0], "qd": start[1], "next_q": end[0] - 2 * np.pi, "next_qd": end[1]}
    one = Transitions(Coordinates(("a",), angular=True), dt=0.2, **arrays)
    q, qd, qdd = middles(one)
    np.testing.assert_allclose(q, (middle[0] + np.pi) % (2 * np.pi) - np.pi, rtol=1e-9)
    np.testing.assert_allclose(qd, middle[1], rtol=1e-9)
    np.testing.assert_allclose(qdd, (end[1] - start[1]) / 0.2, rtol=1e-9)


@pytest.mark.parametrize("measured", [False, True])
def test_accelerations_come_from_logs(log, measured):
    """From positions of 12 bits alone, and from velocities with noise, to a tenth of their size."""
    columns = arm_logs.columns(log)
    noise = np.random.default_rng(0).normal(size=log.qd.shape)
    columns |= dict(zip(("v1", "v2"), (log.qd + 0.01 * noise).T, strict=True))
    machine = Machine(
        ("shoulder", "elbow"),
        angular=True,
        time="t",
        position=("q1", "q2"),
        velocity=("v1", "v2") if measured else None,
        force=("tau1", "tau2"),
    )
    logs = read_logs(machine, columns)
    found = logs.instants()
    true = np.array(list(map(arm_logs.acceleration, log.q, log.qd, log.tau)))
    inside = slice(20, -20)
    error = np.sqrt(np.mean((found.qdd - true)[inside] ** 2, axis=0)) / true.std(axis=0)
    assert np.all(error < (0.15 if measured else 0.35))
    np.testing.assert_array_equal(found.tau, log.tau)
    moved = logs.transitions(dt=0.02, accelerations=True)
    differences = (moved.next_qd - moved.qd) / moved.dt
    assert np.corrcoef(moved.qdd[:, 0], differences[:, 0])[0, 1] > 0.95
    assert logs.transitions(dt=0.02).qdd is None


def test_accelerations_are_saved_and_loaded_with_transitions(data, tmp_path):
    qdd = np.ones_like(data.q)
    known = Transitions(ARM, dt=data.dt, qdd=qdd, **data.arrays)
    known.save(tmp_path / "t.npz")
    np.testing.assert_array_equal(Transitions.load(tmp_path / "t.npz").qdd, qdd)
    assert known.noisy(0.1, 0).qdd is None
    with pytest.raises(DataError, match=r"array qdd has shape \(3, 2\)"):
        Transitions(ARM, dt=data.dt, qdd=qdd[:3], **data.arrays)


# -- the force of a motion ----------------------------------------------------------------------


def test_the_force_of_a_motion_needs_no_mass_matrix():
    """d/dt ∂L/∂q̇ − ∂L/∂q is M q̈ − f, of true physics too."""
    with jax.enable_x64(True):
        system, m = DoublePendulum(), jnp.array([1.0, 2.0, 0.7, 1.2, 9.81])
        q, qd, qdd = jax.random.normal(jax.random.key(0), (3, 2))
        mass_matrix, f = system.equation_of_motion(q, qd, m)
        found = system.inverse_dynamics(q, qd, qdd, m)
        np.testing.assert_allclose(found, mass_matrix @ qdd - f, rtol=1e-10)


@pytest.mark.parametrize("model", ["DeLaN", pytest.param("LNN", marks=pytest.mark.slow)])
def test_a_fit_by_force_finds_the_torques_of_motion_that_it_never_saw(model, data, tmp_path):
    how = {"config": QUICK, "objective": "force", "friction": "coulomb"}
    small = {"width": 16, "depth": 2}
    found = fit(data, model, out=tmp_path / "m.safetensors", model_config=small, **how)
    metrics = found.card.metrics
    assert metrics["held_out_error"] < 0.3 * metrics["constant_force_error"]
    assert found.card.training["objective"] == "force"
    other = arm_logs.motion(8, 400, jitter=0.0)
    qdd = np.array(list(map(arm_logs.acceleration, other.q, other.qd, other.tau)))
    tau = found.mechanics.inverse_dynamics(other.q, other.qd, qdd)
    assert np.all(np.mean((tau - other.tau) ** 2, axis=0) < 0.25 * other.tau.var(axis=0))


@pytest.mark.parametrize(
    ("model", "objective", "error", "message"),
    [
        ("LNN", "torque", ConfigurationError, "objective = 'torque': choose one of motion, force"),
        ("Baseline", "force", ConfigurationError, "Baseline states how a state goes on.*LNN and D"),
        ("MLP", "force", ConfigurationError, 'MLP with objective = "motion"'),
    ],
)
def test_objectives_that_make_no_sense(model, objective, error, message, data, tmp_path):
    with pytest.raises(error, match=message):
        fit(data, model, out=tmp_path / "m.safetensors", objective=objective)


def test_data_that_do_not_tell_forces(log, data, tmp_path):
    free = Transitions(ARM, dt=data.dt, **data.arrays | {"tau": None})
    q, v = log.q[::100], log.qd[::100]
    states = {"q": q[:-1], "qd": v[:-1], "next_q": q[1:], "next_qd": v[1:]}
    rare = Transitions(ARM, dt=1.0, tau=log.tau[::100][:-1], **states)
    how = {"out": tmp_path / "m.safetensors", "objective": "force", "insist": True}
    with pytest.raises(DataError, match="needs forces, and tau is zero in every transition"):
        fit(free, "DeLaN", **how)
    with pytest.raises(DataError, match="no accelerations, and transitions of 1 s are too long"):
        fit(rare, "DeLaN", **how)


def test_the_command_fits_by_force(tmp_path, capsys):
    (tmp_path / "arm.toml").write_text(arm_logs.MACHINE)
    path = arm_logs.write(tmp_path / "log.csv", arm_logs.columns(arm_logs.motion(0, 400)))
    files = ["fit", str(tmp_path / "arm.toml"), str(path), "--out", str(tmp_path / "m.safetensors")]
    how = ["--model", "DeLaN", "--objective", "force", "--model-option", "width=8"]
    assert main([*files, *how, "--steps", "20", "--batch", "16"]) == 0
    metrics = json.loads(capsys.readouterr().out.partition("\n")[2])
    assert set(metrics) >= {"held_out_error", "constant_force_error"}


# -- chains in space ----------------------------------------------------------------------------


def chain(angular, seed=0, **config):
    """A chain with random joints, in float64."""
    n = len(angular)
    seen = Coordinates([f"q{i}" for i in range(n)], angular=angular, qd_scale=2.0, tau_scale=3.0)
    key = jax.random.key(seed)
    return cast(SpatialChain.build(Embedding.of(seen), key=key, **config), "float64")


def test_newtons_and_eulers_laws_are_lagranges():
    """Two ways to one force, for joints that turn and joints that slide."""
    with jax.enable_x64(True):
        model = chain((True, False, True, False))
        q, qd, qdd = jax.random.normal(jax.random.key(1), (3, 4))
        found = model.force_of_motion(q, qd, qdd, NONE)
        expected = force_of_motion(model.lagrangian, q, qd, qdd, NONE)
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
        terms = zip(
            model.terms_of_motion(q, qd, NONE),
            euler_lagrange(model.lagrangian, q, qd, NONE),
            strict=True,
        )
        for one, other in terms:
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


def rods(lengths, masses):
    """A chain of uniform rods that hang down and turn about y, without rotors."""
    model, tiny = chain((True,) * len(lengths)), 1e-14
    unit, scale = np.asarray(model._unit_masses()), model.length_scale
    factors = []
    for length, mass, size in zip(lengths, masses, unit, strict=True):
        moments = np.zeros((4, 4))
        moments[2, 2] = mass * length**2 / 3 / scale**2
        moments[2, 3] = moments[3, 2] = -mass * length / 2 / scale
        moments[3, 3] = mass
        factors.append(np.linalg.cholesky(moments / size + tiny * np.eye(4)))
    factors = np.array(factors)
    row, column = np.tril_indices(4, -1)
    ends = -np.array([0.0, *lengths[:-1]]) / scale
    learned = {
        "axes": np.tile([0.0, 2.0, 0.0], (len(lengths), 1)),
        "offsets": np.stack([0 * ends, 0 * ends, ends], axis=1),
        "diagonal": np.log(np.diagonal(factors, axis1=1, axis2=2)),
        "below": factors[:, row, column],
        "rotors": np.full(len(lengths), -40.0),
    }
    return eqx.tree_at(
        lambda model: [getattr(model, name) for name in learned],
        model,
        [jnp.asarray(array) for array in learned.values()],
    )


def test_a_chain_of_rods_moves_as_the_equations_of_an_arm_say():
    with jax.enable_x64(True):
        model = rods((0.35, 0.3), (1.2, 0.8))
        q, v, tau = np.random.default_rng(0).normal(size=(3, 2))
        expected = arm_logs.acceleration(q, v, tau + friction_of_arm(v))
        found = model.acceleration(*(jnp.asarray(x) for x in (q, v, tau)), NONE)
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_chain_conserves_its_energy_and_friction_takes_some():
    with jax.enable_x64(True):
        energies = []
        for friction in ("none", "coulomb"):
            model = chain((True, True, True), seed=2, friction=friction)
            x = jax.random.normal(jax.random.key(3), (6,))
            dynamics = ContinuousDynamics(model, "rk4", 20, roll=True)
            states = eqx.filter_jit(dynamics.trajectory)(x, jnp.zeros(3), NONE, 0.02, 25)
            states = jnp.vstack([x, states])
            energies.append(jax.vmap(lambda x: model.energy(x[:3], x[3:], NONE))(states))  # noqa: B023
    free, damped = map(np.asarray, energies)
    size = np.ptp(np.asarray(states[:, 3:]) ** 2)
    assert np.abs(free - free[0]).max() < 1e-6 * max(size, abs(free[0]))
    assert np.diff(damped).max() < 0


@pytest.mark.parametrize("seed", range(5))
def test_whatever_is_learned_there_is_such_a_mass(seed):
    """M is positive definite, and no principal moment of inertia exceeds the other two's sum."""
    with jax.enable_x64(True):
        model = chain((True, True, False), seed=seed)
        wild = jax.tree.map(lambda leaf: 3.0 * leaf, model.below)
        model = eqx.tree_at(lambda model: model.below, model, wild)
        q = jax.random.normal(jax.random.key(seed), (3,))
        assert np.linalg.eigvalsh(model.mass_matrix(q, 0 * q, NONE)).min() > 0
        moments = np.linalg.eigvalsh(model.links().inertia)
    assert np.all(moments[:, 0] + moments[:, 1] >= moments[:, 2] * (1 - 1e-9))


def test_a_chain_learns_an_arm_and_knows_it_beyond_its_data(data, tmp_path):
    """Torques in a part of space where the arm has never been, from 12 s near hanging down."""
    config = FitConfig.of("SpatialChain", steps=600, batch=64, starts=3, trial=100, chunk=200)
    how = {"config": config, "objective": "force", "friction": "coulomb"}
    found = fit(data, "SpatialChain", out=tmp_path / "m.safetensors", **how)
    rng = np.random.default_rng(1)
    q, v, tau = rng.uniform(-np.pi, np.pi, (50, 2)), *rng.normal(size=(2, 50, 2))
    qdd = np.array(list(map(arm_logs.acceleration, q, v, tau)))
    missed = found.mechanics.inverse_dynamics(q, v, qdd) - tau
    assert np.all(np.mean(missed**2, axis=0) < 0.1 * data.tau.var(axis=0))


def test_a_chain_takes_no_parameters_as_inputs():
    seen = Embedding.of(DoublePendulum(), ("m1",))
    with pytest.raises(ConfigurationError, match="SpatialChain takes no parameters as inputs"):
        SpatialChain.build(seen, key=jax.random.key(0))
    with pytest.raises(ConfigurationError, match="SpatialChain takes no argument 'width'"):
        SpatialChain.build(Embedding.of(ARM), key=jax.random.key(0), width=3)
