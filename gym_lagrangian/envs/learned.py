"""`LearnedDynamicsEnv`: any environment of this package, moved by a learned model instead."""

from __future__ import annotations

import os
from typing import Any

import gymnasium
import numpy as np
from gymnasium.utils import RecordConstructorArgs
from jax.typing import ArrayLike

from gym_lagrangian import checkpoints
from gym_lagrangian.checkpoints import Checkpoint, check_fits
from gym_lagrangian.envs.functional import Simulation, check_dt, dynamics_of
from gym_lagrangian.envs.scalar import LagrangianEnv
from gym_lagrangian.envs.shell import as_numpy
from gym_lagrangian.errors import CheckpointError, ConfigurationError
from gym_lagrangian.models.base import Model


class LearnedDynamicsEnv(gymnasium.Wrapper, RecordConstructorArgs):
    """Swaps the dynamics of an environment for a trained model; everything else stays.

    Reward, spaces, seeding, rendering and the wrappers below are the environment's own, and
    the true energy of every state is still in `info`. The environment belongs to this wrapper
    until `close` or `unwrap` gives it back its own dynamics: do not step it from elsewhere.

        env = LearnedDynamicsEnv(gymnasium.make("DoublePendulum-v0"), "DoublePendulumLNN")

    Giving another model of the same structure to `set_model` compiles nothing.
    """

    def __init__(
        self,
        env: gymnasium.Env,
        model: Model | Checkpoint | str | os.PathLike[str],
        *,
        integrator: str = "dop853",
        substeps: int | None = None,
    ):
        """Wrap `env`.

        Arguments:
            env: an environment of this package, wrapped or not.
            model: a model, a loaded checkpoint, the path of one or the name of a shipped one.
            integrator, substeps: how the model is integrated; substeps default to what the
                system recommends for learned models.

        Raises:
            ConfigurationError: `env` is not an environment of this package.
            CheckpointError: the checkpoint is damaged, or the model was trained for another
                system or other parameters; the message names both.
        """
        RecordConstructorArgs.__init__(
            self,
            _disable_deepcopy=True,
            model=model,
            integrator=integrator,
            substeps=substeps,
        )
        gymnasium.Wrapper.__init__(self, env)
        self._base = _base(env)
        self._integrator = integrator
        self._substeps = substeps
        self._own_dynamics, self._own_card = self._base.dynamics, self._base.card
        self.set_model(model)

    def set_model(self, model: Model | Checkpoint | str | os.PathLike[str]) -> None:
        """Use another model from the next step on; arguments and errors as for the class."""
        base = self._base
        moved, m_bounds = base.coordinates, np.asarray(base.functional[1].m_bounds)
        if isinstance(model, str | os.PathLike):
            model = checkpoints.load_for(model, moved, m_bounds)
        elif isinstance(model, Checkpoint):
            check_fits(model.card, moved, m_bounds, what="the checkpoint")
        elif not isinstance(model, Model):
            raise ConfigurationError(
                f"model = {model!r}: expected a Model, a Checkpoint, a path or the name of a "
                "shipped checkpoint"
            )
        elif (model.embedding.system, model.embedding.angular) != (moved.name, moved.angular):
            raise CheckpointError(
                f"the model is a model of {model.embedding.system}, this is {moved.name}"
            )
        substeps = self._substeps
        if substeps is None:
            substeps = moved.default_substeps(base.dt, learned=True)
        dynamics = dynamics_of(model, integrator=self._integrator, substeps=substeps)
        check_dt(dynamics, base.dt)
        card = model.card if isinstance(model, Checkpoint) else None
        base.swap_dynamics(dynamics, card)
        self._model = model

    @property
    def model(self) -> Model:
        """The model that moves the environment."""
        return self._model.model if isinstance(self._model, Checkpoint) else self._model

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The checkpoint that the model came from; None for a bare model."""
        return self._model if isinstance(self._model, Checkpoint) else None

    def simulate(self, state: Any, actions: ArrayLike, **parameters: Any) -> Simulation:
        """What actions would do from a state under the model, without touching the environment.

        Arguments, result and errors as of `LagrangianEnv.simulate`.
        """
        return self._base.simulate(state, actions, **parameters)

    def unwrap(self) -> gymnasium.Env:
        """The wrapped environment with its own dynamics back; this wrapper is done with it."""
        self._base.swap_dynamics(self._own_dynamics, self._own_card)
        return self.env

    def close(self) -> None:
        """Give the environment its own dynamics back and close it."""
        self.unwrap().close()

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_own_dynamics": as_numpy(self._own_dynamics)}


def _base(env: gymnasium.Env) -> LagrangianEnv:
    base = env.unwrapped
    if not isinstance(base, LagrangianEnv):
        raise ConfigurationError(
            f"{base} is not an environment of gym_lagrangian: its dynamics cannot be swapped"
        )
    return base
