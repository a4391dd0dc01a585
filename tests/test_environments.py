"""The scalar environments through Gymnasium's interface, for every registered id."""

import itertools
import pickle
import warnings

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from physics_helpers import pendulum_energy

from gym_lagrangian.registration import environments, load_model, load_system
from gym_lagrangian.systems.task import TaskState

# The paper's two systems stand for all others here; what every id has to pass is in test_ids.
ROWS = [row for row in environments() if row.system in ("DoublePendulum", "RelativisticParticle")]
IDS = [row.id for row in ROWS]
BY_ID = {row.id: row for row in ROWS}
EXACT = [row.id for row in ROWS if row.model is None]
PENDULA = [row.id for row in ROWS if row.system == "DoublePendulum"]

# Both exact systems and a model of every kind of dynamics are tested in full; the others are slow.
THOROUGH = {"DoublePendulum-v0", "RelativisticParticle-v0"}
THOROUGH |= {f"DoublePendulum{model}-v0" for model in ("LNN", "HNN", "MLP")}


def in_full(ids):
    marked = [pytest.param(i, marks=() if i in THOROUGH else pytest.mark.slow) for i in ids]
    return pytest.mark.parametrize("env_id", marked)


every_id = in_full(IDS)
every_exact_id = in_full(EXACT)

# Where accuracy is beside the point, a method of four stages compiles in a third of the time.
QUICK = {"integrator": "rk4", "substeps": 1}

NAN = float("nan")


def make(env_id, **arguments):
    """The environment without its wrappers."""
    return gymnasium.make(env_id, **arguments).unwrapped


def another_dt(env_id: str) -> float:
    """A step that is not the default, where the dynamics can take one."""
    return make(env_id).dynamics.fixed_dt or 0.02


def settled(env_id: str, share: float) -> dict[str, float]:
    """Values, at that share of their ranges, of the parameters that are otherwise drawn."""
    system = load_system(BY_ID[env_id].system)()
    low, high = system.parameter_bounds()
    values = dict(zip(system.parameters, low + share * (high - low), strict=True))
    return {name: float(values[name]) for name in system.varying}


def no_force(env) -> np.ndarray:
    return np.zeros(env.action_space.shape, np.float32)


def random_state(env, rng) -> np.ndarray:
    """A state far from where episodes start, of typical motion."""
    typical = env.system.magnitudes
    reach = np.where(env.system.angular, np.pi, typical.q)
    return rng.uniform(-0.9, 0.9, 2 * env.system.n) * np.array([*reach, *typical.qd])


def valid_state(env, rng) -> np.ndarray:
    """A state anywhere in the range of the task; the environment has been reset."""
    n, limits, now = env.system.n, env.task.limits, env.functional_state
    reach = np.array([*np.where(env.system.angular, 9.0, limits.q), *limits.qd])
    while True:
        x = rng.uniform(-1, 1, 2 * n) * reach
        state = TaskState(x[:n], x[n:], now.m, now.goal, np.zeros(()), np.zeros(n))
        if env.task.in_range(state):
            return x


def follow(env, *, seed, steps=5, **reset) -> np.ndarray:
    """The states (steps + 1, 2n) under actions drawn with the same seed."""
    actions = np.random.default_rng(seed).uniform(-1, 1, (steps, *env.action_space.shape))
    states = [env.reset(seed=seed, **reset)[1]["state"]]
    states += [env.step(a.astype(np.float32))[-1]["state"] for a in actions]
    return np.array(states)


def start(env, **reset) -> np.ndarray:
    return env.reset(**reset)[1]["state"]


def particle_energy(x, m=1.0, c=1.0, g=1.0) -> float:
    """The energy of the paper's Lagrangian, v ∂L/∂v − L."""
    q, v = x
    gamma = (1 - (v / c) ** 2) ** -0.5
    return m * v**2 * gamma**3 - m * c**2 * (gamma - 1) - m * g * q


# Told from elsewhere than the systems, with the typical energies of their default parameters.
ENERGIES = {"DoublePendulum": (pendulum_energy, 29.4), "RelativisticParticle": (particle_energy, 1)}


