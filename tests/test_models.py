"""Learned models: the network, its derivatives, and the mechanics that they feed."""

from __future__ import annotations

import dataclasses
import inspect
import json
from functools import partial
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from physics_helpers import batched

from gym_lagrangian.envs.functional import cast
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.models import HNN, LNN, MLP, Baseline
from gym_lagrangian.models.activations import ACTIVATIONS, activate
from gym_lagrangian.models.embedding import Embedding
from gym_lagrangian.models.network import INITIALISERS, Network, Shape
from gym_lagrangian.physics.dynamics import ContinuousDynamics
from gym_lagrangian.physics.linear import DAMPING
from gym_lagrangian.physics.mechanics import euler_lagrange
from gym_lagrangian.registration import MODELS, NETWORKS, load_model
from gym_lagrangian.systems import DoublePendulum, RelativisticParticle
from gym_lagrangian.systems.sample import Sample

PENDULUM = DoublePendulum()
PENDULUM_SEES = Embedding.of(PENDULUM)
PARTICLE_SEES = Embedding.of(RelativisticParticle(), ("g",))
KEY = jax.random.key(11)


def pendulum_states(count=16, seed=2):
    """Rows of q, q̇, τ, m over the range in which the pendulum moves."""
    rng = np.random.default_rng(seed)
    q, qd, tau = (rng.uniform(-s, s, (count, 2)) for s in (np.pi, 8.0, 8.0))
    return q, qd, tau, np.tile([1.0, 1.0, 1.0, 1.0, 9.8], (count, 1))


def particle_states(count=16, seed=3):
    rng = np.random.default_rng(seed)
    q, qd, tau = (rng.uniform(-s, s, (count, 1)) for s in (5.0, 0.9, 4.0))
    return q, qd, tau, np.stack([np.ones(count), np.ones(count), rng.uniform(-9, 9, count)], 1)


def with_biases(model, seed=4):
    """The same model with non-zero biases, so that a test sees them."""
    key = jax.random.key(seed)
    biases = tuple(0.3 * jax.random.normal(key, b.shape) for b in model.network.biases)
    return eqx.tree_at(lambda m: m.network.biases, model, biases)


# -- activations ----------------------------------------------------------------------------

REFERENCE = {
    "softplus": jax.nn.softplus,
    "tanh": jnp.tanh,
    "squareplus": lambda z: 0.5 * (z + jnp.sqrt(z * z + 4.0)),
}


def test_every_activation_has_a_reference():
    assert set(ACTIVATIONS) == set(REFERENCE)


@pytest.mark.parametrize("order", range(4))
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_derivatives_are_those_of_the_function(name, order):
    z = np.concatenate([np.linspace(-6.0, 6.0, 31), [-30.0, 30.0]])
    reference = REFERENCE[name]
    for _ in range(order):
        reference = jax.grad(reference)
    expected = batched(reference, z)
    np.testing.assert_allclose(
        batched(partial(activate, name, order), z), expected, rtol=1e-8, atol=1e-10
    )
    if order < 3:  # and by differentiating the order below
        higher = batched(jax.grad(partial(activate, name, order)), z)
        np.testing.assert_allclose(higher, batched(jax.grad(reference), z), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_and_derivatives_are_finite_far_out(name):
    z = np.array([-1e3, -88.0, 0.0, 88.0, 1e3])
    for order in range(4):
        assert np.isfinite(batched(partial(activate, name, order), z, dtype="float32")).all()
    third = batched(jax.grad(partial(activate, name, 3)), z, dtype="float32")
    assert np.isfinite(third).all()


# -- the network ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("activation", "depth"), [("softplus", 3), ("squareplus", 2), ("tanh", 1), ("tanh", 3)]
)
def test_second_order_pass_equals_automatic_differentiation(activation, depth):
    rng = np.random.default_rng(depth)
    with jax.enable_x64(True):
        network = Network(5, 1, Shape(8, depth, activation), key=KEY)
        network = jax.tree.map(lambda a: np.asarray(a) + 0.2 * rng.normal(size=a.shape), network)
    x, directions = rng.normal(size=(8, 5)), rng.normal(size=(8, 3, 5))

    def both(x, directions):
        scalar = lambda x: network(x)[0]  # noqa: E731
        return network.second_order(x, directions), (jax.grad(scalar)(x), jax.hessian(scalar)(x))

    (gradient, curvature), (slope, hessian) = batched(both, x, directions)
    np.testing.assert_allclose(gradient, slope, rtol=1e-10, atol=1e-12)
    expected = directions @ hessian @ directions.swapaxes(1, 2)
    np.testing.assert_allclose(curvature, expected, rtol=1e-9, atol=1e-11)


