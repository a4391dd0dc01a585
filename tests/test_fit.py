"""Models from recorded transitions alone: small fits, exactly repeatable, and bad data refused."""

from __future__ import annotations

import shutil
from dataclasses import replace
from unittest import mock

import equinox as eqx
import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from physics_helpers import SMALL_MODEL
from test_transitions import WIDE, good, vector

from gym_lagrangian import FitConfig, checkpoints, collect, fit
from gym_lagrangian.envs.functional import make
from gym_lagrangian.errors import CheckpointError, ConfigurationError, DataError
from gym_lagrangian.learning.loop import resume_path
from gym_lagrangian.learning.windows import windows
from gym_lagrangian.models.embedding import Embedding
from gym_lagrangian.registration import NETWORKS

SMALL = FitConfig(steps=60, batch=16, chunk=25, learning_rate=3e-2, horizon=2, warmup=5, seed=3)


@pytest.fixture(scope="module")
def data():
    return collect(vector(), 400, options=WIDE, episode_steps=10, seed=0)


def short(data, model="Baseline", *, out, config=SMALL, **options):
    """A small fit without the measurements at its end."""
    options.setdefault("model_config", SMALL_MODEL)
    return fit(data, model, out=out, config=config, metrics=False, **options)


def stop_at(step):
    def on_progress(progress):
        if progress.step >= step:
            raise KeyboardInterrupt

    return on_progress


def assert_same_run(a, b):
    for x, y in zip(jax.tree.leaves(a.model), jax.tree.leaves(b.model), strict=True):
        np.testing.assert_array_equal(x, y)
    assert a.card == b.card
    assert a.sha256 == b.sha256
    np.testing.assert_array_equal(a.extra["held_out"], b.extra["held_out"])


# -- windows --------------------------------------------------------------------------------


@eqx.filter_jit
def _error(part, model):
    return part.error(model)


def mean_error(part, model):
    return float(_error(part, model))


def cut(data, steps, share=0.2):
    return windows(data, steps, integrator="rk4", substeps=1, share=share, seed=0)


def test_windows_are_recorded_motion_and_share_nothing_with_those_held_out(data):
    learning, judging = cut(data, 3)
    seen = []
    for part in (learning, judging):
        rows = np.asarray(part.starts)[:, None] + np.arange(3)
        assert np.all(data.episode[rows] == data.episode[rows[:, :1]])
        seen.append(set(rows.ravel().tolist()))
    assert not seen[0] & seen[1]
    assert 0.1 < len(seen[1]) / len(data) < 0.3
    samples, targets = learning.batch(jax.random.key(0), 7)
    assert samples.tau.shape == (7, 3, 2)
    assert targets.shape == (7, 3, 4)


def test_the_truth_has_no_error_and_rest_has_what_it_misses(data):
    """The loss in numbers: Σ|x − x_recorded| / (scale · dt), averaged over the window."""
    learning, _ = cut(data, 2)
    samples, targets = learning.batch(jax.random.key(0), 50)
    rest = mock.Mock(embedding=Embedding.of(data.coordinates))
    rest.dynamics.return_value.step = lambda x, tau, m, dt: x
    losses = jax.vmap(lambda s, t: learning.loss(rest, s, t))(samples, targets)
    missed = np.asarray(targets) - np.hstack([samples.q, samples.qd])[:, None]
    expected = np.abs(missed / [1, 1, 5, 5]).sum(-1).mean(-1) / 0.05
    np.testing.assert_allclose(losses, expected, rtol=1e-4)
    truth = mock.Mock(embedding=Embedding.of(data.coordinates))
    truth.dynamics.return_value = make("DoublePendulum")[1].dynamics
    losses = jax.vmap(lambda s, t: learning.loss(truth, s, t))(samples, targets)
    assert np.all(losses < 1e-3 * np.median(expected))


