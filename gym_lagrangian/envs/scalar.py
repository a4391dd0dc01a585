r"""The scalar Gymnasium environment: a shell around the pure functions of `functional`."""

from __future__ import annotations

import dataclasses
import itertools
import os
from typing import Any, Literal, NamedTuple, overload

import gymnasium
import jax
import numpy as np
from gymnasium import spaces
from gymnasium.utils import EzPickle
from jax.typing import ArrayLike

from gym_lagrangian.envs._arguments import (
    STARTS,
    check_action,
    check_options,
    check_seed,
    starting_bounds,
    starting_point,
    whole_start,
)
from gym_lagrangian.envs._stepper import Stepper
from gym_lagrangian.envs.functional import (
    Params,
    State,
    exact_twin,
    no_number,
    scene_of,
)
from gym_lagrangian.envs.shell import NOTABLE_DRIFT, Shell, check_size, is_drawn
from gym_lagrangian.envs.state import EnvState, EpisodeState, env_state, matching, stacked, wrapped
from gym_lagrangian.envs.trust import TrustOptions
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.systems.scene import Scene

# What `info` says of energy, and of its own uncertainty, as far as it is known.
NUMBERS = (
    "energy",
    "energy_drift",
    "dissipated",
    "model_energy",
    "model_dissipated",
    "uncertainty",
)


class _Where(NamedTuple):
    """Where in the packed vector of a step everything lies that is handed out."""

    observation: slice
    reward: int
    terminated: int
    truncated: int
    state: slice
    time: int
    diverged: int
    success: int
    uncertain: int | None
    goal: slice | None
    m: slice | None
    numbers: tuple[tuple[str, int], ...]

    @classmethod
    def of(cls, state: Any, timestep: Any, *, with_m: bool) -> _Where:
        """From the slices of a `State` and a `Timestep`."""
        info = timestep.info
        known = ((name, getattr(info, name)) for name in NUMBERS)
        return cls(
            observation=timestep.observation,
            reward=timestep.reward.start,
            terminated=timestep.terminated.start,
            truncated=timestep.truncated.start,
            state=info.state,
            time=info.time.start,
            diverged=info.diverged.start,
            success=info.success.start,
            uncertain=None if info.uncertain is None else info.uncertain.start,
            goal=info.goal,
            m=state.m if with_m else None,
            numbers=tuple((name, place.start) for name, place in known if place is not None),
        )


