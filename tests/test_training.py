"""Training through the public function: short, small, and exactly repeatable."""

from __future__ import annotations

import re
import shutil
from dataclasses import asdict, replace
from functools import partial
from unittest import mock

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from physics_helpers import SMALL, SMALL_MODEL, batched, cheap_measure

from gym_lagrangian import checkpoints
from gym_lagrangian.errors import (
    CheckpointError,
    ConfigurationError,
    DataError,
    TrainingDiverged,
)
from gym_lagrangian.learning import loop as training
from gym_lagrangian.learning.config import TrainingConfig
from gym_lagrangian.learning.loop import resume_path
from gym_lagrangian.learning.relative import Relative
from gym_lagrangian.learning.sources import FreshStates, from_arrays, from_npz
from gym_lagrangian.learning.train import train
from gym_lagrangian.models import Baseline
from gym_lagrangian.models.embedding import Embedding
from gym_lagrangian.systems import DoublePendulum, RelativisticParticle
from gym_lagrangian.version import __version__

MUON = replace(SMALL, steps=120, optimiser="muon", learning_rate=3e-2)

# What the tests of a whole life of a run go through: both models, both optimisers.
RUNS = {"Baseline": SMALL, "LNN": MUON}
CHUNK_ENDS = {"Baseline": [40, 80, 100], "LNN": [40, 80, 120]}


def short(out, model="Baseline", config=None, *, system="DoublePendulum", **options):
    """A small training run whose final metrics cost nothing."""
    options.setdefault("model_config", SMALL_MODEL)
    config = config or RUNS[model]
    return train(system, model, out=out, config=config, **options)


def weights(found):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(found.model)]


@eqx.filter_jit
def fresh_states(key, rows):
    """States and accelerations as training draws them."""
    return FreshStates(DoublePendulum()).batch(key, rows)


def data_of_fresh_states(seed):
    """Arrays of a correct data set of fifty states."""
    samples, qdd = fresh_states(jax.random.key(seed), 50)
    return {name: np.asarray(a) for name, a in {**samples._asdict(), "qdd": qdd}.items()}


@eqx.filter_jit
def loss_on(model, source, key, size):
    return training.loss(model, source, key, size)


def held_out_loss(model):
    """The loss on states that no run has seen."""
    source = from_arrays(data_of_fresh_states(99), DoublePendulum())
    return float(loss_on(model, source, jax.random.key(0), 500))


def start_of(card):
    """The model that a run with this card begins with."""
    return card.build_model(key=jax.random.split(jax.random.key(card.training["seed"]))[0])


def assert_same_run(a, b):
    """Bitwise equal weights and loss history, and the same card."""
    for x, y in zip(weights(a), weights(b), strict=True):
        np.testing.assert_array_equal(x, y)
    np.testing.assert_array_equal(a.extra["history"], b.extra["history"])
    assert a.card == b.card
    assert a.sha256 == b.sha256


def stop_at(step, error=KeyboardInterrupt):
    def on_progress(progress):
        if progress.step >= step:
            raise error

    return on_progress


@pytest.fixture(scope="module", params=RUNS)
def finished(request, tmp_path_factory):
    """A run that nothing disturbed: (model's name, path, checkpoint, progress reports)."""
    out = tmp_path_factory.mktemp("finished") / "run.safetensors"
    reports = []
    found = short(out, request.param, on_progress=reports.append)
    return request.param, out, found, reports


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """The folder of a Baseline run that was stopped by Ctrl-C after the first chunk."""
    folder = tmp_path_factory.mktemp("interrupted")
    with pytest.raises(KeyboardInterrupt):
        short(folder / "run.safetensors", on_progress=stop_at(40))
    return folder


@pytest.fixture
def unfinished(interrupted, tmp_path):
    """A copy of it to experiment on: the path of its `out`, which does not exist yet."""
    shutil.copytree(interrupted, tmp_path / "copy")
    return tmp_path / "copy" / "run.safetensors"


# -- an undisturbed run ---------------------------------------------------------------------