def test_a_wrapped_angle_is_the_same_angle(data):
    """A sensor that counts from −π to π says nothing else."""
    part, _ = cut(data, 2)
    whole_turn = jnp.array([2 * jnp.pi, -2 * jnp.pi, 0.0, 0.0])
    turned = eqx.tree_at(lambda w: w.after, part, part.after + whole_turn)
    model = checkpoints.fresh_model(
        "Baseline", data.system, (), key=jax.random.key(0), **SMALL_MODEL
    )
    assert mean_error(turned, model) == pytest.approx(mean_error(part, model), rel=1e-4)


# -- a fit ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NETWORKS)
def test_every_model_learns_from_transitions(name, data, tmp_path):
    config = replace(SMALL, steps=250, chunk=50, batch=32, horizon=1)
    found = short(data, name, out=tmp_path / "m.safetensors", config=config)
    losses, held_out = found.extra["history"][:, 1], found.extra["held_out"][:, 1]
    assert losses[-1] < 0.9 * losses[0]
    assert min(held_out) < 0.95 * held_out[0]
    assert min(held_out) == np.float32(found.card.metrics["held_out_error"])


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    return short(data, out=tmp_path_factory.mktemp("finished") / "run.safetensors")


def test_an_environment_is_moved_by_what_was_fitted(finished, tmp_path):
    path = tmp_path / "mine.safetensors"
    checkpoints.save(path, finished.model, finished.card)
    env = gymnasium.make("DoublePendulumBaseline-v0", checkpoint=str(path), integrator="rk4")
    env.reset(seed=0)
    assert np.isfinite(env.step(np.ones(2, np.float32))[0]).all()


def test_the_card_tells_where_the_weights_come_from(finished, data):
    card = finished.card
    assert (card.system, card.model, card.forced) == ("DoublePendulum", "Baseline", True)
    assert card.training["horizon"] == 2
    assert "400 recorded transitions of 0.05 s, with forces, no known noise" in card.data
    assert card.parameters == {"m1": 1.0, "m2": 1.0, "l1": 1.0, "l2": 1.0, "g": 9.8}
    assert finished.extra["held_out"][:, 0].tolist() == [25, 50, 60]


def test_the_best_on_what_was_held_out_is_kept(data, tmp_path):
    """A learning rate that ruins the model later does not ruin what is saved."""
    config = replace(SMALL, learning_rate=3.0, clip=None, warmup=6, steps=90, chunk=1)
    found = short(data, out=tmp_path / "m.safetensors", config=config)
    held_out = found.extra["held_out"][:, 1]
    assert held_out[-1] > 1.2 * min(held_out)
    _, judging = windows(data, 2, integrator="rk4", substeps=1, share=0.1, seed=3)
    assert mean_error(judging, found.model) == pytest.approx(min(held_out), rel=1e-4)


def test_of_several_starts_the_best_goes_on(data, tmp_path):
    """Its first error is already less than that of one fitted from random weights."""
    config = replace(SMALL, starts=3, trial=50)
    several = short(data, out=tmp_path / "m.safetensors", config=config)
    one = short(data, out=tmp_path / "n.safetensors")
    assert several.extra["held_out"][0, 1] < one.extra["held_out"][0, 1]
    assert several.card.metrics["held_out_error"] < one.card.metrics["held_out_error"]
    with pytest.raises(CheckpointError, match="exists"):
        short(data, out=tmp_path / "m.safetensors", config=config)


def test_interrupted_and_resumed_equals_uninterrupted(finished, data, tmp_path):
    data.save(tmp_path / "data.npz")
    out = tmp_path / "run.safetensors"
    with pytest.raises(KeyboardInterrupt):
        short(tmp_path / "data.npz", out=out, on_progress=stop_at(50))
    other = shutil.copytree(tmp_path, tmp_path / "other")
    assert_same_run(short(tmp_path / "data.npz", out=out, resume=True), finished)
    with pytest.raises(CheckpointError, match=r"another configuration.*data was.*SHA-256"):
        short(data.first(399), out=other / "run.safetensors", resume=True)


