"""What hostile use found, each with the right value; docs/faults.md lists them all."""

from __future__ import annotations

import contextlib
import copy
import errno
import importlib
import json
import os
import pkgutil
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import gymnasium
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from system_helpers import QUICK

from gym_lagrangian import (
    Coordinates,
    FitConfig,
    TrainingConfig,
    Transitions,
    checkpoints,
    envs,
    train,
)
from gym_lagrangian.checkpoints.file import _digest
from gym_lagrangian.cli import main
from gym_lagrangian.errors import (
    CheckpointError,
    ConfigurationError,
    DataError,
    GymLagrangianError,
    MissingExtra,
)
from gym_lagrangian.files import only_writer, replacing

HUGE = 10**400
PENDULUM = "DoublePendulum-v0"


def make(**arguments):
    return gymnasium.make(PENDULUM, **{**QUICK, **arguments}).unwrapped


def make_vec(count=3, **arguments):
    how = {"vectorization_mode": "vector_entry_point"}
    return gymnasium.make_vec(PENDULUM, num_envs=count, **how, **{**QUICK, **arguments})


@pytest.fixture(scope="module")
def pendulum():
    env = make()
    env.reset(seed=0)
    return env


@pytest.fixture(scope="module")
def pendulum32():
    env = make(dtype="float32")
    env.reset(seed=0)
    return env


@pytest.fixture(scope="module")
def vector():
    env = make_vec()
    env.reset(seed=0)
    return env


MASKED = np.ma.array([1.0, 2.0], mask=[True, False])

ARGUMENTS = [
    ({"m1": HUGE}, "expected a positive number"),
    ({"m1": 1j}, "expected a positive number"),
    ({"m1": np.timedelta64(5, "s")}, "expected a positive number"),
    ({"m1": MASKED}, "expected a positive number"),
    ({"m1": [[1], [1, 2]]}, "expected a positive number"),
    ({"m1": 1e39, "dtype": "float32"}, "float32 holds sizes from"),
    ({"m1": 1e-46, "dtype": "float32"}, "float32 holds sizes from"),
    ({"g": (-1.7e308, 1.7e308)}, "ranges no wider"),
    ({"dt": 1j}, "expected a positive number"),
    ({"dt": 5e-324}, "float64 holds sizes from"),
    ({"dt": 1e300}, "expected at most 1e.30 seconds"),
    ({"dt": 1e20, "substeps": None}, "substeps, expected at most 1,000,000"),
    ({"dt": np.timedelta64(1, "s")}, "expected a positive number"),
    ({"dt": [[1], [1, 2]]}, "expected a positive number"),
    ({"substeps": 10**30}, "expected at most 1,000,000"),
    ({"render_size": 10**5}, "render_size = 100000: expected at most"),
    ({"render_size": "a"}, "render_size = 'a'"),
    ({"device": 5}, "device = 5"),
    ({"checkpoint": "x" * 300}, "no checkpoint"),
    ({"checkpoint": "a\0b"}, "no checkpoint"),
]


@pytest.mark.parametrize(
    ("arguments", "message"), ARGUMENTS, ids=[str(one)[:40] for one, _ in ARGUMENTS]
)
def test_arguments_of_an_environment(arguments, message):
    with pytest.raises(GymLagrangianError, match=message):
        make(**arguments)


@pytest.mark.parametrize("system", [[], {}, 5, "no such"])
def test_what_is_no_system(system):
    with pytest.raises(ConfigurationError, match="system"):
        gymnasium.make("gym_lagrangian:Lagrangian-v0", system=system)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"count": 10**12}, "num_envs"),
        ({"count": 2**24 + 1}, "num_envs"),
        ({"render_mode": "human"}, "a vector environment draws"),
        ({"show_truth": True}, "a vector environment draws no ghosts"),
        ({"m1": np.array(["a", "b", "c"])}, "m1 is .*: not numbers"),
        ({"m1": np.array([1.0, 1j, 2.0])}, "m1 is .*: not numbers"),
        ({"m1": np.ma.array([1.0, 2.0, 3.0], mask=[0, 1, 0])}, "m1 is .*: not numbers"),
    ],
)
def test_arguments_of_a_vector_environment(arguments, message):
    with pytest.raises(ConfigurationError, match=message):
        make_vec(**arguments)


