"""The regulator at a goal, terminal values, takeover and time budgets."""

import dataclasses
from functools import partial

import equinox as eqx
import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gym_lagrangian import Coordinates
from gym_lagrangian.adapters import tasks
from gym_lagrangian.envs import functional
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.planning import (
    CEM,
    MPPI,
    Policy,
    Unholdable,
    lqr,
    plan_return,
    planner_for,
    policy_for,
)
from gym_lagrangian.planning import budget as budget_module
from gym_lagrangian.planning.budget import Budget
from gym_lagrangian.planning.takeover import converges
from gym_lagrangian.registration import environments
from gym_lagrangian.systems.task import TaskState

COARSE = {"integrator": "rk4", "substeps": 2}
CART, PARTICLE = "PilcoCartPole", "RelativisticParticle"
SMALL = MPPI(samples=64, horizon=6, elites=8)
UPRIGHT = np.array([0.0, np.pi, 0.0, 0.0])
EXACT = [row for row in environments() if row.model is None and "/" not in row.id]


def make(system=CART, **options):
    return functional.make(system, **COARSE | options)


def seen(env, params, x):
    m, goal = params.m_bounds[0], params.goal_bounds[0]
    return env.view(env.start(jnp.asarray(x), m, goal, params)[0], params)


class TestGoalStates:
    @pytest.mark.parametrize("system", sorted({row.system for row in EXACT}))
    def test_are_at_the_goal(self, system):
        env, params = make(system)
        m, goal = np.mean(params.m_bounds, axis=0), np.mean(params.goal_bounds, axis=0)
        if env.task.goal_state(m, goal) is None:
            assert system == "Kepler"
            return

        @jax.jit
        def found(m, goal):
            q, qd = jnp.split(env.task.goal_state(m, goal), 2)
            state = TaskState(q, qd, m, goal, jnp.zeros(()), jnp.zeros_like(q))
            return env.task.at_goal(state), env.task.terminated(state)

        assert found(m, goal) == (True, False)

    @pytest.mark.parametrize("target", [(0.1, 0.05), (-0.15, 0.12), (0.0, -0.02), (-0.2, 0.0)])
    def test_reachers_finger_is_at_the_target(self, target):
        task = tasks.Reacher(coordinates=Coordinates(("joint0", "joint1"), angular=True))
        x, goal = task.goal_state(jnp.zeros(0), jnp.array(target)), jnp.array(target)
        state = TaskState(x[:2], x[2:], jnp.zeros(0), goal, jnp.zeros(()), jnp.zeros(2))
        assert task.reward(state, jnp.zeros(2), state) == pytest.approx(0.0, abs=1e-6)

    def test_of_mujocos_and_classics(self):
        names = {"Pendulum": 1, "InvertedPendulum": 2, "InvertedDoublePendulum": 3, "Acrobot": 2}
        for name, n in names.items():
            task_class = getattr(tasks, name)
            coordinates = Coordinates(task_class.requires, angular=True)
            x = task_class(coordinates=coordinates).goal_state(jnp.zeros(0), jnp.zeros(0))
            assert x.shape == (2 * n,)


