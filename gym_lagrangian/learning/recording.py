r"""Recording transitions from an environment, as one would from a robot: by moving it.

A random action is held for a random time: at every step it is drawn anew with probability
1 / `hold`. Fresh noise at every step would average out over the time constant of a mechanical
system; held actions move it. Motion that is not in the data cannot be learned, so let episodes
start where the model will be used: `options` are those of `reset`, and `episode_steps` makes resets
frequent.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import gymnasium
import jax
import numpy as np
from gymnasium.vector import VectorEnv

from gym_lagrangian.checks import finite_number, positive_number, seed_number, whole_number
from gym_lagrangian.envs.functional import State
from gym_lagrangian.envs.shell import Shell
from gym_lagrangian.envs.vector import LagrangianVectorEnv
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.learning.minari import collector, write
from gym_lagrangian.learning.observing import ForceOf, ObservingRecorder, StateOf
from gym_lagrangian.learning.transitions import Transitions
from gym_lagrangian.learning.watching import WatchingRecorder
from gym_lagrangian.learning.witness import Seen, Witness
from gym_lagrangian.registration import find
from gym_lagrangian.systems.coordinates import Coordinates

Policy = Callable[[Any], Any]


def collect(
    env: str | gymnasium.Env | VectorEnv,
    transitions: int,
    *,
    policy: str | Policy = "random",
    hold: float = 4.0,
    options: dict[str, Any] | None = None,
    episode_steps: int | None = None,
    noise: float = 0.0,
    seed: int = 0,
    on_progress: Callable[[int], Any] | None = None,
    adapter: Any = None,
    disturbed: bool = False,
    coordinates: Coordinates | None = None,
    state: StateOf | None = None,
    force: ForceOf | None = None,
    minari: str | None = None,
    **arguments: Any,
) -> Transitions:
    """Step an environment until so many transitions are recorded.

    The environment is used as it is, wrappers and model and all; what is recorded are its true
    states, forces and parameters. A step in which an episode begins, or leaves the valid range
    and is undone, is no transition. A vector environment is recorded in all of its
    sub-environments at once, with the rows of each kept together. What the unwrapped environment
    was given and gave besides is in `Transitions.columns`: ``observation``, ``action``, ``reward``,
    ``next_observation``, ``terminated``, and ``truncated``, also by a wrapper.

    An environment of another package is read by its adapter (`gym_lagrangian.adapters`), and so are
    a `SyncVectorEnv` and an `AsyncVectorEnv` of such; of the latter, the environments are made
    again. Only its free steps are recorded, in which mechanics, friction and motors alone act.

    Arguments:
        env: an id, a system's name, "module:Class", a scalar or a vector environment; one that was
            handed in stays open.
        transitions: how many.
        policy: ``"random"``, or a function from observations to actions.
        hold: steps for which a random action is held on average.
        options: of `reset`, such as ``{"low": ..., "high": ...}``, for the start of every episode.
        episode_steps: reset after so many steps at the latest.
        noise: record the states as a noisy sensor would, see `Transitions.noisy`.
        seed: of resets, random actions and noise.
        on_progress: called after every step with the number of transitions so far.
        adapter: of an environment of another package; default the one registered for its class.
        disturbed: of an environment with an adapter, whether to record all steps, free or not.
        coordinates: of an environment that hides its state: it is then read from observations, and
            no adapter is used. `coordinates.usage` may say what dt is and which have a motor.
        state: from an observation to (q, q̇); default: it is (q, q̇).
        force: from an action to τ (n,) in N or N·m; default: its components are the motors' forces.
        minari: also write a Minari data set of this id (extra `minari`), with every step that was
            made, free or not. Every episode is then reset with a seed that follows from `seed` and
            that the data set keeps.
        arguments: of `gymnasium.make`, for an id.

    Raises:
        ConfigurationError: neither an environment of this package nor one with an adapter, or an
            argument that makes no sense, before anything is stepped; or an environment in which
            no episode takes a single step, or none that is free. Or Minari is not there, or has a
            data set of that id.

    Warns:
        UserWarning: steps of an environment with an adapter were not free; how many.
    """
    transitions, seed = whole_number("transitions", transitions, most=10**9), seed_number(seed)
    if episode_steps is not None:
        episode_steps = whole_number("episode_steps", episode_steps)
    if policy != "random" and not callable(policy):
        raise ConfigurationError(f'policy = {policy!r}: expected "random" or a function')
    hold = max(1.0, positive_number("hold", hold, "steps"))
    if finite_number("noise", noise, "of q_scale and qd_scale") < 0:
        raise ConfigurationError(f"noise = {noise!r}: expected a number of at least 0")
    if coordinates is None and (state is not None or force is not None):
        raise ConfigurationError("state, force: only with the coordinates whose they are")
    with contextlib.ExitStack() as stack:
        if isinstance(env, str):
            env = stack.enter_context(contextlib.closing(_made(env, arguments)))
        elif arguments:
            raise ConfigurationError(
                f"{', '.join(arguments)}: only with an id; an environment has its own"
            )
        stepped: Any = env if minari is None else collector(env, minari)
        recorder: _Recorder | WatchingRecorder | ObservingRecorder
        if coordinates is not None:
            how: dict[str, Any] = {"coordinates": coordinates, "state": state, "force": force}
            recorder = ObservingRecorder(stepped, options or {}, episode_steps, **how)
        elif isinstance(stepped.unwrapped, Shell):
            recorder = _Recorder(stepped, options or {}, episode_steps)
        else:
            how = {"adapter": adapter, "disturbed": disturbed}
            recorder = WatchingRecorder(stepped, options or {}, episode_steps, **how)
        stack.enter_context(contextlib.closing(recorder))
        actor = (
            policy if callable(policy) else _Held(stepped.action_space, recorder.count, hold, seed)
        )
        observation = recorder.begin(seed)
        while recorder.recorded < transitions:
            observation = recorder.step(observation, actor)
            if on_progress is not None:
                on_progress(min(recorder.recorded, transitions))
        if minari is not None:
            write(stepped, minari, "random" if policy == "random" else "policy")
    found = recorder.transitions(transitions)
    return found.noisy(noise, seed) if noise else found


def _made(env_id: str, arguments: dict[str, Any]) -> gymnasium.Env:
    """The environment of an id, of this package or of another."""
    try:
        row = find(env_id)
    except ConfigurationError:
        if env_id.rpartition(":")[2] not in gymnasium.registry:
            raise
        return gymnasium.make(env_id, **arguments)
    return gymnasium.make(row.id, **row.kwargs | arguments)


class _Step(NamedTuple):
    """One step of all E sub-environments, each array with E rows."""

    valid: np.ndarray
    before: State
    after: State
    seen: Seen


class _Recorder:
    """Steps and resets an environment, and remembers where that led."""

    def __init__(self, env: Any, options: dict[str, Any], episode_steps: int | None):
        base = env.unwrapped
        self._env, self._base = env, base
        self._vector = isinstance(base, LagrangianVectorEnv)
        self.count: int = getattr(base, "num_envs", 1)
        self._options, self._limit = options, episode_steps or np.inf
        self._steps: list[_Step] = []
        self._witness = Witness(base)
        self.recorded = 0

    def begin(self, seed: int) -> Any:
        return self._env.reset(seed=seed, options=self._options or None)[0]

    def step(self, observation: Any, policy: Policy) -> Any:
        before = self._state()
        observation, _, terminated, truncated, _ = self._env.step(policy(observation))
        after = self._state()
        # A step within an episode counts up; where one began, by whatever way, it does not.
        valid = np.asarray((after.steps == before.steps + 1) & ~after.diverged)
        seen = self._witness.seen if self._vector else _batched(self._witness.seen)
        late = after.steps >= self._limit
        seen = seen | {"truncated": seen["truncated"] | np.atleast_1d(truncated) | late}
        self._steps.append(_Step(valid, before, after, seen))
        self.recorded += int(valid.sum())
        if len(self._steps) == 1000 and not self.recorded:
            raise ConfigurationError("1000 steps, and not one within an episode: nothing to record")
        ended = np.atleast_1d(terminated | truncated) | late
        return self._restart(ended, observation) if ended.any() else observation

    def transitions(self, count: int) -> Transitions:
        """The first `count`, the rows of one sub-environment after those of another."""
        valid = np.stack([step.valid for step in self._steps])  # (T, E)
        time, member = np.nonzero(valid)
        chosen = np.lexsort((time[:count], member[:count]))
        rows = time[:count][chosen], member[:count][chosen]

        def gather(name: str, which: str) -> np.ndarray:
            return np.stack([getattr(getattr(s, which), name) for s in self._steps])[rows]

        (q, qd), (next_q, next_qd) = (
            np.split(gather("x", which), 2, axis=1) for which in ("before", "after")
        )
        return Transitions(
            self._base.coordinates,
            q=q,
            qd=qd,
            next_q=next_q,
            next_qd=next_qd,
            tau=gather("tau", "after"),
            m=gather("m", "after"),
            dt=self._base.dt,
            columns={
                name: np.stack([step.seen[name] for step in self._steps])[rows]
                for name in self._steps[0].seen
            },
        )

    def close(self) -> None:
        """Leave the environment as it was."""
        self._witness.close()

    def _state(self) -> State:
        state = self._base.functional_state
        return state if self._vector else jax.tree.map(lambda field: field[None], state)

    def _restart(self, ended: np.ndarray, observation: Any) -> Any:
        if not self._vector:
            return self._env.reset(options=self._options or None)[0]
        return self._env.reset(options={**self._options, "reset_mask": ended})[0]


def _batched(seen: Seen) -> Seen:
    return {name: array[None] for name, array in seen.items()}


class _Held:
    """Uniform actions, each held for a random while."""

    def __init__(self, space: Any, count: int, hold: float, seed: int):
        self._space, self._count, self._change = copy.deepcopy(space), count, 1.0 / hold
        self._rng = np.random.default_rng(seed)
        self._space.seed(seed)
        self._action = self._space.sample()

    def __call__(self, _: Any) -> np.ndarray:
        fresh = self._space.sample()
        shape = (self._count, *[1] * (fresh.ndim - 1)) if self._count > 1 else ()
        change = self._rng.uniform(size=shape) < self._change
        self._action = np.where(change, fresh, self._action)
        return self._action
