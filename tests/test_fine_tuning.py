"""Fine-tuning: trainings and fits that go on from a trained model."""

from __future__ import annotations

from dataclasses import replace
from unittest import mock

import equinox as eqx
import gymnasium
import jax
import numpy as np
import pytest
from physics_helpers import SMALL, SMALL_MODEL

from gym_lagrangian import FitConfig, checkpoints, collect, fit, train
from gym_lagrangian.cli import main
from gym_lagrangian.errors import CheckpointError, ConfigurationError, DataError
from gym_lagrangian.evaluation.local import acceleration_loss
from gym_lagrangian.systems import DoublePendulum

OTHER = {"m1": 1.4, "m2": 0.7}
WIDE = {"low": [-3.0, -3.0, -6.0, -6.0], "high": [3.0, 3.0, 6.0, 6.0]}
BRIEF = FitConfig(steps=40, batch=16, chunk=20, learning_rate=1e-2)


def recorded(seed=0, transitions=200, **parameters):
    env = gymnasium.make_vec("DoublePendulum-v0", num_envs=20, **parameters)
    return collect(env, transitions, options=WIDE, episode_steps=10, seed=seed)


@pytest.fixture(scope="module")
def heavy():
    return recorded(**OTHER)


def short_train(model="Baseline", system="DoublePendulum", **options):
    options.setdefault("config", SMALL)
    return train(system, model, **options)


def short_fit(data, *model, **options):
    options = {"config": BRIEF, "metrics": False} | options
    return fit(data, *model, **options)


def weights(model):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(model)]


# -- what it is good for --------------------------------------------------------------------


LONGER = [("Baseline", 1), ("LNN", 0), ("DeLaN", 0)]
SLOW = [pytest.param(*one, marks=pytest.mark.slow) for one in LONGER]


@pytest.mark.parametrize(("model", "seed"), [("Baseline", 0), *SLOW])
def test_a_shipped_model_learns_other_masses_from_two_hundred_transitions(model, seed, tmp_path):
    """A third of the steps, and a tenth of the error; the test asks for a fifth."""
    data, errors, shipped = recorded(seed, **OTHER), {}, f"DoublePendulum{model}"
    at = {name: (mass, mass) for name, mass in OTHER.items()}
    how = {"forced": True, "states": 2000, "ranges": at}
    for init, steps in ((shipped, 200), (None, 600)):
        config = FitConfig.of(model, steps=steps, seed=seed, starts=1)
        out = tmp_path / f"{init}.safetensors"
        found = short_fit(data, model, out=out, init=init, config=config).model
        errors[init] = acceleration_loss(found, DoublePendulum(), **how)
    untouched = acceleration_loss(checkpoints.load(shipped).model, DoublePendulum(), **how)
    assert errors[shipped] < 0.2 * errors[None]
    assert errors[shipped] < 0.5 * untouched


# -- what it does ---------------------------------------------------------------------------


def test_a_fit_says_where_it_came_from(heavy, baseline_checkpoint, tmp_path):
    origin = checkpoints.load(baseline_checkpoint)
    found = short_fit(heavy, out=tmp_path / "f.safetensors", init=baseline_checkpoint)
    card = found.card
    assert card.init == {"checkpoint": origin.path.stem, "sha256": origin.sha256}
    assert (card.model, card.model_config) == ("Baseline", origin.card.model_config)
    assert card.parameters == origin.card.parameters | OTHER
    assert found.model.embedding == origin.model.embedding
    assert card.metrics["held_out_error"] <= card.metrics["initial_error"]
    assert found.extra["held_out"][0, 0] == 0
    gymnasium.make("DoublePendulum-v0", checkpoint=str(tmp_path / "f.safetensors"), **OTHER)
    again = short_fit(heavy, out=tmp_path / "again.safetensors", init=origin)
    assert again.sha256 == found.sha256


def test_a_training_begins_where_the_other_ended(baseline_checkpoint, tmp_path):
    """One step of Adam moves a weight by its learning rate, and no further."""
    origin = checkpoints.load(baseline_checkpoint)
    config = replace(SMALL, steps=1, chunk=1)
    how = {"config": config, "model_config": {"width": 8}}
    found = short_train(out=tmp_path / "t.safetensors", init=origin, **how)
    moved = zip(weights(found.model), weights(origin.model), strict=True)
    furthest = max(np.abs(after - before).max() for after, before in moved)
    assert 0 < furthest < 1.01 * SMALL.learning_rate
    fresh = short_train(out=tmp_path / "n.safetensors", model_config=SMALL_MODEL)
    assert (found.card.init or {})["sha256"] == origin.sha256
    assert fresh.card.init is None