class TestLQR:
    def test_its_cost_is_what_its_closed_loop_pays(self):
        """Near the goal, in the motion that is not linear, summed up step by step."""
        env, params = make()
        weights, effort = np.array([1.0, 4.0, 0.1, 0.2]), 0.5
        regulator = lqr(env, params, weights=weights, effort=effort)
        x = np.array(UPRIGHT) + 1e-2 * np.array([1.0, -1.0, 0.5, 1.0])

        def step(state, _):
            offset = regulator.offset(state.q, state.qd)
            action = regulator.action(state.q, state.qd)
            cost = 0.5 * (jnp.sum(weights * offset**2) + effort * jnp.sum(action**2))
            return env.next(state, action, params), cost

        start = seen(env, params, x)
        end, costs = jax.jit(lambda s: jax.lax.scan(step, s, None, length=150))(start)
        assert jnp.sum(costs) == pytest.approx(float(regulator.remaining(*start[:2])), rel=0.02)
        assert jnp.abs(regulator.offset(end.q, end.qd)).max() < 1e-4

    def test_its_value_is_the_discounted_return_that_is_left(self):
        """Of the task's own reward, less what the regulator's actions are charged."""
        env, params = make()
        discount, effort = 0.9, 0.05
        regulator = lqr(env, params, discount=discount, effort=effort)
        start = seen(env, params, np.array(UPRIGHT) + np.array([0.02, 0.01, 0.0, -0.02]))

        def step(state, _):
            action = regulator.action(state.q, state.qd)
            after = env.next(state, action, params)
            worth = env.reward(state, action, state) - 0.5 * effort * jnp.sum(action**2)
            return after, worth

        _, worth = jax.jit(lambda s: jax.lax.scan(step, s, None, length=120))(start)
        lost = jnp.sum(discount ** jnp.arange(120) * (1.0 - worth))
        assert regulator.best == pytest.approx(1.0 / (1.0 - discount))
        found = regulator.best - regulator(start.q, start.qd)
        assert found == pytest.approx(float(lost), rel=0.05)
        assert lost > 5e-4

    def test_is_periodic_in_angles_and_bounded(self):
        env, params = make()
        regulator = lqr(env, params, discount=0.9)
        q, qd = jnp.array([0.1, 3.0]), jnp.array([0.2, -0.1])
        turned = q + jnp.array([0.0, 2.0 * jnp.pi])
        assert regulator(turned, qd) == pytest.approx(float(regulator(q, qd)), rel=1e-5)
        far = regulator(jnp.array([2.0, 0.0]), jnp.array([5.0, 20.0]))
        assert far == pytest.approx(float(regulator.best - regulator.depth), abs=0.05)

    def test_a_full_action_costs_a_tenth_by_default(self):
        env, params = make()
        usual, stated = lqr(env, params), lqr(env, params, effort=0.1)
        np.testing.assert_array_equal(usual.gain, stated.gain)

    def test_where_the_reward_has_no_curvature_offsets_are_weighed(self):
        """Balance earns 1 a step whatever the state; it is held all the same."""
        env, params = make(task="gym_lagrangian.systems.chain_tasks:Balance", actuated="x")
        regulator = lqr(env, params)
        closed = np.linalg.eigvals(_closed_loop(env, params, regulator))
        assert np.abs(closed).max() < 1.0
        assert np.linalg.eigvalsh(np.asarray(regulator.cost)).min() > 0

    def test_holds_against_a_constant_force(self):
        """u* balances the particle's potential."""
        env, params = make(PARTICLE, m=1.0, c=1.0, g=1.5)
        regulator = lqr(env, params)
        start = seen(env, params, [0.3, 0.0])

        def step(state, _):
            return env.next(state, regulator.action(state.q, state.qd), params), None

        end, _ = jax.jit(lambda s: jax.lax.scan(step, s, None, length=300))(start)
        assert abs(float(regulator.hold[0])) > 0.1
        np.testing.assert_allclose(end.q, 0.0, atol=2e-3)

    def test_what_cannot_be_held_is_said(self):
        env, params = make("Kepler")
        with pytest.raises(ConfigurationError, match=r"HoldOrbit of Kepler names no goal state"):
            lqr(env, params)
        with pytest.raises(ConfigurationError, match=r"HoldOrbit of Kepler names no goal state"):
            Policy((env, params), SMALL, value="lqr")
        weightless = make(g=0.0, viscous0=0.0)  # what its cart does, its pole undoes
        with pytest.raises(Unholdable, match="no linear feedback holds the goal of _PilcoCart"):
            lqr(*weightless)
        with pytest.raises(ConfigurationError, match=r"weights = \[1\]: expected 4 numbers"):
            lqr(*make(), weights=[1])


def _closed_loop(env, params, regulator):
    """∂x⁺/∂x under the regulator, by central differences."""

    @jax.jit
    def moved(x):
        start = seen(env, params, x)
        after = env.next(start, regulator.action(start.q, start.qd), params)
        return jnp.concatenate([after.q, after.qd])

    h = 1e-2 * np.eye(4)
    columns = [(moved(UPRIGHT + one) - moved(UPRIGHT - one)) / 2e-2 for one in h]
    return np.stack(columns, axis=1)


