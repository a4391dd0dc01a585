"""Planar chains against equations written by hand, MuJoCo, Gymnasium and what was published."""

import itertools
import math
import warnings

import equinox as eqx
import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from physics_helpers import batched
from scipy.integrate import solve_ivp
from stranger.machines import ARM

from gym_lagrangian import train
from gym_lagrangian.checkpoints import Card, fresh_model, save
from gym_lagrangian.envs.functional import make as make_functional
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.learning.config import TrainingConfig
from gym_lagrangian.physics.linear import as_matrix, as_vector
from gym_lagrangian.physics.mechanics import euler_lagrange
from gym_lagrangian.systems import machines
from gym_lagrangian.systems.chain import Chain, PlanarChain
from gym_lagrangian.systems.chain_tasks import Balance, Reach, SwingUp
from gym_lagrangian.systems.coordinates import Coordinates
from gym_lagrangian.systems.task import TaskState, check_task

TASKS = "gym_lagrangian.systems.chain_tasks:"
KINDS = list(itertools.product((False, True), ("absolute", "relative")))
STATES = 40

# Where accuracy is beside the point, a method of four stages compiles in a third of the time.
QUICK = {"integrator": "rk4", "substeps": 1}

MACHINES = {
    name: found
    for name, found in vars(machines).items()
    if isinstance(found, type) and issubclass(found, PlanarChain) and found is not PlanarChain
}


def make(name: str = "Chain", **options):
    return gymnasium.make(f"{name}-v0", **options).unwrapped


def random_parameters(system, rows: int = STATES, *, seed: int = 1, **fixed: float) -> np.ndarray:
    """Parameters (rows, k) of every size that makes sense."""
    drawn = np.random.default_rng(seed).uniform(0.3, 1.5, (rows, len(system.parameters)))
    for name, value in fixed.items():
        drawn[:, list(system.parameters).index(name)] = value
    return drawn


def random_states(n: int, rows: int = STATES) -> tuple[np.ndarray, ...]:
    """q, q̇ and τ (rows, n)."""
    rng = np.random.default_rng(2)
    return (
        rng.uniform(-np.pi, np.pi, (rows, n)),
        3.0 * rng.normal(size=(rows, n)),
        rng.normal(size=(rows, n)),
    )


def accelerations(system, q, qd, tau, m) -> np.ndarray:
    return batched(system.acceleration, q, qd, tau, m)


def published(system, rows: int = STATES) -> np.ndarray:
    return np.tile(system.parameter_bounds()[0], (rows, 1))


def dry(speed, coefficient, width: float = 0.1):
    return coefficient * np.tanh(speed / width)


# -- by hand ------------------------------------------------------------------------------------


def one_link(q, qd, tau, m):
    """(I + m c² + A) θ̈ = τ − b θ̇ − f tanh(θ̇/w) − m g c sin θ."""
    mass, _, c, inertia, b, f, rotor, g = m
    force = tau[0] - b * qd[0] - dry(qd[0], f) - mass * g * c * np.sin(q[0])
    return [force / (inertia + mass * c**2 + rotor)]


def one_link_on_a_cart(q, qd, tau, m):
    """Newton's second law for cart and link, by Cramer's rule."""
    mass, _, c, inertia, b, f, rotor, g, cart, b0, f0 = m
    moment, (v, w) = mass * c, qd
    push = tau[0] - b0 * v - dry(v, f0) + moment * np.sin(q[1]) * w**2
    turn = tau[1] - b * w - dry(w, f) - moment * g * np.sin(q[1])
    a, e, d = cart + mass, moment * np.cos(q[1]), inertia + mass * c**2 + rotor
    return [(d * push - e * turn) / (a * d - e**2), (a * turn - e * push) / (a * d - e**2)]


def two_links(q, qd, tau, m):
    """Absolute angles; the rotor of the second joint turns with ω2 − ω1."""
    m1, l1, c1, i1, b1, f1, r1, m2, _, c2, i2, b2, f2, r2, g = m
    (t1, t2), (w1, w2) = q, qd
    elbow = b2 * (w2 - w1) + dry(w2 - w1, f2)
    across = m2 * l1 * c2
    matrix = [
        [i1 + m1 * c1**2 + m2 * l1**2 + r1 + r2, across * np.cos(t1 - t2) - r2],
        [across * np.cos(t1 - t2) - r2, i2 + m2 * c2**2 + r2],
    ]
    first = tau[0] - across * np.sin(t1 - t2) * w2**2 - (m1 * c1 + m2 * l1) * g * np.sin(t1)
    second = tau[1] + across * np.sin(t1 - t2) * w1**2 - m2 * c2 * g * np.sin(t2)
    return np.linalg.solve(matrix, [first - b1 * w1 - dry(w1, f1) + elbow, second - elbow])


