"""States that are saved, set, copied and branched from, with all that the motion depends on."""

import copy
import pickle

import gymnasium
import jax
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.vector import SyncVectorEnv

from gym_lagrangian import EnvState, LearnedDynamicsEnv
from gym_lagrangian.errors import CheckpointError, ConfigurationError

DRAWN = {"m1": (0.5, 2.0), "l2": (0.5, 1.5)}
ACTION = np.array([0.7, -0.4], np.float32)

copies = pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))], ids=["copy", "pickle"]
)


def scalar(**arguments):
    return gymnasium.make("DoublePendulum-v0", **arguments)


def vector(count=3, env_id="DoublePendulum-v0", **arguments):
    return gymnasium.make_vec(
        env_id, num_envs=count, vectorization_mode="vector_entry_point", **arguments
    )


def actions_of(env):
    return np.resize(ACTION, env.action_space.shape)


def steps(env, count=4):
    return [env.step(actions_of(env)) for _ in range(count)]


def begun(env, seed=3):
    """The environment in the middle of an episode."""
    env.reset(seed=seed)
    steps(env)
    return env


def assert_same(found, expected):
    jax.tree.map(np.testing.assert_array_equal, found, expected)


def states_of(path):
    return [step[-1]["state"] for step in path]


@pytest.mark.parametrize("make", [scalar, vector])
class TestOptions:
    @pytest.mark.parametrize("options", [{"sate": np.zeros(4)}, {"q": 0.0}, {"m": 1.0, "low": 0.0}])
    def test_unknown_keys_are_refused_and_the_known_ones_listed(self, make, options):
        env = make()
        with pytest.raises(ConfigurationError, match=r"no key '(sate|q|m)'.*state, low, high"):
            env.reset(seed=0, options=options)

    @pytest.mark.parametrize("options", ["upright", [], [0.0, 0.0], 0, False])
    def test_what_is_no_mapping_is_refused(self, make, options):
        with pytest.raises(ConfigurationError, match=r"options = .*expected a dict"):
            make().reset(seed=0, options=options)

    def test_a_refused_reset_changes_nothing(self, make):
        env, twin = begun(make()), begun(make())
        with pytest.raises(ConfigurationError):
            env.reset(seed=9, options={"low": 0.2, "high": 0.1})
        assert_same(steps(env), steps(twin))
        assert_same(env.reset(), twin.reset())


def test_only_the_vector_environment_knows_a_mask():
    mask = {"reset_mask": np.ones(3, bool)}
    with pytest.raises(ConfigurationError, match="no key 'reset_mask'"):
        scalar().reset(options=mask)
    env = begun(vector())
    env.reset(options=mask)
    with pytest.raises(ConfigurationError, match="state, low, high, reset_mask"):
        env.reset(options={"mask": mask["reset_mask"]})


@pytest.mark.parametrize("make", [scalar, vector])
class TestStates:
    def test_masses_and_goals_travel_with_the_state(self, make):
        here, there = begun(make(**DRAWN), 1).unwrapped, begun(make(**DRAWN), 2).unwrapped
        state = here.get_state()
        assert not np.array_equal(state.m, there.get_state().m)
        there.set_state(state)
        assert_same(there.get_state(), state)
        assert_same(states_of(steps(there)), states_of(steps(here)))

    def test_a_bare_x_keeps_the_masses_of_the_episode(self, make):
        env = begun(make(**DRAWN)).unwrapped
        before = env.get_state()
        env.set_state(np.zeros(4))
        after = env.get_state()
        np.testing.assert_array_equal(after.m, before.m)
        np.testing.assert_array_equal(after.x, np.zeros_like(before.x))

    def test_a_reset_takes_the_same(self, make):
        here, there = begun(make(**DRAWN), 1).unwrapped, begun(make(**DRAWN), 2).unwrapped
        state = here.get_state()
        _, info = there.reset(options={"state": state})
        np.testing.assert_array_equal(info["state"], state.x)
        np.testing.assert_array_equal(info["m"], state.m)
        assert np.all(info["time"] == 0)
        assert_same(states_of(steps(there)), states_of(steps(here)))

    def test_whole_episodes_go_on_exactly(self, make):
        env, other = begun(make(**DRAWN), 1).unwrapped, begun(make(**DRAWN), 2).unwrapped
        state = env.get_state(full=True)
        expected = [*steps(env), env.reset()]
        for one in (env, other):
            one.set_state(state)
            assert_same([*steps(one), one.reset()], expected)

    def test_numpy_reads_a_state_as_its_x(self, make):
        env = begun(make()).unwrapped
        for state in (env.get_state(), env.get_state(full=True)):
            np.testing.assert_array_equal(np.asarray(state), state.x)
            assert np.asarray(state, np.float32).dtype == np.float32

    def test_in_float32_too(self, make):
        env = begun(make(dtype="float32", **DRAWN)).unwrapped
        state = env.get_state()
        expected = states_of(steps(env))
        env.set_state(state)
        assert_same(states_of(steps(env)), expected)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"x": np.zeros(3)}, r"state has shape \(3,\), expected \(4,\)"),
            ({"x": np.array([0.0, np.nan, 0.0, 0.0])}, "not finite"),
            ({"x": np.array([0.0, 0.0, 99.0, 0.0])}, "outside the range"),
            ({"m": np.ones(4)}, r"state\.m has shape \(4,\), expected \(5,\)"),
            ({"m": np.full(5, np.inf)}, r"state\.m = .* is not finite"),
            ({"m": np.array([1.0, -1.0, 1.0, 1.0, 9.8])}, "m2 = .*-1.0.*positive"),
            ({"m": "heavy"}, r"state\.m = 'heavy': expected numbers \(m1"),
            ({"goal": np.zeros(1)}, r"state\.goal has shape \(1,\), expected \(0,\)"),
        ],
    )
    def test_bad_states(self, make, changes, message):
        env = begun(make()).unwrapped
        good = EnvState(np.zeros(4), np.array([1.0, 1.0, 1.0, 1.0, 9.8]), np.zeros(0))
        env.set_state(good)
        kept = env.get_state(full=True)
        with pytest.raises(ConfigurationError, match=message):
            env.set_state(good._replace(**changes))
        assert_same(env.get_state(full=True), kept)

    def test_episodes_of_another_kind(self, make):
        env = begun(make()).unwrapped
        other = begun((scalar if make is vector else vector)()).unwrapped
        with pytest.raises(ConfigurationError, match=r"shape|another kind"):
            env.set_state(other.get_state(full=True))


