"""Checkpoints: what is saved comes back, and whatever else is refused in words."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from gym_lagrangian import checkpoints
from gym_lagrangian.checkpoints import Card, check_fits, file, load, load_for, save
from gym_lagrangian.envs.functional import make
from gym_lagrangian.errors import CheckpointError
from gym_lagrangian.models import LNN
from gym_lagrangian.models.embedding import Embedding
from gym_lagrangian.systems import DoublePendulum, RelativisticParticle
from gym_lagrangian.systems.base import System

CONFIG = {"width": 4, "depth": 2, "activation": "tanh"}


def card_for(system, model, conditioned_on=()):
    return Card.of(
        system,
        parameters=system.fixed_parameters(conditioned_on),
        conditioned_on=conditioned_on,
        model=type(model).__name__,
        model_config=model.config,
        training={"seed": 5, "steps": 10, "learning_rate": 0.01},
        data="ten states from a friend",
        metrics={"acceleration_loss": 0.25, "energy_discrepancy_100s": {"mean": 0.125}},
        package_version="0.1.0",
    )


@pytest.fixture(scope="module")
def pendulum():
    """A model of the default double pendulum, with weights that no seed draws, and its card."""
    system = DoublePendulum()
    model = LNN.build(Embedding.of(system), key=jax.random.key(0), **CONFIG)
    model = jax.tree.map(lambda a: a + 0.125, model)
    return model, card_for(system, model)


@pytest.fixture(scope="module")
def particle():
    """The same of the relativistic particle, conditioned on g."""
    system = RelativisticParticle()
    model = LNN.build(Embedding.of(system, ("g",)), key=jax.random.key(1), **CONFIG)
    return model, card_for(system, model, ("g",))


@pytest.fixture
def saved(pendulum, tmp_path):
    """The path of a good checkpoint, alone in its folder."""
    path = tmp_path / "good.safetensors"
    save(path, *pendulum)
    return path


def files(folder):
    return sorted(p.name for p in folder.iterdir())


# -- there and back -------------------------------------------------------------------------


def test_round_trip(pendulum, tmp_path):
    model, card = pendulum
    path = tmp_path / "new" / "folder" / "model.safetensors"
    extra = {"history": np.arange(6.0).reshape(3, 2), "count": np.array(7)}
    digest = save(path, model, card, extra=extra)
    found = load(path)
    assert eqx.tree_equal(found.model, model)
    assert found.card == card
    assert found.sha256 == digest
    assert found.extra.keys() == extra.keys()
    for name, array in extra.items():
        np.testing.assert_array_equal(found.extra[name], array)
    assert files(path.parent) == ["model.safetensors"]


def test_round_trip_of_a_conditioned_model(particle, tmp_path):
    model, card = particle
    path = tmp_path / "particle.safetensors"
    save(path, model, card)
    found = load(str(path))
    assert eqx.tree_equal(found.model, model)
    assert found.card == card
    assert found.card.conditioned_on == ("g",)
    assert found.model.embedding == model.embedding


def test_the_file_is_plain_safetensors(saved, pendulum):
    """Readable without this package: arrays under their paths, one JSON document."""
    model, card = pendulum
    with safe_open(str(saved), framework="numpy") as file:
        names = set(file.keys())
        weight = file.get_tensor("model.network.weights.0")
        document = json.loads(file.metadata()["gym_lagrangian"])
    kinds = [f"model.network.{kind}.{i}" for kind in ("weights", "biases") for i in range(3)]
    assert names == set(kinds)
    np.testing.assert_array_equal(weight, model.network.weights[0])
    assert document["card"]["metrics"] == card.metrics
    assert document["card"]["training"]["seed"] == 5


def test_the_hash_depends_on_weights_and_on_card(pendulum, tmp_path):
    model, card = pendulum
    path = tmp_path / "model.safetensors"
    digests = [
        save(path, model, card),
        save(path, model, card),
        save(path, jax.tree.map(lambda a: a * 1.001, model), card),
        save(path, model, replace(card, data="eleven states")),
    ]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


def test_saving_replaces_an_older_file(saved, pendulum):
    model, card = pendulum
    save(saved, model, replace(card, data="newer"))
    assert load(saved).card.data == "newer"


def test_shipped_checkpoints_load_by_name():
    for name in checkpoints.shipped():
        assert load(name).card.system in name


class Springs(System):
    """Two unit masses, each on a spring of its own."""

    coordinates = ("x", "y")
    stiffness: tuple[float, ...] = (1.0, 2.0)

    def lagrangian(self, q, qd, m):
        return 0.5 * qd @ qd - 0.5 * jnp.sum(jnp.array(self.stiffness) * q**2)


def test_options_that_are_tuples(tmp_path):
    """JSON has lists alone; a system's options are compared by value."""
    system, other = Springs(stiffness=(3.0, 4.0)), Springs(stiffness=(3.0, 5.0))
    model = LNN.build(Embedding.of(system), key=jax.random.key(0), **CONFIG)
    path = tmp_path / "springs.safetensors"
    save(path, model, card_for(system, model))
    found = load(path)
    assert found.card == card_for(system, model)
    assert found.card.build_system() == system
    check_fits(found.card, system, system.parameter_bounds(), what="it")
    with pytest.raises(CheckpointError, match=r"stiffness=\(3\.0, 4\.0\), not \(3\.0, 5\.0\)"):
        check_fits(found.card, other, other.parameter_bounds(), what="it")
    assert make(checkpoint=path)[0].system == system


