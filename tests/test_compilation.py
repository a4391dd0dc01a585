"""What compiles: a structure once, and nothing for another instance, weights, reset or seed."""

import contextlib
import logging

import gymnasium
import jax
import numpy as np
import pytest

import gym_lagrangian  # noqa: F401
from gym_lagrangian import FitConfig, LearnedDynamicsEnv, checkpoints, collect, fit, programs
from gym_lagrangian.envs.functional import dynamics_of
from gym_lagrangian.planning import CEM, MPPI, Policy


@contextlib.contextmanager
def compilations():
    """The names of what is compiled meanwhile."""
    found: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record):
            if record.getMessage().startswith("Compiling"):
                found.append(record.getMessage()[:80])

    logger, handler = logging.getLogger("jax"), Handler()
    logger.addHandler(handler)
    try:
        with jax.log_compiles(True):
            yield found
    finally:
        logger.removeHandler(handler)


def test_compilations_are_seen():
    with compilations() as found:
        jax.jit(lambda x: x * 3.25)(np.ones(7))
    assert found


def use(env, seed):
    """Everything that may not compile twice."""
    shape = env.action_space.shape
    env.reset(seed=seed)
    env.step(np.zeros(shape, np.float32))
    env.reset()
    env.step(np.full(shape, 0.3, np.float32))
    env.set_state(env.get_state())
    env.step(np.zeros(shape, np.float32))


def scalar(**options):
    return gymnasium.make("DoublePendulum-v0", **options).unwrapped


def vector(**options):
    return gymnasium.make_vec(
        "DoublePendulum-v0", num_envs=3, vectorization_mode="vector_entry_point", **options
    )


@pytest.mark.parametrize("make", [scalar, vector])
def test_a_second_instance_a_reset_and_another_seed_compile_nothing(make):
    use(make(), 0)
    with compilations() as found:
        use(make(), 1)
        use(make(m1=2.0, g=1.6), 2)
    assert not found


@pytest.mark.parametrize("make", [scalar, vector])
def test_other_weights_compile_nothing(make, make_checkpoint):
    first, second = (
        make_checkpoint("DoublePendulum", "LNN", seed=seed, width=4, depth=1) for seed in (0, 1)
    )
    models = [checkpoints.load(path).model for path in (first, second)]
    swapped = dynamics_of(models[1], integrator="dop853", substeps=2)
    use(make(checkpoint=first), 0)
    with compilations() as found:
        use(make(checkpoint=second), 0)
        env = make(checkpoint=first)
        env.dynamics = swapped
        use(env, 0)
    assert not found


def test_a_wrapper_with_other_weights_compiles_nothing(make_checkpoint):
    paths = [make_checkpoint("DoublePendulum", "LNN", seed=s, width=4, depth=1) for s in (0, 1)]
    env = LearnedDynamicsEnv(gymnasium.make("DoublePendulum-v0"), paths[0])
    use(env.unwrapped, 0)
    env.set_model(paths[1])  # in an episode: what it shows of the state is computed anew
    with compilations() as found:
        env.set_model(paths[0])
        use(env.unwrapped, 0)
    assert not found


@pytest.mark.parametrize(
    "planner", [MPPI(samples=8, elites=4, horizon=3), CEM(samples=8, elites=4, horizon=3)]
)
def test_a_policy_of_other_weights_seed_or_masses_compiles_nothing(planner, make_checkpoint):
    paths = [make_checkpoint("DoublePendulum", "LNN", seed=s, width=4, depth=1) for s in (0, 1)]
    state, m = np.zeros((3, 4)), np.array([1.0, 1.0, 1.0, 1.0, 9.8])

    def act(seed, path, m):
        policy = Policy("DoublePendulum-v0", planner, dt=0.1, checkpoint=path, seed=seed)
        policy.act(state, m)
        policy.act(state, m)
        policy.reset()
        policy.act(state, m)

    act(0, paths[0], m)
    with compilations() as found:
        act(1, paths[1], 2 * m)
        act(2, paths[0], None)
    assert not found


def test_another_seed_more_steps_and_nearby_data_compile_no_fit_anew(tmp_path):
    """The attempts of `starts` are made by the program of the fit itself."""
    data = collect("DoublePendulum-v0", 400, seed=0, episode_steps=20)
    small = {"model_config": {"width": 4, "depth": 1}, "metrics": False, "overwrite": True}
    how = {"batch": 8, "chunk": 4, "starts": 2, "trial": 6}

    def fitted(rows, **settings):
        config = FitConfig(**how, **settings)
        fit(data.first(rows), "Baseline", out=tmp_path / "m.safetensors", config=config, **small)

    with compilations() as found:
        fitted(400, steps=10)
    assert sum("_chunk" in name for name in found) == 1
    with compilations() as found:
        fitted(400, steps=13, seed=1, learning_rate=1e-3, warmup=1)
        fitted(390, steps=10)
        fitted(350, steps=10)
    assert not found


@pytest.mark.skipif(not programs._MAPS.exists(), reason="the limit is Linux's")
@pytest.mark.parametrize(("limit", "kept"), [(10**9, 1), (100, 0)])
def test_programs_are_forgotten_where_a_process_can_hold_no_more(
    limit, kept, tmp_path, monkeypatch
):
    """A fit begins with room for its own; what is forgotten is compiled again."""
    (tmp_path / "limit").write_text(f"{limit}\n")
    monkeypatch.setattr(programs, "_LIMIT", tmp_path / "limit")
    doubled = jax.jit(lambda x: 2.0 * x)
    doubled(1.0)
    data = collect("DoublePendulum-v0", 100, seed=0)
    config = FitConfig.of("Baseline", steps=2, batch=2, chunk=1)
    small = {"config": config, "model_config": {"width": 4, "depth": 1}, "metrics": False}
    with pytest.warns(UserWarning, match="learned nothing"):
        fit(data, "Baseline", out=tmp_path / "m.safetensors", **small)
    assert doubled._cache_size() == kept
    assert doubled(3.0) == 6.0


def test_where_there_is_no_such_limit_all_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(programs, "_LIMIT", tmp_path / "none")
    doubled = jax.jit(lambda x: 2.0 * x)
    doubled(1.0)
    programs.make_room()
    assert doubled._cache_size() == 1
