"""Recording transitions, keeping them in files, and what is no data."""

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers import RescaleAction
from physics_helpers import batched

from gym_lagrangian import System, Transitions, collect
from gym_lagrangian.errors import ConfigurationError, DataError
from gym_lagrangian.physics.dynamics import ContinuousDynamics
from gym_lagrangian.systems import DoublePendulum

WIDE = {"low": [-3.0, -3.0, -6.0, -6.0], "high": [3.0, 3.0, 6.0, 6.0]}


# A method that compiles fast, here and where the motion is computed again.
QUICK = {"integrator": "rk4", "substeps": 4}


def vector(**options):
    return gymnasium.make_vec(
        "DoublePendulum-v0",
        num_envs=4,
        vectorization_mode="vector_entry_point",
        **QUICK,
        **options,
    )


def scalar(**options):
    return gymnasium.make("DoublePendulum-v0", **QUICK, **options)


@pytest.fixture(scope="module")
def recorded():
    """A scalar environment's, in episodes of at most 25 steps from all over."""
    return collect(scalar(), 120, options=WIDE, episode_steps=25, seed=1)


def exact_next(data):
    """Where the true equation of motion leads from every recorded state."""
    dynamics = ContinuousDynamics(data.system, "rk4", 4)
    x = np.hstack([data.q, data.qd])
    return batched(lambda x, tau, m: dynamics.step(x, tau, m, data.dt), x, data.tau, data.m)


def assert_true(data):
    following = np.hstack([data.next_q, data.next_qd])
    np.testing.assert_allclose(following, exact_next(data), rtol=1e-9, atol=1e-9)


# -- recording ------------------------------------------------------------------------------


def test_what_is_recorded_is_how_the_system_moves(recorded):
    assert len(recorded) == 120
    assert recorded.dt == 0.05
    assert recorded.forced
    assert_true(recorded)


def test_episodes_start_where_asked_and_end_when_asked(recorded):
    assert np.bincount(recorded.episode).tolist() == [25, 25, 25, 25, 20]
    starts = recorded.q[np.flatnonzero(np.diff(recorded.episode, prepend=-1))]
    assert np.ptp(starts) > 1.0  # not all hanging
    assert np.abs(recorded.q).max() > 1.0


def test_a_random_action_is_held_for_a_while(recorded):
    changes = np.any(np.diff(recorded.tau, axis=0) != 0, axis=1)
    assert 0.15 < changes.mean() < 0.35  # one step in four
    fresh = collect(scalar(), 60, hold=1, seed=1)
    assert np.all(np.diff(fresh.tau, axis=0) != 0)


@pytest.mark.parametrize("mode", AutoresetMode)
def test_a_vector_environment_in_every_autoreset_mode(mode):
    """Nothing crosses a reset, whoever resets; the rows of a sub-environment stay together."""
    env = vector(autoreset_mode=mode, max_episode_steps=7)
    data = collect(env, 100, options=WIDE, seed=2)
    assert len(data) == 100
    assert_true(data)
    longest = 6 if mode == AutoresetMode.SAME_STEP else 7  # its last step is already the next's
    assert np.bincount(data.episode).max() == longest
    assert len(np.unique(data.episode)) <= 4 * np.ceil(25 / longest) + 4


def test_what_left_the_range_is_not_recorded():
    env = vector(omega_max=7.0)
    data = collect(env, 200, options=WIDE, seed=3)
    assert np.abs(data.next_qd).max() <= 7.0
    assert len(np.unique(data.episode)) > 8  # episodes ended early
    assert_true(data)


