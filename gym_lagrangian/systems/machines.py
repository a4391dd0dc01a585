r"""Machines of the literature that are planar chains, each with its published parameters.

Every one states its links, a task with its motors, and the time step of its publication. Motions
are those of the publications; the docstring says where a reward is theirs as well. Acrobots alone
come in several incompatible versions: the names say whose.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import jax.numpy as jnp

from gym_lagrangian.physics.shapes import Vector
from gym_lagrangian.systems.chain import PlanarChain
from gym_lagrangian.systems.chain_tasks import Balance, Reach, SwingUp
from gym_lagrangian.systems.preset import Preset


def _uniform(mass: float, length: float, *, links: int = 1, **others: float) -> dict[str, float]:
    """Equal uniform links: mass in kg, length in m; `others` by name."""
    named = {f"m{i}": mass for i in range(1, links + 1)}
    return named | {f"l{i}": length for i in range(1, links + 1)} | others


class _WeakSwingUp(SwingUp):
    """A torque of 2 N·m."""

    force_max = 2.0


class GymnasiumPendulum(PlanarChain):
    """The pendulum of Gymnasium's Pendulum-v1: a uniform rod of 1 kg and 1 m, g = 10, 2 N·m. Its
    velocity is not clipped. Gymnasium's angle is counted from upright.

    Source: gymnasium.envs.classic_control.PendulumEnv.step, θ̈ = 3g/(2l) sin θ + 3u/(m l²).
    """

    links = 1
    time_step = 0.05
    published: ClassVar[Mapping[str, float]] = _uniform(1.0, 1.0, g=10.0)
    task = _WeakSwingUp


class _GymnasiumBalance(Balance):
    """A force on the cart of 10 N."""

    actuated = ("x",)
    force_max = 10.0


class GymnasiumCartPole(PlanarChain):
    """The cart-pole of Gymnasium's CartPole-v1: a cart of 1 kg, a uniform pole of .1 kg and 1 m,
    g = 9.8, and a force of any size up to 10 N. The task is to balance it within 12° and 2.4 m.

    Gymnasium measures its θ clockwise from upright: θ = π − theta1.

    Source: gymnasium.envs.classic_control.CartPoleEnv, after Barto, Sutton & Anderson (1983) with
    the equations corrected by Florian (2007).
    """

    links = 1
    on_cart = True
    angles = "absolute"
    time_step = 0.02
    published: ClassVar[Mapping[str, float]] = _uniform(0.1, 1.0, m0=1.0, g=9.8)
    task = _GymnasiumBalance


class _GymnasiumElbow(SwingUp):
    """A torque of 1 N·m in the elbow."""

    actuated = ("joint2",)
    force_max = 1.0


class GymnasiumAcrobot(PlanarChain):
    """The acrobot of Gymnasium's Acrobot-v1, by its book equations: links of 1 kg and 1 m, inertia
    1 kg·m² about their middles, g = 9.8, 1 N·m in the elbow; without its clipping of velocities.

    Source: gymnasium.envs.classic_control.AcrobotEnv._dsdt, after Sutton & Barto, "Reinforcement
    Learning" (1998).
    """

    links = 2
    time_step = 0.2
    published: ClassVar[Mapping[str, float]] = _uniform(1.0, 1.0, links=2, I1=1.0, I2=1.0, g=9.8)
    task = _GymnasiumElbow


class _PilcoSwingUp(SwingUp):
    """A torque of 2.5 N·m."""

    force_max = 2.5


class PilcoPendulum(PlanarChain):
    """PILCO's pendulum: a uniform rod of 1 kg and 1 m, viscous friction of .01 N·m·s, g = 9.82,
    2.5 N·m.

    Source: Deisenroth, McHutchon, Hall & Rasmussen, PILCO v0.9, dynamics_pendulum.m; Deisenroth,
    "Efficient Reinforcement Learning using Gaussian Processes" (2010), appendix C.
    """

    links = 1
    angles = "absolute"
    time_step = 0.1
    learned_friction = "viscous"
    published: ClassVar[Mapping[str, float]] = _uniform(1.0, 1.0, viscous1=0.01, g=9.82)
    task = _PilcoSwingUp


class _PilcoCart(SwingUp):
    """A force on the cart of 10 N."""

    actuated = ("x",)
    force_max = 10.0


class PilcoCartPole(PlanarChain):
    """PILCO's cart-pole: cart and uniform pole of .5 kg, pole of .5 m, cart friction .1 N·s/m,
    g = 9.82, 10 N. (Black-DROPS and others take a pole of .6 m: set `l1`, `c1` and `I1`.)

    Source: as `PilcoPendulum`, dynamics_cp.m.
    """

    links = 1
    on_cart = True
    angles = "absolute"
    time_step = 0.1
    learned_friction = "viscous"
    published: ClassVar[Mapping[str, float]] = _uniform(0.5, 0.5, m0=0.5, viscous0=0.1, g=9.82)
    task = _PilcoCart


class _PilcoTorques(SwingUp):
    """Torques of 2 N·m on both links, without reaction."""

    force_max = 2.0
    absolute_torques = True


class PilcoDoublePendulum(PlanarChain):
    """PILCO's double pendulum: two uniform links of .5 kg and .5 m, no friction, g = 9.82. Torques
    of 2 N·m act on absolute angles: the outer one has no reaction on the inner link.

    Source: as `PilcoPendulum`, dynamics_dp.m.
    """

    links = 2
    angles = "absolute"
    time_step = 0.1
    published: ClassVar[Mapping[str, float]] = _uniform(0.5, 0.5, links=2, g=9.82)
    task = _PilcoTorques


class _PilcoStrongCart(SwingUp):
    """A force on the cart of 20 N."""

    actuated = ("x",)
    force_max = 20.0


class PilcoCartDoublePendulum(PlanarChain):
    """PILCO's cart-double-pendulum: .5 kg cart, two uniform links of .5 kg and .6 m, cart friction
    .1 N·s/m, g = 9.82, 20 N.

    Source: as `PilcoPendulum`, dynamics_cdp.m.
    """

    links = 2
    on_cart = True
    angles = "absolute"
    time_step = 0.05
    learned_friction = "viscous"
    published: ClassVar[Mapping[str, float]] = _uniform(
        0.5, 0.6, links=2, m0=0.5, viscous0=0.1, g=9.82
    )
    task = _PilcoStrongCart


def _design_c1() -> dict[str, float]:
    """The rig's model_1.0, whose inertias are about the joints, in the parameters of a chain."""
    mass, centre = (0.5234602302310271, 0.6255677234174437), (0.2, 0.25569305436052964)
    about_joint = (0.031887199591513114, 0.05086984812807257)
    rotor = 6.0**2 * 6.287203962819607e-05
    found = {"l1": 0.2, "l2": 0.3, "coulomb1": 0.16, "coulomb2": 0.12, "g": 9.81}
    for i, (m, c, inertia) in enumerate(zip(mass, centre, about_joint, strict=True), 1):
        found |= {f"m{i}": m, f"c{i}": c, f"I{i}": inertia - m * c**2}
        found |= {f"armature{i}": rotor, f"viscous{i}": 0.001}
    return found