def test_loss_goes_down(finished):
    name, _, found, _ = finished
    steps, losses = found.extra["history"].T
    assert steps.tolist() == CHUNK_ENDS[name]
    assert losses[-1] < 0.95 * losses[0]


def test_progress_is_reported_after_every_chunk(finished):
    name, _, found, reports = finished
    assert [r.step for r in reports] == CHUNK_ENDS[name]
    assert {r.steps for r in reports} == {RUNS[name].steps}
    np.testing.assert_allclose([r.loss for r in reports], found.extra["history"][:, 1], rtol=1e-6)
    assert all(r.states_per_second > 0 for r in reports)


def test_the_card_tells_where_the_weights_come_from(finished):
    name, out, found, _ = finished
    card = found.card
    assert (card.system, card.model) == ("DoublePendulum", name)
    assert card.training == asdict(RUNS[name])
    assert card.model_config.items() >= SMALL_MODEL.items()
    assert card.parameters == {"m1": 1.0, "m2": 1.0, "l1": 1.0, "l2": 1.0, "g": 9.8}
    assert card.conditioned_on == ()
    assert card.metrics == cheap_measure(None, None)
    assert "fresh states" in card.data
    assert card.package_version == __version__
    assert checkpoints.load(out).card == card
    assert not resume_path(out).exists()


def test_weights_on_file_are_those_that_were_trained(finished):
    """They do better than those that the seed began with."""
    _, out, found, _ = finished
    assert held_out_loss(checkpoints.load(out).model) < 0.95 * held_out_loss(start_of(found.card))


def test_a_seed_determines_every_bit(finished, tmp_path):
    name, _, found, _ = finished
    assert_same_run(short(tmp_path / "again.safetensors", name), found)


def test_a_model_conditioned_on_what_the_system_draws(tmp_path):
    found = short(tmp_path / "p.safetensors", system="RelativisticParticle")
    assert found.card.conditioned_on == ("g",)
    assert found.card.parameters == {"m": 1.0, "c": 1.0}
    assert found.card.physics["options"]["lagrangian"] == "paper"
    assert found.model.embedding == Embedding.of(RelativisticParticle(), ("g",))


# -- interruption and resumption ------------------------------------------------------------


def test_interrupted_and_resumed_equals_uninterrupted(finished, tmp_path):
    name, _, found, _ = finished
    out = tmp_path / "run.safetensors"
    with pytest.raises(KeyboardInterrupt):
        short(out, name, on_progress=stop_at(40))
    assert not out.exists()
    saved = checkpoints.load(resume_path(out))
    assert saved.card.metrics["step"] == 40
    reports = []
    resumed = short(out, name, resume=True, on_progress=reports.append)
    assert [r.step for r in reports] == CHUNK_ENDS[name][1:]
    assert_same_run(resumed, found)
    assert not resume_path(out).exists()


def test_a_crash_loses_no_more_than_the_time_between_saves(tmp_path):
    out, whole = tmp_path / "run.safetensors", tmp_path / "whole.safetensors"
    with pytest.raises(RuntimeError, match="power"):
        short(out, save_every=0.0, on_progress=stop_at(80, RuntimeError("power failed")))
    assert checkpoints.load(resume_path(out)).card.metrics["step"] == 40
    assert_same_run(short(out, resume=True), short(whole))


def test_nothing_is_saved_between_chunks_before_it_is_time(tmp_path):
    out, seen = tmp_path / "run.safetensors", []
    short(out, save_every=1e9, on_progress=lambda _: seen.append(resume_path(out).exists()))
    assert seen == [False, False, False]


def test_ctrl_c_while_measuring_saves_what_was_trained(tmp_path):
    """The metrics take as long as some trainings; stopping there must not lose the weights."""
    out, whole = tmp_path / "run.safetensors", tmp_path / "whole.safetensors"
    with (
        mock.patch.object(training, "measure", side_effect=KeyboardInterrupt),
        pytest.raises(KeyboardInterrupt),
    ):
        train("DoublePendulum", "Baseline", out=out, config=SMALL, model_config=SMALL_MODEL)
    assert resume_path(out).exists()
    assert_same_run(short(out, resume=True, on_progress=stop_at(0)), short(whole))


