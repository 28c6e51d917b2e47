"""Where uploads lie until they are answered for: a folder a server, which the next clears if that was killed."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

__all__ = ["Scratch"]

NAME = "holotype-serve-"
LOCK = "in-use"


class Scratch:
    """A temporary folder of this process; those of servers that are no more are removed when one is opened."""

    def __init__(self) -> None:
        self._root: Path | None = None
        self._lock: BinaryIO | None = None

    def open(self) -> None:
        """Make the folder, and remove what servers left that were killed."""
        self._root = Path(tempfile.mkdtemp(prefix=NAME))
        unlocked = self._root / "new"
        self._lock = unlocked.open("wb")
        if _lock(self._lock):
            unlocked.rename(self._root / LOCK)  # whoever sees it sees it locked
        for other in self._root.parent.glob(f"{NAME}*"):
            _remove_if_left(other)

    def folder(self) -> TemporaryDirectory[str]:
        """A folder for the files of one request."""
        return TemporaryDirectory(dir=self._root, prefix="request-")

    def close(self) -> None:
        """Remove the folder with all that is in it."""
        if self._root is not None and self._lock is not None:
            self._lock.close()
            shutil.rmtree(self._root, ignore_errors=True)
        self._root = self._lock = None


def _lock(stream: BinaryIO) -> bool:
    """Take a lock that ends with this process, however that ends; false where another process holds it."""
    try:
        import fcntl
    except ImportError:
        return False  # no locks on this system: then nothing is removed
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _remove_if_left(folder: Path) -> None:
    lock = folder / LOCK
    try:
        if folder.is_symlink() or folder.stat().st_uid != os.getuid():
            return
        with lock.open("r+b") as stream:
            if _lock(stream):
                shutil.rmtree(folder, ignore_errors=True)
    except (OSError, AttributeError):
        return  # of another user, gone meanwhile, or no lock of ours in it
