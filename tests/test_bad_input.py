"""Bad input to the environments: each a clear error that says what was found and expected."""

import importlib
import os
import re
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.error import NameNotFound, ResetNeeded
from safetensors.numpy import load_file, save_file

from gym_lagrangian import LagrangianEnv
from gym_lagrangian.errors import (
    CheckpointError,
    ConfigurationError,
    GymLagrangianError,
    MissingExtra,
)

pytestmark = pytest.mark.usefixtures("types_unchecked")

PENDULUM, PARTICLE = "DoublePendulum-v0", "RelativisticParticle-v0"
NAN, INFINITY = float("nan"), float("inf")


@pytest.fixture(scope="module")
def pendulum():
    env = gymnasium.make(PENDULUM, integrator="rk4", substeps=1).unwrapped
    env.reset(seed=0)
    return env


@pytest.fixture(scope="module")
def particle():
    env = gymnasium.make(PARTICLE, integrator="rk4", substeps=1).unwrapped
    env.reset(seed=0)
    return env


def test_errors_are_also_value_errors():
    assert issubclass(ConfigurationError, ValueError)
    assert issubclass(CheckpointError, ValueError)
    assert issubclass(ConfigurationError, GymLagrangianError)
    assert issubclass(CheckpointError, GymLagrangianError)


def test_missing_stable_baselines3_is_named(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "stable_baselines3"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "stable_baselines3", None)
    monkeypatch.delitem(sys.modules, "gym_lagrangian.envs.sb3", raising=False)
    with pytest.raises(MissingExtra, match=r'pip install "gym-lagrangian\[sb3\]"'):
        importlib.import_module("gym_lagrangian.envs.sb3")


class TestNames:
    @pytest.mark.parametrize("env_id", ["DoublePendulumXYZ-v0", "DoublePendulumLnn-v0"])
    def test_unknown_suffix(self, env_id):
        with pytest.raises(NameNotFound, match=rf"`{env_id[:-3]}` doesn't exist.*DoublePendulum"):
            gymnasium.make(env_id)

    def test_unknown_version(self):
        with pytest.raises(gymnasium.error.VersionNotFound, match=r"`v7`.*`v0`"):
            gymnasium.make("DoublePendulum-v7")

    def test_unknown_system(self):
        message = "unknown system 'NoSuchPendulum'; choose one of DoublePendulum, RelativisticP"
        with pytest.raises(ConfigurationError, match=message):
            LagrangianEnv("NoSuchPendulum")

    def test_unknown_argument_is_named_beside_what_the_system_takes(self):
        message = r"DoublePendulum takes no argument 'mass1'.*m1, m2, l1, l2, g.*actuated, torque_"
        with pytest.raises(ConfigurationError, match=message):
            gymnasium.make(PENDULUM, mass1=2.0)
        with pytest.raises(ConfigurationError, match=r"takes no argument 'm1'.*m, c, g.*force_max"):
            gymnasium.make(PARTICLE, m1=2.0)

    @pytest.mark.parametrize(
        ("typo", "meant"),
        [("substep", "substeps"), ("integrater", "integrator"), ("chekpoint", "checkpoint")],
    )
    def test_unknown_argument_is_named_beside_what_every_environment_takes(self, typo, meant):
        with pytest.raises(ConfigurationError, match=rf"no argument '{typo}'.*\b{meant}\b"):
            gymnasium.make(PENDULUM, **{typo: 1})