def true_energy(env, x) -> float:
    """The energy of a state with the parameters of this episode."""
    m, n = env.functional_state.m, env.system.n
    if env.system.name in ENERGIES:
        return ENERGIES[env.system.name][0](x, *m)
    return float(env.system.energy(x[:n], x[n:], m))


def energy_scale(env) -> float:
    found = float(env.system.energy_scale(env.functional_state.m))
    if env.system.name in ENERGIES:
        assert found == pytest.approx(ENERGIES[env.system.name][1])
    return found


class TestGymnasium:
    @every_id
    def test_spec_survives_json(self, env_id):
        env = gymnasium.make(env_id, dt=another_dt(env_id))
        twin = gymnasium.make(EnvSpec.from_json(env.spec.to_json()))
        assert twin.unwrapped.dt == another_dt(env_id)
        np.testing.assert_array_equal(follow(twin, seed=3), follow(env, seed=3))

    @every_id
    def test_pickle_rebuilds_the_same_environment(self, env_id):
        env = gymnasium.make(env_id, dt=another_dt(env_id))
        expected = follow(env, seed=3)
        twin = pickle.loads(pickle.dumps(env))
        assert twin.unwrapped.dt == another_dt(env_id)
        np.testing.assert_array_equal(follow(twin, seed=3), expected)

    @every_id
    def test_time_limit(self, env_id):
        env = gymnasium.make(env_id, **settled(env_id, 0.5))
        steps = env.spec.max_episode_steps
        assert steps == BY_ID[env_id].max_episode_steps
        start = np.zeros(2 * env.unwrapped.system.n)
        env.reset(seed=0, options={"state": start})
        ends = [env.step(no_force(env))[2:] for _ in range(steps)]
        assert [truncated for _, truncated, _ in ends] == [False] * (steps - 1) + [True]
        assert not any(terminated for terminated, _, _ in ends)
        assert not any(info["diverged"] for _, _, info in ends)

    @every_id
    def test_dt_is_public(self, env_id):
        assert make(env_id).dt == 0.05
        dt = another_dt(env_id)
        env = make(env_id, dt=dt)
        assert env.dt == dt
        assert env.metadata["render_fps"] == round(1 / dt)
        assert make(env_id).metadata["render_fps"] == 20

    @pytest.mark.parametrize("row", ROWS, ids=IDS)
    def test_checkpoint_is_readable(self, row):
        found = make(row.id).checkpoint
        if row.model is None:
            assert found is None
        else:
            assert (found.card.system, found.card.model) == (row.system, row.model)
            assert len(found.sha256) == 64

    @every_id
    def test_vectorised_by_gymnasium_equals_scalar(self, env_id):
        vector = gymnasium.make_vec(env_id, num_envs=2, vectorization_mode="sync")
        scalars = [gymnasium.make(env_id) for _ in range(2)]
        observations, _ = vector.reset(seed=[3, 4])
        expected = [env.reset(seed=seed)[0] for env, seed in zip(scalars, (3, 4), strict=True)]
        np.testing.assert_array_equal(observations, expected)
        actions = np.full(vector.action_space.shape, [[0.5], [-1.0]], np.float32)
        observations, rewards, *_ = vector.step(actions)
        steps = [env.step(action) for env, action in zip(scalars, actions, strict=True)]
        np.testing.assert_array_equal(observations, [step[0] for step in steps])
        np.testing.assert_array_equal(rewards, [step[1] for step in steps])

    @pytest.mark.parametrize(
        ("env_id", "arguments"),
        [("DoublePendulum-v0", {"g": 9.8}), ("RelativisticParticle-v0", {"g": 1.0})],
    )
    def test_fixed_parameters_are_nothing_to_warn_of(self, env_id, arguments):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            env = gymnasium.make(env_id, **arguments)
            env.reset(seed=0)
            env.step(no_force(env))

    def test_nobody_elses_precision_is_touched(self):
        env = make("DoublePendulum-v0")
        follow(env, seed=0, steps=2)
        assert all(one.dtype == np.float64 for one in env.get_state())
        assert not jax.config.jax_enable_x64
        assert jnp.ones(()).dtype == jnp.float32


