r"""The environment as pure functions: `reset` and `step`, for anyone's jit, vmap, scan and grad.

    env, params = functional.make("DoublePendulum")
    state, timestep = env.reset(key, params)
    state, timestep = env.step(key, state, action, params)

`env` is static (what the task is), `params` is data (weights, masses, bounds, dt), so a swap
of weights or a sweep over masses never recompiles. The Gymnasium environments are shells
around these two functions.
"""

from __future__ import annotations

import math
import os
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from gym_lagrangian.checkpoints import Checkpoint, load_for
from gym_lagrangian.checks import known_arguments, one_of, positive_number, whole_number
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.models.base import Model
from gym_lagrangian.physics.dynamics import ContinuousDynamics, Dynamics, UnforcedDynamics
from gym_lagrangian.registration import load_system
from gym_lagrangian.systems.base import System

DTYPES = ("float32", "float64")

# What every environment takes beside the arguments of its system.
COMMON_ARGUMENTS = ("checkpoint", "dt", "dtype", "integrator", "substeps", "render_mode", "device")

# A state counts as a success once it has been at the goal for so long, in seconds.
SUCCESS_TIME = 2.0


class Params(eqx.Module):
    """The numbers of an environment.

    Attributes:
        dynamics: truth or a learned model.
        m_bounds: (2, k) bounds between which m is drawn at reset; equal where it is fixed.
        reset_bounds: (2, 2n) bounds between which the starting state is drawn.
        dt: seconds in one step.
    """

    dynamics: Dynamics
    m_bounds: Array | np.ndarray
    reset_bounds: Array | np.ndarray
    dt: Array | np.ndarray


class State(NamedTuple):
    """One environment's state.

    Attributes:
        x: q then q̇, shape (2n,).
        m: the parameters of this episode, shape (k,).
        tau: generalized forces of the last step, shape (n,).
        steps: steps since reset.
        initial_energy: true energy at reset, in joules.
        work: Σ τᵀΔq since reset, exact because τ is constant over a step, in joules.
        held: steps for which the goal has been held without interruption.
        diverged: whether the last step left the valid range, and was undone.
    """

    x: Array
    m: Array
    tau: Array
    steps: Array
    initial_energy: Array
    work: Array
    held: Array
    diverged: Array


class Info(NamedTuple):
    """What Gymnasium shows as `info`; `model_energy` is None where there is none."""

    state: Array
    time: Array
    energy: Array
    energy_drift: Array
    diverged: Array
    success: Array
    model_energy: Array | None


class Timestep(NamedTuple):
    """What the agent receives. `truncated` here is divergence; time limits are the shell's."""

    observation: Array
    reward: Array
    terminated: Array
    truncated: Array
    info: Info


class FunctionalEnv(eqx.Module):
    """The task of a system, as pure functions of `State` and `Params`.

    Compares by value, so that it can be a static argument of a jitted function.
    """

    system: System

    def reset(self, key: Array, params: Params) -> tuple[State, Timestep]:
        """Draw m and a starting state, uniformly within the bounds of `params`."""
        key_m, key_x = jax.random.split(key)
        m = _uniform(key_m, params.m_bounds)
        return self.start(_uniform(key_x, params.reset_bounds), m, params)

    def start(self, x: Array, m: Array, params: Params) -> tuple[State, Timestep]:
        """Begin an episode at the state x (2n,) with parameters m (k,)."""
        q, qd = jnp.split(x, 2)
        zero = jnp.zeros((), x.dtype)
        count = jnp.zeros((), jnp.int32)
        state = State(
            x=x,
            m=m,
            tau=jnp.zeros_like(q),
            steps=count,
            initial_energy=self.system.energy(q, qd, m),
            work=zero,
            held=count,
            diverged=jnp.zeros((), bool),
        )
        return state, self.observe(state, params)

    def step(
        self, key: Array | None, state: State, action: Array, params: Params
    ) -> tuple[State, Timestep]:
        """Advance by `params.dt` under an action in [-1, 1], clipped to it.

        A step that leaves the system's range, or is not finite, is undone: the state stays
        the last valid one, `diverged` and `truncated` are True, the reward is that of the
        last valid state. The dynamics are deterministic: `key` is there for the signature
        that JAX environments share, and may be None.
        """
        system = self.system
        action = jnp.clip(jnp.asarray(action, state.x.dtype), -1.0, 1.0)
        tau = system.generalized_force(action)
        x = params.dynamics.step(state.x, tau, state.m, params.dt)
        q, qd = jnp.split(x, 2)
        valid = jnp.all(jnp.isfinite(x)) & system.in_range(q, qd, state.m)
        x = jnp.where(valid, x, state.x)
        q, qd = jnp.split(x, 2)
        state = state._replace(
            x=x,
            tau=tau,
            steps=state.steps + 1,
            work=state.work + tau @ (q - state.x[: len(q)]),
            held=jnp.where(system.at_goal(q, qd, state.m), state.held + 1, 0),
            diverged=~valid,
        )
        return state, self.observe(state, params)

    def observe(self, state: State, params: Params) -> Timestep:
        """What the agent receives in a state."""
        q, qd = jnp.split(state.x, 2)
        return Timestep(
            observation=self.system.observation(q, qd, state.m).astype(jnp.float32),
            reward=self.system.reward(q, qd, state.m),
            terminated=jnp.zeros((), bool),
            truncated=state.diverged,
            info=self.info(state, params),
        )

    def info(self, state: State, params: Params) -> Info:
        """What is worth knowing of a state beyond what the agent observes."""
        system, x, m = self.system, state.x, state.m
        q, qd = jnp.split(x, 2)
        energy = system.energy(q, qd, m)
        drift = energy - state.initial_energy - state.work
        is_truth = isinstance(getattr(params.dynamics, "field", None), System)
        return Info(
            state=x,
            time=state.steps * params.dt,
            energy=energy,
            energy_drift=drift / system.energy_scale(m),
            diverged=state.diverged,
            success=state.held * params.dt >= SUCCESS_TIME,
            model_energy=None if is_truth else params.dynamics.energy(x, m),
        )


