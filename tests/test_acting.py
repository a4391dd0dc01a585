"""Learning while acting: what a run does, sees and leaves; what counts as success."""

import contextlib
import json
import os
import warnings
from typing import ClassVar

import gymnasium
import jax
import numpy as np
import pytest
from acting_helpers import ID, TINY, Blind, Forbidden, lines
from adapter_helpers import Motion, Stated, Still
from gymnasium import spaces
from stranger.hoist import Hoist
from test_compilation import compilations

from gym_lagrangian import LagrangianEnv, Task, Transitions, checkpoints, functional, learn
from gym_lagrangian.acting import Planning, PolicySearch, tip_at_goal
from gym_lagrangian.acting import episode as episodes
from gym_lagrangian.acting.delay import ahead
from gym_lagrangian.acting.episode import Episode
from gym_lagrangian.acting.experience import states_of, transitions
from gym_lagrangian.acting.exploring import random_actions
from gym_lagrangian.acting.folder import Folder
from gym_lagrangian.acting.model_error import one_step_error
from gym_lagrangian.acting.ppo import PPO
from gym_lagrangian.acting.running import run as run_episode
from gym_lagrangian.acting.strategy import Situation
from gym_lagrangian.acting.success import (
    Lived,
    in_a_row,
    seconds_until_always,
    seconds_until_first,
)
from gym_lagrangian.acting.world import world_of
from gym_lagrangian.adapters import tasks
from gym_lagrangian.cli import main
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.planning import MPPI