@pytest.mark.parametrize("steps", ["a", 1.5, "500"])
def test_a_time_limit_that_is_none(steps):
    from gym_lagrangian.envs.vector import LagrangianVectorEnv

    with pytest.raises(ConfigurationError, match="max_episode_steps"):
        LagrangianVectorEnv("DoublePendulum", max_episode_steps=steps)


class Tracked:
    """As a tensor of torch that requires a gradient."""

    def __array__(self, *_, **__):
        raise RuntimeError("Can't call numpy() on Tensor that requires grad.")


ACTIONS = [
    Tracked(),
    np.array([np.nan, 0.0]),
    np.array([1j, 0.0]),
    MASKED,
    np.array(["1", "0"]),
    ["1", "0"],
    np.array([1, 2], "m8[s]"),
    [HUGE, 0],
    [[1], [1, 2]],
    [None, 1],
    np.array([True, False]),
    np.array([1e300, 0.0]),
    b"ab",
    {1, 2},
    object(),
]


@pytest.mark.parametrize(
    "kind", [lambda a: a, lambda a: jnp.asarray(a, a.dtype)], ids=["np", "jax"]
)
def test_actions_of_either_kind_are_refused_alike(pendulum, vector, kind):
    for action in ([np.nan, 0.0], [1j, 0.0], [np.inf, 1.0]):
        before = pendulum.get_state(full=True)
        with pytest.raises(ConfigurationError, match="action"):
            pendulum.step(kind(np.array(action)))
        np.testing.assert_array_equal(pendulum.get_state(), before)
        with pytest.raises(ConfigurationError, match="action"):
            vector.step(kind(np.tile(action, (3, 1))))


@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: type(action).__name__)
def test_actions_that_are_no_numbers(pendulum, action):
    before = pendulum.get_state(full=True)
    with pytest.raises(ConfigurationError, match="action"):
        pendulum.step(action)
    np.testing.assert_array_equal(pendulum.get_state(), before)


def test_energy_is_kept_where_a_step_is_undone():
    """jax output lets jax actions through unread: NaN undoes the step and leaves no trace."""
    env = gymnasium.make_vec(
        "RelativisticParticle-v0",
        num_envs=2,
        vectorization_mode="vector_entry_point",
        output="jax",
        **QUICK,
    )
    env.reset(seed=0)
    *_, truncated, _ = env.step(jnp.array([[jnp.nan], [0.5]]))
    assert truncated.tolist() == [True, False]
    infos = env.step(jnp.zeros((2, 1)))[4]
    assert np.abs(np.asarray(infos["energy_drift"])).max() < 1e-5


STATES = [
    [HUGE, 0, 0, 0],
    np.zeros(4) * 1j,
    np.ma.array(np.zeros(4), mask=[1, 0, 0, 0]),
    np.zeros(4, "m8[s]"),
    ["1", "2", "3", "4"],
    np.zeros(4, bool),
    {},
]


@pytest.mark.parametrize("state", STATES, ids=lambda state: type(state).__name__)
def test_states_that_are_no_numbers(pendulum, state):
    for call in (
        lambda: pendulum.reset(options={"state": state}),
        lambda: pendulum.set_state(state),
        lambda: pendulum.set_state(pendulum.get_state()._replace(m=state)),
    ):
        with pytest.raises(ConfigurationError, match="state"):
            call()


@pytest.mark.parametrize(
    "options",
    [
        {"state": [1e39, 0.0, 0.0, 0.0]},
        {"low": [-3e38, 0, 0, 0], "high": [3e38, 0, 0, 0]},
        {"low": [0, 0, 0, 0], "high": [1e39, 0, 0, 0]},
    ],
)
def test_starts_that_float32_does_not_hold(pendulum32, options):
    with pytest.raises(ConfigurationError, match="float32"):
        pendulum32.reset(options=options)


