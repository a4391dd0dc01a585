r"""The environment as pure functions: `reset` and `step`, for anyone's jit, vmap, scan and grad.

    env, params = functional.make("DoublePendulum")
    state, timestep = env.reset(key, params)
    state, timestep = env.step(key, state, action, params)

`env` is static (what the task is), `params` is data (weights, masses, bounds, dt), so a swap
of weights or a sweep over masses never recompiles. The Gymnasium environments are shells
around these two functions. `simulate` follows sequences of actions, or a policy, from many states.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer

from gym_lagrangian.checkpoints import Checkpoint, load, load_for
from gym_lagrangian.checkpoints.card import hashable
from gym_lagrangian.checks import (
    held_in,
    one_of,
    positive_number,
    unknown_arguments,
    whole_number,
)
from gym_lagrangian.envs.sensors import Sensors, drawn_stream, sensors_of
from gym_lagrangian.envs.trust import MEAN, Trust, TrustOptions, trust_of
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.forks import warn_from_now_on
from gym_lagrangian.models.base import Model
from gym_lagrangian.physics.dynamics import ContinuousDynamics, Dynamics, Force
from gym_lagrangian.physics.ensemble import members_of, without_forces
from gym_lagrangian.registration import (
    COMMON_ARGUMENTS,
    build_system,
    load_reward,
    load_system,
    load_task,
)
from gym_lagrangian.systems.base import System, check_friction
from gym_lagrangian.systems.coordinates import Coordinates
from gym_lagrangian.systems.scene import Scene
from gym_lagrangian.systems.static import Static
from gym_lagrangian.systems.task import (
    Task,
    TaskState,
    check_task,
    default_task,
    follows_the_state,
    full_form,
)

DTYPES = ("float32", "float64")

NO_OPTIONS = TrustOptions()

# A step of so many takes about a second; beyond, it is a mistake.
MOST_SUBSTEPS = 1_000_000
LONGEST_DT = 1e30  # seconds

# A state counts as a success once it has been at the goal for so long, in seconds.
SUCCESS_TIME = 2.0

# Coordinates from which the stages of an exact simulation are a loop: a batch then runs about as
# fast, and compiles several times faster (4 s rather than 19 s for seven).
_ROLLED_FROM = 5


class Params(eqx.Module):
    """The numbers of an environment.

    Attributes:
        dynamics: truth or a learned model.
        m_bounds: (2, k) bounds between which m is drawn at reset; equal where it is fixed.
        goal_bounds: (2, g) bounds between which the task's goal is drawn, likewise.
        reset_bounds: (2, 2n) bounds between which the starting state is drawn.
        dt: seconds in one step.
        trust: in the ensemble that `dynamics` are; None where they are none.
        sensors: those that show an observation; None for exact ones.
    """

    dynamics: Dynamics
    m_bounds: Array | np.ndarray
    goal_bounds: Array | np.ndarray
    reset_bounds: Array | np.ndarray
    dt: Array | np.ndarray
    trust: Trust | None = None
    sensors: Sensors | None = None

    def moved_by(self, dynamics: Dynamics, options: TrustOptions = NO_OPTIONS) -> Params:
        """The same with other dynamics.

        Raises:
            ConfigurationError: options that make no sense for these, see `trust_of`.
        """
        return dataclasses.replace(self, dynamics=dynamics, trust=trust_of(dynamics, options))


class State(NamedTuple):
    """One environment's state.

    What rarely changes from step to step lies together: of what only passes through a compiled
    step, XLA then moves one piece.

    Attributes:
        x: q then q̇, shape (2n,).
        m: the parameters of this episode, shape (k,).
        goal: the task's parameters of this episode, shape (g,).
        initial_energy: true energy at reset, in joules; None where it is unknown.
        dissipated: −∫ q̇ᵀF dt ≥ 0 since reset, F the true friction along the motion made, in
            joules; None where it is unknown.
        model_dissipated: the same of the model's own friction.
        work: ∫ q̇ᵀτ dt since reset, in joules.
        tau: generalized forces of the last step, their mean where they depend on the state,
            shape (n,).
        steps: steps since reset.
        held: steps for which the goal has been held without interruption.
        diverged: whether the last step left the valid range, and was undone.
        uncertainty: the spread of the ensemble's last step; None where no ensemble moves it.
        member: the member of the ensemble that this episode follows, −1 for the mean; None
            likewise.
        stream: whole numbers (2,) that say what noise this episode's sensors show, drawn at reset;
            None where they are exact.
        queue: actions (d, a) on their way to motors that are d steps late, the next to be exerted
            first; None where they are not late.
    """

    x: Array
    m: Array
    goal: Array
    initial_energy: Array | None
    dissipated: Array | None
    model_dissipated: Array
    work: Array
    tau: Array
    steps: Array
    held: Array
    diverged: Array
    uncertainty: Array | None = None
    member: Array | None = None
    stream: Array | None = None
    queue: Array | None = None


class Info(NamedTuple):
    """What Gymnasium shows as `info`; what does not exist is None.

    `energy`, `dissipated` and `energy_drift` are the true ones, of a system whose equations are
    known; `model_energy` and `model_dissipated` those of a learned model which has an energy;
    `goal` is the task's. Of an ensemble, `uncertainty` is the spread of the last step and
    `uncertain` whether it exceeded the limit.
    """

    state: Array
    time: Array
    energy: Array | None
    energy_drift: Array | None
    dissipated: Array | None
    diverged: Array
    success: Array
    model_energy: Array | None
    model_dissipated: Array | None
    goal: Array | None
    uncertainty: Array | None = None
    uncertain: Array | None = None


class Moved(NamedTuple):
    """What a step made.

    Attributes:
        x: the state (2n,) at its end.
        tau: the mean generalized force (n,) of the action.
        work: ∫ q̇ᵀτ dt in joules.
        dissipated, model_dissipated: −∫ q̇ᵀF dt in joules, of the true friction and the model's;
            None where there is neither.
        uncertainty: the spread of the members of an ensemble; None where there are none.
    """

    x: Array
    tau: Array
    work: Array
    dissipated: Array | None
    model_dissipated: Array | None
    uncertainty: Array | None = None


class Timestep(NamedTuple):
    """What the agent receives. `truncated` here is divergence, or an uncertainty beyond its limit;
    time limits are the shell's.
    """

    observation: Array
    reward: Array
    terminated: Array
    truncated: Array
    info: Info


class FunctionalEnv(Static):
    """A task over coordinates, as pure functions of `State` and `Params`.

    It compares by value, so that it can be a static argument of a jitted function.

    Attributes:
        task: what is done.
        own_reward: a reward in place of the task's, in either form.
        action_delay: steps by which the motors are late.
    """

    task: Task
    own_reward: Callable[..., Any] | None = None
    action_delay: int = 0

    @property
    def coordinates(self) -> Coordinates:
        """What moves."""
        return self.task.coordinates

    @property
    def system(self) -> System | None:
        """The coordinates' true equations; None where they are unknown."""
        return self.coordinates.physics

    def reset(self, key: Array, params: Params) -> tuple[State, Timestep]:
        """Draw m, a goal and a starting state, within the bounds of `params`."""
        key_m, key_x = jax.random.split(key)
        m = _uniform(key_m, params.m_bounds)
        goal = self.draw_goal(jax.random.fold_in(key, 2), params)
        member = None if params.trust is None else params.trust.draw(jax.random.fold_in(key, 3))
        stream = None if params.sensors is None else drawn_stream(jax.random.fold_in(key, 4))
        x = _uniform(key_x, params.reset_bounds)
        return self.start(x, m, goal, params, member, stream)

    def draw_goal(self, key: Array, params: Params) -> Array:
        """The goal (g,) of an episode."""
        low, high = params.goal_bounds
        return self.task.draw_goal(key, jnp.asarray(low), jnp.asarray(high))

    def start(
        self,
        x: Array,
        m: Array,
        goal: Array,
        params: Params,
        member: Array | None = None,
        stream: Array | None = None,
    ) -> tuple[State, Timestep]:
        """Begin an episode at the state x (2n,) with parameters m (k,) and goal (g,).

        Arguments:
            member: of an ensemble, which the episode follows, −1 for its mean; None for the first
                that it may follow.
            stream: the noise (2,) of sensors that are noisy; None for the first stream.
        """
        q, qd = jnp.split(x, 2)
        zero = jnp.zeros((), x.dtype)
        count = jnp.zeros((), jnp.int32)
        state = State(
            x=x,
            m=m,
            goal=goal,
            tau=jnp.zeros_like(q),
            steps=count,
            initial_energy=None if self.system is None else self.system.energy(q, qd, m),
            work=zero,
            dissipated=None if self.system is None else zero,
            model_dissipated=zero,
            held=count,
            diverged=jnp.zeros((), bool),
            member=member,
            **self._late_and_noisy(x, params, stream),
        )
        state = self.adopted(state, params)
        here = self.view(state, params)
        idle = jnp.zeros(self.task.action_size, x.dtype)
        return state, self._timestep(state, here, self.reward(here, idle, here), params)

    def adopted(self, state: State, params: Params) -> State:
        """A state, or a batch of states, of an episode that goes on under these dynamics: with an
        uncertainty and a member that may be followed, or without either.
        """
        if params.trust is None:
            return state._replace(uncertainty=None, member=None)
        asked = jnp.full_like(state.steps, MEAN) if state.member is None else state.member
        known = jnp.zeros_like(state.work) if state.uncertainty is None else state.uncertainty
        return state._replace(uncertainty=known, member=params.trust.allowed(asked))

    def step(
        self, key: Array | None, state: State, action: Array, params: Params
    ) -> tuple[State, Timestep]:
        """Advance by `params.dt` under an action in [-1, 1], clipped to it. Motors that are late
        exert an earlier one, and the reward is of what they exert.

        A step that leaves the task's range, or is not finite, is undone: the state stays
        the last valid one, `diverged` and `truncated` are True, the reward is that of
        staying there. A step of an ensemble whose uncertainty exceeds the limit is made, and
        `truncated`. The dynamics are deterministic: `key` is there for the signature
        that JAX environments share, and may be None.
        """
        action = jnp.clip(jnp.asarray(action, state.x.dtype), -1.0, 1.0)
        if state.queue is not None:
            on_the_way = jnp.concatenate([state.queue, action[None]])
            action, state = on_the_way[0], state._replace(queue=on_the_way[1:])
        before = self.view(state, params)
        moved = self.move(state.x, action, state.m, params, state.member)
        valid = self.is_valid(self._after(before, moved.x, moved.tau, params))
        x = jnp.where(valid, moved.x, state.x)
        after = self._after(before, x, moved.tau, params)
        state = state._replace(
            x=x,
            tau=moved.tau,
            steps=state.steps + 1,
            work=_added(state.work, moved.work, valid),
            dissipated=_added(state.dissipated, moved.dissipated, valid),
            model_dissipated=_added(state.model_dissipated, moved.model_dissipated, valid),
            held=jnp.where(self.task.at_goal(after), state.held + 1, 0),
            diverged=~valid,
            uncertainty=_finite_or_none(moved.uncertainty),
        )
        reward = _penalised(self.reward(before, action, after), state, params)
        return state, self._timestep(state, after, reward, params)

    def observe(self, state: State, params: Params) -> Timestep:
        """What the agent receives in a state without having made a step."""
        here = self.view(state, params)
        idle = jnp.zeros(self.task.action_size, state.x.dtype)
        return self._timestep(state, here, self.reward(here, idle, here), params)

    # -- the pieces of a step, for planners too -------------------------------------------------

    def view(self, state: State, params: Params) -> TaskState:
        """The state as the task sees it."""
        q, qd = jnp.split(state.x, 2)
        time = state.steps * params.dt
        return TaskState(q, qd, state.m, state.goal, jnp.asarray(time, q.dtype), state.tau)

    def move(
        self, x: Array, action: Array, m: Array, params: Params, member: Array | None = None
    ) -> Moved:
        """A step of dt from the state x (2n,) with everything that is counted along it, exactly
        where there is a differential equation.

        Arguments:
            member: of an ensemble, the one whose motion it is; −1 or None for the mean.
        """
        if params.trust is None:
            return self._moved(x, action, m, params)
        ensemble = members_of(params.dynamics)
        alone = dataclasses.replace(params, trust=None)
        each = ensemble.over(lambda one: self._moved(x, action, m, alone.moved_by(one)))
        found = _of_members(each, x, jnp.asarray(MEAN) if member is None else member)
        return found._replace(uncertainty=ensemble.spread_of(each.x))

    def _moved(self, x: Array, action: Array, m: Array, params: Params) -> Moved:
        """As `move`, by dynamics without members."""
        frictions = self._frictions(x, m, params)
        if not frictions and not follows_the_state(self.task):
            tau = self._force(action)(*jnp.split(x, 2))
            end = params.dynamics.step(x, tau, m, params.dt)
            return Moved(end, tau, tau @ (end - x)[: len(tau)], None, None)

        def rates(q: Array, qd: Array, tau: Array) -> Array:
            losses = [
                -qd @ frictions[who](q, qd, m) if who in frictions else 0.0 * qd[0] for who in _WHO
            ]
            return jnp.concatenate([tau, jnp.stack([qd @ tau, *losses])])

        end, integrals = params.dynamics.driven(x, self._force(action), rates, m, params.dt)
        n = self.coordinates.n
        return Moved(end, integrals[:n] / params.dt, *integrals[n:])

    def next(self, before: TaskState, action: Array, params: Params) -> TaskState:
        """The instant dt later, valid or not."""
        x = jnp.concatenate([before.q, before.qd])
        force = self._force(action)
        if follows_the_state(self.task):
            driven = params.dynamics.driven(x, force, _forces, before.m, params.dt)
            return self._after(before, driven.state, driven.integrals / params.dt, params)
        tau = force(before.q, before.qd)
        end = params.dynamics.step(x, tau, before.m, params.dt)
        return self._after(before, end, tau, params)

    def is_valid(self, after: TaskState) -> Array:
        """Whether a state is finite and within the task's range."""
        finite = jnp.all(jnp.isfinite(jnp.concatenate([after.q, after.qd])))
        return finite & self.task.in_range(after)

    def reward(self, before: TaskState, action: Array, after: TaskState) -> Array:
        """The reward of a step, a scalar."""
        reward = full_form(self.own_reward or self.task.reward)
        return jnp.asarray(reward(before, action, after), after.q.dtype)

    def info(self, state: State, params: Params) -> Info:
        """What is worth knowing of a state beyond what the agent observes."""
        x, m = state.x, state.m
        q, qd = jnp.split(x, 2)
        energy = drift = model_energy = None
        if self.system is not None:
            energy = self.system.energy(q, qd, m)
            since: Any = state  # whose sums are there where a system is
            balance = energy - since.initial_energy - since.work + since.dissipated
            drift = balance / energy_scale(self.system, m)
        if params.dynamics.learned:
            model_energy = params.dynamics.energy(x, m)
        return Info(
            state=x,
            time=state.steps * params.dt,
            energy=energy,
            energy_drift=drift,
            dissipated=state.dissipated,
            diverged=state.diverged,
            success=state.held * params.dt >= SUCCESS_TIME,
            model_energy=model_energy,
            model_dissipated=None if model_energy is None else state.model_dissipated,
            goal=state.goal if self.task.goal else None,
            uncertainty=state.uncertainty,
            uncertain=_uncertain(state, params),
        )

    def _force(self, action: Array) -> Force:
        """The generalized force of a held action in whatever state."""
        return lambda q, qd: self.task.generalized_force(q, qd, action)

    def _frictions(self, x: Array, m: Array, params: Params) -> dict[str, Any]:
        """The frictions that there are: the true one, and that of a model."""
        found = {} if self.system is None else {"truth": self.system.friction}
        if params.dynamics.learned:
            found["model"] = params.dynamics.friction
        return {who: friction for who, friction in found.items() if _acts(friction, x, m)}

    def _late_and_noisy(self, x: Array, params: Params, stream: Array | None) -> dict[str, Any]:
        """The parts of a first state that late motors and noisy sensors need."""
        parts: dict[str, Any] = {}
        if params.sensors is not None:
            parts["stream"] = jnp.zeros(2, jnp.int32) if stream is None else stream
        if self.action_delay:
            parts["queue"] = jnp.zeros((self.action_delay, self.task.action_size), x.dtype)
        return parts

    def _observation(self, state: State, here: TaskState, params: Params) -> Array:
        if params.sensors is None:
            return self.task.observation(here)
        stream: Any = state.stream  # which there is where sensors are
        return params.sensors.observation(self.task, here, stream, state.steps)

    def _after(self, before: TaskState, x: Array, tau: Array, params: Params) -> TaskState:
        q, qd = jnp.split(x, 2)
        t = before.t + jnp.asarray(params.dt, q.dtype)
        return TaskState(q, qd, before.m, before.goal, t, tau)

    def _timestep(self, state: State, here: TaskState, reward: Array, params: Params) -> Timestep:
        info = self.info(state, params)
        lost = False if info.uncertain is None else info.uncertain
        return Timestep(
            observation=self._observation(state, here, params).astype(jnp.float32),
            reward=reward,
            terminated=self.task.terminated(here) & ~state.diverged,
            truncated=state.diverged | lost,
            info=info,
        )


