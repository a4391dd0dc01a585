"""The environment that a learned model moves: one of this package, or another by its adapter."""

from __future__ import annotations

from typing import Any, Protocol

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np

from gym_lagrangian.adapters.base import Adapter, Outcome, checked_state, checked_vector
from gym_lagrangian.adapters.registry import adapter_for
from gym_lagrangian.checkpoints import Card
from gym_lagrangian.envs._scope import scope
from gym_lagrangian.envs.functional import Simulation, cast
from gym_lagrangian.envs.scalar import LagrangianEnv
from gym_lagrangian.envs.shell import as_numpy
from gym_lagrangian.envs.trust import MEAN, Trust, TrustOptions, trust_of
from gym_lagrangian.errors import CheckpointError, ConfigurationError
from gym_lagrangian.physics.dynamics import Dynamics
from gym_lagrangian.physics.ensemble import EnsembleDynamics
from gym_lagrangian.systems.coordinates import Coordinates


class Host(Protocol):
    """An environment whose motion can be replaced.

    Attributes:
        coordinates: what moves.
        m_bounds: (2, k) bounds of the parameters m.
        dt: seconds in one step.
    """

    coordinates: Coordinates
    m_bounds: np.ndarray
    dt: float

    def check_model(self, name: str) -> None:
        """Refuse the model of a machine of another name."""
        ...

    def swap(self, dynamics: Dynamics, card: Card | None, trust: TrustOptions) -> None:
        """Move by these dynamics from now on."""
        ...

    def begin(self) -> None:
        """An episode has begun."""
        ...

    def give_back(self) -> None:
        """Move by the environment's own dynamics again."""
        ...

    def notes(self) -> dict[str, Any]:
        """What is added to `info` of the present state."""
        ...

    def simulate(self, state: Any, actions: Any, **parameters: Any) -> Simulation:
        """As `LagrangianEnv.simulate`."""
        ...


class OwnHost:
    """An environment of this package."""

    def __init__(self, base: LagrangianEnv):
        self._base = base
        self._own = base.dynamics, base.card, base.trust_options
        self.coordinates, self.dt = base.coordinates, base.dt
        self.m_bounds = np.asarray(base.functional[1].m_bounds)

    def check_model(self, name: str) -> None:
        """Physics is compared elsewhere, by more than a name."""

    def swap(self, dynamics: Dynamics, card: Card | None, trust: TrustOptions) -> None:
        self._base.swap_dynamics(dynamics, card, trust)

    def begin(self) -> None:
        """Its own reset has drawn what there is to draw."""

    def give_back(self) -> None:
        self._base.swap_dynamics(*self._own)

    def notes(self) -> dict[str, Any]:
        return {}

    def simulate(self, state: Any, actions: Any, **parameters: Any) -> Simulation:
        return self._base.simulate(state, actions, **parameters)

    def __getstate__(self) -> dict[str, Any]:
        dynamics, *rest = self._own
        return self.__dict__ | {"_own": (as_numpy(dynamics), *rest)}


