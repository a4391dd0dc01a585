"""The vector environment with the interface of Stable-Baselines3, for its learners and wrappers.

    from stable_baselines3 import PPO
    from gym_lagrangian.envs.sb3 import SB3VecEnv

    env = SB3VecEnv("DoublePendulumLNN-v0", num_envs=256, dtype="float32")
    PPO("MlpPolicy", env).learn(1_000_000)

Stable-Baselines3 (Raffin et al., 2021) has an interface of its own for many environments at once,
older than Gymnasium's. An episode that has ended is followed by the next one within the same step:
the observation is the new episode's first, and what ended the old one is in its info. A thousand
dicts a step would cost more than the physics, so an info is empty until its episode ends. Then it
holds what the scalar environment's info held at that step, and

``terminal_observation``
    the last observation of the episode.
``TimeLimit.truncated``
    whether it was cut off rather than terminated, so that learners count on the return that would
    have followed. Divergence cuts off too.
``is_success``
    `success` by the name under which evaluations and logs look for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import jax
import numpy as np
from gymnasium.vector import AutoresetMode

from gym_lagrangian.envs.state import STATES, stacked
from gym_lagrangian.envs.vector import LagrangianVectorEnv
from gym_lagrangian.errors import ConfigurationError, MissingExtra
from gym_lagrangian.registration import GENERIC_ID, find, system_reference

try:
    from stable_baselines3.common.vec_env import VecEnv  # pyright: ignore[reportMissingImports]
except ImportError as error:
    raise MissingExtra(
        'this needs Stable-Baselines3: pip install "gym-lagrangian[sb3]" (after a CPU build of '
        "torch, unless its default build with CUDA is wanted)"
    ) from error

# Those methods of the vector environment that have one result a sub-environment, or none.
METHODS = ("get_state", "set_state", "render")


class SB3VecEnv(VecEnv):
    """A `VecEnv` of Stable-Baselines3 over a `LagrangianVectorEnv`.

    Seeding, resetting and stepping equal those of a `DummyVecEnv` of the scalar environment.
    Observations and rewards are float32. `VecMonitor`, `VecNormalize`, `VecFrameStack` and the
    other wrappers go around it.

    Reference: Raffin et al., "Stable-Baselines3: Reliable Reinforcement Learning
    Implementations" (2021).
    """

    def __init__(
        self,
        env: str | type | LagrangianVectorEnv = GENERIC_ID,
        *,
        num_envs: int | None = None,
        **arguments: Any,
    ):
        """Make the environment of an id, or adapt one that is there.

            SB3VecEnv("mypkg.systems:CartPole", num_envs=64, checkpoint="cartpole.safetensors")

        Arguments:
            env: an id, a system's name, "module:Class" or a `System` subclass; or a vector
                environment whose autoreset mode is ``SAME_STEP`` and whose output is ``"numpy"``.
                A checkpoint alone says itself what moves.
            num_envs: number of sub-environments of an id; 1 if not given.
            arguments: of `LagrangianVectorEnv`, for an id: `checkpoint`, `task`, parameters of
                the system …

        Raises:
            ConfigurationError: an unknown id, another kind of environment, or arguments that make
                no sense.
            CheckpointError: the checkpoint is damaged, or a model of something else.
        """
        given = arguments if num_envs is None else {"num_envs": num_envs, **arguments}
        named = isinstance(env, str | type)
        if given and not named:
            raise ConfigurationError(
                f"{', '.join(given)}: only for an id; this environment has its own"
            )
        self.vector_env = base = _checked(_made(env, given) if named else env)
        self._actions: Any = None
        super().__init__(base.num_envs, base.single_observation_space, base.single_action_space)
        self.metadata = base.metadata

    # -- episodes -----------------------------------------------------------------------------

    def reset(self) -> np.ndarray:
        """Begin an episode everywhere, with what `seed` and `set_options` have laid ready for it.

        Raises:
            ConfigurationError: as `LagrangianVectorEnv.reset`; options of some sub-environments
                with other keys than those of the rest.
        """
        options = _batched(self._options, 2 * self.vector_env.coordinates.n)
        observations, infos = self.vector_env.reset(seed=self._seeds, options=options)
        self.reset_infos = [_row(infos, i) for i in range(self.num_envs)]
        self._reset_seeds()
        self._reset_options()
        return observations

    def step_async(self, actions: np.ndarray) -> None:
        """Take the actions (num_envs, a) of the step that `step_wait` makes."""
        self._actions = actions

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Step, and begin the next episode where one has ended.

        Raises:
            ConfigurationError: actions of another shape, or with values that are not finite.
        """
        stepped = self.vector_env.step(self._actions)
        observations, rewards, terminated, truncated, batch = stepped
        dones = terminated | truncated
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for i in np.flatnonzero(dones).tolist():
            last = _row(batch["final_info"], i)
            infos[i] = last | {
                "terminal_observation": batch["final_obs"][i],
                "TimeLimit.truncated": bool(truncated[i] and not terminated[i]),
                "is_success": bool(last["success"]),
            }
            self.reset_infos[i] = _row(batch, i)
        return observations, rewards.astype(np.float32), dones, infos

    def close(self) -> None:
        self.vector_env.close()

    # -- pictures -----------------------------------------------------------------------------

    def get_images(self) -> Sequence[np.ndarray | None]:
        """One picture a sub-environment; None without ``render_mode="rgb_array"``."""
        return self.vector_env.render() or [None] * self.num_envs

    # -- what the sub-environments have -------------------------------------------------------

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """An attribute, once for each of the sub-environments asked, which share it."""
        single = attr_name in ("observation_space", "action_space")
        value = getattr(self.vector_env, f"single_{attr_name}" if single else attr_name)
        return [value for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Set an attribute of all sub-environments: `dynamics` swaps what moves them.

        Raises:
            ConfigurationError: `indices` leaves some out.
        """
        self._require_all(f"set_attr({attr_name!r})", indices)
        setattr(self.vector_env, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any
    ) -> list[Any]:
        """Call ``get_state()``, ``set_state(states)`` or ``render()`` of the vector environment,
        and return its result for each of the sub-environments asked.

        Raises:
            ConfigurationError: another method, or `set_state` with `indices` that leave some out.
        """
        if method_name not in METHODS:
            raise ConfigurationError(
                f"env_method({method_name!r}): the sub-environments are one computation and offer "
                f"{', '.join(METHODS)}; for more, see the attribute vector_env"
            )
        if method_name == "set_state":
            self._require_all("env_method('set_state')", indices)
        results = getattr(self.vector_env, method_name)(*method_args, **method_kwargs)
        return [_of_one(results, i) for i in self._get_indices(indices)]

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """No sub-environment has a wrapper of its own."""
        return [False for _ in self._get_indices(indices)]

    def _require_all(self, what: str, indices: Any) -> None:
        chosen = set(self._get_indices(indices))
        if chosen != set(range(self.num_envs)):
            raise ConfigurationError(
                f"{what} of sub-environments {sorted(chosen)} only: it is one for all "
                f"{self.num_envs}; leave indices out"
            )


def _of_one(results: Any, i: int) -> Any:
    """The result of one sub-environment; of states, with their m and goal."""
    if isinstance(results, STATES):
        return jax.tree.map(lambda rows: rows[i], results)
    return None if results is None else results[i]


def _made(what: str | type, arguments: dict[str, Any]) -> Any:
    row = find(what if isinstance(what, str) else system_reference(what))
    common = {"num_envs": 1, "autoreset_mode": AutoresetMode.SAME_STEP}
    given = {**common, **row.kwargs, **arguments}
    return gymnasium.make_vec(row.id, vectorization_mode="vector_entry_point", **given)


def _checked(env: Any) -> LagrangianVectorEnv:
    if not isinstance(env, LagrangianVectorEnv):
        raise ConfigurationError(
            f"{env!r}: expected an id or a LagrangianVectorEnv without wrappers; those of "
            "Stable-Baselines3 go around this one"
        )
    if env.metadata["autoreset_mode"] != AutoresetMode.SAME_STEP:
        raise ConfigurationError(
            f"autoreset_mode is {env.metadata['autoreset_mode'].name}: Stable-Baselines3 needs "
            'autoreset_mode="SAME_STEP"'
        )
    if env.output != "numpy":
        raise ConfigurationError(f'output = {env.output!r}: Stable-Baselines3 needs "numpy"')
    return env


def _row(batch: dict[str, Any], i: int) -> dict[str, Any]:
    """The info of one sub-environment out of those of all: `batch` has a mask beside every key."""
    return {
        key: value[i]
        for key, value in batch.items()
        if not key.startswith("_") and not key.startswith("final_")
    }


def _batched(options: list[dict[str, Any]], size: int) -> dict[str, Any] | None:
    """The reset options of all sub-environments as one dict: a number stands for `size` of it."""
    keys = options[0].keys()
    for i, one in enumerate(options):
        if one.keys() != keys:
            raise ConfigurationError(
                f"options of sub-environment {i} are {sorted(one)}, of sub-environment 0 "
                f"{sorted(keys)}: give all of them the same"
            )
    batch = {key: _stacked(key, [one[key] for one in options], size) for key in keys}
    return batch or None


def _stacked(key: str, values: list[Any], size: int) -> Any:
    if any(isinstance(value, STATES) for value in values):
        return stacked(values)
    try:
        rows = np.stack(values)
    except ValueError as error:
        raise ConfigurationError(
            f'options["{key}"] has another shape here than there: expected ({size},) everywhere'
        ) from error
    return np.tile(rows[:, None], size) if rows.ndim == 1 else rows