class _RigSwingUp(SwingUp):
    """Motors in both joints, of 5 N·m; `actuated` makes an acrobot or a pendubot of it."""

    force_max = 5.0


def _whipping(power: float, error: str = "absolute", **steps: int) -> dict[str, Preset]:
    """Recipes, model → steps, of chains whose links whip. The accelerations of their fastest states
    are no measure of friction: its scale is the power in watts of a typical torque at a typical
    speed.
    """
    return {
        name: Preset(
            {} if name == "Baseline" else {"friction_scale": power},
            {"steps": count, "error": error},
            own_magnitudes=False,
        )
        for name, count in steps.items()
    }


class DfkiC1(PlanarChain):
    """The double pendulum of DFKI's underactuated lab, design C.1 with its identified model_1.0:
    links, rotors with gears of 6, and friction b q̇ + c arctan(100 q̇) in the joints. `coulomb1` and
    `coulomb2` are c, so that Coulomb friction is at most 1.57 c.

    The torque of a full action, 5 N·m, is chosen here.

    Source: Wiebe et al., "Open source dual-purpose acrobot and pendubot platform" (IEEE RAM, 2023);
    github.com/dfki-ric-underactuated-lab/double_pendulum, data/system_identification/.../model_1.0.
    """

    links = 2
    gear = -6.0
    time_step = 0.01
    learned_friction = "passive"
    published: ClassVar[Mapping[str, float]] = _design_c1()
    task = _RigSwingUp
    fastest_drawn = 4.0
    recipes: ClassVar[dict[str, Preset]] = _whipping(
        68.0, "relative", LNN=300_000, DeLaN=300_000, Baseline=300_000
    )

    def dry_friction(self, speeds: Vector, coefficients: Vector) -> Vector:
        """−c arctan(100 q̇), as identified."""
        return -coefficients * jnp.arctan(100.0 * speeds)


class _RigElbow(_RigSwingUp):
    """A motor in the elbow."""

    actuated = ("joint2",)


