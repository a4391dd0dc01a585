"""Minari (extra `minari`): data sets of environments that have an adapter, read and written.

Reference: Younis et al., "Minari" (2024), https://minari.farama.org.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from gym_lagrangian.adapters.base import Adapter, checked_vector
from gym_lagrangian.adapters.registry import adapter_for
from gym_lagrangian.envs.shell import Shell
from gym_lagrangian.errors import ConfigurationError, DataError
from gym_lagrangian.learning.transitions import Transitions
from gym_lagrangian.learning.watcher import Row, transitions_of
from gym_lagrangian.learning.witness import columns

# The environment variable that says where Minari keeps data sets.
_DATASETS = "MINARI_DATASETS_PATH"


def read_minari(dataset: Any, *, adapter: Any = None, disturbed: bool = False) -> Transitions:
    """The transitions in a Minari data set.

    States are what the observations show, by `Adapter.state_of`, or by `Task.state_of` for the
    environments of this package; forces are those of the actions. Rewards, ends and observations
    are in `Transitions.columns`. Steps whose observations do not show the whole state are left out.

    Arguments:
        dataset: a `minari.MinariDataset`, or the id of one on this computer.
        adapter: of the data set's environment; default the one registered for its class.
        disturbed: whether to keep steps that begin or end in a contact or at the end of a joint's
            range, as of `collect`.

    Raises:
        ConfigurationError: Minari is not there, no such data set, an environment without an
            adapter, or an adapter that states no state of an observation.
        DataError: observations that wrappers have changed, or no transition at all.
    """
    found = _loaded(dataset) if isinstance(dataset, str) else dataset
    env = found.recover_environment()
    try:
        reader = _reader(env, adapter)
        _check_space(found, env)
        rows = [row for episode in found.iterate_episodes() for row in reader.rows(episode)]
        shown = [row for row in rows if np.all(np.isfinite([row.before, row.after]))]
        kept = [row for row in shown if disturbed or reader.free(row)]
        if not kept:
            raise DataError(f"{found.spec.dataset_id}: not one transition to learn from")
        return transitions_of(kept, reader.coordinates, reader.dt)
    finally:
        env.close()


class _AdaptedReader:
    """Reads episodes of an environment by its adapter."""

    def __init__(self, env: gymnasium.Env, adapter: Adapter):
        self._base, self._adapter = env.unwrapped, adapter
        env.reset(seed=0)  # many adapters read what a reset has made
        self.coordinates = adapter.coordinates(self._base)
        self.dt = float(adapter.dt(self._base))

    def rows(self, episode: Any) -> Iterator[Row]:
        """The steps of an episode."""
        return _rows(episode, self._state, self._force)

    def free(self, row: Row) -> bool:
        """Whether mechanics, friction and motors alone act in both states of a row."""
        return self._free(row.before) and self._free(row.after)

    def _free(self, x: np.ndarray) -> bool:
        self._adapter.set_state(self._base, *np.split(x, 2))
        q, qd = self._adapter.state(self._base)
        own = np.concatenate([np.ravel(q), np.ravel(qd)])  # clipped, where the environment clips
        return self._adapter.is_free(self._base) and bool(np.allclose(own, x, atol=1e-4))

    def _state(self, observation: Any) -> np.ndarray:
        n = self.coordinates.n
        q, qd = self._adapter.state_of(self._base, observation)
        halves = [checked_vector(self._adapter, "state_of", half, n) for half in (q, qd)]
        return np.concatenate(halves)

    def _force(self, action: Any, x: np.ndarray) -> np.ndarray:
        self._adapter.set_state(self._base, *np.split(x, 2))
        force = self._adapter.generalized_force(self._base, action)
        return checked_vector(self._adapter, "generalized_force", force, self.coordinates.n)


class _OwnReader:
    """Reads episodes of an environment of this package, by its task."""

    def __init__(self, env: gymnasium.Env):
        base: Any = env.unwrapped
        self._base, self._task = base, base.task
        self.coordinates, self.dt = base.coordinates, float(base.dt)

    def rows(self, episode: Any) -> Iterator[Row]:
        """The steps of an episode."""
        return _rows(episode, self._state, self._force)

    def free(self, row: Row) -> bool:
        """Nothing but mechanics acts here."""
        return True

    def _state(self, observation: Any) -> np.ndarray:
        return np.concatenate(self._task.state_of(observation))

    def _force(self, action: Any, x: np.ndarray) -> np.ndarray:
        q, qd = np.split(x, 2)
        return np.asarray(self._task.generalized_force(q, qd, np.asarray(action)), np.float64)


def _reader(env: gymnasium.Env, adapter: Any) -> _AdaptedReader | _OwnReader:
    if isinstance(env.unwrapped, Shell):
        return _OwnReader(env)
    return _AdaptedReader(env, adapter_for(env, adapter))


def _rows(episode: Any, state: Any, force: Any) -> Iterator[Row]:
    """Each step of an episode, the state of an instant computed once."""
    observed = list(_instants(episode.observations, len(episode.rewards) + 1))
    states = [state(observation) for observation in observed]
    actions = _instants(episode.actions, len(episode.rewards))
    for i, action in enumerate(actions):
        ends = {
            "reward": episode.rewards[i],
            "terminated": episode.terminations[i],
            "truncated": episode.truncations[i],
        }
        seen = {
            **columns("observation", observed[i]),
            **columns("action", action),
            **columns("next_observation", observed[i + 1]),
            **{name: np.array(value) for name, value in ends.items()},
        }
        yield Row(states[i], force(action, states[i]), states[i + 1], seen)


def _instants(values: Any, count: int) -> Iterator[Any]:
    """One after another, the values that arrays keep, or dictionaries or tuples of arrays."""
    for i in range(count):
        if isinstance(values, dict):
            yield {name: next(_instants(value[i:], 1)) for name, value in values.items()}
        elif isinstance(values, tuple):
            yield tuple(next(_instants(value[i:], 1)) for value in values)
        else:
            yield values[i]


def _check_space(dataset: Any, env: gymnasium.Env) -> None:
    """Refuse observations that are not the unwrapped environment's."""
    seen, own = dataset.observation_space, env.unwrapped.observation_space
    if seen.shape != own.shape:
        raise DataError(
            f"{dataset.spec.dataset_id} holds observations of {seen}, and {env.unwrapped} has "
            f"{own}: wrappers changed them; record the environment without these wrappers"
        )