def two_links_relative(q, qd, tau, m):
    """The acrobot's equations of Spong (1995), with friction and rotors."""
    m1, l1, c1, i1, b1, f1, r1, m2, _, c2, i2, b2, f2, r2, g = m
    (q1, q2), (w1, w2) = q, qd
    h = m2 * l1 * c2
    d22 = m2 * c2**2 + i2
    d12 = d22 + h * np.cos(q2)
    d11 = m1 * c1**2 + m2 * l1**2 + i1 + d22 + 2 * h * np.cos(q2)
    below = m2 * c2 * g * np.sin(q1 + q2)
    first = h * np.sin(q2) * (w2**2 + 2 * w1 * w2) - (m1 * c1 + m2 * l1) * g * np.sin(q1) - below
    second = -h * np.sin(q2) * w1**2 - below
    force = [
        tau[0] + first - b1 * w1 - dry(w1, f1),
        tau[1] + second - b2 * w2 - dry(w2, f2),
    ]
    return np.linalg.solve([[d11 + r1, d12], [d12, d22 + r2]], force)


def two_links_on_a_cart(q, qd, tau, m):
    """Absolute angles, with the cart's row and column added to `two_links`."""
    m1, l1, c1, i1, b1, f1, r1, m2, _, c2, i2, b2, f2, r2, g, cart, b0, f0 = m
    (_, t1, t2), (v, w1, w2) = q, qd
    k1, k2, elbow = m1 * c1 + m2 * l1, m2 * c2, b2 * (w2 - w1) + dry(w2 - w1, f2)
    between = l1 * k2 * np.cos(t1 - t2) - r2
    matrix = [
        [cart + m1 + m2, k1 * np.cos(t1), k2 * np.cos(t2)],
        [k1 * np.cos(t1), i1 + m1 * c1**2 + m2 * l1**2 + r1 + r2, between],
        [k2 * np.cos(t2), between, i2 + m2 * c2**2 + r2],
    ]
    turn = l1 * k2 * np.sin(t1 - t2)
    force = [
        tau[0] + k1 * np.sin(t1) * w1**2 + k2 * np.sin(t2) * w2**2 - b0 * v - dry(v, f0),
        tau[1] - turn * w2**2 - k1 * g * np.sin(t1) - b1 * w1 - dry(w1, f1) + elbow,
        tau[2] + turn * w1**2 - k2 * g * np.sin(t2) - elbow,
    ]
    return np.linalg.solve(matrix, force)


def two_links_on_a_cart_relative(q, qd, tau, m):
    """The same in x, θ1 and θ2 − θ1: the torque on the last is that on θ2, τ1 the sum of both."""
    turned = np.array([q[0], q[1], q[1] + q[2]]), np.array([qd[0], qd[1], qd[1] + qd[2]])
    a, b, c = two_links_on_a_cart(*turned, [tau[0], tau[1] - tau[2], tau[2]], m)
    return [a, b, c - b]


BY_HAND = {
    (1, False, "absolute"): one_link,
    (1, False, "relative"): one_link,
    (1, True, "absolute"): one_link_on_a_cart,
    (1, True, "relative"): one_link_on_a_cart,
    (2, False, "absolute"): two_links,
    (2, False, "relative"): two_links_relative,
    (2, True, "absolute"): two_links_on_a_cart,
    (2, True, "relative"): two_links_on_a_cart_relative,
}


@pytest.mark.parametrize(("links", "on_cart", "angles"), BY_HAND)
def test_accelerations_by_hand(links, on_cart, angles):
    system = Chain(links=links, on_cart=on_cart, angles=angles)
    m, state = random_parameters(system), random_states(system.n)
    by_hand = BY_HAND[links, on_cart, angles]
    expected = [by_hand(*row) for row in zip(*state, m, strict=True)]
    np.testing.assert_allclose(accelerations(system, *state, m), expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(("on_cart", "angles"), KINDS)
def test_closed_form_follows_from_the_lagrangian(on_cart, angles):
    system = Chain(links=3, on_cart=on_cart, angles=angles, gear=-6.0)
    q, qd, _ = random_states(system.n)
    m = random_parameters(system)

    def both(q, qd, m):
        matrix, force = system.terms_of_motion(q, qd, m)
        return (as_matrix(matrix), as_vector(force)), euler_lagrange(system.lagrangian, q, qd, m)

    found, expected = batched(both, q, qd, m)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-11)


def test_seven_links_on_a_cart_need_no_linear_algebra_library():
    system = Chain(links=7, on_cart=True)
    arrays = [jnp.ones(size) for size in (8, 8, 8, len(system.parameters))]
    text = jax.jit(jax.vmap(system.acceleration)).lower(*(a[None] for a in arrays)).as_text()
    assert "cosine" in text
    assert "custom_call" not in text


# -- MuJoCo -------------------------------------------------------------------------------------


