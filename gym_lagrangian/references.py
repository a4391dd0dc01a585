"""References: "module:name", the plain-text form of a class or a function.

Text survives JSON, pickling and spawned processes where an object does not.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

from gym_lagrangian.errors import ConfigurationError


def is_reference(value: Any) -> bool:
    """Whether a value is text of the form "module:name"."""
    if not isinstance(value, str) or value.count(":") != 1:
        return False
    module, name = value.split(":")
    return all(part.isidentifier() for part in (*module.split("."), *name.split(".")))


def load(reference: str, kind: str) -> Any:
    """The object that a reference names.

    Arguments:
        kind: what it is to be, for messages.

    Raises:
        ConfigurationError: the module cannot be imported, or has nothing of that name.
    """
    module_name, name = reference.split(":")
    try:
        found: Any = importlib.import_module(module_name)
    except ImportError as error:
        raise ConfigurationError(
            f"{kind} {reference!r}: module {module_name!r} cannot be imported ({error}); "
            "expected module:Class with a module on Python's path"
        ) from error
    for part in name.split("."):
        if not hasattr(found, part):
            raise ConfigurationError(_absent(reference, kind, module_name))
        found = getattr(found, part)
    return found


def has_one(thing: Any) -> bool:
    """Whether a class or a function has a reference: nothing made within a function has."""
    name = getattr(thing, "__qualname__", "")
    return bool(name) and "<" not in name


def reference_to(thing: Any, kind: str) -> str:
    """The reference that names a class or a function.

    Raises:
        ConfigurationError: it was made within a function, where no other process can find it.
    """
    if not has_one(thing):
        raise ConfigurationError(
            f"{kind} {thing!r} was made within a function, where nothing else can find it: "
            "define it at the top level of a module"
        )
    return f"{thing.__module__}:{thing.__qualname__}"


def _absent(reference: str, kind: str, module: str) -> str:
    here = ", ".join(n for n in vars(sys.modules[module]) if not n.startswith("_")) or "nothing"
    text = f"{kind} {reference!r}: module {module!r} has no such name; it has {here}"
    if module != "__main__":
        return text
    return (
        f"{kind} {reference!r} is not in this process's __main__: a class of a script or a "
        "notebook stays in its own process; put it in a module of its own for others to import"
    )
