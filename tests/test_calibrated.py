"""Calibrated physics: the system's own equations, recovered from motion."""

from __future__ import annotations

import warnings

import arm_logs
import equinox as eqx
import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gym_lagrangian import (
    Coordinates,
    FitConfig,
    LearnedDynamicsEnv,
    System,
    Transitions,
    checkpoints,
    fit,
)
from gym_lagrangian.checkpoints import fresh_model
from gym_lagrangian.cli import main
from gym_lagrangian.envs.functional import cast
from gym_lagrangian.errors import ConfigurationError, DataError
from gym_lagrangian.learning.certainty import estimates
from gym_lagrangian.learning.windows import windows
from gym_lagrangian.planning import MPPI, Policy
from gym_lagrangian.registration import build_system

KEY = jax.random.key(0)
ARM = Coordinates(("shoulder", "elbow"), angular=True, name="Arm", qd_scale=3.0, tau_scale=2.0)
GUESS = {
    "m1": 0.6,
    "l1": 0.35,
    "c1": 0.175,
    "I1": 0.02,
    "m2": 0.5,
    "l2": 0.3,
    "c2": 0.15,
    "I2": 0.01,
}
CHAIN = {"system": "Chain", "options": {"links": 2}, "start": GUESS, "friction": "passive"}
QUICK = FitConfig(
    steps=700, batch=32, horizon=4, learning_rate=0.05, warmup=20, optimiser="adam", chunk=100
)


class Redundant(System):
    """Only the product of a and b, and s, show in its motion; d does not."""

    coordinates = ("x",)
    parameters = {"a": 2.0, "b": 3.0, "s": 5.0, "d": 1.0}  # noqa: RUF012

    def lagrangian(self, q, qd, m):
        p = self.named(m)
        return 0.5 * p.a * p.b * qd[0] ** 2 - 0.5 * p.s * q[0] ** 2 + 7.0 * p.d


def states(n=2, count=16, seed=0):
    """q, q̇ and τ (count, n)."""
    return np.random.default_rng(seed).uniform(-2, 2, (3, count, n))


def build(system="Chain", coordinates=ARM, conditioned_on=(), **config):
    """A model with float64 numbers."""
    config = {"system": system} | config if system else config
    model = fresh_model("Calibrated", coordinates, conditioned_on, key=KEY, **config)
    return cast(model, "float64") if jax.config.jax_enable_x64 else model


def moved(model, z):
    return eqx.tree_at(lambda one: one.numbers.z, model, z)


def transitions(log, coordinates=ARM):
    """What was recorded exactly, at a steady step."""
    kept = {name: getattr(log, name) for name in ("q", "tau")} | {"qd": log.qd}
    rows = {name: a[:-1] for name, a in kept.items()}
    after = {"next_q": log.q[1:], "next_qd": log.qd[1:]}
    return Transitions(coordinates, dt=0.01, **rows, **after)


def joined(parts):
    arrays = {k: np.concatenate([p.arrays[k] for p in parts]) for k in parts[0].arrays}
    return Transitions(parts[0].coordinates, dt=parts[0].dt, **arrays | {"m": None})


@pytest.fixture(scope="module")
def recorded():
    """Exact motion of the arm by the midpoint rule in NumPy."""
    return joined([transitions(arm_logs.motion(seed, 400, jitter=0.0)) for seed in range(3)])


@pytest.fixture(scope="module")
def fitted(recorded, tmp_path_factory):
    out = tmp_path_factory.mktemp("fitted") / "arm.safetensors"
    return fit(recorded, "Calibrated", out=out, config=QUICK, model_config=CHAIN)


# -- physics --------------------------------------------------------------------------------------


@pytest.mark.parametrize("system", ["DfkiC1", "Furuta"])
def test_at_its_start_it_is_the_system(system):
    with jax.enable_x64(True):
        truth = build_system(system, {})
        model = build(None, truth)
        m = jnp.asarray(truth.parameter_bounds().mean(axis=0))
        off = [i for i, q in enumerate(model.numbers.of_learned()) if q.start == q.least]
        still = moved(model, model.numbers.z.at[jnp.array(off, int)].set(-100.0))
        found, expected = (all_of(one, m) for one in (still, truth))
        for name, values in expected.items():
            np.testing.assert_allclose(found[name], values, rtol=1e-9, atol=1e-12, err_msg=name)


def all_of(physics, m):
    """Name → what follows from a Lagrangian and friction, at some states."""

    def one(q, qd, tau):
        names = ("energy", "momentum", "mass_matrix", "friction")
        found = {name: getattr(physics, name)(q, qd, m) for name in names}
        return found | {"acceleration": physics.acceleration(q, qd, tau, m)}

    return jax.jit(jax.vmap(one))(*states())