def test_ranges_of_starts_that_float64_does_not_hold(pendulum):
    with pytest.raises(ConfigurationError, match="float64"):
        pendulum.reset(options={"low": [-1.7e308, 0, 0, 0], "high": [1.7e308, 0, 0, 0]})


@pytest.mark.parametrize("value", [HUGE, 1j, "1", np.ma.masked])
def test_parameters_of_a_simulation(pendulum, value):
    with pytest.raises(ConfigurationError, match="m1"):
        pendulum.simulate(np.zeros(4), np.zeros((3, 2)), m1=value)


@pytest.mark.parametrize("seed", [1.5, -1, "a", True, [1]])
def test_seeds(pendulum, vector, seed):
    with pytest.raises(ConfigurationError, match="seed"):
        pendulum.reset(seed=seed)
    with pytest.raises(ConfigurationError, match="seed"):
        vector.reset(seed=seed if isinstance(seed, list) else [seed, 1, 2])


def test_numpys_integers_are_seeds_and_large_ones_do_not_alias(pendulum):
    first, again = (pendulum.reset(seed=seed)[0] for seed in (7, np.int64(7)))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, pendulum.reset(seed=7 + 2**70)[0])


@pytest.mark.parametrize("g", [0.0, -9.8])
def test_drift_is_a_small_number_whatever_the_sign_of_g(g):
    env = make(g=g, integrator="dop853", substeps=2)
    env.reset(seed=0)
    drifts = [env.step(np.ones(2, np.float32))[4]["energy_drift"] for _ in range(20)]
    assert np.abs(drifts).max() < 1e-6


COARSE = [{"integrator": "rk4", "substeps": 1}, {"substeps": 1, "dt": 0.2}]


@pytest.mark.parametrize("given", COARSE)
def test_a_coarse_integrator_is_pointed_out(given):
    """At `make`, of one environment and of many, and then no more, though energy is lost."""
    how = {"num_envs": 2, "vectorization_mode": "vector_entry_point"}
    with pytest.warns(UserWarning, match="substeps = 1 errs by up to .* far more than the default"):
        gymnasium.make_vec(PENDULUM, **how, **given)
    with pytest.warns(UserWarning, match="is coarse"):
        env = gymnasium.make(PENDULUM, **given)
    env.reset(options={"state": [2.5, 2.5, 0.0, 0.0]})
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        drifts = [env.step(np.zeros(2, np.float32))[4]["energy_drift"] for _ in range(400)]
    assert np.abs(drifts).max() > 0.01


@pytest.mark.parametrize(
    "given", [{}, {"integrator": "dop853", "substeps": 2}, {"integrator": "rk4", "substeps": 20}]
)
def test_what_is_fine_enough_is_not_mentioned(given):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        env = gymnasium.make(PENDULUM, **given)
        env.reset(options={"state": [2.5, 2.5, 0.0, 0.0]})
        drifts = [env.step(np.zeros(2, np.float32))[4]["energy_drift"] for _ in range(400)]
    assert np.abs(drifts).max() < 0.01


def test_energy_that_is_lost_all_the_same_is_pointed_out_once():
    """Three substeps of rk4 err little in a typical state, and more where the arm whips."""
    env = gymnasium.make(PENDULUM, integrator="rk4", substeps=3)
    env.reset(options={"state": [2.5, 2.5, 0.0, 0.0]})
    zero = np.zeros(2, np.float32)
    with pytest.warns(UserWarning, match="too coarse") as found:
        drifts = [env.step(zero)[4]["energy_drift"] for _ in range(1200)]
    assert np.abs(drifts).max() > 0.01
    assert len(found) == 1


def test_an_unknown_argument_is_a_type_error_in_pythons_own_words():
    """TorchRL leaves out the argument that such an error names, and makes the environment again."""
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'frameskip'") as caught:
        make(frameskip=4)
    assert isinstance(caught.value, ConfigurationError)
    assert str(type(caught.value)("one text")) == "one text"
    assert make_vec(2).unwrapped.autoreset_mode == gymnasium.vector.AutoresetMode.NEXT_STEP