def test_network_is_the_stated_function():
    network = Network(3, 2, Shape(8, depth=2, activation="tanh"), key=jax.random.key(0))
    network = jax.tree.map(lambda a: np.asarray(a) + 0.1, network)
    x = np.array([0.3, -1.0, 2.0])
    w, b = network.weights, network.biases
    by_hand = w[2] @ np.tanh(w[1] @ np.tanh(w[0] @ x + b[0]) + b[1]) + b[2]
    np.testing.assert_allclose(batched(network, x[None])[0], by_hand, rtol=1e-5)


def deviations(initialiser, depth, inputs=100, width=100):
    """Root mean square of every layer's weights, averaged over keys; and all biases."""
    weights, biases = [], []
    shape = Shape(width, depth, initialiser=initialiser)
    for seed in range(30):
        network = Network(inputs, 1, shape, key=jax.random.key(seed))
        weights.append([float(jnp.mean(w**2)) for w in network.weights])
        biases += [np.asarray(b) for b in network.biases]
    return np.sqrt(np.mean(weights, axis=0)), np.concatenate(biases)


def test_paper_initialiser_for_100_units():
    """Appendix B prints N(0, 0.22), N(0, 0.058), N(0, 0.116), N(0, 10): deviations."""
    spread, biases = deviations("paper", depth=3)
    np.testing.assert_allclose(spread[:3], [0.22, 0.058, 0.116], rtol=0.01)
    assert spread[3] == pytest.approx(10.0, rel=0.05)
    assert not biases.any()


def test_fan_in_initialiser_keeps_unit_variance():
    spread, biases = deviations("fan_in", depth=2, inputs=16)
    np.testing.assert_allclose(spread, [1 / 4, 1 / 10, 1 / 10], rtol=0.05)
    assert not biases.any()


# -- the Lagrangian network -----------------------------------------------------------------


def appendix_a(model, q, q_t, tau, conditionals):
    """Appendix A of the paper as it is printed, with the generalized force added."""
    lagrangian = model.lagrangian
    return jnp.linalg.pinv(jax.hessian(lagrangian, 1)(q, q_t, conditionals)) @ (
        tau
        + jax.grad(lagrangian, 0)(q, q_t, conditionals)
        - jax.jacobian(jax.jacobian(lagrangian, 1), 0)(q, q_t, conditionals) @ q_t
    )


@pytest.mark.parametrize(
    ("options", "states", "embedding", "dtype"),
    [
        ({"depth": 3}, pendulum_states, PENDULUM_SEES, "float32"),
        ({"depth": 3}, pendulum_states, PENDULUM_SEES, "float64"),
        ({"depth": 1, "activation": "squareplus"}, pendulum_states, PENDULUM_SEES, "float32"),
        ({"depth": 2, "activation": "tanh"}, pendulum_states, PENDULUM_SEES, "float64"),
        ({"depth": 2, "initialiser": "paper"}, pendulum_states, PENDULUM_SEES, "float64"),
        ({"depth": 2}, particle_states, PARTICLE_SEES, "float32"),
    ],
)
def test_lnn_equals_appendix_a(options, states, embedding, dtype):
    model = with_biases(LNN.build(embedding, width=8, key=KEY, **options))
    with jax.enable_x64(True):
        model = cast(model, dtype)

    def both(q, qd, tau, m):
        found = model.acceleration(q, qd, tau, m)
        return found, appendix_a(model, q, qd, tau, m), model.mass_matrix(q, qd, m)

    found, expected, matrix = batched(both, *states(), dtype=dtype)
    assert found.dtype == dtype
    # What rounding and the damping, (ε/σ)², may cost depends on how singular M is.
    values = np.abs(np.linalg.eigvalsh(matrix.astype(np.float64)))
    smallest, condition = values.min(1), values.max(1) / values.min(1)
    room = 50 * np.finfo(dtype).eps * condition + 1.1 * (DAMPING / smallest) ** 2
    assert np.median(room) < (1e-3 if dtype == "float32" else 1e-5)
    error = np.linalg.norm(found - expected, axis=1) / np.linalg.norm(expected, axis=1)
    assert (error < room).all(), (error / room).max()