def test_a_state_before_the_first_reset():
    for env in (scalar().unwrapped, vector()):
        with pytest.raises(ResetNeeded):
            env.get_state(full=True)


def test_a_model_takes_only_masses_at_which_it_was_trained(lnn_checkpoint):
    heavy = begun(scalar(m1=2.0)).unwrapped.get_state()
    swapped = LearnedDynamicsEnv(scalar(), lnn_checkpoint)
    for env in (scalar(checkpoint=lnn_checkpoint), swapped):
        begun(env)
        with pytest.raises(CheckpointError, match=r"trained at m1 = 1\.0, not 2\.0"):
            env.unwrapped.set_state(heavy)
    swapped.unwrap().unwrapped.set_state(heavy)


def test_a_vector_takes_a_scalar_state_and_a_list_of_them():
    states = [begun(scalar(**DRAWN), seed).unwrapped.get_state() for seed in range(3)]
    env = begun(vector(**DRAWN))
    env.set_state(states[1])
    np.testing.assert_array_equal(env.get_state().m, [states[1].m] * 3)
    env.set_state(states)
    np.testing.assert_array_equal(env.get_state().m, [one.m for one in states])
    np.testing.assert_array_equal(env.get_state().x, [one.x for one in states])
    with pytest.raises(ConfigurationError, match="expected equal ones"):
        env.set_state([states[0], np.zeros(4), np.zeros(4)])


def test_a_masked_reset_to_a_state_leaves_the_others():
    env, state = begun(vector(**DRAWN)), begun(scalar(**DRAWN), 9).unwrapped.get_state()
    before = env.get_state()
    _, infos = env.reset(options={"state": state, "reset_mask": np.array([False, True, False])})
    after = env.get_state()
    assert_same(jax.tree.map(lambda a: a[[0, 2]], after), jax.tree.map(lambda a: a[[0, 2]], before))
    assert_same(jax.tree.map(lambda a: a[1], after), state)
    np.testing.assert_array_equal(infos["_m"], [False, True, False])


def test_a_state_set_after_an_episodes_end_is_stepped_from():
    env = vector(1, max_episode_steps=4)
    begun(env).set_state(np.zeros(4))
    *_, infos = env.step(np.zeros((1, 2), np.float32))
    np.testing.assert_array_equal(infos["state"], np.zeros((1, 4)))


class TestDrawnParameters:
    @pytest.mark.parametrize("mode", ["NEXT_STEP", "SAME_STEP"])
    def test_info_equals_that_of_sync_vector_env(self, mode):
        ours = vector(2, max_episode_steps=3, autoreset_mode=mode, **DRAWN)
        theirs = SyncVectorEnv(
            [lambda: scalar(max_episode_steps=3, **DRAWN)] * 2, autoreset_mode=ours._mode
        )
        assert_same(ours.reset(seed=1)[1]["m"], theirs.reset(seed=1)[1]["m"])
        for one, two in zip(steps(ours, 8), steps(theirs, 8), strict=True):
            assert_same(one[-1]["m"], two[-1]["m"])
            assert ("final_info" in one[-1]) == ("final_info" in two[-1])
            if "final_info" in one[-1]:
                assert_same(one[-1]["final_info"]["m"], two[-1]["final_info"]["m"])

    @pytest.mark.parametrize("make", [scalar, vector])
    def test_only_where_they_are_drawn(self, make):
        _, info = (env := make(m1=(0.5, 2.0))).reset(seed=0)
        np.testing.assert_array_equal(info["m"], env.unwrapped.functional_state.m)
        assert env.step(actions_of(env))[-1].keys() == info.keys()
        assert "m" not in make(m1=2.0).reset(seed=0)[1]