class DfkiAcrobot(DfkiC1):
    """`DfkiC1` with the motor of its elbow alone."""

    task = _RigElbow


class _RigShoulder(_RigSwingUp):
    """A motor in the shoulder."""

    actuated = ("joint1",)


class DfkiPendubot(DfkiC1):
    """`DfkiC1` with the motor of its shoulder alone."""

    task = _RigShoulder


# Ramesh & Ravindran, "Physics-informed model-based reinforcement learning" (L4DC 2023, arXiv
# 2212.02179). Uniform links of .1 kg and 1 m, a cart of 1 kg, no friction. g is not printed there:
# 9.81 here. Their rewards are products of tolerances; ours are those of the tasks.


class RameshPendulum(PlanarChain):
    """Ramesh & Ravindran's pendulum: a uniform rod of 1 kg and 1 m, 2 N·m."""

    links = 1
    time_step = 0.02
    published: ClassVar[Mapping[str, float]] = _uniform(1.0, 1.0)
    task = _WeakSwingUp


class _RameshReach(Reach):
    """Both joints, of 1 N·m, which is chosen here."""

    force_max = 1.0


class RameshReacher(PlanarChain):
    """Ramesh & Ravindran's reacher: two uniform links of .1 kg and 1 m, no gravity."""

    links = 2
    time_step = 0.02
    published: ClassVar[Mapping[str, float]] = _uniform(0.1, 1.0, links=2, g=0.0)
    task = _RameshReach


class RameshCartPole(PlanarChain):
    """Ramesh & Ravindran's cart-pole: one link, 10 N on the cart."""

    links = 1
    on_cart = True
    time_step = 0.01
    published: ClassVar[Mapping[str, float]] = _uniform(0.1, 1.0)
    task = _PilcoCart


class RameshCartTwoPole(RameshCartPole):
    """Ramesh & Ravindran's cart-2-pole: two links, 10 N on the cart."""

    links = 2
    published: ClassVar[Mapping[str, float]] = _uniform(0.1, 1.0, links=2)


class _RameshThreePole(SwingUp):
    """10 N on the cart and 1 N·m in the last joint."""

    actuated = ("x", "joint3")
    force_max = (10.0, 1.0)


class RameshCartThreePole(RameshCartPole):
    """Ramesh & Ravindran's cart-3-pole: 10 N on the cart and 1 N·m in the last of three joints."""

    links = 3
    published: ClassVar[Mapping[str, float]] = _uniform(0.1, 1.0, links=3)
    task = _RameshThreePole


class _RameshElbow(SwingUp):
    """1.75 N·m in the elbow."""

    actuated = ("joint2",)
    force_max = 1.75


class RameshAcrobot(PlanarChain):
    """Ramesh & Ravindran's acrobot: two links, 1.75 N·m in the elbow."""

    links = 2
    time_step = 0.01
    published: ClassVar[Mapping[str, float]] = _uniform(0.1, 1.0, links=2)
    task = _RameshElbow


class _RameshTwoMotors(SwingUp):
    """.5 N·m in the first and 2 N·m in the third joint."""

    actuated = ("joint1", "joint3")
    force_max = (0.5, 2.0)


class RameshAcroThreeBot(PlanarChain):
    """Ramesh & Ravindran's acro-3-bot: .5 and 2 N·m in the first and the third of three joints."""

    links = 3
    time_step = 0.01
    published: ClassVar[Mapping[str, float]] = _uniform(0.1, 1.0, links=3)
    task = _RameshTwoMotors


class _ThreeMotors(SwingUp):
    """Torques of 3, 2 and 1 N·m in the joints."""

    force_max = (3.0, 2.0, 1.0)


class TriplePendulum(PlanarChain):
    """Three equal uniform links of .5 kg and .4 m, .02 N·m·s of damping and a motor in each joint;
    no publication's.
    """

    links = 3
    learned_friction = "viscous"
    published: ClassVar[Mapping[str, float]] = _uniform(
        0.5, 0.4, links=3, viscous1=0.02, viscous2=0.02, viscous3=0.02
    )
    task = _ThreeMotors
    # As many as the exact simulation's: the last link whips to 15 times the typical velocity, and
    # with the usual 8 one step of a model in 4,000 is lost.
    learned_substeps = 22
    fastest_drawn = 4.0
    # By the absolute error the LNN makes its masses a hundred times too large, and stays there.
    recipes: ClassVar[dict[str, Preset]] = _whipping(73.0, DeLaN=300_000, Baseline=300_000) | {
        "LNN": Preset(
            {"friction_scale": 73.0, "width": 64},
            {"steps": 100_000, "error": "relative"},
            own_magnitudes=False,
        )
    }