def test_lnn_equation_of_motion_is_that_of_its_lagrangian():
    with jax.enable_x64(True):
        model = cast(with_biases(LNN.build(PENDULUM_SEES, width=8, depth=2, key=KEY)), "float64")
    q, qd, _, m = pendulum_states()
    found, expected = batched(
        lambda *x: (model.equation_of_motion(*x), euler_lagrange(model.lagrangian, *x)), q, qd, m
    )
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-11)


class TrueLagrangian(LNN):
    """An LNN whose network happens to be the double pendulum's own Lagrangian."""

    mass_matrix_solver: ClassVar[str] = "damped"

    def lagrangian(self, q, qd, m):
        return PENDULUM.lagrangian(q, qd, m)

    def terms_of_motion(self, q, qd, m):
        return euler_lagrange(self.lagrangian, q, qd, m)


def test_lnn_machinery_given_the_true_lagrangian_is_the_system():
    model = TrueLagrangian.build(PENDULUM_SEES, width=2, depth=1, key=KEY)
    states = pendulum_states()
    expected = batched(PENDULUM.acceleration, *states)
    np.testing.assert_allclose(batched(model.acceleration, *states), expected, rtol=2e-6)
    # A damped solve is off by ε²/σ², and the motion by what that comes to in a second.
    x0 = np.array([[1.0, -0.5, 0.5, 2.0]])
    tau, m = np.array([[2.0, -1.0]]), states[3][:1]
    learned, true = (
        batched(partial(dynamics.step, dt=1.0), x0, tau, m)
        for dynamics in (
            model.dynamics(integrator="rk4", substeps=200),
            ContinuousDynamics(PENDULUM, "rk4", 200),
        )
    )
    np.testing.assert_allclose(learned, true, rtol=1e-5)


@pytest.mark.parametrize("model_class", [LNN, Baseline])
def test_models_are_periodic_in_angles(model_class):
    with jax.enable_x64(True):
        model = cast(model_class.build(PENDULUM_SEES, width=8, depth=2, key=KEY), "float64")
    q, qd, tau, m = pendulum_states()
    turns = 2 * np.pi * np.random.default_rng(0).integers(-3, 4, q.shape)
    thrice = [np.concatenate([a] * 3) for a in (qd, tau, m)]
    found = batched(model.acceleration, np.concatenate([q, q + turns, q + 1.0]), *thrice)
    here, there, elsewhere = np.split(found, 3)
    np.testing.assert_allclose(here, there, rtol=1e-9, atol=1e-9)
    assert np.abs(here - elsewhere).max() > 1e-3


def test_lnn_conserves_its_own_energy_along_its_own_flow():
    """And the true pendulum's not: random weights know no physics but this."""
    with jax.enable_x64(True):
        model = with_biases(
            LNN.build(PENDULUM_SEES, width=8, depth=2, quadratic_start=1.0, key=KEY)
        )
        model = cast(model, "float64")
    dynamics = model.dynamics(integrator="rk4", substeps=10)
    m = pendulum_states()[3][0]

    def run(x):
        def step(x, _):
            new = dynamics.step(x, jnp.zeros(2), m, 0.05)
            return new, (x, dynamics.energy(x, m), PENDULUM.energy(x[:2], x[2:], m))

        return jax.lax.scan(step, x, None, length=200)[1]

    x0 = np.random.default_rng(5).uniform(-3, 3, (8, 4))
    x, energy, true = batched(run, x0)
    assert np.linalg.norm(x[:, -1] - x0, axis=1).min() > 1.0  # it moves
    assert np.ptp(energy, axis=1).max() < 1e-6
    assert np.ptp(true, axis=1).min() > 0.1


