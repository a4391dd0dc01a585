"""Training across devices: the same training, whatever the number of devices."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import sharded_training
from physics_helpers import SMALL, SMALL_MODEL

from gym_lagrangian.cli import main
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.learning.train import train

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What a process with eight devices finds."""
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8"
    path = os.pathsep.join([str(HERE), str(HERE.parent)])
    done = subprocess.run(
        [sys.executable, sharded_training.__file__, str(tmp_path_factory.mktemp("sharded"))],
        env=os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu", "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("run", ["eight", "resumed", "fit"])
def test_several_devices_learn_what_one_does(found, run):
    """Up to the rounding of sums in float32, of which a little more is in the weights with every
    step: losses to 1e-6 of themselves, weights of order one to 1e-5.
    """
    weights, losses = found[run]
    assert losses < 1e-6
    assert weights < 1e-5


def test_a_gradient_is_that_of_the_whole_batch(found):
    """In float64, where rounding hides nothing; by a sum over the devices."""
    assert found["float64"]["apart"] < 1e-13
    assert found["float64"]["sums"] > 0


def test_every_device_has_its_part_of_a_batch(found):
    assert found["rows"] == [4] * 8


def test_a_checkpoint_does_not_tell_on_how_many_it_was_trained(found):
    assert found["cards"] == [True, True]


def test_what_cannot_be_divided_is_refused(found):
    unequal, too_many = found["refused"]
    assert "devices = 3 cannot divide a batch of 32" in unequal
    assert "a multiple of 3, such as 33" in unequal
    assert "devices = 9: JAX has 8 (cpu)" in too_many
    assert "--xla_force_host_platform_device_count=D" in too_many


@pytest.mark.parametrize("devices", [0, -1, 1.5, True, "2", None, 10_000])
def test_no_such_number_of_devices(devices, tmp_path):
    out = tmp_path / "m.safetensors"
    with pytest.raises(ConfigurationError, match="devices = "):
        train(
            "DoublePendulum",
            "Baseline",
            out=out,
            config=SMALL,
            model_config=SMALL_MODEL,
            devices=devices,
        )
    assert list(tmp_path.iterdir()) == []


def test_the_command_line_takes_devices(tmp_path, capsys):
    out = ["--out", str(tmp_path / "m.safetensors")]
    assert main(["train", "DoublePendulum", "Baseline", *out, "--devices", "0"]) == 2
    assert "devices = 0: expected a whole number" in capsys.readouterr().err
