"""Flushing of files and folders to the disk."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def flush_folder(folder: Path) -> None:
    """Flush every file below a folder, and their names, to the disk."""
    for path in [*folder.rglob("*"), folder]:
        if path.is_dir():
            flush_names(path)
        else:
            with path.open("r+b") as stream:
                os.fsync(stream.fileno())


def flush_names(folder: Path) -> None:
    """Flush the names in a folder to the disk, where the system can."""
    with suppress(OSError):  # Windows opens no folders, and some network disks do not flush them
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
