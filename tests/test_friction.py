"""Friction of true systems: the motion, the heat, and the balance of energy."""

import dataclasses
from typing import Any, ClassVar

import equinox as eqx
import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from stranger.damped import DampedCartPole, Pendulum

import gym_lagrangian
from gym_lagrangian import train
from gym_lagrangian.envs.functional import dynamics_of
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.evaluation.motion import energy_balance, free_motion
from gym_lagrangian.physics.dynamics import DiscreteDynamics
from gym_lagrangian.physics.friction import coulomb, viscous

SYSTEM = "stranger.damped:"
CRITICAL = 2 * np.sqrt(9.81)  # b of a pendulum of 1 kg and 1 m


def damped(name: str, **options: Any) -> Any:
    return gymnasium.make(
        "Lagrangian-v0", system=SYSTEM + name, max_episode_steps=-1, **options
    ).unwrapped


def drive(env: Any, start: list[float], steps: int, *, force: float = 1.0) -> list[dict]:
    """What an environment says of itself under random actions."""
    rng = np.random.default_rng(0)
    infos = [env.reset(options={"state": start})[1]]
    for _ in range(steps):
        action = force * rng.uniform(-1.0, 1.0, env.action_space.shape)
        infos.append(env.step(action.astype(np.float32))[4])
    return infos


class TestBalance:
    @pytest.mark.parametrize("b", [0.05, 0.5, CRITICAL])
    def test_viscous_friction_up_to_critical_damping(self, b):
        infos = drive(damped("Pendulum", b=b), [2.0, 0.0], 2000)  # 100 s
        assert max(abs(info["energy_drift"]) for info in infos) < 1e-8
        heat = [info["dissipated"] for info in infos]
        assert np.all(np.diff(heat) >= 0.0)
        assert heat[-1] > 5.0, "hardly anything was dissipated: the test shows nothing"

    @pytest.mark.parametrize("share", [0.5, 0.05])
    def test_coulomb_friction_as_narrow_as_a_share_of_the_typical_velocity(self, share):
        width = share * Pendulum().magnitudes.qd[0]
        infos = drive(damped("Sticky", b=0.3, width=width), [2.0, 0.0], 2000)
        assert max(abs(info["energy_drift"]) for info in infos) < 1e-8

    def test_of_two_coordinates(self):
        infos = drive(damped("DampedCartPole"), [0.0, 2.0, 0.0, 0.0], 200)
        assert max(abs(info["energy_drift"]) for info in infos) < 1e-8

    def test_narrow_friction_takes_more_substeps(self):
        wide, narrow = (
            damped("Sticky", b=2.0, width=width).dynamics.substeps for width in (1.0, 1e-3)
        )
        assert narrow > 20 * wide

    @pytest.mark.parametrize("dt", [0.01, 0.05])
    def test_a_reward_sees_the_motors_torque_alone(self, dt):
        """2 N·m of the motor, whatever friction does to the motion."""
        env = damped("Pendulum", b=0.4, task="stranger.damped:Torque", dt=dt)
        env.reset(options={"state": [2.0, 1.0]})
        assert env.step(np.array([0.5], np.float32))[1] == pytest.approx(1.0, rel=1e-6)

    def test_without_friction_nothing_is_dissipated(self):
        env = gymnasium.make("DoublePendulum-v0")
        assert env.reset(seed=0)[1]["dissipated"] == 0.0
        assert env.step(env.action_space.sample())[4]["dissipated"] == 0.0


@pytest.mark.parametrize("name", ["Pendulum", "Sticky"])
def test_motion_and_heat_against_scipy(name):
    """θ̈ = (τ + F − m g l sin θ) / (m l²) and Q̇ = −θ̇ F, by an independent solver."""
    env = damped(name, b=0.4)
    system, m = env.system, jnp.array([1.0, 1.0, 9.81, 0.4])
    friction = {
        "Pendulum": lambda w: -0.4 * w,
        "Sticky": lambda w: -0.02 * w - 0.4 * np.tanh(w / system.width),
    }[name]
    tau = 1.5

    def derivative(_, y):
        force = friction(y[1])
        return [y[1], tau + force - 9.81 * np.sin(y[0]), -y[1] * force]

    truth = solve_ivp(derivative, (0, 5), [2.0, 1.0, 0.0], method="DOP853", rtol=1e-12, atol=1e-12)
    env.reset(options={"state": [2.0, 1.0]})
    for _ in range(100):
        info = env.step(np.array([tau / 2.0], np.float32))[4]
    np.testing.assert_allclose(info["state"], truth.y[:2, -1], atol=1e-7)
    assert info["dissipated"] == pytest.approx(truth.y[2, -1], abs=1e-7)
    with jax.enable_x64(True):
        q, qd, qdd = jnp.array([0.3]), jnp.array([1.2]), jnp.array([-0.7])
        torque = system.inverse_dynamics(q, qd, qdd, m.astype(float))
        np.testing.assert_allclose(
            system.acceleration(q, qd, torque, m.astype(float)), qdd, rtol=1e-12
        )