# -- what is not a good checkpoint ----------------------------------------------------------


def rewrite_header(path, old, new):
    """Edit the JSON header by hand, all lengths kept valid."""
    assert len(old) == len(new)
    data = path.read_bytes()
    assert data.count(old) == 1
    path.write_bytes(data.replace(old, new))


def flip(path, position):
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(bytes(data))


def foreign(path, metadata=None):
    save_file({"layer.weight": np.ones((2, 2), np.float32)}, path, metadata=metadata)


def claim(document):
    return lambda path: foreign(path, {"gym_lagrangian": json.dumps(document)})


def pickled(path):
    import pickle

    path.write_bytes(pickle.dumps({"weights": [1.0, 2.0]}))


DAMAGE = {
    "truncated": (lambda p: p.write_bytes(p.read_bytes()[:-7]), "truncated"),
    "header cut": (lambda p: p.write_bytes(p.read_bytes()[:50]), "truncated"),
    "empty": (lambda p: p.write_bytes(b""), "truncated"),
    "random": (lambda p: p.write_bytes(np.random.default_rng(1).bytes(2000)), "not a readable"),
    "pickle": (pickled, "not a readable"),
    "appended": (lambda p: p.write_bytes(p.read_bytes() + b"more"), "not a readable"),
    "metric": (
        lambda p: rewrite_header(
            p, rb"\"acceleration_loss\": 0.25", rb"\"acceleration_loss\": 0.01"
        ),
        "SHA-256.*edited",
    ),
    "seed": (lambda p: rewrite_header(p, rb"\"seed\": 5", rb"\"seed\": 6"), "SHA-256.*edited"),
    "scales": (
        lambda p: rewrite_header(p, rb"\"qd_scale\": [5.0", rb"\"qd_scale\": [7.0"),
        "SHA-256.*edited",
    ),
    "weight": (lambda p: flip(p, -1), "SHA-256.*edited or damaged"),
    "foreign": (foreign, "without a gym_lagrangian header"),
    "foreign metadata": (lambda p: foreign(p, {"format": "pt"}), "without a gym_lagrangian"),
    "no json": (lambda p: foreign(p, {"gym_lagrangian": "{"}), "without a gym_lagrangian"),
    "json null": (claim(None), "without a gym_lagrangian"),
    "json list": (claim([1]), "without a gym_lagrangian"),
    "no card": (claim({"format": 1}), "without a gym_lagrangian"),
    "no hash": (claim({"format": 1, "card": {}}), "SHA-256"),
    "newer": (claim({"format": 99, "card": {}}), "format 99.*upgrade"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_and_foreign_files_are_refused(kind, saved):
    damage, message = DAMAGE[kind]
    load(saved)
    damage(saved)
    with pytest.raises(CheckpointError, match=rf"good\.safetensors.*{message}"):
        load(saved)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"coordinates": {"name": "NoSuchPendulum"}}, "coordinates"),
        ({"coordinates": {"coordinates": ["theta", "theta"]}}, "theta"),
        ({"model": "Transformer"}, "Transformer"),
        ({"model_config": CONFIG | {"width": 5}}, "holds arrays"),
        ({"model_config": CONFIG | {"heads": 2}}, "heads"),
        ({"conditioned_on": ("charge",)}, "charge"),
    ],
    ids=str,
)
def test_a_card_that_does_not_describe_the_weights(change, message, pendulum, tmp_path):
    model, card = pendulum
    path = tmp_path / "odd.safetensors"
    save(path, model, replace(card, **change))
    with pytest.raises(CheckpointError, match=rf"odd\.safetensors(?s:.*){message}"):
        load(path)


