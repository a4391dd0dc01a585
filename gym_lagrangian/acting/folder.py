r"""The folder of a run: written so that a kill at any moment loses at most the episode under way.

    run.json                what the run is; another run is refused
    episodes/00000.npz      what was observed, done and rewarded, one file an episode
    models/00000.safetensors  the model after that episode
    agents/00000.npz        what a strategy keeps of its own, where it does
    transitions.npz         everything so far, as `fit` takes it
    model.safetensors       the last model, as environments of the machine take it
    history.jsonl           a line an episode, written once all the rest of it is

A file is always replaced as a whole. One process at a time holds the lock of the folder; the
operating system releases it when the process ends, also by a kill.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gym_lagrangian.errors import ConfigurationError, DataError
from gym_lagrangian.files import only_writer, replacing


class Folder:
    """Where a run is kept."""

    def __init__(self, path: str | Path):
        self.path = Path(path)

    def episode(self, index: int) -> Path:
        return self.path / "episodes" / f"{index:05d}.npz"

    def model(self, index: int) -> Path:
        return self.path / "models" / f"{index:05d}.safetensors"

    def agent(self, index: int) -> Path:
        return self.path / "agents" / f"{index:05d}"

    @property
    def transitions(self) -> Path:
        return self.path / "transitions.npz"

    @property
    def last_model(self) -> Path:
        return self.path / "model.safetensors"

    @contextlib.contextmanager
    def held(self, settings: dict[str, Any]) -> Iterator[None]:
        """The folder for this process alone, begun or gone on with.

        Raises:
            ConfigurationError: another process has it, or it holds something else than this run.
            DataError: it cannot be written.
        """
        self._made()
        with only_writer(self.path / "run.json", failure=ConfigurationError):
            self._identify(settings)
            yield

    def history(self) -> list[dict[str, Any]]:
        """The lines of the episodes that are done with."""
        path = self.path / "history.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def write(self, history: list[dict[str, Any]]) -> None:
        """Replace the lines."""
        with replacing(self.path / "history.jsonl", failure=DataError) as part:
            part.write_text("".join(json.dumps(line) + "\n" for line in history))

    def _made(self) -> None:
        known = (self.path / "run.json").exists()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            # A run that was killed at once leaves parts of the file that says what it is.
            names = [one.name for one in self.path.iterdir()]
            others = [name for name in names if not name.startswith("run.json")]
        except OSError as error:
            raise DataError(f"cannot write to the folder {str(self.path)!r}: {error}") from error
        if others and not known:
            raise ConfigurationError(
                f"out = {str(self.path)!r} is no folder of a run and holds {', '.join(others[:3])}"
                ": give an empty or a new one"
            )

    def _identify(self, settings: dict[str, Any]) -> None:
        path = self.path / "run.json"
        settings = json.loads(json.dumps(settings))  # as it will be read
        if not path.exists():
            with replacing(path, failure=DataError) as part:
                part.write_text(json.dumps(settings, indent=1) + "\n")
            return
        there = json.loads(path.read_text())
        if there != settings:
            names = [k for k in {**there, **settings} if there.get(k) != settings.get(k)]
            raise ConfigurationError(
                f"out = {str(self.path)!r} holds another run: "
                + "; ".join(
                    f"{k} is {there.get(k)!r} there, not {settings.get(k)!r}" for k in names
                )
                + ". Go on with that one's settings, or give another folder"
            )
