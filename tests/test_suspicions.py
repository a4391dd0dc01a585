"""Suspicions: wrong data are reported, and correct data are not."""

from functools import cache

import arm_logs
import numpy as np
import pytest
from test_fit import SMALL, short
from test_transitions import WIDE, scalar

from gym_lagrangian import Coordinates, Machine, Transitions, collect, read_logs
from gym_lagrangian.errors import DataError
from gym_lagrangian.learning.suspicions import of_transitions

DEGREES = 180 / np.pi


def machine(*, velocities=False, **changes):
    given = {
        "name": "Arm",
        "angular": True,
        "time": "t",
        "position": ("q1", "q2"),
        "force": ("tau1", "tau2"),
        "dt": 0.02,
    }
    if velocities:
        given["velocity"] = ("v1", "v2")
    return Machine(("a", "b"), **given | changes)


@cache
def exact():
    return [arm_logs.motion(seed, 1200) for seed in range(3)]


def logs(**changes):
    """Three logs with noisy velocities; a change is a function of a column."""
    found = []
    for seed, log in enumerate(exact()):
        noise = 0.05 * np.random.default_rng(seed).normal(size=log.qd.shape)
        v1, v2 = (log.qd + noise).T
        given = arm_logs.columns(log) | {"v1": v1, "v2": v2}
        found.append(given | {name: change(given[name]) for name, change in changes.items()})
    return found


def said(one, given):
    """Kinds of fatal suspicions, of the logs or else of what is made of them."""
    read = read_logs(one, given)
    fatal = [s.kind for s in read.suspicions if s.fatal]
    return fatal or [s.kind for s in of_transitions(read.transitions())]


def times(factor):
    return lambda values: factor * values


def test_right_logs_are_left_in_peace():
    assert said(machine(), logs()) == []
    assert said(machine(velocities=True), logs()) == []
    assert said(machine(unit="deg"), logs(q1=times(DEGREES), q2=times(DEGREES))) == []
    many = [c | {"q2": np.unwrap(c["q2"]) + 200 * np.pi} for c in logs()]
    assert said(machine(), many) == []


@pytest.mark.parametrize(
    ("options", "changes", "kinds"),
    [
        ({}, {"q1": times(DEGREES), "q2": times(DEGREES)}, {"degrees"}),
        ({}, {"q1": times(DEGREES)}, {"degrees"}),
        ({"unit": "deg"}, {}, {"unit"}),
        ({}, {"t": times(1000)}, {"unit of time"}),
        ({}, {"t": lambda t: 1.7e12 + 1e3 * t}, {"unit of time"}),
        ({"time_unit": "ms"}, {}, {"unit of time"}),
        ({"velocities": True}, {"t": times(5)}, {"wrong dt"}),
        ({"velocities": True}, {"v1": times(-1)}, {"sign of a velocity"}),
        ({"velocities": True}, {"v2": times(DEGREES)}, {"unit"}),
        ({"velocities": True}, {"v2": times(0)}, {"no velocity"}),
        ({"velocities": True, "velocity": ("v2", "v1")}, {}, {"wrong dt"}),
        ({"force": ("tau2", "tau1")}, {}, {"torque of the other joint"}),
        ({"force_gain": (-1, 1)}, {}, {"sign of a torque"}),
        ({"force_gain": (1, -1)}, {}, {"sign of a torque"}),
        ({"gain": (1, -1)}, {}, {"sign of a torque"}),
        ({}, {"q2": times(0)}, {"constant column"}),
    ],
    ids=lambda value: "-".join(value),  # names alone: a function's text differs between workers
)
def test_wrong_logs(options, changes, kinds):
    given = logs(**changes)
    assert set(said(machine(**options), given)) == kinds


def test_a_fatal_suspicion_is_an_error_unless_somebody_insists():
    read = read_logs(machine(velocities=True), logs(v1=times(-1)))
    with pytest.raises(DataError, match=r"velocity of a .*wrong sign.*insist"):
        read.transitions()
    assert len(read.transitions(insist=True)) > 1500


@pytest.mark.parametrize(
    ("options", "changes", "message"),
    [
        ({}, {"tau2": times(0)}, "force on b, column 'tau2', is 0 in all rows"),
        ({}, {"tau1": lambda f: np.clip(f, -1, 1)}, "force on a is at its limit"),
        ({}, {"q1": lambda q: np.clip(q, -0.7, 0.7)}, "a is at an end stop"),
        (
            {"velocities": True},
            {"v1": lambda v: np.where(np.arange(1200) < 60, 0, v)},
            "velocity of a is 0",
        ),
    ],
    ids=["constant force", "saturation", "stops", "no velocity at first"],
)
def test_what_is_only_shown(options, changes, message):
    read = read_logs(machine(**options), logs(**changes))
    assert any(message in one.text for one in read.suspicions)
    assert not any(one.fatal for one in read.suspicions)
    assert len(read.transitions()) > 300