class TestSeeding:
    @every_id
    def test_same_seed_same_trajectory(self, env_id):
        np.testing.assert_array_equal(follow(make(env_id), seed=7), follow(make(env_id), seed=7))

    @every_id
    def test_seeds_do_not_alias(self, env_id):
        env = make(env_id)
        seeds = [0, 1, 2**32, 2**32 + 1, 2**63, 2**63 + 1, 2**64 + 1, 2**100]
        starts = {tuple(start(env, seed=seed)) for seed in seeds}
        assert len(starts) == len(seeds)

    @every_id
    def test_unseeded_environments_differ(self, env_id):
        assert not np.array_equal(start(make(env_id)), start(make(env_id)))

    @every_id
    def test_key_advances_on_reset_only(self, env_id):
        env = make(env_id)
        first = start(env, seed=5)
        second, third = start(env), start(env)
        assert len({tuple(first), tuple(second), tuple(third)}) == 3
        np.testing.assert_array_equal(start(env, seed=5), first)
        for _ in range(3):
            env.step(env.action_space.sample())
        env.set_state(np.zeros_like(first))
        np.testing.assert_array_equal(start(env), second)
        np.testing.assert_array_equal(start(env, options={}), third)


class TestStartingState:
    @every_id
    def test_given_state_is_exact_to_the_last_bit(self, env_id):
        env = make(env_id)
        rng = np.random.default_rng(0)
        for seed in range(3):
            x = random_state(env, rng)
            _, info = env.reset(seed=seed, options={"state": x.tolist()})
            np.testing.assert_array_equal(info["state"], x)
            np.testing.assert_array_equal(env.get_state(), x)

    @every_id
    def test_draws_between_low_and_high(self, env_id):
        env = make(env_id)
        size = 2 * env.system.n
        low, high = np.linspace(-0.5, -0.4, size), np.linspace(0.3, 0.6, size)
        options = {"low": low, "high": high}
        starts = np.array([start(env, seed=seed, options=options) for seed in range(20)])
        assert np.all((low <= starts) & (starts <= high))
        # Twenty draws fill more than half of every interval.
        assert np.all(np.ptp(starts, axis=0) > 0.5 * (high - low))
        np.testing.assert_array_equal(start(env, seed=3, options=options), starts[3])

    @every_id
    def test_low_and_high_may_be_numbers_or_equal(self, env_id):
        env = make(env_id)
        drawn = start(env, seed=0, options={"low": 0.25, "high": 0.5})
        assert np.all((drawn >= 0.25) & (drawn <= 0.5))
        assert len(set(drawn)) == len(drawn)
        exact = start(env, seed=0, options={"low": 0.1, "high": 0.1})
        np.testing.assert_array_equal(exact, np.full_like(exact, 0.1))

    @every_id
    def test_options_hold_for_one_reset(self, env_id):
        env = make(env_id)
        low, high = env.task.reset_bounds()
        start(env, seed=0, options={"state": high + 0.5})
        after = start(env)
        assert np.all((low <= after) & (after <= high))

    def test_pendulum_starts_hanging(self):
        env = make("DoublePendulum-v0")
        starts = np.array([start(env, seed=seed) for seed in range(50)])
        assert np.abs(starts).max() <= 0.1
        assert np.all(np.ptp(starts, axis=0) > 0.15)

    def test_particle_starts_at_rest(self):
        env = make("RelativisticParticle-v0")
        starts = np.array([start(env, seed=seed) for seed in range(50)])
        assert np.all(starts[:, 1] == 0)
        assert 4 < np.abs(starts[:, 0]).max() <= 5


