"""Parameters that vary: drawn in training, recorded on the card, refused outside."""

from __future__ import annotations

from dataclasses import replace
from unittest import mock

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from physics_helpers import SMALL, SMALL_MODEL, batched

from gym_lagrangian import LearnedDynamicsEnv, System, checkpoints
from gym_lagrangian.envs.state import EnvState
from gym_lagrangian.errors import CheckpointError, ConfigurationError, DataError
from gym_lagrangian.evaluation.local import acceleration_loss, protocol_samples
from gym_lagrangian.evaluation.motion import free_motions
from gym_lagrangian.learning.config import FitConfig, TrainingConfig
from gym_lagrangian.learning.fit import fit
from gym_lagrangian.learning.recording import collect
from gym_lagrangian.learning.scales import scales_of
from gym_lagrangian.learning.sources import FreshStates
from gym_lagrangian.learning.train import train
from gym_lagrangian.systems import DoublePendulum, RelativisticParticle
from gym_lagrangian.systems.chain import Chain
from gym_lagrangian.systems.sample import varied

TRUTH = "DoublePendulum-v0"
M1 = {"m1": (0.5, 1.5)}
SYSTEMS = [DoublePendulum(), RelativisticParticle(), Chain(), Chain(links=1, on_cart=True)]


def short(out, conditioned_on, *, system="DoublePendulum", config=SMALL, **options):
    options.setdefault("model_config", SMALL_MODEL)
    how = {"conditioned_on": conditioned_on, "config": config}
    return train(system, "Baseline", out=out, **how, **options)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The path of a small model of the masses and of the first length, and its checkpoint."""
    out = tmp_path_factory.mktemp("conditioned") / "run.safetensors"
    return str(out), short(out, {"m2": (0.8, 1.2), "l1": None})


def drawn(draw, count=4000):
    return jax.jit(jax.vmap(draw))(jax.random.split(jax.random.key(0), count))


def assert_uniform(values, low, high):
    assert values.min() >= np.float32(low)
    assert values.max() <= np.float32(high)
    quarters = np.histogram(values, 4, (low, high))[0] / len(values)
    np.testing.assert_allclose(quarters, 0.25, atol=0.04)


# -- what is drawn --------------------------------------------------------------------------


def test_training_states_are_those_of_the_drawn_parameters():
    source = FreshStates(DoublePendulum(), ranges=(("m1", 0.5, 1.5), ("l2", 0.2, 0.4)))
    samples, qdd = jax.jit(lambda key: source.batch(key, 4000))(jax.random.key(0))
    assert_uniform(np.asarray(samples.m[:, 0]), 0.5, 1.5)
    assert_uniform(np.asarray(samples.m[:, 3]), 0.2, 0.4)
    assert abs(np.corrcoef(samples.m[:, 0], samples.m[:, 3])[0, 1]) < 0.06
    np.testing.assert_allclose(samples.m[:, [1, 2, 4]], np.tile([1.0, 1.0, 9.8], (4000, 1)))
    exact = batched(DoublePendulum().acceleration, *samples[:4])
    error = np.abs(exact - qdd) / (1.0 + np.abs(exact))
    assert np.quantile(error, 0.99) < 1e-3


def test_parameters_may_be_drawn_more_often_near_the_ends_of_their_ranges():
    """By the arcsine law a share (2/π) arcsin √x of the values lies in the first share x."""
    ranges = (("m1", 0.5, 1.5), ("l2", 0.2, 0.4))
    source = FreshStates(DoublePendulum(), ranges=ranges, law="arcsine")
    assert "m1 ~ arcsine(0.5, 1.5)" in source.description()
    samples, _ = jax.jit(lambda key: source.batch(key, 4000))(jax.random.key(0))
    for column, low, high in ((0, 0.5, 1.5), (3, 0.2, 0.4)):
        shares = (np.asarray(samples.m[:, column], np.float64) - low) / (high - low)
        assert -1e-6 < shares.min() < 1e-5
        assert 1 - 1e-5 < shares.max() < 1 + 1e-6
        within = np.array([0.01, 0.05, 0.25, 0.5, 0.9])
        found = (shares[:, None] < within).mean(axis=0)
        np.testing.assert_allclose(found, 2 / np.pi * np.arcsin(np.sqrt(within)), atol=0.025)
    with pytest.raises(ConfigurationError, match="parameter_law"):
        TrainingConfig(parameter_law="normal")


def test_energies_of_training_states_go_with_the_parameters():
    """Three states in ten are drawn by kinetic energy, up to 2.55 times the energy scale."""
    system = DoublePendulum()
    spread = {}
    for share in (0.5, 1.0):
        ranges = dict.fromkeys(("m1", "m2", "l1", "l2"), (share, share + 1e-6))
        samples = drawn(varied(system.sample, system, ranges))
        rest = jax.vmap(lambda s: system.energy(s.q, jnp.zeros(2), s.m))(samples)
        energy = jax.vmap(lambda s: system.energy(s.q, s.qd, s.m))(samples)
        spread[share] = np.quantile((energy - rest) / 29.4, 0.3)
    assert 0.05 < spread[0.5] / spread[1.0] < 0.45


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: f"{system.name}{system.options}")
def test_what_a_system_declares_makes_sense(system):
    ranges = {}
    for name in system.varies:
        if system.parameters[name].default != 0:
            ranges[name] = system.range_of(name)
    assert ranges
    low, high = system.parameter_bounds(**ranges)
    assert np.sum(low < high) == len(ranges)
    assert system.magnitudes
    samples = drawn(varied(system.sample, system, ranges), 500)
    for name, pair in ranges.items():
        column = np.asarray(samples.m[:, list(system.parameters).index(name)])
        assert pair[0] <= column.min() < column.max() <= pair[1] * (1 + 1e-6)
    qdd = jax.jit(jax.vmap(system.acceleration))(*samples[:4])
    assert np.isfinite(qdd).all()


def test_a_chain_without_friction_has_no_range_of_it():
    with pytest.raises(ConfigurationError, match=r'over what viscous1 varies.*"viscous1": \(low'):
        Chain().range_of("viscous1")


def test_a_speed_limit_that_varies_stays_above_the_speeds():
    system = RelativisticParticle()
    samples = drawn(varied(system.sample, system, {"c": (0.5, 2.0), "m": (1.0, 3.0)}))
    c, v = samples.m[:, 1], samples.qd[:, 0]
    assert_uniform(np.asarray(c), 0.5, 2.0)
    assert np.all(np.abs(v) < c)
    assert np.std(samples.m[:, 2]) > 8.0  # g as ever


class Short(System):
    """Its law of states takes no parameters, and its class states no ranges."""

    coordinates = ("theta",)
    angular = True
    parameters = {"l": 1.0, "g": 9.81}  # noqa: RUF012

    def lagrangian(self, q, qd, m):
        l, g = self.named(m)  # noqa: E741
        return 0.5 * (l * qd[0]) ** 2 + g * l * jnp.cos(q[0])

    def sample(self, key):
        return super().sample(key)._replace(qd=jnp.ones(1))


def test_a_law_that_takes_no_parameters():
    system = Short()
    assert system.magnitudes
    for law in (system.sample, system.distributions().starts):
        samples = drawn(varied(law, system, {"l": (0.5, 2.0)}))
        assert_uniform(np.asarray(samples.m[:, 0]), 0.5, 2.0)
        np.testing.assert_allclose(samples.m[:, 1], 9.81, rtol=1e-6)


def test_magnitudes_are_those_of_the_drawn_states():
    system = Short()
    fixed, long = scales_of(system), scales_of(system, {"l": (9.9, 10.1)})
    assert long.mass[0] == pytest.approx(100 * fixed.mass[0], rel=0.02)
    assert 0.05 < long.acceleration[0] / fixed.acceleration[0] < 0.15  # 0.1 but for the forces


def test_models_are_judged_over_their_ranges():
    system, ranges = DoublePendulum(), {"m1": (1.2, 1.4)}
    samples = protocol_samples(system, True, 1000, 1, ranges)
    assert_uniform(np.asarray(samples.m[:, 0]), 1.2, 1.4)
    fixed = protocol_samples(system, True, 1000, 1)
    np.testing.assert_array_equal(samples.q, fixed.q)
    found = checkpoints.load("DoublePendulumBaseline").model
    how = {"dt": 0.05, "states": 4, "seconds": 0.1, "ranges": ranges}
    motion, truth = free_motions(found, system, **how)
    assert len(np.unique(truth.scale)) == 4
    assert truth.scale.min() > 29.4 + 0.2 * 9.8
    assert motion.error(truth).max() > 0


# -- what is learned and recorded -----------------------------------------------------------


def test_the_card_records_the_ranges(trained):
    path, found = trained
    assert found.card.conditioned_on == ("m2", "l1")
    assert found.card.ranges == {"m2": (0.8, 1.2), "l1": (0.5, 1.5)}
    assert found.card.parameters == {"m1": 1.0, "l2": 1.0, "g": 9.8}
    assert "m2 ~ U(0.8, 1.2), l1 ~ U(0.5, 1.5)" in found.card.data
    assert checkpoints.load(path).card == found.card


def test_what_a_system_draws_by_itself_is_recorded(tmp_path):
    card = short(tmp_path / "p.safetensors", None, system="RelativisticParticle").card
    assert (card.conditioned_on, card.ranges) == (("g",), {"g": (-30.0, 30.0)})
    named = short(tmp_path / "n.safetensors", ("g",), system="RelativisticParticle").card
    assert replace(named, metrics={}) == replace(card, metrics={})
    told = {"g": (-1.0, 1.0)}
    narrow = short(tmp_path / "t.safetensors", told, system="RelativisticParticle").card
    assert narrow.ranges == told


def test_fixed_states_are_drawn_from_the_ranges_too(tmp_path):
    config = replace(SMALL, steps=400, fixed_states=300)
    found = short(tmp_path / "f.safetensors", M1, config=config)
    assert found.card.ranges == M1
    at = [found.model.acceleration(*np.float32([[1, 2], [1, 1], [0, 0]]), m) for m in masses()]
    assert np.ptp(np.asarray(at), axis=0).max() > 1e-3


def masses():
    return jnp.array([[m1, 1.0, 1.0, 1.0, 9.8] for m1 in (0.5, 1.0, 1.5)])


def test_a_conditioned_model_is_a_function_of_the_mass(tmp_path):
    """At masses far from the default it beats the model of the default alone."""
    config = replace(SMALL, steps=3000, batch=128, chunk=1500, learning_rate=1e-2)
    network = {"width": 32, "depth": 2}
    how = {"config": config, "model_config": network}
    conditioned = short(tmp_path / "c.safetensors", {"m1": (0.3, 3.0)}, **how)
    fixed = short(tmp_path / "f.safetensors", (), **how)
    errors = {}
    for name, found in (("conditioned", conditioned), ("fixed", fixed)):
        far = {"m1": (2.5, 3.0)}
        judged = {"forced": False, "states": 2000, "ranges": far}
        errors[name] = acceleration_loss(found.model, DoublePendulum(), **judged)
    assert errors["conditioned"] < 0.6 * errors["fixed"]


def test_a_network_sees_small_parameters_as_numbers_of_order_one(tmp_path):
    found = short(tmp_path / "s.safetensors", {"m1": (0.02, 0.05), "m2": (0.5, 1.5)})
    assert found.model.embedding.m_scale == (0.05, 1.0)
    assert checkpoints.load(tmp_path / "s.safetensors").model.embedding == found.model.embedding


def test_resuming_with_other_ranges_is_refused(tmp_path):
    out = tmp_path / "run.safetensors"
    with pytest.raises(KeyboardInterrupt):
        short(out, M1, on_progress=mock.Mock(side_effect=KeyboardInterrupt))
    with pytest.raises(CheckpointError, match=r"ranges was .*0\.5.*asked for .*0\.6"):
        short(out, {"m1": (0.6, 1.5)}, resume=True)
    assert short(out, M1, resume=True).card.ranges == M1


# -- where it may be used -------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_within_the_ranges(trained, dtype):
    path, _ = trained
    for options in ({}, {"m2": 0.8}, {"m2": 1.2, "l1": (0.5, 1.5)}, {"l1": 0.7}):
        env = gymnasium.make(TRUTH, checkpoint=path, dtype=dtype, **options)
        env.reset(seed=0)
        env.unwrapped.set_state(env.unwrapped.get_state())
        LearnedDynamicsEnv(gymnasium.make(TRUTH, dtype=dtype, **options), path)
    vector = gymnasium.make_vec(TRUTH, num_envs=2, checkpoint=path, m2=np.array([0.8, 1.2]))
    vector.reset(seed=0)


OUTSIDE = [
    ({"m2": 1.3}, r"trained on m2 from 0\.8 to 1\.2, not 1\.3; stay within, or train"),
    ({"m2": (0.7, 1.0)}, r"m2 from 0\.8 to 1\.2, not \(0\.7, 1\.0\)"),
    ({"m1": 1.1}, r"trained at m1 = 1\.0, not 1\.1; leave m1 out, or train a model"),
    ({"m1": (0.9, 1.1)}, r"trained at m1 = 1\.0, not \(0\.9, 1\.1\)"),
]


@pytest.mark.parametrize(("options", "message"), OUTSIDE, ids=str)
def test_outside_the_ranges(trained, options, message):
    path, _ = trained
    with pytest.raises(CheckpointError, match=message):
        gymnasium.make(TRUTH, checkpoint=path, **options)
    with pytest.raises(CheckpointError, match=message):
        LearnedDynamicsEnv(gymnasium.make(TRUTH, **options), path)


def test_states_with_parameters_outside_the_ranges(trained):
    path, _ = trained
    env = gymnasium.make(TRUTH, checkpoint=path).unwrapped
    env.reset(seed=0)
    far = EnvState(np.zeros(4), np.array([1.0, 1.0, 1.6, 1.0, 9.8]), np.zeros(0))
    message = r"m: the model was trained on l1 from 0\.5 to 1\.5, not 1\.6"
    with pytest.raises(CheckpointError, match=f"state.{message}"):
        env.set_state(far)
    with pytest.raises(CheckpointError, match=message):
        env.reset(options={"state": far})
    with pytest.raises(CheckpointError, match=message):
        env.simulate(np.zeros(4), np.zeros((3, 2)), l1=1.6)
    env.simulate(np.zeros(4), np.zeros((3, 2)), l1=1.4)


def test_a_card_without_ranges_takes_any():
    env = gymnasium.make("RelativisticParticleLNN-v0", g=50.0)
    assert env.unwrapped.card.ranges == {}
    env.reset(seed=0)


# -- data -----------------------------------------------------------------------------------


def arrays(**columns):
    """Forty states, whose parameters are the system's but for those given."""
    samples, qdd = FreshStates(DoublePendulum()).batch(jax.random.key(0), 40)
    m = np.array(samples.m, np.float64)
    for name, column in columns.items():
        m[:, list(DoublePendulum.parameters).index(name)] = column
    return {**samples._asdict(), "m": m, "qdd": qdd}