def test_resume_with_another_configuration_is_refused(unfinished):
    before = resume_path(unfinished).read_bytes()
    for change, message in [
        ({"config": replace(SMALL, learning_rate=1e-4)}, r"learning_rate.*0\.05.*0\.0001"),
        ({"model_config": {"width": 9, "depth": 2}}, "model_config.*8.*9"),
        ({"model": "LNN"}, "Baseline.*LNN"),
    ]:
        with pytest.raises(CheckpointError, match=message):
            short(unfinished, resume=True, **({"config": SMALL} | change))
    assert resume_path(unfinished).read_bytes() == before


def test_resume_with_other_physics_is_refused(tmp_path):
    out, how = tmp_path / "run.safetensors", {"system": "RelativisticParticle"}
    with pytest.raises(KeyboardInterrupt):
        short(out, on_progress=stop_at(40), **how)
    other = {"lagrangian": "special_relativity"}
    with pytest.raises(CheckpointError, match=r"physics was .*'paper'.*'special_relativity'"):
        short(out, resume=True, system_options=other, **how)
    resumed = short(out, resume=True, **how)
    assert_same_run(resumed, short(tmp_path / "whole.safetensors", **how))


def test_resume_from_a_damaged_file_is_refused(unfinished):
    path = resume_path(unfinished)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(CheckpointError, match="truncated"):
        short(unfinished, resume=True)


def test_nothing_to_resume(tmp_path):
    with pytest.raises(CheckpointError, match="nothing to resume"):
        short(tmp_path / "run.safetensors", resume=True)


# -- what exists is not harmed --------------------------------------------------------------


def test_existing_file_is_refused_and_untouched(tmp_path):
    out = tmp_path / "run.safetensors"
    out.write_bytes(b"precious")
    with pytest.raises(CheckpointError, match=r"run\.safetensors.*exists.*overwrite"):
        short(out)
    assert out.read_bytes() == b"precious"
    assert [p.name for p in tmp_path.iterdir()] == ["run.safetensors"]


def test_unfinished_run_is_refused_and_untouched(unfinished):
    before = resume_path(unfinished).read_bytes()
    with pytest.raises(CheckpointError, match=r"run\.resume\.safetensors.*exists.*resume"):
        short(unfinished)
    assert resume_path(unfinished).read_bytes() == before


def test_overwrite_replaces_both_and_starts_anew(unfinished):
    unfinished.write_bytes(b"old")
    reports = []
    short(unfinished, overwrite=True, on_progress=reports.append)
    assert [r.step for r in reports] == CHUNK_ENDS["Baseline"]
    assert checkpoints.load(unfinished).card.training == asdict(SMALL)
    assert not resume_path(unfinished).exists()


@pytest.mark.parametrize("name", ["run.bin", "run", "folder.txt/run.safetensors"])
def test_an_impossible_path_is_refused_before_training(name, tmp_path):
    """Not after an hour of it: wrong suffix, or a folder that is a file."""
    (tmp_path / "folder.txt").write_text("a file")
    with pytest.raises(CheckpointError, match=r"run"):
        short(tmp_path / name, on_progress=stop_at(0, AssertionError("training began")))


# -- divergence -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def good_data():
    return data_of_fresh_states(0)


def test_divergence_saves_the_last_good_state(tmp_path, good_data):
    """One row in fifty overflows float32 in the loss; batches of one meet it sooner or later."""
    qdd = good_data["qdd"].astype(np.float64)
    qdd[7] = 3e38
    np.savez(tmp_path / "data.npz", **(good_data | {"qdd": qdd}))
    out = tmp_path / "run.safetensors"
    config = replace(SMALL, steps=1000, batch=1, chunk=5, seed=1)
    reports = []
    with pytest.raises(TrainingDiverged, match="learning rate") as caught:
        short(out, config=config, data=tmp_path / "data.npz", on_progress=reports.append)
    assert str(resume_path(out)) in str(caught.value)
    assert "quadratic_start" not in str(caught.value)  # a Baseline has none
    assert not out.exists()
    saved = checkpoints.load(resume_path(out))
    assert saved.card.metrics["step"] == reports[-1].step > 0
    assert f"after step {reports[-1].step} " in str(caught.value)
    bad = int(re.search(r"non-finite at step (\d+)", str(caught.value))[1])
    assert 0 <= bad - reports[-1].step < 5
    assert all(np.isfinite(w).all() for w in weights(saved))
    np.testing.assert_allclose(saved.extra["history"][:, 1], [r.loss for r in reports], rtol=1e-6)


