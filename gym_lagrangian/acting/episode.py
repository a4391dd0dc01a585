"""One episode as the agent experienced it, and its file."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import numpy as np

from gym_lagrangian.errors import DataError
from gym_lagrangian.files import replacing


class Episode(NamedTuple):
    """What was observed, done and rewarded in T steps, and nothing else.

    Attributes:
        observations: (T + 1, o), the first after the reset.
        actions: (T, …), as the environment took them.
        rewards: (T,).
        terminated, truncated: whether the last step ended the episode, and by what.
        undone: whether the last step left the valid range, so that the environment undid it.
        random: whether the actions were random ones.
    """

    observations: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    terminated: bool
    truncated: bool
    undone: bool
    random: bool

    def __len__(self) -> int:  # type: ignore[override]
        """T."""
        return len(self.rewards)


def save(episode: Episode, path: str | os.PathLike[str]) -> None:
    """Write an npz file; `path` holds the old file or the whole new one."""
    with replacing(path, failure=DataError) as part, part.open("wb") as file:
        np.savez_compressed(file, **episode._asdict())


def load(path: str | os.PathLike[str]) -> Episode:
    """The episode that `save` wrote.

    Raises:
        DataError: it is none.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            found: dict[str, Any] = {name: file[name] for name in Episode._fields}
    except (OSError, KeyError, ValueError) as error:
        raise DataError(f"{os.fspath(path)!r} is not the file of an episode: {error}") from error
    flags = ("terminated", "truncated", "undone", "random")
    found |= {name: bool(found[name]) for name in flags}
    return Episode(**found)
