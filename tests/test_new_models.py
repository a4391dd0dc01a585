"""MLP, NODE, HNN, NoncanonicalHNN and DeLaN: the properties of each, tested against physics."""

from __future__ import annotations

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from physics_helpers import CASES, batched

from gym_lagrangian import checkpoints
from gym_lagrangian.checkpoints import Card, fresh_model
from gym_lagrangian.envs import LearnedDynamicsEnv
from gym_lagrangian.envs.functional import cast
from gym_lagrangian.errors import ConfigurationError, DataError
from gym_lagrangian.evaluation import one_step_error
from gym_lagrangian.learning import loop as training
from gym_lagrangian.learning.config import TrainingConfig
from gym_lagrangian.learning.sources import FreshStates, from_arrays
from gym_lagrangian.learning.train import train
from gym_lagrangian.models import HNN
from gym_lagrangian.models.base import AccelerationModel, Horizon
from gym_lagrangian.models.embedding import Embedding
from gym_lagrangian.physics.dynamics import ContinuousDynamics
from gym_lagrangian.physics.mechanics import euler_lagrange
from gym_lagrangian.registration import distributions_of
from gym_lagrangian.systems import DoublePendulum, RelativisticParticle

NAMES = ("HNN", "NoncanonicalHNN", "DeLaN", "NODE", "MLP")
CONSERVING = ("HNN", "NoncanonicalHNN", "DeLaN")
SMALL = {"width": 8, "depth": 2}

every_model = pytest.mark.parametrize("name", NAMES)
every_system = pytest.mark.parametrize("system", [DoublePendulum(), RelativisticParticle()])


def build(name, system=None, *, seed=0, **config):
    system = system or DoublePendulum()
    config = SMALL | config
    return fresh_model(name, system, system.varying, key=jax.random.key(seed), **config)


def card_of(model, system):
    return Card.of(
        system,
        parameters=system.fixed_parameters(system.varying),
        conditioned_on=system.varying,
        model=type(model).__name__,
        model_config=model.config,
    )


def saved(name, path, **config):
    model = build(name, **config)
    checkpoints.save(path, model, card_of(model, DoublePendulum()))
    return str(path)


def states(system, count=16, seed=3):
    samples = jax.vmap(distributions_of(system).states)(
        jax.random.split(jax.random.key(seed), count)
    )
    return samples._replace(qd=0.3 * samples.qd, tau=jnp.ones_like(samples.q))


# -- every model ----------------------------------------------------------------------------


@every_system
@every_model
def test_checkpoint_round_trip(name, system, tmp_path):
    model = build(name, system, seed=4, activation="tanh")
    path = tmp_path / "model.safetensors"
    checkpoints.save(path, model, card_of(model, system))
    loaded = checkpoints.load(path).model
    assert loaded.config == model.config
    assert jax.tree.structure(loaded) == jax.tree.structure(model)
    for old, new in zip(jax.tree.leaves(model), jax.tree.leaves(loaded), strict=True):
        np.testing.assert_array_equal(old, new)


@every_system
@every_model
def test_a_step_is_finite_and_forced(name, system):
    dynamics = build(name, system).dynamics(integrator="rk4", substeps=1)
    q, qd, tau, m, _ = states(system)
    x = jnp.concatenate([q, qd], axis=1)
    step = jax.jit(jax.vmap(lambda x, tau, m: dynamics.step(x, tau, m, 0.05)))
    free, forced = step(x, 0 * tau, m), step(x, tau, m)
    assert free.shape == x.shape
    assert np.all(np.isfinite(free))
    assert np.all(np.any(np.abs(free - forced) > 1e-5, axis=1))
    energy = jax.vmap(dynamics.energy)(x, m)
    assert (energy is not None) == (name in CONSERVING) == type(build(name)).has_energy


@every_model
def test_the_acceleration_is_that_of_the_step(name):
    model = build(name)
    if not isinstance(model, AccelerationModel):
        assert name == "MLP"
        return
    system = DoublePendulum()
    q, qd, tau, m, _ = states(system)
    with jax.enable_x64(True):
        model = cast(model, "float64")
        dynamics, h = model.dynamics(integrator="rk4", substeps=1), 1e-3

        def by_difference(q, qd, tau, m):
            def at(t):
                return dynamics.step(jnp.concatenate([q, qd]), tau, m, t)

            if name == "HNN":  # d²q/dt² of its own motion
                return ((at(h) - 2 * at(0.0) + at(-h)) / h**2)[:2]
            return ((at(h) - at(-h)) / (2 * h))[2:]

        expected = batched(by_difference, q, qd, tau, m)
        found = batched(model.acceleration, q, qd, tau, m)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", CONSERVING)
def test_own_energy_is_conserved(name):
    model = build(name, seed=1)
    q, qd, _, m, _ = states(DoublePendulum(), count=8)
    x = np.concatenate([q, qd], axis=1)
    with jax.enable_x64(True):
        dynamics = cast(model, "float64").dynamics(integrator="rk4", substeps=10)

        def drift(x, m):
            def step(x, _):
                x = dynamics.step(x, jnp.zeros(2), m, 0.05)
                return x, dynamics.energy(x, m)

            energies = jax.lax.scan(step, x, None, length=40)[1]
            first = dynamics.energy(x, m)
            return jnp.max(jnp.abs(energies - first)), jnp.max(jnp.abs(energies))

        worst, size = batched(drift, x, m)
        assert np.all(worst < 1e-7 * (1 + size))


