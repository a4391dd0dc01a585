"""Reading npz files: nothing is unpickled, and nothing far larger than its file is unpacked."""

from __future__ import annotations

import math
import os
import zipfile
from typing import Any

import numpy as np

from gym_lagrangian.errors import DataError
from gym_lagrangian.files import readable_path

# Arrays that are larger than this in all, and than so many times their file, are refused: recorded
# numbers do not compress like that.
_LARGE = 2**28
_RATIO = 100


def read_npz(path: str | os.PathLike[str], *, without: str | None = None) -> dict[str, np.ndarray]:
    """The arrays in an npz file, whose headers are read before any of its data.

    Arguments:
        without: what the names of arrays begin with that are left unread.

    Raises:
        DataError: no regular file, no npz file, a damaged one, arrays of Python objects, or arrays
            far larger than the file.
    """
    found = readable_path(path, "the npz file", failure=DataError)
    try:
        with zipfile.ZipFile(found) as archive:  # np.load would read other formats as well
            _refuse_bomb(archive, found.stat().st_size)
        with np.load(found, allow_pickle=False) as file:
            wanted = [n for n in file.files if without is None or not n.startswith(without)]
            return {name: np.asarray(file[name]) for name in wanted}
    except DataError:
        raise
    except Exception as error:  # a damaged file makes zipfile, zlib and NumPy raise a dozen kinds
        raise DataError(f"cannot read {str(found)!r} as an npz file: {error}") from error


def rows_in(path: str | os.PathLike[str], name: str) -> int:
    """How many rows an array in an npz file has, by its header alone.

    Raises:
        DataError: as `read_npz`, or there is no such array, or it has no rows.
    """
    found = readable_path(path, "the npz file", failure=DataError)
    try:
        with zipfile.ZipFile(found) as archive:
            shape, _ = _header(archive, archive.getinfo(f"{name}.npy"))
    except Exception as error:
        raise DataError(
            f"cannot read array {name} of the npz file {str(found)!r}: {error}"
        ) from error
    if not shape or not shape[0]:
        raise DataError(f"{found.name}: there is not one transition: array {name} has no rows")
    return shape[0]


def _refuse_bomb(archive: zipfile.ZipFile, size: int) -> None:
    """Refuse what would take far more memory than its file, by the headers alone."""
    members = archive.infolist()
    stated = max(sum(one.file_size for one in members), sum(_stated(archive, m) for m in members))
    if stated > _LARGE and stated > _RATIO * size:
        raise DataError(
            f"cannot read {archive.filename!r}: its {size:,} bytes unpack to {stated:,}, which "
            "recorded numbers do not; save it again with numpy.savez"
        )


def _stated(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> int:
    """The bytes of the array that a member's own header states."""
    shape, dtype = _header(archive, member)
    return math.prod(shape) * dtype.itemsize


def _header(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> tuple[tuple[int, ...], np.dtype]:
    """The shape and the type of the array in a member."""
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        read: Any = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read(file)
    return shape, dtype
