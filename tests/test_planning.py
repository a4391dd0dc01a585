"""CEM and MPPI: they find what brute force finds, reach goals, and say what they cannot do."""

import dataclasses
import itertools
from functools import partial

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gym_lagrangian import LearnedDynamicsEnv, checkpoints
from gym_lagrangian.envs import functional
from gym_lagrangian.errors import CheckpointError, ConfigurationError
from gym_lagrangian.planning import CEM, MPPI, Policy, plan_return
from gym_lagrangian.planning.noise import correlated
from gym_lagrangian.planning.policy import later
from gym_lagrangian.planning.returns import ranked
from gym_lagrangian.registration import environments

PENDULUM, PARTICLE = "DoublePendulum-v0", "RelativisticParticle-v0"
NAN = float("nan")
HANGING = [0.05, -0.02, 0.1, 0.0]
PLANNERS = [MPPI(samples=256, elites=16, horizon=20), CEM(horizon=20)]
SMALL = MPPI(samples=16, horizon=4, elites=4)
COARSE = {"integrator": "rk4", "substeps": 1}
LEARNED = [row.id for row in environments() if row.system == "DoublePendulum" and row.model]


def forth_and_back(before, action, after):
    """To the one side during the first half second, then to the other."""
    return jnp.where(before.t < 0.5, 1.0, -1.0) * action[0]


def name(planner):
    return type(planner).__name__


def task(x=HANGING, **options):
    """(env, params, start) of a small problem, coarsely integrated."""
    env, params = functional.make("DoublePendulum", dt=0.1, **COARSE, **options)
    return env, params, env.view(begin(env, params, x), params)


def begin(env, params, x=HANGING):
    """The state of an episode that begins at x."""
    return env.start(jnp.array(x), params.m_bounds[0], params.goal_bounds[0], params)[0]


class TestReturn:
    def test_is_the_sum_of_the_environments_rewards(self):
        env, params, start = task()
        actions = jax.random.uniform(jax.random.key(0), (30, 2), minval=-1.0)
        state = begin(env, params)
        total = 0.0
        step = jax.jit(env.step)
        for action in actions:
            state, timestep = step(None, state, action, params)
            total += float(timestep.reward)
        found = plan_return(env, params, start, actions)
        assert found.value == pytest.approx(total, rel=1e-5)
        assert found.valid == 1.0

    def test_nothing_is_earned_beyond_the_range(self):
        env, params, start = task(omega_max=1.0)
        still, strong = jnp.zeros((40, 2)), jnp.tile(jnp.array([1.0, -1.0]), (40, 1))
        leaving, staying = (plan_return(env, params, start, a) for a in (strong, still))
        assert 0.0 <= leaving.value < 0.5 * staying.value
        assert leaving.valid < 1.0 == staying.valid

    @pytest.mark.parametrize("sign", [1.0, -1.0])
    def test_a_plan_that_leaves_the_range_ranks_below_all_that_stay(self, sign):
        """Whatever the signs of the rewards, and the sooner it leaves the lower."""

        def reward(q, qd, tau, m):
            return sign * (1.0 + qd[0] ** 2)

        env, params, start = task(omega_max=1.0, reward=reward)
        still, strong = jnp.zeros((20, 2)), jnp.tile(jnp.array([1.0, -1.0]), (20, 1))
        late, gentle = strong.at[:4].set(0.0), still.at[0, 0].set(0.05)
        plans = jnp.stack([still, strong, late, gentle])
        found = jax.vmap(lambda actions: plan_return(env, params, start, actions))(plans)
        assert (found.valid < 1.0).tolist() == [False, True, True, False]
        worth = ranked(found)
        assert worth[1] < worth[2] < min(worth[0], worth[3])
        assert jnp.all(worth[jnp.array([0, 3])] == found.value[jnp.array([0, 3])])

    def test_later_rewards_count_for_less(self):
        env, params, start = task()
        actions = jnp.ones((3, 2))
        first, second, third = (
            plan_return(env, params, start, actions[:k]).value for k in (1, 2, 3)
        )
        expected = first + 0.5 * (second - first) + 0.25 * (third - second)
        found = plan_return(env, params, start, actions, 0.5).value
        assert found == pytest.approx(float(expected))

    @pytest.mark.parametrize("planner", PLANNERS, ids=name)
    def test_in_a_model_that_is_no_number_all_is_worth_nothing(self, planner, lnn_checkpoint):
        env, params, start = task(checkpoint=lnn_checkpoint)
        broken = jax.tree.map(lambda leaf: leaf * jnp.nan, params.dynamics)
        params = dataclasses.replace(params, dynamics=broken)
        plan = jnp.zeros((planner.horizon, 2))
        assert plan_return(env, params, start, plan) == (0.0, 0.0)
        assert jnp.all(jnp.isfinite(planner.plan(env, params, start, plan, jax.random.key(0))))