PHYSICS = {"entry_point": "gym_lagrangian.systems:DoublePendulum", "options": {}}


@pytest.mark.parametrize(
    ("physics", "message"),
    [
        (PHYSICS | {"entry_point": "gym_lagrangian.systems:NoSuchPendulum"}, "NoSuchPendulum"),
        (PHYSICS | {"entry_point": "three.pendula:Triple"}, "three.pendula"),
        (PHYSICS | {"options": {"wrists": 2}}, "wrists"),
        (None, "canonical momenta|coordinates alone"),
    ],
    ids=str,
)
def test_a_canonical_model_of_physics_that_are_not_to_be_had(physics, message, tmp_path):
    """It cannot be built without the true momenta; others need their coordinates alone."""
    system = DoublePendulum()
    model = checkpoints.fresh_model("HNN", system, (), key=jax.random.key(0), width=4, depth=2)
    path = tmp_path / "odd.safetensors"
    save(path, model, replace(card_for(system, model), physics=physics))
    with pytest.raises(CheckpointError, match=rf"odd\.safetensors(?s:.*)({message})"):
        load(path)


# -- format 1 -------------------------------------------------------------------------------

FORMAT_1 = {"system", "system_options", "parameters", "conditioned_on", "model", "model_config"}
FORMAT_1 |= {"training", "data", "forced", "metrics", "package_version"}


def as_format_1(path, **changes):
    """The checkpoint in `path` again, as version 0.1 wrote it."""
    document, tensors = file._read(path)
    card = document["card"]
    options = {"actuated": "both", "torque_max": 6.0, "omega_max": 20.0}
    card |= {"system": card["coordinates"]["name"], "system_options": options} | changes
    card = {name: value for name, value in card.items() if name in FORMAT_1}
    document = {"format": 1, "card": card}
    document["sha256"] = file._digest(document, tensors)
    save_file(tensors, path, metadata={"gym_lagrangian": json.dumps(document)})


def test_format_1_is_read(saved, pendulum):
    model, card = pendulum
    as_format_1(saved)
    found = load_for(saved, DoublePendulum(), DoublePendulum().parameter_bounds())
    assert eqx.tree_equal(found.model, model)
    assert found.card.physics == card.physics | {"fingerprint": None}
    assert replace(found.card, physics=card.physics) == card
    with pytest.raises(CheckpointError, match=r"DoublePendulum.*RelativisticParticle"):
        load_for(saved, RelativisticParticle(), RelativisticParticle().parameter_bounds())


def test_format_1_of_a_variant(particle, tmp_path):
    model, card = particle
    save(tmp_path / "p.safetensors", model, card)
    as_format_1(tmp_path / "p.safetensors", system_options={"lagrangian": "special_relativity"})
    found = load(tmp_path / "p.safetensors")
    assert found.card.build_system() == RelativisticParticle(lagrangian="special_relativity")
    system = RelativisticParticle()
    with pytest.raises(CheckpointError, match=r"lagrangian.*'special_relativity'.*'paper'"):
        check_fits(found.card, system, system.parameter_bounds(), what="it")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"system": "NoSuchPendulum"}, "NoSuchPendulum"),
        ({"system": "RelativisticParticle", "system_options": {"lagrangian": "n"}}, "'n'"),
    ],
    ids=str,
)
def test_format_1_of_no_system_of_the_package(changes, message, saved):
    as_format_1(saved, **changes)
    with pytest.raises(CheckpointError, match=rf"good\.safetensors.*{message}"):
        load(saved)


def test_missing_file(tmp_path):
    with pytest.raises(CheckpointError, match=r"no checkpoint .*nothing\.safetensors"):
        load(tmp_path / "nothing.safetensors")
    (tmp_path / "folder.safetensors").mkdir()
    with pytest.raises(CheckpointError, match=r"no checkpoint .*folder\.safetensors"):
        load(tmp_path / "folder.safetensors")


def test_unknown_name_lists_the_shipped_ones():
    with pytest.raises(CheckpointError, match="no checkpoint 'NoSuchPendulumLNN'") as caught:
        load("NoSuchPendulumLNN")
    expected = checkpoints.shipped() or ("(none)",)
    assert all(name in str(caught.value) for name in expected)


