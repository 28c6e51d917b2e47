"""Disk space reservation: writing to a memory map of a sparse file crashes when the disk is full."""

from __future__ import annotations

import errno
import os
from pathlib import Path

NOT_OFFERED = {errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL, errno.ENOSYS, errno.ENODEV}
CHUNK = 2**22


def reserve_space(path: Path) -> None:
    """Allocate every byte of a file on the disk; its content stays.

    `posix_fallocate` does so; where it is missing (macOS, Windows, some network disks) the bytes are written. Raises
    OSError if the disk is full.
    """
    size = path.stat().st_size
    with path.open("r+b") as stream:
        allocate = getattr(os, "posix_fallocate", None)
        if allocate is not None and size:
            try:
                allocate(stream.fileno(), 0, size)
            except OSError as error:
                if error.errno not in NOT_OFFERED:
                    raise
            else:
                return
        for start in range(0, size, CHUNK):
            stream.seek(start)
            content = stream.read(CHUNK)
            stream.seek(start)
            stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