def test_what_divergence_saves_is_good_where_a_chunk_ended_in_a_bad_update(tmp_path):
    """The loss was finite to the end of the chunk whose last update ruined the weights.

    The warm-up starts at a learning rate of zero, so the good weights are those of the start.
    """
    out = tmp_path / "run.safetensors"
    with pytest.raises(TrainingDiverged):
        short(out, config=replace(SMALL, learning_rate=1e30, chunk=1))
    saved = checkpoints.load(resume_path(out))
    assert np.isfinite(held_out_loss(saved.model))
    assert eqx.tree_equal(saved.model, start_of(saved.card))


# -- data -----------------------------------------------------------------------------------


def test_loss_is_the_weighted_mean_of_absolute_errors(good_data):
    """Σ w Σ_i |q̈_i − q̈_i^true| / Σ w over the batch."""
    source = from_arrays(good_data, DoublePendulum())
    model = Baseline.build(Embedding.of(DoublePendulum()), key=jax.random.key(0), **SMALL_MODEL)
    key = jax.random.key(5)
    samples, qdd = source.batch(key, 32)
    predicted = np.asarray(jax.jit(jax.vmap(model.acceleration))(*samples[:4]))
    errors, w = np.abs(predicted - qdd).sum(1), np.asarray(samples.weight)
    assert np.ptp(w) > 0.1
    expected = (w * errors).sum() / w.sum()
    assert float(loss_on(model, source, key, 32)) == pytest.approx(expected, rel=1e-5)


def test_the_relative_loss_counts_small_errors_as_they_are_and_large_ones_by_their_logarithm(
    good_data,
):
    """s log(1 + e / (s + a)) with a = Σ_i |q̈_i|; s is the lower quartile of a."""
    states = from_arrays(good_data, DoublePendulum())
    model = Baseline.build(Embedding.of(DoublePendulum()), key=jax.random.key(0), **SMALL_MODEL)
    source = Relative.of(states, model, jax.random.key(1))
    samples, qdd = states.batch(jax.random.key(5), 32)
    sizes = np.abs(np.asarray(states.targets)).sum(1)
    assert float(source.small) == pytest.approx(np.percentile(sizes, 25), rel=0.2)
    error = np.asarray(jax.vmap(model.loss)(samples, qdd))
    found = np.asarray(jax.vmap(partial(source.loss, model))(samples, qdd))
    s, a = float(source.small), np.abs(np.asarray(qdd)).sum(1)
    assert found == pytest.approx(s * np.log(1 + error / (s + a)), rel=1e-5)


def test_training_by_the_relative_loss(tmp_path, good_data):
    """It learns, the card says so, and a model of later states is refused."""
    config = replace(SMALL, error="relative", steps=400)
    trained = short(tmp_path / "relative.safetensors", config=config)
    assert trained.card.training["error"] == "relative"
    assert trained.extra["history"][-1, 1] < 0.95 * trained.extra["history"][0, 1]
    with pytest.raises(ConfigurationError, match=r"relative.*MLP"):
        short(tmp_path / "mlp.safetensors", model="MLP", config=replace(config, steps=4))


def test_batches_are_rows_of_the_data(good_data):
    source = from_arrays(good_data, DoublePendulum())
    samples, qdd = source.batch(jax.random.key(0), 200)
    rows = np.concatenate([samples.q, samples.qd, samples.tau, samples.m, qdd], axis=1)
    names = ("q", "qd", "tau", "m", "qdd")
    known = np.concatenate([good_data[name] for name in names], axis=1)
    found = {row.tobytes() for row in rows.astype(np.float32)}
    assert found <= {row.tobytes() for row in known.astype(np.float32)}
    assert len(found) > 40  # of 50: drawn from all over