class Stepped(eqx.Module):
    """The exact motion as a map from one state to the next, which knows no way between."""

    dynamics: Any
    dt: float = eqx.field(static=True)
    learned: ClassVar[bool] = True

    def next_state(self, state, tau, m):
        return self.dynamics.step(state, tau, m, self.dt)


@pytest.mark.parametrize("system", ["Pendulum", "Rough"])
def test_dynamics_without_a_differential_equation_count_true_heat_by_quadrature(system):
    with jax.enable_x64(True):
        env, params = gym_lagrangian.functional.make(SYSTEM + system, dtype="float64")
        stepped = DiscreteDynamics(Stepped(params.dynamics, 0.05))
        heat = []
        for dynamics in (params.dynamics, stepped):
            of = dataclasses.replace(params, dynamics=dynamics)
            state, _ = env.start(jnp.array([2.0, 0.0]), params.m_bounds[0], jnp.zeros(0), of)
            step = eqx.filter_jit(env.step)
            for _ in range(60):
                state, timestep = step(None, state, jnp.array([0.5]), of)
            heat.append(float(timestep.info.dissipated))
            assert abs(timestep.info.energy_drift) < 1e-4
    assert heat[1] == pytest.approx(heat[0], rel=1e-4)
    assert heat[1] != heat[0]


class TestBadInput:
    def test_negative_friction(self):
        with pytest.raises(ConfigurationError, match=r"parameter b = -0\.1: expected at least 0"):
            damped("Pendulum", b=-0.1)
        assert damped("Pendulum", b=0.0).reset(seed=0)

    @pytest.mark.parametrize("width", [0.0, -1.0, float("nan")])
    def test_a_width_that_is_none(self, width):
        with pytest.raises(ConfigurationError, match="width of Coulomb friction"):
            coulomb(jnp.ones(2), 1.0, width)
        with pytest.raises(ConfigurationError, match="width of Coulomb friction"):
            damped("Sticky", width=width)

    def test_friction_of_another_system(self):
        """Of another number of coordinates."""

        class Borrowed(Pendulum):
            def friction(self, q, qd, m):
                return -jnp.array([0.1, 0.2]) * qd

        class Longer(DampedCartPole):
            def friction(self, q, qd, m):
                return viscous(jnp.ones(3), 0.1)

        class Short(DampedCartPole):
            def friction(self, q, qd, m):
                return -jnp.array([0.1, 0.2, 0.3]) * qd

        for system, message in (
            (Borrowed, r"Borrowed.friction returns an array of shape \(2,\): .* \(1,\)"),
            (Longer, r"Longer.friction returns an array of shape \(3,\): .* \(2,\)"),
            (Short, "Short.friction fails: .*shapes"),
        ):
            with pytest.raises(ConfigurationError, match=message):
                gymnasium.make("gym_lagrangian:Lagrangian-v0", system=system)

    @pytest.mark.parametrize("factor", [-0.1, float("nan")])
    def test_friction_that_puts_energy_in(self, factor, tmp_path):
        class Pushed(Pendulum):
            def friction(self, q, qd, m):
                return viscous(qd, factor)

        with pytest.raises(ConfigurationError, match=r"Pushed.friction has a power of .* W at q"):
            gymnasium.make("gym_lagrangian:Lagrangian-v0", system=Pushed)
        with pytest.raises(ConfigurationError, match="its power must not be positive"):
            train(Pushed, "Baseline", out=tmp_path / "m.safetensors")

    def test_takes_energy_out_only(self):
        qd = jnp.asarray(np.random.default_rng(0).normal(size=(100, 3)))
        size = jnp.array([1.0, 2.0, 0.0])
        for friction in (lambda v: viscous(v, 0.3), lambda v: coulomb(v, size, 0.2)):
            force = jax.vmap(friction)(qd)
            assert np.all(np.sum(np.asarray(force * qd), axis=1) <= 0.0)


def test_evaluation_tells_the_balance_of_energy():
    """A motion without friction does not lose the heat that the true friction would have made."""

    class Slippery(Pendulum):
        def friction(self, q, qd, m):
            return None

    with jax.enable_x64(True):
        env, exact = gym_lagrangian.functional.make(Pendulum, dtype="float64", b=0.3)
        motion = free_motion(env, exact, states=3, seed=0, seconds=10.0)
        assert energy_balance(motion, times=(10.0,))[0].summary()["max"] < 1e-8
        dynamics = dynamics_of(Slippery(), integrator="dop853", substeps=4)
        slippery = dataclasses.replace(exact, dynamics=dynamics)
        motion = free_motion(env, slippery, states=3, seed=0, seconds=10.0)
    heat = np.trapezoid(0.3 * motion.states[..., 1] ** 2, motion.time, axis=0)
    found = energy_balance(motion, times=(10.0,))[0].values
    np.testing.assert_allclose(found, heat / motion.scale, rtol=0.02)
