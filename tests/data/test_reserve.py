"""Disk space that is taken before it is written, with the call of POSIX and without."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from holotype.data.reserve import reserve_space


def sparse(folder: Path) -> Path:
    """Twelve megabytes, of which only the ends are written."""
    path = folder / "pixels.npy"
    held = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(3, 2**22))
    held[0, 0], held[-1, -1] = 7, 9
    held.flush()
    return path


def refusing(number: int) -> object:
    def allocate(*_: int) -> None:
        raise OSError(number, os.strerror(number))

    return allocate


@pytest.mark.parametrize("system", ["Linux", "macOS and Windows", "a disk without the call"])
def test_every_byte_gets_its_place_and_stays_what_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str
) -> None:
    path = sparse(tmp_path)
    before, holes = path.read_bytes(), path.stat().st_blocks * 512
    if system == "macOS and Windows":
        monkeypatch.delattr(os, "posix_fallocate")
    elif system != "Linux":
        monkeypatch.setattr(os, "posix_fallocate", refusing(errno.EOPNOTSUPP))
    reserve_space(path)
    assert path.read_bytes() == before
    assert holes < len(before) <= path.stat().st_blocks * 512


def test_a_full_disk_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "posix_fallocate", refusing(errno.ENOSPC))
    with pytest.raises(OSError, match="No space left"):
        reserve_space(sparse(tmp_path))
