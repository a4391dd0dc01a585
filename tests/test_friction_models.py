"""Friction that models learn: it takes energy out whatever its weights, and it is in every pass."""

from __future__ import annotations

import warnings

import equinox as eqx
import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gym_lagrangian import FitConfig, checkpoints, fit, train
from gym_lagrangian.checkpoints import Card, fresh_model
from gym_lagrangian.envs.functional import cast
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.learning.config import usual_friction
from gym_lagrangian.learning.fit import _warn_of_losses
from gym_lagrangian.learning.transitions import Transitions
from gym_lagrangian.models.base import friction_kind
from gym_lagrangian.models.embedding import Embedding
from gym_lagrangian.models.friction import FRICTIONS
from gym_lagrangian.models.network import Shape
from gym_lagrangian.physics.dynamics import ContinuousDynamics
from gym_lagrangian.registration import load_model
from gym_lagrangian.systems import DoublePendulum
from gym_lagrangian.systems.base import System
from gym_lagrangian.systems.coordinates import Coordinates, Parameter

DAMPED = ("LNN", "DeLaN", "HNN")
SMALL = {"width": 8, "depth": 2}
every_model = pytest.mark.parametrize("name", DAMPED)
every_kind = pytest.mark.parametrize("kind", FRICTIONS)


class Pendulum(System):
    """A rod of 1 kg m² in gravity, with a damper of c at its pivot."""

    coordinates = ("theta",)
    angular = True
    parameters = {"g": 9.81, "c": Parameter(0.5, positive=False)}  # noqa: RUF012

    def lagrangian(self, q, qd, m):
        return 0.5 * qd[0] ** 2 + m[0] * jnp.cos(q[0])

    def friction(self, q, qd, m):
        return -m[1] * qd


def machine(n):
    """Some lengths and some angles of different magnitudes, and a parameter."""
    scale = np.geomspace(0.1, 10.0, n).tolist()
    return Coordinates(
        [f"q{i}" for i in range(n)],
        angular=[i % 2 == 0 for i in range(n)],
        parameters={"load": Parameter(1.0)},
        q_scale=scale,
        qd_scale=scale[::-1],
        tau_scale=scale,
    )


def build(name, kind="none", *, seed=0, **config):
    """A small model of a double pendulum whose friction is not small."""
    system = DoublePendulum()
    key = jax.random.key(seed)
    model = fresh_model(name, system, ("m1",), key=key, friction=kind, **SMALL | config)
    if kind == "none":
        return model
    strong = jax.tree.map(lambda leaf: leaf + 2.0 if leaf.ndim == 1 else leaf, model.resistance)
    return eqx.tree_at(lambda model: model.resistance, model, strong)


def state(seed=0, n=2):
    rng = np.random.default_rng(seed)
    return jnp.array(rng.uniform(-3, 3, (2, n)))


# -- the force --------------------------------------------------------------------------------


@pytest.mark.parametrize("n", range(1, 8))
def test_a_thousand_random_networks_never_do_positive_work(n):
    """7 × 143 networks with weights of all sizes, at 20 states each."""
    seen = Embedding.of(machine(n), ("load",))

    def powers(key):
        keys = jax.random.split(key, 4)
        force = FRICTIONS["passive"](seen, Shape(width=8), 3.0, key=keys[0])
        size = 10.0 ** jax.random.uniform(keys[1], minval=-2.0, maxval=1.5)
        params, static = eqx.partition(force, eqx.is_array)
        force = eqx.combine(jax.tree.map(lambda leaf: size * leaf, params), static)
        q, qd = 3.0 * jax.random.normal(keys[2], (2, 20, n))
        m = jax.random.uniform(keys[3], (20, 1))
        forces = jax.vmap(force)(q, qd, m)
        return jnp.sum(qd * forces, 1), jnp.sum(jnp.abs(qd * forces), 1)

    with jax.enable_x64(True):
        power, size = jax.jit(jax.vmap(powers))(jax.random.split(jax.random.key(n), 143))
    assert np.all(np.isfinite(power))
    assert np.all(power <= 1e-12 * size)
    assert np.mean(power < 0) > 0.99