# A method of four stages compiles in half the time.
QUICK = {"NODE": {"steps": 2, "integrator": "rk4"}}


@every_model
def test_training_reduces_the_loss(name, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "measure", lambda model, card: {})
    config = TrainingConfig(steps=400, batch=32, chunk=50, learning_rate=2e-2, seed=1)
    losses = []
    result = train(
        "DoublePendulum",
        name,
        out=tmp_path / "model.safetensors",
        config=config,
        model_config={"width": 16, "depth": 2} | QUICK.get(name, {}),
        on_progress=lambda progress: losses.append(progress.loss),
    )
    assert losses[-1] < 0.9 * losses[0]
    horizon = result.model.horizon
    expected = "accelerations" if horizon is None else f"motion over {horizon.steps} ×"
    assert expected in result.card.data


@every_model
def test_as_an_environment(name, tmp_path):
    path = saved(name, tmp_path / "model.safetensors")
    arguments = {"integrator": "rk4", "substeps": 1}
    direct = gymnasium.make("DoublePendulum-v0", checkpoint=path, **arguments)
    wrapped = LearnedDynamicsEnv(gymnasium.make("DoublePendulum-v0"), path, **arguments)
    start = {"state": (0.4, -0.3, 0.2, 0.1)}
    for env in (direct, wrapped):
        env.reset(seed=1, options=start)
    for action in np.random.default_rng(0).uniform(-1, 1, (5, 2)).astype(np.float32):
        found = [env.step(action) for env in (direct, wrapped)]
        np.testing.assert_array_equal(found[0][0], found[1][0])
        assert ("model_energy" in found[0][4]) == (name in CONSERVING)
        assert not found[0][4]["diverged"]


def test_one_step_error_of_the_truth_is_nothing_and_of_a_fresh_model_is_not():
    system = DoublePendulum()
    arguments = {"dt": 0.05, "forced": True, "states": 50}
    truth = ContinuousDynamics(system, "rk4", 50)
    assert one_step_error(truth, system, **arguments) < 1e-2
    dynamics = build("MLP").dynamics(integrator="rk4", substeps=1)
    assert one_step_error(dynamics, system, **arguments) > 1.0


# -- Hamiltonian networks -------------------------------------------------------------------


class TrueHNN(HNN):
    """H = q̇ᵀp − L of the true system in place of the network."""

    def hamiltonian(self, q, p, m):
        qd = self.legendre.velocity(q, p, m)
        return qd @ p - self.legendre.lagrangian(q, qd, m)


@pytest.fixture(params=CASES)
def true_hnn(request):
    case = CASES[request.param]
    embedding = Embedding.of(case.system, case.system.varying)
    key = jax.random.key(0)
    return case, TrueHNN.build(embedding, legendre=case.system, key=key, **SMALL)


def test_hnn_given_the_true_hamiltonian_is_the_system(true_hnn):
    (system, q, qd, tau, m), model = true_hnn
    q, qd, tau, m = q[:16], 0.5 * qd[:16], tau[:16], m[:16]
    expected = batched(system.acceleration, q, qd, tau, m)
    found = batched(model.acceleration, q, qd, tau, m)
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(
        batched(model.energy, q, qd, m), batched(system.energy, q, qd, m), rtol=1e-9, atol=1e-9
    )
    x = np.concatenate([q, qd], axis=1)
    steps = [
        batched(lambda x, tau, m, d=d: d.step(x, tau, m, 1e-2), x, tau, m)
        for d in (
            model.dynamics(integrator="rk4", substeps=2),
            ContinuousDynamics(system, "rk4", 10),
        )
    ]
    np.testing.assert_allclose(steps[0], steps[1], rtol=1e-6, atol=1e-6)


def test_hnn_loss_vanishes_at_the_true_hamiltonian(true_hnn):
    (system, q, qd, tau, m), model = true_hnn

    def loss(q, qd, tau, m):
        sample = distributions_of(system).states(jax.random.key(0))
        sample = sample._replace(q=q, qd=qd, tau=tau, m=m)
        return model.loss(sample, system.acceleration(q, qd, tau, m))

    rows = [array[:16] for array in (q, 0.5 * qd, tau, m)]
    assert np.all(batched(loss, *rows) < 1e-7)


