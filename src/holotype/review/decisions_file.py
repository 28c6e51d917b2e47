"""The file that decisions are written to: one writer, every row on the disk before it is confirmed, nothing removed."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from holotype.core.errors import InputError, StoreError, pluralize
from holotype.review.decisions import ReadRows, ReviewRow, read_rows, row_text
from holotype.review.replay import ActiveDecisions, replay, undo_row

__all__ = ["DecisionsFile"]


class DecisionsFile:
    """Decisions that are appended to and never rewritten; closed at the end, and by the system if we are killed.

    Args:
        path: The file; it need not be there.
        run: What new rows say of the run that is looked at.

    Raises:
        InputError: Another program of ours writes to it, or it cannot be written.
        DataError: What is there cannot be read.
    """

    def __init__(self, path: Path, run: str = "") -> None:
        self.path, self.run = path, run
        self.warnings: list[str] = []
        self._threads = threading.RLock()
        self._lock = _lock_file(path.with_name(f".{path.name}.lock"), path)
        try:
            self._load()
        except BaseException:
            self.close()
            raise

    @property
    def active(self) -> ActiveDecisions:
        """What stands now."""
        return self._active

    @property
    def count(self) -> int:
        """How many rows there are, undone ones and undoing ones among them."""
        return len(self._read.rows)

    def refresh(self) -> None:
        """Read the file again, if somebody saved it meanwhile."""
        with self._threads:
            if self._version != _file_version(self.path):
                row_count = len(self._read.rows)
                self._load()
                lost = row_count - len(self._read.rows)
                if lost > 0:
                    self.warnings.append(
                        f"{self.path.name} was saved by another program and has {pluralize(lost, 'row')} less than "
                        f"before"
                    )

    def decide(self, rows: Sequence[ReviewRow]) -> tuple[ReviewRow, ...]:
        """Append decisions; when this returns they are on the disk.

        Args:
            rows: Without time and run.

        Returns:
            The rows as they were written.

        Raises:
            StoreError: They could not be written; the file is as it was.
        """
        with self._threads:
            self.refresh()
            now = datetime.now(UTC).isoformat(timespec="seconds")
            written = tuple(replace(row, time=now, run=self.run) for row in rows)
            self._append(written)
            return written

    def undo(self) -> ReviewRow | None:
        """Take back the last decision that stands; none where none does."""
        with self._threads:
            self.refresh()
            if not self._active.decisions:
                return None
            last = self._active.decisions[-1]
            self.decide([undo_row(last)])
            return last

    def redo(self) -> ReviewRow | None:
        """Make the decision again that was undone last; none where there is none."""
        with self._threads:
            self.refresh()
            return self.decide([self._active.undone[-1]])[0] if self._active.undone else None

    def close(self) -> None:
        """Let others write."""
        self._lock.close()

    def _load(self) -> None:
        self._read: ReadRows = read_rows(self.path)
        self._active: ActiveDecisions = replay(self._read.rows)
        self.warnings = [*self._read.warnings, *self._active.warnings]
        self._version = _file_version(self.path)

    def _append(self, rows: Sequence[ReviewRow]) -> None:
        read = self._read
        text = "".join(row_text(row, read.columns, read.delimiter) for row in rows)
        header = "" if read.begun else read.delimiter.join(read.columns) + "\n"
        try:
            _append_and_sync(self.path, (read.torn + header + text).encode(), read.size, new=self._version is None)
        except OSError as error:
            what = f"the decision could not be written to {str(self.path)!r}: {error.strerror}"
            raise StoreError(what, remedy="make room, and decide again") from error
        self._read = replace(read, rows=(*read.rows, *rows), torn="", begun=True)
        self._active = replay(self._read.rows)
        self._version = _file_version(self.path)
        self._read = replace(self._read, size=self._version[0] if self._version else 0)


def _append_and_sync(path: Path, content: bytes, before: int, *, new: bool) -> None:
    """Append and wait for the disk; whatever fails, the file ends as it was."""
    with path.open("ab", buffering=0) as stream:
        try:
            stream.truncate(before)
            done = 0
            while done < len(content):
                done += stream.write(content[done:]) or 0
            os.fsync(stream.fileno())
        except OSError:
            with suppress(OSError):
                stream.truncate(before)
            raise
    if new and os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)  # the name of a new file is on the disk when its folder is
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _file_version(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ino


def _lock_file(lock: Path, path: Path) -> IO[bytes]:
    """A lock that the system lets go of when its holder dies, however that happens."""
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        stream = lock.open("ab")
    except OSError as error:
        what = f"decisions cannot be written to {str(path)!r}: {error.strerror}"
        raise InputError(what, field="--decisions", remedy="give another file") from error
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        stream.close()
        what = f"another `holotype review` is writing to {str(path)!r}"
        raise InputError(what, field="--decisions", remedy="close it, or give another file") from error
    return stream