def test_parameters_of_the_data_are_those_of_the_model(tmp_path):
    """Constant ones are on the card; those that vary are inputs."""
    heavy = collect(vector(m1=2.5, g=(5.0, 12.0)), 80, options=WIDE, episode_steps=5, seed=0)
    found = short(heavy, out=tmp_path / "m.safetensors")
    assert found.card.parameters == {"m1": 2.5, "m2": 1.0, "l1": 1.0, "l2": 1.0}
    assert found.card.conditioned_on == ("g",)
    with pytest.raises(CheckpointError, match=r"m1 = 2\.5"):
        gymnasium.make("DoublePendulum-v0", checkpoint=str(tmp_path / "m.safetensors"))
    with pytest.raises(DataError, match="g varies in the data"):
        short(heavy, out=tmp_path / "n.safetensors", conditioned_on=("m1",))


def test_a_network_of_one_step_takes_that_of_the_data(data, tmp_path):
    slow = collect(vector(dt=0.1), 100, options=WIDE, episode_steps=5, seed=0)
    found = short(slow, "MLP", out=tmp_path / "m.safetensors")
    assert found.model.dt == 0.1
    with pytest.raises(ConfigurationError, match=r"0\.05 s, not dt = 0\.1"):
        short(slow, "MLP", out=tmp_path / "n.safetensors", model_config={"dt": 0.05})


# -- bad input, before anything is computed -------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"system": "RelativisticParticle"}, DataError, "of DoublePendulum, not of Relativ"),
        ({"data": 3}, DataError, "data is a int"),
        ({"data": {}}, DataError, "missing arrays"),
        ({"data": good() | {"q": np.full((10, 2), np.nan)}}, DataError, "array q .*finite"),
        ({"data": good() | {"dt": [0.1] * 9 + [0.2]}}, DataError, r"mixed dt, 0\.1, 0\.2 s"),
        ({"data": good()}, DataError, "10 transitions, 1 in the longest episode, give 0 windows"),
        ({"data": "missing.npz"}, DataError, r"missing\.npz"),
        ({"model": "Transformer"}, ConfigurationError, "Transformer"),
        ({"model_config": {"widht": 8}}, ConfigurationError, "widht"),
        ({"out": "m.bin"}, CheckpointError, "must end in"),
    ],
    ids=str,
)
def test_bad_arguments(options, error, message, data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = {"data": data, "out": "m.safetensors", "system": "DoublePendulum"} | options
    with pytest.raises(error, match=message):
        short(**arguments, on_progress=stop_at(0))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "setting",
    [
        {"horizon": 0},
        {"held_out": 0.0},
        {"held_out": 1.0},
        {"weight_decay": -0.1},
        {"integrator": "euler"},
        {"substeps": 0},
        {"steps": 0},
        {"starts": 0},
        {"trial": 0},
    ],
    ids=str,
)
def test_bad_settings(setting):
    (name,) = setting
    with pytest.raises(ConfigurationError, match=name):
        FitConfig(**setting)


def test_what_draws_states_of_a_system_is_no_setting_of_a_fit():
    with pytest.raises(TypeError, match="fixed_states"):
        FitConfig(fixed_states=10)


def test_what_suits_a_model_is_its_own():
    assert FitConfig.of("LNN").weight_decay > 0 == FitConfig.of("MLP").weight_decay
    assert FitConfig.of("LNN", weight_decay=0.0) == replace(FitConfig.of("LNN"), weight_decay=0.0)
    assert FitConfig.of("MLP") == FitConfig()
    with pytest.raises(ConfigurationError, match="Transformer"):
        FitConfig.of("Transformer")


def test_nothing_to_resume_and_nothing_overwritten(data, tmp_path):
    out = tmp_path / "m.safetensors"
    with pytest.raises(CheckpointError, match="nothing to resume"):
        short(data, out=out, resume=True)
    out.write_bytes(b"precious")
    with pytest.raises(CheckpointError, match=r"exists.*overwrite"):
        short(data, out=out)
    assert out.read_bytes() == b"precious"
    assert not resume_path(out).exists()
