"""What the scalar and the vector environment share: arguments, precision, device, dynamics."""

from __future__ import annotations

import dataclasses
import os
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from typing import Any

import jax
import numpy as np
from gymnasium.envs.registration import EnvSpec

from gym_lagrangian import references
from gym_lagrangian.checkpoints import Checkpoint, load
from gym_lagrangian.envs import functional
from gym_lagrangian.envs._scope import scope
from gym_lagrangian.envs.functional import FunctionalEnv, Params, State, cast
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.physics.dynamics import Dynamics
from gym_lagrangian.systems.base import System
from gym_lagrangian.systems.coordinates import Coordinates
from gym_lagrangian.systems.task import Task


class Shell(ABC):
    """Holds the pure functions of an environment and their parameters."""

    dt: float

    @property
    @abstractmethod
    def functional_state(self) -> State:
        """The whole state of the episodes under way, as NumPy arrays."""

    def _build(
        self,
        system: Any,
        *,
        checkpoint: str | os.PathLike[str] | None,
        task: Any,
        reward: Any,
        dt: float,
        dtype: str,
        device: str,
        integrator: str,
        substeps: int | None,
        options: dict[str, Any],
    ) -> None:
        self._checkpoint = checkpoint
        self._dtype = dtype
        self._device = _device(device)
        with self.scope():
            self._env, params = functional.make(
                system,
                checkpoint=checkpoint,
                task=task,
                reward=reward,
                dt=dt,
                dtype=dtype,
                integrator=integrator,
                substeps=substeps,
                **options,
            )
            self._use(params)
        self.dt = float(dt)

    def _use(self, params: Params) -> None:
        """Step with these parameters from now on."""
        self._params = params
        self._takes_forces = params.dynamics.takes_forces

    @property
    def spec(self) -> EnvSpec | None:
        """Gymnasium's specification, its arguments as plain data that JSON can hold."""
        return self._spec

    @spec.setter
    def spec(self, spec: EnvSpec | None) -> None:
        self._spec = spec
        if spec is not None:
            spec.kwargs = {name: plain(value) for name, value in spec.kwargs.items()}

    _spec: EnvSpec | None = None

    @property
    def coordinates(self) -> Coordinates:
        """What moves; the system where its equations are known."""
        return self._env.coordinates

    @property
    def system(self) -> System | None:
        """The physical system; None where nobody knows its equations."""
        return self._env.system

    @property
    def task(self) -> Task:
        """What is done with it."""
        return self._env.task

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The checkpoint that the id or the argument named, with its card (configuration, seed,
        metrics) and SHA-256; None for the exact dynamics.
        """
        return None if self._checkpoint is None else load(self._checkpoint, self.coordinates)

    @property
    def checkpoint_name(self) -> str | None:
        """The name or path of `checkpoint`."""
        return None if self._checkpoint is None else os.fspath(self._checkpoint)

    @property
    def functional(self) -> tuple[FunctionalEnv, Params]:
        """The pure functions under this environment, and their parameters."""
        return self._env, self._params

    @property
    def dynamics(self) -> Dynamics:
        """What is stepped; assign to replace it. Same structure, new weights: no recompilation."""
        return self._params.dynamics

    @dynamics.setter
    def dynamics(self, dynamics: Dynamics) -> None:
        with self.scope():
            self._use(dataclasses.replace(self._params, dynamics=cast(dynamics, self._dtype)))

    def scope(self) -> AbstractContextManager[None]:
        """Precision and device of this environment, without touching anyone else's."""
        return scope(self._dtype, self._device)


def _device(platform: str) -> Any:
    try:
        return jax.devices(platform)[0]
    except RuntimeError as error:
        raise ConfigurationError(
            f"device = {platform!r}: jax has no such platform here ({error})"
        ) from error


def plain(value: Any) -> Any:
    """An argument as data that JSON can hold, if there is such a form of it."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray | jax.Array):
        return np.asarray(value).tolist()
    if callable(value):  # what was made within a function has no other form
        return references.reference_to(value, "argument") if references.has_one(value) else value
    if isinstance(value, tuple | list):
        return [plain(one) for one in value]
    return value