@every_kind
def test_at_rest_there_is_none_and_it_is_odd(kind):
    force = build("DeLaN", kind).friction
    q, qd = state()
    m = jnp.ones(5)
    np.testing.assert_array_equal(force(q, 0 * qd, m), 0.0)
    if kind == "viscous":
        np.testing.assert_allclose(force(q, -2 * qd, m), -2 * force(q, qd, m), rtol=1e-6)


@pytest.mark.parametrize("kind", ["viscous", "passive"])
def test_friction_sees_what_the_model_is_conditioned_on(kind):
    model = build("LNN", kind)
    if kind == "viscous":
        some = jnp.array([[0.5], [1.0]])
        model = eqx.tree_at(lambda model: model.resistance.weights, model, some)
    q, qd = state()
    light, heavy, other = (
        model.friction(q, qd, jnp.ones(5).at[i].set(value)) for i, value in ((0, 1), (0, 3), (1, 3))
    )
    assert np.all(np.abs(light - heavy) > 1e-3)
    np.testing.assert_array_equal(light, other)


def test_the_scale_of_friction_is_a_power():
    """The same weights in other units: a force times its velocity scale is the power scale."""
    forces = []
    for speed, power in ((1.0, 1.0), (0.01, 50.0)):
        seen = Embedding.of(Coordinates(("x", "y"), qd_scale=speed, tau_scale=1.0))
        force = FRICTIONS["passive"](seen, Shape(width=8), power, key=jax.random.key(0))
        q, v = state()
        forces.append(force(q, speed * v, jnp.zeros(0)) * speed / power)
    np.testing.assert_allclose(*forces, rtol=1e-4)


# -- in a model -------------------------------------------------------------------------------


@every_model
@every_kind
def test_friction_does_not_touch_the_other_weights(name, kind):
    plain, damped = build(name), build(name, kind)
    assert plain.friction(*state(), jnp.ones(5)) is None
    assert eqx.tree_equal(plain.network, damped.network)
    assert (friction_kind(plain), friction_kind(damped)) == (None, kind)
    again = type(damped).build(
        damped.embedding, key=jax.random.key(1), legendre=DoublePendulum(), **damped.config
    )
    assert jax.tree.structure(again) == jax.tree.structure(damped)


@pytest.mark.parametrize("name", ["LNN", "DeLaN"])
@every_kind
def test_forward_and_inverse_dynamics_include_it(name, kind):
    """M q̈ = τ + f + F, and the force that causes a q̈ overcomes friction."""
    with jax.enable_x64(True):
        model = cast(build(name, kind), "float64")
        (q, qd), tau, m = state(), jnp.array([2.0, -1.0]), jnp.ones(5)
        mass_matrix, f = model.equation_of_motion(q, qd, m)
        force = model.friction(q, qd, m)
        qdd = model.acceleration(q, qd, tau, m)
        np.testing.assert_allclose(mass_matrix @ qdd, tau + f + force, rtol=1e-4)
        np.testing.assert_allclose(model.inverse_dynamics(q, qd, qdd, m), tau, rtol=1e-3)


def test_hamiltons_equations_lose_energy_at_the_models_own_velocity():
    """dH/dt = (∂H/∂p)ᵀ(τ + F(q, ∂H/∂p))."""
    with jax.enable_x64(True):
        model = cast(build("HNN", "passive"), "float64")
        (q, p), tau, m = state(1), jnp.array([2.0, -1.0]), jnp.ones(5)
        rates = model.hamilton(q, p, tau, m)
        rate = jax.jvp(lambda q, p: model.hamiltonian(q, p, m), (q, p), rates)[1]
        expected = rates[0] @ (tau + model.friction(q, rates[0], m))
        np.testing.assert_allclose(rate, expected, rtol=1e-8)