class TestCopies:
    @copies
    @pytest.mark.parametrize("make", [scalar, vector])
    def test_an_episode_goes_along(self, make, copied):
        env = begun(make(max_episode_steps=6, **DRAWN))
        env.action_space.seed(5)
        twin = copied(env)
        # Past the time limit, and into the next episode of a vector environment.
        assert_same(steps(twin, 5), expected := steps(env, 5))
        assert np.any(expected[1][3])
        assert_same(twin.reset(), env.reset())
        assert_same(steps(twin, 2), steps(env, 2))
        assert_same(twin.reset(seed=3), env.reset(seed=3))
        np.testing.assert_array_equal(twin.action_space.sample(), env.action_space.sample())

    @copies
    def test_neither_moves_the_other(self, copied):
        env = begun(scalar())
        kept = env.unwrapped.get_state(full=True)
        steps(copied(env))
        assert_same(env.unwrapped.get_state(full=True), kept)

    @copies
    @pytest.mark.parametrize("make", [scalar, vector])
    def test_before_the_first_reset(self, make, copied):
        env = make()
        twin = copied(env)
        with pytest.raises(ResetNeeded):
            twin.unwrapped.step(actions_of(env))
        assert_same(twin.reset(seed=1), env.reset(seed=1))

    @copies
    def test_a_learned_model_goes_along(self, copied, lnn_checkpoint):
        env = begun(LearnedDynamicsEnv(scalar(), lnn_checkpoint))
        twin = copied(env)
        assert_same(steps(twin), steps(env))
        assert_same(twin.reset(), env.reset())
        # And what it is given back is the environment's own.
        assert_same(steps(twin.unwrap()), steps(env.unwrap()))

    @copies
    @pytest.mark.parametrize("make", [scalar, vector])
    def test_assigned_dynamics_go_along_in_their_precision(self, make, copied, lnn_checkpoint):
        env = begun(make(checkpoint=lnn_checkpoint))
        base = env.unwrapped
        with base.scope():
            base.dynamics = jax.tree.map(lambda weights: weights * 1.1, base.dynamics)
        assert_same(steps(copied(env)), steps(env))

    @copies
    def test_the_ghost_goes_along(self, copied, lnn_checkpoint):
        env = scalar(
            checkpoint=lnn_checkpoint, show_truth=True, render_mode="rgb_array", render_size=120
        )
        begun(env)
        np.testing.assert_array_equal(copied(env).render(), env.render())


class TestMaskedSeeds:
    @pytest.mark.parametrize("seed", [7, [7, None, 9], [None, 8, None], None])
    def test_touch_only_the_masked(self, seed):
        ours = vector(3, autoreset_mode="DISABLED", **DRAWN)
        theirs = SyncVectorEnv([lambda: scalar(**DRAWN)] * 3, autoreset_mode=ours._mode)
        mask = np.array([True, False, True])
        for env in (ours, theirs):
            env.reset(seed=1)
        one, _ = ours.reset(seed=seed, options={"reset_mask": mask})
        two, _ = theirs.reset(seed=seed, options={"reset_mask": mask})
        np.testing.assert_allclose(one, two, atol=1e-6)
        # What later resets draw tells whose keys were replaced.
        (one, infos), (two, expected) = ours.reset(), theirs.reset()
        np.testing.assert_allclose(one, two, atol=1e-6)
        np.testing.assert_array_equal(infos["m"], expected["m"])
        assert ours.np_random_seed == tuple(theirs.np_random_seed)

    def test_the_first_reset_needs_no_seed(self):
        """And begins elsewhere every time."""
        first, second = (vector(3).reset()[0] for _ in range(2))
        assert np.abs(first - second).max() > 0.0
        assert np.abs(first[0] - first[1]).max() > 0.0

    def test_generators_are_those_of_the_sub_environments(self):
        ours, theirs = vector(3), SyncVectorEnv([scalar] * 3)
        for env in (ours, theirs):
            env.reset(seed=3)
        assert ours.np_random_seed == tuple(theirs.np_random_seed) == (3, 4, 5)
        drawn = [one.integers(1000) for one in ours.np_random]
        assert drawn == [one.integers(1000) for one in theirs.np_random]

    def test_a_mask_before_the_first_reset_seeds_nothing(self):
        env = vector(2)
        with pytest.raises(ResetNeeded):
            env.reset(seed=1, options={"reset_mask": np.array([True, False])})
        assert env.np_random_seed != (1, 2)
