"""The iterative LQR: optimal by an independent solver, gets to goals, keeps to bounds."""

from __future__ import annotations

import dataclasses
import json
from functools import partial

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

import gym_lagrangian
from gym_lagrangian.envs.functional import cast
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.planning import ILQR, Policy, policy_for
from gym_lagrangian.planning.lqr import middle_of
from gym_lagrangian.planning.policy import functional_task
from gym_lagrangian.systems.task import TaskState

TIP_UP = "gym_lagrangian.systems.chain_tasks:TipUp"


def problem(env_id: str, dt: float, **arguments):
    """(env, params, state → TaskState) with plans in steps of dt, in float64."""
    env, params = functional_task(env_id, arguments={**arguments})
    dynamics = params.dynamics.integrated(integrator="rk4", substeps=2)
    params = dataclasses.replace(params, dynamics=dynamics, dt=np.asarray(dt))
    params = cast(params, "float64")
    m = jnp.asarray(np.asarray(params.m_bounds)[0])

    def start(*state: float) -> TaskState:
        q, qd = jnp.split(jnp.asarray(state, jnp.float64), 2)
        nothing = jnp.zeros(0)
        return TaskState(q=q, qd=qd, m=m, goal=nothing, t=jnp.zeros(()), tau=jnp.zeros_like(q))

    return env, params, start


def worth(planner: ILQR, env, params, start: TaskState, actions):
    """J of a sequence, by the formula and by steps of the environment alone."""
    typical = env.coordinates.magnitudes
    near = planner.near * np.asarray([*typical.q, *typical.qd])
    goal, state, spent, best = env.task.goal_state(start.m, start.goal), start, 0.0, -jnp.inf
    for action in actions:
        state = env.next(state, action, params)
        offset = jnp.concatenate([state.q, state.qd]) - goal
        turns = 2 * jnp.pi * jnp.round(offset / (2 * jnp.pi))
        angles = np.array([*env.coordinates.angular, *[False] * len(state.q)])
        offset = (offset - jnp.where(angles, turns, 0.0)) / near
        spent = spent + params.dt * (1.0 + planner.effort * jnp.sum(action**2))
        best = jnp.maximum(best, -0.5 * offset @ offset - spent)
    return best


@pytest.fixture
def exact():
    """Everything in float64."""
    with jax.enable_x64(True):
        yield


@pytest.mark.usefixtures("exact")
class TestPlan:
    """What a plan is worth."""

    @pytest.mark.parametrize("effort", [0.05, 2.0])
    def test_is_the_best_that_an_independent_solver_finds(self, effort):
        env, params, start = problem("GymnasiumPendulum-v0", 0.1, task=TIP_UP)
        begin = start(np.pi - 0.6, 0.3)
        planner = ILQR(horizon=6, samples=32, elites=4, effort=effort)
        plan = planner.plan(env, params, begin, jnp.zeros((6, 1)), jax.random.key(0))
        cost = jax.jit(
            jax.value_and_grad(lambda u: -worth(planner, env, params, begin, u.reshape(6, 1)))
        )
        theirs = [
            scipy.optimize.minimize(cost, first, jac=True, bounds=[(-1, 1)] * 6).fun
            for first in np.random.default_rng(0).uniform(-1, 1, (8, 6))
        ]
        assert float(cost(plan.ravel())[0]) == pytest.approx(min(theirs), abs=1e-4)

    def test_what_comes_after_the_arrival_stays_as_it_was(self):
        """A step of .1 s brings a pendulum at rest in the goal nowhere: it arrives at once."""
        env, params, start = problem("GymnasiumPendulum-v0", 0.1, task=TIP_UP)
        planner, before = ILQR(horizon=6, samples=1, elites=1), jnp.full((6, 1), 0.3)
        plan = planner.plan(env, params, start(np.pi + 0.002, 0.0), before, jax.random.key(0))
        assert abs(float(plan[0, 0])) < 0.3
        np.testing.assert_allclose(plan[1:], before[1:], rtol=1e-12)

    def test_more_iterations_are_never_worse_and_keep_to_the_bounds(self):
        env, params, start = problem("PilcoDoublePendulum-v0", 0.1, task=TIP_UP)
        planner, begin = ILQR(horizon=15, elites=1, samples=8), start(0.2, 0.2, 0.0, 0.0)
        plan = jax.jit(partial(planner.plan, env, params, begin))
        value = jax.jit(partial(worth, planner, env, params, begin))
        first, key = jnp.full((15, 2), 0.1), jax.random.key(0)
        found = [plan(first, key, iterations=count) for count in (0, 1, 5, 40)]
        values = [float(value(one)) for one in found]
        assert values == sorted(values)
        assert values[-1] > values[0] + 1.0
        assert np.max(np.abs(found)) == 1.0  # a swing-up needs full actions