class TestPlanners:
    def test_noise_is_normal_and_correlated_in_time(self):
        noise = correlated(jax.random.key(0), 20_000, jnp.zeros((5, 2)), 0.7)
        assert noise.shape == (20_000, 5, 2)
        covariance = np.cov(np.asarray(noise[..., 0]).T)
        steps = np.arange(5)
        expected = 0.7 ** np.abs(steps[:, None] - steps)
        np.testing.assert_allclose(covariance, expected, atol=0.05)
        assert abs(np.corrcoef(np.asarray(noise).reshape(-1, 2).T)[0, 1]) < 0.02

    @pytest.mark.parametrize("planner", [MPPI(), CEM()], ids=name)
    def test_one_step_is_what_brute_force_finds(self, planner):
        # The best action is inside the square.
        env, params, start = task([np.pi + 0.02, np.pi - 0.03, 0.2, -0.3])
        planner = dataclasses.replace(planner, horizon=1)
        grid = jnp.array(list(itertools.product(jnp.linspace(-1, 1, 81), repeat=2)))[:, None]
        worth = jax.jit(jax.vmap(lambda a: plan_return(env, params, start, a).value))
        values = worth(grid)
        best = grid[jnp.argmax(values), 0]
        assert jnp.all(jnp.abs(best) < 0.95)
        plan, improved = jnp.zeros((1, 2)), jax.jit(partial(planner.plan, env, params, start))
        for key in jax.random.split(jax.random.key(0), 10):
            plan = improved(plan, key)
        np.testing.assert_allclose(plan[0], best, atol=0.04)
        assert worth(plan[None])[0] > values.max() - 1e-4

    @pytest.mark.parametrize("planner", PLANNERS, ids=name)
    def test_a_plan_to_start_from_helps(self, planner):
        env, params, start = task()

        @jax.jit
        def improved(plan, key):
            plan = planner.plan(env, params, start, plan, key)
            return plan, plan_return(env, params, start, plan).value

        plan, values = jnp.zeros((planner.horizon, 2)), []
        for key in jax.random.split(jax.random.key(1), 12):
            plan, value = improved(plan, key)
            values.append(value)
        assert jnp.abs(plan).max() <= 1.0
        assert values[-1] > 1.1 * values[0]
        assert values[0] > plan_return(env, params, start, jnp.zeros_like(plan)).value

    @pytest.mark.parametrize("planner", PLANNERS, ids=name)
    def test_particle_reaches_and_holds_the_origin(self, planner):
        g = np.array([-2.0, 0.5, 2.0])
        envs = gymnasium.make_vec(
            PARTICLE, num_envs=3, g=g, vectorization_mode="vector_entry_point", **COARSE
        )
        policy = Policy(envs, planner, dt=0.1)
        start = [[-2.0, 0.0], [1.0, 0.0], [3.0, 0.0]]
        _, info = envs.reset(seed=0, options={"state": start})
        for _ in range(160):
            _, _, _, _, info = envs.step(policy.act(info["state"]))
        assert info["success"].all(), info["state"]

    @pytest.mark.slow
    def test_swing_up_and_hold(self):
        envs = gymnasium.make_vec(PENDULUM, num_envs=20, vectorization_mode="vector_entry_point")
        policy = Policy(envs, MPPI(), dt=0.1, seed=1)
        _, info = envs.reset(seed=100)
        for _ in range(499):
            _, _, _, _, info = envs.step(policy.act(info["state"]))
        assert info["success"].mean() >= 0.95