# Arguments of the constructor, and what the message must say of them.
ARGUMENTS = [
    (PENDULUM, {"m1": -1.0}, r"m1 = -1\.0: expected a positive number \(kg\)"),
    (PENDULUM, {"m2": 0}, r"m2 = 0: expected a positive number \(kg\)"),
    (PENDULUM, {"l1": -2}, r"l1 = -2: expected a positive number \(m\)"),
    (PENDULUM, {"l2": 0.0}, r"l2 = 0\.0: expected a positive number \(m\)"),
    (PENDULUM, {"m1": NAN}, "m1 = nan: expected a positive number"),
    (PENDULUM, {"m1": INFINITY}, "m1 = inf: expected a positive number"),
    (PENDULUM, {"m1": "heavy"}, "m1 = 'heavy': expected a finite number"),
    (PENDULUM, {"m1": "2.0"}, r"m1 = '2\.0': expected a finite number"),
    (PENDULUM, {"m1": None}, "m1 = None: expected a positive number"),
    (PENDULUM, {"g": NAN}, r"g = nan: expected a finite number \(m/s²\)"),
    (PENDULUM, {"m1": (2.0, 0.5)}, r"m1 = \(2\.0, 0\.5\): the range is reversed.*\(0\.5, 2\)"),
    (PENDULUM, {"m1": (0.0, 1.0)}, r"m1 = 0\.0: expected a positive number"),
    (PENDULUM, {"m1": (1.0, 2.0, 3.0)}, r"m1 = \(1\.0, 2\.0, 3\.0\): expected .* pair"),
    (PENDULUM, {"m1": ()}, r"m1 = \(\): expected .* pair"),
    (PENDULUM, {"m1": (1.0, NAN)}, r"m1 = nan: expected a positive"),
    (PARTICLE, {"m": -1}, r"RelativisticParticle parameter m = -1: expected a positive number"),
    (PARTICLE, {"c": 0}, r"c = 0: expected a positive number \(m/s\)"),
    (PARTICLE, {"g": (1, -1)}, r"g = \(1, -1\): the range is reversed; write \(-1, 1\)"),
    (PENDULUM, {"dt": 0}, r"dt = 0: expected a positive number \(seconds\)"),
    (PENDULUM, {"dt": -0.05}, r"dt = -0\.05: expected a positive number \(seconds\)"),
    (PENDULUM, {"dt": NAN}, r"dt = nan: expected a positive number \(seconds\)"),
    (PENDULUM, {"dt": INFINITY}, r"dt = inf: expected a positive number \(seconds\)"),
    (PENDULUM, {"dt": "0.05"}, r"dt = '0\.05': expected a positive number \(seconds\)"),
    (PENDULUM, {"integrator": "euler"}, "'euler': choose one of rk4, dopri5, dop853"),
    (PENDULUM, {"integrator": None}, "integrator = None: choose one of rk4, dopri5, dop853"),
    (PENDULUM, {"substeps": 0}, "substeps = 0: expected a whole number of at least 1"),
    (PENDULUM, {"substeps": -2}, "substeps = -2: expected a whole number of at least 1"),
    (PENDULUM, {"substeps": 2.0}, r"substeps = 2\.0: expected a whole number of at least 1"),
    (PENDULUM, {"substeps": "4"}, "substeps = '4': expected a whole number of at least 1"),
    (PENDULUM, {"dtype": "float16"}, "dtype = 'float16': choose one of float32, float64"),
    (PENDULUM, {"dtype": None}, "dtype = None: choose one of float32, float64"),
    (PENDULUM, {"device": "quantum"}, "device = 'quantum': jax has no such platform here"),
    (PENDULUM, {"actuated": "wrist"}, "actuated = 'wrist': choose one of both, shoulder, elbow"),
    (PENDULUM, {"actuated": None}, "actuated = None: choose one of both, shoulder, elbow"),
    (PENDULUM, {"torque_max": -6.0}, r"torque_max = -6\.0: expected a positive number \(N·m\)"),
    (PENDULUM, {"torque_max": 0}, "torque_max = 0: expected a positive number"),
    (PENDULUM, {"torque_max": NAN}, "torque_max = nan: expected a positive number"),
    (PENDULUM, {"torque_max": "6"}, "torque_max = '6': expected a positive number"),
    (PENDULUM, {"omega_max": 0}, r"omega_max = 0: expected a positive number \(rad/s\)"),
    (PARTICLE, {"force_max": -4}, r"force_max = -4: expected a positive number \(N\)"),
    (PARTICLE, {"position_max": INFINITY}, "position_max = inf: expected a positive number"),
    (PARTICLE, {"lagrangian": "newton"}, "'newton': choose one of paper, special_relativity"),
    (PARTICLE, {"lagrangian": None}, "= None: choose one of paper, special_relativity"),
]


@pytest.mark.parametrize(
    ("env_id", "arguments", "message"),
    ARGUMENTS,
    ids=[f"{env_id}-{arguments}" for env_id, arguments, _ in ARGUMENTS],
)
def test_argument(env_id, arguments, message):
    with pytest.raises(ConfigurationError, match=message):
        gymnasium.make(env_id, **arguments)


@pytest.mark.parametrize("value", [np.float32(0.05), np.float64(0.05)])
def test_numbers_of_numpy_are_numbers(value):
    env = gymnasium.make(PENDULUM, dt=value, m1=value, torque_max=value, substeps=np.int64(1))
    assert env.unwrapped.dt == pytest.approx(0.05)


@pytest.mark.filterwarnings("ignore:.*render mode:UserWarning")
def test_render_mode():
    with pytest.raises(
        ConfigurationError, match="render_mode = 'ascii': choose one of human, rgb_array, or None"
    ):
        gymnasium.make(PENDULUM, render_mode="ascii")