class TestPolicy:
    """Driving by it."""

    def test_cart_pole_swings_up_and_stays(self):
        self.swings_up("PilcoCartPole-v0", 40, ILQR(horizon=30), dt=0.1, substeps=2)

    @pytest.mark.slow
    def test_cart_with_two_links_swings_up_and_stays(self):
        self.swings_up("PilcoCartDoublePendulum-v0", 80, ILQR(horizon=60), substeps=2)

    def swings_up(self, env_id: str, steps: int, planner: ILQR, **arguments):
        """The tip is within 10 % of the length of the goal for the last second."""
        env = gymnasium.make_vec(f"gym_lagrangian:{env_id}", num_envs=3, task=TIP_UP)
        policy = Policy(env, planner, takeover=True, seed=0, **arguments)
        _, info = env.reset(seed=0)
        far = []
        task, dt = env.unwrapped.functional[0].task, env.unwrapped.dt
        m = np.asarray(middle_of(env.unwrapped.functional[1].m_bounds))
        for _ in range(steps):
            _, _, terminated, _, info = env.step(policy.act(info))
            assert not terminated.any()
            states = [np.split(np.asarray(x, np.float64), 2) for x in info["state"]]
            here = [TaskState(q, qd, m, np.zeros(0), np.zeros(()), 0 * q) for q, qd in states]
            far.append([float(task.tip_distance(one)) for one in here])
        env.close()
        assert np.max(far[-round(1.0 / dt) :]) <= 0.1


def test_defaults_that_results_rest_on():
    """Whoever changes one measures anew what the documentation reports of this planner."""
    assert ILQR() == ILQR(64, 4, 80, iterations=100, again=10, near=0.1, effort=0.05)


class TestRefused:
    """What makes no sense."""

    @pytest.mark.parametrize("name", ["near", "effort"])
    @pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), "much"])
    def test_numbers(self, name, value):
        with pytest.raises(ConfigurationError, match=name):
            ILQR(**{name: value})

    def test_a_task_without_a_goal_state(self):
        reach = "gym_lagrangian.systems.chain_tasks:Reach"
        policy = Policy("TriplePendulum-v0", ILQR(horizon=4), task=reach)
        with pytest.raises(ConfigurationError, match="names no goal state"):
            policy.act(np.zeros(6), goal=[0.5, 0.3])

    def test_but_not_the_value_of_a_setting_for_another_planner(self):
        policy = policy_for("PilcoCartPole-v0", planner=ILQR(horizon=4))
        assert policy.value is None
        with pytest.raises(ConfigurationError, match="value = 'lqr'"):
            policy_for("PilcoCartPole-v0", planner=ILQR(horizon=4), value="lqr")

    def test_a_discount(self):
        with pytest.raises(TypeError, match="discount"):
            ILQR(discount=0.9)

    @pytest.mark.parametrize("name", ["value", "reward"])
    def test_what_would_make_no_difference(self, name):
        given = {"value": "lqr", "reward": lambda state: 1.0}[name]
        with pytest.raises(ConfigurationError, match=f"{name} = .*ILQR plans for no reward"):
            Policy("PilcoCartPole-v0", ILQR(), **{name: given})


def test_an_agent_learns_with_it_and_its_regulator(tmp_path):
    how = {"planner": ILQR(horizon=8, samples=8, elites=1, iterations=2), "steps": (20, 20)}
    found = gym_lagrangian.learn(
        "PilcoPendulum-v0", "MLP", budget=6.0, out=tmp_path, config={"chunk": 20}, **how
    )
    assert [line["kind"] for line in found.history] == ["random", "Planning"]
    written = json.loads((tmp_path / "run.json").read_text())
    settings = written["strategy"]["planning"]
    assert settings["ILQR"]["horizon"] == 8
    assert settings["takeover"] is True
