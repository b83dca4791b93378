"""Where files are, and files that are there whole or not at all, whatever happens while they are written."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from errno import EDQUOT, ENOSPC
from importlib.util import find_spec
from pathlib import Path

from filelock import FileLock, Timeout

from unicorn.errors import UserError

PACKAGE = "package:"


class BusyError(UserError):
    """Another process is writing to the folder."""


@contextmanager
def replacing(path: Path) -> Generator[Path]:
    """A temporary path beside `path`, to be written in the block; it takes the place of `path` at the end.

    The bytes are on the disk before the name is, and the name before the block is left. A block that fails
    leaves the old file as it was. Raises UserError, naming `path`, where the system refuses (a full disk).
    """
    temporary = path.with_name(f"{path.name}.partial")
    make_folder(path.parent)
    try:
        yield temporary
        sync(temporary)
        temporary.replace(path)
        sync(path.parent)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise cannot_write(path, error) from error
        raise


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, if need be, their names on the disk.

    Raises UserError, naming `folder`, where the system refuses.
    """
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for each in made:
            sync(each.parent)
    except OSError as error:
        raise cannot_write(folder, error) from error


def lock_folder(folder: Path, key: str) -> FileLock:
    """The lock of a folder, which is made if need be, taken: to be released, and gone with its process in any case.

    Raises BusyError, which names `key` as what chooses another folder, if another process has it.
    """
    make_folder(folder)
    lock = FileLock(folder / ".lock", blocking=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise BusyError(f"another process is writing to {folder}. Wait for it, or choose another {key}=.") from error
    except OSError as error:
        raise cannot_write(folder, error) from error
    return lock


def sync(path: Path) -> None:
    """Wait until a file's bytes, or a folder's names, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_data(descriptor: int) -> None:
    """Wait until the bytes of an open file, and its length, are on the disk."""
    getattr(os, "fdatasync", os.fsync)(descriptor)  # macOS has no fdatasync


def cannot_write(path: Path, error: OSError) -> UserError:
    """The one line for a write that the system refused."""
    reason = os.strerror(error.errno) if error.errno else str(error)
    remedy = "Make room or choose" if error.errno in (None, ENOSPC, EDQUOT) else "Choose"
    return UserError(f"cannot write {path}: {reason}. {remedy} another folder; what was there is kept.")


def locate(path: str) -> str:
    """Where a `package:` path leads, without importing the package; anything else as it is.

    Raises UserError if no such package is installed.
    """
    if not path.startswith(PACKAGE):
        return path
    package, _, within = path.removeprefix(PACKAGE).partition("/")
    try:
        spec = find_spec(package)
    except ModuleNotFoundError:  # of the package that it should be in
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise UserError(f"{path} names a package that is not installed. Install {package}, or name a folder.")
    return str(Path(spec.submodule_search_locations[0]) / within)
