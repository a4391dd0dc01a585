"""Models that learned from free motion alone: what they can do, and what they refuse."""

import dataclasses

import gymnasium
import jax.numpy as jnp
import numpy as np
import pytest

from gym_lagrangian import LearnedDynamicsEnv, checkpoints, train
from gym_lagrangian.envs import functional
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.evaluation import evaluate, losses
from gym_lagrangian.learning.config import TrainingConfig
from gym_lagrangian.models import LNN
from gym_lagrangian.systems import DoublePendulum

TRUTH = "DoublePendulum-v0"
SYSTEM = DoublePendulum()
PUSH = np.array([0.0, 0.5], np.float32)
QUICK = {"integrator": "rk4", "substeps": 1}


@pytest.fixture(scope="module")
def unforced(lnn_checkpoint, tmp_path_factory) -> str:
    """The small LNN, its card saying that it never saw a force."""
    path = tmp_path_factory.mktemp("unforced") / "unforced.safetensors"
    found = checkpoints.load(lnn_checkpoint)
    checkpoints.save(path, found.model, dataclasses.replace(found.card, forced=False))
    return str(path)


def step(env, action):
    env.reset(seed=0)
    return env.step(action)[-1]["state"]


def test_scalar_environment_refuses_a_force_and_takes_none(unforced, lnn_checkpoint):
    env = gymnasium.make(TRUTH, checkpoint=unforced, **QUICK)
    twin = gymnasium.make(TRUTH, checkpoint=lnn_checkpoint, **QUICK)
    rest = np.zeros(2, np.float32)
    np.testing.assert_array_equal(step(env, rest), step(twin, rest))
    with pytest.raises(ConfigurationError, match=r"is a force, but .* free motion alone"):
        env.step(PUSH)


def test_there_is_no_energy_in_joules(unforced, lnn_checkpoint):
    """Where the unit of the Lagrangian is arbitrary, none is claimed."""
    for checkpoint, claimed in ((unforced, False), (lnn_checkpoint, True)):
        env = gymnasium.make(TRUTH, checkpoint=checkpoint, **QUICK)
        _, info = env.reset(seed=0)
        assert ("model_energy" in info) is ("model_dissipated" in info) is claimed
        assert "energy" in info


def test_wrapper_refuses_a_force(unforced):
    env = LearnedDynamicsEnv(gymnasium.make(TRUTH), unforced, **QUICK)
    with pytest.raises(ConfigurationError, match="the scale of its Lagrangian"):
        step(env, PUSH)


def test_vector_environment_refuses_a_force(unforced):
    envs = gymnasium.make_vec(
        TRUTH, num_envs=2, checkpoint=unforced, vectorization_mode="vector_entry_point", **QUICK
    )
    envs.reset(seed=0)
    envs.step(np.zeros((2, 2), np.float32))
    with pytest.raises(ConfigurationError, match="is a force"):
        envs.step(np.stack([0 * PUSH, PUSH]))


def test_pure_step_under_a_force_diverges(unforced):
    env, params = functional.make("DoublePendulum", checkpoint=unforced, **QUICK)
    state, _ = env.start(
        jnp.array([1.0, 0.0, 0.0, 0.0]), params.m_bounds[0], params.goal_bounds[0], params
    )
    for action, diverged in ((jnp.zeros(2), False), (PUSH, True)):
        assert bool(env.step(None, state, action, params)[1].info.diverged) is diverged


def test_evaluation_asks_for_no_force(unforced):
    report = evaluate(TRUTH, checkpoint=unforced, states=1)
    assert report["checkpoint"] == unforced
    assert report["acceleration_loss"] > 0
    assert not [key for key in report if key.endswith("_forced")]


def test_data_without_forces_is_recorded_as_such(tmp_path):
    rng = np.random.default_rng(0)
    data = {name: rng.normal(size=(20, 2)) for name in ("q", "qd", "qdd")}
    tiny = TrainingConfig(steps=1, batch=2)
    for name, arrays in (("free", data), ("pushed", data | {"tau": np.ones((20, 2))})):
        np.savez(tmp_path / f"{name}.npz", **arrays)
        made = train(
            "DoublePendulum",
            "Baseline",
            out=tmp_path / f"{name}.safetensors",
            config=tiny,
            model_config={"width": 4},
            data=tmp_path / f"{name}.npz",
        )
        assert made.card.forced is (name == "pushed")
        measured = losses(made.model, SYSTEM, dt=0.05, forced=made.card.forced, states=10)
        assert ("acceleration_loss_forced" in measured) is made.card.forced


class TestPaperPreset:
    def test_is_the_paper_to_the_letter(self):
        preset = LNN.preset("paper")
        config = TrainingConfig.of("LNN", preset="paper")
        assert (config.batch, config.learning_rate, config.optimiser) == (32, 1e-3, "adam")
        assert config.fixed_states == 600_000
        assert preset.config["width"] == 500
        assert preset.config["initialiser"] == "paper"
        assert preset.config["quadratic_start"] == 0.0

    def test_trains_resumes_and_says_what_it_is(self, tmp_path):
        out = tmp_path / "paper.safetensors"
        config = TrainingConfig.of("LNN", preset="paper", steps=4, fixed_states=50)
        config = dataclasses.replace(config, chunk=2)

        def interrupt(progress):
            raise KeyboardInterrupt

        how = {"out": out, "config": config, "preset": "paper", "model_config": {"width": 6}}
        with pytest.raises(KeyboardInterrupt):
            train("DoublePendulum", "LNN", on_progress=interrupt, **how)
        made = train("DoublePendulum", "LNN", resume=True, **how)
        assert made.card.model_config["width"] == 6
        assert made.card.model_config["initialiser"] == "paper"
        assert made.card.forced is False
        assert made.card.data == (
            "unforced, from the paper's distribution of DoublePendulum, 50 fixed states"
        )
        assert len(made.model.network.weights) == 4

    def test_models_that_the_paper_did_not_train_so_have_none(self, tmp_path):
        with pytest.raises(ConfigurationError, match="preset of DeLaN = 'paper': choose one of"):
            train("DoublePendulum", "DeLaN", out=tmp_path / "x.safetensors", preset="paper")
        assert not list(tmp_path.iterdir())
