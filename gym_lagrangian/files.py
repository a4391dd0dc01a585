"""Writing a file so that its name holds the old content or the whole new one, never a part."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from gym_lagrangian.errors import GymLagrangianError


@contextlib.contextmanager
def replacing(
    path: str | os.PathLike[str], *, failure: type[GymLagrangianError] = GymLagrangianError
) -> Iterator[Path]:
    """Write to the neighbour that this yields; it takes the name `path` if all went well.

    Folders that are missing are made. Whatever goes wrong, Ctrl-C included, a file that was
    there stays as it was and no neighbour is left.

    Raises:
        GymLagrangianError: what was written in the ``with`` block met an `OSError`; `failure`
            names a more particular one.
    """
    path = Path(path)
    part = path.with_name(f"{path.name}.part")
    try:
        if path.is_dir():
            raise IsADirectoryError("it is a folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield part
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise failure(f"cannot write {str(path)!r}: {error}") from error
