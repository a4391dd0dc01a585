"""The table of adapters, looked up by the class of an environment or by a base class of it."""

from __future__ import annotations

import inspect
from typing import Any

from gym_lagrangian import references
from gym_lagrangian.adapters.base import Adapter
from gym_lagrangian.errors import ConfigurationError

_CLASSIC = "gymnasium.envs.classic_control"
_OURS = "gym_lagrangian.adapters"

# An environment's class → its adapter. Rows are strings: MuJoCo is imported by who uses it.
_ADAPTERS: dict[str, Any] = {
    f"{_CLASSIC}.pendulum:PendulumEnv": f"{_OURS}.classic_control:PendulumAdapter",
    f"{_CLASSIC}.cartpole:CartPoleEnv": f"{_OURS}.classic_control:CartPoleAdapter",
    f"{_CLASSIC}.acrobot:AcrobotEnv": f"{_OURS}.classic_control:AcrobotAdapter",
    f"{_CLASSIC}.continuous_mountain_car:Continuous_MountainCarEnv": (
        f"{_OURS}.classic_control:MountainCarAdapter"
    ),
    "gymnasium.envs.mujoco.mujoco_env:MujocoEnv": f"{_OURS}.mujoco:MujocoAdapter",
}

_HOW = """\
    class MyAdapter(gym_lagrangian.Adapter):
        def coordinates(self, env):
            return gym_lagrangian.Coordinates(("theta",), angular=True, name="MyEnv")
        def dt(self, env):
            return env.dt                          # seconds
        def state(self, env):
            return [env.theta], [env.omega]        # q, q̇
        def set_state(self, env, q, qd):
            env.theta, env.omega = q[0], qd[0]
        def generalized_force(self, env, action):
            return [env.torque_max * action[0]]    # N·m
        def step(self, env, action, q, qd):        # all but the motion, which leads to (q, q̇)
            self.set_state(env, q, qd)
            return env.observation(), env.reward(action), False, False, {}"""


def register_adapter(env: type | str, adapter: type[Adapter] | Adapter | str) -> None:
    """Say which adapter environments of a class have, and those of its subclasses; the adapter of
    the closest class counts. Registering again replaces it.

    Arguments:
        env: the class of an unwrapped environment, or "module:Class".
        adapter: a subclass of `Adapter`, an instance, or "module:Class".

    Raises:
        ConfigurationError: neither a class nor the name of one.
    """
    if not (inspect.isclass(env) or references.is_reference(env)):
        raise ConfigurationError(f'env = {env!r}: expected a class, or "module:Class"')
    if not references.is_reference(adapter):
        _made(adapter)
    _ADAPTERS[env if isinstance(env, str) else _key(env)] = adapter


def adapter_for(env: Any, adapter: Any = None) -> Adapter:
    """The adapter of an environment, wrapped or not.

    Arguments:
        adapter: one to use in place of the registered one, as for `register_adapter`.

    Raises:
        ConfigurationError: there is none; the message shows what one needs.
    """
    if adapter is not None:
        return _made(adapter)
    kinds = [_key(kind) for kind in type(env.unwrapped).__mro__]
    found = next((_ADAPTERS[kind] for kind in kinds if kind in _ADAPTERS), None)
    if found is None:
        raise ConfigurationError(
            f"{env.unwrapped} is not an environment of gym_lagrangian, and no adapter says what "
            f"its coordinates and forces are. Write one:\n\n{_HOW}\n\nand give it as "
            f"adapter=MyAdapter(), or once and for all by "
            f"gym_lagrangian.register_adapter({kinds[0]!r}, MyAdapter)"
        )
    return _made(found)


def _key(kind: type) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


def _made(adapter: Any) -> Adapter:
    found = references.load(adapter, "adapter") if isinstance(adapter, str) else adapter
    found = found() if inspect.isclass(found) and issubclass(found, Adapter) else found
    if not isinstance(found, Adapter):
        raise ConfigurationError(
            f"adapter = {adapter!r}: expected an Adapter, a subclass of it, or "
            f'"module:Class" of one'
        )
    return found