def test_lnn_energy_changes_by_the_power_of_the_forces():
    with jax.enable_x64(True):
        model = LNN.build(PENDULUM_SEES, width=8, depth=2, quadratic_start=1.0, key=KEY)
        model = cast(with_biases(model), "float64")

    def rate(q, qd, tau, m):
        flow = (qd, model.acceleration(q, qd, tau, m))
        return jax.jvp(lambda q, qd: model.energy(q, qd, m), (q, qd), flow)[1]

    q, qd, tau, m = pendulum_states()
    np.testing.assert_allclose(
        batched(rate, q, qd, tau, m), np.sum(qd * tau, axis=1), rtol=1e-6, atol=1e-6
    )


def test_baseline_is_a_network_of_state_and_force():
    model = Baseline.build(PENDULUM_SEES, width=8, depth=1, acceleration_scale=7.0, key=KEY)
    q, qd, tau, m = (a[0].astype(np.float32) for a in pendulum_states())
    x = np.concatenate([np.cos(q), np.sin(q), qd / 5.0, tau / 10.0])
    np.testing.assert_allclose(
        model.acceleration(q, qd, tau, m), 7.0 * model.network(jnp.asarray(x)), rtol=1e-5
    )
    assert model.dynamics(integrator="rk4", substeps=1).energy(np.zeros(4), m) is None


# -- what training needs --------------------------------------------------------------------


@pytest.fixture(scope="module")
def training_batch():
    """Sixty-four states as training draws them, with their accelerations."""

    @jax.jit
    def draw(keys):
        samples = jax.vmap(PENDULUM.sample)(keys)
        return samples, jax.vmap(PENDULUM.acceleration)(*samples[:4])

    return draw(jax.random.split(jax.random.key(1), 64))


def loss_and_gradient(model, samples, qdd):
    def mean_loss(model):
        return jnp.mean(jax.vmap(model.loss)(samples, qdd))

    value, gradient = eqx.filter_jit(eqx.filter_value_and_grad(mean_loss))(model)
    return float(value), [np.asarray(leaf) for leaf in jax.tree.leaves(gradient)]


@pytest.mark.parametrize(
    ("model_class", "options"),
    [
        (LNN, {"activation": "softplus", "quadratic_start": 0.0}),
        (LNN, {"activation": "squareplus"}),
        (LNN, {"activation": "tanh"}),
        (Baseline, {"activation": "tanh"}),
    ],
)
def test_gradients_of_the_loss_are_finite(model_class, options, training_batch):
    model = model_class.build(PENDULUM_SEES, width=8, depth=2, key=KEY, **options)
    value, gradient = loss_and_gradient(model, *training_batch)
    assert np.isfinite(value)
    assert len(gradient) == 6
    assert all(np.isfinite(leaf).all() for leaf in gradient)
    assert np.abs(gradient[0]).max() > 0


def test_gradients_are_finite_where_the_mass_matrix_is_zero(training_batch):
    """All weights zero and no quadratic start: L is constant."""
    model = LNN.build(PENDULUM_SEES, width=8, depth=2, quadratic_start=0.0, key=KEY)
    value, gradient = loss_and_gradient(jax.tree.map(jnp.zeros_like, model), *training_batch)
    assert np.isfinite(value)
    assert all(np.isfinite(leaf).all() for leaf in gradient)


# -- configuration --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model_class", "config"),
    [
        (LNN, {}),
        (LNN, {"width": 5, "depth": 1, "activation": "tanh", "initialiser": "paper"}),
        (LNN, {"width": 7, "depth": 4, "quadratic_start": 0.0}),
        (Baseline, {}),
        (Baseline, {"width": 5, "depth": 2, "activation": "squareplus"}),
        (Baseline, {"width": 5, "depth": 2, "acceleration_scale": 3.0}),
    ],
)
def test_a_model_is_rebuilt_from_its_configuration(model_class, config):
    def build(config):
        return eqx.filter_eval_shape(
            lambda key: model_class.build(PENDULUM_SEES, key=key, **config), KEY
        )

    model = build(config)
    written = json.loads(json.dumps(model.config))
    assert config.items() <= written.items()
    assert eqx.tree_equal(model, build(written))
    assert len(model.network.weights) == written["depth"] + 1