def mujoco_model(links: int, on_cart: bool, named: dict[str, float]) -> str:
    """The chain as MuJoCo has it, in the x–z plane; no geometry, so nothing collides."""

    def joint(kind: str, axis: str, i: int) -> str:
        damping, rotor = named[f"viscous{i}"], named.get(f"armature{i}", 0.0)
        return f'<joint type="{kind}" axis="{axis}" damping="{damping}" armature="{rotor}"/>'

    body = ""
    for i in reversed(range(1, links + 1)):
        above = named[f"l{i - 1}"] if i > 1 else 0.0
        inertia = " ".join([repr(named[f"I{i}"])] * 3)
        body = (
            f'<body pos="0 0 {-above!r}">{joint("hinge", "0 -1 0", i)}'
            f'<inertial pos="0 0 {-named[f"c{i}"]!r}" mass="{named[f"m{i}"]!r}" '
            f'diaginertia="{inertia}"/>{body}</body>'
        )
    if on_cart:
        mass = f'<inertial pos="0 0 0" mass="{named["m0"]!r}" diaginertia="1 1 1"/>'
        body = f"<body>{joint('slide', '1 0 0', 0)}{mass}{body}</body>"
    gravity = f'<option gravity="0 0 {-named["g"]!r}"/>'
    return f"<mujoco>{gravity}<worldbody>{body}</worldbody></mujoco>"


@pytest.mark.parametrize(("links", "on_cart"), [(3, False), (5, False), (2, True), (5, True)])
@pytest.mark.parametrize("angles", ["relative", "absolute"])
def test_accelerations_of_mujoco(links, on_cart, angles):
    """With damping and armature; MuJoCo's angles are relative."""
    mujoco = pytest.importorskip("mujoco")
    system = Chain(links=links, on_cart=on_cart, angles=angles)
    no_coulomb = {name: 0.0 for name in system.parameters if name.startswith("coulomb")}
    m = random_parameters(system, rows=5, **no_coulomb)
    q, qd, tau = random_states(system.n, rows=5)
    turn = np.eye(system.n)
    if angles == "absolute":
        turn = np.linalg.inv(system.kind.joints_of_absolute())
    expected = []
    for row in zip(q, qd, tau, m, strict=True):
        named = dict(zip(system.parameters, row[3].tolist(), strict=True))
        model = mujoco.MjModel.from_xml_string(mujoco_model(links, on_cart, named))
        data = mujoco.MjData(model)
        data.qpos, data.qvel, data.qfrc_applied = row[:3]
        mujoco.mj_forward(model, data)
        expected.append(turn @ data.qacc)
    ours = accelerations(system, q @ turn.T, qd @ turn.T, tau @ np.linalg.inv(turn), m)
    np.testing.assert_allclose(ours, expected, rtol=1e-8, atol=1e-8)


# -- machines -----------------------------------------------------------------------------------


def test_gymnasium_acrobot():
    system = machines.GymnasiumAcrobot()
    q, qd, tau = random_states(2)
    tau[:, 0] = 0.0
    env = gymnasium.make("Acrobot-v1").unwrapped
    expected = [
        env._dsdt(np.array([*row[0], *row[1], row[2][1]]))[2:4]
        for row in zip(q, qd, tau, strict=True)
    ]
    found = accelerations(system, q, qd, tau, published(system))
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8)


def test_gymnasium_pendulum():
    """By what a step of its own makes of the velocity, which is not clipped below 8 rad/s."""
    system = machines.GymnasiumPendulum()
    env = gymnasium.make("Pendulum-v1").unwrapped
    env.reset()
    q, qd, tau = (0.3 * np.clip(part, -4.0, 4.0) for part in random_states(1))
    expected = []
    for (theta,), (omega,), (torque,) in zip(q, qd, tau, strict=True):
        env.state = np.array([theta + np.pi, omega])
        env.step(np.array([torque]))
        expected.append([(env.state[1] - omega) / env.dt])
    found = accelerations(system, q, qd, tau, published(system))
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8)


def test_gymnasium_cart_pole():
    """By what a step of its own makes of the velocities; θ = π − theta1 there."""
    system = machines.GymnasiumCartPole()
    env = gymnasium.make("CartPole-v1").unwrapped
    env.reset()
    q, qd, tau = random_states(2)
    tau[:] = [[10.0, 0.0]]
    expected = []
    for (x, theta), (v, omega) in zip(q, qd, strict=True):
        env.steps_beyond_terminated = None
        env.state = np.array([x, v, np.pi - theta, -omega])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            env.step(1)
        expected.append([(env.state[1] - v) / env.tau, -(env.state[3] + omega) / env.tau])
    found = accelerations(system, q, qd, tau, published(system))
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8)


def pilco_pendulum(q, qd, tau):
    """θ̈ = (u − b θ̇ − m g l sin θ / 2) / (m l² / 3)."""
    return [(tau[0] - 0.01 * qd[0] - 9.82 * np.sin(q[0]) / 2) * 3]


