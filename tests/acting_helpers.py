"""Small runs of `learn`, and environments that forbid what an agent must not do."""

import gymnasium

from gym_lagrangian.planning import MPPI

# A pendulum, and a run of it that costs little: what it learns is beside the point.
ID = "PilcoPendulum-v0"
TINY = {
    "model": "Baseline",
    "steps": (20, 10),
    "config": {"batch": 8, "chunk": 10},
    "model_config": {"width": 4, "depth": 1},
    "planner": MPPI(samples=8, elites=4, horizon=3),
}


class Forbidden(dict):
    """An `info` that must not be read."""

    def _refuse(self, *_, **__):
        raise AssertionError("info was read")

    __getitem__ = get = keys = items = values = __iter__ = __contains__ = __len__ = _refuse


class Blind(gymnasium.Wrapper):
    """Observations, rewards and flags alone; a reset takes a seed and nothing else."""

    def reset(self, *, seed=None):
        return self.env.reset(seed=seed)[0], Forbidden()

    def step(self, action):
        return (*self.env.step(action)[:4], Forbidden())


def lines(found):
    """The history but for what a clock measured."""
    return [{k: v for k, v in line.items() if k != "wall"} for line in found.history]