# Whose friction is counted.
_WHO = ("truth", "model")


def _of_members(each: Moved, x: Array, member: Array) -> Moved:
    """What one member made of the state x, or the mean of all where it is −1."""

    def one(found: Array) -> Array:
        return jnp.where(member < 0, jnp.mean(found, axis=0), found[member])

    found = jax.tree.map(one, each._replace(x=each.x - x))
    return found._replace(x=x + found.x)


def _finite_or_none(uncertainty: Array | None) -> Array | None:
    """The uncertainty; 0 of a step that is no number, and is undone."""
    if uncertainty is None:
        return None
    return jnp.where(jnp.isfinite(uncertainty), uncertainty, 0.0)


def _penalised(reward: Array, state: State, params: Params) -> Array:
    """The reward less what the uncertainty of the step costs."""
    if params.trust is None or state.uncertainty is None:
        return reward
    return reward - (params.trust.penalty * state.uncertainty).astype(reward.dtype)


def _uncertain(state: State, params: Params) -> Array | None:
    """Whether the last step's uncertainty exceeds the limit; None where there is none."""
    if params.trust is None or state.uncertainty is None:
        return None
    return state.uncertainty > params.trust.limit


def _acts(friction: Callable[..., Any], x: Array, m: Array) -> bool:
    """Whether there is any friction at all, found out without computing it."""
    return jax.eval_shape(friction, *jnp.split(x, 2), m) is not None