# -- data ---------------------------------------------------------------------------------------

X = Coordinates(("x",))


def rows(count=50, **changes):
    q = 0.1 * np.arange(count)[:, None]
    one = np.ones_like(q)
    return {"q": q, "qd": one, "next_q": q + 0.1, "next_qd": one, "dt": 0.1} | changes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"q": np.ones((50, 1)) * 1j}, "array q .*complex"),
        ({"q": np.ma.array(np.ones((50, 1)), mask=np.eye(50, 1))}, "array q .*masked"),
        ({"q": np.ones((50, 1)).astype("m8[s]")}, "array q .*timedelta"),
        ({"q": np.full((50, 1), "a")}, "array q .*<U1"),
        ({"q": np.ones((50, 1), bool)}, "array q .*bool"),
        ({"q": [[1], [1, 2]]}, "array q"),
        ({"q": None}, "q"),
        ({"q": np.where(np.arange(50)[:, None] == 7, np.nan, 1.0)}, "finite numbers in row 7"),
        ({"q": np.where(np.arange(50)[:, None] == 9, 1e39, 1.0)}, r"1e\+39 in row 9"),
        ({"dt": np.full(3, 0.1)}, r"array dt has shape \(3,\)"),
        ({"dt": HUGE}, "dt"),
        ({"dt": 0.1 + 1j}, "dt"),
        ({"dt": 5e-324}, "dt"),
        ({"dt": None}, "dt"),
        ({"noise": 1j}, "noise"),
        ({"columns": {"a": ["x"] * 50}}, "column a"),
    ],
)
def test_arrays_of_transitions(changes, message):
    with pytest.raises(DataError, match=message):
        Transitions(X, **rows(**changes))


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "/", 5, None, "a\0b", "x" * 5000, b"a"])
def test_what_is_no_file_to_read(path):
    with pytest.raises(DataError, match="npz file"):
        Transitions.load(path, X)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.npz")
    with pytest.raises(DataError, match="no regular file"):
        Transitions.load(tmp_path / "pipe.npz", X)


def test_a_home_folder_is_meant_by_a_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    Transitions(X, **rows()).save("~/a.npz")
    assert (tmp_path / "a.npz").is_file()
    assert len(Transitions.load("~/a.npz")) == 50


@pytest.mark.parametrize("path", ["~\0", "~0", "~nobody-of-this-name/a"])
def test_homes_that_there_are_not(path):
    with pytest.raises(DataError, match="does not exist"):
        Transitions.load(path, X)
    with pytest.raises(CheckpointError, match="checkpoint"):
        checkpoints.load(path)
    with pytest.raises(DataError):
        Transitions(X, **rows()).save(path)


def test_an_archive_that_unpacks_to_far_more_is_refused_from_its_headers(tmp_path):
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, q=np.zeros(2**25 + 2**20))
    with pytest.raises(DataError, match=r"unpack to 276,\d{3},\d{3}"):
        Transitions.load(path, X)