class AdaptedHost:
    """An environment of another package, whose `step` is replaced by that of its adapter."""

    def __init__(self, base: Any, adapter: Adapter):
        """Nothing is replaced before `swap`.

        Raises:
            ConfigurationError: the environment has been given a model already, or its adapter
                refuses it.
        """
        if "step" in vars(base):
            raise ConfigurationError(
                f"{base} is moved by something else already: unwrap the LearnedDynamicsEnv that "
                "has it, or replace its model by set_model"
            )
        self._base, self._adapter = base, adapter
        self.coordinates, self.dt = adapter.coordinates(base), float(adapter.dt(base))
        self.m_bounds = self.coordinates.parameter_bounds()
        self._dynamics: Dynamics | None = None
        self._trust: Trust | None = None
        self._member = MEAN

    def check_model(self, name: str) -> None:
        if name != self.coordinates.name:
            raise CheckpointError(
                f"the model is a model of {name}, this is {self.coordinates.name}"
            )

    def swap(self, dynamics: Dynamics, card: Card | None, trust: TrustOptions) -> None:
        if not dynamics.takes_forces:
            raise CheckpointError(
                f"the model of {self.coordinates.name} was learned without forces: it cannot move "
                "an environment whose actions exert some; learn it from data with forces"
            )
        self._trust = trust_of(dynamics, trust)
        with _scope():
            self._dynamics = cast(dynamics.rolled(), "float64")
        self._member = MEAN if self._trust is None else int(self._trust.first)
        self._base.step = self.step

    def begin(self) -> None:
        """Draw the member of the episode where one is to be drawn, by the environment's own
        generator.
        """
        if self._trust is not None and self._trust.first < self._trust.last:
            first, last = int(self._trust.first), int(self._trust.last)
            self._member = int(self._base.np_random.integers(first, last + 1))

    def give_back(self) -> None:
        vars(self._base).pop("step", None)

    def notes(self, *, diverged: bool = False, uncertainty: float = 0.0) -> dict[str, Any]:
        found = {"diverged": diverged, "disturbed": not self._adapter.is_free(self._base)}
        if self._trust is None:
            return found
        return found | {
            "uncertainty": uncertainty,
            "uncertain": bool(uncertainty > self._trust.limit),
        }

    def simulate(self, state: Any, actions: Any, **parameters: Any) -> Simulation:
        raise ConfigurationError(
            f"simulate needs the reward of {self.coordinates.name} as a pure function, and an "
            "adapter has none: step the environment"
        )

    def step(self, action: Any) -> Outcome:
        """A step of the environment to where the model leads. A prediction that is not finite is
        not made: the state stays, and the episode is truncated. So is one that is more uncertain
        than an ensemble's limit.
        """
        n, base, adapter = self.coordinates.n, self._base, self._adapter
        x = checked_state(adapter, base, n)
        force = adapter.generalized_force(base, action)
        tau = checked_vector(adapter, "generalized_force", force, n)
        moved, uncertainty = self._moved(x, tau)
        diverged = not bool(np.all(np.isfinite(moved)))
        q, qd = np.split(x if diverged else moved, 2)
        *rest, truncated, info = adapter.step(base, action, q, qd)
        observation, reward, terminated = rest
        info = {**info, **self.notes(diverged=diverged, uncertainty=uncertainty)}
        truncated = bool(truncated or diverged or info.get("uncertain", False))
        if self._trust is not None:
            reward = reward - float(self._trust.penalty) * uncertainty
        return observation, reward, terminated, truncated, info

    def _moved(self, x: np.ndarray, tau: np.ndarray) -> tuple[np.ndarray, float]:
        """The state that follows, and its uncertainty: 0 of a single model, and of no number."""
        with _scope():
            found = _step(self._dynamics, x, tau, self.m_bounds[0], self.dt, self._member)
        moved, uncertainty = np.array(found[0]), float(found[1])
        return moved, uncertainty if np.isfinite(uncertainty) else 0.0

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_dynamics": as_numpy(self._dynamics)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Many environments are pickled as their arguments: the step is replaced again."""
        self.__dict__.update(state)
        if self._dynamics is not None:
            self._base.step = self.step


@jax.jit
def _step(dynamics: Any, x: Any, tau: Any, m: Any, dt: Any, member: Any) -> Any:
    """The state that a member, or where it is −1 the mean, leads to; and the spread of all."""
    if not isinstance(dynamics, EnsembleDynamics):
        return dynamics.step(x, tau, m, dt), 0.0
    states = dynamics.over(lambda one: one.step(x, tau, m, dt))
    moved = jnp.where(member < 0, x + jnp.mean(states - x, axis=0), states[member])
    return moved, dynamics.spread_of(states)


def _scope() -> Any:
    return scope("float64", jax.devices("cpu")[0])


def host_of(env: gymnasium.Env, adapter: Any) -> Host:
    """What a model is put into, of an environment, wrapped or not.

    Raises:
        ConfigurationError: neither an environment of this package nor one with an adapter.
    """
    base = env.unwrapped
    if isinstance(base, LagrangianEnv):
        return OwnHost(base)
    return AdaptedHost(base, adapter_for(base, adapter))
