"""Content digests: short hexadecimal addresses of values, arrays, files and tables."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from stat import S_ISDIR
from typing import Any

import numpy as np
from numpy.typing import NDArray

DIGITS = 16
MULTI_FILE_SUFFIXES = {".vsi", ".oif"}
VERSIONS = {"size", "mtime", "etag", "last_modified", "lastmodified", "created", "generation", "md5hash"}


def digest_value(value: Any) -> str:
    """Digest of a plain value: numbers, strings, lists and mappings; the order of keys does not count."""
    return _hex_digest(json.dumps(value, sort_keys=True, ensure_ascii=False, default=str).encode())


def digest_array(array: NDArray[Any]) -> str:
    """Digest of an array's type, shape and bytes."""
    header = f"{array.dtype.str}{array.shape}".encode()
    return _hex_digest(header, np.ascontiguousarray(array).reshape(-1).view(np.uint8).data if array.size else b"")


def digest_file(path: Path) -> str:
    """Digest of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=DIGITS // 2)).hexdigest()


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes as 64 hexadecimal digits, as model hubs and cards state it."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest_folder(folder: Path, without: Iterable[str] = ()) -> str:
    """Digest of the names and bytes of all files below a folder, except those with some names."""
    left_out = set(without)
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in left_out)
    return digest_value({path.relative_to(folder).as_posix(): digest_file(path) for path in files})


def digest_table_source(address: str) -> str:
    """Digest of a table's source: a file's bytes, the names below a folder, or the version of a URI's file."""
    if "://" in address:
        return digest_value(_file_version(address))
    path = Path(address)
    if path.is_dir():
        return digest_value(sorted(entry.relative_to(path).as_posix() for entry in path.rglob("*")))
    return digest_file(path) if path.is_file() else digest_value("missing")


def digest_file_stats(addresses: Iterable[str]) -> str:
    """Digest of files' names, sizes, inodes and times of change; cheap enough for a million images.

    Names are relative to the folder that all files share, so that a moved folder keeps its digest. A file that is
    replaced with its size and time kept (`cp -p`, `rsync -a`) still has another inode or inode change time. Of a folder
    (`.zarr`), and of the folders beside a file that hold its parts (`scan.vsi` with `_scan_`), every file counts.
    `addresses`: paths or URIs; missing files count as such, and `images.npy#12` stands for its file.
    """
    state = hashlib.blake2b(digest_size=DIGITS // 2)
    all_addresses = list(addresses)
    shared = _shared_folder_length([address for address in all_addresses if "://" not in address])
    versions: dict[str, str] = {}
    for address in all_addresses:
        file, hash_sign, row = address.rpartition("#")
        stored = file if hash_sign and row.isdigit() and file.lower().endswith((".npy", ".npz")) else address
        if stored not in versions:
            versions = {stored: _file_version(stored)}  # rows of one array are adjacent, so the last version suffices
        name = address if "://" in address else address[shared:]
        state.update(f"{name}\0{versions[stored]}\n".encode(errors="surrogateescape"))
    return state.hexdigest()


def _shared_folder_length(paths: list[str]) -> int:
    if not paths:
        return 0
    first, last = min(paths), max(paths)
    same = next((index for index, pair in enumerate(zip(first, last, strict=False)) if pair[0] != pair[1]), len(first))
    return max(first.rfind("/", 0, same), first.rfind(os.sep, 0, same)) + 1


def _file_version(address: str) -> str:
    """Size, inode and times of a file and of its parts; of a remote file, the version facts of its protocol."""
    try:
        if "://" in address:
            import fsspec  # slow, and only needed for URIs

            system, path = fsspec.core.url_to_fs(address)
            facts = system.info(path)
            version_facts = {name: str(facts[name]) for name in sorted(facts) if name.lower() in VERSIONS}
            if facts.get("type") == "directory":  # a remote `.zarr`: the versions of its files
                inner = system.find(path, detail=True)
                version_facts |= {
                    name: str([facts.get(fact) for fact in sorted(VERSIONS)]) for name, facts in sorted(inner.items())
                }
            return json.dumps(version_facts)
        path = Path(address)
        stats = path.stat()
        is_folder = S_ISDIR(stats.st_mode)
        folders = [path] if is_folder else _list_part_folders(path)
        parts = [
            f"{part.relative_to(folder)} {_format_stats(part.stat())}"
            for folder in folders
            for part in sorted(part for part in folder.rglob("*") if part.is_file())
        ]
        return "\0".join(parts if is_folder else [_format_stats(stats), *parts])
    except Exception as error:  # noqa: BLE001  (each protocol has its own errors, which reading the file reports)
        return "missing" if isinstance(error, OSError) else type(error).__name__


def _format_stats(stats: os.stat_result) -> str:
    return f"{stats.st_size} {stats.st_mtime_ns} {stats.st_ctime_ns} {stats.st_ino}"


def _list_part_folders(file: Path) -> list[Path]:
    """Folders beside a microscope's file that hold the rest of it: `_scan_` of `scan.vsi`, `scan.oif.files`."""
    if file.suffix.lower() not in MULTI_FILE_SUFFIXES:
        return []
    names = (f"_{file.stem}_", f"{file.name}.files", f"{file.stem}.files")
    return [file.with_name(name) for name in names if file.with_name(name).is_dir()]


def _hex_digest(*parts: bytes | memoryview) -> str:
    state = hashlib.blake2b(digest_size=DIGITS // 2)
    for part in parts:
        state.update(part)
    return state.hexdigest()


def changed_names(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Names whose digests differ between two mappings from name to digest."""
    return sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