def test_bounds_hold_whatever_the_numbers_are():
    """Masses are positive, inertias not negative, and friction takes energy out."""
    with jax.enable_x64(True):
        names = [f"{k}_joint{i}" for k in ("viscous", "coulomb", "width", "skew") for i in (1, 2)]
        learned = ["m1", "I1", "m2", "I2", "armature2", "gain_joint1", *names]
        model = build(friction="passive", learned=learned, options={"links": 2})
        rng = np.random.default_rng(0)
        qd = jnp.asarray(rng.normal(0.0, 3.0, (50, 2)))

        @jax.jit
        def seen(z):
            other = moved(model, z)
            force = jax.vmap(lambda qd: other.friction(qd, qd, jnp.zeros(0)))(qd)
            return other.numbers.values(), jnp.sum(qd * force, axis=1)

        for size in (1.0, 10.0, 100.0):
            values, power = seen(jnp.asarray(rng.normal(0.0, size, len(learned))))
            for quantity in model.numbers.of_learned():
                low, high = (-1.0, 1.0) if quantity.share else (quantity.least, np.inf)
                assert low <= float(values[quantity.name]) <= high
            assert np.all(power <= 0.0)


def test_forces_and_friction_alone_change_its_energy():
    """dE/dt = q̇ᵀγτ + q̇ᵀF along its own motion, and q̈ is what `inverse_dynamics` undoes."""
    with jax.enable_x64(True):
        start = {"gain_joint1": 0.9, "gain_joint2": 1.2}
        model, m = build(friction="passive", start=start), jnp.zeros(0)
        gains = jnp.array([0.9, 1.2])

        def balance(q, qd, tau):
            qdd = model.acceleration(q, qd, tau, m)
            slope = jax.jvp(lambda q, qd: model.energy(q, qd, m), (q, qd), (qd, qdd))[1]
            power = qd @ (gains * tau + model.friction(q, qd, m))
            return slope - power, model.inverse_dynamics(q, qd, qdd, m) - tau

        for gap in jax.jit(jax.vmap(balance))(*states()):
            np.testing.assert_allclose(gap, 0.0, atol=1e-9)


# -- what is learned ------------------------------------------------------------------------------


def test_the_arm_is_found_from_a_poor_guess(fitted):
    """Masses that were half of the true ones, friction of which nothing was known."""
    model, m = fitted.model, jnp.zeros(0)
    mass_matrix, friction = eqx.filter_jit(model.mass_matrix), eqx.filter_jit(model.friction)
    for angle in (0.0, 1.0, 2.5):
        q, rest = jnp.array([0.3, angle], jnp.float32), jnp.zeros(2)
        b, (a, d) = arm_logs.COUPLING * np.cos(angle), arm_logs.INERTIA
        expected = np.array([[a + 2 * b, d + b], [d + b, d]])
        np.testing.assert_allclose(mass_matrix(q, rest, m), expected, rtol=0.03, atol=2e-3)
        for v in (np.array([1.0, -2.0]), np.array([-0.5, 0.7])):
            true = -arm_logs.VISCOUS * v - arm_logs.COULOMB * np.sign(v)
            force = friction(q, jnp.asarray(v, jnp.float32), m)
            np.testing.assert_allclose(force, true, atol=0.015)


def test_it_predicts_motion_that_it_never_saw(fitted):
    """Two seconds under forces, against the independent solver."""
    log = arm_logs.motion(17, 201, jitter=0.0)
    start = np.concatenate([log.q[0], log.qd[0]])
    found = fitted.model.predict(start, log.tau[:-1], dt=0.01)
    assert np.abs(np.asarray(found)[:, :2] - log.q[1:]).max() < 0.1


def test_what_motion_cannot_tell_apart_is_not_learned():
    assert build("test_calibrated:Redundant", Coordinates(("x",))).numbers.learned == ("a", "s")
    two = build(options={"links": 2}).numbers.learned
    assert two == (
        "m1",
        "I1",
        "viscous1",
        "coulomb1",
        "m2",
        "I2",
        "viscous2",
        "coulomb2",
        "armature2",
    )


def test_what_is_not_learned_stays(fitted):
    numbers = fitted.model.numbers.values()
    for name in ("l1", "c1", "l2", "c2", "armature1"):
        assert float(numbers[name]) == pytest.approx(GUESS.get(name, 0.0))
    assert float(numbers["g"]) == pytest.approx(9.81)