def test_fresh_states_are_exact_and_never_repeat():
    samples, qdd = fresh_states(jax.random.key(1), 50)
    exact = batched(DoublePendulum().acceleration, *samples[:4], dtype="float32")
    np.testing.assert_allclose(qdd, exact, rtol=1e-3, atol=1e-3)
    assert len(np.unique(samples.q[:, 0])) == 50
    forced = np.any(np.asarray(samples.tau) != 0, axis=1)
    assert 0 < forced.sum() < 50
    assert not np.array_equal(fresh_states(jax.random.key(2), 50)[1], qdd)


def test_training_on_a_data_set(tmp_path, good_data):
    path = tmp_path / "states.npz"
    np.savez(path, **good_data)
    found = short(tmp_path / "run.safetensors", data=path)
    assert "states.npz" in found.card.data
    assert "50 fixed states" in found.card.data
    losses = found.extra["history"][:, 1]
    assert losses[-1] < 0.9 * losses[0]
    # Another file of the same name is another run: resuming on it would mix the two.
    np.savez(path, **data_of_fresh_states(1))
    out = tmp_path / "b.safetensors"
    with pytest.raises(KeyboardInterrupt):
        short(out, data=path, on_progress=stop_at(40))
    np.savez(path, **good_data)
    with pytest.raises(CheckpointError, match=r"another configuration.*data"):
        short(out, data=path, resume=True)


def test_optional_arrays_have_defaults(good_data):
    needed = {name: good_data[name] for name in ("q", "qd", "qdd")}
    samples = from_arrays(needed, DoublePendulum()).samples
    assert samples.tau.shape == (50, 2)
    assert not np.any(samples.tau)
    np.testing.assert_allclose(samples.m, np.tile([1.0, 1.0, 1.0, 1.0, 9.8], (50, 1)))
    assert np.all(samples.weight == 1)
    assert all(a.dtype == jnp.float32 for a in jax.tree.leaves(samples))


def with_nan(array):
    array = array.copy()
    array.flat[3] = np.nan
    return array


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"qdd": lambda a: None}, r"missing.*'qdd'"),
        ({"qd": lambda a: None, "q": lambda a: None}, r"missing.*'q', 'qd'"),
        ({"velocity": lambda a: np.zeros(3)}, r"unknown.*'velocity'"),
        ({"qd": lambda a: a[:, :1]}, r"array qd .*\(50, 1\).*\(50, 2\)"),
        ({"qdd": lambda a: a[:-1]}, r"array qdd .*\(49, 2\).*\(50, 2\)"),
        ({"q": lambda a: a[:, 0]}, r"array q .*\(50,\).*\(50, 2\)"),
        ({"m": lambda a: a[0]}, r"array m .*\(5,\).*\(50, 5\)"),
        ({"weight": lambda a: a[:, None]}, r"array weight "),
        ({"q": with_nan}, "array q .*finite"),
        ({"tau": lambda a: a / 0.0 + np.inf}, "array tau .*finite"),
        ({"q": lambda a: np.array(3.0)}, "array q "),
        ({"qdd": lambda a: a.astype(str)}, "array qdd .*numbers"),
        (dict.fromkeys(("q", "qd", "qdd", "tau", "m", "weight"), lambda a: a[:0]), "q has no rows"),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_bad_arrays_are_named(changes, message, good_data, tmp_path):
    arrays = good_data | {name: change(good_data.get(name)) for name, change in changes.items()}
    np.savez(tmp_path / "bad.npz", **{k: v for k, v in arrays.items() if v is not None})
    out = tmp_path / "run.safetensors"
    with pytest.raises(DataError, match=message):
        short(out, data=tmp_path / "bad.npz")
    assert not out.exists()
    assert not resume_path(out).exists()


def test_a_system_that_varies_needs_its_parameters():
    arrays = {name: np.ones((50, 1)) for name in ("q", "qd", "qdd")}
    with pytest.raises(DataError, match=r"varies in g.*array m.*\(50, 3\)"):
        from_arrays(arrays, RelativisticParticle())


