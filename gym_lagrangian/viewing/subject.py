"""The subject of a picture: an environment, its name, and its exact twin where equations are known.

    with contextlib.closing(subject("DoublePendulumLNN-v0", {"dt": 0.02})) as shown:
        shown.reset(seed=0)
        shown.step(action)
        shown.now, shown.twin.now

The environment is made from an id and arguments, or handed in, with the user's own wrappers.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium
import jax.numpy as jnp
import numpy as np

from gym_lagrangian.checkpoints import Checkpoint
from gym_lagrangian.envs._stepper import Stepper
from gym_lagrangian.envs.functional import State, exact_twin
from gym_lagrangian.envs.learned import LearnedDynamicsEnv
from gym_lagrangian.envs.scalar import LagrangianEnv
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.registration import (
    GENERIC_ID,
    EnvironmentRow,
    environments,
    find,
    system_reference,
)
from gym_lagrangian.systems.coordinates import Coordinates

# What can be looked at: an id, a system's name, "module:Class", a `System`, an environment.
Viewed = str | type | gymnasium.Env


class Moment(NamedTuple):
    """An instant of an episode.

    Attributes:
        state: of the pure functions, NumPy arrays.
        info: as from `gymnasium.Env.step`.
        total_reward: the return so far.
        ended: whether the episode is over.
    """

    state: State
    info: Mapping[str, Any]
    total_reward: float
    ended: bool


class Twin(gymnasium.Wrapper):
    """The exact twin of an environment: the same episodes, moved by the true equations.

    It stands right around the environment, inside all other wrappers, so that it is given the
    actions that the environment is given. A reset puts it where the environment is, with the
    parameters and the goal of that episode. What the environment does is not changed.

    Attributes:
        now: its present moment.
    """

    now: Moment

    def __init__(self, base: LagrangianEnv):
        super().__init__(base)
        self._base = base
        env, params = base.functional
        like = jnp.asarray(params.reset_bounds)
        device = next(iter(like.devices()))
        self._stepper = Stepper(env, exact_twin(env, params), like.dtype.name, device)

    @property
    def spec(self) -> Any:
        """The environment's: other wrappers remember theirs, and it must not name this one."""
        return self.env.spec

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        found = self.env.reset(seed=seed, options=options)
        state = self._base.functional_state
        self._stepper.start(*map(np.asarray, (state.x, state.m, state.goal)))
        self._note(0.0)
        return found

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        found = self.env.step(action)
        self.advance(action)
        return found

    def advance(self, action: Any) -> None:
        """Step the twin alone; nothing happens once its episode is over."""
        if not self.now.ended:
            self._stepper.step(np.asarray(action, np.float32))
            self._note(self.now.total_reward)

    def _note(self, total: float) -> None:
        state, timestep = self._stepper.numpy()
        info = {k: v for k, v in timestep.info._asdict().items() if v is not None}
        total += float(timestep.reward) if state.steps else 0.0
        self.now = Moment(state, info, total, bool(timestep.terminated or timestep.truncated))