@pytest.mark.parametrize("model_class", [LNN, Baseline])
@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"activation": "relu"}, r"'relu'.*softplus, squareplus, tanh"),
        ({"initialiser": "orthogonal"}, r"'orthogonal'.*fan_in, paper"),
        ({"width": 0}, "width = 0"),
        ({"width": 2.5}, r"width = 2\.5"),
        ({"depth": 0}, "depth = 0"),
        ({"depth": -1}, "depth = -1"),
    ],
)
def test_bad_configuration_is_refused(model_class, config, message):
    with pytest.raises(ConfigurationError, match=message):
        model_class.build(PENDULUM_SEES, key=KEY, **config)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_model_names_what_it_can_be_given(name):
    model_class = load_model(name)
    names = ", ".join(model_class.settings())
    assert names.startswith("width, depth, activation, initialiser")
    with pytest.raises(ConfigurationError, match=f"{name} takes no argument 'breadth'.*{names}"):
        model_class.build(PENDULUM_SEES, key=KEY, breadth=3)
    model = eqx.filter_eval_shape(
        lambda key: model_class.build(PENDULUM_SEES, key=key, legendre=PENDULUM), KEY
    )
    assert tuple(model.config) == model_class.settings()
    assert model.config["width"] == model_class.usual.width
    assert model.learned


@pytest.mark.parametrize("name", NETWORKS)
def test_settings_are_checked_and_take_their_own_type(name):
    model_class = load_model(name)
    own = model_class.settings()[4:]
    for setting in own:
        with pytest.raises(ConfigurationError, match=f"{setting} = {{}}"):
            model_class.build(PENDULUM_SEES, key=KEY, legendre=PENDULUM, **{setting: {}})
    scale = next(setting for setting in own if setting.endswith("scale"))
    model = model_class.build(PENDULUM_SEES, key=KEY, legendre=PENDULUM, **{scale: np.int64(3)})
    assert json.dumps(model.config[scale]) == "3.0"


def test_a_canonical_model_asks_for_its_momenta():
    with pytest.raises(ConfigurationError, match=r"HNN needs the canonical momenta.*`legendre`"):
        HNN.build(PENDULUM_SEES, key=KEY)


@pytest.mark.parametrize("name", MODELS)
def test_no_concrete_method_is_overridden(name):
    """A method is abstract or final, so that one class is read to know what one call does."""
    lineage = [c for c in load_model(name).__mro__ if c.__module__.startswith("gym_lagrangian")]
    for i, base in enumerate(lineage):
        for attribute, value in vars(base).items():
            function = getattr(value, "__func__", getattr(value, "method", value))
            concrete = inspect.isfunction(function) and not attribute.startswith("__")
            # Usual answers: whoever has friction, or a cheaper way to the same force, states it.
            if attribute in ("friction", "force_of_motion"):
                continue
            if concrete and not getattr(function, "__isabstractmethod__", False):
                above = [c.__name__ for c in lineage[:i] if attribute in vars(c)]
                assert not above, f"{above} override {base.__name__}.{attribute}"


def test_initialisers_are_listed():
    assert set(INITIALISERS) == {"fan_in", "gentle", "paper"}


# -- embedding ------------------------------------------------------------------------------


def test_pendulum_embedding():
    q, qd, _, m = (a[0].astype(np.float32) for a in pendulum_states())
    features = PENDULUM_SEES.state(q, qd, m)
    expected = np.concatenate([np.cos(q), np.sin(q), qd / 5.0])
    np.testing.assert_allclose(features, expected, rtol=1e-6)
    assert PENDULUM_SEES.size == len(expected)


