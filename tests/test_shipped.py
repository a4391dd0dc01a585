"""What the shipped checkpoints must show, measured through the registered environments."""

import pytest

import gym_lagrangian  # noqa: F401
from gym_lagrangian import checkpoint
from gym_lagrangian.evaluation import evaluate
from gym_lagrangian.registration import environments

LEARNED = [row for row in environments() if row.model is not None]


def at(report: dict, seconds: float) -> dict:
    return next(r for r in report["energy_discrepancy"] if r["time"] == seconds)


@pytest.fixture(scope="module")
def lnn() -> dict:
    return evaluate("DoublePendulumLNN-v0")


@pytest.fixture(scope="module")
def baseline() -> dict:
    return evaluate("DoublePendulumBaseline-v0")


def test_lnn_keeps_energy_for_100_seconds(lnn):
    energy = at(lnn, 100.0)
    assert len(energy["values"]) == 40
    assert energy["diverged"] == 0
    assert energy["mean"] <= 0.0002  # the paper's LNN: 0.0043
    assert energy["max"] <= 0.005  # the paper's LNN: 0.034


def test_baseline_does_not(lnn, baseline):
    assert at(baseline, 100.0)["mean"] > 10 * at(lnn, 100.0)["mean"]


def test_both_learned_the_accelerations(lnn, baseline):
    for report in (lnn, baseline):
        assert report["acceleration_loss"] <= 0.04  # the paper: 0.073 and 0.074
        assert report["acceleration_loss_forced"] <= 2 * report["acceleration_loss"]


@pytest.mark.parametrize("row", LEARNED, ids=lambda row: row.id)
def test_checkpoint_says_where_it_came_from(row):
    path = checkpoint.resolve(row.kwargs["checkpoint"])
    assert path.stat().st_size <= 500_000
    card = checkpoint.load(path).card
    assert (card.system, card.model) == (row.system, row.model)
    assert card.training["seed"] >= 0
    assert card.training["steps"] > 100_000
    assert card.data
    assert card.package_version
    assert card.metrics["acceleration_loss"] > 0
    assert card.metrics["energy_discrepancy_100s"]["mean"] > 0
