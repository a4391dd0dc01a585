"""Run under other jax settings: ``python other_settings.py name=value … part …``.

What a program does that uses the package, at the smallest size: every part works, or the script
fails with a traceback.
"""

import json
import sys
import tempfile

import jax

for setting in (one for one in sys.argv[1:] if "=" in one):
    name, value = setting.split("=")
    jax.config.update(name, json.loads(value) if value in ("true", "false") else value)

import gymnasium
import jax.numpy as jnp
import numpy as np

from gym_lagrangian import FitConfig, Transitions, fit, functional
from gym_lagrangian.planning import MPPI, Policy

QUICK = {"integrator": "rk4", "substeps": 1}
IDS = ("RelativisticParticle-v0", "RelativisticParticleBaseline-v0")


def environments() -> None:
    for env_id in IDS:
        env = gymnasium.make(f"gym_lagrangian:{env_id}", **QUICK)
        env.reset(seed=0)
        assert np.isfinite(env.step(np.ones(1, np.float32))[0]).all()
        how = {"num_envs": 2, "vectorization_mode": "vector_entry_point"}
        vector = gymnasium.make_vec(env_id, **how, **QUICK)
        vector.reset(seed=0)
        assert np.isfinite(vector.step(np.ones((2, 1), np.float32))[0]).all()


def pure_functions() -> None:
    env, params = functional.make("RelativisticParticle", **QUICK)
    state, _ = env.reset(jax.random.key(0), params)

    def step(state, action):
        state, timestep = env.step(None, state, action, params)
        return state, timestep.reward

    rewards = jax.lax.scan(step, state, jnp.ones((3, 1), state.x.dtype))[1]
    assert np.isfinite(rewards).all()


def plans() -> None:
    planner = MPPI(horizon=3, samples=4, elites=2)
    policy = Policy("RelativisticParticle-v0", planner, g=1.0)
    assert np.isfinite(policy.act(np.array([0.5, 0.0]))).all()


def fits() -> None:
    q = np.sin(0.1 * np.arange(41))[:, None]
    qd = np.cos(0.1 * np.arange(41))[:, None]
    m = np.tile([1.0, 1.0, 1.0], (40, 1))
    data = Transitions(
        "RelativisticParticle", q=q[:-1], qd=qd[:-1], next_q=q[1:], next_qd=qd[1:], dt=0.1, m=m
    )
    with tempfile.TemporaryDirectory() as folder:
        found = fit(
            data,
            "Baseline",
            out=f"{folder}/m.safetensors",
            config=FitConfig(steps=2, batch=4, chunk=1, horizon=2, optimiser="adam"),
            model_config={"width": 4, "depth": 1},
            metrics=False,
            insist=True,
        )
    assert np.isfinite(found.card.metrics["held_out_error"])


for part in (environments, pure_functions, plans, fits):
    if part.__name__ in sys.argv:
        part()
        print(part.__name__)