class TestActions:
    @pytest.mark.parametrize("shape", [(), (1,), (3,), (1, 2), (2, 1), (0,)])
    def test_shape(self, pendulum, shape):
        message = re.escape(f"action has shape {shape}, expected (2,) with values in [-1, 1]")
        with pytest.raises(ConfigurationError, match=message):
            pendulum.step(np.zeros(shape, np.float32))

    def test_shape_where_there_is_one_actuator(self, particle):
        with pytest.raises(ConfigurationError, match=r"shape \(2,\), expected \(1,\)"):
            particle.step(np.zeros(2, np.float32))

    @pytest.mark.parametrize("value", [NAN, INFINITY, -INFINITY])
    def test_not_finite(self, pendulum, value):
        before = pendulum.get_state()
        with pytest.raises(ConfigurationError, match=r"action \[.*0.*\] is not finite"):
            pendulum.step(np.array([0.0, value], np.float32))
        np.testing.assert_array_equal(pendulum.get_state(), before)

    @pytest.mark.parametrize("action", ["up", [[1.0], [1.0, 2.0]], {"torque": 1.0}, [None, "x"]])
    def test_not_numbers(self, pendulum, action):
        with pytest.raises(ConfigurationError, match=r"action .*expected"):
            pendulum.step(action)

    def test_lists_of_numbers_will_do(self, pendulum):
        ends = []
        for action in ([1, -1], np.array([1, -1]), np.array([1, -1], np.float32)):
            pendulum.reset(seed=0)
            ends.append(pendulum.step(action)[-1]["state"])
        np.testing.assert_array_equal(ends[0], ends[1])
        np.testing.assert_array_equal(ends[0], ends[2])


STATES = [
    ("shape", [0.0, 0.0], r"has shape \(2,\), expected \(4,\): \(theta1, theta2, dtheta1/dt, dthe"),
    ("matrix", np.zeros((1, 4)), r"has shape \(1, 4\), expected \(4,\)"),
    ("number", 0.5, r"has shape \(\), expected \(4,\)"),
    ("nan", [0.0, NAN, 0.0, 0.0], r"\[ *0\. +nan +0\. +0\.\] is not finite"),
    ("inf", [INFINITY, 0.0, 0.0, 0.0], "is not finite"),
    ("string", "upright", "= 'upright': expected numbers"),
    ("none", None, r"expected"),
    ("ragged", [[1.0], [1.0, 2.0]], "expected numbers"),
    ("omega", [0.0, 0.0, 20.5, 0.0], r"20\.5.*outside the range of DoublePendulum"),
]


class TestStates:
    @pytest.mark.parametrize(
        ("state", "message"), [row[1:] for row in STATES], ids=[row[0] for row in STATES]
    )
    def test_in_options_and_set_state(self, pendulum, state, message):
        pendulum.reset(seed=0)
        before = pendulum.get_state()
        with pytest.raises(ConfigurationError, match=message):
            pendulum.reset(options={"state": state})
        with pytest.raises(ConfigurationError, match=message):
            pendulum.set_state(state)
        np.testing.assert_array_equal(pendulum.get_state(), before)

    @pytest.mark.parametrize("state", [[0.0, 1.0], [0.0, -1.5], [20.5, 0.0]])
    def test_particle_out_of_range(self, particle, state):
        with pytest.raises(ConfigurationError, match="outside the range of RelativisticParticle"):
            particle.reset(options={"state": state})

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"low": 0.2, "high": 0.1}, r'options\["low"\] = .*0\.2.* exceeds options\["high"\]'),
            ({"low": [0, 0, 0, 1.0], "high": [1, 1, 1, 0.5]}, r'exceeds options\["high"\]'),
            ({"low": 0.5}, r'options\["low"\] = .*0\.5.* exceeds options\["high"\] = .*0\.1'),
            ({"low": [0.0, 0.0]}, r'options\["low"\] has shape \(2,\), expected \(4,\)'),
            ({"high": NAN}, r'options\["high"\] = .*nan.* is not finite'),
            ({"low": "down"}, r"options\[\"low\"\] = 'down': expected numbers"),
            ({"state": np.zeros(4), "low": 0.0}, 'give "state", or "low" and "high", not both'),
            ({"state": np.zeros(4), "high": 0.0}, 'give "state", or "low" and "high", not both'),
        ],
    )
    def test_options(self, pendulum, options, message):
        with pytest.raises(ConfigurationError, match=message):
            pendulum.reset(options=options)

    @pytest.mark.parametrize(
        "options", [{"low": [0.0, 1.5], "high": [0.0, 2.0]}, {"low": [-30.0, 0], "high": [30.0, 0]}]
    )
    def test_ranges_beyond_the_systems_own(self, particle, options):
        """A start at |v| ≥ c would have no energy: NaN in the first info."""
        with pytest.raises(ConfigurationError, match="range of RelativisticParticle"):
            particle.reset(seed=0, options=options)

    @pytest.mark.parametrize("options", ["upright", [0.0, 0.0, 0.0, 0.0]])
    def test_options_that_are_no_dictionary(self, pendulum, options):
        with pytest.raises(ConfigurationError, match="options"):
            pendulum.reset(options=options)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda env: env.step(np.zeros(2, np.float32)), "step"),
        (lambda env: env.get_state(), "get_state"),
        (lambda env: env.set_state(np.zeros(4)), "set_state"),
        (lambda env: env.render(), "render"),
    ],
    ids=["step", "get_state", "set_state", "render"],
)
def test_before_reset(call, name):
    env = gymnasium.make(PENDULUM, render_mode="rgb_array").unwrapped
    with pytest.raises(ResetNeeded, match=rf"call reset\(\) before {name}\(\)"):
        call(env)


