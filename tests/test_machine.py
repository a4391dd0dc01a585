"""The description of a machine: the same in a file and in Python, and every mistake by name."""

import json
import math
import re
from pathlib import Path

import pytest
from arm_logs import MACHINE

import gym_lagrangian
from gym_lagrangian import Coordinates, Machine
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.systems.task import Drive

ARM = {
    "coordinates": ("shoulder", "elbow"),
    "name": "Arm",
    "angular": True,
    "time": "t",
    "position": ("q1", "q2"),
    "force": ("tau1", "tau2"),
    "force_max": (5.0, 2.0),
    "dt": 0.02,
}


def machine(**changes) -> Machine:
    given = ARM | changes
    return Machine(given.pop("coordinates"), **given)


@pytest.fixture
def file(tmp_path):
    """Writes a machine's file."""

    def write(text: str = MACHINE):
        path = tmp_path / "arm.toml"
        path.write_text(text)
        return path

    return write


def test_a_file_says_what_arguments_say(file):
    read, made = Machine.load(file()), machine()
    assert read.joints == made.joints
    assert read.coordinates == made.coordinates
    assert read.columns == made.columns == ("t", "q1", "tau1", "q2", "tau2")
    for name in ("time", "time_unit", "interval", "episode", "dt", "gap", "forces"):
        assert getattr(read, name) == getattr(made, name)


def test_units_become_radians_and_metres(file):
    text = """
        [time]
        column = "stamp"
        unit = "ms"
        [[coordinates]]
        name = "x"
        kind = "length"
        unit = "mm"
        stops = [-100, 300]
        [[coordinates]]
        name = "wheel"
        kind = "angle"
        unit = "turn"
        velocity = "speed"
        velocity_unit = "rpm"
        gain = -1
        zero = 0.25
    """
    found = Machine.load(file(text))
    assert found.name == "arm"  # of the file
    assert found.time_unit == 1e-3
    x, wheel = found.joints
    assert x.limits == pytest.approx((-0.1, 0.3))
    assert (x.position, x.velocity, x.force) == ("x", None, None)
    assert wheel.unit == pytest.approx(2 * math.pi)
    assert wheel.velocity_unit == pytest.approx(2 * math.pi / 60)
    assert (wheel.gain, wheel.zero) == (-1.0, 0.25)
    assert found.coordinates.angular == (False, True)
    assert found.coordinates.usage.actuated is None  # nothing tells of a motor


def test_its_usage_is_what_environments_assume():
    found = machine(reward="arm:reach", task="arm:Reach", actuated=["elbow"], force_max=(None, 2.0))
    usage = found.coordinates.usage
    document = usage.document()
    assert Machine.of(found.coordinates).joints == found.joints
    del document["logs"]
    assert document == {
        "dt": 0.02,
        "actuated": ("elbow",),
        "force_max": (2.0,),
        "task": "arm:Reach",
        "reward": "arm:reach",
        "friction": "passive",
    }
    assert found.coordinates.time_step == 0.02
    assert found.coordinates.learned_friction == "passive"
    again = Coordinates.of_document(json.loads(json.dumps(found.coordinates.document())))
    assert again == found.coordinates
    assert hash(again) == hash(found.coordinates)
    assert again != machine().coordinates


def test_motors_are_those_of_the_machine_unless_a_task_says_otherwise():
    one = machine(force=(None, "tau2"), force_max=(None, 2.0)).coordinates
    assert Drive(coordinates=one).motors == (1,)
    assert Drive(coordinates=one).full_force == (2.0,)
    assert Drive(coordinates=one, actuated=("shoulder",)).full_force == (1.0,)
    assert Drive(coordinates=one, force_max=7.0).full_force == (7.0,)


def test_coordinates_without_a_usage_are_as_before():
    plain = Coordinates(("a", "b"), angular=True)
    assert "usage" not in plain.document()
    assert plain.time_step == 0.05
    assert Drive(coordinates=plain).motors == (0, 1)