class TestInfo:
    @every_id
    def test_same_keys_and_types_from_reset_and_step(self, env_id):
        env = make(env_id)
        _, before = env.reset(seed=0)
        after = env.step(env.action_space.sample())[-1]
        assert before.keys() == after.keys()
        for name in before:
            assert type(before[name]) is type(after[name])
        always = {"state", "time", "energy", "energy_drift", "dissipated", "diverged", "success"}
        drawn = {"m"} if env.system.varying else set()
        assert before.keys() - {"model_energy", "model_dissipated"} == always | drawn
        assert before["state"].dtype == np.float64

    @pytest.mark.parametrize("row", ROWS, ids=IDS)
    def test_model_energy_only_where_one_is_conserved(self, row):
        _, info = make(row.id).reset(seed=0)
        conserves = row.model is not None and load_model(row.model).has_energy
        assert ("model_energy" in info) == conserves

    @every_id
    def test_state_time_and_energies(self, env_id):
        env = make(env_id)
        _, info = env.reset(seed=1)
        assert info["time"] == 0
        assert info["energy_drift"] == 0
        initial, x, work = info["energy"], info["state"], 0.0
        n = env.system.n
        rng = np.random.default_rng(1)
        for count in range(1, 21):
            action = rng.uniform(-1, 1, env.action_space.shape).astype(np.float32)
            *_, info = env.step(action)
            tau = np.asarray(env.task.generalized_force(x[:n], x[n:], jnp.asarray(action)))
            work += tau @ (info["state"][:n] - x[:n])
            x = info["state"]
            np.testing.assert_array_equal(x, env.get_state())
            assert info["time"] == pytest.approx(0.05 * count, rel=1e-12)
            energy = true_energy(env, x)
            assert info["energy"] == pytest.approx(energy, rel=1e-6)
            drift = (info["energy"] - initial - work) / energy_scale(env)
            assert info["energy_drift"] == pytest.approx(drift, abs=1e-7)

    @every_exact_id
    def test_exact_environments_conserve_energy_under_actions(self, env_id):
        env = make(env_id)
        rng = np.random.default_rng(2)
        for seed in range(3):
            _, info = env.reset(seed=seed)
            energies, drifts, ended = [info["energy"]], [], False
            while len(drifts) < 300 and not ended:
                action = rng.uniform(-1, 1, env.action_space.shape)
                *_, ended, info = env.step(action)
                energies.append(info["energy"])
                drifts.append(abs(info["energy_drift"]))
            assert np.ptp(energies) > 0.1 * energy_scale(env)
            assert max(drifts) < 1e-8

    def test_lnn_conserves_its_own_energy(self, lnn_checkpoint):
        env = make("DoublePendulum-v0", checkpoint=lnn_checkpoint)
        _, info = env.reset(seed=0, options={"state": [1.0, -0.5, 2.0, -1.0]})
        own, true = [info["model_energy"]], [info["energy"]]
        for _ in range(200):
            *_, info = env.step(no_force(env))
            own.append(info["model_energy"])
            true.append(info["energy"])
        assert np.ptp(own) < 1e-7 * abs(own[0])
        # It is the model's energy: the true one of its untrained motion varies.
        assert np.ptp(true) > 1.0


