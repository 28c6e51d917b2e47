"""Where uploads lie until they are answered for: a folder a server, which the next clears if that was killed."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from holotype.serve.errors import api_error

__all__ = ["RequestFolder", "UploadFolder"]

NAME = "holotype-serve-"
LOCK = "in-use"


class RequestFolder:
    """Where the files of one request lie; a context that ends with the request.

    Args:
        upload_folder: The folder of all requests.
    """

    def __init__(self, upload_folder: UploadFolder) -> None:
        self.upload_folder, self._bytes = upload_folder, 0
        self._folder = TemporaryDirectory(dir=upload_folder.root, prefix="request-", ignore_cleanup_errors=True)
        self.path = Path(self._folder.name)

    def __enter__(self) -> RequestFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self.cleanup()

    def take(self, size: int) -> None:
        """Count bytes that are about to be written.

        Args:
            size: How many.

        Raises:
            ApiError: There is no room for them, or the disk has none.
        """
        if self.upload_folder.bytes + size > self.upload_folder.max_bytes:
            what = (
                f"uploads of {self.upload_folder.bytes / 1e6:,.0f} MB wait already, and "
                f"{self.upload_folder.max_bytes / 1e6:,.0f} may"
            )
            raise api_error(
                429, what, "request", "come back in a moment, or send fewer files at a time", Retry_After="5"
            )
        self.upload_folder.bytes += size
        self._bytes += size

    def remove(self, file: Path) -> None:
        """Remove a file that was answered for.

        Args:
            file: Its path.
        """
        try:
            size = file.stat().st_size
            file.unlink()
        except OSError:
            return
        size = min(size, self._bytes)
        self.upload_folder.bytes -= size
        self._bytes -= size

    def cleanup(self) -> None:
        """Remove the folder with all that is in it."""
        self._folder.cleanup()
        self.upload_folder.bytes -= self._bytes
        self._bytes = 0


class UploadFolder:
    """A temporary folder of this process; those of servers that are no more are removed when one is opened.

    Args:
        max_bytes: Bytes that may lie in it, over all requests.
    """

    def __init__(self, max_bytes: int = 4_000_000_000) -> None:
        self.max_bytes, self.bytes = max_bytes, 0
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

    def folder(self) -> RequestFolder:
        """A folder for the files of one request."""
        return RequestFolder(self)

    @property
    def root(self) -> Path | None:
        """The folder of all requests."""
        return self._root

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