class Subject:
    """An environment that is looked at.

    Attributes:
        env: the environment to reset and step, whole.
        base: what is inside its wrappers.
        label: what it is called.
        twin: its exact twin; None where the environment is exact or the truth is unknown.
        twin_label: what the twin is called.
        now: the present moment.
    """

    now: Moment

    def __init__(self, env: gymnasium.Env, label: str, *, made: bool, with_twin: bool = True):
        self.env, self.label, self._made = env, label, made
        self.base = base_of(env)
        self.twin_label = _exact_label(self.base)
        self.twin: Twin | None = None
        if not self.learned:
            return
        if label == self.twin_label:
            self.label = f"{label} learned"
        if with_twin and self.base.system is not None:
            self.twin = Twin(self.base)
            self._put(self.twin)

    @property
    def learned(self) -> bool:
        """Whether a model moves it."""
        return self.base.dynamics.learned

    @property
    def coordinates(self) -> Coordinates:
        """What moves."""
        return self.base.coordinates

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The checkpoint that moves it; None without one."""
        swapped = (one for one in _wrappers(self.env) if isinstance(one, LearnedDynamicsEnv))
        return next((one.checkpoint for one in swapped), self.base.checkpoint)

    @property
    def fps(self) -> int:
        """Steps in a second of simulated time, rounded."""
        return self.base.metadata["render_fps"]

    def reset(self, *, seed: int | None = None, start: Sequence[float] | None = None) -> Moment:
        """Begin an episode, at the state `start` (2n,) if there is one."""
        options = None if start is None else {"state": np.asarray(start)}
        _, info = self.env.reset(seed=seed, options=options)
        self.now = Moment(self.base.functional_state, info, 0.0, False)
        return self.now

    def step(self, action: Any) -> Moment:
        """Step the environment, and its twin along with it."""
        _, reward, terminated, truncated, info = self.env.step(action)
        total = self.now.total_reward + float(reward)
        over = bool(terminated or truncated)
        self.now = Moment(self.base.functional_state, info, total, over)
        return self.now

    @property
    def twin_goes_on(self) -> bool:
        """Whether the twin can go on alone, after the environment's end and before the limit.

        Only where the environment was made here, and no wrapper changes actions.
        """
        if self.twin is None or not self._made or self.twin.now.ended:
            return False
        spec = self.env.spec
        limit = None if spec is None else spec.max_episode_steps
        return not limit or limit < 0 or int(self.twin.now.state.steps) < limit

    def close(self) -> None:
        """Take the twin out again; close the environment if it was made here."""
        if self.twin is not None:
            self._put(self.base)
        if self._made:
            self.env.close()

    def _put(self, inner: gymnasium.Env) -> None:
        """Put an environment inside all wrappers."""
        if self.env is self.base or isinstance(self.env, Twin):
            self.env = inner
            return
        around = (one for one in _wrappers(self.env) if one.env in (self.base, self.twin))
        next(around).env = inner


def subject(what: Viewed, arguments: Mapping[str, Any], *, with_twin: bool = True) -> Subject:
    """What is to be looked at.

    Arguments:
        what: an id, a system's name, "module:Class" or a `System` subclass; or a scalar
            environment of this package, wrapped or not, which stays open.
        arguments: of `gymnasium.make`; none for an environment.
        with_twin: whether its exact twin is wanted.

    Raises:
        ConfigurationError: none of these, or arguments that make no sense.
        CheckpointError: the argument `checkpoint` names none that fits.
    """
    if isinstance(what, gymnasium.Env):
        if arguments:
            raise ConfigurationError(
                f"{', '.join(arguments)}: only with an id; this environment has its own"
            )
        return Subject(what, _label(what), made=False, with_twin=with_twin)
    row, checkpoint = row_of(what), arguments.get("checkpoint")
    env = gymnasium.make(row.id, **row.kwargs | dict(arguments))
    label = _label(env) if checkpoint is None else Path(checkpoint).stem
    return Subject(env, label, made=True, with_twin=with_twin)


def row_of(what: Any) -> EnvironmentRow:
    """The row of an id, a system's name, "module:Class" or a `System` subclass.

    Raises:
        ConfigurationError: none of these.
    """
    if inspect.isclass(what):
        return find(system_reference(what))
    if not isinstance(what, str):
        raise ConfigurationError(
            f"{what!r}: expected an id, a system's name, module:Class, or a scalar environment "
            "of gym_lagrangian"
        )
    return find(what)


def base_of(env: gymnasium.Env) -> LagrangianEnv:
    """The environment inside all wrappers.

    Raises:
        ConfigurationError: it is not one of this package.
    """
    base = env.unwrapped
    if not isinstance(base, LagrangianEnv):
        raise ConfigurationError(f"{env} is not an environment of gym_lagrangian")
    return base


def _wrappers(env: gymnasium.Env) -> Iterator[gymnasium.Wrapper]:
    """All wrappers, from the outermost."""
    while isinstance(env, gymnasium.Wrapper):
        yield env
        env = env.env


def _label(env: gymnasium.Env) -> str:
    """The id of an environment; the name of what moves in it, where it has none of its own."""
    spec = env.spec
    if spec is None or spec.id == GENERIC_ID:
        return base_of(env).coordinates.name
    return spec.id


def _exact_label(base: LagrangianEnv) -> str:
    """The id of the exact environment of a system; the machine's name where there is none."""
    if base.system is None:
        return base.coordinates.name
    try:
        reference = system_reference(type(base.system))
    except ConfigurationError:  # a class within a function, which has no id either
        return base.coordinates.name
    return exact_id(reference) or base.coordinates.name


def exact_id(system: str) -> str | None:
    """The id of the exact environment of a system, by its reference; None where there is none."""
    ids = (row.id for row in environments() if row.model is None and row.system == system)
    return next(ids, None)