class LagrangianEnv(  # pyright: ignore[reportIncompatibleVariableOverride]
    Shell, gymnasium.Env[np.ndarray, np.ndarray]
):
    r"""One physical system to control, simulated exactly or by a learned model.

    ## Description
    A system with coordinates q and Lagrangian L(q, q̇, m) moves by its Euler–Lagrange equation
    d/dt ∂L/∂q̇ − ∂L/∂q = τ, integrated with a fixed step; the action sets the generalized
    forces τ, held constant over a step. With `checkpoint=` a trained network takes the place
    of the equation, and everything else stays. The class of each system describes it and its
    default task, as `gym_lagrangian.systems.DoublePendulum` does; `env.unwrapped.system` is the
    instance.

    ## Action Space
    `Box(-1, 1, (a,))`, float32: the share of the largest force at each of a actuators. Values
    outside are clipped; a wrong shape or a non-finite value is an error.

    ## Observation Space
    A finite `Box`, float32, as the task describes it.

    ## Rewards
    As the task describes them. Those of the systems of this package are in [0, 1] at every step, so
    that ending an episode early never pays.

    ## Starting State
    Uniform within the task's bounds. `reset(options={"state": x})` starts at exactly
    x = (q, q̇), or at a state of `get_state()` with its m and goal; `{"low": ..., "high": ...}`
    (numbers or arrays of shape (2n,)) draws between.

    ## Episode End
    Terminated where the task says so. Truncated by the time limit of its id, and where the state
    leaves the task's range or is not finite: then `info["diverged"]` is True, and observation and
    reward are the last valid ones. An ensemble's episode is truncated as well where its members
    disagree by more than `uncertainty_limit`: then `info["uncertain"]` is True.

    ## Arguments
    | Name          | Default     | Meaning                                                       |
    |---------------|-------------|---------------------------------------------------------------|
    | `system`      | set by id   | a registered system, or a `System` or "module:Class"          |
    | `checkpoint`  | set by id   | name or path of a learned model, None for the exact dynamics  |
    | `task`        | by system   | a `Task`, or "module:Class"                                   |
    | `reward`      | by task     | a function, or "module:function", in place of the task's      |
    | `observation_noise` | 0     | standard deviation of what sensors show, in SI units: one     |
    |               |             | number, or one each of q and then of q̇                        |
    | `action_delay` | 0          | whole steps by which the motors are late                      |
    | `dt`          | by system   | seconds in one step, .05 unless the system states another     |
    | `dtype`       | `"float64"` | precision of the dynamics, `"float32"` or `"float64"`         |
    | `integrator`  | `"dop853"`  | `"rk4"`, `"dopri5"` or `"dop853"`                             |
    | `substeps`    | by system   | integrator steps in one `dt`                                  |
    | `render_mode` | None        | `"human"` or `"rgb_array"`                                    |
    | `render_size` | 500         | width and height of the picture in pixels                     |
    | `show_truth`  | False       | draw the exact twin, same state and actions, as a ghost       |
    | `device`      | `"cpu"`     | jax platform that runs it                                     |

    of an ensemble

    | Name                  | Default  | Meaning                                                  |
    |-----------------------|----------|----------------------------------------------------------|
    | `uncertainty_limit`   | None     | the uncertainty above which an episode is truncated      |
    | `uncertainty_penalty` | None     | what a unit of uncertainty costs in reward               |
    | `member`              | `"mean"` | what is followed: `"mean"`, a number, or `"draw"` for    |
    |                       |          | one member an episode                                    |

    and the parameters and options of the system (masses, lengths, `g`, `actuated` …): a
    parameter may be a pair (low, high), drawn from at every reset.

    Noise is in the observation alone, before it is formed: `info`, reward and termination are those
    of the true state. It is drawn from the seed of `reset`. Late motors exert nothing at first; the
    actions on their way are part of the state that ``get_state(full=True)`` gives.

    `info` has the same keys from `reset` and `step`: `state` (q then q̇, float64), `time` (s),
    `diverged`, `success`; where the true equations are known `energy` (true energy of the state,
    J), `dissipated` (heat lost to the true friction along the motion made, J) and `energy_drift`
    ((energy − initial energy − work done by the actions + dissipated) / energy scale); for a
    learned model that has one `model_energy` and `model_dissipated` (by its own account, J); for a
    task that has one its `goal`; and where parameters are drawn `m`, all of them in the order of
    `env.unwrapped.coordinates.parameters`. Of an ensemble, `uncertainty` is the spread of the
    last step (the members' standard deviation in typical magnitudes, root mean square over the
    state) and `uncertain` whether it exceeded the limit. `checkpoint` is the name of a conditioned
    checkpoint that stands in, at the parameters that were given, for the one that the id names.

    ## Version History
    * v0: Initial version.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 (Gymnasium's own attribute)
        "render_modes": ["human", "rgb_array"],
        "render_fps": 20,
    }

    def __init__(
        self,
        system: Any = None,
        *,
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
        show_truth: bool = False,
        device: str = "cpu",
        **options: Any,
    ):
        dynamics: dict[str, Any] = {
            "checkpoint": checkpoint,
            "task": task,
            "reward": reward,
            "observation_noise": observation_noise,
            "action_delay": action_delay,
            "dt": dt,
            "dtype": dtype,
            "integrator": integrator,
            "substeps": substeps,
            "device": device,
        }
        drawing = {
            "render_mode": render_mode,
            "render_size": render_size,
            "show_truth": show_truth,
        }
        trust = TrustOptions(uncertainty_limit, uncertainty_penalty, member)
        EzPickle.__init__(self, system, **dynamics, **trust._asdict(), **drawing, **options)
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ConfigurationError(
                f"render_mode = {render_mode!r}: choose one of "
                f"{', '.join(self.metadata['render_modes'])}, or None"
            )
        check_size(render_size)
        self._stepper: Any = None
        self._twin: Stepper | None = None
        self._show_truth = show_truth and render_mode is not None
        self._key: Any = None
        self._build(system, **dynamics, trust=trust, options=options)
        if self._show_truth and self.system is None:
            raise ConfigurationError(
                f"show_truth: the true equations of {self.coordinates.name} are unknown"
            )
        low, high = self.task.observation_bounds(
            np.asarray(self._params.m_bounds), np.asarray(self._params.goal_bounds)
        )
        self.observation_space = spaces.Box(low, high, dtype=np.float32)
        self._action_shape = (self.task.action_size,)
        self.action_space = spaces.Box(-1.0, 1.0, self._action_shape, np.float32)
        self.metadata = {**type(self).metadata, "render_fps": max(1, round(1 / self.dt))}
        self.render_mode = render_mode
        self._render_size = render_size
        self._renderer = self._new_renderer()

    # -- the Gymnasium interface --------------------------------------------------------------

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin an episode.

        Arguments:
            seed: seeds the draw of every later reset; None goes on with the current one.
            options: ``{"state": x}`` to start at exactly x = (q, q̇) of shape (2n,), with m and
                goal drawn; ``{"state": env.get_state()}`` to start there with the m and goal of
                that state, the clock at zero; or ``{"low": ..., "high": ...}`` to draw between,
                numbers or arrays (2n,).

        Raises:
            ConfigurationError: unknown options; a state that is not finite, of another shape or
                outside the system's range, or with an m that makes no sense; or bounds that are
                reversed.
            CheckpointError: a state whose m the model was not trained at.
        """
        asked = check_options(options, STARTS)
        params = self._params
        with self.scope():
            given = whole_start(self._env, self._card, asked)
            if asked and given is None:
                bounds = starting_bounds(self._env, params, asked)
                params = dataclasses.replace(params, reset_bounds=bounds)
            super().reset(seed=check_seed(seed))
            if seed is not None or self._key is None:
                # A uint32 from np_random, not the seed itself: jax keys alias seeds mod 2³².
                drawn = self.np_random.integers(2**32, dtype=np.uint32)
                self._key = jax.random.key(drawn)
            self._key = self._stepper.reset(self._key, params)
        if given is not None:
            self._stepper.start(*given)
        self._begin_twin()
        self._show()
        observation, *_, info = self._received()
        return observation, info

    def step(self, action: ArrayLike) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Advance by `dt` under an action in [-1, 1].

        Raises:
            ConfigurationError: the action has another shape than the action space, or holds
                values that are not finite.
        """
        self._require_reset("step()")
        checked = check_action(action, self._action_shape, takes_forces=self._takes_forces)
        action = np.asarray(checked, np.float32)
        self._stepper.step(action)
        if self._twin is not None:
            self._twin.step(action)
        self._show()
        return self._received()

    def render(self) -> np.ndarray | None:
        """An (H, W, 3) uint8 picture for ``"rgb_array"``; None for ``"human"``, which draws
        at every step by itself.
        """
        if self.render_mode is None:
            gymnasium.logger.warn(
                "render() without a render_mode: pass render_mode='rgb_array' to gymnasium.make"
            )
            return None
        return self._draw()

    def close(self) -> None:
        """Close this environment's window; others stay open. Safe to call again."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    # -- beyond Gymnasium ---------------------------------------------------------------------

    @property
    def functional_state(self) -> State:
        """The whole state of the episode under way (see `functional.State`), as NumPy arrays."""
        self._require_reset("functional_state")
        return self._stepper.numpy()[0]

    @overload
    def get_state(self, full: Literal[False] = False) -> EnvState: ...

    @overload
    def get_state(self, full: Literal[True]) -> EpisodeState: ...

    def get_state(self, full: bool = False) -> EnvState | EpisodeState:
        """The state with its x = (q, q̇), m and goal, as float64 copies.

        Arguments:
            full: the whole episode instead, with its clock, counters and key.
        """
        self._require_reset("get_state()")
        state = self._stepper.numpy()[0]
        if not full:
            return env_state(state)
        return EpisodeState(state, np.array(jax.random.key_data(self._key)))

    def set_state(self, state: EnvState | EpisodeState | ArrayLike) -> None:
        """Continue from a state; restarts the clock and the energy drift of `info`.

        Arguments:
            state: what `get_state` gave, with its m and goal; or a bare x = (q, q̇), which keeps
                the m and the goal of this episode. ``get_state(full=True)`` gives an episode that
                goes on exactly, with its clock, its drift and what later resets draw.

        Raises:
            ConfigurationError: a state that is not finite, of another shape or out of range, or
                whose m makes no sense.
            CheckpointError: the model was not trained at its m.
        """
        self._require_reset("set_state()")
        now = self._stepper.numpy()[0]
        state = stacked(state)
        with self.scope():
            point = starting_point(self._env, self._card, state, now)
            if isinstance(state, EpisodeState):
                whole = matching(state, self.get_state(full=True))
                self._key = wrapped(whole.key)
                self._stepper.restore(whole.state)
            else:
                self._stepper.start(*point)
        self._begin_twin()

    def get_keys_to_action(self) -> dict[tuple[int, ...], np.ndarray]:
        """Arrow keys for `gymnasium.utils.play.play`: left and right drive the first actuator,
        down and up the second; its `noop` is an action of zeros.
        """
        import pygame

        arrows = [(pygame.K_LEFT, pygame.K_RIGHT), (pygame.K_DOWN, pygame.K_UP)]
        arrows = arrows[: self.task.action_size]
        table = {}
        for signs in itertools.product((-1, 0, 1), repeat=len(arrows)):
            pressed = [pair[sign > 0] for sign, pair in zip(signs, arrows, strict=True) if sign]
            if pressed:
                table[tuple(sorted(pressed))] = np.array(signs, np.float32)
        return table

    # -- internals ----------------------------------------------------------------------------

    def _here(self) -> EnvState:
        """The state; before the first reset with NaN for what is to be drawn."""
        if self._stepper.started:
            return env_state(self._stepper.numpy()[0])
        bounds = (np.asarray(b) for b in (self._params.m_bounds, self._params.goal_bounds))
        m, goal = (np.where(low == high, low, np.nan) for low, high in bounds)
        return EnvState(np.full(2 * self.coordinates.n, np.nan), m, goal)

    def _members_here(self) -> np.ndarray | None:
        return self._stepper.numpy()[0].member if self._stepper.started else None

    def _episode(self) -> dict[str, Any]:
        steppers = self._stepper, self._twin
        return {
            "generator": (self._np_random, self._np_random_seed),
            "key": None if self._key is None else np.asarray(jax.random.key_data(self._key)),
            "states": [s.numpy()[0] if s is not None and s.started else None for s in steppers],
            "drawn": None if self._renderer is None else self._renderer.memory,
        }

    def _resume(self, episode: dict[str, Any]) -> None:
        self._np_random, self._np_random_seed = episode["generator"]
        if episode["key"] is not None:
            with self.scope():
                self._key = wrapped(episode["key"])
        state, twins = episode["states"]
        if state is not None:
            self._stepper.restore(state)
            self._begin_twin()
        if twins is not None and self._twin is not None:
            self._twin.restore(twins)
        if episode["drawn"] is not None and self._renderer is not None:
            self._renderer.memory = episode["drawn"]

    def _use(self, params: Params) -> None:
        super()._use(params)
        if self._stepper is None:
            self._stepper = Stepper(self._env, params, self._dtype, self._device)
        else:
            self._stepper.use(params)
        self._where = _Where.of(*self._stepper.where, with_m=is_drawn(params.m_bounds))

    def _begin_twin(self) -> None:
        """Put the exact twin where this environment is, if it is going to be drawn."""
        if not self._show_truth:
            return
        if self._twin is None:
            params = exact_twin(self._env, self._params)
            self._twin = Stepper(self._env, params, self._dtype, self._device)
        state, _ = self._stepper.numpy()
        self._twin.start(state.x, state.m, state.goal)
        twin, _ = self._twin.numpy()
        self._twin.restore(twin._replace(queue=state.queue))

    def _received(self) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """What `step` returns, read off the packed vector: unpacking all of it takes longer than
        a step of the double pendulum.
        """
        vector = self._stepper.vector()
        numbers = vector.tolist()
        where = self._where
        details: dict[str, Any] = {
            "state": vector[where.state].astype(np.float64),
            "time": np.float64(numbers[where.time]),
            "diverged": bool(numbers[where.diverged]),
            "success": bool(numbers[where.success]),
        }
        for name, place in where.numbers:
            details[name] = np.float64(numbers[place])  # clients look for its dtype
        if where.uncertain is not None:
            details["uncertain"] = bool(numbers[where.uncertain])
        if self._watched and abs(details["energy_drift"]) > NOTABLE_DRIFT:
            self._warn_of_drift(details["energy_drift"])
        if where.goal is not None:
            details["goal"] = vector[where.goal].astype(np.float64)
        if where.m is not None:
            details["m"] = vector[where.m].astype(np.float64)
        if self._stands_in and (name := self._stand_in()) is not None:
            details["checkpoint"] = name
        reward = numbers[where.reward]
        if reward != reward:
            raise ConfigurationError(no_number(self._env, details["state"]))
        return (
            vector[where.observation].astype(np.float32),
            reward,
            bool(numbers[where.terminated]),
            bool(numbers[where.truncated]),
            details,
        )

    def _show(self) -> None:
        if self.render_mode == "human":
            self._draw()
        elif self._twin is not None and self._renderer is not None:
            scene, beside, step, _ = self._picture()
            self._renderer.remember(scene, step=step, **beside)

    def _new_renderer(self) -> Any:
        if self.render_mode is None:
            return None
        from gym_lagrangian.rendering import Renderer

        fps = self.metadata["render_fps"]
        return Renderer(self._render_size, mode=self.render_mode, fps=fps)

    def _draw(self) -> np.ndarray | None:
        self._require_reset("render()")
        if self._renderer is None:
            self._renderer = self._new_renderer()
        scene, beside, step, captions = self._picture()
        return self._renderer.draw(scene, step=step, captions=captions, **beside)

    def _picture(self) -> tuple[Scene, dict[str, Any], int, list[str]]:
        """The scene, what is drawn beside it, the number of the step, and the captions."""
        state, timestep = self._stepper.numpy()
        info = timestep.info
        captions = [f"{info.time:.2f} s"]
        if info.energy_drift is not None:
            captions.append(f"energy drift {100 * info.energy_drift:+.3g} %")
        beside: dict[str, Any] = {}
        if self._twin is not None:
            true_state, true_timestep = self._twin.numpy()
            true_info = true_timestep.info
            beside["ghost"] = self._scene(true_state)
            beside["drifts"] = (info.energy_drift, true_info.energy_drift)
            captions[1] = f"energy {info.energy:.2f} J, truth {true_info.energy:.2f} J"
        return self._scene(state), beside, int(state.steps), captions

    def _scene(self, state: Any) -> Scene:
        return scene_of(self.task, state, self.dt)

    def _require_reset(self, what: str) -> None:
        if not self._stepper.started:
            raise gymnasium.error.ResetNeeded(f"call reset() before {what}")
