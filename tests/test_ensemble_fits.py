"""Fits of ensembles: one program, members that differ, and bands of the stated coverage."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
from physics_helpers import SMALL, SMALL_MODEL
from test_fit import assert_same_run, stop_at
from test_transitions import WIDE, vector

from gym_lagrangian import Ensemble, FitConfig, Transitions, bands, checkpoints, collect, fit, train
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.learning.loop import resume_path
from gym_lagrangian.learning.members import errors
from gym_lagrangian.learning.windows import growing_windows, starts_of

EXAMPLES = Path(__file__).parents[1] / "examples"
QUICK = FitConfig(steps=60, batch=16, chunk=25, learning_rate=3e-2, horizon=2, warmup=5, seed=3)


@pytest.fixture(scope="module")
def data():
    return collect(vector(), 800, options=WIDE, episode_steps=20, seed=0)


def short(data, model="MLP", *, out, config=QUICK, **options):
    options.setdefault("members", 3)
    options.setdefault("model_config", SMALL_MODEL)
    return fit(data, model, out=out, config=config, metrics=False, **options)


@pytest.fixture(scope="module")
def fitted(data, tmp_path_factory):
    return short(data, out=tmp_path_factory.mktemp("fits") / "three.safetensors")


def weights(model):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(model)]


def test_members_differ_and_each_is_its_best_on_the_same_rows(data, fitted):
    assert isinstance(fitted.model, Ensemble)
    assert fitted.card.members == fitted.model.members == 3
    assert all(len(np.unique(leaf, axis=0)) == 3 for leaf in weights(fitted.model))
    course, card = fitted.extra["held_out"], fitted.card
    assert course.shape == (3, 4)  # three chunks: a step and three errors
    how = {name: card.training[name] for name in ("integrator", "substeps")}
    how |= {"share": card.training["held_out"], "seed": card.training["seed"]}
    _, judge = growing_windows(data, (2,), time=1.0, robust=False, **how)
    found = errors(judge, fitted.model)
    np.testing.assert_allclose(found, course[:, 1:].min(axis=0), rtol=1e-4)
    np.testing.assert_allclose(found, card.metrics["held_out_errors"], rtol=1e-4)
    assert card.metrics["held_out_error"] == pytest.approx(found.mean(), rel=1e-4)


def test_the_same_seed_is_the_same_ensemble_also_where_it_was_interrupted(data, fitted, tmp_path):
    out = tmp_path / "resumed.safetensors"
    with pytest.raises(KeyboardInterrupt):
        short(data, out=out, on_progress=stop_at(25))
    assert resume_path(out).exists()
    assert_same_run(short(data, out=out, resume=True), fitted)


def test_one_member_is_a_model_as_ever(data, tmp_path):
    one, plain = (
        short(data, out=tmp_path / f"{members}.safetensors", members=members)
        for members in (1, None)
    )
    assert not isinstance(one.model, Ensemble)
    assert_same_run(one, plain)


def test_an_ensemble_goes_on_from_an_ensemble(data, fitted, tmp_path):
    """On more data, with a growing horizon; nothing gets worse on what is held out."""
    more = collect(vector(), 1000, options=WIDE, episode_steps=20, seed=1)
    config = replace(QUICK, horizon=((2, 0.5), (4, 0.5)))
    found = short(more, out=tmp_path / "on.safetensors", init=fitted, members=None, config=config)
    assert found.model.members == 3
    assert found.card.init["sha256"] == fitted.sha256
    assert found.card.metrics["held_out_error"] <= found.card.metrics["initial_error"]


def test_each_member_begins_with_its_best_start(data, tmp_path):
    config = replace(QUICK, starts=2, trial=10, steps=10)
    found = short(data, out=tmp_path / "starts.safetensors", config=config)
    assert found.model.members == 3


@pytest.mark.parametrize("members", [0, -1, 2.5, True])
def test_no_number_of_members_is_refused(data, tmp_path, members):
    with pytest.raises(ConfigurationError, match=r"members = .*whole number of at least 1"):
        short(data, out=tmp_path / "none.safetensors", members=members)


def test_another_number_than_there_is_to_go_on_from_is_refused(data, fitted, tmp_path):
    with pytest.raises(ConfigurationError, match="members = 5: init has 3"):
        short(data, out=tmp_path / "five.safetensors", init=fitted, members=5)


@pytest.mark.slow
def test_forces_are_learned_by_ensembles_as_well(data, tmp_path):
    qdd = (data.next_qd - data.qd) / data.dt
    data = Transitions(data.system, dt=data.dt, qdd=qdd, **data.arrays)
    out = tmp_path / "force.safetensors"
    found = short(data, "DeLaN", out=out, members=2, objective="force")
    assert len(found.card.metrics["held_out_errors"]) == 2


def test_a_system_trains_an_ensemble(tmp_path):
    config = replace(SMALL, steps=20, chunk=20)
    how = {"out": tmp_path / "trained.safetensors", "config": config, "metrics": False}
    found = train("DoublePendulum", "Baseline", members=2, model_config=SMALL_MODEL, **how)
    assert isinstance(checkpoints.load(how["out"]).model, Ensemble)
    assert all(len(np.unique(leaf, axis=0)) == 2 for leaf in weights(found.model))


# -- bands ----------------------------------------------------------------------------------


def coverage(found, data, steps):
    """The share of true states within the bands, over windows of so many steps."""
    rows = starts_of(data.episode, np.ones(len(data), bool), steps)[:: steps // 2]
    rows = rows[:, None] + np.arange(steps)
    start = np.hstack([data.q, data.qd])[rows[:, 0]]
    around = bands(found, start, data.tau[rows], dt=data.dt)
    truth = np.hstack([data.next_q, data.next_qd])[rows]
    return around.hold(truth).mean(), around


def test_bands_hold_about_nine_of_ten_true_states(fitted):
    """Of motion that nobody saw, from where the data are, also where models are poor."""
    fresh = collect(vector(), 2000, options=WIDE, episode_steps=20, seed=9)
    known = fitted.card.metrics["bands"]
    steps = len(known["factor"])
    assert steps >= 4
    found, around = coverage(fitted, fresh, steps)
    assert 0.75 < found < 0.98
    assert np.all(around.low < around.high)
    np.testing.assert_allclose(around.low + around.high, 2.0 * around.mean, atol=1e-6)


def test_bands_of_an_ensemble_that_nobody_calibrated_are_students(fitted):
    motion = np.zeros(4), np.zeros((2, 2))
    how = {"dt": 0.05, "m": [1.0, 1.0, 1.0, 1.0, 9.81]}
    around = bands(fitted.model, *motion, **how)
    each = fitted.model.predict(*motion, members=True, **how)
    spread = np.std(np.asarray(each, np.float64), axis=0, ddof=1)
    student = 2.919986 * np.sqrt(4 / 3)  # the 95 % quantile of t with two degrees of freedom
    np.testing.assert_allclose(around.high - around.low, 2 * student * spread, rtol=1e-5)


def test_a_single_model_has_no_bands(baseline_checkpoint):
    with pytest.raises(ConfigurationError, match="bands of Baseline: expected an ensemble"):
        bands(checkpoints.load(baseline_checkpoint), np.zeros(4), np.zeros((2, 2)), dt=0.05)


@pytest.mark.slow
def test_disagreement_tells_error_and_bands_hold_nine_of_ten(tmp_path):
    """The example's own numbers, at its own size."""
    sys.path.insert(0, str(EXAMPLES))
    try:
        from ensemble_uncertainty import judged, learned
    finally:
        sys.path.remove(str(EXAMPLES))
    found = judged(learned("MLP", tmp_path / "five.safetensors"))
    assert 0.85 <= found["coverage inside"] <= 0.95
    assert found["rank correlation"] >= 0.7