def pilco_cart_pole(q, qd, tau):
    """Deisenroth (2010), appendix C.2, θ from hanging down."""
    length, mass, cart, b, g = 0.5, 0.5, 0.5, 0.1, 9.82
    sine, cosine, u = np.sin(q[1]), np.cos(q[1]), tau[0] - b * qd[0]
    below = 4 * (cart + mass) - 3 * mass * cosine**2
    x = 2 * mass * length * qd[1] ** 2 * sine + 3 * mass * g * sine * cosine + 4 * u
    turn = -3 * mass * length * qd[1] ** 2 * sine * cosine - 6 * (cart + mass) * g * sine
    return [x / below, (turn - 6 * u * cosine) / (length * below)]


def pilco_double_pendulum(q, qd, tau):
    """Appendix C.3, angles from upright, torques on both angles."""
    m, length, g = 0.5, 0.5, 9.82
    inertia = m * length**2 / 12
    (a, b), (va, vb) = q + np.pi, qd
    across = 0.5 * m * length**2 * np.cos(a - b)
    matrix = [[length**2 * 1.25 * m + inertia, across], [across, 0.25 * m * length**2 + inertia]]
    turn = 0.5 * m * length**2 * np.sin(a - b)
    right = [
        1.5 * m * g * length * np.sin(a) - turn * vb**2 + tau[0],
        0.5 * m * g * length * np.sin(b) + turn * va**2 + tau[1],
    ]
    return np.linalg.solve(matrix, right)


def pilco_cart_double_pendulum(q, qd, tau):
    """Appendix C.4, angles from upright."""
    m1, m2, m3, l2, l3, b, g = 0.5, 0.5, 0.5, 0.6, 0.6, 0.1, 9.82
    _, s, t = q + np.pi
    v, vs, vt = qd
    matrix = [
        [2 * (m1 + m2 + m3), -(m2 + 2 * m3) * l2 * np.cos(s), -m3 * l3 * np.cos(t)],
        [-(3 * m2 + 6 * m3) * np.cos(s), (2 * m2 + 6 * m3) * l2, 3 * m3 * l3 * np.cos(s - t)],
        [-3 * np.cos(t), 3 * l2 * np.cos(s - t), 2 * l3],
    ]
    push = (m2 + 2 * m3) * l2 * vs**2 * np.sin(s) + m3 * l3 * vt**2 * np.sin(t)
    right = [
        2 * tau[0] - 2 * b * v - push,
        (3 * m2 + 6 * m3) * g * np.sin(s) - 3 * m3 * l3 * vt**2 * np.sin(s - t),
        3 * l2 * vs**2 * np.sin(s - t) + 3 * g * np.sin(t),
    ]
    return np.linalg.solve(matrix, right)


def dfki_c1(q, qd, tau):
    """The lab's model_1.0: inertias about the joints, rotors, viscous friction and arctan."""
    m1, m2, l1, r1, r2, g = (
        0.5234602302310271,
        0.6255677234174437,
        0.2,
        0.2,
        0.25569305436052964,
        9.81,
    )
    i1, i2, rotor, gear = 0.031887199591513114, 0.05086984812807257, 6.287203962819607e-05, 6.0
    (q1, q2), (w1, w2), h = q, qd, m2 * l1 * r2
    m00 = i1 + i2 + m2 * l1**2 + 2 * h * np.cos(q2) + (gear**2 + 1) * rotor
    m01, m11 = i2 + h * np.cos(q2) - gear * rotor, i2 + gear**2 * rotor
    below = m2 * g * r2 * np.sin(q1 + q2)
    first = tau[0] + h * np.sin(q2) * (2 * w1 * w2 + w2**2) - below
    first -= (m1 * r1 + m2 * l1) * g * np.sin(q1) + 0.001 * w1 + 0.16 * np.arctan(100 * w1)
    second = tau[1] - h * np.sin(q2) * w1**2 - below - 0.001 * w2 - 0.12 * np.arctan(100 * w2)
    return np.linalg.solve([[m00, m01], [m01, m11]], [first, second])


EQUATIONS = {
    "PilcoPendulum": (pilco_pendulum, ()),
    "PilcoCartPole": (pilco_cart_pole, (1,)),
    "PilcoDoublePendulum": (pilco_double_pendulum, ()),
    "PilcoCartDoublePendulum": (pilco_cart_double_pendulum, (1, 2)),
    "DfkiC1": (dfki_c1, ()),
}