def test_particle_embedding_picks_g():
    """M = (m, c, g): g is seen, divided by its scale, c as the limit of v, and m not at all."""
    system = RelativisticParticle()
    q, qd = np.array([[3.0]]), np.array([[0.5]])
    m = np.array([[1.7, 2.9, 4.0], [9.0, 2.9, 4.0], [1.7, 2.9, -4.0]])
    expected = [3.0 / system.magnitudes.q[0], 2.9 * np.arctanh(0.5 / 2.9), 4.0 / 10.0]
    assert np.allclose(batched(PARTICLE_SEES.state, q, qd, m[:1])[0], expected)
    model = LNN.build(PARTICLE_SEES, width=8, depth=2, key=KEY)
    here, other_mass, other_g = batched(
        lambda m: model.acceleration(q[0], qd[0], np.zeros(1), m), m, dtype="float64"
    )
    assert here == other_mass
    assert here != other_g


def test_what_is_bounded_is_seen_without_bounds():
    """Rapidities of v and p: v and p far below c, finite at c, of order ten on the way there."""
    c = 2.0
    m = jnp.array([1.0, c, 0.0])
    slow, fast = 1e-3, c * (1.0 - 1e-7)
    assert PARTICLE_SEES.stretched(jnp.array([slow]), m)[0] == pytest.approx(slow, rel=1e-5)
    np.testing.assert_allclose(PARTICLE_SEES.momenta(jnp.array([slow])), slow, rtol=1e-5)
    for speed in (fast, c, 2 * c, -2 * c):
        rapidity = PARTICLE_SEES.stretched(jnp.array([speed]), m)[0] / c
        assert 5.0 < abs(rapidity) < 10.0
        assert np.sign(rapidity) == np.sign(speed)
    assert 5.0 < PARTICLE_SEES.momenta(jnp.array([1e6]))[0] < 20.0
    velocity = jnp.array([3.0, 4.0])  # nothing bounds a pendulum
    np.testing.assert_array_equal(PENDULUM_SEES.stretched(velocity, m), velocity)


@pytest.mark.parametrize("learns", ["momenta", "accelerations"])
def test_hnn_starts_as_a_particle_that_keeps_to_its_limit(learns):
    """Without the network it is the free particle of special relativity, motion, loss and all."""
    system = RelativisticParticle(lagrangian="special_relativity")
    model = start_of_hnn(system, learns)
    for speed in (-0.999, 0.1, 0.9):
        q, qd, tau, m = (jnp.array(x) for x in ([3.0], [speed], [2.0], [1.0, 1.0, 0.0]))
        target = system.acceleration(q, qd, tau, m)
        np.testing.assert_allclose(model.acceleration(q, qd, tau, m), target, rtol=1e-3)
        sample = Sample(q, qd, tau, m, jnp.ones(()))
        assert model.loss(sample, target) < 1e-4
        assert model.loss(sample, target + 0.1) > 0.09
        np.testing.assert_allclose(model.energy(q, qd, m), system.energy(q, qd, m) - 1.0, rtol=1e-3)


def test_hnn_starts_with_a_mass_that_grows_as_the_systems():
    """By γ⁵ for the Lagrangian of the paper, though it is not the free motion of that."""
    model = start_of_hnn(RelativisticParticle())
    p = jnp.sinh(3.0 * jnp.arctanh(jnp.array([1e-3, 0.9, 0.99]))) / 3.0
    velocity = jax.grad(lambda p: model.free_energy(p[None], jnp.ones(3)))
    speed, inverse_mass = jax.vmap(jax.value_and_grad(velocity))(p)
    np.testing.assert_allclose(speed, [1e-3, 0.9, 0.99], rtol=1e-4)
    share = (1 - speed**2) ** 2.5 / inverse_mass
    np.testing.assert_allclose(share, 1 + 3 * speed**2, rtol=1e-2)


def test_hnn_sees_momenta_in_units_of_their_magnitudes():
    build = partial(HNN.build, PENDULUM_SEES, legendre=PENDULUM, width=8, depth=2, key=KEY)
    one, other = (build(momentum_scale=scale) for scale in (5.0, (10.0, 20.0)))
    p, m = jnp.array([3.0, -2.0]), jnp.ones(5)
    seen = one.scaled(p, m), other.scaled(p * jnp.array([2.0, 4.0]), m)
    np.testing.assert_allclose(*seen, rtol=1e-6)


