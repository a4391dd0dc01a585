r"""The vector environment: thousands of sub-environments in one jitted call."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces
from gymnasium.utils.seeding import np_random
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from jax.typing import ArrayLike

from gym_lagrangian.checks import one_of, whole_number
from gym_lagrangian.envs._arguments import check_action, reset_mask, starting_bounds, starting_state
from gym_lagrangian.envs._scope import KEPT
from gym_lagrangian.envs.autoreset import Episode, advance, begin, select
from gym_lagrangian.envs.functional import Info, Params, State, Timestep, no_number, scene_of
from gym_lagrangian.envs.shell import Shell
from gym_lagrangian.errors import ConfigurationError

OUTPUTS = ("numpy", "jax")


class LagrangianVectorEnv(  # pyright: ignore[reportIncompatibleVariableOverride]
    Shell, VectorEnv
):
    r"""`num_envs` copies of one environment, stepped, restarted and drawn together.

    ## Description
    As `LagrangianEnv`, batched: `gymnasium.make_vec(id, num_envs=4096,
    vectorization_mode="vector_entry_point")`. Dynamics, reward, time limit, autoreset and
    randomness are one jitted call a step, and state stays on the device. Step by step it equals
    `SyncVectorEnv` of the scalar environment under the same seeds and actions, in every
    autoreset mode, also where only some sub-environments reset.

    ## Action Space
    `Box(-1, 1, (num_envs, a))`, float32.

    ## Observation Space
    The scalar environment's, batched.

    ## Rewards
    The scalar environment's, one a sub-environment.

    ## Starting State
    The scalar environment's. Sub-environment i is seeded with `seed + i`. `options` takes
    `"state"` of shape (2n,) or (num_envs, 2n), `"low"` and `"high"` likewise, and in any mode
    `"reset_mask"`, a boolean array of those to reset.

    ## Episode End
    The scalar environment's, with the time limit of the id. `autoreset_mode` says what follows.

    ## Arguments
    Those of `LagrangianEnv`, and

    | Name                | Default       | Meaning                                             |
    |---------------------|---------------|-----------------------------------------------------|
    | `num_envs`          | 1             | number of sub-environments                          |
    | `autoreset_mode`    | `"NEXT_STEP"` | also `"SAME_STEP"` or `"DISABLED"`                   |
    | `max_episode_steps` | set by id     | time limit; None or ≤ 0 for none                    |
    | `output`            | `"numpy"`     | `"numpy"`, or `"jax"` for arrays on the device      |

    A parameter of an exact environment (mass, length, `g` …) may also be an array of shape
    (num_envs,), one value a sub-environment. Only `render_mode="rgb_array"` is offered: one
    picture a sub-environment.

    ## Version History
    * v0: Initial version.
    """

    def __init__(
        self,
        system: Any = None,
        *,
        num_envs: int = 1,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        max_episode_steps: int | None = None,
        output: str = "numpy",
        checkpoint: str | os.PathLike[str] | None = None,
        task: Any = None,
        reward: Any = None,
        dt: float = 0.05,
        dtype: str = "float64",
        integrator: str = "dop853",
        substeps: int | None = None,
        render_mode: str | None = None,
        render_size: int = 500,
        device: str = "cpu",
        **options: Any,
    ):
        self._renderers: list[Any] = []  # first: closing must work even where an argument is bad
        num_envs = whole_number("num_envs", num_envs)
        one_of("output", output, OUTPUTS)
        if render_mode not in (None, "rgb_array"):
            raise ConfigurationError(
                f'render_mode = {render_mode!r}: a vector environment draws "rgb_array" only'
            )
        self.num_envs = num_envs
        self._mode = _autoreset_mode(autoreset_mode)
        limited = max_episode_steps is not None and max_episode_steps > 0
        self._max_steps = max_episode_steps if limited else None
        self.output = output
        self._render_size = render_size
        self._episodes: Episode | None = None
        self._per_env, ranges = _per_environment(options, num_envs)
        self._build(
            system,
            checkpoint=checkpoint,
            task=task,
            reward=reward,
            dt=dt,
            dtype=dtype,
            device=device,
            integrator=integrator,
            substeps=substeps,
            options=ranges,
        )
        low, high = self.task.observation_bounds(
            _widest(self._params.m_bounds), _widest(self._params.goal_bounds)
        )
        self.single_observation_space = spaces.Box(low, high, dtype=np.float32)
        self.single_action_space = spaces.Box(-1.0, 1.0, (self.task.action_size,), np.float32)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.render_mode = render_mode
        self.metadata = {
            "render_modes": ["rgb_array"],
            "render_fps": max(1, round(1 / self.dt)),
            "autoreset_mode": self._mode,
        }

    # -- the Gymnasium interface --------------------------------------------------------------

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode everywhere, or where ``options["reset_mask"]`` is True.

        Raises:
            ConfigurationError: as `LagrangianEnv.reset`; a seed list of another length than
                num_envs; a mask that is not a boolean array of shape (num_envs,) with at least
                one True, or one given before the first whole reset.
        """
        mask = reset_mask(options, self.num_envs)
        with self.scope():
            keys = self._seeded(seed)
            params = self._params
            if options and set(options) != {"reset_mask"}:
                bounds = starting_bounds(self._env, params, options, count=self.num_envs)
                params = dataclasses.replace(params, reset_bounds=jnp.asarray(bounds, self._dtype))
            leaves = jax.tree.leaves((self._env, _batched(params, self.num_envs)))
            if mask is None:
                mask = np.ones(self.num_envs, bool)
                episodes, timestep = self._jitted.begin(leaves, keys)
            else:
                episodes = self._require_reset("a masked reset")._replace(key=keys)
                episodes, timestep = self._jitted.restart(leaves, episodes, mask)
            self._episodes = episodes
        return self._hand_out(timestep.observation), self._infos(timestep.info, mask)

    def step(self, actions: ArrayLike) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Step every sub-environment with actions (num_envs, a) in [-1, 1].

        Raises:
            ConfigurationError: actions of another shape, or (unless they are jax arrays) with
                values that are not finite.
        """
        episodes = self._require_reset("step()")
        shape = (self.num_envs, self.task.action_size)
        actions = check_action(actions, shape, takes_forces=self._takes_forces)
        with self.scope():
            self._episodes, timestep, stepped = self._jitted.step(self._leaves, episodes, actions)
        infos = self._infos(timestep.info, np.ones(self.num_envs, bool))
        if self._mode == AutoresetMode.SAME_STEP:
            infos |= self._final(stepped)
        observation, reward, terminated, truncated = (self._hand_out(x) for x in timestep[:4])
        if self.output == "numpy":
            reward = reward.astype(np.float64)
            if np.isnan(reward).any():
                row = int(np.flatnonzero(np.isnan(reward))[0])
                raise ConfigurationError(no_number(self._env, infos["state"][row]))
        return observation, reward, terminated, truncated, infos

    def render(self) -> tuple[np.ndarray, ...] | None:
        """One (H, W, 3) uint8 picture a sub-environment."""
        if self.render_mode is None:
            gymnasium.logger.warn("render() without render_mode='rgb_array'")
            return None
        from gym_lagrangian.rendering import Renderer

        episodes = self._require_reset("render()")
        if not self._renderers:
            fps = self.metadata["render_fps"]
            self._renderers = [
                Renderer(self._render_size, mode="rgb_array", fps=fps) for _ in range(self.num_envs)
            ]
        state = jax.tree.map(np.asarray, episodes.state)
        rows = (jax.tree.map(lambda leaf, i=i: leaf[i], state) for i in range(self.num_envs))
        return tuple(
            renderer.draw(
                scene_of(self.task, row, self.dt),
                step=int(row.steps),
                captions=(f"{row.steps * self.dt:.2f} s",),
            )
            for renderer, row in zip(self._renderers, rows, strict=True)
        )

    def close_extras(self, **_: Any) -> None:
        """Drop the renderers."""
        for renderer in self._renderers:
            renderer.close()
        self._renderers = []

    # -- beyond Gymnasium ---------------------------------------------------------------------

    @property
    def functional_state(self) -> State:
        """The whole state of every episode under way (see `functional.State`), as NumPy arrays."""
        return jax.tree.map(np.asarray, self._require_reset("functional_state").state)

    def get_state(self) -> np.ndarray:
        """The states x = (q, q̇), a float64 copy of shape (num_envs, 2n)."""
        return np.array(self._require_reset("get_state()").state.x, np.float64)

    def set_state(self, states: np.ndarray) -> None:
        """Continue from states (num_envs, 2n) or (2n,); restarts clock and energy drift.

        Raises:
            ConfigurationError: a state that is not finite, of another shape or out of range.
        """
        episodes = self._require_reset("set_state()")
        with self.scope():
            m, goal = np.asarray(episodes.state.m), np.asarray(episodes.state.goal)
            x = starting_state(self._env, states, m, goal, count=self.num_envs)
            x = jnp.broadcast_to(jnp.asarray(x, self._dtype), episodes.state.x.shape)
            self._episodes = self._jitted.place(self._leaves, episodes, x)

    # -- internals ----------------------------------------------------------------------------

    def _use(self, params: Params) -> None:
        if params.m_bounds.ndim == 2:
            m_bounds = self._one_each(params.m_bounds, self.coordinates.parameters)
            goal_bounds = self._one_each(params.goal_bounds, self.task.goal)
            params = dataclasses.replace(params, m_bounds=m_bounds, goal_bounds=goal_bounds)
        super()._use(params)
        batched = (self._env, _batched(params, self.num_envs))
        self._leaves, structure = jax.tree.flatten(batched)
        self._jitted = _jitted(structure, self._mode, self._max_steps)

    def _one_each(self, bounds: Any, names: Iterable[str]) -> jax.Array:
        """Bounds (num_envs, 2, k): those of all, or of each where an array was given."""
        tiled = np.tile(np.asarray(bounds), (self.num_envs, 1, 1))
        for i, name in enumerate(names):
            if name in self._per_env:
                tiled[:, :, i] = self._per_env[name][:, None]
        return jnp.asarray(tiled)

    def _seeded(self, seed: int | Sequence[int | None] | None) -> jax.Array:
        """The keys to reset with. One uint32 from each sub-environment's own generator makes its
        key, as in the scalar environment; what is not seeded goes on with the key that it has.
        """
        if isinstance(seed, int | np.integer):
            seed = [int(seed) + i for i in range(self.num_envs)]
        seeds = [None] * self.num_envs if seed is None else list(seed)
        if len(seeds) != self.num_envs:
            raise ConfigurationError(
                f"{len(seeds)} seeds for num_envs = {self.num_envs}: expected as many"
            )
        if self._episodes is None:
            drawn = self.np_random.integers(2**32, size=self.num_envs, dtype=np.uint32)
            keys = jax.vmap(jax.random.key)(jnp.asarray(drawn))
        else:
            keys = self._episodes.key
        chosen = [i for i, one in enumerate(seeds) if one is not None]
        if chosen:
            drawn = np.array(
                [np_random(seeds[i])[0].integers(2**32, dtype=np.uint32) for i in chosen]
            )
            fresh = jax.vmap(jax.random.key)(jnp.asarray(drawn))
            keys = keys.at[np.array(chosen)].set(fresh)
        return keys

    def _require_reset(self, what: str) -> Episode:
        if self._episodes is None:
            raise gymnasium.error.ResetNeeded(f"call reset() before {what}")
        return self._episodes

    def _hand_out(self, array: jax.Array) -> Any:
        return np.array(array) if self.output == "numpy" else array

    def _infos(self, info: Info, mask: np.ndarray) -> dict[str, Any]:
        """`info` as Gymnasium batches it: every key with its mask, zero where it is False."""
        infos: dict[str, Any] = {}
        for key, value in info._asdict().items():
            if value is None:
                continue
            value = self._hand_out(value)
            if self.output == "numpy":
                if value.dtype == np.float32:
                    value = value.astype(np.float64)
                value[~mask] = 0
            infos[key], infos[f"_{key}"] = value, mask.copy()
        return infos

    def _final(self, stepped: Timestep) -> dict[str, Any]:
        """`final_obs` and `final_info` of the episodes that this step ended."""
        ended = np.asarray(stepped.terminated | stepped.truncated)
        if not ended.any():
            return {}
        observations = np.asarray(stepped.observation)
        final = np.full(self.num_envs, None, dtype=object)
        for i in np.flatnonzero(ended):
            final[i] = observations[i].copy()
        return {
            "final_obs": final,
            "_final_obs": ended.copy(),
            "final_info": self._infos(stepped.info, ended),
            "_final_info": ended.copy(),
        }


class _Jitted(NamedTuple):
    """Compiled functions over all sub-environments."""

    begin: Any
    restart: Any
    step: Any
    place: Any


# How the leaves of `Params` are mapped over sub-environments.
_AXES: Any = Params(dynamics=None, m_bounds=0, goal_bounds=0, reset_bounds=0, dt=None)  # type: ignore[arg-type]


def _batched(params: Params, count: int) -> Params:
    bounds = jnp.broadcast_to(params.reset_bounds, (count, *params.reset_bounds.shape[-2:]))
    return dataclasses.replace(params, reset_bounds=bounds)


@functools.lru_cache(maxsize=KEPT)
def _jitted(structure: Any, mode: AutoresetMode, max_steps: int | None) -> _Jitted:
    """The compiled functions of every vector environment of one structure."""

    def start(leaves, keys):
        env, params = jax.tree.unflatten(structure, leaves)
        return jax.vmap(lambda p, key: begin(env, p, key), in_axes=(_AXES, 0))(params, keys)

    def restart(leaves, episodes, mask):
        env, params = jax.tree.unflatten(structure, leaves)

        def one(p, episode, chosen):
            kept = episode, env.observe(episode.state, p)
            return select(chosen, begin(env, p, episode.key), kept)

        return jax.vmap(one, in_axes=(_AXES, 0, 0))(params, episodes, mask)

    def step(leaves, episodes, actions):
        env, params = jax.tree.unflatten(structure, leaves)

        def one(p, episode, action):
            return advance(env, p, episode, action, mode=mode, max_steps=max_steps)

        return jax.vmap(one, in_axes=(_AXES, 0, 0))(params, episodes, actions)

    def place(leaves, episodes, x):
        env, params = jax.tree.unflatten(structure, leaves)

        def one(p, episode, x):
            state = episode.state
            return episode._replace(state=env.start(x, state.m, state.goal, p)[0])

        return jax.vmap(one, in_axes=(_AXES, 0, 0))(params, episodes, x)

    return _Jitted(jax.jit(start), jax.jit(restart), jax.jit(step), jax.jit(place))


def _widest(bounds: Any) -> np.ndarray:
    """Bounds (2, k) around those (num_envs, 2, k) of all."""
    bounds = np.asarray(bounds)
    return np.stack([bounds[:, 0].min(axis=0), bounds[:, 1].max(axis=0)])


def _autoreset_mode(mode: str | AutoresetMode) -> AutoresetMode:
    if isinstance(mode, AutoresetMode):
        return mode
    for known in AutoresetMode:
        if mode in (known.name, known.value):
            return known
    raise ConfigurationError(
        f"autoreset_mode = {mode!r}: choose one of {', '.join(m.name for m in AutoresetMode)}"
    )


def _per_environment(
    options: dict[str, Any], count: int
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Parameters given as arrays, and the options with those replaced by their ranges."""
    arrays = {
        name: np.asarray(value, np.float64)
        for name, value in options.items()
        if isinstance(value, np.ndarray | jax.Array) and np.ndim(value) == 1
    }
    for name, array in arrays.items():
        if array.shape != (count,):
            raise ConfigurationError(
                f"{name} has shape {array.shape}, expected ({count},): one value a "
                "sub-environment; write a range as a pair (low, high), not as an array"
            )
    ranges = {name: (float(a.min()), float(a.max())) for name, a in arrays.items()}
    return arrays, {**options, **ranges}