@pytest.mark.parametrize("gain", [0.5, 1.0, 2.0])
def test_a_gain_that_is_stated_acts(gain):
    """On all joints, though none is learned."""
    chain = build_system("Chain", {"links": 1})
    with jax.enable_x64(True):
        model = build(None, chain, start={"gain_joint1": gain}, learned=("m1",))
        q, qd, m = jnp.array([0.4]), jnp.array([1.0]), jnp.asarray(chain.parameter_bounds()[0])
        one, other = (model.acceleration(q, qd, jnp.array([tau]), m) for tau in (0.0, 1.0))
        expected = [chain.acceleration(q, qd, jnp.array([tau]), m) for tau in (0.0, gain)]
        np.testing.assert_allclose(other - one, expected[1] - expected[0], rtol=1e-9)


def test_a_condition_is_taken_from_m():
    """Of a model that is conditioned on a length, m decides about it."""
    chain = build_system("Chain", {"links": 1})
    with jax.enable_x64(True):
        model = build(None, chain, ("c1", "m1"))
        assert not {"c1", "m1"} & set(model.numbers.learned)
        m = jnp.asarray(chain.parameter_bounds(c1=0.2, m1=3.0, l1=7.0)[0])
        own = jnp.asarray(chain.parameter_bounds(c1=0.2, m1=3.0)[0])
        q, qd = jnp.array([0.4]), jnp.array([1.0])
        found, expected = model.energy(q, qd, m), chain.energy(q, qd, own)
        np.testing.assert_allclose(found, expected, rtol=1e-12)


# -- how well -------------------------------------------------------------------------------------


def test_the_truth_lies_within_a_few_standard_errors(recorded, tmp_path):
    """Of a fit to a recording with noise; and these errors are small and not tiny."""
    true = {"m1": 1.2, "m2": 0.8, "viscous_joint1": 0.08, "coulomb_joint1": 0.15}
    start = GUESS | {"I1": 1.2 * 0.35**2 / 12, "I2": 0.8 * 0.3**2 / 12, "coulomb_joint2": 0.08}
    start |= {"viscous_joint2": 0.05, "width_joint1": 0.02, "width_joint2": 0.02}
    start |= {name: 0.8 * value for name, value in true.items()}
    how = CHAIN | {"start": start, "learned": list(true)}
    data, out = recorded.noisy(0.003, 0), tmp_path / "m.safetensors"
    metrics = fit(data, "Calibrated", out=out, config=QUICK, model_config=how).card.metrics
    for name, value in true.items():
        found, error = (metrics[k][name] for k in ("parameters", "standard_errors"))
        assert abs(found - value) < 5.0 * error + 0.02 * value, name
        assert 1e-4 * value < error < 0.2 * value, name


def test_what_the_data_do_not_determine_is_named(tmp_path):
    """Without forces motion tells the ratio of a mass and an inertia, and neither of them."""
    data = free_pendulum()
    config = FitConfig(**vars(QUICK) | {"steps": 20, "chunk": 10, "warmup": 2})
    how = {"learned": ["m1", "I1"]}
    with pytest.warns(UserWarning, match=r"do not determine .*m1 \(.* kg\).*hold them at known"):
        card = fit(
            data, "Calibrated", out=tmp_path / "m.safetensors", config=config, model_config=how
        ).card
    assert card.metrics["standard_errors"]["m1"] > 10.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(
            data,
            "Calibrated",
            out=tmp_path / "n.safetensors",
            config=config,
            model_config={"learned": ["I1"]},
        )


def free_pendulum():
    chain = build_system("Chain", {"links": 1})
    model = fresh_model("Calibrated", chain, (), key=KEY, learned=["m1"])
    m = chain.parameter_bounds()[0]
    found = np.asarray(model.predict(np.array([1.0, 0.0]), np.zeros((300, 1)), dt=0.02, m=m))
    x = np.vstack([[1.0, 0.0], found]).astype(np.float64)
    x += 1e-3 * np.random.default_rng(0).normal(size=x.shape)
    rows = {"q": x[:-1, :1], "qd": x[:-1, 1:], "next_q": x[1:, :1], "next_qd": x[1:, 1:]}
    return Transitions(chain, dt=0.02, **rows)


def test_networks_have_no_such_numbers(recorded):
    model = fresh_model("Baseline", ARM, (), key=KEY, width=4, depth=1)
    source, _ = windows(recorded, 2, integrator="rk4", substeps=1, share=0.1, seed=0)
    assert model.quantities is None
    assert estimates(model, source) == {}


# -- every door -----------------------------------------------------------------------------------


def test_a_checkpoint_gives_it_back(fitted, recorded):
    again = checkpoints.load(fitted.path)
    assert again.model.config == fitted.model.config
    x, tau = np.hstack([recorded.q[0], recorded.qd[0]]), recorded.tau[:5]
    both = [np.asarray(one.model.predict(x, tau, dt=0.01)) for one in (again, fitted)]
    np.testing.assert_array_equal(*both)
    assert set(again.card.metrics["parameters"]) == set(again.model.numbers.learned)
    assert again.mechanics.energy([0.1, 0.2], [0.0, 0.0]) == pytest.approx(
        float(fitted.model.energy(jnp.array([0.1, 0.2]), jnp.zeros(2), jnp.zeros(0))), rel=1e-5
    )


