"""What the scalar and the vector environment share: arguments, precision, device, dynamics."""

from __future__ import annotations

import dataclasses
import os
import warnings
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from typing import Any

import jax
import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils import EzPickle
from jax.typing import ArrayLike

from gym_lagrangian import references
from gym_lagrangian.checkpoints import Card, Checkpoint, load
from gym_lagrangian.checks import shown, whole_number
from gym_lagrangian.envs import functional
from gym_lagrangian.envs._coarseness import NOTABLE_ERROR, step_error
from gym_lagrangian.envs._scope import scope
from gym_lagrangian.envs._simulation import check_actions, run, simulated_start
from gym_lagrangian.envs.functional import (
    NO_OPTIONS,
    FunctionalEnv,
    Params,
    Simulation,
    State,
    cast,
    no_number,
)
from gym_lagrangian.envs.state import EnvState
from gym_lagrangian.envs.trust import TrustOptions
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.physics.dynamics import Dynamics
from gym_lagrangian.physics.ensemble import EnsembleDynamics
from gym_lagrangian.physics.integrators import DEFAULT_INTEGRATOR
from gym_lagrangian.systems.base import System
from gym_lagrangian.systems.coordinates import Coordinates
from gym_lagrangian.systems.task import Task

# Pixels. Below the least, text and world no longer fit one above the other.
LEAST_SIZE, MOST_SIZE = 100, 8192

# A drift of energy, as a share of its scale, that the default integrator is far from.
NOTABLE_DRIFT = 0.01

# What copies keep of an environment besides its arguments and its episode.
KEPT_ATTRIBUTES = ("_spec", "action_space", "observation_space")