@pytest.mark.parametrize("name", EQUATIONS)
def test_published_equations(name):
    """The coordinates named have no motor there."""
    system = MACHINES[name]()
    equation, passive = EQUATIONS[name]
    q, qd, tau = random_states(system.n)
    tau[:, list(passive)] = 0.0
    expected = [equation(*row) for row in zip(q, qd, tau, strict=True)]
    found = accelerations(system, q, qd, tau, published(system))
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("name", MACHINES)
def test_every_machine_has_a_task_that_fits(name):
    system = MACHINES[name]()
    task = system.task(coordinates=system)
    check_task(task)
    assert set(system.published) <= set(system.parameters)
    assert task.__doc__
    assert system.option_names() == ()


@pytest.mark.parametrize(
    ("name", "motors", "forces"),
    [
        ("GymnasiumAcrobot", ("joint2",), (1.0,)),
        ("PilcoCartDoublePendulum", ("x",), (20.0,)),
        ("RameshAcroThreeBot", ("joint1", "joint3"), (0.5, 2.0)),
        ("RameshCartThreePole", ("x", "joint3"), (10.0, 1.0)),
    ],
)
def test_motors(name, motors, forces):
    system = MACHINES[name]()
    task = system.task(coordinates=system)
    assert tuple(system.coordinates[i] for i in task.motors) == motors
    assert task.full_force == forces


# -- energy -------------------------------------------------------------------------------------


def drive(env, state, steps: int, *, seed: int = 0) -> list[dict]:
    rng = np.random.default_rng(seed)
    infos = [env.reset(options={"state": state})[1]]
    for _ in range(steps):
        action = rng.uniform(-1.0, 1.0, env.action_space.shape).astype(np.float32)
        infos.append(env.step(action)[4])
    assert not any(info["diverged"] for info in infos)
    return infos


def test_energy_is_conserved_without_friction():
    env = make(links=3, max_episode_steps=-1, force_max=2.0)
    infos = drive(env, [2.0, 0.5, -0.5, 0.0, 0.0, 0.0], 200)
    assert max(abs(info["energy_drift"]) for info in infos) < 1e-8
    assert infos[-1]["dissipated"] == 0.0


def test_energy_balance_with_friction():
    friction = {"viscous1": 0.3, "viscous2": 0.1, "coulomb1": 0.2, "coulomb2": 0.3, "viscous0": 0.5}
    env = make(on_cart=True, max_episode_steps=-1, armature2=0.1, **friction)
    infos = drive(env, [0.0, 2.0, -0.5, 0.0, 0.0, 0.0], 100)
    assert max(abs(info["energy_drift"]) for info in infos) < 1e-8
    heat = np.array([info["dissipated"] for info in infos])
    assert np.all(np.diff(heat) >= 0.0)
    assert heat[-1] > 5.0, "hardly anything was dissipated: the test shows nothing"


def test_motion_and_heat_against_scipy():
    """A cart-pole with every kind of friction, pushed."""
    friction = {"viscous1": 0.05, "coulomb1": 0.1, "viscous0": 0.3, "coulomb0": 0.2}
    env = make(links=1, on_cart=True, actuated="x", force_max=2.0, max_episode_steps=-1, **friction)
    m = env.system.parameter_bounds(**friction)[0]

    def derivative(_, y):
        q, qd = y[:2], y[2:4]
        heat = 0.3 * qd[0] ** 2 + 0.05 * qd[1] ** 2 + qd[0] * dry(qd[0], 0.2)
        heat += qd[1] * dry(qd[1], 0.1)
        return [*qd, *one_link_on_a_cart(q, qd, [1.0, 0.0], m), heat]

    start = [-1.0, 2.0, 0.0, 1.0]
    span = {"method": "DOP853", "rtol": 1e-12, "atol": 1e-12}
    truth = solve_ivp(derivative, (0, 2), [*start, 0.0], **span).y[:, -1]
    env.reset(options={"state": start})
    for _ in range(40):
        info = env.step(np.array([0.5], np.float32))[4]
    np.testing.assert_allclose(info["state"], truth[:4], atol=1e-7)
    assert info["dissipated"] == pytest.approx(truth[4], abs=1e-7)


# -- tasks --------------------------------------------------------------------------------------


def task_state(system, q, qd=None, *, goal=()) -> TaskState:
    n = system.n
    qd = np.zeros(n) if qd is None else qd
    arrays = (q, qd, system.parameter_bounds()[0], goal, 0.0, np.zeros(n))
    return TaskState(*(np.asarray(part, float) for part in arrays))


@pytest.mark.parametrize(("on_cart", "angles"), KINDS)
@pytest.mark.parametrize("absolute", [False, True])
def test_power_of_the_motors(on_cart, angles, absolute):
    """A joint's torque works on the velocity in the joint, an absolute one on that of the link."""
    system = Chain(links=3, on_cart=on_cart, angles=angles)
    task = SwingUp(coordinates=system, absolute_torques=absolute, force_max=2.0)
    rng = np.random.default_rng(3)
    qd, action = rng.normal(size=(2, system.n))
    first = int(on_cart)
    omega = np.cumsum(qd[first:]) if angles == "relative" else qd[first:]
    speeds = omega if absolute else np.diff(omega, prepend=0.0)
    expected = 2.0 * action @ np.array([*qd[:first], *speeds])
    tau = np.asarray(
        task.generalized_force(jnp.zeros(system.n), jnp.asarray(qd), jnp.asarray(action))
    )
    assert tau @ qd == pytest.approx(expected, rel=1e-5)