class TestState:
    @every_id
    def test_set_state_continues_from_what_get_state_gave(self, env_id):
        env = make(env_id)
        follow(env, seed=2)
        x = env.get_state()
        action = np.full(env.action_space.shape, 0.7, np.float32)
        expected = [env.step(action)[-1]["state"] for _ in range(3)]
        env.set_state(x)
        np.testing.assert_array_equal(env.get_state(), x)
        found = [env.step(action)[-1]["state"] for _ in range(3)]
        np.testing.assert_array_equal(found, expected)

    @every_id
    def test_set_state_restarts_clock_and_drift(self, env_id):
        env = make(env_id)
        follow(env, seed=2)
        x = random_state(env, np.random.default_rng(0))
        env.set_state(x)
        *_, info = env.step(no_force(env))
        assert info["time"] == 0.05
        energy = true_energy(env, x)
        drift = (info["energy"] - energy) / energy_scale(env)
        assert info["energy_drift"] == pytest.approx(drift, abs=1e-6)

    def test_set_state_keeps_the_parameters_of_the_episode(self):
        env = make("RelativisticParticle-v0")
        observation, _ = env.reset(seed=4)
        env.set_state(np.zeros(2))
        assert env.step(no_force(env))[0][2] == observation[2]

    def test_states_of_an_episode_can_be_set_in_it(self):
        # c is drawn; what this episode's particle reaches is valid in this episode.
        env = make("RelativisticParticle-v0", c=(0.1, 2.0), **QUICK)
        env.reset(seed=1, options={"low": 0.0, "high": 0.0})
        for _ in range(10):
            env.step(np.ones(1, np.float32))
        x = env.get_state().x
        assert abs(x[1]) > 0.1
        env.set_state(x)
        np.testing.assert_array_equal(env.get_state(), x)

    @every_id
    def test_states_are_copies(self, env_id):
        env = make(env_id)
        env.reset(seed=0)
        x = random_state(env, np.random.default_rng(0))
        given = x.copy()
        env.set_state(given)
        given[:] = NAN
        for one in env.get_state():
            one[:] = NAN
        np.testing.assert_array_equal(env.get_state(), x)

    @every_id
    def test_returned_arrays_are_fresh_and_writable(self, env_id):
        env = make(env_id)
        x = random_state(env, np.random.default_rng(0))
        action = np.full(env.action_space.shape, 0.3, np.float32)

        def run(spoil: bool):
            results = [env.reset(seed=0, options={"state": x})]
            for _ in range(3):
                if spoil:
                    for observation, info in results:
                        observation[:] = NAN
                        info["state"][:] = NAN
                observation, *_, info = env.step(action)
                results.append((observation, info))
            return results

        clean, spoilt = run(spoil=False), run(spoil=True)
        for (a, _), (b, _) in itertools.combinations(clean, 2):
            assert not np.shares_memory(a, b)
        np.testing.assert_array_equal(spoilt[-1][0], clean[-1][0])
        np.testing.assert_array_equal(spoilt[-1][1]["state"], clean[-1][1]["state"])

    @every_id
    def test_action_is_neither_kept_nor_changed(self, env_id):
        env = make(env_id)
        env.reset(seed=0)
        action = np.full(env.action_space.shape, 3.0, np.float32)
        env.step(action)
        np.testing.assert_array_equal(action, np.full_like(action, 3.0))


class TestObservation:
    @every_id
    def test_stays_within_its_space(self, env_id):
        env = make(env_id)
        rng = np.random.default_rng(3)
        episodes = 0
        observation, _ = env.reset(seed=0)
        for count in range(1200):
            if count % 20 == 0:
                action = rng.choice([-1.0, 1.0], env.action_space.shape).astype(np.float32)
            assert observation in env.observation_space
            observation, reward, terminated, truncated, _ = env.step(action)
            assert 0 <= reward <= 1
            assert not terminated
            if truncated or count % 400 == 399:
                assert observation in env.observation_space
                observation, _ = env.reset()
                episodes += 1
        assert episodes >= 3

    @pytest.mark.parametrize("env_id", PENDULA)
    def test_of_a_pendulum(self, env_id):
        env = make(env_id)
        x = np.array([2.0, -4.0, 1.5, -0.5])
        observation, _ = env.reset(options={"state": x})
        expected = [np.cos(2.0), np.sin(2.0), np.cos(-4.0), np.sin(-4.0), 1.5, -0.5]
        assert observation.dtype == np.float32
        np.testing.assert_allclose(observation, expected, rtol=1e-6)
        observation, *_, info = env.step(no_force(env))
        a, b, wa, wb = info["state"]
        expected = [np.cos(a), np.sin(a), np.cos(b), np.sin(b), wa, wb]
        np.testing.assert_allclose(observation, expected, rtol=1e-6)

    def test_of_the_particle(self):
        env = make("RelativisticParticle-v0")
        observation, _ = env.reset(seed=0, options={"state": [3.0, 0.5]})
        assert observation.dtype == np.float32
        np.testing.assert_array_equal(observation[:2], np.float32([3.0, 0.5]))
        g = observation[2]
        observation, *_, info = env.step(no_force(env))
        np.testing.assert_allclose(observation, [*info["state"], g], rtol=1e-6)

    def test_bounds_follow_the_arguments(self):
        space = make("DoublePendulum-v0", omega_max=5.0).observation_space
        np.testing.assert_array_equal(space.high, [1, 1, 1, 1, 5, 5])
        np.testing.assert_array_equal(space.low, -space.high)
        space = make(
            "RelativisticParticle-v0", c=(0.5, 3.0), g=(-1.0, 4.0), position_max=7.0
        ).observation_space
        np.testing.assert_array_equal(space.high, [7, 3, 4])
        np.testing.assert_array_equal(space.low, [-7, -3, -1])


