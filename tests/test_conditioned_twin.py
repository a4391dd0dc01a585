"""Ids with a second checkpoint, conditioned on parameters, for where the first was not trained."""

from __future__ import annotations

import copy

import gymnasium
import jax
import numpy as np
import pytest
from gymnasium.vector import SyncVectorEnv

from gym_lagrangian import LearnedDynamicsEnv, checkpoints, register_system, registration
from gym_lagrangian.checkpoints import Card
from gym_lagrangian.errors import CheckpointError, ConfigurationError
from gym_lagrangian.systems import DoublePendulum

ID, EXACT = "here/PairLNN-v0", "here/Pair-v0"
RANGES = {"m1": (0.5, 1.5), "l1": (0.5, 1.5)}


@pytest.fixture(scope="module")
def files(lnn_checkpoint, tmp_path_factory):
    """The paths of a model at the default parameters and of one that takes two of them."""
    system, names = DoublePendulum(), tuple(RANGES)
    how = {"width": 8, "depth": 2, "quadratic_start": 1.0}
    model = checkpoints.fresh_model("LNN", system, names, key=jax.random.key(1), **how)
    model = jax.tree.map(lambda leaf: 0.2 * leaf, model)
    card = Card.of(
        system,
        parameters=system.fixed_parameters(names),
        conditioned_on=names,
        ranges=RANGES,
        model="LNN",
        model_config=model.config,
    )
    path = tmp_path_factory.mktemp("twin") / "PairLNN-conditioned.safetensors"
    checkpoints.save(path, model, card)
    return lnn_checkpoint, str(path)


@pytest.fixture(autouse=True)
def registered(files):
    fixed, conditioned = files
    place = {"name": "Pair", "namespace": "here"}
    beside = {"checkpoints": {"LNN": fixed}, "conditioned": {"LNN": conditioned}}
    return register_system("gym_lagrangian.systems:DoublePendulum", **place, **beside)


def test_the_default_goes_on_with_the_first(files):
    fixed, _ = files
    env = gymnasium.make(ID)
    _, info = env.reset(seed=0)
    assert "checkpoint" not in info
    assert env.unwrapped.checkpoint_name == fixed
    assert str(env.unwrapped.checkpoint.path) == fixed
    assert gymnasium.make(ID, m1=1.0, g=9.8).unwrapped.checkpoint_name == fixed


@pytest.mark.parametrize("options", [{"m1": 1.4}, {"m1": (0.6, 1.4), "l1": 0.5}], ids=str)
def test_other_parameters_take_the_second_and_say_so(files, options):
    fixed, conditioned = files
    env = gymnasium.make(ID, **options)
    _, info = env.reset(seed=0)
    assert info["checkpoint"] == conditioned
    assert env.step(np.zeros(2, np.float32))[-1]["checkpoint"] == conditioned
    found = env.unwrapped.checkpoint
    assert (found.name, str(found.path)) == (conditioned, conditioned)
    assert env.unwrapped.card == found.card == checkpoints.load(conditioned).card
    again = copy.deepcopy(env.unwrapped)
    assert again.checkpoint_name == conditioned
    assert gymnasium.make(env.unwrapped.spec).unwrapped.checkpoint_name == conditioned
    assert fixed != conditioned


def test_it_is_the_second_model_that_moves(files):
    """The same as naming its file."""
    envs = [gymnasium.make(ID, m1=1.4), gymnasium.make(EXACT, m1=1.4, checkpoint=files[1])]
    for env in envs:
        env.reset(seed=1)
    for _ in range(5):
        states = [env.step(np.ones(2, np.float32))[-1]["state"] for env in envs]
        np.testing.assert_array_equal(*states)


def test_outside_both(files):
    message = r"trained at m1 = 1\.0, not 2\.0.*twin does not serve.*m1 from 0\.5 to 1\.5, not 2\.0"
    with pytest.raises(CheckpointError, match=message):
        gymnasium.make(ID, m1=2.0)
    with pytest.raises(
        CheckpointError, match=r"twin does not serve.*trained at g = 9\.8, not 1\.6"
    ):
        gymnasium.make(ID, g=1.6)


def test_a_checkpoint_of_ones_own_has_no_twin(baseline_checkpoint):
    with pytest.raises(CheckpointError, match=r"trained at m1 = 1\.0, not 1\.4; leave m1 out"):
        gymnasium.make(ID, checkpoint=baseline_checkpoint, m1=1.4)


def test_vector_environments_say_so_as_scalar_ones_do(files):
    vector = gymnasium.make_vec(ID, num_envs=2, m1=1.4)
    single = SyncVectorEnv([lambda: gymnasium.make(ID, m1=1.4)] * 2)
    for infos in (vector.reset(seed=0)[1], vector.step(np.zeros((2, 2), np.float32))[-1]):
        expected = single.reset(seed=0)[1]["checkpoint"]
        assert infos["checkpoint"].dtype == expected.dtype == object
        assert infos["checkpoint"].tolist() == expected.tolist() == [files[1]] * 2
        assert infos["_checkpoint"].all()
    masked = vector.reset(options={"reset_mask": np.array([True, False])})[1]
    assert masked["checkpoint"].tolist() == [files[1], None]
    each = gymnasium.make_vec(ID, num_envs=2, m1=np.array([0.6, 1.4])).unwrapped
    assert each.checkpoint_name == files[1]
    assert "checkpoint" not in gymnasium.make_vec(ID, num_envs=2).reset(seed=0)[1]


def test_a_wrapper_takes_it_too(files):
    env = LearnedDynamicsEnv(gymnasium.make(EXACT, m1=1.4), files[0])
    assert env.checkpoint is not None
    assert env.checkpoint.name == files[1]


def test_other_dynamics_are_not_said_to_be_its(files):
    env = gymnasium.make(ID, m1=1.4)
    env.reset(seed=0)
    env.unwrapped.dynamics = gymnasium.make(EXACT, m1=1.4).unwrapped.dynamics
    assert "checkpoint" not in env.step(np.zeros(2, np.float32))[-1]


def test_the_table_of_the_package(monkeypatch):
    """One entry of the table is all that a shipped one takes."""
    row = registration.SYSTEMS["RelativisticParticle"]
    assert registration.conditioned_twin("RelativisticParticleLNN") is None
    changed = row._replace(conditioned=("LNN",))
    monkeypatch.setitem(registration.SYSTEMS, "RelativisticParticle", changed)
    twin = registration.conditioned_twin("RelativisticParticleLNN")
    assert twin == "RelativisticParticleLNN-conditioned"
    assert registration.conditioned_twin("DoublePendulumHNN") is None


def test_every_row_of_the_table_is_a_file_of_a_conditioned_model():
    for row in registration.environments():
        if row.conditioned is not None:
            assert checkpoints.load(row.conditioned).card.ranges


def test_a_twin_of_nothing():
    with pytest.raises(ConfigurationError, match=r"conditioned takes no argument 'HNN'"):
        register_system("gym_lagrangian.systems:DoublePendulum", conditioned={"HNN": "x"})


def test_a_model_of_many_machines_is_followed_in_steps_half_as_long():
    steps = [
        gymnasium.make("DoublePendulumLNN-v0", **given).unwrapped.functional[1].dynamics.substeps
        for given in ({}, {"m1": 1.4})
    ]
    assert steps[1] == 2 * steps[0]
    drawn = gymnasium.make("RelativisticParticleLNN-v0").unwrapped  # its system varies by itself
    usual = drawn.coordinates.default_substeps(drawn.dt, learned=True)
    assert drawn.functional[1].dynamics.substeps == usual
