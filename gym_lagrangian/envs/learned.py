"""`LearnedDynamicsEnv`: an environment moved by a learned model instead."""

from __future__ import annotations

import os
from typing import Any

import gymnasium
from gymnasium.utils import RecordConstructorArgs
from jax.typing import ArrayLike

from gym_lagrangian import checkpoints
from gym_lagrangian.adapters import Adapter
from gym_lagrangian.checkpoints import Checkpoint, check_fits
from gym_lagrangian.envs._host import host_of
from gym_lagrangian.envs.functional import Simulation, check_dt, dynamics_of
from gym_lagrangian.envs.trust import TrustOptions
from gym_lagrangian.errors import CheckpointError, ConfigurationError
from gym_lagrangian.models.base import Model
from gym_lagrangian.models.embedding import Embedding
from gym_lagrangian.systems.coordinates import Coordinates, Magnitudes


class LearnedDynamicsEnv(gymnasium.Wrapper, RecordConstructorArgs):
    """Swaps the dynamics of an environment for a trained model; everything else stays.

    Reward, spaces, seeding, rendering and the wrappers below are the environment's own, and
    the true energy of every state is still in `info`. The environment belongs to this wrapper
    until `close` or `unwrap` gives it back its own dynamics: do not step it from elsewhere.

        env = LearnedDynamicsEnv(gymnasium.make("DoublePendulum-v0"), "DoublePendulumLNN")

    The environment may be of another package if it has an adapter (`gym_lagrangian.adapters`):
    MuJoCo's of hinges and slides, classic control, your own. Two entries are then added to its
    `info`. `diverged`: the model's prediction was not finite, which ends the episode where it was.
    `disturbed`: a contact or the end of a joint's range acts in this state, which the model does
    not describe.

        env = LearnedDynamicsEnv(gymnasium.make("Reacher-v5"), "reacher.safetensors")

    A model may be an `Ensemble`: its mean moves the environment, and `info` has the members'
    disagreement as `uncertainty`, and as `uncertain` whether it exceeds the limit.

    Giving another model of the same structure to `set_model` compiles nothing.
    """

    def __init__(
        self,
        env: gymnasium.Env,
        model: Model | Checkpoint | str | os.PathLike[str],
        *,
        integrator: str = "dop853",
        substeps: int | None = None,
        adapter: Adapter | type[Adapter] | str | None = None,
        uncertainty_limit: float | None = None,
        uncertainty_penalty: float | None = None,
        member: str | int | None = None,
    ):
        """Wrap `env`.

        Arguments:
            env: an environment of this package, or one that has an adapter, wrapped or not.
            model: a model, a loaded checkpoint, the path of one or the name of a shipped one.
            integrator, substeps: how the model is integrated; substeps default to what the
                system recommends for learned models.
            adapter: of an environment of another package; default the one registered for its class.
            uncertainty_limit: of an ensemble, the uncertainty above which an episode is truncated.
            uncertainty_penalty: of an ensemble, what a unit of uncertainty costs in reward.
            member: of an ensemble, ``"mean"`` (default), ``"draw"`` for one member an episode,
                drawn at reset by the environment's own generator, or the number of a member.

        Raises:
            ConfigurationError: `env` is neither an environment of this package nor one that an
                adapter fits; or an option of an ensemble for a single model.
            CheckpointError: the checkpoint is damaged, or the model was trained for another
                system or other parameters; the message names both.
        """
        RecordConstructorArgs.__init__(
            self,
            _disable_deepcopy=True,
            model=model,
            integrator=integrator,
            substeps=substeps,
            adapter=adapter,
            uncertainty_limit=uncertainty_limit,
            uncertainty_penalty=uncertainty_penalty,
            member=member,
        )
        gymnasium.Wrapper.__init__(self, env)
        self._host = host_of(env, adapter)
        self._integrator = integrator
        self._substeps = substeps
        self._trust = TrustOptions(uncertainty_limit, uncertainty_penalty, member)
        self.set_model(model)

    def set_model(self, model: Model | Checkpoint | str | os.PathLike[str]) -> None:
        """Use another model from the next step on; arguments and errors as for the class."""
        host = self._host
        moved, m_bounds = host.coordinates, host.m_bounds
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
        card = model.card if isinstance(model, Checkpoint) else None
        learned = model.model if isinstance(model, Checkpoint) else model
        host.check_model(learned.embedding.system)
        substeps = self._substeps
        if substeps is None:
            known = _with_magnitudes(moved, learned.embedding)
            names = learned.embedding.m_names
            substeps = known.default_substeps(host.dt, learned=True, conditioned_on=names)
        dynamics = dynamics_of(model, integrator=self._integrator, substeps=substeps)
        check_dt(dynamics, host.dt)
        host.swap(dynamics, card, self._trust)
        self._model = model

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode, as the environment does; `info` has the entries that `step` gives."""
        observation, info = self.env.reset(seed=seed, options=options)
        self._host.begin()
        return observation, {**info, **self._host.notes()}

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
        return self._host.simulate(state, actions, **parameters)

    def unwrap(self) -> gymnasium.Env:
        """The wrapped environment with its own dynamics back; this wrapper is done with it."""
        self._host.give_back()
        return self.env

    def close(self) -> None:
        """Give the environment its own dynamics back and close it."""
        self.unwrap().close()


def _with_magnitudes(moved: Coordinates, embedding: Embedding) -> Coordinates:
    """Coordinates with the magnitudes that their model has learned, where they state none."""
    if not moved.estimated:
        return moved
    learned = Magnitudes(embedding.q_scale, embedding.qd_scale, embedding.tau_scale)
    return moved.with_magnitudes(learned)