class TestReward:
    @every_id
    def test_within_zero_and_one(self, env_id):
        env = make(env_id)
        rng = np.random.default_rng(4)
        env.reset(seed=0)
        for _ in range(200):
            env.set_state(valid_state(env, rng))
            reward = env.step(env.action_space.sample())[1]
            assert type(reward) is float
            assert 0 <= reward <= 1

    def test_pendulum_is_rewarded_upright_and_still(self):
        env = make("DoublePendulum-v0")

        def reward(*x):
            env.reset(options={"state": x})
            return env.step(no_force(env))[1]

        upright = reward(np.pi, np.pi, 0, 0)
        assert upright == pytest.approx(1.0, abs=1e-6)
        assert reward(0, 0, 0, 0) == pytest.approx(0.0, abs=1e-6)
        # Whole turns change nothing, height alone is worth half, motion costs.
        assert reward(-np.pi, 3 * np.pi, 0, 0) == pytest.approx(upright, abs=1e-6)
        assert 0.4 < reward(np.pi, np.pi, 15.0, 15.0) < 0.6

    def test_particle_is_rewarded_at_the_origin_and_slow(self):
        env = make("RelativisticParticle-v0", g=0.0)

        def reward(*x):
            env.reset(options={"state": x})
            return env.step(no_force(env))[1]

        assert reward(0, 0) == 1
        assert reward(1, 0) == reward(-1, 0) < 0.5
        assert reward(5, 0) < 0.05
        assert reward(-0.04, 0.8) < 0.6


class TestSuccess:
    @staticmethod
    def flags(env, steps, action=None):
        infos = [env.step(no_force(env) if action is None else action)[-1] for _ in range(steps)]
        return [info["success"] for info in infos], [info["time"] for info in infos]

    def test_pendulum_upright_for_two_seconds(self):
        env = make("DoublePendulum-v0")
        _, info = env.reset(options={"state": [np.pi, np.pi, 0, 0]})
        assert not info["success"]
        flags, times = self.flags(env, 45)
        assert [time >= 2.0 for time in times] == flags
        assert times[flags.index(True)] == pytest.approx(2.0)
        # Pushed over, it is no success any more, nor while it only passes by.
        push = np.array([1.0, -1.0], np.float32)
        flags, _ = self.flags(env, 60, push)
        assert not any(flags[20:])

    def test_particle_at_the_origin_for_two_seconds(self):
        env = make("RelativisticParticle-v0", g=0.0)
        env.reset(options={"state": [0, 0]})
        flags, times = self.flags(env, 45)
        assert [time >= 2.0 for time in times] == flags

    def test_passing_by_is_none(self):
        env = make("RelativisticParticle-v0", g=0.0)
        env.reset(options={"state": [-0.19, 0.15]})
        flags, _ = self.flags(env, 60)
        assert not any(flags)

    def test_set_state_starts_the_two_seconds_anew(self):
        env = make("RelativisticParticle-v0", g=0.0)
        env.reset(options={"state": [0, 0]})
        self.flags(env, 39)
        env.set_state(np.zeros(2))
        flags, _ = self.flags(env, 40)
        assert flags == [False] * 39 + [True]


