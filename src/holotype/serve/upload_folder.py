"""Temporary folder of uploads; the next server removes it if this one is killed."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from holotype.serve.errors import api_error

NAME = "holotype-serve-"
LOCK = "in-use"


class RequestFolder:
    """Folder of the files of one request; removed when the context ends."""

    def __init__(self, upload_folder: UploadFolder) -> None:
        self.upload_folder, self._bytes = upload_folder, 0
        self._folder = TemporaryDirectory(dir=upload_folder.root, prefix="request-", ignore_cleanup_errors=True)
        self.path = Path(self._folder.name)

    def __enter__(self) -> RequestFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self.cleanup()

    def take(self, size: int) -> None:
        """Count bytes before they are written. Raises ApiError if the limit of waiting uploads is reached."""
        if self.upload_folder.bytes + size > self.upload_folder.max_bytes:
            what = (
                f"{self.upload_folder.bytes / 1e6:,.0f} MB of uploads are waiting, the limit is "
                f"{self.upload_folder.max_bytes / 1e6:,.0f} MB"
            )
            raise api_error(429, what, "request", "retry in a moment, or send fewer files per request", Retry_After="5")
        self.upload_folder.bytes += size
        self._bytes += size

    def remove(self, file: Path) -> None:
        """Remove a file after its prediction."""
        try:
            size = file.stat().st_size
            file.unlink()
        except OSError:
            return
        size = min(size, self._bytes)
        self.upload_folder.bytes -= size
        self._bytes -= size

    def cleanup(self) -> None:
        """Remove the folder and its content."""
        self._folder.cleanup()
        self.upload_folder.bytes -= self._bytes
        self._bytes = 0


class UploadFolder:
    """Temporary folder of this process; folders of dead servers are removed when it is opened.

    Args:
        max_bytes: Maximum size of all files, over all requests.
    """

    def __init__(self, max_bytes: int = 4_000_000_000) -> None:
        self.max_bytes, self.bytes = max_bytes, 0
        self._root: Path | None = None
        self._lock: BinaryIO | None = None

    def open(self) -> None:
        """Create the folder, and remove those of killed servers."""
        self._root = Path(tempfile.mkdtemp(prefix=NAME))
        unlocked = self._root / "new"
        self._lock = unlocked.open("wb")
        if _lock(self._lock):
            unlocked.rename(self._root / LOCK)  # other servers see it only when it is locked
        for other in self._root.parent.glob(f"{NAME}*"):
            _remove_if_left(other)

    def folder(self) -> RequestFolder:
        """New folder for the files of one request."""
        return RequestFolder(self)

    @property
    def root(self) -> Path | None:
        """Parent folder of all requests."""
        return self._root

    def close(self) -> None:
        """Remove the folder and its content."""
        if self._root is not None and self._lock is not None:
            self._lock.close()
            shutil.rmtree(self._root, ignore_errors=True)
        self._root = self._lock = None


def _lock(stream: BinaryIO) -> bool:
    try:
        import fcntl
    except ImportError:
        return False  # without locks nothing is removed
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
        return  # another user's folder, already removed, or without a lock
