"""Append-only decisions file with one writer; every row is synced to disk before it is confirmed."""

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


class DecisionsFile:
    """Append-only file of review decisions; closed at the end, or by the system if the process is killed.

    Args:
        run: Value of the `run` column of new rows.

    Raises:
        InputError: Another process writes to the file, or it is not writable.
        DataError: The file cannot be parsed.
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
        """Decisions in force."""
        return self._active

    @property
    def count(self) -> int:
        """Number of rows, undone decisions and undo rows included."""
        return len(self._read.rows)

    def refresh(self) -> None:
        """Read the file again if another program has saved it."""
        with self._threads:
            if self._version != _file_version(self.path):
                row_count = len(self._read.rows)
                self._load()
                lost = row_count - len(self._read.rows)
                if lost > 0:
                    self.warnings.append(
                        f"{self.path.name} was saved by another program and has {pluralize(lost, 'row')} fewer than "
                        f"before"
                    )

    def decide(self, rows: Sequence[ReviewRow]) -> tuple[ReviewRow, ...]:
        """Append decisions; on return they are on the disk.

        Raises StoreError if the rows could not be written; the file is unchanged.
        """
        with self._threads:
            self.refresh()
            now = datetime.now(UTC).isoformat(timespec="seconds")
            written = tuple(replace(row, time=now, run=self.run) for row in rows)
            self._append(written)
            return written

    def undo(self) -> ReviewRow | None:
        """Undo the last decision in force; None if there is none."""
        with self._threads:
            self.refresh()
            if not self._active.decisions:
                return None
            last = self._active.decisions[-1]
            self.decide([undo_row(last)])
            return last

    def redo(self) -> ReviewRow | None:
        """Repeat the decision that was undone last; None if there is none."""
        with self._threads:
            self.refresh()
            return self.decide([self._active.undone[-1]])[0] if self._active.undone else None

    def close(self) -> None:
        """Release the lock."""
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
            raise StoreError(what, remedy="free disk space, and decide again") from error
        self._read = replace(read, rows=(*read.rows, *rows), torn="", begun=True)
        self._active = replay(self._read.rows)
        self._version = _file_version(self.path)
        self._read = replace(self._read, size=self._version[0] if self._version else 0)


def _append_and_sync(path: Path, content: bytes, before: int, *, new: bool) -> None:
    """Append and sync; on an error the file is restored."""
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
    """File lock that the system releases when the process ends in any way."""
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        stream = lock.open("ab")
    except OSError as error:
        what = f"decisions cannot be written to {str(path)!r}: {error.strerror}"
        raise InputError(what, field="--decisions", remedy="choose another file") from error
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
        raise InputError(what, field="--decisions", remedy="stop it, or choose another file") from error
    return stream