def test_the_ranges_of_a_data_set(tmp_path):
    """Parameters on the card are those that the model saw."""
    np.savez(tmp_path / "d.npz", **arrays(m1=2.5, l1=np.linspace(0.5, 2.0, 40)))
    found = short(tmp_path / "d.safetensors", None, data=tmp_path / "d.npz")
    assert found.card.parameters == {"m1": 2.5, "m2": 1.0, "l2": 1.0, "g": 9.8}
    assert found.card.ranges == {"l1": (0.5, 2.0)}
    with pytest.raises(DataError, match="l1 varies in the data"):
        short(tmp_path / "e.safetensors", (), data=tmp_path / "d.npz")
    with pytest.raises(ConfigurationError, match=r"states a range of l1.*give the name alone"):
        short(tmp_path / "e.safetensors", {"l1": (0.5, 2.0)}, data=tmp_path / "d.npz")


def test_the_ranges_of_recorded_transitions(tmp_path):
    env = gymnasium.make_vec(TRUTH, num_envs=8, m1=(0.5, 2.0))
    data = collect(env, 80, episode_steps=5, seed=0)
    config = {"steps": 20, "batch": 4}
    how = {"config": FitConfig.of("Baseline", **config), "model_config": SMALL_MODEL}
    found = fit(data, "Baseline", out=tmp_path / "f.safetensors", metrics=False, **how)
    expected = {"m1": (data.m[:, 0].min(), data.m[:, 0].max())}
    assert found.card.ranges == expected
    with pytest.raises(ConfigurationError, match="no parameter 'charge' to condition on"):
        fit(data, "Baseline", out=tmp_path / "g.safetensors", conditioned_on=("m1", "charge"))
    with pytest.raises(ConfigurationError, match="states a range of m1"):
        fit(data, "Baseline", out=tmp_path / "g.safetensors", conditioned_on={"m1": (0.5, 2.0)})
    with pytest.raises(CheckpointError, match="trained on m1 from"):
        gymnasium.make(TRUTH, checkpoint=str(tmp_path / "f.safetensors"), m1=3.0)


