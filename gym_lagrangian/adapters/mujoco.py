r"""Gymnasium's MuJoCo environments whose moving joints are hinges and slides.

The environment's own step runs as it is, with `do_simulation` replaced: positions and velocities
are set, and everything that MuJoCo derives from them is computed (mj_forward). Observation, reward
and termination are the environment's own code at that state.

MuJoCo's own step ends with positions of bodies and sites of an intermediate state: Reacher-v5's
fingertip is up to 6 mm off under random actions. Here they belong to the state reached. What the
environment computes from them differs by as much from the original; q and q̇ do not.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from gym_lagrangian.adapters import observations, tasks
from gym_lagrangian.adapters.base import Adapter, Outcome, Watched, own_step
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.systems.coordinates import Coordinates, Parameter
from gym_lagrangian.systems.task import Task


class Joint(NamedTuple):
    """A joint of a model.

    Attributes:
        name: its own, or ``joint<i>``.
        q, qd: its place in qpos and in qvel.
        angular: whether q is an angle with period 2π: a hinge without a spring.
        tree: the kinematic tree that it belongs to.
    """

    name: str
    q: int
    qd: int
    angular: bool
    tree: int


class MujocoAdapter(Adapter):
    """Any `MujocoEnv` of hinges, slides and motors whose step calls `do_simulation(action, …)`.

    Attributes:
        joints: names of the joints that are coordinates, in their order; None for those of the
            kinematic trees that a motor drives (all where there is no motor). The others stay where
            they are, as Reacher's target does.
    """

    def __init__(self, joints: tuple[str, ...] | None = None):
        self.joints = None if joints is None else tuple(joints)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(other) == vars(self)

    def __hash__(self) -> int:
        return hash((type(self), self.joints))

    def coordinates(self, env: Any) -> Coordinates:
        """Names and angles of the joints, and which are cyclic, as the place of a cart on a level
        rail is. Gravity and the total mass are parameters, so that a model of other ones is
        refused.

        Raises:
            ConfigurationError: a free or ball joint, an equality constraint, an actuator that is no
                motor, or no joint of a name in `joints`; the message names it.
        """
        chosen = self._chosen(env)
        _refuse_other_actuators(env.model)
        _refuse_equalities(env.model)
        parameters = {
            "gravity": _number(float(np.linalg.norm(env.model.opt.gravity)), "m/s²"),
            "mass": _number(float(env.model.body_mass.sum()), "kg"),
        }
        return Coordinates(
            tuple(joint.name for joint in chosen),
            angular=tuple(joint.angular for joint in chosen),
            parameters=parameters,
            cyclic=_cyclic(env.model, chosen)[: len(chosen) - 1],  # one is left to see
            name=type(env).__name__ if env.spec is None else env.spec.id,
        )

    def dt(self, env: Any) -> float:
        return float(env.dt)

    def state(self, env: Any) -> tuple[np.ndarray, np.ndarray]:
        q, qd = _places(self._chosen(env))
        return env.data.qpos[q].copy(), env.data.qvel[qd].copy()

    def state_of(self, env: Any, observation: Any) -> tuple[Any, Any]:
        """Known of InvertedPendulum, InvertedDoublePendulum and Reacher."""
        inverse = _INVERSES.get(type(env).__name__)
        if inverse is None or self.joints is not None:
            return super().state_of(env, observation)  # which refuses
        return inverse(observation)

    def task(self, env: Any) -> Task:
        """Known of InvertedPendulum, InvertedDoublePendulum and Reacher."""
        pure = _TASKS.get(type(env).__name__)
        if pure is None or self.joints is not None:
            return super().task(env)  # which refuses
        return pure(coordinates=self.coordinates(env))

    def set_state(self, env: Any, q: np.ndarray, qd: np.ndarray) -> None:
        """The other joints stay as they are."""
        places = _places(self._chosen(env))
        env.data.qpos[places[0]], env.data.qvel[places[1]] = q, qd
        _mujoco().mj_forward(env.model, env.data)

    def generalized_force(self, env: Any, action: Any) -> np.ndarray:
        r"""τ_i = Σ gear · gain · control over the motors of joint i, controls and forces within
        their ranges.
        """
        tau, model = np.zeros(env.model.nv), env.model
        force = _clipped(_control(model, action), model.actuator_forcerange, _limits_force(model))
        joints = model.actuator_trnid[:, 0]
        np.add.at(tau, model.jnt_dofadr[joints], model.actuator_gear[:, 0] * force)
        limited = model.jnt_actfrclimited.astype(bool)
        ends = model.jnt_actfrcrange[:, 0], model.jnt_actfrcrange[:, 1]
        at = model.jnt_dofadr
        tau[at] = np.where(limited, np.clip(tau[at], *ends), tau[at])
        return tau[_places(self._chosen(env))[1]]

    def step(self, env: Any, action: Any, q: np.ndarray, qd: np.ndarray) -> Outcome:
        def moved(control: Any, frames: int) -> None:
            _check_control(env, action, control, frames)
            env.data.ctrl[:] = control
            env.data.time += env.model.opt.timestep * frames
            self.set_state(env, q, qd)
            _mujoco().mj_rnePostConstraint(env.model, env.data)

        with _simulated_by(env, moved) as calls:
            outcome = own_step(env, action)
        _check_calls(env, calls)
        return outcome

    def is_free(self, env: Any) -> bool:
        """Whether no contact, limit or equality exerts a force; dry friction may."""
        return not _constrained(env.data)

    def watched(self, env: Any, action: Any) -> Watched:
        """A step is free where it is so at the end of every frame, and no joint moves that is no
        coordinate.
        """
        others, free = self._others(env), []
        before = env.data.qpos[others].copy()

        def simulated(control: Any, frames: int) -> None:
            _check_control(env, action, control, frames)
            for _ in range(frames):
                type(env).do_simulation(env, control, 1)
                free.append(self.is_free(env))

        with _simulated_by(env, simulated) as calls:
            outcome = own_step(env, action)
        _check_calls(env, calls)
        still = np.array_equal(env.data.qpos[others], before)
        return Watched(outcome, free=still and all(free))

    def _chosen(self, env: Any) -> tuple[Joint, ...]:
        if self.joints is None:
            return _driven(env.model)
        found = {joint.name: joint for joint in _joints(env.model)}
        unknown = [name for name in self.joints if name not in found]
        if unknown or not self.joints:
            raise ConfigurationError(
                f"joints = {self.joints!r}: expected some of {', '.join(found)}"
            )
        return tuple(_usable(env.model, found[name]) for name in self.joints)

    def _others(self, env: Any) -> np.ndarray:
        q, _ = _places(self._chosen(env))
        return np.setdiff1d(np.arange(env.model.nq), q)


# The environments of Gymnasium whose observations show q and q̇, by the name of their class.
_INVERSES: dict[str, Callable[[Any], observations.Pair]] = {
    "InvertedPendulumEnv": observations.inverted_pendulum,
    "InvertedDoublePendulumEnv": observations.inverted_double_pendulum,
    "ReacherEnv": observations.reacher,
}

# What they reward and how they end, likewise.
_TASKS: dict[str, type[Task]] = {
    "InvertedPendulumEnv": tasks.InvertedPendulum,
    "InvertedDoublePendulumEnv": tasks.InvertedDoublePendulum,
    "ReacherEnv": tasks.Reacher,
}


# The share of gravity that may act along a level rail: InvertedDoublePendulum has a millionth.
_LEVEL = 1e-5


@functools.cache
def _mujoco() -> Any:
    """MuJoCo, which is there where its environments are; type checkers do not see its names."""
    return importlib.import_module("mujoco")


def _driven(model: Any) -> tuple[Joint, ...]:
    """The joints of the trees with a motor, or all."""
    joints = _joints(model)
    moved = {model.dof_treeid[model.jnt_dofadr[i]] for i in model.actuator_trnid[:, 0]}
    chosen = [joint for joint in joints if not moved or joint.tree in moved]
    return tuple(_usable(model, joint) for joint in chosen)


def _joints(model: Any) -> tuple[Joint, ...]:
    hinge = int(_mujoco().mjtJoint.mjJNT_HINGE)
    return tuple(
        Joint(
            name=model.joint(i).name or f"joint{i}",
            q=int(model.jnt_qposadr[i]),
            qd=int(model.jnt_dofadr[i]),
            angular=int(model.jnt_type[i]) == hinge and not np.any(model.jnt_stiffness[i]),
            tree=int(model.dof_treeid[model.jnt_dofadr[i]]),
        )
        for i in range(model.njnt)
    )


def _cyclic(model: Any, joints: tuple[Joint, ...]) -> tuple[str, ...]:
    """Names of the joints of which forces and inertia are the same wherever they are."""
    return tuple(one.name for one in joints if _is_cyclic(model, model.dof_jntid[one.qd]))


def _is_cyclic(model: Any, i: int) -> bool:
    """Whether joint i, without a spring, moves a body that hangs on the world and all that hangs on
    it: along an axis across gravity, after other slides at most, or about a vertical axis.
    """
    body, slide = model.jnt_bodyid[i], int(_mujoco().mjtJoint.mjJNT_SLIDE)
    before = model.jnt_type[model.body_jntadr[body] : i]
    if model.body_parentid[body] or np.any(before != slide):
        return False
    if np.any(model.jnt_stiffness[i]) or model.ntendon or np.any(model.opt.wind):
        return False
    axis, gravity = np.zeros(3), model.opt.gravity
    _mujoco().mju_rotVecQuat(axis, model.jnt_axis[i], model.body_quat[body])
    if int(model.jnt_type[i]) == slide:
        work = abs(axis @ gravity)
    else:
        work = np.inf if len(before) else np.linalg.norm(np.cross(axis, gravity))
    return bool(work <= _LEVEL * np.linalg.norm(gravity))


def _usable(model: Any, joint: Joint) -> Joint:
    """A hinge or a slide.

    Raises:
        ConfigurationError: it is a free or a ball joint.
    """
    kind = _mujoco().mjtJoint(int(model.jnt_type[model.dof_jntid[joint.qd]]))
    if kind not in (_mujoco().mjtJoint.mjJNT_HINGE, _mujoco().mjtJoint.mjJNT_SLIDE):
        raise ConfigurationError(
            f"joint {joint.name!r} is of the kind {kind.name}: expected hinges and slides, whose "
            "positions are coordinates; name the joints to learn, as in "
            "adapter=MujocoAdapter(joints=(…))"
        )
    return joint


def _refuse_other_actuators(model: Any) -> None:
    """Refuse what is no motor on a joint: its force is not gear · control."""
    lib = _mujoco()
    on_joint = (int(lib.mjtTrn.mjTRN_JOINT), int(lib.mjtTrn.mjTRN_JOINTINPARENT))
    for i in range(model.nu):
        is_motor = (
            int(model.actuator_trntype[i]) in on_joint
            and int(model.actuator_dyntype[i]) == int(lib.mjtDyn.mjDYN_NONE)
            and int(model.actuator_gaintype[i]) == int(lib.mjtGain.mjGAIN_FIXED)
            and int(model.actuator_biastype[i]) == int(lib.mjtBias.mjBIAS_NONE)
        )
        if not is_motor:
            raise ConfigurationError(
                f"actuator {model.actuator(i).name or i!r} is no motor on a joint (a servo, a "
                "muscle, a tendon or an activation state): its force depends on more than the "
                "action, and a model of forces cannot use it"
            )


def _refuse_equalities(model: Any) -> None:
    """Refuse joints that are tied to one another: they are no independent coordinates."""
    if model.neq:
        raise ConfigurationError(
            f"the model has {model.neq} equality constraints: expected none, as a Lagrangian needs "
            "coordinates that move independently"
        )


def _control(model: Any, action: Any) -> np.ndarray:
    """gain · control, within the control's range."""
    clamps = not model.opt.disableflags & int(_mujoco().mjtDisableBit.mjDSBL_CLAMPCTRL)
    limited = model.actuator_ctrllimited.astype(bool) & clamps
    control = _clipped(np.asarray(action, np.float64), model.actuator_ctrlrange, limited)
    return model.actuator_gainprm[:, 0] * control


