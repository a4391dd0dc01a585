r"""The vector environment: thousands of sub-environments in one jitted call."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, overload

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces
from gymnasium.utils import EzPickle
from gymnasium.utils.seeding import np_random
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from jax.typing import ArrayLike

from gym_lagrangian.checks import one_of, vector, whole_number
from gym_lagrangian.envs._arguments import (
    STARTS,
    check_action,
    check_options,
    check_seed,
    reset_mask,
    starting_bounds,
    starting_point,
    whole_start,
)
from gym_lagrangian.envs._scope import KEPT
from gym_lagrangian.envs.autoreset import Episode, advance, begin, select
from gym_lagrangian.envs.functional import Info, Params, State, Timestep, no_number, scene_of
from gym_lagrangian.envs.shell import NOTABLE_DRIFT, Shell, check_size, is_drawn
from gym_lagrangian.envs.state import EnvState, EpisodeState, env_state, matching, stacked, wrapped
from gym_lagrangian.envs.trust import TrustOptions
from gym_lagrangian.errors import ConfigurationError

OUTPUTS = ("numpy", "jax")

# So many states of a double pendulum take two gigabytes.
MOST_ENVS = 2**24

# What reset options may say.
OPTIONS = (*STARTS, "reset_mask")

ONE_EACH = "one value a sub-environment; write a range as a pair (low, high), not as an array"


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
    `"state"`, of shape (2n,) or (num_envs, 2n) or from `get_state()` of either environment,
    `"low"` and `"high"` likewise, and in any mode `"reset_mask"`, a boolean array of those to
    reset.

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
        observation_noise: Any = None,
        action_delay: int = 0,
        dt: float | None = None,
        dtype: str = "float64",
        integrator: str = "dop853",
        substeps: int | None = None,
        uncertainty_limit: float | None = None,
        uncertainty_penalty: float | None = None,
        member: str | int | None = None,
        render_mode: str | None = None,
        render_size: int = 500,
        device: str = "cpu",
        **options: Any,
    ):
        self._renderers: list[Any] = []  # first: closing must work even where an argument is bad
        trust = TrustOptions(uncertainty_limit, uncertainty_penalty, member)
        EzPickle.__init__(
            self,
            system,
            num_envs=num_envs,
            autoreset_mode=autoreset_mode,
            max_episode_steps=max_episode_steps,
            output=output,
            checkpoint=checkpoint,
            task=task,
            reward=reward,
            observation_noise=_own(observation_noise),
            action_delay=action_delay,
            dt=dt,
            dtype=dtype,
            integrator=integrator,
            substeps=substeps,
            **trust._asdict(),
            render_mode=render_mode,
            render_size=render_size,
            device=device,
            **{name: _own(value) for name, value in options.items()},
        )
        num_envs = whole_number("num_envs", num_envs, most=MOST_ENVS)
        check_size(render_size)
        if max_episode_steps is not None:
            max_episode_steps = whole_number("max_episode_steps", max_episode_steps, least=-1)
        one_of("output", output, OUTPUTS)
        if render_mode not in (None, "rgb_array"):
            raise ConfigurationError(
                f'render_mode = {render_mode!r}: a vector environment draws "rgb_array" only'
            )
        if options.pop("show_truth", False):
            raise ConfigurationError(
                "show_truth: a vector environment draws no ghosts; make one environment for that"
            )
        self.num_envs = num_envs
        self._mode = _autoreset_mode(autoreset_mode)
        limited = max_episode_steps is not None and max_episode_steps > 0
        self._max_steps = max_episode_steps if limited else None
        self.output = output
        self._render_size = render_size
        self._episodes: Episode | None = None
        self._generators: list[tuple[np.random.Generator, int] | None] = [None] * num_envs
        self._per_env, ranges = _per_environment(options, num_envs)
        self._build(
            system,
            checkpoint=checkpoint,
            task=task,
            reward=reward,
            observation_noise=observation_noise,
            action_delay=action_delay,
            dt=dt,
            dtype=dtype,
            device=device,
            integrator=integrator,
            substeps=substeps,
            trust=trust,
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
        self.autoreset_mode = self._mode  # where TorchRL looks for it

    # -- the Gymnasium interface --------------------------------------------------------------

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode everywhere, or where ``options["reset_mask"]`` is True.

        What the mask leaves out is left alone altogether: its seeds are not looked at.

        Raises:
            ConfigurationError: as `LagrangianEnv.reset`; a seed list of another length than
                num_envs; or a mask that is not a boolean array of shape (num_envs,) with at least
                one True.
            ResetNeeded: a mask before the first whole reset.
        """
        asked = check_options(options, OPTIONS)
        mask = reset_mask(asked, self.num_envs)
        chosen = np.ones(self.num_envs, bool) if mask is None else mask
        before = None if mask is None else self._require_reset("a masked reset")
        with self.scope():
            given = whole_start(self._env, self._card, asked, count=self.num_envs)
            params = self._starting(asked, given)
            keys = self._seeded(seed, chosen)
            leaves = jax.tree.leaves((self._env, _batched(params, self.num_envs)))
            if before is None:
                episodes, timestep = self._jitted.begin(leaves, keys)
            else:
                before = before._replace(key=keys)
                episodes, timestep = self._jitted.restart(leaves, before, chosen)
            if given is not None:
                episodes, timestep = self._placed(episodes, given, chosen)
            self._episodes = episodes
        return self._hand_out(timestep.observation), self._infos(
            timestep.info, chosen, episodes.state.m
        )

    def step(self, actions: ArrayLike) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Step every sub-environment with actions (num_envs, a) in [-1, 1].

        Raises:
            ConfigurationError: actions of another shape, or with values that are not finite. With
                `output` ``"jax"`` the values of jax arrays are not looked at: where they are not
                finite, a step is undone and truncates its episode.
        """
        episodes = self._require_reset("step()")
        shape = (self.num_envs, self.task.action_size)
        actions = check_action(
            actions, shape, takes_forces=self._takes_forces, on_device=self.output == "jax"
        )
        with self.scope():
            after, timestep, stepped = self._jitted.step(self._leaves, episodes, actions)
        self._episodes = after
        infos = self._infos(timestep.info, np.ones(self.num_envs, bool), after.state.m)
        if self._mode == AutoresetMode.SAME_STEP:
            infos |= self._final(stepped, episodes.state.m)
        observation, reward, terminated, truncated = (self._hand_out(x) for x in timestep[:4])
        if self.output == "numpy":
            if self._watched and (worst := np.abs(infos["energy_drift"]).max()) > NOTABLE_DRIFT:
                self._warn_of_drift(float(worst))
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

    @property
    def np_random(self) -> tuple[np.random.Generator, ...]:  # type: ignore[override]
        """The generator of each sub-environment, from which its seeds make its jax key."""
        return tuple(self._generator(i)[0] for i in range(self.num_envs))

    @property
    def np_random_seed(self) -> tuple[int, ...]:  # type: ignore[override]
        """The seed of each of those generators."""
        return tuple(self._generator(i)[1] for i in range(self.num_envs))

    @overload
    def get_state(self, full: Literal[False] = False) -> EnvState: ...

    @overload
    def get_state(self, full: Literal[True]) -> EpisodeState: ...

    def get_state(self, full: bool = False) -> EnvState | EpisodeState:
        """The states x (num_envs, 2n) with their m (num_envs, k) and goals (num_envs, g), as
        float64 copies.

        Arguments:
            full: the whole episodes instead, with their clocks, counters and keys.
        """
        episodes = self._require_reset("get_state()")
        return _episode_state(episodes) if full else env_state(episodes.state)

    def set_state(self, states: EnvState | EpisodeState | ArrayLike) -> None:
        """Continue from states everywhere; restarts clock and energy drift.

        Arguments:
            states: what `get_state` gave, here or (for all sub-environments) in a scalar
                environment, with m and goal; a list of such; or bare x of shape (num_envs, 2n) or
                (2n,), which keep the m and the goals of the episodes. ``get_state(full=True)``
                gives episodes that go on exactly.

        Raises:
            ConfigurationError: as `LagrangianEnv.set_state`.
        """
        episodes = self._require_reset("set_state()")
        states = stacked(states)
        with self.scope():
            now = env_state(episodes.state)
            point = starting_point(self._env, self._card, states, now, count=self.num_envs)
            if isinstance(states, EpisodeState):
                self._episodes = _episodes(matching(states, _episode_state(episodes)))
            else:
                everywhere = np.ones(self.num_envs, bool)
                self._episodes = self._placed(episodes, point, everywhere)[0]

    # -- internals ----------------------------------------------------------------------------

    def _here(self) -> EnvState:
        """The states; before the first reset with NaN for what is to be drawn."""
        if self._episodes is not None:
            return env_state(self._episodes.state)
        bounds = (np.asarray(b) for b in (self._params.m_bounds, self._params.goal_bounds))
        m, goal = (np.where(b[:, 0] == b[:, 1], b[:, 0], np.nan) for b in bounds)
        return EnvState(np.full((self.num_envs, 2 * self.coordinates.n), np.nan), m, goal)

    def _members_here(self) -> np.ndarray | None:
        found = None if self._episodes is None else self._episodes.state.member
        return None if found is None else np.asarray(found)

    def _use(self, params: Params) -> None:
        if params.m_bounds.ndim == 2:
            m_bounds = self._one_each(params.m_bounds, self.coordinates.parameters)
            goal_bounds = self._one_each(params.goal_bounds, self.task.goal)
            params = dataclasses.replace(params, m_bounds=m_bounds, goal_bounds=goal_bounds)
        super()._use(params)
        self._draws_m = is_drawn(params.m_bounds)
        batched = (self._env, _batched(params, self.num_envs))
        self._leaves, structure = jax.tree.flatten(batched)
        self._jitted = _jitted(structure, self._mode, self._max_steps)
        if self._episodes is not None:
            state = self._env.adopted(self._episodes.state, params)
            self._episodes = self._episodes._replace(state=state)

    def _one_each(self, bounds: Any, names: Iterable[str]) -> jax.Array:
        """Bounds (num_envs, 2, k): those of all, or of each where an array was given."""
        tiled = np.tile(np.asarray(bounds), (self.num_envs, 1, 1))
        for i, name in enumerate(names):
            if name in self._per_env:
                tiled[:, :, i] = self._per_env[name][:, None]
        return jnp.asarray(tiled)

    def _starting(self, options: Mapping[str, Any], given: EnvState | None) -> Params:
        """Parameters with the bounds of the starting states that reset options ask for."""
        if given is not None or not any(name in options for name in STARTS):
            return self._params
        bounds = starting_bounds(self._env, self._params, options, count=self.num_envs)
        return dataclasses.replace(self._params, reset_bounds=jnp.asarray(bounds, self._dtype))

    def _placed(
        self, episodes: Episode, point: EnvState, mask: np.ndarray
    ) -> tuple[Episode, Timestep]:
        """The episodes begun anew at a point where the mask is True."""
        like = episodes.state.x, episodes.state.m, episodes.state.goal
        given = (
            np.broadcast_to(np.asarray(one, self._dtype), kept.shape)
            for one, kept in zip(point, like, strict=True)
        )
        return self._jitted.place(self._leaves, episodes, *given, mask)

    def _seeded(self, seed: int | Sequence[int | None] | None, mask: np.ndarray) -> jax.Array:
        """The keys to reset with. One uint32 from each sub-environment's own generator makes its
        key, as in the scalar environment; what is not seeded goes on with the key that it has.
        """
        if seed is None or not isinstance(seed, Sequence | np.ndarray) or isinstance(seed, str):
            first = check_seed(seed)
            seeds = [None if first is None else first + i for i in range(self.num_envs)]
        else:
            seeds = [check_seed(one) for one in seed]
        if len(seeds) != self.num_envs:
            raise ConfigurationError(
                f"{len(seeds)} seeds for num_envs = {self.num_envs}: expected as many"
            )
        fresh = np.array([one is not None for one in seeds]) & mask
        made = {i: np_random(seeds[i]) for i in np.flatnonzero(fresh).tolist()}
        for i, generator in made.items():
            self._generators[i] = generator
        episodes = self._episodes
        if episodes is not None and not fresh.any():
            return episodes.key
        fresh |= episodes is None
        # Without a seed the numbers need no generators, thousands of which would take seconds.
        drawn = np.random.SeedSequence().generate_state(self.num_envs)
        for i in np.flatnonzero(fresh).tolist():
            if (found := self._generators[i]) is not None:
                drawn[i] = found[0].integers(2**32, dtype=np.uint32)
        keys = jax.vmap(jax.random.key)(jnp.asarray(drawn))
        return keys if episodes is None else jnp.where(fresh, keys, episodes.key)

    def _generator(self, i: int) -> tuple[np.random.Generator, int]:
        """The generator of a sub-environment and its seed, made where there is none yet."""
        found = self._generators[i] or np_random()
        self._generators[i] = found
        return found

    def _episode(self) -> dict[str, Any]:
        episodes = None if self._episodes is None else _episode_state(self._episodes)
        spaces = self.single_action_space, self.single_observation_space
        return {"generators": self._generators, "episodes": episodes, "spaces": spaces}

    def _resume(self, episode: dict[str, Any]) -> None:
        self._generators = episode["generators"]
        self.single_action_space, self.single_observation_space = episode["spaces"]
        if episode["episodes"] is not None:
            with self.scope():
                self._episodes = _episodes(episode["episodes"])

    def _require_reset(self, what: str) -> Episode:
        if self._episodes is None:
            raise gymnasium.error.ResetNeeded(f"call reset() before {what}")
        return self._episodes

    def _hand_out(self, array: jax.Array) -> Any:
        return np.array(array) if self.output == "numpy" else array

    def _infos(self, info: Info, mask: np.ndarray, m: jax.Array) -> dict[str, Any]:
        """`info` as Gymnasium batches it: every key with its mask, zero where it is False. With
        parameters m (num_envs, k) where they are drawn.
        """
        infos: dict[str, Any] = {}
        for key, value in (info._asdict() | {"m": m if self._draws_m else None}).items():
            if value is None:
                continue
            value = self._hand_out(value)
            if self.output == "numpy":
                if value.dtype == np.float32:
                    value = value.astype(np.float64)
                value[~mask] = 0
            infos[key], infos[f"_{key}"] = value, mask.copy()
        if (name := self._stand_in()) is not None:
            names = np.full(self.num_envs, None, dtype=object)
            names[mask] = name
            infos["checkpoint"], infos["_checkpoint"] = names, mask.copy()
        return infos

    def _final(self, stepped: Timestep, m: jax.Array) -> dict[str, Any]:
        """`final_obs` and `final_info` of the episodes with parameters m that this step ended."""
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
            "final_info": self._infos(stepped.info, ended, m),
            "_final_info": ended.copy(),
        }


class _Jitted(NamedTuple):
    """Compiled functions over all sub-environments."""

    begin: Any
    restart: Any
    step: Any
    place: Any


# How the leaves of `Params` are mapped over sub-environments.
_AXES: Any = Params(dynamics=None, m_bounds=0, goal_bounds=0, reset_bounds=0, dt=None, trust=None)  # type: ignore[arg-type]


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

    def place(leaves, episodes, x, m, goal, mask):
        env, params = jax.tree.unflatten(structure, leaves)

        def one(p, episode, x, m, goal, chosen):
            kept = episode.state.member, episode.state.stream
            state, timestep = env.start(x, m, goal, p, *kept)
            placed = episode._replace(state=state, done=jnp.zeros((), bool)), timestep
            return select(chosen, placed, (episode, env.observe(episode.state, p)))

        axes = (_AXES, 0, 0, 0, 0, 0)
        return jax.vmap(one, in_axes=axes)(params, episodes, x, m, goal, mask)

    return _Jitted(jax.jit(start), jax.jit(restart), jax.jit(step), jax.jit(place))


def _own(value: Any) -> Any:
    """An argument that copies are made from: arrays as NumPy arrays of its own."""
    return np.array(value) if isinstance(value, np.ndarray | jax.Array) else value


def _episode_state(episodes: Episode) -> EpisodeState:
    state, elapsed, done = jax.tree.map(np.array, (episodes.state, episodes.elapsed, episodes.done))
    return EpisodeState(state, np.array(jax.random.key_data(episodes.key)), elapsed, done)


def _episodes(given: EpisodeState) -> Episode:
    state, elapsed, done = jax.tree.map(jnp.asarray, (given.state, given.elapsed, given.done))
    return Episode(wrapped(given.key), state, elapsed, done)


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
        name: vector(name, value, count, ONE_EACH)
        for name, value in options.items()
        if isinstance(value, np.ndarray | jax.Array) and np.ndim(value) == 1
    }
    ranges = {name: (float(a.min()), float(a.max())) for name, a in arrays.items()}
    return arrays, {**options, **ranges}