def test_what_was_there_is_kept_where_nothing_later_is_better(tmp_path):
    """A model that knows this machine already, and steps that are too large."""
    config = replace(BRIEF, learning_rate=0.1, warmup=0, optimiser="adam", clip=None)
    origin = checkpoints.load("DoublePendulumBaseline")
    found = short_fit(recorded(), out=tmp_path / "f.safetensors", init=origin, config=config)
    for after, before in zip(weights(found.model), weights(origin.model), strict=True):
        np.testing.assert_array_equal(after, before)
    assert found.card.metrics["held_out_error"] == found.card.metrics["initial_error"]


def test_interrupted_and_resumed(heavy, baseline_checkpoint, tmp_path):
    how = {"init": baseline_checkpoint}
    whole = short_fit(heavy, out=tmp_path / "w.safetensors", **how)
    out = tmp_path / "r.safetensors"
    with pytest.raises(KeyboardInterrupt):
        short_fit(heavy, out=out, on_progress=mock.Mock(side_effect=KeyboardInterrupt), **how)
    assert short_fit(heavy, out=out, resume=True, **how).sha256 == whole.sha256
    with pytest.raises(KeyboardInterrupt):
        short_fit(
            heavy,
            out=tmp_path / "x.safetensors",
            on_progress=mock.Mock(side_effect=KeyboardInterrupt),
            **how,
        )
    with pytest.raises(CheckpointError, match=r"init was .*sha256.*asked for None"):
        short_fit(
            heavy, "Baseline", out=tmp_path / "x.safetensors", resume=True, model_config=SMALL_MODEL
        )


def test_a_canonical_model_keeps_the_true_momenta(heavy, make_checkpoint, tmp_path):
    path = make_checkpoint("DoublePendulum", "HNN")
    found = short_fit(heavy, out=tmp_path / "h.safetensors", init=path)
    assert found.model.legendre == DoublePendulum()
    assert eqx.tree_equal(checkpoints.load(tmp_path / "h.safetensors").model, found.model)


@pytest.fixture(scope="module")
def conditioned(tmp_path_factory):
    """The path of a small model of the first mass."""
    out = tmp_path_factory.mktemp("conditioned") / "m1.safetensors"
    short_train(out=out, conditioned_on={"m1": (0.7, 1.3)}, model_config=SMALL_MODEL)
    return str(out)


def test_ranges_go_on_or_are_stated_anew(conditioned, tmp_path):
    kept = short_train(out=tmp_path / "k.safetensors", init=conditioned)
    assert kept.card.ranges == {"m1": (0.7, 1.3)}
    wide = {"m1": (0.5, 2.0)}
    found = short_train(out=tmp_path / "w.safetensors", init=conditioned, conditioned_on=wide)
    assert found.card.ranges == wide


def test_the_range_of_one_machine(conditioned, tmp_path):
    data = recorded(m1=1.2)
    found = short_fit(data, out=tmp_path / "one.safetensors", init=conditioned)
    assert found.card.conditioned_on == ("m1",)
    assert found.card.ranges == {"m1": (1.2, 1.2)}


def test_from_the_command_line(heavy, baseline_checkpoint, tmp_path):
    heavy.save(tmp_path / "heavy.npz")
    out = tmp_path / "tuned.safetensors"
    command = ["fit", str(tmp_path / "heavy.npz"), "Baseline", "--out", str(out), "--steps", "4"]
    assert main([*command, "--init", baseline_checkpoint]) == 0
    origin = checkpoints.load(baseline_checkpoint)
    assert (checkpoints.load(out).card.init or {})["sha256"] == origin.sha256


# -- what does not go on --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": "LNN"}, r"is Baseline, not LNN: what goes on from it has to be the same"),
        ({"model_config": {"width": 9}}, "has width = 8, not 9"),
        ({"model_config": {"widht": 8}}, "widht"),
        ({"conditioned_on": ("m1",)}, "takes no parameter as input, not m1"),
        (
            {"system": "RelativisticParticle"},
            r"DoublePendulum \(theta1 in rad, theta2 in rad; m1, m2, l1, l2, g\), not Relativ",
        ),
        ({"init": 3}, "init = 3: expected a Checkpoint, the path"),
    ],
    ids=str,
)
def test_what_differs_is_named(arguments, message, baseline_checkpoint, tmp_path):
    given = {"init": baseline_checkpoint, "out": tmp_path / "x.safetensors"} | arguments
    with pytest.raises(ConfigurationError, match=message):
        short_train(**given)
    assert list(tmp_path.iterdir()) == []


def test_no_such_file(heavy, tmp_path):
    with pytest.raises(CheckpointError, match="no checkpoint 'nothing'"):
        short_fit(heavy, out=tmp_path / "x.safetensors", init="nothing")


def test_what_varies_in_the_data_and_the_model_does_not_know(baseline_checkpoint, tmp_path):
    data = recorded(m1=(0.5, 2.0))
    with pytest.raises(DataError, match="m1 varies in the data"):
        short_fit(data, out=tmp_path / "x.safetensors", init=baseline_checkpoint)
