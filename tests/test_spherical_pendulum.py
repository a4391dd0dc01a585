"""A spherical pendulum against Newton's law for a mass on a sphere, and against MuJoCo."""

import jax
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
from gym_lagrangian.systems.projection import projected
from gym_lagrangian.systems.spherical_pendulum import Balance, SphericalPendulum, SwingUp
from gym_lagrangian.systems.task import check_task

PATH = "spherical_pendulum:SphericalPendulum"
BALANCE = "gym_lagrangian.systems.spherical_pendulum:Balance"
WIDTH = 0.1


def states_short_of_the_lock(rows: int = 40) -> tuple[np.ndarray, ...]:
    q, qd, tau = random_states(2, rows)
    q[:, 1] *= 1.2 / np.pi
    return q, qd, tau


def rod(q) -> np.ndarray:
    """The direction (3,) of the rod: tilted by β towards x, then turned by α about x."""
    (sa, sb), (ca, cb) = np.sin(q), np.cos(q)
    return np.array([[1, 0, 0], [0, ca, -sa], [0, sa, ca]]) @ [sb, 0.0, -cb]


def newton(q, qd, tau, m) -> np.ndarray:
    """A mass on a sphere: m l n̈ is what gravity and the motors push along the sphere, less
    m l |ṅ|² n, the pull of the rod.
    """
    mass, length, g, b1, b2, f1, f2 = m
    torque = tau - [b1, b2] * qd - [f1, f2] * np.tanh(qd / WIDTH)
    (a, b), (v, w) = q, qd
    n = rod(q)
    outer = np.array([0.0, np.cos(a) * np.cos(b), np.sin(a) * np.cos(b)])  # ∂n/∂α
    inner = np.array([np.cos(b), -np.sin(a) * np.sin(b), np.cos(a) * np.sin(b)])  # ∂n/∂β
    along = np.stack([outer, inner], axis=1)
    # Forces along the sphere whose work is that of the torques: they solve alongᵀ f l = torque.
    push = along @ np.linalg.solve(along.T @ along, torque) / length
    weight = np.array([0.0, 0.0, -mass * g])
    push = push + weight - (weight @ n) * n
    speed = along @ qd
    second = push / (mass * length) - (speed @ speed) * n
    turn_outer = np.array([0.0, -np.sin(a) * np.cos(b), np.cos(a) * np.cos(b)])
    turn_both = np.array([0.0, -np.cos(a) * np.sin(b), -np.sin(a) * np.sin(b)])
    turn_inner = np.array([-np.sin(b), -np.sin(a) * np.cos(b), np.cos(a) * np.cos(b)])
    carried = turn_outer * v**2 + 2 * turn_both * v * w + turn_inner * w**2
    return np.linalg.lstsq(along, second - carried, rcond=None)[0]


def test_accelerations_of_newton():
    system = SphericalPendulum()
    m, state = random_parameters(system), states_short_of_the_lock()
    expected = [newton(*row) for row in zip(*state, m, strict=True)]
    np.testing.assert_allclose(accelerations(system, *state, m), expected, rtol=1e-9, atol=1e-9)


def test_accelerations_of_mujoco():
    mujoco = pytest.importorskip("mujoco")
    system = SphericalPendulum()
    m = random_parameters(system, rows=10, coulomb1=0.0, coulomb2=0.0)
    q, qd, tau = states_short_of_the_lock(10)
    light = '<inertial pos="0 0 0" mass="1e-13" diaginertia="1e-13 1e-13 1e-13"/>'
    expected = []
    for row in zip(q, qd, tau, m, strict=True):
        mass, length, g, b1, b2, _, _ = row[3].tolist()
        model = mujoco.MjModel.from_xml_string(
            f'<mujoco><option gravity="0 0 {-g}"/><worldbody><body><joint axis="1 0 0" '
            f'damping="{b1}"/>{light}<body><joint axis="0 -1 0" damping="{b2}"/><inertial '
            f'pos="0 0 {-length}" mass="{mass}" diaginertia="1e-13 1e-13 1e-13"/></body></body>'
            "</worldbody></mujoco>"
        )
        data = mujoco.MjData(model)
        data.qpos, data.qvel, data.qfrc_applied = row[:3]
        mujoco.mj_forward(model, data)
        expected.append(data.qacc.copy())
    np.testing.assert_allclose(accelerations(system, q, qd, tau, m), expected, rtol=1e-8, atol=1e-8)


