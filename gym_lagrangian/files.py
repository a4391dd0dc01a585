"""Checks of paths that are read or written, and writing that replaces a file as a whole."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from gym_lagrangian.errors import GymLagrangianError

try:
    import fcntl
except ImportError:  # Windows, where two runs of one path are not told apart
    fcntl = None  # type: ignore[assignment]


def is_file(path: Path) -> bool:
    """Whether there is a regular file; a device or a pipe, which may have no end, is none."""
    try:
        return path.is_file()
    except (OSError, ValueError):  # names that are too long, or have a zero byte
        return False


def at_home(path: str | os.PathLike[str]) -> str:
    """The path with ``~`` for the home folder; as it is where there is no such folder."""
    try:
        return os.path.expanduser(os.fspath(path))
    except ValueError:  # a zero byte, which other checks refuse
        return os.fspath(path)


def readable_path(
    path: str | os.PathLike[str], what: str, *, failure: type[GymLagrangianError]
) -> Path:
    """The path of a file to read, with ``~`` for the home folder.

    Raises:
        GymLagrangianError: `failure`, as there is no regular file.
    """
    if not isinstance(path, str | os.PathLike):
        raise failure(f"{what} is {path!r}: expected a path")
    found = Path(at_home(path))
    if not is_file(found):
        is_there = os.path.lexists(found) if "\0" not in str(found) else False
        state = "is no regular file" if is_there else "does not exist"
        raise failure(f"cannot read {what} {str(found)!r}: it {state}")
    return found


def writable_path(
    path: str | os.PathLike[str], suffix: str, what: str, *, failure: type[GymLagrangianError]
) -> Path:
    """The path of a file to write, with ``~`` for the home folder; folders may be missing.

    Raises:
        GymLagrangianError: `failure`, as the name has another ending, or its folder is none to
            write to.
    """
    if not isinstance(path, str | os.PathLike):
        raise failure(f"{what} is {path!r}: expected a path that ends in {suffix}")
    found = Path(at_home(path))
    if "\0" in str(found):
        raise failure(f"{str(found)!r}: the name of {what} has a zero byte")
    if found.suffix != suffix:
        raise failure(f"{str(found)!r}: the name of {what} must end in {suffix}")
    try:
        nearest = next(parent for parent in found.absolute().parents if parent.exists())
        usable = nearest.is_dir() and os.access(nearest, os.W_OK) and not found.is_dir()
    except (OSError, ValueError) as error:
        raise failure(f"cannot write {what} {str(found)!r}: {error}") from error
    if not usable:
        raise failure(
            f"cannot write {what} {str(found)!r}: {str(nearest)!r} is not a folder to write to"
        )
    return found


@contextlib.contextmanager
def replacing(
    path: str | os.PathLike[str], *, failure: type[GymLagrangianError] = GymLagrangianError
) -> Iterator[Path]:
    """Write to the neighbour that this yields; it takes the name `path` if all went well.

    Folders that are missing are made. Whatever goes wrong, Ctrl-C included, a file that was
    there stays as it was and no neighbour is left. Each writer has a neighbour of its own.

    Raises:
        GymLagrangianError: what was written in the ``with`` block met an `OSError`; `failure`
            names a more particular one.
    """
    path = Path(path)
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
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


@contextlib.contextmanager
def only_writer(
    path: str | os.PathLike[str], *, failure: type[GymLagrangianError] = GymLagrangianError
) -> Iterator[None]:
    """Hold a path against every other process and thread while something long is written to it.

    The lock is on a neighbour that ends in ``.lock`` and holds the process's number. The operating
    system lifts it with the process, however that ends.

    Raises:
        GymLagrangianError: `failure`, naming the process that has it, or as the folder is none to
            write to.
    """
    path = Path(path)
    lock = path.with_name(f"{path.name}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        held = _locked(lock)
    except BlockingIOError as error:
        raise failure(
            f"{str(path)!r} is being written by process {_holder(lock)}: wait for it, or choose "
            "another path"
        ) from error
    except OSError as error:
        raise failure(f"cannot write {str(path)!r}: {error}") from error
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
        os.close(held)


def _locked(lock: Path) -> int:
    """The descriptor of a lock file that is this one's alone."""
    while True:
        held = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if fcntl is not None:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BaseException:
            os.close(held)
            raise
        if _same(held, lock):
            break
        os.close(held)  # the holder before took the file away between the two steps
    try:
        os.truncate(held, 0)
        os.write(held, str(os.getpid()).encode())
    except BaseException:
        lock.unlink()
        os.close(held)
        raise
    return held


def _same(held: int, lock: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(held), lock.stat())
    except FileNotFoundError:
        return False


def _holder(lock: Path) -> str:
    try:
        return lock.read_text()[:20] or "of unknown number"
    except OSError:
        return "of unknown number"
