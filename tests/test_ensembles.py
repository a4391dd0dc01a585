"""Ensembles: the mean of their members, what they disagree about, and environments of them."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace

import equinox as eqx
import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from physics_helpers import SMALL_MODEL

from gym_lagrangian import Ensemble, LearnedDynamicsEnv, checkpoints, functional
from gym_lagrangian.adapters.registry import adapter_for
from gym_lagrangian.checkpoints import Card, fresh_model
from gym_lagrangian.envs.functional import dynamics_of, simulate
from gym_lagrangian.errors import CheckpointError, ConfigurationError
from gym_lagrangian.planning import CEM, MPPI, Policy, plan_return
from gym_lagrangian.planning.members import returns_through
from gym_lagrangian.systems import DoublePendulum, Kepler

PENDULUM = DoublePendulum()
M = np.asarray(PENDULUM.parameter_bounds()[0], np.float32)
STATE, TAU, DT = (
    np.float32([3.1, 0.2, 4.0, -1.0]),
    np.float32([0.5, 0.0]),
    np.asarray(0.05, np.float32),
)


def members(model="MLP", count=3, system=PENDULUM):
    keys = jax.random.split(jax.random.key(0), count)
    return [fresh_model(model, system, (), key=key, **SMALL_MODEL) for key in keys]


@eqx.filter_jit
def stepped(dynamics, x, tau):
    return dynamics.step(x, tau, M, DT)


def moved(model, x=STATE, tau=TAU):
    return np.asarray(stepped(model.dynamics(integrator="rk4", substeps=1), x, tau))


@eqx.filter_jit
def spread(model, x):
    return model.dynamics(integrator="rk4", substeps=1).spread(x, TAU, M, DT)


def saved(path, ensemble, system=PENDULUM, model="MLP", **fields):
    fields = {"members": ensemble.members} | fields
    card = Card.of(
        system,
        parameters=system.fixed_parameters(()),
        conditioned_on=(),
        model=model,
        model_config=ensemble.config,
        **fields,
    )
    checkpoints.save(path, ensemble, card)
    return str(path)


@pytest.fixture(scope="module")
def ensemble():
    return Ensemble.of(members())


@pytest.fixture(scope="module")
def path(ensemble, tmp_path_factory):
    return saved(tmp_path_factory.mktemp("ensemble") / "three.safetensors", ensemble)


def scalar(path, **options):
    return gymnasium.make("DoublePendulumLNN-v0", checkpoint=path, integrator="rk4", **options)


def vector(path, count=8, **options):
    options = {"checkpoint": path, "integrator": "rk4"} | options
    how = {"num_envs": count, "vectorization_mode": "vector_entry_point"}
    return gymnasium.make_vec("DoublePendulumLNN-v0", **how, **options)


def actions(steps, *batch):
    return np.random.default_rng(0).uniform(-1, 1, (steps, *batch, 2)).astype(np.float32)


# -- the model ------------------------------------------------------------------------------


SLOW = pytest.param("HNN", marks=pytest.mark.slow)


@pytest.mark.parametrize("model", ["MLP", "Baseline", SLOW])
def test_a_step_is_the_mean_of_the_members_and_its_spread_their_deviation(model):
    several = members(model)
    each = np.stack([moved(one) for one in several]).astype(np.float64)
    np.testing.assert_allclose(moved(Ensemble.of(several)), each.mean(axis=0), atol=2e-6)
    scale = [*PENDULUM.magnitudes.q, *PENDULUM.magnitudes.qd]
    expected = np.sqrt(np.mean(each.var(axis=0, ddof=1) / np.square(scale)))
    assert expected > 1e-4
    assert float(spread(Ensemble.of(several), STATE)) == pytest.approx(expected, rel=1e-3)


def test_members_that_are_alike_agree():
    """Their mean moves as each does, and the derivative of no spread at all is a number."""
    one = members(count=1)[0]
    both = Ensemble.of([one, one])
    np.testing.assert_allclose(moved(both), moved(one), atol=1e-6)
    nothing, slope = jax.value_and_grad(lambda x: spread(both, x))(STATE)
    assert nothing == 0
    assert np.all(np.isfinite(slope))


def test_energy_is_the_mean_of_the_members_energies_where_they_have_one(ensemble):
    several = members("DeLaN")
    found = Ensemble.of(several).dynamics(integrator="rk4", substeps=1).energy(jnp.array(STATE), M)
    expected = np.mean([one.energy(STATE[:2], STATE[2:], M) for one in several])
    assert float(found) == pytest.approx(float(expected), rel=1e-5)
    assert not ensemble.has_energy
    assert ensemble.dynamics(integrator="rk4", substeps=1).energy(STATE, M) is None


def test_a_member_is_a_model_like_any_other(ensemble):
    several = members()
    for i, one in enumerate(several):
        np.testing.assert_allclose(moved(ensemble.member(i)), moved(one), atol=1e-6)
    assert ensemble.embedding == several[0].embedding
    assert type(ensemble.member(0)) is type(several[0])


def test_a_prediction_follows_each_member_on_its_own(ensemble):
    forces = np.tile(TAU, (2, 4, 1))
    starts = np.stack([STATE, 0.1 * STATE])
    how = {"dt": 0.05, "m": M}
    found = ensemble.predict(starts, forces, members=True, **how)
    assert found.shape == (3, 2, 4, 4)
    for i, states in enumerate(found):
        alone = ensemble.member(i).predict(starts, forces, **how)
        np.testing.assert_allclose(states, alone, atol=1e-5)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (list, "0 members: expected at least one"),
        (lambda: [*members(), *members(system=Kepler())], "member 3 of Kepler.*angular"),
        (lambda: [*members(count=1), *members("NODE", 1)], "member 0 is MLP.*member 1 NODE"),
        (lambda: [*members(count=1), "LNN"], "member 1 is str: expected one Model"),
    ],
)
@pytest.mark.usefixtures("types_unchecked")
def test_what_is_no_ensemble_is_refused(given, message):
    with pytest.raises(ConfigurationError, match=message):
        Ensemble.of(given())


@pytest.mark.parametrize("i", [3, -1, True, 0.0])
@pytest.mark.usefixtures("types_unchecked")
def test_a_member_that_is_not_there_is_refused(ensemble, i):
    with pytest.raises(ConfigurationError, match="whole number from 0 to 2, of 3 members"):
        ensemble.member(i)


def test_a_single_model_has_no_members_to_follow():
    with pytest.raises(ConfigurationError, match="no members to follow"):
        members(count=1)[0].predict(STATE, TAU[None], dt=0.05, m=M, members=True)


# -- the checkpoint -------------------------------------------------------------------------


def test_a_checkpoint_holds_all_members(ensemble, path):
    found = checkpoints.load(path)
    assert (type(found.model), found.model.members, found.card.members) == (Ensemble, 3, 3)
    for a, b in zip(jax.tree.leaves(found.model), jax.tree.leaves(ensemble), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("count", "message"),
    [(2, "members = 2 does not go"), (1, "configuration describes"), (0, "members = 0")],
)
def test_a_checkpoint_of_another_number_of_members_is_refused(ensemble, tmp_path, count, message):
    path = saved(tmp_path / "wrong.safetensors", ensemble, members=count)
    with pytest.raises(CheckpointError, match=message):
        checkpoints.load(path)


def test_learned_without_forces_no_member_says_what_a_force_does(ensemble, tmp_path):
    path = saved(tmp_path / "free.safetensors", ensemble, forced=False)
    dynamics = dynamics_of(checkpoints.load(path), integrator="rk4", substeps=1)
    assert not dynamics.takes_forces
    assert np.all(np.isnan(stepped(dynamics, STATE, TAU)))
    assert np.all(np.isfinite(stepped(dynamics, STATE, 0.0 * TAU)))


# -- environments ---------------------------------------------------------------------------


def test_info_says_what_the_members_disagree_by(ensemble, path):
    env = scalar(path)
    _, info = env.reset(seed=0)
    assert (info["uncertainty"], info["uncertain"]) == (0.0, False)
    before = info["state"]
    *_, info = env.step(np.zeros(2))
    each = [moved(ensemble.member(i), np.float32(before), 0.0 * TAU) for i in range(3)]
    deviation = np.std(each, axis=0, ddof=1) / [*PENDULUM.magnitudes.q, *PENDULUM.magnitudes.qd]
    assert info["uncertainty"] == pytest.approx(np.sqrt(np.mean(deviation**2)), rel=1e-2)
    np.testing.assert_allclose(info["state"], np.mean(each, axis=0), atol=1e-5)


def test_a_single_model_has_no_uncertainty(baseline_checkpoint):
    _, info = scalar(baseline_checkpoint).reset(seed=0)
    assert "uncertainty" not in info
    assert "uncertain" not in info


@pytest.mark.parametrize("mode", ["NEXT_STEP", "SAME_STEP"])
def test_the_vector_environment_is_as_many_scalar_ones(path, mode):
    how = {"member": "draw", "uncertainty_penalty": 3.0, "uncertainty_limit": 0.02}
    many = vector(path, 3, autoreset_mode=mode, **how)
    single = gymnasium.vector.SyncVectorEnv(
        [lambda: scalar(path, **how)] * 3, autoreset_mode=gymnasium.vector.AutoresetMode[mode]
    )
    ends = 0
    for env in (many, single):
        env.reset(seed=4)
    for action in actions(12, 3):
        found, expected = many.step(action), single.step(action)
        for a, b in zip(found[:4], expected[:4], strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)
        np.testing.assert_allclose(found[4]["uncertainty"], expected[4]["uncertainty"], atol=1e-9)
        ends += found[3].sum()
    assert ends > 0


def test_an_episode_ends_where_the_uncertainty_exceeds_its_limit(path):
    free, ended = scalar(path), scalar(path, uncertainty_limit=1e-6)
    for env in (free, ended):
        env.reset(seed=0)
    results = [env.step(np.ones(2)) for env in (free, ended)]
    (one, *_, truncated_free, told), (other, *_, truncated, info) = results
    np.testing.assert_array_equal(one, other)  # the step is made
    assert (truncated_free, told["uncertain"]) == (False, False)
    assert (truncated, info["uncertain"], info["diverged"]) == (True, True, False)


def test_a_penalty_is_what_uncertainty_costs(path):
    free, careful = scalar(path), scalar(path, uncertainty_penalty=2.0)
    for env in (free, careful):
        env.reset(seed=0)
    for action in actions(3):
        (_, reward, *_), (_, less, *_, info) = free.step(action), careful.step(action)
        assert less == pytest.approx(reward - 2.0 * info["uncertainty"], abs=1e-7)
        assert less < reward


def test_an_environment_may_follow_one_member(ensemble, path, tmp_path):
    alone = tmp_path / "alone.safetensors"
    card = replace(checkpoints.load(path).card, members=1)
    checkpoints.save(alone, ensemble.member(2), card)
    environments = scalar(path, member=2), scalar(str(alone))
    for env in environments:
        env.reset(seed=0)
    for action in actions(3):
        infos = [env.step(action)[-1] for env in environments]
        np.testing.assert_allclose(infos[0]["state"], infos[1]["state"], atol=1e-12)


def test_a_member_is_drawn_for_every_episode_by_the_seed(path):
    env = vector(path, 64, member="draw")
    env.reset(seed=7)
    first = env.functional_state.member
    assert set(first) == {0, 1, 2}
    env.reset(seed=7)
    np.testing.assert_array_equal(env.functional_state.member, first)
    env.reset()
    assert np.any(env.functional_state.member != first)


@pytest.mark.parametrize("make", [scalar, vector])
def test_an_episode_keeps_its_member_wherever_it_goes_on(path, make):
    env = make(path, member="draw").unwrapped
    env.reset(seed=3)
    batch = () if make is scalar else (8,)
    env.step(actions(1, *batch)[0])
    steps = actions(5, *batch)
    sequence = steps if make is scalar else np.moveaxis(steps, 1, 0)
    begun = env.get_state(full=True)
    simulated = [env.simulate(start, sequence) for start in (begun, env.get_state())]
    copies = [copy.deepcopy(env), pickle.loads(pickle.dumps(env))]
    for action in steps:
        *_, info = env.step(action)
    for found in simulated:
        np.testing.assert_allclose(found.states[..., -1, :], info["state"], atol=1e-12)
    for other in copies:
        for action in steps:
            *_, told = other.step(action)
        np.testing.assert_array_equal(told["state"], info["state"])
    env.set_state(begun)
    for action in steps:
        *_, told = env.step(action)
    np.testing.assert_array_equal(told["state"], info["state"])


def test_a_simulation_follows_each_member_on_its_own(ensemble, path):
    env = scalar(path).unwrapped
    env.reset(seed=0)
    found = env.simulate(STATE, actions(4), members=True)
    assert found.states.shape == (3, 5, 4)
    assert found.rewards.shape == (3, 4)
    for i in range(3):
        one = scalar(path, member=i).unwrapped
        one.reset(seed=0)
        np.testing.assert_allclose(one.simulate(STATE, actions(4)).states, found.states[i])


def test_pure_functions_differentiate_through_an_ensemble(path):
    env, params = functional.make(checkpoint=path, integrator="rk4", uncertainty_penalty=1.0)
    state, first = env.reset(jax.random.key(0), params)
    assert first.info.uncertainty == 0

    def total(actions):
        return jnp.sum(simulate(env, params, state, actions).rewards)

    assert np.all(np.isfinite(jax.grad(total)(jnp.asarray(actions(3)))))


def test_dynamics_are_swapped_in_the_middle_of_an_episode(path, baseline_checkpoint):
    """From a single model to an ensemble and back; what is not there is not asked for."""
    env = scalar(baseline_checkpoint).unwrapped
    env.reset(seed=0)
    own = env.dynamics
    env.dynamics = dynamics_of(checkpoints.load(path), integrator="rk4", substeps=2)
    assert env.step(np.ones(2))[-1]["uncertainty"] > 0
    env.dynamics = own
    assert "uncertainty" not in env.step(np.ones(2))[-1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"uncertainty_limit": 0}, "uncertainty_limit = 0: expected a positive number"),
        ({"uncertainty_limit": -1.0}, "uncertainty_limit = -1.0"),
        ({"uncertainty_penalty": -0.1}, "uncertainty_penalty = -0.1: expected at least 0"),
        ({"member": 3}, "member = 3: expected a whole number from 0 to 2"),
        ({"member": "best"}, "member = 'best': choose"),
    ],
)
def test_options_that_make_no_sense_are_refused(path, options, message):
    for make in (scalar, vector, lambda path, **o: functional.make(checkpoint=path, **o)):
        with pytest.raises(ConfigurationError, match=message):
            make(path, **options)


@pytest.mark.parametrize(
    "options", [{"uncertainty_limit": 0.1}, {"uncertainty_penalty": 1.0}, {"member": "mean"}]
)
def test_options_of_an_ensemble_are_none_of_a_single_model(baseline_checkpoint, options):
    with pytest.raises(ConfigurationError, match=f"{next(iter(options))}: only for an ensemble"):
        scalar(baseline_checkpoint, **options)
    with pytest.raises(ConfigurationError, match="only for an ensemble"):
        LearnedDynamicsEnv(gymnasium.make("DoublePendulum-v0"), baseline_checkpoint, **options)


# -- other people's environments ------------------------------------------------------------


def test_a_wrapped_environment_of_the_package_has_the_options(path):
    env = LearnedDynamicsEnv(gymnasium.make("DoublePendulum-v0"), path, uncertainty_limit=1e-6)
    _, info = env.reset(seed=0)
    assert info["uncertainty"] == 0
    *_, truncated, info = env.step(np.ones(2))
    assert truncated
    assert info["uncertain"]
    *_, truncated, info = env.unwrap().step(np.ones(2))
    assert "uncertainty" not in info


def test_an_adapted_environment_has_the_options():
    base = gymnasium.make("Pendulum-v1")
    coordinates = adapter_for(base.unwrapped, None).coordinates(base.unwrapped)
    ensemble = Ensemble.of(members("Baseline", system=coordinates))
    how = {"integrator": "rk4", "substeps": 1}
    env = LearnedDynamicsEnv(base, ensemble, uncertainty_penalty=2.0, **how)
    plain = LearnedDynamicsEnv(gymnasium.make("Pendulum-v1"), ensemble, **how)
    for one in (env, plain):
        _, info = one.reset(seed=0)
        assert (info["uncertainty"], info["uncertain"]) == (0.0, False)
    (_, less, *_), (_, reward, *_, info) = env.step([1.0]), plain.step([1.0])
    assert info["uncertainty"] > 0
    assert less == pytest.approx(reward - 2.0 * info["uncertainty"])
    plain.close()
    drawn = LearnedDynamicsEnv(base.unwrapped.spec.make(), ensemble, member="draw", **how)
    seen = []
    for seed in (0, 0, 1, 2, 3, 4, 5):
        drawn.reset(seed=seed, options={"x_init": 0.0, "y_init": 0.0})
        seen.append(float(drawn.step([1.0])[0][2]))
    assert seen[0] == seen[1]
    assert len(set(seen)) == 3


# -- planning -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def plans(path):
    """The returns (3, 7) of seven plans in each member, and what is needed to plan."""
    env, params = functional.make(checkpoint=path, integrator="rk4", substeps=1)
    state, _ = env.start(jnp.asarray(STATE), M, jnp.zeros(0), params)
    start = env.view(state, params)
    tried = jnp.asarray(np.moveaxis(actions(3, 7), 1, 0))

    def worth(params, actions):
        return plan_return(env, params, start, actions, 0.9)

    def through(kind, pessimism=0.0):
        return returns_through(worth, params, tried, kind, pessimism)

    alone = replace(params, trust=None)

    def by(i):
        moved = alone.moved_by(params.dynamics.member(i))
        return jax.vmap(lambda one: worth(moved, one).value)(tried)

    return np.stack([by(i) for i in range(3)]), through


def test_each_plan_goes_through_its_own_member(plans):
    each, through = plans
    expected = [each[i % 3, i] for i in range(7)]
    np.testing.assert_allclose(through("own").value, expected, atol=1e-6)


@pytest.mark.parametrize("pessimism", [0.0, 1.0, -2.0])
def test_pessimism_is_what_disagreement_costs(plans, pessimism):
    each, through = plans
    expected = each.mean(axis=0) - pessimism * each.std(axis=0)
    assert each.std(axis=0).min() > 1e-4
    np.testing.assert_allclose(through("all", pessimism).value, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("planner", "how"), [(MPPI, {"through": "all", "pessimism": 1.0}), (CEM, {"through": "own"})]
)
def test_a_policy_plans_through_members(path, planner, how):
    where = functional.make(checkpoint=path, integrator="rk4")
    policy = Policy(where, planner(samples=16, elites=4, horizon=3, **how))
    action = policy.act(STATE)
    assert action.shape == (2,)
    assert np.all(np.abs(action) <= 1)


def test_planning_through_members_needs_some(baseline_checkpoint):
    where = functional.make(checkpoint=baseline_checkpoint)
    policy = Policy(where, MPPI(samples=16, elites=4, through="own"))
    with pytest.raises(ConfigurationError, match="no members to follow"):
        policy.act(STATE)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"through": "best"}, "through = 'best'"),
        ({"pessimism": 1.0}, 'give through="all"'),
        ({"pessimism": np.nan, "through": "all"}, "pessimism = nan"),
    ],
)
def test_planners_refuse_what_makes_no_sense(options, message):
    with pytest.raises(ConfigurationError, match=message):
        MPPI(**options)