@every_model
@every_kind
def test_without_actions_the_models_energy_never_rises(name, kind):
    with jax.enable_x64(True):
        model = cast(build(name, kind, seed=2), "float64")
        x, m = jnp.concatenate(state(2)), jnp.ones(5)
        dynamics = model.dynamics(integrator="rk4", substeps=50)
        states = jnp.vstack([x, eqx.filter_jit(dynamics.trajectory)(x, jnp.zeros(2), m, 0.05, 40)])
        energy = np.asarray(jax.vmap(lambda x: model.energy(x[:2], x[2:], m))(states))
    assert np.all(np.isfinite(energy))
    assert np.diff(energy).max() < 1e-7 * np.ptp(energy)


@every_kind
def test_the_force_gradient_measures_the_same_error(kind):
    """LNN: M⁻¹ times the residual of the equation of motion, friction included, is the error."""
    from gym_lagrangian.systems.sample import Sample

    (q, qd), m = state(), jnp.ones(5)
    sample = Sample(q, qd, jnp.array([2.0, -1.0]), m, jnp.ones(()))
    exact, force = (build("LNN", kind, gradient=one) for one in ("exact", "force"))
    values = [model.loss(sample, jnp.array([1.0, 0.5])) for model in (exact, force)]
    np.testing.assert_allclose(*values, rtol=1e-3)


def test_the_exact_gradient_is_the_losss_and_the_other_leaves_the_mass_matrix_alone():
    from gym_lagrangian.systems.sample import Sample

    with jax.enable_x64(True):
        (q, qd), m, target = state(), jnp.ones(5), jnp.array([1.0, 0.5])
        sample = Sample(q, qd, jnp.array([2.0, -1.0]), m, jnp.ones(()))
        models = [cast(build("LNN", "none", gradient=one), "float64") for one in ("exact", "force")]
        slopes = []
        for model in models:
            arrays, rest = eqx.partition(model, eqx.is_inexact_array)

            def loss(change, arrays=arrays, rest=rest):
                moved = jax.tree.map(lambda leaf: leaf * (1.0 + change), arrays)
                return eqx.combine(moved, rest).loss(sample, target)

            loss = jax.jit(loss)
            numeric = (loss(1e-6) - loss(-1e-6)) / 2e-6
            slopes.append((float(jax.grad(loss)(0.0)), float(numeric)))
    assert slopes[0][0] == pytest.approx(slopes[0][1], rel=1e-5)
    assert slopes[1][0] != pytest.approx(slopes[1][1], rel=1e-2)


@every_kind
def test_it_comes_back_from_a_checkpoint(kind, tmp_path):
    model = build("LNN", kind, mass_scale=[1.0, 0.1])
    card = Card.of(
        DoublePendulum(),
        parameters={},
        conditioned_on=("m1",),
        model="LNN",
        model_config=model.config,
        friction=kind,
    )
    checkpoints.save(tmp_path / "m.safetensors", model, card)
    found = checkpoints.load(tmp_path / "m.safetensors")
    assert found.card == card
    assert found.model.mass_scale == (1.0, 0.1)
    assert eqx.tree_equal(found.model, model)


@pytest.mark.parametrize(
    ("name", "config", "message"),
    [
        ("LNN", {"friction": "sticky"}, "friction = 'sticky': choose one of none, viscous, coul"),
        ("HNN", {"friction": None}, "friction = None: choose one of"),
        ("DeLaN", {"friction": "viscous", "friction_scale": 0}, "friction_scale = 0.*positive"),
        ("Baseline", {"friction": "viscous"}, "Baseline takes no argument 'friction'"),
        ("DeLaN", {"mass_scale": [1.0]}, "mass_scale has 1 values, expected one number or 2"),
        ("LNN", {"mass_scale": [1.0, -1.0]}, r"mass_scale = -1\.0: expected a positive number"),
    ],
)
def test_bad_settings(name, config, message):
    make, seen = load_model(name).build, Embedding.of(DoublePendulum())
    given = {"key": jax.random.key(0), "legendre": DoublePendulum()} | SMALL | config
    with pytest.raises(ConfigurationError, match=message):
        make(seen, **given)


