"""An environment of another package, and its adapter."""

import gymnasium
import numpy as np
from gymnasium import spaces

from gym_lagrangian import Adapter, Coordinates


class Hoist(gymnasium.Env):
    """A load of 2 kg on a damped hoist, whose step is one method."""

    dt, pull, mass, damping = 0.02, 60.0, 2.0, 0.5
    observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float64)
    action_space = spaces.Box(-1.0, 1.0, (1,), np.float32)
    render_mode = None

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.height, self.speed = self.np_random.uniform(-0.5, 0.5, 2)
        return self.observation(), {}

    def observation(self):
        return np.array([self.height, self.speed])

    def step(self, action):
        lift = self.pull * float(action[0]) - self.damping * self.speed
        self.speed += self.dt * (lift / self.mass - 9.81)
        self.height += self.dt * self.speed
        fallen = abs(self.height) > 2.0
        return self.observation(), -abs(self.height), fallen, False, {}


class HoistAdapter(Adapter):
    """All that the package has to know of it."""

    def coordinates(self, env):
        return Coordinates(("height",), name="Hoist")

    def dt(self, env):
        return env.dt

    def state(self, env):
        return [env.height], [env.speed]

    def set_state(self, env, q, qd):
        env.height, env.speed = q[0], qd[0]

    def generalized_force(self, env, action):
        return [env.pull * action[0]]

    def step(self, env, action, q, qd):
        self.set_state(env, q, qd)
        return env.observation(), -abs(q[0]), bool(abs(q[0]) > 2.0), False, {}