def test_energy_and_vertical_angular_momentum_are_kept_for_100_seconds():
    """About the vertical nothing acts but the motors."""
    states, info = motion(make(PATH), [0.9, -0.9, 1.0, -1.0], 2000)
    n = np.array([rod(q) for q in states[:, :2]])
    (a, b), (v, w) = states[:, :2].T, states[:, 2:].T
    nx = np.cos(b) * w
    ny = np.cos(a) * np.cos(b) * v - np.sin(a) * np.sin(b) * w
    momentum = n[:, 0] * ny - n[:, 1] * nx
    assert abs(info["energy_drift"]) < 1e-8
    assert abs(momentum[0]) > 0.1
    np.testing.assert_allclose(momentum, momentum[0], rtol=1e-8)


def test_conical_motion():
    """On a circle at the angle ψ from the vertical it turns with √(g / (l cos ψ))."""
    psi, g, length = 0.8, 9.81, 0.7
    turning = np.sqrt(g / (length * np.cos(psi)))
    env = make(PATH, l=length, dt=2 * np.pi / turning / 40)
    # Over the x axis: α = 0, β = ψ, and the rod moves along y, which cos β α̇ does.
    start = [0.0, psi, turning * np.tan(psi), 0.0]
    states, _ = motion(env, start, 40)
    np.testing.assert_allclose([rod(q)[2] for q in states[:, :2]], -np.cos(psi), atol=1e-9)
    np.testing.assert_allclose(states[-1], start, atol=1e-8)
    assert rod(states[10, :2])[1] == pytest.approx(np.sin(psi), abs=1e-9)


def test_small_swings_along_both_axes():
    """Hanging, the chart is regular: both axes swing with √(g / l), and apart."""
    turning = np.sqrt(9.81)
    states, _ = motion(make(PATH, dt=np.pi / turning), [1e-4, 2e-4, 0.0, 0.0], 1)
    np.testing.assert_allclose(states[-1], [-1e-4, -2e-4, 0.0, 0.0], atol=1e-9)


def test_dissipated_work_of_scipy():
    friction = {"viscous1": 0.3, "viscous2": 0.1, "coulomb1": 0.2, "coulomb2": 0.4}
    env = make(PATH, **friction)
    m = env.system.parameter_bounds(**friction)[0]
    torque = np.full(2, 0.25 * 4.0)

    def derivative(_, y):
        q, qd = y[:2], y[2:4]
        force = [0.3, 0.1] * qd + [0.2, 0.4] * np.tanh(qd / WIDTH)
        return [*qd, *newton(q, qd, torque, m), qd @ force]

    start = [0.5, -0.4, 2.0, 1.0]
    options = {"method": "DOP853", "rtol": 1e-12, "atol": 1e-12}
    truth = solve_ivp(derivative, (0, 2), [*start, 0.0], **options).y[:, -1]
    states, info = motion(env, start, 40, action=0.25)
    np.testing.assert_allclose(states[-1], truth[:4], atol=1e-6)
    assert info["dissipated"] == pytest.approx(truth[4], abs=1e-6)


# -- tasks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", [SwingUp, Balance])
def test_tasks_need_the_names_of_the_coordinates_alone(task):
    check_task(task(coordinates=Coordinates(("outer", "inner"), angular=True)))


