"""Furuta's pendulum against published equations, MuJoCo and scipy."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from system_helpers import (
    QUICK,
    accelerations,
    make,
    motion,
    passes_the_checker,
    random_parameters,
    random_states,
    task_state,
)

from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.systems.coordinates import Coordinates
from gym_lagrangian.systems.furuta import Balance, Furuta, SwingUp
from gym_lagrangian.systems.projection import projected
from gym_lagrangian.systems.task import check_task

PATH = "furuta:Furuta"
BALANCE = "gym_lagrangian.systems.furuta:Balance"
NO_FRICTION = {"viscous1": 0.0, "viscous2": 0.0}
WIDTH = 0.5


def cazzolato_prime(q, qd, tau, m) -> list[float]:
    """Equations 33 and 34 of Cazzolato & Prime (2011), Coulomb friction among the torques."""
    j1, l1, b1, f1, m2, c2, i2, b2, f2, g = m
    (_, a), (v, w) = q, qd
    j0, j2, h = j1 + m2 * l1**2, i2 + m2 * c2**2, m2 * l1 * c2
    sine, cosine, double = np.sin(a), np.cos(a), np.sin(2 * a)
    t1 = tau[0] - f1 * np.tanh(v / WIDTH)
    t2 = tau[1] - f2 * np.tanh(w / WIDTH)
    below = j0 * j2 + j2**2 * sine**2 - h**2 * cosine**2
    first = [-j2 * b1, h * cosine * b2, -(j2**2) * double, -0.5 * j2 * h * cosine * double]
    first += [j2 * h * sine, j2, -h * cosine, 0.5 * m2**2 * c2**2 * l1 * double]
    arm = np.dot(first, [v, w, v * w, v**2, w**2, t1, t2, g])
    held = j0 + j2 * sine**2
    second = [h * cosine * b1, -b2 * held, h * j2 * cosine * double, 0.5 * double * j2 * held]
    second += [-0.5 * h**2 * double, -h * cosine, held, -m2 * c2 * sine * held]
    pendulum = np.dot(second, [v, w, v * w, v**2, w**2, t1, t2, g])
    return [arm / below, pendulum / below]


def test_published_equations():
    system = Furuta()
    m, state = random_parameters(system), random_states(2)
    expected = [cazzolato_prime(*row) for row in zip(*state, m, strict=True)]
    np.testing.assert_allclose(accelerations(system, *state, m), expected, rtol=1e-9, atol=1e-9)


def mujoco_model(p: dict[str, float]) -> str:
    """An arm about z whose end carries a slender pendulum about the arm; nothing collides."""
    arm = (
        f'<joint axis="0 0 1" damping="{p["viscous1"]}"/>'
        f'<inertial pos="0 0 0" mass="1" diaginertia="{" ".join([str(p["J1"])] * 3)}"/>'
    )
    pendulum = (
        f'<body pos="{p["l1"]} 0 0"><joint axis="1 0 0" damping="{p["viscous2"]}"/><inertial '
        f'pos="0 0 {-p["c2"]}" mass="{p["m2"]}" diaginertia="{p["I2"]} {p["I2"]} 1e-14"/></body>'
    )
    return (
        f'<mujoco><option gravity="0 0 {-p["g"]}"/><worldbody><body>{arm}{pendulum}</body>'
        "</worldbody></mujoco>"
    )


def test_accelerations_of_mujoco():
    mujoco = pytest.importorskip("mujoco")
    system = Furuta()
    m = random_parameters(system, rows=10, coulomb1=0.0, coulomb2=0.0)
    q, qd, tau = random_states(2, rows=10)
    expected = []
    for row in zip(q, qd, tau, m, strict=True):
        named = dict(zip(system.parameters, row[3].tolist(), strict=True))
        model = mujoco.MjModel.from_xml_string(mujoco_model(named))
        data = mujoco.MjData(model)
        data.qpos, data.qvel, data.qfrc_applied = row[:3]
        mujoco.mj_forward(model, data)
        expected.append(data.qacc.copy())
    np.testing.assert_allclose(accelerations(system, q, qd, tau, m), expected, rtol=1e-8, atol=1e-8)


def test_energy_is_kept_for_100_seconds_without_friction():
    env = make(PATH, **NO_FRICTION, arm_max=1e6)
    _, info = motion(env, [0.0, 3.1, 5.0, -3.0], 2000)
    assert abs(info["energy_drift"]) < 1e-8
    assert info["dissipated"] == 0.0


def test_without_friction_and_motor_the_momentum_about_the_vertical_is_kept():
    """p = (Ĵ0 + Ĵ2 sin² α) θ̇ + m2 l1 c2 cos α α̇."""
    system = Furuta()
    p = system.named(system.parameter_bounds()[0])
    states, _ = motion(make(PATH, **NO_FRICTION, arm_max=1e6), [0.0, 2.5, 3.0, -2.0], 200)
    _, a, v, w = states.T
    inertia = p.J1 + p.m2 * p.l1**2 + (p.I2 + p.m2 * p.c2**2) * np.sin(a) ** 2
    momentum = inertia * v + p.m2 * p.l1 * p.c2 * np.cos(a) * w
    np.testing.assert_allclose(momentum, momentum[0], rtol=1e-9)


def test_dissipated_work_of_scipy():
    friction = {"viscous1": 3e-4, "coulomb1": 1e-3, "viscous2": 5e-5, "coulomb2": 2e-4}
    env = make(PATH, **friction, arm_max=1e6)
    m = env.system.parameter_bounds(**friction)[0]

    def derivative(_, y):
        q, qd = y[:2], y[2:4]
        heat = 3e-4 * qd[0] ** 2 + 1e-3 * qd[0] * np.tanh(qd[0] / WIDTH)
        heat += 5e-5 * qd[1] ** 2 + 2e-4 * qd[1] * np.tanh(qd[1] / WIDTH)
        return [*qd, *cazzolato_prime(q, qd, [0.5 * 0.03, 0.0], m), heat]

    start = [0.3, 2.0, 0.0, 4.0]
    options = {"method": "DOP853", "rtol": 1e-12, "atol": 1e-14}
    truth = solve_ivp(derivative, (0, 2), [*start, 0.0], **options).y[:, -1]
    states, info = motion(env, start, 40, action=0.5)
    np.testing.assert_allclose(states[-1], truth[:4], atol=1e-6)
    assert info["dissipated"] == pytest.approx(truth[4], rel=1e-6)


def test_the_motor_turns_the_arm_alone():
    task = SwingUp(coordinates=Furuta(), force_max=0.05)
    tau = task.generalized_force(jnp.zeros(2), jnp.zeros(2), jnp.array([-1.0]))
    np.testing.assert_allclose(tau, [-0.05, 0.0])


@pytest.mark.parametrize("task", [SwingUp, Balance])
def test_tasks_need_the_names_of_the_coordinates_alone(task):
    check_task(task(coordinates=Coordinates(("arm", "pendulum"), angular=True)))


def test_swing_up_rewards_upright():
    system = Furuta()
    task, action = SwingUp(coordinates=system), jnp.zeros(1)
    upright, hanging = task_state(system, [0.0, np.pi]), task_state(system, [0.0, 0.0])
    aside = task_state(system, [1.0, -np.pi])
    assert float(task.reward(hanging, action, upright)) == pytest.approx(1.0)
    assert float(task.reward(upright, action, hanging)) == pytest.approx(0.0, abs=1e-6)
    assert 0.5 < float(task.reward(upright, action, aside)) < 0.9
    assert task.at_goal(upright)
    assert not task.at_goal(hanging)
    assert not task.at_goal(task_state(system, [0.0, np.pi], [3.0, 0.0]))


class TestTermination:
    def test_an_arm_that_turns_too_far(self):
        env = make(PATH, arm_max=1.0, task=BALANCE, **QUICK)
        env.reset(options={"state": [0.99, np.pi, 2.0, 0.0]})
        _, reward, terminated, truncated, info = env.step(np.ones(1, np.float32))
        assert terminated
        assert not truncated
        assert not info["diverged"]
        assert info["state"][0] > 1.0
        assert reward == 0.0

    def test_swinging_up_ends_with_the_arm_alone(self):
        system = Furuta()
        task = SwingUp(coordinates=system, arm_max=1.0)
        assert task.terminated(task_state(system, [-1.01, np.pi]))
        assert not task.terminated(task_state(system, [0.99, 0.0]))

    def test_a_pendulum_that_falls(self):
        env = make(PATH, task=BALANCE, **QUICK)
        _, info = env.reset(seed=0)
        assert abs(info["state"][1] - np.pi) < 0.05
        rewards, terminated = [], False
        while not terminated:
            _, reward, terminated, _, info = env.step(np.zeros(1, np.float32))
            rewards.append(reward)
            assert len(rewards) < 200
        assert rewards == [1.0] * (len(rewards) - 1) + [0.0]
        assert abs(info["state"][1] - np.pi) > np.radians(20)


@pytest.mark.parametrize("options", [{}, {"task": BALANCE}])
def test_check_env_finds_nothing(options):
    passes_the_checker(PATH, **options)


def test_the_picture_shows_arm_and_pendulum():
    system = Furuta()
    scene = system.scene(np.array([0.4, 0.0]), np.zeros(2), np.array([0.5, 0.0]), published())
    (arm, pendulum), (torque,) = scene.rods, scene.torques
    end = 0.085 * np.array([np.cos(0.4), np.sin(0.4), 0.0])
    assert arm.end == pendulum.start == pytest.approx(projected(end).tolist())
    assert pendulum.end[0] == pytest.approx(pendulum.start[0]), "hanging, so straight below"
    assert pendulum.end[1] < pendulum.start[1]
    assert torque.share == 0.5
    assert scene.trace == pendulum.end


def test_a_positive_angle_moves_the_pendulum_towards_growing_arm_angles():
    """As the sign of the coupling m2 l1 c2 cos α θ̇ α̇ says."""
    scene = Furuta().scene(np.array([0.0, 0.5]), np.zeros(2), np.zeros(2), published())
    tip = [0.085, 0.129 * np.sin(0.5), -0.129 * np.cos(0.5)]
    assert scene.trace == pytest.approx(projected(tip).tolist())


def published() -> np.ndarray:
    return Furuta().parameter_bounds()[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"m2": -0.1}, "Furuta parameter m2 = -0.1: expected a positive number"),
        ({"l1": 0.0}, "Furuta parameter l1 = 0.0: expected a positive number"),
        ({"J1": -1e-4}, "Furuta parameter J1 = -0.0001: expected a positive number"),
        ({"I2": -1e-4}, "Furuta parameter I2 = -0.0001: expected at least 0"),
        ({"viscous1": -1.0}, "Furuta parameter viscous1 = -1.0: expected at least 0"),
        ({"g": (9.0, 8.0)}, "the range is reversed"),
        ({"width": 0.0}, "Furuta width = 0.0: expected a positive number"),
        ({"m1": 1.0}, "Furuta takes no argument 'm1'; it takes J1, l1, "),
        ({"arm_max": -1.0}, "SwingUp arm_max = -1.0: expected a positive number"),
        ({"force_max": 0.0}, "SwingUp.force_max = 0.0: expected a positive number"),
        ({"task": BALANCE, "tilt_max": 0.0}, "Balance tilt_max = 0.0: expected a positive number"),
        ({"task": BALANCE, "spread": -1.0}, "Balance spread = -1.0: expected a positive number"),
    ],
)
def test_bad_input(options, message):
    with pytest.raises(ConfigurationError, match=message):
        make(PATH, **options)
