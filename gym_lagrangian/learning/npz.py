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


def read_npz(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """The arrays in an npz file, whose headers are read before any of its data.

    Raises:
        DataError: no regular file, no npz file, a damaged one, arrays of Python objects, or arrays
            far larger than the file.
    """
    found = readable_path(path, "the npz file", failure=DataError)
    try:
        with zipfile.ZipFile(found) as archive:  # np.load would read other formats as well
            _refuse_bomb(archive, found.stat().st_size)
        with np.load(found, allow_pickle=False) as file:
            return {name: np.asarray(file[name]) for name in file.files}
    except DataError:
        raise
    except Exception as error:  # a damaged file makes zipfile, zlib and NumPy raise a dozen kinds
        raise DataError(f"cannot read {str(found)!r} as an npz file: {error}") from error


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
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        read: Any = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read(file)
    return math.prod(shape) * dtype.itemsize