class TestDivergence:
    @staticmethod
    def last_two(env, action):
        """The results of the last valid step and of the one that ends the episode."""
        before = after = env.step(action)
        for _ in range(1000):
            if after[3]:
                return before, after
            before, after = after, env.step(action)
        pytest.fail("the episode does not end")

    @staticmethod
    def check(env, before, after):
        assert after[3] is True
        assert after[2] is False
        assert after[4]["diverged"] is True
        assert before[4]["diverged"] is False
        np.testing.assert_array_equal(after[0], before[0])
        np.testing.assert_array_equal(after[4]["state"], before[4]["state"])
        assert after[1] == before[1]
        assert after[0] in env.observation_space
        assert np.isfinite([after[1], after[4]["energy"], after[4]["energy_drift"]]).all()

    def test_pendulum_faster_than_omega_max(self):
        env = make("DoublePendulum-v0", omega_max=1.0, **QUICK)
        env.reset(options={"state": np.zeros(4)})
        before, after = self.last_two(env, np.ones(2, np.float32))
        self.check(env, before, after)
        assert np.abs(after[4]["state"][2:]).max() <= 1.0
        # The next episode starts clean.
        _, info = env.reset()
        assert info["diverged"] is False

    @pytest.mark.parametrize("lagrangian", ["paper", "special_relativity"])
    def test_particle_beyond_position_max_but_never_c(self, lagrangian):
        env = make("RelativisticParticle-v0", lagrangian=lagrangian, g=2.0)
        env.reset(options={"state": [-19.0, 0.0]})
        before, after = self.last_two(env, np.ones(1, np.float32))
        self.check(env, before, after)
        q, v = after[4]["state"]
        assert q > 20 - 0.05
        assert 0.98 < v < 1

    @pytest.mark.parametrize("lagrangian", ["paper", "special_relativity"])
    def test_full_force_never_reaches_c(self, lagrangian):
        env = make("RelativisticParticle-v0", lagrangian=lagrangian, g=2.0)
        speeds = [0.0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999999]
        for speed, direction, force in itertools.product(speeds, (-1, 1), (-1, 1)):
            env.reset(options={"state": [0.0, direction * speed]})
            for _ in range(10):
                *_, truncated, info = env.step(np.array([force], np.float32))
                assert not truncated
                assert abs(info["state"][1]) < 1


class TestActuation:
    def test_action_sizes(self):
        sizes = {"both": 2, "shoulder": 1, "elbow": 1}
        for actuated, size in sizes.items():
            space = make("DoublePendulum-v0", actuated=actuated).action_space
            assert space == gymnasium.spaces.Box(-1.0, 1.0, (size,), np.float32)
        assert make("RelativisticParticle-v0").action_space.shape == (1,)

    @pytest.mark.parametrize("actuated", ["both", "shoulder", "elbow"])
    def test_torques_do_their_work(self, actuated):
        """The shoulder works on θ1, the elbow on the relative angle θ2 − θ1."""
        env = make("DoublePendulum-v0", actuated=actuated, integrator="rk4", substeps=4)
        joints = [1.0, 0.5] if actuated == "both" else [1.0]
        before = np.array([0.3, -0.8, 0.5, 1.0])
        _, info = env.reset(options={"state": before})
        energy = info["energy"]
        *_, info = env.step(np.array(joints, np.float32))
        turn1, turn2 = info["state"][:2] - before[:2]
        turns = {"both": [turn1, turn2 - turn1], "shoulder": [turn1], "elbow": [turn2 - turn1]}
        work = 6.0 * np.dot(joints, turns[actuated])
        assert abs(work) > 0.05
        assert info["energy"] - energy == pytest.approx(work, abs=1e-5)

    @pytest.mark.parametrize("env_id", EXACT)
    def test_actions_are_clipped(self, env_id):
        env = make(env_id)
        action = np.linspace(-3, 5, env.action_space.shape[0]).astype(np.float32)
        ends = []
        for given in (action, np.clip(action, -1, 1)):
            env.reset(seed=0)
            ends.append(env.step(given)[-1]["state"])
        np.testing.assert_array_equal(*ends)

    def test_limit_scales_the_action(self):
        """At first the velocity is the acceleration times t."""
        env = make("RelativisticParticle-v0", force_max=2.0, g=0.0, dt=1e-3, **QUICK)
        env.reset(options={"state": [0, 0]})
        v = env.step(np.full(1, 0.75, np.float32))[-1]["state"][1]
        assert v == pytest.approx(1.5e-3, rel=1e-4)

    def test_constant_torques_cannot_lift_the_arm(self):
        env = make("DoublePendulum-v0")
        for action in itertools.product([-1.0, 0.0, 1.0], repeat=2):
            env.reset(options={"state": np.zeros(4)})
            heights = []
            for _ in range(500):
                observation, *_ = env.step(np.array(action, np.float32))
                heights.append(-observation[0] - observation[2])
            # The tip, which hangs at −2 m and stands at 2 m, stays below the shoulder.
            assert max(heights) < 0.0


