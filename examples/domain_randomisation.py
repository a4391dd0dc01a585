"""Domain randomisation inside a learned model: PPO trained over many double pendulums, or at one.

    python examples/domain_randomisation.py --seeds 3

Policies are trained in `DoublePendulumLNN-conditioned`, a network of masses and lengths as well: at
its default parameters; with masses and lengths drawn anew for every episode; and at one first, then
at many, as many updates again. All are judged in the exact simulation, on the same pendulums,
which none of them has seen.
"""

import argparse
from functools import partial

import jax
import numpy as np
from ppo_in_one_jit import forward, train

from gym_lagrangian import functional

NAMES = ("m1", "m2", "l1", "l2")  # 1 kg and 1 m each by default
COURSES = ("one pendulum", "many", "one, then many")
LEARNED = {"system": "DoublePendulum", "checkpoint": "DoublePendulumLNN-conditioned"}


@partial(jax.jit, static_argnames=("env", "steps"))
def returns(env, params, agent, scale, keys, steps):
    """The return (N,) of a policy from N resets, each with parameters of its own."""
    states, _ = jax.vmap(env.reset, in_axes=(0, None))(keys, params)
    play = lambda observation: forward(agent[0], observation / scale)  # noqa: E731
    return functional.simulate(env, params, states, play, steps=steps).rewards.sum(axis=1)


def policy(seed, envs, updates, ranges, *courses):
    """An agent that was trained in the learned model, and the scale of its observations.

    Arguments:
        updates: of each course.
        courses: the parameters of one course of training after another.
    """
    env, wide = functional.make(**LEARNED, **ranges)
    _, scale = env.task.observation_bounds(wide.m_bounds, wide.goal_bounds)
    agent = None
    for course, parameters in enumerate(courses):
        env, params = functional.make(**LEARNED, **parameters)
        key = jax.random.key(1_000 * course + seed)
        agent, _ = train(env, params, scale, key, envs, updates, agent=agent)
    return agent, scale


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--envs", type=int, default=256)
    parser.add_argument("--updates", type=int, default=100, help="of each course")
    parser.add_argument("--pendulums", type=int, default=200)
    parser.add_argument("--spread", type=float, default=0.5, help="of masses and lengths: ± this")
    parser.add_argument("--courses", nargs="+", default=[*COURSES], choices=COURSES)
    given = parser.parse_args()
    ranges = dict.fromkeys(NAMES, (1.0 - given.spread, 1.0 + given.spread))
    truth = functional.make("DoublePendulum", **ranges)
    keys = jax.random.split(jax.random.key(1_000), given.pendulums)
    print("| trained at | return of 500 steps: mean over seeds | each seed | worst tenth |")
    print("|---|---|---|---|")
    courses = dict(zip(COURSES, (({},), (ranges,), ({}, ranges)), strict=True))
    for label in given.courses:
        found = []
        for seed in range(given.seeds):
            agent, scale = policy(seed, given.envs, given.updates, ranges, *courses[label])
            found.append(np.asarray(returns(*truth, agent, scale, keys, 500)))
        means = [one.mean() for one in found]
        worst = np.mean([np.sort(one)[: max(1, given.pendulums // 10)].mean() for one in found])
        each = ", ".join(f"{mean:.0f}" for mean in means)
        print(f"| {label} | {np.mean(means):.0f} | {each} | {worst:.0f} |", flush=True)


if __name__ == "__main__":
    main()