def test_one_flipped_bit_never_changes_what_is_read(tmp_path):
    path = tmp_path / "a.npz"
    Transitions(X, **rows()).save(path)
    whole, right = path.read_bytes(), Transitions.load(path).arrays
    outcomes = set()
    for bit in np.random.default_rng(0).integers(8 * len(whole), size=300):
        changed = bytearray(whole)
        changed[bit // 8] ^= 1 << (bit % 8)
        path.write_bytes(changed)
        try:
            found = Transitions.load(path).arrays
        except GymLagrangianError:
            outcomes.add("refused")
            continue
        outcomes.add("read")
        assert all(np.array_equal(found[name], right[name]) for name in right)
    assert outcomes == {"refused", "read"}  # some bits mean nothing


@pytest.mark.parametrize(
    "stated",
    [
        {"q_scale": (1.0, 2.0)},
        {"q_scale": 1j},
        {"q_scale": HUGE},
        {"angular": (True, False)},
        {"angular": "abc"},
        {"angular": 5},
        {"speed_limit": 5},
        {"speed_limit": (1, 2)},
        {"usage": 5},
        {"parameters": {"m": HUGE}},
        {"parameters": {"m": 1j}},
        {"parameters": [1]},
    ],
)
def test_coordinates(stated):
    with pytest.raises(ConfigurationError, match=r"Coordinates|usage"):
        Coordinates(("x",), **stated)


# -- checkpoints --------------------------------------------------------------------------------


@pytest.fixture
def forged(baseline_checkpoint, tmp_path):
    """Write a checkpoint with other card fields or weights, and the hash that goes with them."""
    tensors = load_file(baseline_checkpoint)
    with safe_open(baseline_checkpoint, "numpy") as file:
        document = json.loads(file.metadata()["gym_lagrangian"])
    del document["sha256"]

    def write(card=None, weights=None, header=None):
        changed, arrays = copy.deepcopy(document), dict(tensors)
        for name, value in (card or {}).items():
            here, *inner = name.split(".")
            if inner:
                changed["card"][here][inner[0]] = value
            else:
                changed["card"][here] = value
        if weights is not None:
            name = next(iter(arrays))
            arrays[name] = np.full(arrays[name].shape, weights)
        signed = changed | {"sha256": _digest(changed, arrays)}
        path = tmp_path / "forged.safetensors"
        save_file(arrays, path, metadata={"gym_lagrangian": header or json.dumps(signed)})
        return path

    return write


@pytest.mark.parametrize(
    "card",
    [
        {"model_config.depth": 10**8},
        {"model_config.width": 10**19},
        {"model_config.width": HUGE},
        {"model_config": None},
        {"parameters": None},
        {"parameters": {"m1": HUGE}},
        {"conditioned_on": 5},
        {"coordinates": None},
        {"coordinates": {}},
        {"physics": 5},
        {"physics": {}},
        {"physics.options": None},
        {"physics.entry_point": 5},
        {"physics.fingerprint": "x"},
        {"physics.fingerprint": "[]"},
        {"ranges": {"m1": [1]}},
        {"metrics": None},
        {"friction": 5},
        {"forced": "yes"},
        {"members": "many"},
        {"members": 20_000},
        {"members": 10**8},
        {"model": []},
        {"model": "os:system"},
        {"unheard": 1},
    ],
    ids=str,
)
def test_a_forged_card_is_refused(forged, card):
    with pytest.raises(CheckpointError, match="forged"):
        make(checkpoint=str(forged(card)))


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_weights_that_are_not_finite_are_refused(forged, value):
    with pytest.raises(CheckpointError, match=r"weights that are not finite in network"):
        checkpoints.load(forged(weights=value))


@pytest.mark.parametrize("header", ["[" * 100_000, "{}", "null", "5"])
def test_headers_that_are_none(forged, header):
    with pytest.raises(CheckpointError, match="without a gym_lagrangian header"):
        checkpoints.load(forged(header=header))


SHORT = {"config": TrainingConfig(steps=2, batch=2, chunk=1), "metrics": False}
SMALL = {"model_config": {"width": 4, "depth": 1}}


def test_a_finished_checkpoint_is_no_unfinished_run(tmp_path, baseline_checkpoint):
    (tmp_path / "m.resume.safetensors").write_bytes(Path(baseline_checkpoint).read_bytes())
    with pytest.raises(CheckpointError, match="nothing to resume"):
        train("DoublePendulum", "Baseline", out=tmp_path / "m.safetensors", resume=True, **SHORT)


@pytest.mark.parametrize("out", [5, None, b"a.safetensors", "a\0.safetensors", "x" * 5000])
def test_paths_to_write(out):
    with pytest.raises(CheckpointError, match="checkpoint"):
        train("DoublePendulum", "Baseline", out=out, **SHORT)


@pytest.mark.parametrize(
    "settings",
    [
        {"model_config": 5},
        {"model_config": {"width": 10**12}},
        {"model_config": {"depth": 10**12}},
        {"config": 5},
        {"config": FitConfig(steps=2)},
        {"system_options": 5},
        {"save_every": "a"},
        {"save_every": -1.0},
    ],
    ids=str,
)
def test_settings_of_a_training(tmp_path, settings):
    with pytest.raises(ConfigurationError, match="="):
        train("DoublePendulum", "Baseline", out=tmp_path / "m.safetensors", **{**SHORT, **settings})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["steps", "batch", "chunk"])
