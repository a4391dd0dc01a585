"""What the shipped checkpoints must show, measured through the registered environments."""

from itertools import product

import gymnasium
import jax
import numpy as np
import pytest
from physics_helpers import pendulum_energy

import gym_lagrangian  # noqa: F401
from gym_lagrangian import checkpoints
from gym_lagrangian.evaluation import evaluate
from gym_lagrangian.learning.config import TrainingConfig
from gym_lagrangian.learning.train import usual_settings
from gym_lagrangian.registration import environments, load_model

KEY = jax.random.key(0)
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
    assert energy["mean"] <= 0.0001  # the paper's LNN: 0.0043
    assert energy["max"] <= 0.005  # the paper's LNN: 0.034


@pytest.mark.slow
def test_baseline_does_not(lnn, baseline):
    assert at(baseline, 100.0)["mean"] > 10 * at(lnn, 100.0)["mean"]


@pytest.mark.parametrize("name", ["lnn", pytest.param("baseline", marks=pytest.mark.slow)])
def test_learned_the_accelerations(name, request):
    report = request.getfixturevalue(name)
    assert report["acceleration_loss"] <= 0.04  # the paper: 0.073 and 0.074
    assert report["acceleration_loss_forced"] <= 2 * report["acceleration_loss"]


def test_what_is_recorded_is_what_is_measured(lnn):
    recorded = checkpoints.load("DoublePendulumLNN").card.metrics
    # The same seed draws other states in float64 than training's float32 did.
    assert lnn["acceleration_loss"] == pytest.approx(recorded["acceleration_loss"], rel=0.1)
    energy = recorded["energy_discrepancy_100s"]
    # Motion is chaotic: another machine's last digits lead to other energies of the same size.
    assert at(lnn, 100.0)["mean"] == pytest.approx(energy["mean"], rel=0.5)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_pendulum_of_any_masses_and_lengths_keeps_its_energy(dtype):
    """20 s of free motion from rest, at 200 draws of ±50 % of all four and at the 16 corners."""
    drawn = np.random.default_rng(0).uniform(0.5, 1.5, (200, 4))
    parameters = np.vstack([drawn, list(product((0.5, 1.5), repeat=4))])
    by_name = dict(zip(("m1", "m2", "l1", "l2"), parameters.T, strict=True))
    env = gymnasium.make("DoublePendulumLNN-v0", m1=1.4, omega_max=1e3, dtype=dtype).unwrapped
    assert env.checkpoint_name == "DoublePendulumLNN-conditioned"
    steps = round(20.0 / env.dt)
    found = env.simulate(np.array([1.5, 1.5, 0.0, 0.0]), np.zeros((steps, 2)), **by_name)
    energy = pendulum_energy(found.states, *parameters.T[..., None])
    upright = np.tile([np.pi, np.pi, 0.0, 0.0], (len(parameters), 1))
    scale = pendulum_energy(upright, *parameters.T)
    drift = np.abs(energy - energy[:, :1]).max(axis=1) / scale
    assert np.median(drift) < 0.0005
    assert drift.max() < 0.002


@pytest.mark.parametrize("row", LEARNED, ids=lambda row: row.id)
class TestCheckpoint:
    def test_says_where_it_came_from(self, row):
        path = checkpoints.resolve(row.kwargs["checkpoint"])
        assert path.stat().st_size <= 500_000
        card = checkpoints.load(path).card
        assert (card.system, card.model) == (row.system, row.model)
        assert card.data
        assert card.package_version

    def test_is_what_the_command_makes(self, row):
        found = checkpoints.load(row.kwargs["checkpoint"])
        card = found.card
        assert TrainingConfig(**card.training) == TrainingConfig.of(row.model, row.system)
        system = card.build_system()
        config = usual_settings(row.model, system)
        fresh = checkpoints.fresh_model(row.model, system, card.conditioned_on, key=KEY, **config)
        assert found.model.config.keys() == fresh.config.keys()
        for name, value in fresh.config.items():
            is_text = isinstance(value, str) or value is None
            expected = value if is_text else pytest.approx(value, rel=1e-3)
            assert found.model.config[name] == expected

    def test_forces_at_most_double_the_error(self, row):
        if row.id == "RelativisticParticleNoncanonicalHNN-v0":
            pytest.skip("fails by theory: a force enters it as if the mass were one at any speed")
        metrics = checkpoints.load(row.kwargs["checkpoint"]).card.metrics
        learned = load_model(row.model)
        name = "acceleration_loss" if hasattr(learned, "acceleration") else "one_step_error"
        assert 0 < metrics[f"{name}_forced"] <= 2 * metrics[name]