@pytest.mark.parametrize(
    ("model", "config", "message"),
    [
        ("Baseline", {}, "Baseline has none of its own, its network learns friction along"),
        ("LNN", {"friction": "passive"}, "'viscous', and 'passive' in model_config: say it once"),
    ],
)
def test_friction_of_a_model_without_or_said_twice(model, config, message, tmp_path):
    out = tmp_path / "m.safetensors"
    how = {"out": out, "model_config": config, "friction": "viscous"}
    with pytest.raises(ConfigurationError, match=message):
        fit(recorded(0.5), model, **how)
    with pytest.raises(ConfigurationError, match=message):
        train("DoublePendulum", model, **how)
    assert not list(tmp_path.iterdir())


# -- in a fit ---------------------------------------------------------------------------------


def recorded(c, rows=400, dt=0.05, seed=0):
    """Episodes of 20 steps from random states, under held random torques."""
    system, m = Pendulum(), jnp.array([9.81, c])
    rng = np.random.default_rng(seed)
    x = rng.uniform([-np.pi, -5.0], [np.pi, 5.0], (rows // 20, 2)).astype(np.float32)
    dynamics = ContinuousDynamics(system, "dop853", 2)
    step = jax.jit(jax.vmap(lambda x, tau: dynamics.step(x, tau, m, dt)))
    steps = []
    for k in range(20):
        if k % 4 == 0:
            tau = rng.uniform(-4.0, 4.0, (rows // 20, 1)).astype(np.float32)
        steps.append((x, tau, np.asarray(step(x, tau))))
        x = steps[-1][2]
    x, tau, after = (np.stack(part, 1).reshape(rows, -1) for part in zip(*steps, strict=True))
    arrays = {"q": x[:, :1], "qd": x[:, 1:], "next_q": after[:, :1], "next_qd": after[:, 1:]}
    return Transitions(system, **arrays, tau=tau, m=np.tile(m, (rows, 1)), dt=dt)


class Conservative(Pendulum):
    """The true energy, and no friction: as a perfect fit of a model without any."""

    def friction(self, q, qd, m):
        return None


def test_energy_that_a_model_cannot_lose_is_pointed_out():
    """Of damped motion; of undamped motion nothing is said."""
    with pytest.warns(UserWarning, match=r'loses .* a second.*friction="viscous" or "passive"'):
        _warn_of_losses(Conservative(), recorded(0.2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _warn_of_losses(Conservative(), recorded(0.0))


@pytest.mark.parametrize(
    ("env_id", "given", "kind"),
    [
        ("GymnasiumPendulum-v0", {}, "none"),
        ("GymnasiumPendulum-v0", {"viscous1": 0.2}, "viscous"),
        ("GymnasiumCartPole-v0", {"coulomb0": 0.1, "viscous1": 0.02}, "coulomb"),
        ("GymnasiumCartPole-v0", {"coulomb0": (0.0, 0.1)}, "coulomb"),
        ("DfkiAcrobot-v0", {}, "passive"),  # as its class states
        ("DoublePendulum-v0", {}, "none"),
    ],
)
def test_friction_that_a_machine_was_given_is_learned(env_id, given, kind):
    with gymnasium.make(f"gym_lagrangian:{env_id}", **given) as env:
        _, params = env.unwrapped.functional
        bounds = np.asarray(params.m_bounds)
    coordinates = env.unwrapped.coordinates
    assert coordinates.friction_to_learn(bounds) == kind
    assert usual_friction("DeLaN", coordinates, bounds) == {"friction": kind}
    assert usual_friction("Baseline", coordinates, bounds) == {}


def test_a_fit_finds_the_damper(tmp_path):
    """From 400 transitions and a short fit, to a few per cent."""
    config = FitConfig.of("DeLaN", steps=500, horizon=1, chunk=100)
    found = fit(
        recorded(0.5),
        "DeLaN",
        out=tmp_path / "m.safetensors",
        config=config,
        model_config={"width": 24, "depth": 2},
        friction="viscous",
        conditioned_on=(),
        metrics=False,
    )
    assert found.card.friction == "viscous"
    assert found.model.resistance.coefficients(jnp.zeros(2))[0] == pytest.approx(0.5, rel=0.1)