def test_wrappers_and_parameters_of_the_environment_count():
    """τ is what moved the system, whatever a wrapper made of the action; m is the episode's."""
    inner = scalar(m1=2.0, l2=(0.5, 1.5), dt=0.02, torque_max=3.0)
    env = RescaleAction(inner, np.float32(-100), np.float32(100))
    data = collect(env, 60, policy=lambda _: np.full(2, 50.0, np.float32), episode_steps=20, seed=4)
    np.testing.assert_allclose(data.tau, np.tile([0.0, 1.5], (60, 1)))
    assert data.dt == 0.02
    assert data.system == DoublePendulum()  # who pulls and how hard is not part of the physics
    assert np.all(data.m[:, 0] == 2.0)
    assert len(np.unique(data.m[:, 3])) == 3
    assert_true(data)


def test_a_policy_sees_observations():
    seen = []

    def policy(observation):
        seen.append(observation)
        return np.zeros((4, 2), np.float32)

    data = collect(vector(), 12, policy=policy, seed=0)
    assert not data.forced
    assert [o.shape for o in seen] == [(4, 6)] * 3


def test_a_seed_determines_everything_and_progress_is_told():
    told = []
    one, two, other = (
        collect("DoublePendulum-v0", 30, noise=0.01, seed=s, on_progress=told.append)
        for s in (5, 5, 6)
    )
    for name, array in one.arrays.items():
        np.testing.assert_array_equal(array, two.arrays[name])
    assert not np.array_equal(one.q, other.q)
    assert told == 3 * list(range(1, 31))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"transitions": 0}, "transitions = 0"),
        ({"policy": "clever"}, "policy = 'clever'"),
        ({"hold": 0.0}, "hold"),
        ({"episode_steps": 0}, "episode_steps"),
        ({"noise": -0.1}, "noise"),
        ({"noise": float("nan")}, "noise"),
        ({"seed": -1}, "seed"),
        ({"env": "Acrobot-v7"}, "unknown id 'Acrobot-v7'; choose one of DoublePendulum-v0"),
        ({"env": gymnasium.make("FrozenLake-v1")}, "not an environment of gym_lagrangian"),
    ],
    ids=str,
)
def test_bad_arguments_of_collect(options, message):
    with pytest.raises(ConfigurationError, match=message):
        collect(**({"env": "DoublePendulum-v0", "transitions": 5} | options))


# -- noise ----------------------------------------------------------------------------------


def test_noise_is_one_draw_an_instant_of_the_size_named(recorded):
    noisy = recorded.noisy(0.002, seed=0)
    assert noisy.noise == 0.002
    np.testing.assert_array_equal(noisy.episode, recorded.episode)  # what followed still does
    np.testing.assert_array_equal(noisy.tau, recorded.tau)
    assert np.std(noisy.q - recorded.q) == pytest.approx(0.002, rel=0.2)
    assert np.std(noisy.qd - recorded.qd) == pytest.approx(0.010, rel=0.2)  # qd_scale is 5 rad/s
    assert np.std(noisy.next_q - recorded.next_q) == pytest.approx(0.002, rel=0.2)


# -- files ----------------------------------------------------------------------------------


def test_saved_and_loaded(recorded, tmp_path):
    recorded.noisy(0.01, seed=0).save(tmp_path / "deep" / "data.npz")
    found = Transitions.load(tmp_path / "deep" / "data.npz")
    for name, array in recorded.noisy(0.01, seed=0).arrays.items():
        np.testing.assert_array_equal(array, found.arrays[name])
    assert (found.dt, found.noise, found.system) == (0.05, 0.01, DoublePendulum())
    assert found.description() == recorded.noisy(0.01, seed=0).description()


class Spring(System):
    """A mass between two springs."""

    coordinates = ("x",)
    stiffness: tuple[float, ...] = (1.0, 2.0)

    def lagrangian(self, q, qd, m):
        return 0.5 * qd[0] ** 2 - 0.5 * sum(self.stiffness) * q[0] ** 2


def test_saved_and_loaded_with_options_that_are_tuples(tmp_path):
    system, row = Spring(stiffness=(3.0, 4.0)), np.ones((2, 1))
    data = Transitions(system, q=row, qd=row, next_q=row, next_qd=row, dt=0.1)
    data.save(tmp_path / "data.npz")
    assert Transitions.load(tmp_path / "data.npz").system == system


