"""Domain randomisation inside a learned model: PPO trained over many double pendulums, or at one.

    python examples/domain_randomisation.py --seeds 3

Policies are trained in `DoublePendulumLNN-conditioned`, a network of masses and lengths as well: at
its default parameters, or with masses and lengths drawn anew for every episode. Both are judged in
the exact simulation, on the same pendulums, which neither has seen.
"""

import argparse
from functools import partial

import jax
import numpy as np
from ppo_in_one_jit import forward, train

from gym_lagrangian import functional

NAMES = ("m1", "m2", "l1", "l2")  # 1 kg and 1 m each by default
LEARNED = "DoublePendulumLNN-conditioned"
COARSE = {"integrator": "rk4", "substeps": 2}  # enough to learn control, and quick


@partial(jax.jit, static_argnames=("env", "steps"))
def returns(env, params, agent, scale, keys, steps):
    """The return (N,) of a policy from N resets, each with parameters of its own."""
    states, _ = jax.vmap(env.reset, in_axes=(0, None))(keys, params)
    play = lambda observation: forward(agent[0], observation / scale)  # noqa: E731
    return functional.simulate(env, params, states, play, steps=steps).rewards.sum(axis=1)


def policy(seed, envs, updates, scale, **parameters):
    """An agent that was trained in the learned model at these parameters.

    Arguments:
        scale: of observations.
    """
    env, params = functional.make("DoublePendulum", checkpoint=LEARNED, **COARSE, **parameters)
    return train(env, params, scale, jax.random.key(seed), envs, updates)[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--envs", type=int, default=256)
    parser.add_argument("--updates", type=int, default=150)
    parser.add_argument("--pendulums", type=int, default=200)
    parser.add_argument("--spread", type=float, default=0.3, help="of masses and lengths: ± this")
    parser.add_argument("--torque", type=float, default=15.0, help="of a full action, in N·m")
    given = parser.parse_args()
    ranges = dict.fromkeys(NAMES, (1.0 - given.spread, 1.0 + given.spread))
    motors = {"torque_max": given.torque}
    env, params = functional.make("DoublePendulum", **ranges, **motors)
    _, scale = env.task.observation_bounds(params.m_bounds, params.goal_bounds)
    keys = jax.random.split(jax.random.key(1_000), given.pendulums)
    print("| trained at | return of 500 steps: mean over seeds | each seed | worst tenth |")
    print("|---|---|---|---|")
    for label, parameters in {"one pendulum": {}, "many": ranges}.items():
        found = []
        for seed in range(given.seeds):
            agent = policy(seed, given.envs, given.updates, scale, **parameters, **motors)
            found.append(np.asarray(returns(env, params, agent, scale, keys, 500)))
        means = [one.mean() for one in found]
        worst = np.mean([np.sort(one)[: max(1, given.pendulums // 10)].mean() for one in found])
        each = ", ".join(f"{mean:.0f}" for mean in means)
        print(f"| {label} | {np.mean(means):.0f} | {each} | {worst:.0f} |", flush=True)


if __name__ == "__main__":
    main()
