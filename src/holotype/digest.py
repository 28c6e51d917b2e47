"""Content addresses: what a thing is, as a short string of hexadecimal digits."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["changed_names", "digest_array", "digest_file", "digest_folder", "digest_value", "digest_versions_on_disk"]

DIGITS = 16
CHUNK = 1 << 20


def digest_value(value: Any) -> str:
    """The digest of a plain value: numbers, strings, lists and mappings.

    Args:
        value: Anything that JSON can hold; keys are sorted, so their order does not count.
    """
    return _hexadecimal(json.dumps(value, sort_keys=True, ensure_ascii=False, default=str).encode())


def digest_array(array: NDArray[Any]) -> str:
    """The digest of an array's type, shape and bytes.

    Args:
        array: Any NumPy array.
    """
    header = f"{array.dtype.str}{array.shape}".encode()
    return _hexadecimal(header, np.ascontiguousarray(array).reshape(-1).view(np.uint8).data if array.size else b"")


def digest_file(path: Path) -> str:
    """The digest of a file's bytes.

    Args:
        path: The file.
    """
    state = hashlib.blake2b(digest_size=DIGITS // 2)
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            state.update(chunk)
    return state.hexdigest()


def digest_folder(folder: Path, without: Iterable[str] = ()) -> str:
    """The digest of every file below a folder, names and bytes.

    Args:
        folder: The folder.
        without: File names that do not count.
    """
    left_out = set(without)
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in left_out)
    return digest_value({path.relative_to(folder).as_posix(): digest_file(path) for path in files})


def digest_versions_on_disk(paths: Iterable[Path]) -> str:
    """The digest of files' names, sizes and times of change: cheap enough for a million images.

    Args:
        paths: The files; one that does not exist counts as such.
    """
    state = hashlib.blake2b(digest_size=DIGITS // 2)
    for path in paths:
        try:
            facts = path.stat()
            state.update(f"{path}\0{facts.st_size}\0{facts.st_mtime_ns}\n".encode())
        except OSError:
            state.update(f"{path}\0missing\n".encode())
    return state.hexdigest()


def _hexadecimal(*parts: bytes | memoryview) -> str:
    state = hashlib.blake2b(digest_size=DIGITS // 2)
    for part in parts:
        state.update(part)
    return state.hexdigest()


def changed_names(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """The names whose digests differ between two sets of inputs.

    Args:
        before: Name to digest, as it was.
        now: Name to digest, as it is.
    """
    return sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
