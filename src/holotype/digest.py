"""Content addresses: what a thing is, as a short string of hexadecimal digits."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "changed_names",
    "digest_array",
    "digest_file",
    "digest_folder",
    "digest_source",
    "digest_value",
    "digest_versions_on_disk",
]

DIGITS = 16
CHUNK = 1 << 20
VERSIONS = {"size", "mtime", "etag", "last_modified", "lastmodified", "created", "generation", "md5hash"}


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


def digest_source(address: str) -> str:
    """The digest of what a table is read from: a file's bytes, the names below a folder, the version of what lies afar.

    Args:
        address: A path, or an address that fsspec opens.
    """
    if "://" in address:
        return digest_value(_version(address))
    path = Path(address)
    if path.is_dir():
        return digest_value(sorted(entry.relative_to(path).as_posix() for entry in path.rglob("*")))
    return digest_file(path) if path.is_file() else digest_value("missing")


def digest_versions_on_disk(addresses: Iterable[str]) -> str:
    """The digest of files' names, sizes and times of change: cheap enough for a million images.

    Args:
        addresses: Paths or addresses; one that does not exist counts as such, and `images.npy#12` is its file.
    """
    state = hashlib.blake2b(digest_size=DIGITS // 2)
    versions: dict[str, str] = {}
    for address in addresses:
        file, hash_sign, row = address.rpartition("#")
        stored = file if hash_sign and row.isdigit() and file.endswith((".npy", ".npz")) else address
        if stored not in versions:
            versions = {stored: _version(stored)}  # the rows of an array follow one another
        state.update(f"{address}\0{versions[stored]}\n".encode())
    return state.hexdigest()


def _version(address: str) -> str:
    """Size and time of change of a file; of what lies afar, whatever its protocol tells of it."""
    try:
        if "://" in address:
            import fsspec  # slow, and needed for addresses only

            system, path = fsspec.core.url_to_fs(address)
            facts = system.info(path)
            told = {name: str(facts[name]) for name in sorted(facts) if name.lower() in VERSIONS}
            return json.dumps(told)
        found = Path(address).stat()
    except Exception as error:  # noqa: BLE001  (every protocol has errors of its own, and the reader tells them)
        return "missing" if isinstance(error, OSError) else type(error).__name__
    return f"{found.st_size}\0{found.st_mtime_ns}"


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