class Shell(EzPickle, ABC):
    """Holds the pure functions of an environment and their parameters.

    A copy, by `copy.deepcopy` or by pickle, is made anew from the arguments and then put into the
    same episode: it steps as the original does, and draws the same at its next reset.
    """

    dt: float
    _card: Card | None
    _built_card: Card | None
    _swapped: bool = False
    _stands_in: bool = False
    _watched: bool = False

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
        observation_noise: Any,
        action_delay: int,
        dt: float | None,
        dtype: str,
        device: str,
        integrator: str,
        substeps: int | None,
        trust: TrustOptions,
        options: dict[str, Any],
    ) -> None:
        self._checkpoint = checkpoint
        self._dtype = dtype
        self._device = _device(device)
        with self.scope():
            parts = functional.build(
                system,
                checkpoint=checkpoint,
                task=task,
                reward=reward,
                observation_noise=observation_noise,
                action_delay=action_delay,
                options=options,
            )
            dt = parts.env.coordinates.time_step if dt is None else dt
            how: dict[str, Any] = {"dtype": dtype, "integrator": integrator, "substeps": substeps}
            params = functional.params_of(parts, dt=dt, **how, trust=trust)
            self._env = parts.env
            self._use(params)
            self.dt = float(dt)
        self._trust = trust
        own = integrator != DEFAULT_INTEGRATOR or substeps is not None
        exact = checkpoint is None and self.system is not None
        self._watched = exact and own and not self._warned_of_error()
        self._card = self._built_card = None
        if checkpoint is not None and parts.checkpoint is not None:
            self._card = self._built_card = parts.checkpoint.card
            self._checkpoint = parts.checkpoint.name
            self._stands_in = self._checkpoint != os.fspath(checkpoint)

    # -- copies -------------------------------------------------------------------------------

    @abstractmethod
    def _episode(self) -> dict[str, Any]:
        """What is under way, as plain data and NumPy arrays."""

    @abstractmethod
    def _resume(self, episode: dict[str, Any]) -> None:
        """Go on with what `_episode` gave."""

    def __getstate__(self) -> dict[str, Any]:
        now = as_numpy(self.dynamics), self._card, self.trust_options
        swapped = now if self._swapped else None
        kept = {name: getattr(self, name) for name in KEPT_ATTRIBUTES}
        return super().__getstate__() | {
            "kept": kept,
            "swapped": swapped,
            "episode": self._episode(),
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for name, value in state["kept"].items():
            setattr(self, name, value)
        if state["swapped"] is not None:
            self.swap_dynamics(*state["swapped"])
        self._resume(state["episode"])

    # -- imagination --------------------------------------------------------------------------

    @abstractmethod
    def _here(self) -> EnvState:
        """The state; before the first reset with NaN for what is to be drawn."""

    @abstractmethod
    def _members_here(self) -> np.ndarray | None:
        """The member that each episode under way follows; None where there is none to follow."""

    def simulate(
        self, state: Any, actions: ArrayLike, *, members: bool = False, **parameters: Any
    ) -> Simulation:
        """What actions would do from a state, without touching this environment.

        One compiled call, whatever the size of the batch; equal to stepping, until an episode ends.

        Arguments:
            state: where to start, what `get_state` gives or a bare x (2n,) with the m and goal of
                this episode; a list of such or x (B, 2n) for many. ``get_state(full=True)`` starts
                at its time as well, with its noise and the actions on their way. In a vector
                environment a bare x has the m and goals of the sub-environments, and B is
                num_envs.
            actions: in [-1, 1], (T, a) for every state, or (B, T, a).
            members: of an ensemble, follow each of its k members on its own, for the task's own
                reward: every array then has a first axis k. Otherwise a state of
                ``get_state(full=True)`` follows the member of its episode, another one that of the
                episode under way; in a vector environment where there are as many of them as
                sub-environments, and otherwise the first that an episode may follow.
            parameters: m or goal by name in place of the state's, a number or (B,) of them.

        Returns:
            A `functional.Simulation` of NumPy arrays, float64 but for the observations: states
            (T + 1, 2n), the start first, observations, rewards (T,) and flags, after a first axis B
            where states, actions or parameters are many. What follows an episode's end is held;
            there is no time limit.

        Raises:
            ConfigurationError: a parameter that is none, or one of a value that makes no sense;
                members of a single model; actions of another shape or not finite; states of another
                shape, not finite or out of range; batches of unlike sizes.
            CheckpointError: parameters at which the model was not trained.
        """
        actions = check_actions(actions, self.task.action_size, takes_forces=self._takes_forces)
        with self.scope():
            start = simulated_start(self._env, self._card, state, self._here(), parameters, actions)
            how = {"member": self._members_here(), "members": members, "dtype": self._dtype}
            found = run(self._env, self._params, start, actions, **how)
        if np.isnan(found.rewards).any():
            raise ConfigurationError(
                no_number(self._env, found.states[..., 1:, :][np.isnan(found.rewards)][0])
            )
        states, rewards = (one.astype(np.float64) for one in (found.states, found.rewards))
        return found._replace(states=states, rewards=rewards)

    # -- what it is made of -------------------------------------------------------------------

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
        """The physical system; None where its equations are unknown."""
        return self._env.system

    @property
    def task(self) -> Task:
        """What is done with it."""
        return self._env.task

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The checkpoint that the id or the argument named, with its card (configuration, seed,
        metrics) and SHA-256; None for the exact dynamics. At parameters at which that was not
        trained, the conditioned one that belongs to it, where there is one: `name` tells.
        """
        return None if self._checkpoint is None else load(self._checkpoint, self.coordinates)

    @property
    def checkpoint_name(self) -> str | None:
        """The name or path of `checkpoint`."""
        return None if self._checkpoint is None else os.fspath(self._checkpoint)

    def _stand_in(self) -> str | None:
        """The name of the conditioned checkpoint that is stepped in place of the one that was
        named, for `info`; None where that one is.
        """
        return self.checkpoint_name if self._stands_in and self._card is self._built_card else None

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
        self.swap_dynamics(dynamics, None)

    @property
    def card(self) -> Card | None:
        """The card of the checkpoint whose model is stepped; None for the exact dynamics, and
        where `dynamics` was assigned.
        """
        return self._card

    def swap_dynamics(
        self, dynamics: Dynamics, card: Card | None, trust: TrustOptions | None = None
    ) -> None:
        """Step other dynamics from now on.

        Arguments:
            card: says at which parameters they were trained; None where that is unknown or does not
                matter.
            trust: of an ensemble; None for the options of this environment, which a single model
                has no use for.

        Raises:
            ConfigurationError: `trust` makes no sense for these dynamics.
        """
        asked = self._trust if trust is None else trust
        useful = trust is not None or isinstance(dynamics, EnsembleDynamics)
        with self.scope():
            moving = cast(dynamics, self._dtype)
            params = self._params.moved_by(moving, asked if useful else NO_OPTIONS)
            self._use(dataclasses.replace(params, trust=cast(params.trust, self._dtype)))
        self._card, self._swapped, self._trust = card, True, asked
        self._watched = False

    @property
    def trust_options(self) -> TrustOptions:
        """What is asked of the ensemble that moves this environment; nothing where none does."""
        return NO_OPTIONS if self._params.trust is None else self._trust

    def _warned_of_error(self) -> bool:
        """Whether the integrator or the substeps that were given are far worse than the default,
        which is said.
        """
        dynamics: Any = self._params.dynamics
        system: Any = self.system
        m = np.asarray(self._params.m_bounds, np.float64)
        at = tuple(m.mean(axis=tuple(range(m.ndim - 1))).tolist())
        error = step_error(system, dynamics.integrator, dynamics.substeps, self.dt, at)
        if error <= NOTABLE_ERROR:
            return False
        warnings.warn(
            f"the exact simulation of {system.name} is coarse: a step of {self.dt:g} s by "
            f"integrator = {dynamics.integrator!r} with substeps = {dynamics.substeps} errs by up "
            f"to {error:.1g} of typical magnitudes, far more than the default. Leave integrator "
            "and substeps out, or take more substeps or a shorter dt",
            stacklevel=4,
        )
        return True

    def _warn_of_drift(self, drift: float) -> None:
        """Say once that the integrator or the substeps that were given make or lose energy."""
        self._watched = False
        warnings.warn(
            f"the exact simulation of {self.coordinates.name} has drifted by {drift:+.1%} of its "
            "energy scale: the integrator or the substeps that were given are too coarse. Leave "
            "them out, or take more substeps or a shorter dt",
            stacklevel=3,
        )

    def scope(self) -> AbstractContextManager[None]:
        """Precision and device of this environment, without touching anyone else's."""
        return scope(self._dtype, self._device)


def check_size(pixels: Any) -> int:
    """The width and height of a picture, whether one is going to be drawn or not.

    Raises:
        ConfigurationError: no whole number of pixels, or one beyond what pictures can have.
    """
    return whole_number("render_size", pixels, least=LEAST_SIZE, most=MOST_SIZE)


def _device(platform: Any) -> Any:
    if not isinstance(platform, str):
        raise ConfigurationError(
            f'device = {shown(platform)}: expected the name of a jax platform, such as "cpu"'
        )
    try:
        return jax.devices(platform)[0]
    except RuntimeError as error:
        raise ConfigurationError(
            f"device = {platform!r}: jax has no such platform here ({error})"
        ) from error


def as_numpy(tree: Any) -> Any:
    """Every jax array of a pytree as a NumPy array. Pickled jax arrays come back in the default
    precision, float32; NumPy's keep their own.
    """
    return jax.tree.map(
        lambda leaf: np.asarray(leaf) if isinstance(leaf, jax.Array) else leaf, tree
    )


def is_drawn(bounds: Any) -> bool:
    """Whether bounds (…, 2, k) leave anything to draw."""
    bounds = np.asarray(bounds)
    return bool(np.any(bounds[..., 0, :] != bounds[..., 1, :]))


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