class TestDtype:
    @every_exact_id
    def test_float32_follows_float64(self, env_id):
        # The dtypes draw different numbers from one key, so nothing is left to draw.
        fixed = settled(env_id, 0.75)
        double = make(env_id, **fixed)
        single = make(env_id, **fixed, dtype="float32", integrator="rk4", substeps=6)
        x = random_state(double, np.random.default_rng(5))
        expected = follow(double, seed=0, steps=10, options={"state": x})
        found = follow(single, seed=0, steps=10, options={"state": x})
        assert not np.array_equal(found, expected)
        np.testing.assert_allclose(found, expected, atol=1e-3)
        np.testing.assert_array_equal(found, found.astype(np.float32))
        assert found.dtype == np.float64

    def test_float32_checks_out(self):
        env = make("DoublePendulum-v0", dtype="float32", integrator="rk4", substeps=6)
        observation, info = env.reset(seed=0)
        assert observation.dtype == np.float32
        assert info["state"].dtype == np.float64
        observation, reward, _, _, info = env.step(no_force(env))
        assert observation in env.observation_space
        assert type(reward) is float
        assert abs(info["energy_drift"]) < 1e-5
        env.set_state(env.get_state())


class TestDomainRandomisation:
    @staticmethod
    def masses(env, resets, **reset):
        """The mass m1 of each of some episodes, by the energy of the hanging pendulum."""
        infos = [env.reset(options={"state": np.zeros(4)}, **reset)[1] for _ in range(resets)]
        return np.array([-info["energy"] / 9.8 - 2.0 for info in infos])

    def test_masses_are_drawn_at_every_reset(self):
        env = make("DoublePendulum-v0", m1=(0.5, 2.0))
        env.reset(seed=0)
        masses = self.masses(env, 20)
        assert len(set(masses)) == 20
        assert 0.5 <= masses.min() < 0.8
        assert 1.7 < masses.max() <= 2.0
        assert len(set(self.masses(env, 3, seed=1))) == 1

    def test_masses_change_the_motion(self):
        env = make("DoublePendulum-v0", m1=(0.5, 2.0))
        ends, infos = [], []
        for seed in range(2):
            env.reset(seed=seed, options={"state": [1.0, -1.0, 0.0, 0.0]})
            for _ in range(20):
                info = env.step(np.full(2, 0.5, np.float32))[-1]
            ends.append(info["state"])
            infos.append(info)
        assert np.abs(ends[0] - ends[1]).max() > 0.01
        assert all(abs(info["energy_drift"]) < 1e-8 for info in infos)

    def test_fixed_parameters_are_what_they_say(self):
        values = {"m1": 0.7, "m2": 1.3, "l1": 0.6, "l2": 1.7, "g": 3.7}
        env = make("DoublePendulum-v0", **values)
        x = np.array([1.0, -0.5, 2.0, -3.0])
        _, info = env.reset(options={"state": x})
        assert info["energy"] == pytest.approx(pendulum_energy(x, **values), rel=1e-12)

    def test_potential_is_drawn_and_observed(self):
        env = make("RelativisticParticle-v0", g=(0.5, 1.0))
        seen = []
        for seed in range(20):
            observation, info = env.reset(seed=seed, options={"state": [1.5, 0.0]})
            g = float(observation[2])
            assert info["energy"] == pytest.approx(-1.5 * g, rel=1e-6)
            # Nothing else pulls: v̇ = g at rest.
            v = env.step(no_force(env))[-1]["state"][1]
            assert v == pytest.approx(0.05 * g, rel=0.02)
            seen.append(g)
        assert 0.5 <= min(seen) < 0.6
        assert 0.9 < max(seen) <= 1.0