class TestCheckpoints:
    @pytest.fixture
    def refused(self):
        def check(path, message):
            with pytest.raises(CheckpointError, match=message):
                gymnasium.make(PENDULUM, checkpoint=str(path))

        return check

    def test_missing(self, refused, tmp_path):
        refused(tmp_path / "none.safetensors", r"no checkpoint '.*none\.safetensors'.*shipped")
        refused("NoSuchModel", r"no checkpoint 'NoSuchModel'.*shipped names")
        refused(tmp_path, r"no checkpoint .*expected the path of a \.safetensors file")

    def test_truncated(self, refused, tmp_path, lnn_checkpoint):
        whole = Path(lnn_checkpoint).read_bytes()
        path = tmp_path / "model.safetensors"
        for length in (0, 4, 100, len(whole) // 2, len(whole) - 1):
            path.write_bytes(whole[:length])
            refused(path, r"model\.safetensors' is not a readable safetensors file \(truncated\?\)")

    def test_a_changed_weight(self, refused, tmp_path, lnn_checkpoint):
        data = bytearray(Path(lnn_checkpoint).read_bytes())
        data[-5] ^= 1
        path = tmp_path / "model.safetensors"
        path.write_bytes(data)
        refused(path, "does not match the SHA-256 in its header")

    def test_an_edited_header(self, refused, tmp_path, lnn_checkpoint):
        data = Path(lnn_checkpoint).read_bytes()
        edited = data.replace(rb"\"m1\": 1.0", rb"\"m1\": 2.0")
        assert edited != data
        path = tmp_path / "model.safetensors"
        path.write_bytes(edited)
        refused(path, "does not match the SHA-256 in its header")

    @pytest.mark.parametrize("content", [b"not a checkpoint", b"\x80\x04N.", b"PK\x03\x04" * 99])
    def test_foreign_file(self, refused, tmp_path, content):
        path = tmp_path / "model.safetensors"
        path.write_bytes(content)
        refused(path, "is not a readable safetensors file")

    def test_foreign_safetensors(self, refused, tmp_path, lnn_checkpoint):
        path = tmp_path / "model.safetensors"
        save_file(load_file(lnn_checkpoint), path)
        refused(path, "is a safetensors file without a gym_lagrangian header")
        save_file(load_file(lnn_checkpoint), path, metadata={"gym_lagrangian": "[]"})
        refused(path, "is a safetensors file without a gym_lagrangian header")

    def test_model_of_another_system(self, refused, make_checkpoint):
        path = make_checkpoint("RelativisticParticle", "Baseline")
        refused(path, r"is a model of RelativisticParticle, this is DoublePendulum")

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"m1": 2.0}, r"was trained at m1 = 1\.0, not 2\.0; leave m1 out"),
            ({"g": 1.6}, r"was trained at g = 9\.8, not 1\.6; leave g out"),
            ({"l2": (0.5, 1.5)}, r"was trained at l2 = 1\.0, not \(0\.5, 1\.5\)"),
        ],
    )
    def test_parameters_it_was_not_trained_at(self, lnn_checkpoint, arguments, message):
        with pytest.raises(CheckpointError, match=re.escape(os.path.basename(lnn_checkpoint))):
            gymnasium.make(PENDULUM, checkpoint=lnn_checkpoint, **arguments)
        with pytest.raises(CheckpointError, match=message):
            gymnasium.make(PENDULUM, checkpoint=lnn_checkpoint, **arguments)

    def test_other_lagrangian(self, make_checkpoint):
        path = make_checkpoint("RelativisticParticle", "Baseline")
        with pytest.raises(
            CheckpointError, match="trained for lagrangian='paper', not 'special_relativity'"
        ):
            gymnasium.make(PARTICLE, checkpoint=path, lagrangian="special_relativity")

    @pytest.mark.parametrize("checkpoint", [5, b"model", ["DoublePendulumLNN"]])
    def test_no_name_or_path(self, checkpoint):
        with pytest.raises(GymLagrangianError, match="checkpoint"):
            gymnasium.make(PENDULUM, checkpoint=checkpoint)
