"""Physical systems, one a file; the rows of `registration.SYSTEMS` by name."""

from typing import TYPE_CHECKING, Any

from gym_lagrangian.registration import SYSTEMS, load_system

if TYPE_CHECKING:
    from gym_lagrangian.systems.double_pendulum import DoublePendulum
    from gym_lagrangian.systems.relativistic_particle import RelativisticParticle

__all__ = ["DoublePendulum", "RelativisticParticle"]


def __getattr__(name: str) -> Any:
    """The class of a registered system."""
    if name not in SYSTEMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return load_system(name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