def test_outer_torque_of_pilco_has_no_reaction():
    system = machines.PilcoDoublePendulum()
    task = system.task(coordinates=system)
    tau = task.generalized_force(jnp.zeros(2), jnp.zeros(2), jnp.array([0.0, 1.0]))
    np.testing.assert_array_equal(tau, [0.0, 2.0])


@pytest.mark.parametrize(("on_cart", "angles"), KINDS)
def test_swing_up_rewards_upright(on_cart, angles):
    system = Chain(links=2, on_cart=on_cart, angles=angles)
    task, action = SwingUp(coordinates=system), jnp.zeros(system.n)
    up = [0.0] * on_cart + [np.pi, np.pi if angles == "absolute" else 0.0]
    upright, hanging = task_state(system, up), task_state(system, np.zeros(system.n))
    assert float(task.reward(hanging, action, upright)) == pytest.approx(1.0)
    assert float(task.reward(upright, action, hanging)) == pytest.approx(0.0, abs=1e-6)
    assert task.at_goal(upright)
    assert not task.at_goal(hanging)


@pytest.mark.parametrize(
    ("lengths", "share"), [((1.0,), 0.3), ((1.0, 0.2), 0.0), ((1.0, 1.0), 0.4)]
)
def test_every_target_can_be_reached(lengths, share):
    """The distance of a target is one that the tip can have."""
    system = Chain(links=len(lengths))
    task = Reach(coordinates=system)
    state = task_state(system, np.zeros(system.n), goal=(share, 0.7))
    named = {f"l{i + 1}": length for i, length in enumerate(lengths)}
    state = state._replace(m=system.parameter_bounds(**named)[0])
    distance = np.linalg.norm(task.target(state))
    shortest = max(0.0, 2 * max(lengths) - sum(lengths))
    assert distance == pytest.approx(shortest + share * (sum(lengths) - shortest))
    if len(lengths) == 2:
        cosine = (distance**2 - lengths[0] ** 2 - lengths[1] ** 2) / (2 * lengths[0] * lengths[1])
        elbow = math.acos(np.clip(cosine, -1.0, 1.0))
        inner = math.atan2(lengths[1] * math.sin(elbow), lengths[0] + lengths[1] * math.cos(elbow))
        state = state._replace(q=np.array([0.7 - inner, elbow]))
    else:
        state = state._replace(q=np.array([0.7]))
    assert float(task.reward(state, jnp.zeros(2), state)) == pytest.approx(1.0)
    assert task.at_goal(state)


def test_targets_differ_from_episode_to_episode():
    env = make(task=TASKS + "Reach", g=0.0)
    targets = {tuple(env.reset(seed=seed)[1]["goal"]) for seed in range(3)}
    assert len(targets) == 3
    observation, _ = env.reset(seed=0, options={"state": [0.5, 0.3, 0.0, 0.0]})
    tip = np.array([np.sin(0.5) + np.sin(0.8), -np.cos(0.5) - np.cos(0.8)])
    np.testing.assert_allclose(observation[-2:], observation[-4:-2] - tip, atol=1e-5)


class TestTermination:
    def test_a_pole_that_falls(self):
        env = make("GymnasiumCartPole", dt=0.02)
        env.reset(seed=0)
        rewards, terminated = [], False
        while not terminated:
            _, reward, terminated, truncated, info = env.step(np.ones(1, np.float32))
            rewards.append(reward)
            assert not truncated
            assert len(rewards) < 100
        assert rewards == [1.0] * (len(rewards) - 1) + [0.0]
        assert not info["diverged"]
        assert abs(info["state"][1] - np.pi) > np.radians(12)

    @pytest.mark.parametrize("task", ["SwingUp", "Balance", "Reach"])
    def test_a_cart_that_leaves_its_track(self, task):
        upright = task == "Balance"
        env = make(links=1, on_cart=True, task=TASKS + task, track=1.0)
        env.reset(options={"state": [0.99, np.pi if upright else 0.0, 1.0, 0.0]})
        observation, _, terminated, _, info = env.step(np.zeros(2, np.float32))
        assert terminated
        assert not info["diverged"]
        assert info["state"][0] > 1.0
        assert env.observation_space.contains(observation)

    def test_a_chain_on_a_pivot_has_no_track(self):
        system = Chain(links=2)
        assert not SwingUp(coordinates=system).terminated(task_state(system, [9.0, 9.0]))
        assert not Balance(coordinates=system).terminated(task_state(system, [np.pi, 0.0]))
        assert Balance(coordinates=system).terminated(task_state(system, [np.pi, 0.3]))