class TestPolicy:
    def test_every_row_of_a_batch_is_planned_for_alone(self):
        states = np.array([HANGING, [3.0, 3.1, 0.0, 0.2]])
        batch, single = (Policy(PENDULUM, SMALL, dt=0.1, seed=5) for _ in range(2))
        for _ in range(3):
            actions = batch.act(states)
            assert actions.shape == (2, 2)
            assert actions.dtype == np.float32
            np.testing.assert_allclose(single.act(states[0]), actions[0], atol=1e-5)
        assert np.abs(actions[0] - actions[1]).max() > 0.01

    def test_equal_states_are_planned_for_by_draws_of_their_own(self):
        first, second = Policy(PENDULUM, SMALL, dt=0.1, seed=5).act([HANGING, HANGING])
        assert np.abs(first - second).max() > 1e-3

    def test_seed_says_all(self):
        def run(seed):
            policy = Policy(PENDULUM, SMALL, seed=seed)
            return np.stack([policy.act(HANGING) for _ in range(3)])

        np.testing.assert_array_equal(run(3), run(3))
        assert np.abs(run(3) - run(4)).max() > 0.01

    def test_reset_forgets(self):
        policy = Policy(PENDULUM, SMALL, seed=2)
        first = [policy.act([HANGING, HANGING]) for _ in range(2)]
        policy.reset(seed=2)
        again = policy.act([HANGING, HANGING])
        np.testing.assert_array_equal(again, first[0])
        policy.reset(mask=np.array([True, False]))  # forgets the first plan alone
        partly = policy.act([HANGING, HANGING])
        np.testing.assert_array_equal(partly[1], first[1][1])
        assert np.abs(partly[0] - first[1][0]).max() > 1e-3
        policy.reset()
        assert policy.act(HANGING).shape == (2,)

    def test_a_forgotten_plan_is_one_of_no_actions(self):
        """Of all sequences with hardly any noise, the best begins with hardly any action."""
        still = MPPI(samples=8, elites=4, horizon=4, sigma=1e-6)
        policy = Policy(PENDULUM, still)
        assert np.abs(policy.act([HANGING, HANGING])).max() < 1e-4
        policy.reset(mask=np.array([True, False]))
        assert np.abs(policy.act([HANGING, HANGING])).max() < 1e-4

    def test_time_begins_at_zero(self):
        policy = Policy(PENDULUM, MPPI(samples=64, horizon=2), reward=forth_and_back, dt=0.1)
        assert policy.act(HANGING)[0] > 0.1
        policy.reset()
        assert policy.act(HANGING, time=1.0)[0] < -0.1

    def test_a_plan_is_read_from_where_time_has_got_to(self):
        plan = jnp.array([[0.0], [1.0], [0.5]])
        np.testing.assert_allclose(later(plan, 0.0), plan)
        np.testing.assert_allclose(later(plan, 1.0), [[1.0], [0.5], [0.0]])
        np.testing.assert_allclose(later(plan, 0.5), [[0.5], [0.75], [0.25]])

    @pytest.mark.parametrize("env_id", LEARNED)
    def test_plans_in_every_learned_model(self, env_id):
        dt = gymnasium.make(env_id).unwrapped.dynamics.fixed_dt or 0.1
        action = Policy(env_id, SMALL, dt=dt).act(HANGING)
        assert gymnasium.spaces.Box(-1.0, 1.0, (2,)).contains(action)
        assert np.abs(action).max() > 0.0

    def test_plans_in_whatever_an_environment_is_moved_by(self, lnn_checkpoint):
        learned = LearnedDynamicsEnv(gymnasium.make(PENDULUM, **COARSE), lnn_checkpoint, **COARSE)
        batch = gymnasium.make_vec(
            PENDULUM,
            num_envs=2,
            checkpoint=lnn_checkpoint,
            vectorization_mode="vector_entry_point",
            **COARSE,
        )
        places = [
            learned,
            batch,
            functional.make("DoublePendulum", checkpoint=lnn_checkpoint),
            gymnasium.make(PENDULUM, checkpoint=lnn_checkpoint, **COARSE),
        ]
        expected = Policy(PENDULUM, SMALL, checkpoint=lnn_checkpoint).act(HANGING)
        for where in places:
            np.testing.assert_allclose(Policy(where, SMALL).act(HANGING), expected, atol=1e-5)
        assert np.abs(Policy(PENDULUM, SMALL).act(HANGING) - expected).max() > 1e-3

    def test_parameters_of_the_episode(self):
        policy = Policy(PARTICLE, SMALL, dt=0.1)
        m = np.array([[1.0, 1.0, -2.0], [1.0, 1.0, 2.0]])
        for _ in range(3):
            left, right = policy.act(np.zeros((2, 2)), m)
        assert left > 0 > right  # against the pull


BAD_PLANNERS = [
    (MPPI, {"samples": 0}, "samples = 0: expected a whole number of at least 1"),
    (CEM, {"horizon": 0}, "horizon = 0: expected a whole number of at least 1"),
    (MPPI, {"horizon": 2.5}, r"horizon = 2\.5: expected a whole number"),
    (MPPI, {"temperature": 0.0}, r"temperature = 0\.0: expected a positive number"),
    (MPPI, {"discount": 1.1}, r"discount = 1\.1: expected at most 1"),
    (CEM, {"discount": 0.0}, r"discount = 0\.0: expected a positive number"),
    (MPPI, {"finest": 2.0}, r"finest = 2\.0: expected at most 1"),
    (MPPI, {"sigma": -1.0}, r"sigma = -1\.0: expected a positive number"),
    (CEM, {"smoothness": 1.0}, r"smoothness = 1\.0: expected a number in \[0, 1\)"),
    (CEM, {"smoothness": NAN}, r"smoothness = nan: expected a finite number"),
    (MPPI, {"samples": 8, "elites": 9}, "elites = 9 of samples = 8: expected at most as many"),
    (CEM, {"samples": 8, "elites": 9}, "elites = 9 of samples = 8: expected at most as many"),
    (CEM, {"elites": 0}, "elites = 0: expected a whole number of at least 1"),
    (CEM, {"iterations": 0}, "iterations = 0: expected a whole number of at least 1"),
]