def _limits_force(model: Any) -> np.ndarray:
    return model.actuator_forcelimited.astype(bool)


def _clipped(values: np.ndarray, ranges: np.ndarray, limited: np.ndarray) -> np.ndarray:
    return np.where(limited, np.clip(values, ranges[:, 0], ranges[:, 1]), values)


def _constrained(data: Any) -> bool:
    """Whether a constraint other than dry friction exerts a force."""
    kinds = _mujoco().mjtConstraint
    friction = (int(kinds.mjCNSTR_FRICTION_DOF), int(kinds.mjCNSTR_FRICTION_TENDON))
    acts = np.asarray(data.efc_force) != 0.0
    return bool(np.any(acts & ~np.isin(data.efc_type, friction)))


def _places(joints: tuple[Joint, ...]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([joint.q for joint in joints]), np.array([joint.qd for joint in joints])


def _number(value: float, unit: str) -> Parameter:
    return Parameter(value, unit, positive=False, scale=value or 1.0)


@contextmanager
def _simulated_by(env: Any, simulate: Callable[[Any, int], None]) -> Iterator[list[int]]:
    """Within, `simulate` stands in for the environment's simulation; gives a list of its calls."""
    calls: list[int] = []

    def counted(control: Any, frames: int) -> None:
        calls.append(frames)
        simulate(control, frames)

    env.do_simulation = counted
    try:
        yield calls
    finally:
        del env.do_simulation


def _check_control(env: Any, action: Any, control: Any, frames: int) -> None:
    """Refuse an environment that makes something else of its action."""
    same = np.array_equal(np.asarray(control, np.float64), np.asarray(action, np.float64))
    if not same or frames != env.frame_skip:
        raise ConfigurationError(
            f"{type(env).__name__} turns the action {action!r} into the control {control!r} for "
            f"{frames} frames; expected the action itself for {env.frame_skip}: subclass "
            "MujocoAdapter for it"
        )


def _check_calls(env: Any, calls: list[int]) -> None:
    if len(calls) != 1:
        raise ConfigurationError(
            f"step of {type(env).__name__} simulates {len(calls)} times by do_simulation, expected "
            "once: an environment that moves otherwise needs an adapter of its own"
        )