class TestValue:
    def test_is_what_a_sequence_ends_in(self):
        env, params = make()
        start, actions = seen(env, params, UPRIGHT), jnp.zeros((3, 1))
        without = plan_return(env, params, start, actions, 0.5)
        found = plan_return(env, params, start, actions, 0.5, lambda q, qd, m, goal: 80.0 + q[0])
        assert found.value == pytest.approx(float(without.value) + 0.5**3 * 80.0, rel=1e-5)

    def test_is_nothing_once_the_episode_is_over(self):
        env, params = make(track=0.5)
        start = seen(env, params, [0.6, 0.0, 0.0, 0.0])
        found = plan_return(env, params, start, jnp.zeros((3, 1)), 1.0, lambda *_: 80.0)
        assert found.value == 0.0

    def test_decides_where_the_horizon_is_too_short(self):
        """One planned step, a reward that is nothing, and a value that wants q to grow or fall."""
        state, m = [0.0, 0.0], [1.0, 1.0, 0.0]
        for sign in (1.0, -1.0):
            policy = Policy(
                make(PARTICLE),
                dataclasses.replace(SMALL, horizon=1),
                reward=nothing,
                value=lambda q, qd, m, goal, sign=sign: sign * q[0],
            )
            assert sign * policy.act(state, m)[0] > 0.3

    def test_new_weights_of_a_learned_value_count_and_compile_nothing(self):
        traced = []

        class Slope(eqx.Module):
            weight: jax.Array

            def __call__(self, q, qd, m, goal):
                traced.append(1)
                return self.weight * q[0]

        planner = dataclasses.replace(SMALL, horizon=1)
        policy = Policy(make(PARTICLE), planner, reward=nothing, value=Slope(jnp.float32(1.0)))
        assert policy.act([0.0, 0.0], [1.0, 1.0, 0.0])[0] > 0.3
        compiled = len(traced)
        policy.value = Slope(np.array(-1.0))  # of another precision, and NumPy's
        policy.reset()
        assert policy.act([0.0, 0.0], [1.0, 1.0, 0.0])[0] < -0.3
        assert len(traced) == compiled > 0

    def test_a_planners_own_reward(self):
        """It is planned for; the environment's is not."""
        policy = Policy(make(PARTICLE), SMALL, reward=far_right)
        assert policy.act([-1.0, 0.0], [1.0, 1.0, 0.0])[0] > 0.1
        opposite = Policy(make(PARTICLE), SMALL, reward=far_left)
        assert opposite.act([-1.0, 0.0], [1.0, 1.0, 0.0])[0] < -0.1

    def test_bad_input(self):
        with pytest.raises(ConfigurationError, match=r"value = 3\.0: expected a function"):
            Policy(make(), SMALL, value=3.0)
        with pytest.raises(ConfigurationError, match=r"budget = 0: expected a positive number"):
            Policy(make(), SMALL, budget=0)
        with pytest.raises(ConfigurationError, match="iterations = 0: expected a whole number"):
            MPPI(iterations=0)


def nothing(q, qd, tau, m):
    return 0.0 * q[0]


def far_right(q, qd, tau, m):
    return q[0]


def far_left(q, qd, tau, m):
    return -q[0]


@pytest.mark.parametrize("planner", [MPPI(samples=64, elites=8, horizon=10), CEM(horizon=10)])
def test_more_iterations_find_better_plans(planner):
    env, params = make("DoublePendulum", dt=0.1)
    start = seen(env, params, [0.05, -0.02, 0.1, 0.0])

    @jax.jit
    def found(key, iterations):
        plan = jnp.zeros((10, 2))
        plan = planner.plan(env, params, start, plan, key, iterations=iterations)
        return plan_return(env, params, start, plan, planner.discount).value

    keys = jax.random.split(jax.random.key(0), 5)
    few, many = (np.mean([found(key, count) for key in keys]) for count in (1, 12))
    assert many > few + 0.01 * abs(few)


