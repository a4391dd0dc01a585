"""Physical systems, one a file; the rows of `registration.SYSTEMS` by name."""

from typing import TYPE_CHECKING, Any

from gym_lagrangian.registration import SYSTEMS, load_system

if TYPE_CHECKING:
    from gym_lagrangian.systems.chain import Chain
    from gym_lagrangian.systems.charged_particle import ChargedParticle
    from gym_lagrangian.systems.double_pendulum import DoublePendulum
    from gym_lagrangian.systems.furuta import Furuta
    from gym_lagrangian.systems.kepler import Kepler
    from gym_lagrangian.systems.machines import (
        DfkiAcrobot,
        DfkiC1,
        DfkiPendubot,
        GymnasiumAcrobot,
        GymnasiumCartPole,
        GymnasiumPendulum,
        PilcoCartDoublePendulum,
        PilcoCartPole,
        PilcoDoublePendulum,
        PilcoPendulum,
        RameshAcrobot,
        RameshAcroThreeBot,
        RameshCartPole,
        RameshCartThreePole,
        RameshCartTwoPole,
        RameshPendulum,
        RameshReacher,
        TriplePendulum,
    )
    from gym_lagrangian.systems.relativistic_particle import RelativisticParticle
    from gym_lagrangian.systems.spherical_pendulum import SphericalPendulum

__all__ = [
    "Chain",
    "ChargedParticle",
    "DfkiAcrobot",
    "DfkiC1",
    "DfkiPendubot",
    "DoublePendulum",
    "Furuta",
    "GymnasiumAcrobot",
    "GymnasiumCartPole",
    "GymnasiumPendulum",
    "Kepler",
    "PilcoCartDoublePendulum",
    "PilcoCartPole",
    "PilcoDoublePendulum",
    "PilcoPendulum",
    "RameshAcroThreeBot",
    "RameshAcrobot",
    "RameshCartPole",
    "RameshCartThreePole",
    "RameshCartTwoPole",
    "RameshPendulum",
    "RameshReacher",
    "RelativisticParticle",
    "SphericalPendulum",
    "TriplePendulum",
]


def __getattr__(name: str) -> Any:
    """The class of a registered system."""
    if name not in SYSTEMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return load_system(name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