# -- writing -----------------------------------------------------------------------------------


def collector(env: Any, dataset_id: str) -> Any:
    """The environment with Minari's `DataCollector` around it. It seeds every episode; here by
    numbers that follow from the first seed.

    Raises:
        ConfigurationError: Minari is not there, there is such a data set already, or the id is
            none; or a vector environment.
    """
    minari = _minari()
    if isinstance(env, gymnasium.vector.VectorEnv):
        raise ConfigurationError("minari: only with a single environment, which Minari records")
    if env.spec is None:
        raise ConfigurationError(
            f"minari: {env} has no spec, from which the data set could recover it: make it by "
            "gymnasium.make"
        )
    try:
        importlib.import_module("minari.dataset.minari_dataset").parse_dataset_id(dataset_id)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            f'minari = {dataset_id!r}: expected an id such as "pendulum/random-v0"'
        ) from error
    if _place(dataset_id).exists():
        raise ConfigurationError(
            f"minari = {dataset_id!r}: there is such a data set already; choose another version, "
            "or remove it by `minari delete`"
        )

    class Collector(minari.DataCollector):
        def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
            if seed is None:
                seed = int(self.seeds.integers(2**31))
            else:
                self.seeds = np.random.default_rng(seed)
            return super().reset(seed=seed, options=options)

    return Collector(env)


def write(collected: Any, dataset_id: str, policy: str) -> None:
    """Make a data set of what a collector holds: the whole, or none where that is interrupted."""
    place = _place(dataset_id)
    # Minari fills the folder of a data set file by file. It does so in a hidden folder, which it
    # never lists, and the whole data set is moved.
    with tempfile.TemporaryDirectory(prefix=".", dir=_place("")) as made:
        with _datasets_in(made), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about authors, who are unknown
            collected.create_dataset(
                dataset_id=dataset_id,
                algorithm_name=policy,
                description=f"Recorded by gym_lagrangian.collect from {collected.spec.id}.",
            )
        _make_namespace(place.parent)
        os.replace(Path(made) / dataset_id, place)


def _place(dataset_id: str) -> Path:
    """The folder of a data set; of all of them, for the empty id."""
    return importlib.import_module("minari.storage").get_dataset_path(dataset_id)


@contextlib.contextmanager
def _datasets_in(folder: str) -> Iterator[None]:
    """Let Minari keep its data sets there."""
    before = os.environ.get(_DATASETS)
    os.environ[_DATASETS] = folder
    try:
        yield
    finally:
        if before is None:
            del os.environ[_DATASETS]
        else:
            os.environ[_DATASETS] = before


def _make_namespace(folder: Path) -> None:
    names = importlib.import_module("minari.namespace")
    namespace = folder.relative_to(_place("")).as_posix()
    if namespace != "." and namespace not in names.list_local_namespaces():
        names.create_namespace(namespace)


def _loaded(dataset_id: str) -> Any:
    try:
        return _minari().load_dataset(dataset_id)
    except (FileNotFoundError, ValueError) as error:
        raise ConfigurationError(
            f"dataset = {dataset_id!r}: no such Minari data set on this computer; "
            f"`minari download {dataset_id}` fetches one"
        ) from error


def _minari() -> Any:
    try:
        return importlib.import_module("minari")
    except ImportError as error:
        raise ConfigurationError(
            'Minari is not installed: pip install "gym_lagrangian[minari]"'
        ) from error