def test_counts_beyond_all_memory(name):
    with pytest.raises(ConfigurationError, match=f"{name} = .*expected at most"):
        TrainingConfig(**{name: 10**30})


# -- one writer a path ----------------------------------------------------------------------------


@pytest.mark.parametrize("begun", [{}, {"overwrite": True}, {"resume": True}], ids=str)
def test_a_second_training_of_a_path_is_refused(tmp_path, begun):
    out = tmp_path / "m.safetensors"
    with only_writer(out):
        held = (tmp_path / "m.safetensors.lock").read_text()
        assert held == str(os.getpid())
        with pytest.raises(CheckpointError, match=f"being written by process {held}: wait"):
            train("RelativisticParticle", "Baseline", out=out, **begun, **SHORT, **SMALL)
        assert (tmp_path / "m.safetensors.lock").read_text() == held
    assert list(tmp_path.iterdir()) == []


def test_the_lock_goes_with_its_process(tmp_path):
    out = tmp_path / "m.safetensors"
    script = (
        "import os, sys; from gym_lagrangian.files import only_writer\n"
        "with only_writer(sys.argv[1]):\n"
        "    print('held', flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(out)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(GymLagrangianError, match=f"process {other.pid}"), only_writer(out):
            pass
        other.kill()
        other.wait()
    with only_writer(out):
        pass
    assert list(tmp_path.iterdir()) == []


def test_two_writers_of_one_file_never_mix(tmp_path):
    """Whoever comes last wins; there is always one whole file."""
    path, texts = tmp_path / "a", [letter * 100_000 for letter in "xyz"]

    def write(text):
        for _ in range(30):
            with replacing(path) as part:
                part.write_text(text)

    writers = [threading.Thread(target=write, args=(text,)) for text in texts]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        assert not path.exists() or path.read_text() in texts
    assert [one.name for one in tmp_path.iterdir()] == ["a"]


def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    Transitions(X, **rows()).save(path)
    before = path.read_bytes()

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(DataError, match="No space left"):
        Transitions(X, **rows(80)).save(path)
    monkeypatch.setattr(os, "write", full)
    with pytest.raises(CheckpointError, match="No space left"):
        train("DoublePendulum", "Baseline", out=tmp_path / "m.safetensors", **SHORT, **SMALL)
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["a.npz"]


def test_compiled_functions_of_environments_are_not_kept_for_ever():
    """Whatever envs/ caches, of ever other static options, has room for so many and no more."""
    names = [module.name for module in pkgutil.iter_modules(envs.__path__, "gym_lagrangian.envs.")]
    found = []
    for name in names:
        with contextlib.suppress(MissingExtra):
            found += vars(importlib.import_module(name)).values()
    caches = {one for one in found if hasattr(one, "cache_parameters")}
    assert len(caches) >= 4
    for one in caches:
        assert one.cache_parameters()["maxsize"] in range(1, 257), one


@pytest.mark.parametrize("before", [False, True])
def test_ctrl_c_before_anything_is_saved_says_so(tmp_path, capsys, monkeypatch, before):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["gym_lagrangian.learning.train"], "learn", stop)
    unfinished = tmp_path / "m.resume.safetensors"
    if before:
        unfinished.write_text("of another run")
    out = ["--out", str(tmp_path / "m.safetensors"), "--overwrite", "--steps", "2"]
    assert main(["train", "RelativisticParticle", "Baseline", *out]) == 130
    said = capsys.readouterr().err
    assert "saved" not in said.replace("anything to save", "")
    assert (f"{unfinished} is as it was" if before else "before there was anything to save") in said
