"""What the scalar and the vector environment share: arguments, precision, device, dynamics."""

from __future__ import annotations

import dataclasses
from contextlib import AbstractContextManager
from typing import Any

import jax

from gym_lagrangian.checkpoints import Checkpoint, load
from gym_lagrangian.envs import functional
from gym_lagrangian.envs.functional import FunctionalEnv, Params, cast
from gym_lagrangian.envs.scope import scope
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.physics.dynamics import Dynamics
from gym_lagrangian.systems.base import System


class Shell:
    """Holds the pure functions of an environment and their parameters."""

    dt: float

    def _build(
        self,
        system: str,
        *,
        checkpoint: str | None,
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
    def system(self) -> System:
        """The physical system."""
        return self._env.system

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The checkpoint that the id or the argument named, with its card (configuration, seed,
        metrics) and SHA-256; None for the exact dynamics.
        """
        return None if self._checkpoint is None else load(self._checkpoint, self.system)

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