def test_a_fit_goes_on_from_it(fitted, recorded, tmp_path):
    out, config = (
        tmp_path / "on.safetensors",
        FitConfig(**vars(QUICK) | {"steps": 20, "horizon": 8}),
    )
    again = fit(recorded, out=out, init=fitted, config=config, model_config=CHAIN)
    assert again.card.init["sha256"] == fitted.sha256
    assert again.card.metrics["held_out_error"] <= again.card.metrics["initial_error"]


def test_environments_of_the_machine(fitted):
    env = gymnasium.make("gym_lagrangian:Lagrangian-v0", checkpoint=str(fitted.path))
    env.reset(seed=0)
    observation, *_ = env.step(env.action_space.sample())
    assert np.isfinite(observation).all()
    action = Policy(env, MPPI(samples=8, horizon=3, elites=2)).act(env.unwrapped.get_state())
    assert env.action_space.contains(np.asarray(action, np.float32))
    env.close()


def test_an_environment_of_the_system_is_moved_by_it(recorded, tmp_path):
    """Transitions of a machine taken as those of a system give a checkpoint of that system."""
    out = tmp_path / "chain.safetensors"
    how = {"system": "Chain", "system_options": {"links": 2}, "model_config": {"start": GUESS}}
    config = FitConfig(**vars(QUICK) | {"steps": 20})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = fit(recorded, "Calibrated", out=out, config=config, metrics=False, **how)
    assert found.card.physics["entry_point"].endswith("chain:Chain")
    env = LearnedDynamicsEnv(gymnasium.make("Chain-v0", links=2), out)
    env.reset(seed=0)
    assert np.isfinite(env.step(np.ones(2, np.float32))[0]).all()
    envs = gymnasium.make_vec("Chain-v0", num_envs=3, links=2, checkpoint=str(out))
    envs.reset(seed=0)
    assert np.isfinite(envs.step(np.ones((3, 2), np.float32))[0]).all()


def test_command_line(recorded, tmp_path, capsys):
    recorded.save(tmp_path / "arm.npz")
    out = str(tmp_path / "arm.safetensors")
    options = ["system=Chain", 'options={"links": 2}', 'learned=["m1", "m2"]']
    command = ["fit", str(tmp_path / "arm.npz"), "Calibrated", "--out", out, "--steps", "20"]
    assert main([*command, *(f"--model-option={option}" for option in options)]) == 0
    assert '"standard_errors"' in capsys.readouterr().out
    assert checkpoints.load(out).model.numbers.learned == ("m1", "m2")


# -- what makes no sense --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"system": None}, r"needs equations, .* of Arm are unknown: name a system"),
        ({"options": {"links": 1}}, r"Chain has the coordinates joint1 \(angle\), and Arm has 2"),
        ({"options": {"on_cart": True, "links": 1}}, r"x, theta1|x, joint1 \(length, angle\)"),
        ({"options": {"beams": 1}}, r"beams"),
        ({"start": {"m3": 1.0}}, r"start of Chain.*'m3'.*m1"),
        ({"start": {"m1": -1.0}}, r"m1 = -1\.0: expected a positive"),
        ({"friction": "passive", "start": {"skew_joint1": 1.5}}, r"skew_joint1 = 1\.5"),
        ({"learned": []}, r"learned = \[\]"),
        ({"learned": ["m1", "m1"]}, "different names"),
        ({"learned": ["m7"]}, r"learned of Chain.*'m7'"),
        ({"friction": "dry"}, "choose one of none, viscous, passive"),
        ({"width": 3}, r"no argument 'width'.*system, options"),
    ],
)
def test_bad_settings_are_refused(config, message):
    with pytest.raises(ConfigurationError, match=message):
        build(**{"system": "Chain"} | config)


def test_a_condition_is_not_learned():
    chain = build_system("Chain", {"links": 1})
    with pytest.raises(ConfigurationError, match="learned names m1, on which"):
        build(None, chain, ("m1",), learned=["m1", "I1"])
    machine = Coordinates(("a",), angular=True, parameters={"load": 1.0})
    with pytest.raises(ConfigurationError, match="'load'"):
        build("Chain", machine, ("load",), options={"links": 1})


def test_motion_of_other_coordinates_is_refused(recorded):
    with pytest.raises(DataError, match=r"of Arm with .*shoulder.*not of Chain with .*joint3"):
        recorded.of_system("Chain", {"links": 3})