def quietly(*arguments, **given):
    """`learn` without the warning that so small a model is of no use."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return learn(*arguments, **TINY | given)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """4 s at random, two planned episodes, and the rest of the budget."""
    told = []
    out = tmp_path_factory.mktemp("run")
    found = quietly(ID, budget=13.0, out=out, seed=3, on_progress=told.append)
    return found, told


class TestRun:
    def test_uses_the_budget_in_real_seconds(self, run):
        found, _ = run
        assert [line["seconds"] for line in found.history] == [4.0, 8.0, 12.0, 13.0]
        assert [line["began"] for line in found.history] == [0.0, 4.0, 8.0, 12.0]
        assert [line["steps"] for line in found.history] == [40, 40, 40, 10]
        assert [line["transitions"] for line in found.history] == [40, 80, 120, 130]

    def test_random_first_then_planned(self, run):
        kinds = [line["kind"] for line in run[0].history]
        assert kinds == ["random", *["Planning"] * 3]

    def test_tells_and_writes_what_it_returns(self, run):
        found, told = run
        assert [progress.line for progress in told] == found.history
        assert Folder(found.out).history() == found.history
        assert told[-1].seconds == told[-1].budget == 13.0

    def test_leaves_every_episode_and_model(self, run):
        found, _ = run
        folder = Folder(found.out)
        for i, line in enumerate(found.history):
            assert episodes.load(folder.episode(i)).rewards.sum() == line["return"]
            error = checkpoints.load(folder.model(i)).card.metrics["held_out_error"]
            assert error == line["held_out_error"]
        assert len(Transitions.load(folder.transitions)) == 130

    def test_its_model_moves_the_environment_that_it_learned(self, run):
        env = gymnasium.make(ID, checkpoint=run[0].out / "model.safetensors")
        env.reset(seed=0)
        assert np.isfinite(env.step(np.ones(1, np.float32))[0]).all()

    def test_its_transitions_are_what_happened(self, run):
        """Against the state that the environment itself reports under the same actions."""
        lived = episodes.load(Folder(run[0].out).episode(0))
        data = Transitions.load(run[0].out / "transitions.npz")
        env = gymnasium.make(ID)
        _, info = env.reset(seed=_seed_of_reset(3, 0))
        for i in range(40):
            before = info["state"]
            info = env.step(lived.actions[i])[4]
            np.testing.assert_allclose(data.q[i], before[:1], atol=1e-5)
            np.testing.assert_allclose(data.next_qd[i], info["state"][1:], atol=1e-4)
            np.testing.assert_allclose(data.tau[i], 2.5 * lived.actions[i], rtol=1e-6)

    def test_a_larger_budget_goes_on(self, run, tmp_path):
        short = quietly(ID, budget=4.0, out=tmp_path, seed=3)
        longer = quietly(ID, budget=8.0, out=tmp_path, seed=3)
        assert lines(short) == lines(run[0])[:1]
        assert lines(longer) == lines(run[0])[:2]

    def test_fits_once_the_random_episodes_are_over(self, tmp_path):
        found = quietly(ID, budget=3.0, random=2.0, episode=1.0, out=tmp_path)
        kinds = [line["kind"] for line in found.history]
        assert kinds == ["random", "random", "Planning"]
        fitted = [Folder(tmp_path).model(i).exists() for i in range(3)]
        assert fitted == [False, True, True]
        assert found.history[0]["held_out_error"] is None
        brief = quietly(ID, budget=1.0, random=2.0, episode=1.0, out=tmp_path / "brief")
        assert brief.checkpoint is not None  # what there is

    def test_ends_once_enough_episodes_succeeded(self, tmp_path):
        found = quietly(
            ID, budget=40.0, out=tmp_path, successes=2, random=1.0, success=lambda lived: True
        )
        assert [line["seconds"] for line in found.history] == [1.0, 5.0]
        assert found.until_first == 0.0
        assert found.until_always is None


def _seed_of_reset(seed, index):
    return int(np.random.SeedSequence([seed, index]).generate_state(4)[0])


class TestPlanning:
    @pytest.mark.parametrize(("regulated", "value"), [(False, None), (True, "lqr")])
    def test_a_planner_of_ones_own_is_regulated_where_asked(self, run, regulated, value):
        strategy = Planning(MPPI(samples=8, elites=4, horizon=3), regulated=regulated)
        world = world_of(gymnasium.make(ID))
        stated = strategy.document(world)["planning"]
        assert (stated["value"], stated["takeover"]) == (value, regulated)
        here = np.array([3.0, 0.0])
        file = run[0].out / "agent"
        where = Situation(world, run[0].checkpoint, here[None], seed=0, file=file, before=file)
        action = strategy.actor(where)(here, np.zeros(3, np.float32), 0.0)
        assert np.all(np.abs(action) <= 1.0)


class TestSight:
    """What the agent may look at."""

    def test_neither_info_nor_state_is_read(self, run, tmp_path, monkeypatch):
        def refuse(*_, **__):
            raise AssertionError("the state was read")

        for name in ("get_state", "set_state", "simulate"):
            monkeypatch.setattr(LagrangianEnv, name, refuse)
        for name in ("functional_state", "dynamics"):
            monkeypatch.setattr(LagrangianEnv, name, property(refuse))
        env = Blind(gymnasium.make(ID))
        with pytest.raises(AssertionError):
            env.unwrapped.get_state()
        found = quietly(env, budget=8.0, out=tmp_path, seed=3)
        assert lines(found) == lines(run[0])[:2]

    def test_a_forbidden_info_forbids(self):
        for look in (len, list, lambda info: info["state"], lambda info: "state" in info):
            with pytest.raises(AssertionError):
                look(Forbidden())

    def test_no_equation_is_known_to_the_fit(self):
        world = world_of(gymnasium.make(ID))
        assert world.moved.physics is None
        assert world.moved.magnitudes == gymnasium.make(ID).unwrapped.coordinates.magnitudes


def test_another_run_of_the_same_structure_compiles_nothing(run, tmp_path):
    """Refits, other seeds and growing data: programs are compiled once."""
    quietly(ID, budget=8.0, out=tmp_path / "first", seed=3)
    with compilations() as found:
        quietly(ID, budget=12.0, out=tmp_path / "second", seed=3)
    assert not found


class TestExperience:
    @pytest.fixture
    def world(self):
        return world_of(gymnasium.make("Pendulum-v1"))

    @staticmethod
    def episode(angles, speeds, **flags):
        theta = np.array(angles, float)
        seen = np.stack([np.cos(theta), np.sin(theta), speeds], axis=1)
        given = {"terminated": False, "truncated": False, "undone": False, "random": True}
        steps = len(angles) - 1
        return Episode(seen, np.ones((steps, 1), np.float32), np.zeros(steps), **given | flags)

    def test_states_and_forces_of_an_adapter_s_environment(self, world):
        data = transitions(world, [self.episode([0.1, 0.2, 0.4], [1.0, 2.0, 3.0])])
        np.testing.assert_allclose(data.q[:, 0], [0.1, 0.2])
        np.testing.assert_allclose(data.next_qd[:, 0], [2.0, 3.0])
        np.testing.assert_allclose(data.tau[:, 0], 1.0)  # of at most 2 N·m
        assert data.dt == 0.05
        assert world.task == tasks.Pendulum(coordinates=world.moved)

    def test_what_was_not_observed_or_undone_is_left_out(self, world):
        gap = self.episode([0.1, 0.2, 0.3, 0.4, 0.5], [1.0, np.nan, 1.0, 2.0, 3.0])
        undone = self.episode([0.7, 0.8, 0.8], [1.0, 2.0, 2.0], truncated=True, undone=True)
        data = transitions(world, [gap, undone])
        np.testing.assert_allclose(data.q[:, 0], [0.3, 0.4, 0.7])
        assert transitions(world, [self.episode([0.1, 0.2], [np.nan, 1.0])]) is None

    def test_a_file_holds_an_episode(self, world, tmp_path):
        kept = self.episode([0.1, 0.2], [1.0, 2.0], truncated=True)
        episodes.save(kept, tmp_path / "one.npz")
        for one, other in zip(kept, episodes.load(tmp_path / "one.npz"), strict=True):
            np.testing.assert_array_equal(one, other)

    @pytest.mark.parametrize("name", ["Pendulum-v1", "CartPole-v1", "Acrobot-v1", ID])
    def test_actions_are_shares_and_back(self, name):
        world = world_of(gymnasium.make(name))
        discrete = isinstance(world.env.action_space, spaces.Discrete)
        for share in (-1.0, 1.0) if discrete else (-1.0, -0.3, 0.0, 1.0):
            action = world.action_of(np.array([share]))
            assert world.env.action_space.contains(action)
            np.testing.assert_allclose(world.share_of(action), [share], atol=1e-6)


LATE, QUICK = 3, {"integrator": "rk4", "substeps": 2}


@pytest.fixture(scope="module")
def late():
    """An episode of random actions with late motors, and what was foreseen at every step."""
    world = world_of(gymnasium.make(ID, action_delay=LATE, **QUICK))
    params = functional.make("PilcoPendulum", **QUICK)[1]
    chosen, foreseen = iter(random_actions(1, 40, world.dt, np.random.SeedSequence(0))), []

    def actor(state, observation, time):
        foreseen.append((*state, time))
        return next(chosen)

    found = run_episode(world, ahead(actor, world, params), seed=0, steps=40, random=True)
    return world, found, np.array(foreseen)


class TestLateMotors:
    def test_actions_are_chosen_for_the_state_in_which_they_act(self, late):
        world, found, foreseen = late
        states = states_of(world, found)
        np.testing.assert_allclose(foreseen[:-LATE, :2], states[LATE:-1], atol=1e-4)
        np.testing.assert_allclose(foreseen[0, 2], LATE * world.dt)

    def test_forces_are_those_that_were_exerted(self, late):
        world, found, _ = late
        data = transitions(world, [found])
        np.testing.assert_array_equal(data.tau[:LATE], 0.0)
        true = jax.vmap(functional.make("PilcoPendulum", **QUICK)[1].dynamics.step, (0, 0, 0, None))
        moved = true(np.hstack([data.q, data.qd]), data.tau, data.m, data.dt)
        np.testing.assert_allclose(moved, np.hstack([data.next_q, data.next_qd]), atol=1e-4)

    def test_a_run_goes_through(self, tmp_path):
        env = gymnasium.make(ID, action_delay=1)
        found = quietly(env, budget=6.0, random=2.0, episode=2.0, seed=3, out=tmp_path)
        assert found.seconds == 6.0


class TestDrawnGoals:
    IDS = ("RameshReacher-v0", "ChargedParticle-v0", "Kepler-v0")

    @pytest.mark.parametrize("name", [*IDS, "Reacher-v5"])
    def test_an_observation_shows_its_goal(self, name):
        if name == "Reacher-v5":
            pytest.importorskip("mujoco")
        env = gymnasium.make(name)
        world = world_of(env)
        for seed in range(5):
            observation, info = env.reset(seed=seed)
            base = env.unwrapped
            true = base.data.qpos[2:] if name == "Reacher-v5" else info["goal"]
            np.testing.assert_allclose(world.goal_of(observation), true, atol=1e-5)

    def test_a_fixed_goal_needs_no_observation(self):
        world = world_of(gymnasium.make("Kepler-v0", radius=1.2))
        np.testing.assert_array_equal(world.goal_of(None), [1.2])

    @pytest.mark.parametrize("strategy", ["planning", "policy"])
    def test_a_run_reaches_for_targets(self, strategy, tmp_path):
        how = {"budget": 1.0, "random": 0.4, "episode": 0.4, "seed": 0, "out": tmp_path}
        if strategy == "policy":
            how |= {"strategy": TestPolicySearch.TINY, "planner": None}
        found = quietly("RameshReacher-v0", **how)
        assert found.history[-1]["kind"] != "random"

    def test_a_goal_that_no_observation_shows_is_refused(self, tmp_path):
        with pytest.raises(ConfigurationError, match="goal_of"):
            quietly("PilcoPendulum-v0", task=Hidden, budget=1.0, out=tmp_path)


class TestExploring:
    def test_correlation_and_size(self):
        drawn = random_actions(3, 20_000, 0.05, np.random.SeedSequence([1]))
        assert np.abs(drawn).max() <= 1.0
        np.testing.assert_allclose(drawn.std(axis=0), 0.5, atol=0.03)
        lagged = [np.corrcoef(one[:-1], one[1:])[0, 1] for one in drawn.T]
        np.testing.assert_allclose(lagged, np.exp(-0.5), atol=0.03)


class TestSuccess:
    """The tip of a pendulum of 1 m, at 10 Hz."""

    @pytest.fixture
    def world(self):
        return world_of(gymnasium.make(ID))

    def judged(self, world, angles, **flags):
        states = np.stack([np.array(angles, float), np.zeros(len(angles))], axis=1)
        lived = TestExperience.episode(angles, states[:, 1], **flags)
        return tip_at_goal(Lived(world, lived, states))

    def test_the_whole_last_second_counts_and_no_more(self, world):
        assert self.judged(world, [0.0] * 5 + [np.pi] * 10)
        assert not self.judged(world, [0.0] * 6 + [np.pi] * 9)
        assert not self.judged(world, [np.pi] * 10 + [0.0] + [np.pi] * 4)

    @pytest.mark.parametrize(("lean", "near"), [(0.099, True), (0.101, False)])
    def test_a_tenth_of_the_length(self, world, lean, near):
        angle = np.pi - 2.0 * np.arcsin(lean / 2.0)  # a chord of `lean` of the circle of 1 m
        assert self.judged(world, [angle] * 15) is near

    def test_an_ended_or_a_short_episode_is_none(self, world):
        assert not self.judged(world, [np.pi] * 15, terminated=True)
        assert not self.judged(world, [np.pi] * 10)

    def test_a_cart_counts_by_its_place(self):
        world = world_of(gymnasium.make("PilcoCartPole-v0"))
        for x, near in ((0.049, True), (0.051, False)):  # of a pole of .5 m
            states = np.tile([x, np.pi, 0.0, 0.0], (15, 1))
            lived = TestExperience.episode([np.pi] * 15, [0.0] * 15)
            assert tip_at_goal(Lived(world, lived, states)) is near

    def test_seconds_until_first_and_always(self):
        won = [None, False, True, False, *[True] * 6]
        history = [{"began": 4.0 * i, "success": one} for i, one in enumerate(won)]
        assert seconds_until_first(history) == 8.0
        assert seconds_until_always(history) == 16.0
        assert seconds_until_always(history[:-1]) is None
        assert seconds_until_first(history[:2]) is None
        assert [in_a_row(history[:k]) for k in (2, 3, 4, 10)] == [0, 1, 0, 6]


def test_a_model_that_stands_still_has_an_error_of_one(run):
    found, _ = run
    data = Transitions.load(found.out / "transitions.npz")
    here = found.checkpoint
    still = Stated(here.model.embedding, Still())
    resting = type(here)(still, here.card, sha256="", extra={})
    assert one_step_error(resting, data) == pytest.approx(1.0, abs=1e-5)
    exact = type(here)(Stated(here.model.embedding, _Recorded(data)), here.card, "", {})
    assert one_step_error(exact, data.first(1)) == pytest.approx(0.0, abs=1e-6)


class _Recorded(Motion):
    """Leads from anywhere to where the first of some transitions led."""

    after: tuple[float, ...]

    def __init__(self, data):
        self.after = (*data.next_q[0].tolist(), *data.next_qd[0].tolist())

    def step(self, state, tau, m, dt):
        return 0.0 * state + np.array(self.after, np.float32)


class TestPolicySearch:
    TINY = PolicySearch(PPO(updates=2, rollouts=8, steps=4, epochs=1, width=4))
    SMALL = PPO(updates=30, rollouts=64, steps=10, epochs=4, minibatches=4, width=16)

    def test_ppo_earns_more_in_the_true_motion(self):
        """Hold a pendulum at the bottom, which swings where it is left alone."""
        from gym_lagrangian.acting import ppo

        how = {"integrator": "rk4", "substeps": 1, "task": "test_acting:Rest"}
        env, params = functional.make("PilcoPendulum", dt=0.1, **how)
        agent = ppo.fresh(3, 1, 16, jax.random.key(0))
        states = np.random.default_rng(0).uniform(-1.5, 1.5, (256, 2)).astype(np.float32)
        scale = np.ones(3, np.float32)
        how = (scale, states, np.int32(256), jax.random.key(1))
        trained, rewards = ppo.train(env, self.SMALL, params, agent, *how)
        assert rewards[-5:].mean() > rewards[:5].mean() + 0.1
        assert np.abs(ppo.mean_action(trained, np.array([1.0, 0.0, 9.0]))) <= 1.0

    def test_a_run_keeps_its_agents(self, tmp_path):
        how = {"strategy": self.TINY, "planner": None, "random": 2.0, "episode": 2.0, "seed": 1}
        found = quietly(ID, budget=6.0, out=tmp_path, **how)
        assert [line["kind"] for line in found.history] == ["random", *["PolicySearch"] * 2]
        agents = [Folder(tmp_path).agent(i).with_suffix(".npz") for i in (1, 2)]
        first, second = (dict(np.load(path)) for path in agents)
        assert any(not np.array_equal(first[k], second[k]) for k in first)

    @pytest.mark.parametrize("strategy", ["planning", TINY])
    def test_one_acts_as_the_next_episode_would(self, strategy, tmp_path):
        planner = TINY["planner"] if strategy == "planning" else None
        how = {"strategy": strategy, "planner": planner, "random": 2.0, "episode": 2.0, "seed": 1}
        found = quietly(ID, budget=4.0, out=tmp_path / "run", **how)
        env = gymnasium.make(ID, **{k: v for k, v in TINY.items() if k in ("task", "force_max")})

        def driven(seed):
            act, actions = found.actor(seed), []
            observation, info = env.reset(seed=0)
            for step in range(5):
                actions.append(act(info["state"], observation, step * env.unwrapped.dt))
                observation, *_, info = env.step(actions[-1])
            return np.stack(actions)

        first = driven(0)
        assert env.action_space.contains(first[0])
        np.testing.assert_array_equal(driven(0), first)
        assert np.ptp(first) > 0.0

    def test_nothing_learned_acts_not(self, tmp_path):
        found = quietly(ID, budget=0.1, out=tmp_path, seed=1)
        assert found.checkpoint is None
        with pytest.raises(ConfigurationError, match="nothing was learned yet"):
            found.actor(0)


class Rest(Task):
    """Hang still."""

    force_max = 2.5

    def reward(self, q, qd, tau, m):
        import jax.numpy as jnp

        return jnp.exp(-jnp.sum(q**2) - 0.1 * jnp.sum(qd**2))


class Hidden(Task):
    goal: ClassVar = {"height": (0.0, 1.0)}

    def observation(self, state):
        return super().observation(state)[:-1]

    def state_of(self, observation):
        return self.usual_state_of(observation)

    def observation_bounds(self, m_bounds, goal_bounds):
        low, high = super().observation_bounds(m_bounds, goal_bounds)
        return low[:-1], high[:-1]


class Unpure(Task):
    """A reward that decides in Python."""

    def reward(self, q, qd, tau, m):
        return 1.0 if q[0] > 0 else 0.0


class NeverReset(Hoist):
    def reset(self, *, seed=None, options=None):
        raise RuntimeError("the brake is on")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"budget": 0}, "budget = 0"),
        ({"budget": -3.0}, "budget = -3"),
        ({"budget": float("nan")}, "budget = nan"),
        ({"members": 0}, "members = 0"),
        ({"random": -1.0}, "random = -1"),
        ({"episode": 0.0}, "episode = 0"),
        ({"successes": 0}, "successes = 0"),
        ({"steps": 5}, "steps = 5"),
        ({"steps": (0, 5)}, "first = 0"),
        ({"strategy": "dreams"}, "strategy"),
        ({"strategy": "policy"}, "planner"),
        ({"model": "Oracle"}, "Oracle"),
        ({"seed": -1}, "seed = -1"),
        ({"config": {"batch": 0}}, "batch = 0"),
        ({"m1": (0.5, 1.5)}, "draws its parameters"),
        ({"task": "test_acting:Rest", "model": "Oracle"}, "Oracle"),
    ],
)
def test_bad_arguments(given, message, tmp_path):
    with pytest.raises(ConfigurationError, match=message):
        learn(ID, **{"budget": 4.0, "out": tmp_path / "run"} | TINY | given)
    assert not (tmp_path / "run").exists()


class TestBadEnvironments:
    def refused(self, env, tmp_path, message, **given):
        with pytest.raises(ConfigurationError, match=message):
            learn(env, budget=4.0, out=tmp_path / "run", **TINY | given)

    def test_no_environment(self, tmp_path):
        self.refused(object(), tmp_path, "can be reset and stepped")

    def test_no_adapter(self, tmp_path):
        self.refused(Hoist(), tmp_path, "no adapter")

    def test_no_pure_reward(self, tmp_path):
        how = {"adapter": "stranger.hoist:HoistAdapter"}
        self.refused(Hoist(), tmp_path, "pure function, which planning needs", **how)

    def test_an_impure_reward(self, tmp_path):
        how = {"adapter": "stranger.hoist:HoistAdapter", "task": Unpure}
        self.refused(Hoist(), tmp_path, "not a pure function", **how)

    def test_a_wrapper_that_changes_the_reward(self, tmp_path):
        env = gymnasium.wrappers.TransformReward(gymnasium.make(ID), lambda r: 2 * r)
        self.refused(env, tmp_path, "TransformReward changes the reward")

    def test_a_wrapper_that_changes_observations(self, tmp_path):
        env = gymnasium.wrappers.FlattenObservation(gymnasium.make(ID))
        env = gymnasium.wrappers.FrameStackObservation(env, 2)
        self.refused(env, tmp_path, "observation space")

    def test_no_time_limit(self, tmp_path):
        how = {"adapter": "stranger.hoist:HoistAdapter", "task": Rest}
        self.refused(Hoist(), tmp_path, "no time limit", **how)

    def test_no_reset(self, tmp_path):
        how = {"adapter": "stranger.hoist:HoistAdapter", "task": Rest, "episode": 1.0}
        self.refused(NeverReset(), tmp_path, "cannot be reset: RuntimeError: the brake", **how)

    def test_no_inverse_of_the_observation(self, tmp_path):
        how = {"adapter": "stranger.hoist:HoistAdapter", "task": Rest, "episode": 1.0}
        self.refused(Hoist(), tmp_path, "knows no state", **how)


class TestFolder:
    def test_another_run_is_refused(self, run):
        with pytest.raises(ConfigurationError, match="holds another run: seed is 3 there, not 4"):
            quietly(ID, budget=13.0, out=run[0].out, seed=4)

    def test_a_folder_of_something_else_is_refused(self, tmp_path):
        (tmp_path / "thesis.tex").write_text("…")
        with pytest.raises(ConfigurationError, match=r"no folder of a run and holds thesis\.tex"):
            quietly(ID, budget=4.0, out=tmp_path)

    def test_two_writers_are_refused(self, run):
        settings = json.loads((run[0].out / "run.json").read_text())
        with contextlib.ExitStack() as stack:
            stack.enter_context(Folder(run[0].out).held(settings))
            with pytest.raises(ConfigurationError, match=f"written by process {os.getpid()}"):
                quietly(ID, budget=13.0, out=run[0].out, seed=3)
        assert quietly(ID, budget=13.0, out=run[0].out, seed=3).history == run[0].history


def test_states_of_an_episode_are_read_from_observations(run):
    lived = episodes.load(Folder(run[0].out).episode(1))
    states = states_of(world_of(gymnasium.make(ID)), lived)
    assert states.shape == (41, 2)
    np.testing.assert_allclose(np.cos(states[:, 0]), lived.observations[:, 0], atol=1e-6)


class TestCommand:
    SMALL = ("--steps", "20", "10", "--model-option", "width=4", "--model-option", "depth=1")

    def test_learns_and_says_what_came_of_it(self, tmp_path, capsys):
        out = tmp_path / "run"
        command = ["learn", ID, "Baseline", "--budget", "2", "--out", str(out), *self.SMALL]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            assert main(command) == 0
        printed = capsys.readouterr().out
        assert "seconds until it first succeeded: –" in printed
        assert f"written: {out}" in printed
        assert len(Folder(out).history()) == 1

    def test_bad_input_is_said_in_a_line(self, tmp_path, capsys):
        assert main(["learn", ID, "--budget", "0", "--out", str(tmp_path / "run")]) == 2
        assert "budget = 0" in capsys.readouterr().err