BAD_POLICIES = [
    (PENDULUM, {"dt": 0.0}, r"dt = 0\.0: expected a positive number \(seconds\)"),
    (PENDULUM, {"dt": NAN}, "dt = nan: expected a positive number"),
    (PENDULUM, {"dt": 0.02}, r"dt = 0\.02 is shorter than the environment's step of 0\.05 s"),
    ("DoublePendulumMLP-v0", {"dt": 0.1}, r"can only take steps of 0\.05 s, not dt = 0\.1"),
    (PENDULUM, {"integrator": "euler"}, "integrator = 'euler': choose one of rk4, dopri5"),
    (PENDULUM, {"substeps": 0}, "substeps = 0: expected a whole number of at least 1"),
    (PENDULUM, {"seed": -1}, "seed = -1: expected a whole number"),
    ("DoublePendulumXYZ-v0", {}, "unknown id 'DoublePendulumXYZ-v0'; choose one of"),
    (42, {}, "42: expected an id, an environment of gym_lagrangian, or"),
]

BAD_STATES = [
    ([0.0, 0.0], r"state has shape \(2,\), expected \(4,\), or \(N, 4\)"),
    (np.zeros((2, 3, 4)), r"state has shape \(2, 3, 4\)"),
    (np.zeros((0, 4)), r"state has shape \(0, 4\)"),
    ([0.0, NAN, 0.0, 0.0], "state = .*nan.* is not finite"),
    ("hanging", "state = 'hanging': expected 4 numbers"),
]


class TestBadInput:
    @pytest.mark.parametrize(("planner", "arguments", "message"), BAD_PLANNERS)
    def test_planner(self, planner, arguments, message):
        with pytest.raises(ConfigurationError, match=message):
            planner(**arguments)

    @pytest.mark.parametrize(("where", "arguments", "message"), BAD_POLICIES)
    def test_policy(self, where, arguments, message):
        with pytest.raises(ConfigurationError, match=message):
            Policy(where, SMALL, **arguments)

    def test_environments_of_others(self):
        with pytest.raises(ConfigurationError, match="expected an id, an environment of gym_lagr"):
            Policy(gymnasium.make("Pendulum-v1"), SMALL)
        with pytest.raises(
            ConfigurationError, match=r"= 1024: expected MPPI\(\.\.\.\), CEM\(\.\.\.\) or"
        ):
            Policy(PENDULUM, 1024)

    def test_checkpoints(self, lnn_checkpoint):
        with pytest.raises(ConfigurationError, match="checkpoint: only with an id"):
            Policy(gymnasium.make(PENDULUM, **COARSE), SMALL, checkpoint=lnn_checkpoint)
        with pytest.raises(CheckpointError, match="is a model of DoublePendulum, this is Relativ"):
            Policy(PARTICLE, SMALL, checkpoint=lnn_checkpoint)

    def test_a_model_that_never_saw_a_force(self, lnn_checkpoint, tmp_path):
        found = checkpoints.load(lnn_checkpoint)
        card = dataclasses.replace(found.card, forced=False)
        checkpoints.save(tmp_path / "free.safetensors", found.model, card)
        with pytest.raises(ConfigurationError, match="trained on free motion alone"):
            Policy(PENDULUM, SMALL, checkpoint=tmp_path / "free.safetensors")

    @pytest.mark.parametrize(("state", "message"), BAD_STATES)
    def test_state(self, state, message):
        with pytest.raises(ConfigurationError, match=message):
            Policy(PENDULUM, SMALL).act(state)

    def test_parameters(self):
        policy = Policy(PARTICLE, SMALL)
        with pytest.raises(ConfigurationError, match=r"draws its parameters .* m = \(m, c, g\)"):
            policy.act([1.0, 0.0])
        with pytest.raises(ConfigurationError, match=r"m has shape \(2,\), expected \(3,\)"):
            policy.act([1.0, 0.0], [1.0, 1.0])
        with pytest.raises(ConfigurationError, match="m has 2 rows for 1 states"):
            policy.act([1.0, 0.0], np.ones((2, 3)))

    def test_another_number_of_states(self):
        policy = Policy(PENDULUM, SMALL)
        policy.act(np.zeros((2, 4)))
        with pytest.raises(ConfigurationError, match="3 states, but plans for 2: reset"):
            policy.act(np.zeros((3, 4)))