def test_offered_at_the_top_level():
    assert {"Machine", "Logs", "read_logs"} <= set(gym_lagrangian.__all__)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"coordinates": ("a", "a")}, "one different name"),
        ({"unit": "grad"}, "coordinate shoulder: unit = 'grad'.*rad, deg, turn"),
        ({"unit": "mm"}, "unit = 'mm'"),  # of an angle
        ({"velocity_unit": "deg"}, "velocity_unit = 'deg'"),
        ({"time": None}, "neither time nor interval"),
        ({"interval": 0.01}, "both time and interval"),
        ({"time": None, "interval": 0.0}, "interval"),
        ({"time": -1}, "number from 0"),
        ({"time_unit": "h"}, "time_unit = 'h'"),
        ({"position": "q1"}, r"position = 'q1': expected one column for each"),
        ({"position": ("q1",)}, "position has 1 values, expected 2"),
        ({"position": ("q1", "q1")}, "'q1' is the position of shoulder and the position of elbow"),
        ({"position": ("tau1", "q2")}, "'tau1' is"),
        ({"position": (None, "q2")}, "position = None"),
        ({"gain": 0.0}, "gain = 0"),
        ({"gain": float("nan")}, "gain = nan"),
        ({"force_gain": 0}, "force_gain = 0"),
        ({"force_max": (5.0, -2.0)}, "coordinate elbow: force_max"),
        ({"force_max": (5.0, None)}, "force_max is given for shoulder"),
        ({"actuated": ["wrist"]}, "some of shoulder, elbow"),
        ({"stops": ((1.0, -1.0), None)}, "low < high"),
        ({"stops": (1.0, 2.0)}, r"stops = 1.0: expected a pair"),
        ({"dt": 0}, "dt"),
        ({"gap": -1}, "gap"),
        ({"forces": "constant"}, "forces = 'constant'.*held, sampled"),
        ({"friction": "dry"}, "friction = 'dry'"),
        ({"reward": "reach"}, "reward = 'reach'.*module:name"),
        ({"task": 3}, "task = 3"),
    ],
    ids=str,
)
def test_bad_arguments(changes, message):
    with pytest.raises(ConfigurationError, match=message):
        machine(**changes)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("dt = 0.02", "dt = 0.02\nfriktion = 1", r"arm\.toml: unknown key friktion; .*friction"),
        (
            'column = "t"',
            'col = "t"',
            r"arm\.toml: unknown key time\.col; .*column, unit, interval",
        ),
        ("force_max = 5.0", "torque = 5.0", r"unknown key coordinates\[0\]\.torque"),
        ("force_max = 5.0", 'force_max = "5"', r"arm\.toml: .*shoulder: force_max = '5'"),
        ("force_max = 5.0", "actuated = 1", r"arm\.toml: actuated = 1 of shoulder"),
        ('kind = "angle"', 'kind = "joint"', r"coordinates\[0\]\.kind = 'joint'"),
        ('kind = "angle"', "", r"coordinates\[0\] has no kind"),
        ('name = "shoulder"', "", r"coordinates\[0\] has no name"),
        ("dt = 0.02", "dt = ", r"arm\.toml: not a TOML file"),
        ("[time]", "[[time]]", r"time = \[.*expected a table"),
        ("dt = 0.02", "dt = 0.02\ncoordinates = 3", "not a TOML file"),
    ],
    ids=str,
)
def test_bad_files(file, old, new, message):
    with pytest.raises(ConfigurationError, match=message):
        Machine.load(file(MACHINE.replace(old, new, 1)))


def test_no_file_and_no_coordinates(file, tmp_path):
    with pytest.raises(ConfigurationError, match=r"cannot read .*missing"):
        Machine.load(tmp_path / "missing.toml")
    with pytest.raises(ConfigurationError, match="no coordinates"):
        Machine.load(file('name = "Arm"\n[time]\ncolumn = "t"\n'))
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match="binary"):
        Machine.load(tmp_path / "binary.toml")


def test_the_machine_in_the_documentation(file):
    page = (Path(__file__).parents[1] / "docs" / "api" / "logs.md").read_text()
    found = Machine.load(file(re.search(r"```toml\n(.*?)```", page, re.DOTALL)[1]))
    assert found.coordinates.usage.force_max == (5.0, 2.0)
    assert found.coordinates.usage.reward == "mypkg:reach"
    assert found.time_unit == 1e-3
