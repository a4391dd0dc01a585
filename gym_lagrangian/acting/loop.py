r"""The loop: act at random, then fit, plan and act again, until the budget of real seconds is used.

Everything random is drawn from the seed and the number of the episode, and every episode, model and
line of history is in the folder before the next episode begins. So a run that was killed and
started again ends as an uninterrupted one would have.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium
import numpy as np

from gym_lagrangian import checkpoints
from gym_lagrangian.acting import episode as episodes
from gym_lagrangian.acting.delay import ahead
from gym_lagrangian.acting.episode import Episode
from gym_lagrangian.acting.experience import states_of, transitions
from gym_lagrangian.acting.exploring import random_actions
from gym_lagrangian.acting.fitting import Fitting, belonging
from gym_lagrangian.acting.folder import Folder
from gym_lagrangian.acting.model_error import one_step_error
from gym_lagrangian.acting.planning import Planning, params_of
from gym_lagrangian.acting.policy_search import PolicySearch
from gym_lagrangian.acting.running import run
from gym_lagrangian.acting.strategy import Actor, Situation, Strategy
from gym_lagrangian.acting.success import (
    Criterion,
    Lived,
    in_a_row,
    seconds_until_always,
    seconds_until_first,
    usual_criterion,
)
from gym_lagrangian.acting.world import World, world_of
from gym_lagrangian.checkpoints import Checkpoint
from gym_lagrangian.checks import finite_number, one_of, positive_number, seed_number, whole_number
from gym_lagrangian.errors import ConfigurationError, DataError
from gym_lagrangian.learning.config import FitConfig
from gym_lagrangian.models.ensemble import MOST_MEMBERS
from gym_lagrangian.planning import Planner
from gym_lagrangian.registration import find, model_reference
from gym_lagrangian.version import __version__


class Progress(NamedTuple):
    """What a progress callback is told after every episode.

    Attributes:
        seconds: real seconds used so far.
        budget: those that there are.
        line: the episode's line of history, see `learn`.
    """

    seconds: float
    budget: float
    line: dict[str, Any]


class Learned(NamedTuple):
    """What a run came to.

    Attributes:
        checkpoint: the last model; None where the experience sufficed for none.
        history: a line an episode.
        seconds: real seconds used.
        until_first: real seconds before the first successful episode; None without one.
        until_always: the same of the first after which the next five succeed too.
        out: the folder.
        actor: makes, of a seed, what acts in an episode as the agent would in its next one: a
            function of the state (2n,), the observation and the seconds since the start, to an
            action of the environment. Raises a `ConfigurationError` where there is no checkpoint.
    """

    checkpoint: Checkpoint | None
    history: list[dict[str, Any]]
    seconds: float
    until_first: float | None
    until_always: float | None
    out: Path
    actor: Callable[[int], Actor]


def learn(
    env: str | gymnasium.Env,
    model: Any = "DeLaN",
    *,
    budget: float,
    out: str | Path,
    random: float | None = None,
    episode: float | None = None,
    strategy: str | Strategy = "planning",
    planner: Planner | None = None,
    members: int = 1,
    steps: tuple[int, int] = (12_000, 6000),
    config: Mapping[str, Any] | None = None,
    model_config: Mapping[str, Any] | None = None,
    friction: str | None = None,
    success: Criterion | None = None,
    successes: int | None = None,
    seed: int = 0,
    adapter: Any = None,
    task: Any = None,
    on_progress: Callable[[Progress], Any] | None = None,
    **arguments: Any,
) -> Learned:
    """Learn a model of an environment while acting in it, from resets alone.

    The agent sees observations, rewards and flags. It reads neither `info` nor the state, and never
    sets one: coordinates come from observations, by the inverse that the task or the adapter
    states. It is given the task: what an action does, what is rewarded, and where an episode ends.
    Of a system of this package it is given typical magnitudes, which are units, and no equation.

    The folder `out` holds everything, see `acting.folder`. Called again with the same settings, a
    run goes on where it was killed, or on from its end with a larger budget.

    Arguments:
        env: an id, or an environment of this package or with an adapter. One that was handed in
            stays open.
        model: a name in `registration.MODELS`, "module:Class" or a `Model` subclass.
        budget: real seconds, steps times their dt, random ones included. The last episode is cut
            short where they end.
        random: seconds of smooth random actions to begin with, see `acting.exploring`; default one
            episode. Actions stay random as long as they do not suffice for a fit.
        episode: seconds after which an episode is reset; default the environment's time limit.
        strategy: ``"planning"``, ``"policy"`` (PPO in the model, see `acting.policy_search`), or a
            `Planning` or `PolicySearch` with settings of its own.
        planner: of the strategy ``"planning"``; default that of `planning.settings`.
        members: models in the ensemble that is fitted; 1 for a single model.
        steps: optimiser steps of a fit from random weights, and of one that goes on.
        config: other settings of the fits by name, see `FitConfig`.
        model_config, friction: as for `fit`; the friction defaults to the machine's kind.
        success: what counts as a success, a function of `acting.success.Lived`; default
            `tip_at_goal` for the tasks of chains, none for others.
        successes: end before the budget once so many episodes in a row succeeded.
        seed: of resets, random actions, weights and plans.
        adapter: of an environment of another package; default the one registered for its class.
        task: a `Task` over the environment's coordinates; default its own, or the adapter's.
        on_progress: called after every episode.
        arguments: of `gymnasium.make`, for an id.

    Returns:
        A `Learned`. A line of its history has ``episode`` (from 0), ``kind`` ("random" or the
        strategy's name), ``began`` and ``seconds`` (real seconds before and after it), ``steps``,
        ``return`` (the sum of rewards), ``success`` (None without a criterion), ``model_error``
        (of the model before on this episode, before it is fitted: see `acting.model_error`; None
        without one), ``held_out_error`` (1/s, of the last fit), ``transitions`` (so far) and
        ``wall`` (seconds of acting and of fitting on the clock). The first fit follows the last
        random episode.

    Raises:
        ConfigurationError: an argument that makes no sense, an environment without an adapter, task
            or reset, or a folder that holds something else or is in use.
        TrainingDiverged: the first fit became non-finite.
    """
    budget = positive_number("budget", budget, "real seconds")
    with contextlib.ExitStack() as stack:
        if task is not None and _is_own(env):
            arguments, task = arguments | {"task": task}, None
        made = stack.enter_context(_environment(env, arguments))
        world = world_of(made, adapter=adapter, task=task)
        settings = _Settings(
            fitting=Fitting(
                model_reference(model),
                *_two(steps),
                config=_items(config),
                model_config=_items(model_config),
                friction=friction,
                members=whole_number("members", members, most=MOST_MEMBERS),
            ),
            strategy=_strategy(strategy, planner),
            random=random if random is None else _not_negative("random", random),
            limit=_limit(world, episode),
            criterion=success or usual_criterion(world),
            successes=successes if successes is None else whole_number("successes", successes),
            seed=seed_number(seed),
        )
        settings.check()
        folder = Folder(out)
        stack.enter_context(folder.held(settings.document(world, env, arguments)))
        return _Run(world, settings, folder, budget, on_progress).finish()


@dataclass(frozen=True)
class _Settings:
    """Everything that decides what a run comes to, but for the budget."""

    fitting: Fitting
    strategy: Strategy
    random: float | None
    limit: int
    criterion: Criterion | None
    successes: int | None
    seed: int

    def check(self) -> None:
        """Refuse what no fit would take, before anything is done."""
        FitConfig.of(self.fitting.model, **dict(self.fitting.config))
        if self.successes is not None and self.criterion is None:
            raise ConfigurationError(
                f"successes = {self.successes}: it is not stated what a success is; give success="
            )

    def document(self, world: World, env: Any, arguments: dict[str, Any]) -> dict[str, Any]:
        """What identifies the run, JSON-able."""
        spec = world.env.spec
        return {
            "environment": repr(env) if spec is None else spec.id,
            "arguments": repr(sorted((arguments if spec is None else spec.kwargs).items())),
            "task": repr(world.task),
            "dt": world.dt,
            "fitting": asdict(self.fitting),
            "strategy": self.strategy.document(world),
            "random": self.random,
            "limit": self.limit,
            "success": getattr(self.criterion, "__qualname__", None),
            "successes": self.successes,
            "seed": self.seed,
            "package_version": __version__,
        }


class _Run:
    """A run under way: what is in its folder, and the next episode."""

    def __init__(
        self,
        world: World,
        settings: _Settings,
        folder: Folder,
        budget: float,
        on_progress: Callable[[Progress], Any] | None,
    ):
        self._world, self._settings, self._folder = world, settings, folder
        self._budget, self._on_progress = budget, on_progress
        self._history = folder.history()
        done = range(len(self._history))
        self._episodes = [episodes.load(folder.episode(i)) for i in done]
        self._found = self._last_model(len(self._history))

    def finish(self) -> Learned:
        """Episode after episode, until the budget is used or success stays."""
        while not self._over():
            line = self._next()
            self._history.append(line)
            self._folder.write(self._history)
            if self._on_progress is not None:
                self._on_progress(Progress(self._seconds, self._budget, line))
        lines = self._history
        first, always = seconds_until_first(lines), seconds_until_always(lines)
        where = self._folder.path
        return Learned(self._found, lines, self._seconds, first, always, where, self._acting)

    @property
    def _seconds(self) -> float:
        return self._history[-1]["seconds"] if self._history else 0.0

    def _over(self) -> bool:
        wanted = self._settings.successes
        won = wanted is not None and bool(self._history) and in_a_row(self._history) >= wanted
        return won or self._left(self._budget) < 1

    def _left(self, seconds: float) -> int:
        """Whole steps until so many seconds are used."""
        return int(np.floor((seconds - self._seconds) / self._world.dt + 1e-6))

    def _next(self) -> dict[str, Any]:
        """The next episode and what is learned of it, and its line of history."""
        index, began = len(self._history), time.monotonic()
        path = self._folder.episode(index)
        if not path.exists():  # it does where the run was killed while it fitted
            episodes.save(self._experienced(index), path)
        lived, acted = episodes.load(path), time.monotonic()
        error = self._surprise(lived)
        self._episodes.append(lived)
        data = transitions(self._world, self._episodes)
        if data is not None:
            data.save(self._folder.transitions)
        random = min(self._random_steps(), self._left(self._budget))
        if data is not None and len(lived) >= random:  # nobody asks for a model before that
            self._found = self._fitted(data, index)
        wall = {"acting": acted - began, "fitting": time.monotonic() - acted}
        count = 0 if data is None else len(data)
        return self._line(index, lived, error, count, {k: round(v, 3) for k, v in wall.items()})

    def _line(
        self, index: int, lived: Episode, error: float | None, count: int, wall: dict[str, float]
    ) -> dict[str, Any]:
        criterion, states = self._settings.criterion, states_of(self._world, lived)
        judged = criterion and criterion(Lived(self._world, lived, states))
        found = self._found
        return {
            "episode": index,
            "kind": "random" if lived.random else type(self._settings.strategy).__name__,
            "began": self._seconds,
            "seconds": round(self._seconds + len(lived) * self._world.dt, 9),
            "steps": len(lived),
            "return": float(lived.rewards.sum()),
            "success": None if judged is None else bool(judged),
            "model_error": error,
            "held_out_error": None if found is None else found.card.metrics["held_out_error"],
            "transitions": count,
            "wall": wall,
        }

    def _surprise(self, lived: Episode) -> float | None:
        """The error of the model so far in an episode that it has not seen."""
        if self._found is None:
            return None
        data = transitions(self._world, [lived])
        return None if data is None else one_step_error(self._found, data)

    def _experienced(self, index: int) -> Episode:
        reset, _, plans, _ = self._seeds(index)
        steps = min(self._settings.limit, self._left(self._budget))
        begin = self._random_steps()
        random = self._found is None or begin > 0
        if begin > 0:
            steps = min(steps, begin)
        actor = self._random_actor(index, steps) if random else self._actor(index, plans)
        return run(self._world, actor, seed=reset, steps=steps, random=random)

    def _random_steps(self) -> int:
        """How many random steps are left."""
        seconds = self._settings.random
        whole = self._settings.limit * self._world.dt if seconds is None else seconds
        return self._left(whole)

    def _random_actor(self, index: int, steps: int) -> Actor:
        seeds, size = (
            np.random.SeedSequence([self._settings.seed, index]),
            self._world.task.action_size,
        )
        actions = iter(random_actions(size, steps, self._world.dt, seeds))
        return lambda state, observation, time: next(actions)

    def _actor(self, index: int, seed: int) -> Actor:
        if self._found is None:
            raise ConfigurationError(
                "nothing was learned yet that could act: the experience sufficed for no model"
            )
        states = np.concatenate([states_of(self._world, one) for one in self._episodes])
        situation = Situation(
            world=self._world,
            checkpoint=self._found,
            states=states[np.isfinite(states).all(axis=1)],
            seed=seed,
            file=self._folder.agent(index),
            before=self._folder.agent(index - 1),
        )
        actor = self._settings.strategy.actor(situation)
        if not self._world.delay:
            return actor
        return ahead(actor, self._world, params_of(self._world, self._found))

    def _acting(self, seed: int) -> Actor:
        """What acts as in the next episode, by actions of the environment."""
        actor = self._actor(len(self._history), seed)
        return lambda state, observation, time: self._world.action_of(
            np.asarray(actor(state, observation, time))
        )

    def _fitted(self, data: Any, index: int) -> Checkpoint | None:
        """The model of everything so far; the one before where the data suffice for none."""
        *_, seed = self._seeds(index)
        out = self._folder.model(index)
        try:
            found = self._settings.fitting.fit(data, self._world, self._found, seed=seed, out=out)
        except DataError:
            return self._found
        belonging(found, self._world, self._folder.last_model)
        return found

    def _last_model(self, done: int) -> Checkpoint | None:
        paths = (self._folder.model(i) for i in reversed(range(done)))
        path = next((path for path in paths if path.exists()), None)
        return None if path is None else checkpoints.load(path)

    def _seeds(self, index: int) -> tuple[int, ...]:
        """Seeds of the reset, the random actions, the plans and the fit of an episode."""
        sequence = np.random.SeedSequence([self._settings.seed, index])
        return tuple(int(word) for word in sequence.generate_state(4))


@contextlib.contextmanager
def _environment(env: Any, arguments: dict[str, Any]) -> Any:
    if not isinstance(env, str):
        if arguments:
            raise ConfigurationError(
                f"{', '.join(arguments)}: only with an id; an environment has its own"
            )
        yield env
        return
    with contextlib.closing(_made(env, arguments)) as made:
        yield made


def _made(env_id: str, arguments: dict[str, Any]) -> gymnasium.Env:
    if not _is_own(env_id):
        return gymnasium.make(env_id, **arguments)
    row = find(env_id)
    return gymnasium.make(row.id, **row.kwargs | arguments)


def _is_own(env: Any) -> bool:
    """Whether it is an id of this package rather than of another, or no id.

    Raises:
        ConfigurationError: the id is not registered.
    """
    if not isinstance(env, str):
        return False
    try:
        find(env)
    except ConfigurationError:
        if env.rpartition(":")[2] not in gymnasium.registry:
            raise
        return False
    return True


def _strategy(strategy: Any, planner: Planner | None) -> Strategy:
    if isinstance(strategy, str):
        one_of("strategy", strategy, ("planning", "policy"))
        strategy = Planning(planner) if strategy == "planning" else PolicySearch()
    elif planner is not None:
        raise ConfigurationError('planner: only with strategy = "planning"; a Planning has its own')
    if not isinstance(strategy, Strategy):
        raise ConfigurationError(
            f'strategy = {strategy!r}: expected "planning", "policy", a Planning or PolicySearch'
        )
    if planner is not None and not isinstance(strategy, Planning):
        raise ConfigurationError(f"planner = {planner!r}: the strategy does not plan")
    return strategy


def _limit(world: World, episode: float | None) -> int:
    """The most steps in an episode."""
    if episode is None and world.limit is None:
        raise ConfigurationError(
            f"{world.env} has no time limit: say after how many seconds to reset it, episode="
        )
    own = world.limit or np.inf
    asked = np.inf if episode is None else positive_number("episode", episode, "s") / world.dt
    return max(1, int(min(own, np.floor(asked + 1e-6))))


def _two(steps: Any) -> tuple[int, int]:
    if not isinstance(steps, tuple | list) or len(steps) != 2:
        raise ConfigurationError(
            f"steps = {steps!r}: expected those of the first fit and of others"
        )
    return steps[0], steps[1]


def _items(given: Mapping[str, Any] | None) -> tuple[tuple[str, Any], ...]:
    return tuple((given or {}).items())


def _not_negative(what: str, value: Any) -> float:
    if finite_number(what, value, "seconds") < 0:
        raise ConfigurationError(f"{what} = {value!r}: expected at least 0 seconds")
    return float(value)