class TestTakeover:
    def test_near_the_goal_alone(self):
        """And there it holds the pole in the exact simulation, from rest and from a push."""
        envs = gymnasium.make_vec(f"{CART}-v0", num_envs=3, vectorization_mode="vector_entry_point")
        policy = Policy(envs, SMALL, takeover=True, substeps=2)
        start = np.array([UPRIGHT, UPRIGHT + np.array([0.1, 0.05, 0.0, -0.1]), np.zeros(4)])
        _, info = envs.reset(seed=0, options={"state": start})
        policy.act(info)
        assert policy.took_over.tolist() == [True, True, False]
        for _ in range(35):
            _, _, _, _, info = envs.step(policy.act(info))
            assert policy.took_over[:2].all()
        np.testing.assert_allclose(info["state"][:2], np.stack([UPRIGHT] * 2), atol=0.02)

    def test_where_the_closed_loop_reaches_the_goal(self):
        """Not where it is still on its way, ends the episode, or is too far off to begin with."""
        env, params = make(dt=0.02)
        regulator = lqr(env, params)
        follow = jax.jit(partial(converges, env, params), static_argnames="steps")

        def led(x, steps):
            x = np.asarray(x, np.float32)
            m, goal = params.m_bounds[0], params.goal_bounds[0]
            start = TaskState(*np.split(x, 2), m, goal, np.float32(0.0), np.zeros(2, np.float32))
            return bool(follow(regulator, start, steps=steps))

        near = UPRIGHT + np.array([0.2, 0.02, 0.0, 0.0])
        assert led(near, 200)
        assert not led(near, 2)
        assert not led(UPRIGHT + np.array([0.06, 0.006, 0.0, 0.0]), 2)
        assert led(UPRIGHT + np.array([0.01, 0.001, 0.0, 0.0]), 2)  # as good as there
        assert not led(np.zeros(4), 200)
        assert not led(UPRIGHT + np.array([0.0, 0.0, 1e4, 0.0]), 200)

    def test_every_episode_has_its_own_goal(self):
        env, params = make("RameshReacher")
        policy = Policy((env, params), SMALL, takeover=True, dt=0.04)
        goals = np.array([[0.5, 0.3], [0.8, -2.0]], np.float32)
        m = np.asarray(params.m_bounds)[0]
        at = np.stack([np.asarray(env.task.goal_state(m, goal)) for goal in goals])
        policy.act(at, goal=goals)
        assert policy.took_over.all()
        policy.act(at, goal=goals[::-1])
        assert not policy.took_over.any()


class TestBudget:
    def test_as_many_iterations_as_fit(self, monkeypatch):
        """By a clock that a decision sets: half a second for itself, a quarter an iteration."""
        clock, counts = [0.0], []
        monkeypatch.setattr(budget_module.time, "perf_counter", lambda: clock[0])

        def run(count):
            clock[0] += 0.5 + 0.25 * count + (9.0 if not counts else 0.0)  # 9 s to compile
            counts.append(count)
            return count

        assert Budget(2.1).decide("a", run) == 6
        assert Budget(0.1).decide("a", run) == 1
        steady = Budget(3.1)
        assert [steady.decide("a", run) for _ in range(3)] == [10, 10, 10]

    def test_at_least_one_and_in_range(self):
        policy = Policy(make(), SMALL, budget=1e-9)
        action = policy.act(np.zeros(4))
        np.testing.assert_array_equal(action, Policy(make(), SMALL).act(np.zeros(4)))


class TestSettings:
    def test_the_table_and_the_rest(self):
        planner, arguments = planner_for(f"{CART}-v0")
        assert (planner.horizon, arguments["value"], arguments["takeover"]) == (20, "lqr", True)
        planner, arguments = planner_for("Kepler-v0")
        assert "value" not in arguments
        assert planner.horizon * arguments["dt"] == pytest.approx(2.0, rel=0.05)
        planner, arguments = planner_for("DoublePendulumMLP-v0")
        assert arguments["dt"] == pytest.approx(0.05)

    def test_where_nothing_can_be_held_it_plans_without(self):
        with pytest.warns(UserWarning, match="no linear feedback holds the goal"):
            policy = policy_for(make(g=0.0, viscous0=0.0), planner=SMALL)
        assert policy.value is None
        assert policy.act(np.zeros(4)).shape == (1,)