class TestGymnasium:
    @pytest.mark.parametrize(
        ("name", "options"),
        [
            ("Chain", {"task": TASKS + "Reach", **QUICK}),
            ("GymnasiumCartPole", QUICK),
        ],
    )
    def test_check_env_finds_nothing(self, name, options):
        env = make(name, **options)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.filterwarnings("ignore", "the exact simulation")  # coarse on purpose
            check_env(env)

    def test_vector(self):
        system = "RameshAcrobot"
        envs = gymnasium.make_vec("Lagrangian-v0", num_envs=3, system=system, **QUICK)
        first, _ = envs.reset(seed=0)
        observations, rewards, terminated, truncated, _ = envs.step(np.ones((3, 1), np.float32))
        assert observations.shape == (3, 6)
        assert np.all(observations != first)
        assert np.all((rewards >= 0) & (rewards <= 1))
        assert not np.any(terminated | truncated)

    def test_parameters_of_every_link(self):
        env = make(links=3, on_cart=True, m3=2.5, viscous0=(0.1, 0.2))
        low, high = env.system.parameter_bounds(m3=2.5, viscous0=(0.1, 0.2))
        np.testing.assert_array_equal(env.functional[1].m_bounds, [low, high])
        assert env.spec is None or env.spec.kwargs["links"] == 3

    def test_seven_links(self):
        env = make(links=7, angles="absolute", actuated=("theta1", "theta7"))
        env.reset(seed=0)
        info = env.step(np.array([1.0, -1.0], np.float32))[4]
        assert abs(info["energy_drift"]) < 1e-10


def test_a_checkpoint_knows_its_chain(tmp_path):
    """Number of links, cart and angles are physical options, which a card keeps."""
    system = Chain(links=3, on_cart=True, angles="absolute")
    key = jax.random.key(0)
    model = fresh_model("Baseline", system, (), key=key, width=8, depth=2)
    card = Card.of(
        system,
        parameters=system.fixed_parameters(()),
        conditioned_on=(),
        model="Baseline",
        model_config=model.config,
    )
    path = tmp_path / "chain.safetensors"
    save(path, model, card)
    env, _ = make_functional(checkpoint=path)
    assert env.coordinates == system


@pytest.mark.parametrize("name", ["LNN", "DeLaN"])
def test_models_of_seven_links_stay_out_of_lapack(name):
    """In a training step; one call of it a matrix would cost more than the arithmetic."""
    system = Chain(links=7)
    model = fresh_model(name, system, (), key=jax.random.key(0))
    sample = jax.tree.map(lambda a: a[None], system.sample(jax.random.key(1)))
    weights, fixed = eqx.partition(model, eqx.is_array)

    def loss(weights):
        return jnp.sum(jax.vmap(eqx.combine(weights, fixed).loss)(sample, jnp.ones((1, 7))))

    lowered = jax.jit(jax.grad(loss)).lower(weights)
    assert "custom_call" not in lowered.as_text()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "steps"), [("LNN", 8000), ("DeLaN", 500)])
def test_a_model_of_seven_links_trains_and_steps(name, steps, tmp_path):
    system, path = Chain(links=7), tmp_path / "seven.safetensors"
    config = TrainingConfig.of(name, system, steps=steps, error="relative")
    found = train(system, name, out=path, config=config, metrics=False)
    missed, still = _relative_errors(found.model, system)
    assert missed < 0.5 * still
    env = make(links=7, checkpoint=path)
    env.reset(seed=0)
    assert np.isfinite(env.step(env.action_space.sample())[0]).all()


def _relative_errors(model, system: Chain, states: int = 500) -> tuple[float, float]:
    """The median error of an acceleration, and of the guess that there is none."""
    drawn = jax.vmap(system.sample)(jax.random.split(jax.random.key(0), states))[:4]
    true, guess = (
        np.asarray(jax.jit(jax.vmap(one.acceleration))(*drawn)) for one in (system, model)
    )
    return tuple(float(np.median(np.abs(one).sum(axis=1))) for one in (guess - true, true))


# -- pictures -----------------------------------------------------------------------------------


def drawn(frame: np.ndarray) -> tuple[float, float]:
    """The shares of a picture's width and of its world's height that are drawn on."""
    marked = np.any(frame[60:] < 200, axis=2)
    rows, columns = np.flatnonzero(marked.any(axis=1)), np.flatnonzero(marked.any(axis=0))
    return np.ptp(columns) / frame.shape[1], np.ptp(rows) / (frame.shape[0] - 60)


def picture(env, state) -> np.ndarray:
    env.reset(seed=0, options={"state": state})
    return env.render()