def test_one_motion_is_predicted_as_one_of_many():
    model = MLP.build(PENDULUM_SEES, width=8, depth=1, dt=0.05, key=KEY)
    rng = np.random.default_rng(0)
    starts, forces = rng.normal(size=(2, 4)), rng.normal(size=(2, 3, 2))
    many = model.predict(starts, forces, dt=0.05, m=np.ones(5))
    assert many.shape == (2, 3, 4)
    for i in range(2):
        one = model.predict(starts[i], forces[i], dt=0.05, m=np.ones(5))
        np.testing.assert_allclose(one, many[i], rtol=1e-5, atol=1e-6)
    with pytest.raises(ConfigurationError, match="expected"):
        model.predict(starts[None], forces[None], dt=0.05, m=np.ones(5))


def test_an_mlp_moves_by_its_network_alone():
    """In proportion to it: not at all where the network is zero, twice as far where it is twice."""
    model = MLP.build(PENDULUM_SEES, width=8, depth=1, dt=0.05, key=KEY)
    state, tau, m = jnp.array([0.3, -0.2, 1.0, 2.0]), jnp.array([1.0, -1.0]), jnp.ones(5)

    def moved(factor):
        last = [model.network.weights[-1], model.network.biases[-1]]
        scaled = eqx.tree_at(
            lambda one: [one.network.weights[-1], one.network.biases[-1]],
            model,
            [factor * leaf for leaf in last],
        )
        return scaled.next_state(state, tau, m) - state

    np.testing.assert_array_equal(moved(0.0), 0.0)
    np.testing.assert_allclose(moved(2.0), 2.0 * moved(1.0), rtol=1e-3, atol=1e-6)
    assert np.abs(moved(1.0)).max() > 1e-4


def start_of_hnn(system: RelativisticParticle, learns: str = "momenta") -> HNN:
    """A model whose network is zero, so that T₀ is all of its Hamiltonian."""
    settings = {"momentum_scale": 1.0, "quadratic_start": 1.0, "learns": learns}
    model = HNN.build(
        Embedding.of(system, ("g",)), legendre=system, width=8, depth=2, **settings, key=KEY
    )
    zero = jax.tree.map(jnp.zeros_like, model.network)
    return eqx.tree_at(lambda model: model.network, model, zero)


def test_lnn_gradients_differ_and_their_loss_does_not():
    """Both minimise the acceleration error."""
    system = RelativisticParticle()
    exact, force = (
        LNN.build(PARTICLE_SEES, width=8, depth=2, gradient=gradient, key=KEY)
        for gradient in ("exact", "force")
    )
    q, qd, tau, m = jnp.array([1.0]), jnp.array([0.4]), jnp.array([3.0]), jnp.array([1.0, 1.0, 2.0])
    sample = Sample(q, qd, tau, m, jnp.ones(()))
    target = system.acceleration(q, qd, tau, m)
    (loss_e, gradient_e), (loss_f, gradient_f) = (
        eqx.filter_value_and_grad(lambda model: model.loss(sample, target))(model)
        for model in (exact, force)
    )
    assert float(loss_e) == pytest.approx(float(loss_f), rel=1e-4)
    leaves = zip(jax.tree.leaves(gradient_e), jax.tree.leaves(gradient_f), strict=True)
    assert not all(np.allclose(a, b) for a, b in leaves)


def test_conditioning_keeps_the_order_of_m():
    sees = Embedding.of(RelativisticParticle(), ("g", "m"))
    assert sees.m_index == (0, 2)
    assert np.allclose(sees.parameters(jnp.array([2.0, 3.0, 5.0])), [2.0, 0.5])
    with pytest.raises(ConfigurationError, match=r"'charge'.*m, c, g"):
        Embedding.of(RelativisticParticle(), ("charge",))


def test_the_shape_of_a_network_is_a_value_within_bounds():
    shape = Shape(width=2**16, depth=2**10)
    assert (shape, hash(shape)) == (Shape(2**16, 2**10), hash(Shape(2**16, 2**10)))
    with pytest.raises(dataclasses.FrozenInstanceError):
        shape.width = 3
    for wrong in ({"width": 2**16 + 1}, {"depth": 2**10 + 1}, {"width": 0}, {"depth": 0}):
        with pytest.raises(ConfigurationError, match=next(iter(wrong))):
            Shape(**{"width": 4, **wrong})