def test_noncanonical_hnn_with_its_velocity_right_has_no_velocity_in_its_acceleration():
    """H = ½|q̇|² + V(q) exactly when ∂H/∂q̇ = q̇: then q̈ = −∂V/∂q + τ, at any q̇."""
    model = build("NoncanonicalHNN")
    first = model.network.weights[0].at[:, 4:6].set(0.0)  # the columns that see q̇
    network = model.network
    object.__setattr__(network, "weights", (first, *network.weights[1:]))
    q, qd, tau, m, _ = states(DoublePendulum())
    velocity, _ = jax.vmap(model.hamilton)(q, qd, tau, m)
    np.testing.assert_allclose(velocity, qd, rtol=1e-5, atol=1e-6)
    still = jax.vmap(model.acceleration)(q, 0 * qd, tau, m)
    np.testing.assert_allclose(jax.vmap(model.acceleration)(q, qd, tau, m), still, rtol=1e-6)

    slope = jax.vmap(jax.grad(model.hamiltonian))(q, qd, m)
    np.testing.assert_allclose(still, tau - slope, rtol=1e-5, atol=1e-6)


# -- DeLaN ----------------------------------------------------------------------------------


@every_system
def test_delan_closed_form_equals_the_generic_equation(system):
    with jax.enable_x64(True):
        model = cast(build("DeLaN", system, seed=2), "float64")
        q, qd, _, m, _ = states(system)

        def generic(q, qd, m):
            return euler_lagrange(model.lagrangian, q, qd, m)

        expected = batched(generic, q, qd, m)
        found = batched(model.equation_of_motion, q, qd, m)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10)


def test_delan_mass_matrix_is_symmetric_and_positive_definite():
    model = jax.tree.map(lambda leaf: 5 * leaf, build("DeLaN", seed=5))
    q, qd, _, m, _ = states(DoublePendulum(), count=200)
    matrices = batched(model.mass_matrix, q, qd, m)
    np.testing.assert_allclose(matrices, np.swapaxes(matrices, 1, 2))
    assert np.linalg.eigvalsh(matrices).min() >= 1e-3 * (1 - 1e-9)


# -- models that learn from motion ----------------------------------------------------------


def test_mlp_refuses_another_step(tmp_path):
    path = saved("MLP", tmp_path / "model.safetensors", dt=0.04)
    with pytest.raises(ConfigurationError, match=r"0\.04 s, not dt = 0\.05"):
        gymnasium.make("DoublePendulum-v0", checkpoint=path)
    with pytest.raises(ConfigurationError, match=r"0\.04 s, not dt = 0\.02"):
        LearnedDynamicsEnv(gymnasium.make("DoublePendulum-v0", dt=0.02), path)
    env = gymnasium.make("DoublePendulum-v0", checkpoint=path, dt=0.04)
    env.reset(seed=0)
    assert np.all(np.isfinite(env.step(np.ones(2, np.float32))[0]))


@pytest.mark.parametrize(("name", "config"), [("MLP", {"dt": 0.0}), ("NODE", {"steps": 0})])
def test_a_horizon_that_makes_no_sense_is_refused(name, config):
    with pytest.raises(ConfigurationError, match=next(iter(config))):
        _ = build(name, **config).horizon


def test_fresh_motion_is_the_motion_of_the_system():
    system = DoublePendulum()
    samples, targets = jax.jit(lambda: FreshStates(system, Horizon(0.03, 3)).batch(KEY, 5))()
    dynamics = ContinuousDynamics(system, "rk4", 100)
    x = jnp.concatenate([samples.q, samples.qd], axis=1)
    assert targets.shape == (5, 3, 4)
    step = jax.jit(jax.vmap(lambda x, tau, m: dynamics.step(x, tau, m, 0.03)))
    for k in range(3):
        x = step(x, samples.tau, samples.m)
        np.testing.assert_allclose(targets[:, k], x, rtol=1e-3, atol=1e-3)


class Kicked(RelativisticParticle):
    """Forces that cross the speed of light within a step of the integrator."""

    def sample(self, key):
        sample = super().sample(key)
        return sample._replace(tau=100 * sample.tau)


def test_motion_that_leaves_the_domain_has_no_weight():
    source = FreshStates(Kicked(), Horizon(0.05, 1))
    samples, targets = jax.jit(lambda: source.batch(KEY, 200))()
    assert np.all(np.isfinite(targets))
    lost = np.asarray(samples.weight) == 0
    assert 0 < lost.sum() < 200


def test_fixed_states_hold_motion():
    rng = np.random.default_rng(0)
    arrays = {
        "q": rng.normal(size=(6, 2)),
        "qd": rng.normal(size=(6, 2)),
        "states": rng.normal(size=(6, 4, 4)),
        "dt": np.array(0.02),
    }
    source = from_arrays(arrays, DoublePendulum(), Horizon(0.02, 3))
    samples, targets = source.batch(KEY, 9)
    assert targets.shape == (9, 3, 4)
    rows = [np.flatnonzero(np.isclose(arrays["q"][:, 0], q))[0] for q in samples.q[:, 0]]
    np.testing.assert_allclose(targets, arrays["states"][rows, :3], rtol=1e-6)

    with pytest.raises(DataError, match=r"dt is 0\.02 s"):
        from_arrays(arrays, DoublePendulum(), Horizon(0.05, 1))
    with pytest.raises(DataError, match="states has shape"):
        from_arrays(arrays, DoublePendulum(), Horizon(0.02, 5))
    with pytest.raises(DataError, match=r"missing arrays \['qdd'\]"):
        from_arrays(arrays, DoublePendulum())


KEY = jax.random.key(7)