def test_a_clock_that_stands_still():
    with pytest.raises(DataError, match="clock stands still: all 1200 rows have one stamp"):
        read_logs(machine(), logs(t=times(0)))


@pytest.mark.parametrize("factor", [-1.0, 100.0])
def test_a_log_of_another_machine(factor):
    given = logs()
    given[1] = given[1] | {name: factor * given[1][name] for name in ("tau1", "tau2")}
    assert said(machine(), given) == ["another machine"]
    with pytest.raises(DataError, match=r"log 1.*otherwise than in the other logs"):
        read_logs(machine(), given).transitions()


# -- transitions that somebody made -----------------------------------------------------------


@cache
def recorded():
    return collect(scalar(), 1500, options=WIDE, episode_steps=25, seed=1)


def changed(**changes):
    """Transitions of an arm, with some arrays multiplied."""
    data = recorded()
    arrays = {k: v * np.asarray(changes.get(k, 1.0)) for k, v in data.arrays.items() if k != "m"}
    coordinates = Coordinates(("a", "b"), angular=True)
    return Transitions(coordinates, dt=data.dt * changes.get("dt", 1.0), **arrays)


def both(name, factor):
    return {name: factor, f"next_{name}": factor}


def test_right_transitions_are_left_in_peace():
    assert of_transitions(changed()) == ()
    assert of_transitions(recorded().noisy(0.02, seed=0)) == ()
    alone = recorded().first(1)
    assert of_transitions(alone) == ()


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"dt": 10}, "wrong dt"),
        ({"dt": 0.1}, "wrong dt"),
        ({"dt": 1e3}, "unit"),
        (both("qd", (1, -1)), "sign of a velocity"),
        (both("qd", DEGREES), "unit"),
        (both("qd", (0, 1)), "no velocity"),
        (both("qd", 0) | both("q", 0), "no motion"),
    ],
    ids=str,
)
def test_wrong_transitions(changes, kind):
    found = of_transitions(changed(**changes))
    assert {one.kind for one in found} == {kind}


def test_a_torque_of_the_wrong_sign():
    """Of a pendulum that begins at rest, so that its motors are not lost in its own gravity."""
    data = collect(scalar(torque_max=8.0, dt=0.01), 2000, seed=1, episode_steps=200)
    arrays = {name: array for name, array in data.arrays.items() if name not in ("m", "tau")}
    for sign, kinds in ((1, set()), (-1, {"sign of a torque"})):
        one = Transitions(
            Coordinates(("a", "b"), angular=True), dt=data.dt, tau=sign * data.tau, **arrays
        )
        assert {s.kind for s in of_transitions(one)} == kinds


def test_a_machine_that_turns_over_between_two_rows():
    """At 100 rad/s a step of .1 s is ten radians, and its change on the circle anything."""
    rng = np.random.default_rng(0)
    before, after = 100 * rng.normal(size=(2, 2000, 1))
    turned = 0.05 * (before + after)
    q = rng.uniform(-np.pi, np.pi, (2000, 1))
    one = Coordinates(("a",), angular=True)
    for factor, kinds in ((1.0, set()), (-1.0, {"sign of a velocity"})):
        v, w = factor * before, factor * after
        data = Transitions(one, q=q, qd=v, next_q=q + turned, next_qd=w, dt=0.1)
        assert {s.kind for s in of_transitions(data)} == kinds


def test_noise_alone_is_no_wrong_dt():
    """At 1 kHz a noise of 2 mrad is twice the velocity, step by step."""
    time = np.arange(4000) / 1000.0
    noise = 2e-3 * np.random.default_rng(0).normal(size=4000)
    q, qd = (np.sin(time) + noise)[:, None], np.cos(time)[:, None]
    data = Transitions(
        Coordinates(("a",)), q=q[:-1], qd=qd[:-1], next_q=q[1:], next_qd=qd[1:], dt=1e-3
    )
    assert of_transitions(data) == ()


def test_a_fit_refuses_and_can_be_told_to_go_on(tmp_path):
    wrong = changed(**both("qd", -1))
    with pytest.raises(DataError, match="wrong sign"):
        short(wrong, out=tmp_path / "m.safetensors")
    assert list(tmp_path.iterdir()) == []
    found = short(wrong, out=tmp_path / "m.safetensors", insist=True, config=SMALL)
    assert found.card.metrics["held_out_error"] > 0