def test_a_file_of_anyone(tmp_path):
    """The arrays alone, as NumPy writes them; the rest has defaults."""
    arrays = {name: np.zeros((3, 2)) for name in ("q", "qd", "next_q", "next_qd")}
    np.savez(tmp_path / "mine.npz", **arrays, dt=np.full(3, 0.02))
    with pytest.raises(DataError, match=r"mine\.npz names no system"):
        Transitions.load(tmp_path / "mine.npz")
    data = Transitions.load(tmp_path / "mine.npz", system="DoublePendulum")
    assert (len(data), data.dt, data.forced) == (3, 0.02, False)
    np.testing.assert_array_equal(data.m, np.tile([1.0, 1.0, 1.0, 1.0, 9.8], (3, 1)))


def test_a_path_that_cannot_be(recorded, tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "data.csv", tmp_path / "file" / "data.npz"):
        with pytest.raises(DataError, match="data"):
            recorded.save(path)


# -- bad data -------------------------------------------------------------------------------


def good():
    rng = np.random.default_rng(0)
    names = ("q", "qd", "tau", "next_q", "next_qd")
    return {name: rng.normal(size=(10, 2)) for name in names} | {"dt": 0.05}


def with_nan(array):
    array = array.copy()
    array[3, 1] = np.nan
    return array


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"next_q": None}, r"missing arrays \['next_q'\]"),
        ({"jerk": np.zeros((10, 2))}, r"unknown arrays \['jerk'\]"),
        ({"qd": with_nan(np.zeros((10, 2)))}, "array qd .*finite"),
        ({"tau": np.full((10, 2), np.inf)}, "array tau .*finite"),
        ({"next_qd": np.zeros((9, 2))}, r"array next_qd has shape \(9, 2\), expected \(10, 2\)"),
        ({"next_q": np.zeros((10, 1))}, r"next_q has shape \(10, 1\).*DoublePendulum"),
        ({"m": np.ones((10, 3))}, r"array m has shape \(10, 3\), expected \(10, 5\)"),
        ({"q": np.array([["a", "b"]] * 10)}, "array q .*numbers"),
        ({"dt": np.array([0.05] * 5 + [0.02] * 5)}, r"mixed dt, 0\.02, 0\.05 s"),
        ({"dt": 0.0}, "dt is 0.0"),
        ({"dt": np.nan}, "dt is nan"),
        ({"noise": -1.0}, "noise is"),
        ({n: np.zeros((0, 2)) for n in good() if n != "dt"}, "not one transition"),
    ],
    ids=str,
)
def test_bad_arrays_are_named(changes, message):
    arrays = {k: v for k, v in (good() | changes).items() if v is not None}
    with pytest.raises(DataError, match=message):
        Transitions.of(arrays, "DoublePendulum")


def test_of_another_system(recorded, tmp_path):
    recorded.save(tmp_path / "data.npz")
    with pytest.raises(DataError, match="of DoublePendulum, not of RelativisticParticle"):
        Transitions.load(tmp_path / "data.npz", system="RelativisticParticle")
    with pytest.raises(DataError, match=r"array q has shape \(10, 2\), expected \(10, 1\)"):
        Transitions.of(good(), "RelativisticParticle")
    with pytest.raises(ConfigurationError, match="NoSuchPendulum"):
        Transitions.of(good(), "NoSuchPendulum")


def test_what_is_no_npz_file(tmp_path):
    (tmp_path / "bad.npz").write_text("q,qd")
    for name in ("bad.npz", "missing.npz"):
        with pytest.raises(DataError, match=name):
            Transitions.load(tmp_path / name)


def test_a_system_that_varies_needs_its_parameters():
    arrays = {name: np.ones((5, 1)) for name in ("q", "qd", "next_q", "next_qd")}
    with pytest.raises(DataError, match=r"varies in g.*array m"):
        Transitions.of(arrays | {"dt": 0.05}, "RelativisticParticle")