def test_links_fill_the_frame():
    env = make(links=2, render_mode="rgb_array", render_size=300)
    wide, _ = drawn(picture(env, [np.pi / 2, 0.0, 0.0, 0.0]))
    _, high = drawn(picture(env, [0.0, 0.0, 0.0, 0.0]))
    assert wide > 0.35, "half of the frame is on one side of the pivot"
    assert high > 0.35


def test_the_camera_follows_a_cart():
    env = make(links=1, on_cart=True, track=50.0, render_mode="rgb_array", render_size=300)
    near, far = (picture(env, [x, 2.0, 0.0, 0.0]) for x in (5.0, 45.0))
    blue = [np.argwhere((f[..., 2] > 150) & (f[..., 0] < 50)).mean(axis=0) for f in (near, far)]
    np.testing.assert_allclose(*blue, atol=1.0)


def test_target_track_and_cart_are_in_the_scene():
    env = make(links=2, on_cart=True, task=TASKS + "Reach", track=3.0)
    env.reset(seed=1)
    state = env.functional_state
    zero = np.zeros(())
    x = np.asarray(state.x)
    full = TaskState(x[:3], x[3:], *(np.asarray(p) for p in (state.m, state.goal)), zero, x[:3])
    scene = env.task.scene(full)
    assert scene.stops == (-3.0, 3.0)
    assert scene.boxes[0].centre == pytest.approx((x[0], 0.0))
    assert scene.target == pytest.approx(tuple(np.asarray(env.task.target(full))))
    assert len(scene.rods) == len(scene.bobs) == 2


@pytest.mark.parametrize("absolute", [False, True])
def test_arrows_show_the_motors(absolute):
    system = Chain(links=2, on_cart=True, angles="absolute")
    task = SwingUp(coordinates=system, absolute_torques=absolute, force_max=(10.0, 2.0, 3.0))
    tau = task.generalized_force(jnp.zeros(3), jnp.zeros(3), jnp.array([1.0, -0.5, 0.25]))
    scene = task.scene(task_state(system, np.zeros(3))._replace(tau=np.asarray(tau)))
    assert scene.forces[0].share == pytest.approx(1.0)
    assert [torque.share for torque in scene.torques] == pytest.approx([-0.5, 0.25])


# -- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"m1": -1.0}, "Chain parameter m1 = -1.0: expected a positive number"),
        ({"l2": -0.5}, "Chain parameter l2 = -0.5: expected a positive number"),
        ({"I1": -0.1}, "Chain parameter I1 = -0.1: expected at least 0"),
        ({"c2": 0.0, "I2": 0.0}, "link 2 has no inertia about its joint"),
        ({"viscous1": -0.1}, "Chain parameter viscous1 = -0.1: expected at least 0"),
        ({"links": 0}, "Chain links = 0: expected a whole number of at least 1"),
        ({"links": 8}, "Chain links = 8: expected at most 7"),
        ({"links": 2.5}, "Chain links = 2.5: expected a whole number"),
        ({"angles": "degrees"}, "Chain angles = 'degrees': choose one of absolute, relative"),
        ({"gear": 0.0}, "Chain gear = 0"),
        ({"width": 0.0}, "Chain width = 0.0: expected a positive number"),
        ({"m3": 1.0}, r"Chain takes no argument 'm3'; it takes m1, l1, .*links, on_cart"),
        ({"m0": 1.0}, "Chain takes no argument 'm0'"),
        ({"actuated": "joint3"}, "SwingUp.actuated = 'joint3': expected some of joint1, joint2"),
        ({"actuated": ("theta1",)}, r"SwingUp.actuated = \('theta1',\): expected some of joint1"),
        ({"actuated": "x"}, "SwingUp.actuated = 'x': expected some of joint1, joint2"),
        ({"force_max": -1.0}, "SwingUp.force_max = -1.0: expected a positive number"),
        ({"track": 0.0}, "SwingUp track = 0.0: expected a positive number"),
        ({"task": TASKS + "Balance", "tilt_max": -1.0}, "Balance tilt_max = -1.0"),
    ],
)
def test_bad_input(options, message):
    with pytest.raises(ConfigurationError, match=message):
        make(**options)


def test_a_machine_keeps_its_number_of_links():
    with pytest.raises(ConfigurationError, match="GymnasiumAcrobot takes no argument 'links'"):
        make("GymnasiumAcrobot", links=3)


@pytest.mark.parametrize("coordinates", [ARM, Coordinates(("x", "theta1", "theta3"))])
def test_tasks_refuse_what_is_no_chain(coordinates):
    with pytest.raises(ConfigurationError, match="expected those of a chain"):
        SwingUp(coordinates=coordinates)


def test_the_first_question_may_come_from_inside_a_jit():
    """Magnitudes and substeps are estimated by evaluating the equations."""
    system = Chain(links=3, gear=7.0)
    drawn = jax.jit(system.sample)(jax.random.key(0))
    assert np.isfinite(drawn.qd).all()