@pytest.mark.parametrize(
    ("varies", "message"),
    [
        ({"l": (2.0, 1.0)}, "l = .*the range is reversed"),
        ({"l": (1.0, 1.0)}, "does not say over what l varies"),
        ({"l": 0.0}, "does not say over what l varies"),
    ],
    ids=str,
)
def test_a_declaration_that_makes_no_sense(varies, message):
    class Declared(Short):
        pass

    Declared.varies = varies
    with pytest.raises(ConfigurationError, match=message):
        Declared().range_of("l")


# -- bad input ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"m1": (1.5, 0.5)}, r"m1 = \(1\.5, 0\.5\): the range is reversed; write \(0\.5, 1\.5\)"),
        ({"m1": (-1.0, 0.5)}, "m1 = .*expected a positive number"),
        ({"m1": (0.5, np.inf)}, "expected a positive number"),
        ({"m1": 1.4}, r"m1 = 1\.4 is a single value: expected \(low, high\)"),
        ({"m1": (1.0, 1.0)}, "is a single value"),
        ({"m1": "heavy"}, "m1 = 'heavy'"),
        ({"m1": (0.5, 1.0, 1.5)}, r"a pair \(low, high\)"),
        ({"charge": (0.0, 1.0)}, "no parameter 'charge' to condition on; it has m1, m2"),
        (("charge",), "no parameter 'charge'"),
        ("m1", r"conditioned_on = 'm1': expected names, such as \(\"m1\", \"l1\"\)"),
        (3, "conditioned_on = 3: expected names"),
    ],
    ids=str,
)
def test_refused_before_training(asked, message, tmp_path):
    with pytest.raises(ConfigurationError, match=message):
        short(tmp_path / "x.safetensors", asked)
    assert list(tmp_path.iterdir()) == []


def test_a_name_alone_of_a_system_that_says_nothing_of_it(tmp_path):
    with pytest.raises(ConfigurationError, match=r"Short does not say over what l varies"):
        short(tmp_path / "x.safetensors", ("l",), system=Short)


@pytest.mark.parametrize("ranges", [{"m2": 3}, {"m2": (1, 2, 3)}, {"m2": "ab"}, [1], None])
def test_ranges_that_are_none_on_a_card(trained, ranges, tmp_path):
    _, found = trained
    path = tmp_path / "odd.safetensors"
    checkpoints.save(path, found.model, replace(found.card, ranges=ranges))
    with pytest.raises(CheckpointError, match="incomplete header"):
        checkpoints.load(path)
