"""Physical systems, one a file; the rows of `registration.SYSTEMS` by name."""

from typing import Any

from gym_lagrangian.registration import SYSTEMS, load_system


def __getattr__(name: str) -> Any:
    """The class of a registered system."""
    if name not in SYSTEMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return load_system(name)
