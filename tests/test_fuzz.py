"""Generated input of every kind: a right answer or the package's own error, and nothing else.

The suite tries the same few hundred inputs every time. The slow test goes on for ten minutes with
ever new ones and prints what became of them: ``pytest -m slow -s tests/test_fuzz.py``.
"""

from __future__ import annotations

import copy
import functools
import json
import tempfile
import time
from collections import Counter
from pathlib import Path

import gymnasium
import hypothesis
import numpy as np
import pytest
from hypothesis import HealthCheck
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from strategies import HUGE, anything, arrays, json_values, numbers, paths
from system_helpers import QUICK

from gym_lagrangian import Coordinates, Transitions, checkpoints
from gym_lagrangian.checkpoints.file import _digest
from gym_lagrangian.errors import CheckpointError, DataError, GymLagrangianError

pytestmark = [
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

SECONDS = 600
PENDULUM = "DoublePendulum-v0"
X = Coordinates(("x",), parameters={"m": 1.0})
RESOURCES = Path(checkpoints.__file__).parent


@functools.cache
def scalar(dtype: str = "float64"):
    env = gymnasium.make(PENDULUM, dtype=dtype, **QUICK).unwrapped
    env.reset(seed=0)
    return env


@functools.cache
def vector():
    how = {"num_envs": 3, "vectorization_mode": "vector_entry_point"}
    env = gymnasium.make_vec(PENDULUM, **how, **QUICK)
    env.reset(seed=0)
    return env


def unchanged_or_finite(env, call) -> str:
    """An agent receives numbers, or the call is refused and leaves no trace."""
    before = env.get_state(full=True)
    try:
        received = call()
    except GymLagrangianError as error:
        after = env.get_state(full=True)
        for old, new in zip(before.state, after.state, strict=True):
            np.testing.assert_array_equal(old, new)
        return type(error).__name__
    if received is not None:
        assert np.isfinite(received[0]).all()
        assert not np.isnan(received[1] if len(received) == 5 else 0.0).any()
    assert np.isfinite(env.get_state().x).all()
    return "accepted"


def an_action(action) -> str:
    outcome = unchanged_or_finite(scalar(), lambda: scalar().step(action))
    if outcome == "accepted":
        given = np.asarray(action)
        assert given.shape == (2,)
        assert np.isfinite(given.astype(float)).all()
        assert not np.iscomplexobj(given)
    return outcome


def actions_of_many(actions) -> str:
    return unchanged_or_finite(vector().unwrapped, lambda: vector().step(actions))


def a_start(case) -> str:
    options, dtype = case
    return unchanged_or_finite(scalar(dtype), lambda: scalar(dtype).reset(options=options))


def a_start_of_many(options) -> str:
    return unchanged_or_finite(vector().unwrapped, lambda: vector().reset(options=options))


def a_state(case) -> str:
    state, part = case
    env = scalar()
    given = state if part is None else env.get_state()._replace(**{part: state})
    return unchanged_or_finite(env, lambda: env.set_state(given))


def a_seed(seed) -> str:
    return unchanged_or_finite(scalar(), lambda: scalar().reset(seed=seed))


def a_simulation(case) -> str:
    state, actions, m1 = case
    try:
        found = scalar().simulate(state, actions, **({} if m1 is None else {"m1": m1}))
    except GymLagrangianError as error:
        return type(error).__name__
    assert np.isfinite(found.states).all()
    assert np.isfinite(found.observations).all()
    assert not np.isnan(found.rewards).any()
    return "accepted"


def an_environment(arguments) -> str:
    try:
        env = gymnasium.make(PENDULUM, **{**QUICK, **arguments}).unwrapped
    except GymLagrangianError as error:
        return type(error).__name__
    try:
        env.reset(seed=0)
    except GymLagrangianError:
        return "refused at reset"
    return unchanged_or_finite(env, lambda: env.step(np.ones(2, np.float32)))


def recorded(changes) -> str:
    q = 0.1 * np.arange(5.0)[:, None]
    arrays = {"q": q, "qd": q, "next_q": q, "next_qd": q, "dt": 0.1, "noise": 0.0} | changes
    try:
        found = Transitions.of(arrays, X)
    except DataError as error:
        return type(error).__name__
    assert all(np.isfinite(array.astype(np.float32)).all() for array in found.arrays.values())
    assert found.dt > 0
    return "accepted"


def coordinates(stated) -> str:
    try:
        found = Coordinates(("x",), **stated)
    except GymLagrangianError as error:
        return type(error).__name__
    assert np.isfinite(np.ravel(found.magnitudes)).all()
    return "accepted"


def a_path(path) -> str:
    for read, error in ((Transitions.load, DataError), (checkpoints.load, CheckpointError)):
        with pytest.raises(error):
            read(path)
    return "refused"


@functools.cache
def files() -> dict[str, bytes]:
    """A file of transitions and a checkpoint."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.npz"
        q = 0.1 * np.arange(5.0)[:, None]
        Transitions(X, q=q, qd=q, next_q=q, next_qd=q, dt=0.1).save(path)
        npz = path.read_bytes()
    shipped = RESOURCES / "TriplePendulumBaseline.safetensors"
    return {"a.npz": npz, "a.safetensors": shipped.read_bytes()}


def a_damaged_file(case) -> str:
    name, edits, length = case
    whole = files()[name]
    changed = bytearray(whole[: round(length * len(whole))])
    for where, byte in edits:
        if changed:
            changed[round(where * (len(changed) - 1))] = byte
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(changed)
        try:
            if name == "a.npz":
                found = Transitions.load(path).arrays
            else:
                checkpoints.load(path)
        except (DataError, CheckpointError) as error:
            return type(error).__name__
    if name == "a.npz":
        np.testing.assert_array_equal(found["q"], 0.1 * np.arange(5.0)[:, None])
    else:
        assert changed == whole
    return "read as it was"


@functools.cache
def shipped() -> tuple[dict, dict]:
    path = RESOURCES / "TriplePendulumBaseline.safetensors"
    with safe_open(path, "numpy") as file:
        document = json.loads(file.metadata()["gym_lagrangian"])
    return document, load_file(path)


FIELDS = [
    *("coordinates", "physics", "parameters", "conditioned_on", "model", "model_config", "ranges"),
    *("training", "data", "forced", "metrics", "friction", "members", "base", "init", "new"),
    *("model_config.depth", "model_config.width", "model_config.q_scale", "physics.options"),
    *("physics.entry_point", "physics.fingerprint", "coordinates.angular", "coordinates.name"),
    *("coordinates.coordinates", "coordinates.parameters", "parameters.m1", "training.steps"),
]


def a_forged_card(case) -> str:
    field, value = case
    document, tensors = copy.deepcopy(shipped()[0]), shipped()[1]
    here, *inner = field.split(".")
    place = document["card"] if not inner else document["card"].get(here)
    if not isinstance(place, dict):
        return "no such field"
    place[inner[0] if inner else here] = value
    del document["sha256"]
    document["sha256"] = _digest(document, tensors)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.safetensors"
        save_file(tensors, path, metadata={"gym_lagrangian": json.dumps(document)})
        try:
            found = checkpoints.load(path)
            bounds = found.card.model_coordinates().parameter_bounds()
            system = found.card.build_system()
            checkpoints.check_fits(found.card, system, bounds, what="it")
        except GymLagrangianError as error:
            return type(error).__name__
    return "accepted"


def some(**values):
    """A dict of some of these."""
    return st.fixed_dictionaries({}, optional=values)


x, many = arrays((4,)), arrays((4,), (3, 4))
pair = st.tuples(numbers, numbers)

#: Name → what is generated, what is done with it, and how often in the suite.
KINDS = {
    "actions": (arrays((2,)), an_action, 100),
    "actions of many": (arrays((3, 2)), actions_of_many, 60),
    "options": (
        st.tuples(
            some(state=x, low=x | numbers, high=x | numbers, sate=x) | anything,
            st.sampled_from(["float64", "float32"]),
        ),
        a_start,
        80,
    ),
    "options of many": (
        some(state=many, low=many, high=many, reset_mask=arrays((3,)), m=x) | anything,
        a_start_of_many,
        60,
    ),
    "states": (
        st.tuples(arrays((4,), (5,), (0,)), st.sampled_from([None, "x", "m", "goal"])),
        a_state,
        80,
    ),
    "seeds": (anything, a_seed, 60),
    "simulations": (st.tuples(x, arrays((2, 2)), st.none() | anything), a_simulation, 60),
    "parameters": (
        some(
            m1=anything | pair,
            g=anything | pair,
            torque_max=anything,
            dt=anything,
            dtype=st.sampled_from(["float32", "float64", "f2", 5]),
            substeps=st.sampled_from([1, 0, -1, 2.0, "a", HUGE, 10**9, None]),
            render_size=anything,
            device=st.just("cpu") | st.integers(),
            wind=anything,
        ),
        an_environment,
        60,
    ),
    "arrays": (
        some(
            **dict.fromkeys(("q", "qd", "next_q", "next_qd", "tau"), arrays((5, 1))),
            m=arrays((5, 1)),
            dt=anything | arrays((5,)),
            noise=anything,
            new=anything,
            column_a=arrays((5,)),
        ),
        recorded,
        120,
    ),
    "coordinates": (
        some(
            angular=anything,
            q_scale=anything,
            tau_scale=anything,
            speed_limit=anything,
            parameters=st.dictionaries(st.text(max_size=3), anything | pair) | anything,
            usage=st.dictionaries(st.sampled_from(["dt", "friction", "new"]), anything) | anything,
        ),
        coordinates,
        120,
    ),
    "paths": (paths, a_path, 80),
    "files": (
        st.tuples(
            st.sampled_from(["a.npz", "a.safetensors"]),
            st.lists(st.tuples(st.floats(0.0, 1.0), st.integers(0, 255)), max_size=4),
            st.just(1.0) | st.floats(0.0, 1.0),
        ),
        a_damaged_file,
        80,
    ),
    "cards": (st.tuples(st.sampled_from(FIELDS), json_values), a_forged_card, 60),
}


def fuzz(kind: str, examples: int | None = None, seed: int | None = None) -> Counter:
    """What became of generated inputs of a kind; without a seed the same ones every time."""
    strategy, check, usual = KINDS[kind]
    outcomes: Counter = Counter()

    @hypothesis.settings(
        max_examples=examples or usual,
        deadline=None,
        derandomize=seed is None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(strategy)
    def one(value):
        outcomes[check(value)] += 1

    (one if seed is None else hypothesis.seed(seed)(one))()
    return outcomes


@pytest.mark.parametrize("kind", KINDS)
def test_right_or_refused(kind):
    outcomes = fuzz(kind)
    assert sum(outcomes.values()) >= 50
    assert set(outcomes) - {"accepted"}  # something was refused


@pytest.mark.slow
def test_right_or_refused_for_ten_minutes():
    outcomes = {kind: Counter() for kind in KINDS}
    end, seed = time.monotonic() + SECONDS, 0
    while time.monotonic() < end:
        for kind in KINDS:
            outcomes[kind] += fuzz(kind, 100, seed)
        seed += 1
    for kind, found in outcomes.items():
        print(f"{kind:16} {sum(found.values()):6}  {dict(found)}")  # noqa: T201
    assert all(sum(found.values()) >= 100 for found in outcomes.values())