def _added(total: Any, part: Array | None, valid: Array) -> Any:
    """A sum after a step; unchanged where the step counted nothing, None where it is unknown."""
    return total if total is None or part is None else total + jnp.where(valid, part, 0.0)


def _forces(q: Array, qd: Array, tau: Array) -> Array:
    """The rates of the impulses."""
    return tau


def energy_scale(system: System, m: Array) -> Array:
    """The system's energy scale, positive; 1 J where it has none."""
    scale = jnp.abs(system.energy_scale(m))
    return jnp.where(scale > 0, scale, 1.0)


def scene_of(task: Task, state: State, dt: float) -> Scene:
    """The picture of one state of NumPy arrays."""
    x: Any = np.asarray(state.x)
    q, qd = x[: len(x) // 2], x[len(x) // 2 :]
    return task.scene(TaskState(q, qd, state.m, state.goal, state.steps * dt, state.tau))


def no_number(env: FunctionalEnv, state: Any) -> str:
    """What to say of a reward that is NaN."""
    reward = env.own_reward or env.task.reward
    name = getattr(reward, "__qualname__", repr(reward))
    return f"the reward {name} is NaN in the state {state}: expected a number in every valid state"


class Simulation(NamedTuple):
    """What T actions make of a state; of B of them, every array has a first axis B.

    An episode that has ended, by termination or by leaving the range, is held: its state stays, its
    flag stays on, and its rewards are 0 from the next step on.

    Attributes:
        states: (T + 1, 2n), the start first.
        observations: (T + 1, o), float32.
        rewards: (T,).
        terminated: (T,) flags, whether the task had ended the episode.
        truncated: (T,) flags, whether a step had left the valid range, and was undone, or had been
            more uncertain than an ensemble's limit.
    """

    states: Array | np.ndarray
    observations: Array | np.ndarray
    rewards: Array | np.ndarray
    terminated: Array | np.ndarray
    truncated: Array | np.ndarray


# The action (a,) for an observation (o,).
PolicyFunction = Callable[[Array], Any]


def simulate(
    env: FunctionalEnv,
    params: Params,
    state: State,
    actions: Array | np.ndarray | PolicyFunction,
    *,
    steps: int | None = None,
    members: bool = False,
) -> Simulation:
    """Follow actions, or a policy, from one state or many: pure, for anyone's jit, vmap and grad.

    Arguments:
        env, params: the task, and its dynamics and dt.
        state: where to start; every array with a first axis B to branch from B states.
        actions: open-loop actions in [-1, 1], (T, a) for all or (B, T, a); or a policy, a jax
            function from an observation (o,) to an action (a,).
        steps: T, for a policy.
        members: of an ensemble, follow each of its k members on its own, from the same states and
            for the task's own reward: every array then has a first axis k.

    Raises:
        ConfigurationError: actions or a state of another shape, another number of states than of
            sequences of actions, `steps` with actions, or a policy without them; members of a
            single model.
    """
    if members:

        def by(one: Dynamics) -> Simulation:
            alone = dataclasses.replace(params, trust=None).moved_by(one)
            return simulate(env, alone, state, actions, steps=steps)

        return members_of(params.dynamics).over(by)
    if callable(actions):
        steps, policy, sequence = whole_number("steps", steps), actions, None
    elif steps is not None:
        raise ConfigurationError(f"steps = {steps!r}: only for a policy; actions say it themselves")
    else:
        policy, sequence = None, jnp.asarray(actions, state.x.dtype)
        check_sequence(sequence.shape, env.task.action_size)
    many = _many_states(env, state), sequence is not None and sequence.ndim == 3
    if sequence is not None and all(many) and len(state.x) != len(sequence):
        raise ConfigurationError(
            f"{len(state.x)} states and {len(sequence)} sequences of actions: expected as many, or "
            "one of either"
        )

    def one(state: State, sequence: Array | None) -> Simulation:
        return _simulate_one(env, params, state, sequence, policy, steps)

    if not any(many):
        return one(state, sequence)
    return jax.vmap(one, in_axes=tuple(0 if each else None for each in many))(state, sequence)


def check_sequence(shape: tuple[int, ...], size: int) -> None:
    """Refuse a sequence of actions of a shape that is none.

    Raises:
        ConfigurationError: not (T, size) or (B, T, size), with at least one action.
    """
    if len(shape) not in (2, 3) or shape[-1] != size or 0 in shape[:-1]:
        raise ConfigurationError(
            f"actions have shape {shape}, expected (T, {size}) or (B, T, {size}): T ≥ 1 actions "
            "with values in [-1, 1], for all states or for each of B"
        )


def _many_states(env: FunctionalEnv, state: State) -> bool:
    """Whether it is a batch of states."""
    size = 2 * env.coordinates.n
    x, m, goal = (np.shape(one) for one in (state.x, state.m, state.goal))
    sizes = (size, len(env.coordinates.parameters), len(env.task.goals()))
    batch = x[:-1]
    if len(batch) > 1 or (x, m, goal) != tuple((*batch, one) for one in sizes):
        raise ConfigurationError(
            f"the state has x, m and goal of shapes {x}, {m} and {goal}: expected "
            f"{', '.join(f'({one},)' for one in sizes)}, or all of them with a first axis B"
        )
    return bool(batch)


def _chosen(policy: PolicyFunction, observation: Array, size: int) -> Array:
    """A policy's action (size,), refused where it has another shape."""
    action = jnp.asarray(policy(observation))
    if action.shape != (size,):
        raise ConfigurationError(
            f"the policy's action has shape {action.shape}, expected ({size},)"
        )
    return action


def _simulate_one(
    env: FunctionalEnv,
    params: Params,
    state: State,
    actions: Array | None,
    policy: PolicyFunction | None,
    steps: int | None,
) -> Simulation:
    state = env.adopted(state, params)
    first = env.observe(state, params)

    def step(carry: tuple, action: Array | None) -> tuple[tuple, tuple]:
        state, observation, terminated, truncated = carry
        over = terminated | truncated
        if policy is not None:
            action = _chosen(policy, observation, env.task.action_size)
        moved, stepped = env.step(None, state, jnp.asarray(action), params)
        made = moved, stepped.observation, stepped.terminated, stepped.truncated
        carry = jax.tree.map(lambda old, new: jnp.where(over, old, new), carry, made)
        state, *outcome = carry
        return carry, (state.x, *outcome, jnp.where(over, 0.0, stepped.reward))

    under_way = jnp.zeros((), bool)
    carry = state, first.observation, under_way, under_way
    _, found = jax.lax.scan(step, carry, actions, length=steps)
    states, observations, terminated, truncated, rewards = found
    return Simulation(
        states=jnp.concatenate([state.x[None], states]),
        observations=jnp.concatenate([first.observation[None], observations]),
        rewards=rewards,
        terminated=terminated,
        truncated=truncated,
    )


class Parts(NamedTuple):
    """What the arguments of an environment say, before anything is computed.

    Attributes:
        env: the task over its coordinates.
        m_bounds, goal_bounds: as in `Params`.
        checkpoint: the learned model that moves it; None for the exact dynamics.
        sensors: as in `Params`.
    """

    env: FunctionalEnv
    m_bounds: np.ndarray
    goal_bounds: np.ndarray
    checkpoint: Checkpoint | None
    sensors: Sensors | None = None


def make(
    system: Any = None,
    *,
    checkpoint: str | os.PathLike[str] | None = None,
    task: Any = None,
    reward: Any = None,
    observation_noise: Any = None,
    action_delay: int = 0,
    dt: float | None = None,
    dtype: str = "float32",
    integrator: str = "dop853",
    substeps: int | None = None,
    uncertainty_limit: float | None = None,
    uncertainty_penalty: float | None = None,
    member: str | int | None = None,
    **options: Any,
) -> tuple[FunctionalEnv, Params]:
    """An environment and its `Params`.

    Arguments:
        system: a registered name, "module:Class" or a `System` subclass; None where a checkpoint
            says whose model it is.
        checkpoint: name or path of a learned model that replaces the exact dynamics.
        task: a `Task` subclass or "module:Class"; None for the system's own.
        reward: a function or "module:function" in place of the task's, in one of its two forms.
        observation_noise: standard deviation of what sensors show, in SI units: one number, or one
            each of q and then of q̇. `info` has the true state.
        action_delay: whole steps by which motors are late; they exert nothing at first.
        dt: seconds in one step; None for the `time_step` of the coordinates.
        dtype: ``"float32"`` or ``"float64"`` (which needs jax's x64 mode, as in
            ``with jax.enable_x64(True)``); states, parameters and weights are held in it.
        integrator, substeps: a name in `integrators.INTEGRATORS` and its steps in one dt;
            substeps default to what the system recommends, in proportion to dt.
        uncertainty_limit, uncertainty_penalty, member: of an ensemble, see `trust.TrustOptions`.
        options: parameters of the system (numbers, or (low, high) to draw from at reset), options
            of its physics, options and goal of the task; a name goes to the first that knows it.

    Raises:
        ConfigurationError: an unknown name, or a value that makes no sense.
        CheckpointError: the checkpoint is damaged, or was trained for something else.
    """
    parts = build(
        system,
        checkpoint=checkpoint,
        task=task,
        reward=reward,
        observation_noise=observation_noise,
        action_delay=action_delay,
        options=options,
    )
    dt = parts.env.coordinates.time_step if dt is None else dt
    how = {"dt": dt, "dtype": dtype, "integrator": integrator, "substeps": substeps}
    trust = TrustOptions(uncertainty_limit, uncertainty_penalty, member)
    return parts.env, params_of(parts, **how, trust=trust)


def params_of(
    parts: Parts,
    *,
    dt: float,
    dtype: str,
    integrator: str,
    substeps: int | None,
    trust: TrustOptions = NO_OPTIONS,
) -> Params:
    """The `Params` of an environment's parts.

    Arguments and errors as of `make`.
    """
    dt = positive_number("dt", dt, "seconds")
    one_of("dtype", dtype, DTYPES)
    held_in(dtype, "dt", dt)
    if dt > LONGEST_DT:
        raise ConfigurationError(f"dt = {dt}: expected at most {LONGEST_DT:g} seconds")
    names = (*parts.env.coordinates.parameters, *parts.env.task.goals())
    bounds = np.hstack([parts.m_bounds, parts.goal_bounds]).T.tolist()
    for name, ends in zip(names, bounds, strict=True):
        held_in(dtype, name, *ends)
    if substeps is not None:
        substeps = whole_number("substeps", substeps, most=MOST_SUBSTEPS)
    if dtype == "float64" and jnp.result_type(float) != "float64":
        raise ConfigurationError(
            'dtype = "float64" outside jax\'s x64 mode: wrap calls in jax.enable_x64(True), or '
            'use dtype = "float32"'
        )
    coordinates, learned = parts.env.coordinates, parts.checkpoint
    if learned is None and coordinates.physics is None:
        raise ConfigurationError(
            f"the equations of {coordinates.name} are unknown: give a checkpoint= that moves it"
        )
    if substeps is None:
        substeps = coordinates.default_substeps(
            dt,
            learned=learned is not None,
            m_bounds=parts.m_bounds,
            conditioned_on=() if learned is None else learned.model.embedding.m_names,
        )
        if substeps > MOST_SUBSTEPS:
            raise ConfigurationError(
                f"dt = {dt}: a step of {coordinates.name} would take {substeps:.3g} substeps, "
                f"expected at most {MOST_SUBSTEPS:,}; choose a shorter dt"
            )
    dynamics = dynamics_of(learned or coordinates.physics, integrator=integrator, substeps=substeps)
    check_dt(dynamics, dt)
    params = Params(
        dynamics=dynamics,
        m_bounds=parts.m_bounds,
        goal_bounds=parts.goal_bounds,
        reset_bounds=parts.env.task.reset_bounds(),
        dt=np.asarray(dt),
        trust=trust_of(dynamics, trust),
        sensors=parts.sensors,
    )
    warn_from_now_on()
    return cast(params, dtype)


def build(
    system: Any,
    *,
    checkpoint: str | os.PathLike[str] | None = None,
    task: Any = None,
    reward: Any = None,
    observation_noise: Any = None,
    action_delay: int = 0,
    options: dict[str, Any],
) -> Parts:
    """Coordinates, task, parameters and model from the arguments of an environment.

    Raises:
        ConfigurationError, CheckpointError: as `make`.
    """
    source, recorded = (load_system(system), {}) if system is not None else _origin(checkpoint)
    options = {name: hashable(value) for name, value in options.items()}
    task_class = None if task is None else load_task(task)
    task_class = task_class or default_task(source)
    physical = _of_physics(source, options)
    coordinates = build_system(source, recorded | physical)
    rest = {name: value for name, value in options.items() if name not in physical}
    own, parameters, goal = _sorted(coordinates, source, task_class, rest)
    built = task_class(coordinates=coordinates, **own)
    reward = coordinates.usage.reward if reward is None and task is None else reward
    own_reward = None if reward is None else load_reward(reward)
    check_task(built, own_reward)
    if coordinates.physics is not None:
        check_friction(coordinates.physics)
    m_bounds = coordinates.parameter_bounds(**parameters)
    found = None if checkpoint is None else load_for(checkpoint, coordinates, m_bounds)
    delay = whole_number("action_delay", action_delay, least=0)
    env = FunctionalEnv(task=built, own_reward=own_reward, action_delay=delay)
    goal_bounds = built.goal_bounds(**goal)
    sensors = sensors_of(built, observation_noise, m_bounds, goal_bounds)
    return Parts(env, m_bounds, goal_bounds, found, sensors)


def dynamics_of(field: System | Model | Checkpoint, *, integrator: str, substeps: int) -> Dynamics:
    """What an environment steps, from a system, a model or a checkpoint, which states whether
    its model was trained with forces.
    """
    if isinstance(field, System):
        return ContinuousDynamics(field, integrator, substeps, roll=field.n >= _ROLLED_FROM)
    model = field.model if isinstance(field, Checkpoint) else field
    dynamics = model.dynamics(integrator=integrator, substeps=substeps)
    unforced = isinstance(field, Checkpoint) and not field.card.forced
    return without_forces(dynamics) if unforced else dynamics


def exact_twin(env: FunctionalEnv, params: Params) -> Params:
    """The same parameters with the true equations as the dynamics, in the same precision.

    Raises:
        ConfigurationError: they are unknown.
    """
    system = env.system
    if system is None:
        raise ConfigurationError(f"the true equations of {env.coordinates.name} are unknown")
    m_bounds = np.asarray(params.m_bounds)
    m_bounds = m_bounds if m_bounds.ndim == 2 else np.concatenate(m_bounds)
    substeps = system.default_substeps(float(params.dt), learned=False, m_bounds=m_bounds)
    exact = dynamics_of(system, integrator="dop853", substeps=substeps)
    return params.moved_by(exact)


def check_dt(dynamics: Dynamics, dt: float) -> None:
    """Refuse dynamics that can only take another step than `dt`.

    Raises:
        ConfigurationError: naming both.
    """
    if dynamics.fixed_dt is not None and not math.isclose(dynamics.fixed_dt, dt, rel_tol=1e-6):
        raise ConfigurationError(
            f"these dynamics can only take steps of {dynamics.fixed_dt} s, not dt = {dt}: leave "
            "dt at that, or train the model at the dt wanted"
        )


def cast(tree: Any, dtype: str) -> Any:
    """Every floating-point array of a pytree in the precision given."""

    def of(leaf: Any) -> Any:
        kept = isinstance(leaf, jax.Array) and leaf.dtype == dtype
        if kept or not eqx.is_inexact_array_like(leaf):
            return leaf
        if isinstance(leaf, Tracer):
            return leaf.astype(dtype)
        return jax.device_put(np.array(leaf, dtype))  # numpy has nothing to compile

    return jax.tree.map(of, tree)


def _origin(checkpoint: Any) -> tuple[Any, dict[str, Any]]:
    """Whose model a checkpoint is: a system's class and its options, or coordinates."""
    if checkpoint is None:
        raise ConfigurationError(
            'neither system nor checkpoint: say what moves, as in system="module:Class" or '
            'checkpoint="model.safetensors"'
        )
    return load(checkpoint).card.origin()


def _of_physics(source: Any, options: dict[str, Any]) -> dict[str, Any]:
    """The options of the physics, out of all arguments. They may decide which parameters there are,
    so they come first; a parameter of the same name goes before.
    """
    if not isinstance(source, type):
        return {}
    parameters = source.parameters if isinstance(source.parameters, dict) else {}
    names = [name for name in source.option_names() if name not in parameters]
    return {name: value for name, value in options.items() if name in names}


def _sorted(
    coordinates: Coordinates, source: Any, task: type[Task], options: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Options of the task, parameters and goal, out of the arguments that physics left."""
    own, goals = task.argument_names(), task.goals()
    found: tuple[dict[str, Any], ...] = ({}, {}, {})
    for name, value in options.items():
        places = (name in own and name not in goals, name in coordinates.parameters, name in goals)
        if not any(places):
            physics = source.option_names() if isinstance(source, type) else ()
            known = (*coordinates.parameters, *physics, *own, *COMMON_ARGUMENTS[1:])
            raise unknown_arguments(coordinates.name, [name], dict.fromkeys(known))
        found[next(i for i in (1, 0, 2) if places[i])][name] = value
    return found  # type: ignore[return-value]


def _uniform(key: Array, bounds: Array | np.ndarray) -> Array:
    low, high = bounds
    return low + (high - low) * jax.random.uniform(key, low.shape, low.dtype)
