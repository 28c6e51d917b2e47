"""Files of cached results: digests, flushing to the disk, and errors of the disk."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from holotype.core.digest import digest_file
from holotype.core.errors import HolotypeError

DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
OS_ERROR = re.compile(r"\(os error (\d+)\)")


def file_digests(folder: Path, without: str) -> dict[str, str]:
    """Digest of every file below a folder, by relative path, except those of one name."""
    return {path.relative_to(folder).as_posix(): digest_file(path) for path in _list_files(folder, without)}


def file_versions(folder: Path, without: str) -> dict[str, tuple[int, ...]]:
    """Size, inode and times, one of which any write changes, of every file below a folder, by relative path."""
    facts = {path.relative_to(folder).as_posix(): path.stat() for path in _list_files(folder, without)}
    return {name: (stats.st_size, stats.st_ino, stats.st_mtime_ns, stats.st_ctime_ns) for name, stats in facts.items()}


def disk_error(error: BaseException) -> OSError | None:
    """Error of the operating system behind an exception; None if there is none.

    Libraries written in Rust put its number into their message.
    """
    if isinstance(error, OSError):
        return error
    number = OS_ERROR.search(str(error))
    return None if number is None else OSError(int(number[1]), os.strerror(int(number[1])))


@contextmanager
def translated_disk_errors(refusal: Callable[[OSError], HolotypeError]) -> Iterator[None]:
    """Translate disk errors into a `HolotypeError`; other errors pass unchanged.

    Args:
        refusal: Makes the error to raise.

    Raises:
        HolotypeError: The disk refuses.
    """
    try:
        yield
    except HolotypeError:
        raise
    except Exception as error:
        cause = disk_error(error)
        if cause is None:
            raise
        raise refusal(cause) from error


def suggest_remedy(error: OSError) -> str:
    """Suggest what to do about an error of the operating system."""
    again = "then run the same command again"
    if error.errno in FORBIDDEN:
        return f"allow this user to write there, or set HOLOTYPE_STORE to a writable folder, {again}"
    if error.errno in DISK_FULL or error.errno is None:  # NumPy reports a short write without a number
        return f"free some disk space or set HOLOTYPE_STORE to another disk, {again}"
    return f"fix that or set HOLOTYPE_STORE to another disk, {again}"


def _list_files(folder: Path, without: str) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != without)