def write_pickled(path, good):
    np.savez(path, **(good | {"q": np.array([{"a": 1}] * 50, dtype=object)}))


def write_truncated(path, good):
    np.savez(path, **good)
    path.write_bytes(path.read_bytes()[:-200])


def write_damaged(path, good):
    np.savez(path, **good)
    data = bytearray(path.read_bytes())
    data[data.index(b"NUMPY") + 300] ^= 0xFF
    path.write_bytes(bytes(data))


def write_npy(path, good):
    with path.open("wb") as file:
        np.save(file, good["q"])


UNREADABLE = {
    "missing": lambda path, good: None,
    "empty": lambda path, good: path.write_bytes(b""),
    "text": lambda path, good: path.write_text("q,qd,qdd\n1,2,3\n"),
    "random": lambda path, good: path.write_bytes(np.random.default_rng(0).bytes(500)),
    "folder": lambda path, good: path.mkdir(),
    "npy": write_npy,
    "pickled": write_pickled,
    "truncated": write_truncated,
    "damaged": write_damaged,
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_files_that_are_no_data_set(kind, good_data, tmp_path):
    path = tmp_path / "bad.npz"
    UNREADABLE[kind](path, good_data)
    with pytest.raises(DataError, match=r"bad\.npz"):
        from_npz(path, DoublePendulum())


# -- configuration --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "setting",
    [
        {"steps": 0},
        {"steps": 1.5},
        {"batch": 0},
        {"chunk": -1},
        {"seed": -1},
        {"seed": 2**32},
        {"seed": 1.5},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"learning_rate": float("inf")},
        {"learning_rate": "fast"},
        {"final_learning_rate": -0.1},
        {"warmup": -1},
        {"clip": 0.0},
        {"optimiser": "sgd"},
        {"error": "squared"},
    ],
    ids=str,
)
def test_bad_training_settings_are_refused(setting):
    (name,) = setting
    with pytest.raises(ConfigurationError, match=name):
        TrainingConfig(**setting)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"system": "NoSuchPendulum"}, "NoSuchPendulum.*DoublePendulum"),
        ({"model": "Transformer", "config": SMALL}, "Transformer.*LNN"),
        ({"model_config": {"width": 0}}, "width"),
        ({"model_config": {"widht": 8}}, "widht"),
        (
            {"system": "RelativisticParticle", "system_options": {"lagrangian": "newton"}},
            "newton",
        ),
        ({"system_options": {"torque_max": 8}}, "torque_max"),  # an option of the task
        ({"conditioned_on": ("charge",)}, "charge"),
        ({"system": "RelativisticParticle", "conditioned_on": ()}, "g"),
    ],
    ids=str,
)
def test_bad_arguments_are_refused_before_training(options, message, tmp_path):
    out = tmp_path / "run.safetensors"
    with pytest.raises(ConfigurationError, match=message):
        short(out, on_progress=stop_at(0, AssertionError("training began")), **options)
    assert list(tmp_path.iterdir()) == []


# -- the whole thing ------------------------------------------------------------------------


@pytest.mark.slow
def test_train_and_measure_without_shortcuts(tmp_path, measured):
    """A few seconds of training already predict; the metrics are the paper's measurements."""
    config = TrainingConfig(steps=1500, batch=128, chunk=500, seed=0)
    found = train(
        *("DoublePendulum", "LNN"),
        out=tmp_path / "run.safetensors",
        config=config,
        model_config={"width": 32, "depth": 2},
    )
    metrics = found.card.metrics
    assert 0 < metrics["acceleration_loss"] < 25.0  # of 46.8, the mean of Σ|q̈|
    assert 0 < metrics["acceleration_loss_forced"] < 25.0
    for name in ("energy_discrepancy_10s", "energy_discrepancy_100s"):
        summary = metrics[name]
        assert 0 < summary["median"] <= summary["max"]
        assert summary["median"] < 0.5
    assert checkpoints.load(tmp_path / "run.safetensors").card.metrics == metrics