# -- saving does no harm --------------------------------------------------------------------


def half_way(error):
    """A disk that takes half of what is written to it."""
    whole = Path.write_bytes

    def write_half(path, data):
        whole(path, data[: len(data) // 2])
        raise error

    return write_half


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (OSError(28, "No space left on device"), CheckpointError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
    ids=lambda x: getattr(x, "__name__", type(x).__name__),
)
def test_a_failing_save_leaves_the_old_file(error, raised, saved, pendulum, monkeypatch):
    before = saved.read_bytes()
    monkeypatch.setattr(Path, "write_bytes", half_way(error))
    with pytest.raises(raised, match="good.*No space" if raised is CheckpointError else None):
        save(saved, *pendulum)
    assert saved.read_bytes() == before
    assert files(saved.parent) == ["good.safetensors"]


def test_a_checkpoint_is_as_readable_as_any_file(saved, tmp_path):
    """Installed by one user, it is used by others."""
    plain = tmp_path / "plain"
    plain.touch()
    assert saved.stat().st_mode == plain.stat().st_mode


def test_a_full_disk_leaves_the_old_file(saved, pendulum):
    """Not by patching: the system refuses to write files longer than 100 bytes."""
    resource = pytest.importorskip("resource")
    before = saved.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    caught = None
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
        save(saved, *pendulum)
    except Exception as error:
        caught = error
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert saved.read_bytes() == before
    assert files(saved.parent) == ["good.safetensors"]
    assert isinstance(caught, CheckpointError), caught


def test_a_folder_that_cannot_be_written(pendulum, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    for path in (tmp_path / "file" / "m.safetensors", Path("/proc/nowhere/m.safetensors")):
        with pytest.raises(CheckpointError, match=r"cannot write .*m\.safetensors"):
            save(path, *pendulum)
    assert (tmp_path / "file").read_text() == "not a folder"


@pytest.mark.parametrize("name", ["model.pt", "model", "model.safetensors.part"])
def test_wrong_suffix(name, pendulum, tmp_path):
    with pytest.raises(CheckpointError, match=r"must end in \.safetensors"):
        save(tmp_path / name, *pendulum)
    assert files(tmp_path) == []


# -- a model in place of a system -----------------------------------------------------------


def test_a_fitting_model_is_accepted(saved, pendulum, particle):
    system = DoublePendulum()
    assert load_for(saved, system, system.parameter_bounds()).card == pendulum[1]
    # Who pulls and how hard is not part of the physics.
    for options in ({"actuated": "elbow"}, {"torque_max": 2.0}):
        make("DoublePendulum", checkpoint=saved, **options)
    particles = RelativisticParticle()
    for g in (0.7, (-1.0, 5.0)):
        check_fits(particle[1], particles, particles.parameter_bounds(g=g), what="it")


@pytest.mark.parametrize(
    ("which", "system", "parameters", "message"),
    [
        ("pendulum", RelativisticParticle(), {}, "DoublePendulum.*RelativisticParticle"),
        ("particle", DoublePendulum(), {}, "RelativisticParticle.*DoublePendulum"),
        (
            "particle",
            RelativisticParticle(lagrangian="special_relativity"),
            {},
            "lagrangian.*'paper'.*'special_relativity'",
        ),
        ("pendulum", DoublePendulum(), {"m1": 2.0}, r"m1 = 1\.0.*2\.0"),
        ("pendulum", DoublePendulum(), {"g": 1.6}, r"g = 9\.8.*1\.6"),
        ("pendulum", DoublePendulum(), {"l2": (0.5, 1.5)}, r"l2 = 1\.0.*0\.5.*1\.5"),
        ("pendulum", DoublePendulum(), {"l2": (1.0, 1.5)}, r"l2 = 1\.0.*1\.0.*1\.5"),
        ("particle", RelativisticParticle(), {"c": 2.0}, r"c = 1\.0.*2\.0"),
    ],
)
def test_a_model_of_something_else_is_refused(
    which, system, parameters, message, request, tmp_path
):
    model, card = request.getfixturevalue(which)
    bounds = system.parameter_bounds(**parameters)
    with pytest.raises(CheckpointError, match=f"the thing .*{message}"):
        check_fits(card, system, bounds, what="the thing")
    path = tmp_path / "theirs.safetensors"
    save(path, model, card)
    with pytest.raises(CheckpointError, match=rf"theirs\.safetensors.*{message}"):
        load_for(path, system, bounds)