def test_swing_up_rewards_upright():
    system = SphericalPendulum()
    task, action = SwingUp(coordinates=system), jnp.zeros(2)
    upright, hanging = task_state(system, [-np.pi, 0.0]), task_state(system, [0.0, 0.0])
    level = task_state(system, [0.3, np.pi / 2])
    assert float(task.reward(hanging, action, upright)) == pytest.approx(1.0)
    assert float(task.reward(upright, action, hanging)) == pytest.approx(0.0, abs=1e-3)
    assert float(task.reward(upright, action, level)) == pytest.approx(0.25, abs=0.02)
    assert task.at_goal(upright)
    assert not task.at_goal(hanging)
    assert not task.at_goal(task_state(system, [np.pi, 0.0], [0.0, 1.0]))


class TestTermination:
    def test_the_stop_of_the_joint(self):
        env = make(PATH, **QUICK)
        env.reset(options={"state": [0.2, -0.99, 0.0, -3.0]})
        _, _, terminated, truncated, info = env.step(np.zeros(2, np.float32))
        assert terminated
        assert not truncated
        assert not info["diverged"]
        assert info["state"][1] < -1.0

    def test_a_rod_that_falls(self):
        env = make(PATH, task=BALANCE, **QUICK)
        env.reset(seed=0)
        rewards, terminated = [], False
        while not terminated:
            _, reward, terminated, _, info = env.step(np.zeros(2, np.float32))
            rewards.append(reward)
            assert len(rewards) < 200
        assert rewards == [1.0] * (len(rewards) - 1) + [0.0]
        assert np.arccos(rod(info["state"][:2])[2]) > np.radians(20)


@pytest.mark.parametrize("options", [{}, {"task": BALANCE}])
def test_check_env_finds_nothing(options):
    passes_the_checker(PATH, **options)


def test_states_to_learn_from_keep_clear_of_the_lock():
    system = SphericalPendulum()
    keys = jax.random.split(jax.random.key(0), 500)
    q = np.asarray(jax.vmap(system.sample)(keys).q)
    assert np.all(np.abs(q[:, 1]) <= 1.1)
    assert np.abs(q).max(axis=0) == pytest.approx([np.pi, 1.1], rel=0.02)
    starts = jax.vmap(system.distributions().starts)(keys)
    # From rest a rod comes no farther from hanging than it was, and β is never more than that.
    angles = np.arccos([-rod(row)[2] for row in np.asarray(starts.q)])
    assert 0.9 < angles.max() < 0.95
    assert not np.any(starts.qd)
    assert not np.any(starts.tau)


def test_the_picture():
    system = SphericalPendulum()
    q, m = np.array([0.5, -0.3]), system.parameter_bounds(l=2.0)[0]
    scene = system.scene(q, np.zeros(2), np.array([1.0, 0.0]), m)
    assert scene.rods[0].end == scene.trace == pytest.approx(projected(2.0 * rod(q)).tolist())
    # The outer motor pushes the mass where it goes as α grows.
    step = projected(rod(q + np.array([1e-6, 0.0])) - rod(q))
    (push,) = scene.forces
    np.testing.assert_allclose(push.along, step / np.linalg.norm(step), atol=1e-5)
    assert push.start == scene.bobs[0].centre == scene.trace


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"m": 0.0}, "SphericalPendulum parameter m = 0.0: expected a positive number"),
        ({"l": -1.0}, "SphericalPendulum parameter l = -1.0: expected a positive number"),
        ({"viscous2": -1.0}, "SphericalPendulum parameter viscous2 = -1.0: expected at least 0"),
        ({"width": -1.0}, "SphericalPendulum width = -1.0: expected a positive number"),
        ({"stop": 1.6}, "SwingUp stop = 1.6: expected less than π/2, where the joint locks"),
        ({"stop": 0.0}, "SwingUp stop = 0.0: expected a positive number"),
        ({"task": BALANCE, "tilt_max": -1.0}, "Balance tilt_max = -1.0"),
        ({"force_max": (1.0, -1.0)}, "SwingUp.force_max = -1.0: expected a positive number"),
        ({"theta": 1.0}, "SphericalPendulum takes no argument 'theta'; it takes m, l, g, "),
    ],
)
def test_bad_input(options, message):
    with pytest.raises(ConfigurationError, match=message):
        make(PATH, **options)
