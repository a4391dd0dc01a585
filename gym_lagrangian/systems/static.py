"""The base of systems and tasks: frozen values that are defined by their options."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, dataclass_transform

import jax


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Static:
    """A frozen value that is compared by its class and its options.

    Every subclass is made a frozen dataclass whose fields are given by keyword. To jax it is a
    node without arrays, so that a jitted function compiles once for equal values. A subclass may
    replace the default of an inherited field by a plain assignment, ``force_max = 10.0``.

    Options are checked in `__post_init__`, as in any dataclass.
    """

    def __init_subclass__(cls, **arguments: Any):
        super().__init_subclass__(**arguments)
        _annotate_new_defaults(cls)
        dataclass(frozen=True, kw_only=True)(cls)
        jax.tree_util.register_static(cls)

    @property
    def options(self) -> dict[str, Any]:
        """The constructor's arguments, which make an equal instance of the same class."""
        return {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]

    @classmethod
    def option_names(cls) -> tuple[str, ...]:
        """The names of the arguments that the constructor takes."""
        return tuple(inspect.signature(cls).parameters)


def _annotate_new_defaults(cls: type) -> None:
    """Annotate plain assignments to inherited fields: a dataclass would overlook them."""
    inherited = fields(cls) if is_dataclass(cls) else ()
    new = {field.name: field.type for field in inherited if field.name in vars(cls)}
    cls.__annotations__ = new | inspect.get_annotations(cls)