def make(
    system: str,
    *,
    checkpoint: str | os.PathLike[str] | None = None,
    dt: float = 0.05,
    dtype: str = "float32",
    integrator: str = "dop853",
    substeps: int | None = None,
    **options: Any,
) -> tuple[FunctionalEnv, Params]:
    """The environment of a registered system and its `Params`.

    Arguments:
        system: a name in `registration.SYSTEMS`.
        checkpoint: name or path of a learned model that replaces the exact dynamics.
        dt: seconds in one step.
        dtype: ``"float32"`` or ``"float64"`` (which needs jax's x64 mode, as in
            ``with jax.enable_x64(True)``); states, parameters and weights are held in it.
        integrator, substeps: a name in `integrators.INTEGRATORS` and its steps in one dt;
            substeps default to what the system recommends, in proportion to dt.
        options: parameters of the system (numbers, or (low, high) to draw from at reset) and
            its constructor's arguments.

    Raises:
        ConfigurationError: an unknown name, or a value that makes no sense.
        CheckpointError: the checkpoint is damaged, or was trained for something else.
    """
    dt = positive_number("dt", dt, "seconds")
    one_of("dtype", dtype, DTYPES)
    if substeps is not None:
        substeps = whole_number("substeps", substeps)
    if dtype == "float64" and jnp.result_type(float) != "float64":
        raise ConfigurationError(
            'dtype = "float64" outside jax\'s x64 mode: wrap calls in jax.enable_x64(True), or '
            'use dtype = "float32"'
        )
    built, m_bounds = _build_system(system, options)
    learned = None if checkpoint is None else load_for(checkpoint, built, m_bounds)
    if substeps is None:
        substeps = built.default_substeps(dt, learned=learned is not None)
    dynamics = dynamics_of(learned or built, integrator=integrator, substeps=substeps)
    check_dt(dynamics, dt)
    params = Params(
        dynamics=dynamics,
        m_bounds=m_bounds,
        reset_bounds=np.array([built.reset_low, built.reset_high]),
        dt=np.asarray(dt),
    )
    return FunctionalEnv(built), cast(params, dtype)


def dynamics_of(field: System | Model | Checkpoint, *, integrator: str, substeps: int) -> Dynamics:
    """What an environment steps, from a system, a model or a checkpoint, which knows whether
    its model ever saw a force.
    """
    if isinstance(field, System):
        return ContinuousDynamics(field, integrator, substeps)
    model = field.model if isinstance(field, Checkpoint) else field
    dynamics = model.dynamics(integrator=integrator, substeps=substeps)
    unforced = isinstance(field, Checkpoint) and not field.card.forced
    return UnforcedDynamics(dynamics) if unforced else dynamics


def check_dt(dynamics: Dynamics, dt: float) -> None:
    """Refuse dynamics that can only take another step than `dt`.

    Raises:
        ConfigurationError: naming both.
    """
    if dynamics.fixed_dt is not None and not math.isclose(dynamics.fixed_dt, dt):
        raise ConfigurationError(
            f"these dynamics can only take steps of {dynamics.fixed_dt} s, not dt = {dt}: leave "
            "dt at that, or train the model at the dt wanted"
        )


def cast(tree: Any, dtype: str) -> Any:
    """Every floating-point array of a pytree in the precision given."""
    return jax.tree.map(
        lambda leaf: jnp.asarray(leaf, dtype) if eqx.is_inexact_array_like(leaf) else leaf, tree
    )


def _build_system(name: str, options: dict[str, Any]) -> tuple[System, np.ndarray]:
    system_class = load_system(name)
    parameters = {k: v for k, v in options.items() if k in system_class.parameters}
    others = {k: v for k, v in options.items() if k not in parameters}
    also = (*system_class.parameters, *COMMON_ARGUMENTS)
    known_arguments(name, system_class, others, also=also)
    system = system_class(**others)
    return system, system.parameter_bounds(**parameters)


def _uniform(key: Array, bounds: Array | np.ndarray) -> Array:
    low, high = bounds
    return low + (high - low) * jax.random.uniform(key, low.shape, low.dtype)
