"""Inspection and pruning of the cache."""

from __future__ import annotations

import json
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import Timeout

from holotype.cache.store import FACTS, Store

DAY = 24 * 3600


@dataclass(frozen=True)
class StoredArtifact:
    """Result in the cache.

    Args:
        step: Step that made it first.
        idle_days: Days since it was last used.
    """

    folder: Path
    step: str
    bytes: int
    idle_days: float


def list_stored_artifacts(store: Store) -> list[StoredArtifact]:
    """List cached results, the largest first."""
    now = time.time()
    artifacts = []
    for folder in store.list_artifacts():
        with suppress(OSError):  # another process is removing it
            idle = (now - (folder / FACTS).stat().st_mtime) / DAY
            artifacts.append(StoredArtifact(folder, _read_step(folder), size_of(folder), max(idle, 0.0)))
    return sorted(artifacts, key=lambda artifact: (-artifact.bytes, str(artifact.folder)))


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder; 0 if it does not exist."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):
            total += path.stat().st_size if path.is_file() else 0
    return total


def find_damaged(store: Store) -> list[tuple[Path, str]]:
    """Find results whose files are not what was stored, with the damage; reads every file."""
    damages = [(folder, store.describe_damage(folder, reread=True)) for folder in store.list_artifacts()]
    return [(folder, fault) for folder, fault in damages if fault]


def prune(store: Store, days: float | None = None) -> int:
    """Remove damaged results, leftovers of killed runs and, with `days`, what was not used for so long.

    Unfinished trainings, which a killed run could resume, count as unused since their last write.

    Args:
        days: None keeps unused results and unfinished trainings.

    Returns:
        The number of bytes freed.
    """
    before = size_of(store.root)
    store.sweep()
    for folder, _ in find_damaged(store):
        store.remove(folder)
    if days is not None:
        for artifact in list_stored_artifacts(store):
            if artifact.idle_days > days:
                store.remove(artifact.folder)
        for folder in (store.root / "unfinished").glob("*/*"):
            written = max((path.stat().st_mtime for path in [folder, *folder.rglob("*")]), default=0.0)
            if time.time() - written > days * DAY:
                with suppress(Timeout):
                    _remove_unfinished(store, folder)
    return max(before - size_of(store.root), 0)


def _remove_unfinished(store: Store, folder: Path) -> None:
    with store.lock(f"{folder.parent.name}-{folder.name}").acquire(blocking=False):
        shutil.rmtree(folder, ignore_errors=True)


def _read_step(folder: Path) -> str:
    try:
        return str(json.loads((folder / FACTS).read_text(encoding="utf-8"))["step"])
    except (OSError, ValueError, KeyError, TypeError):
        return folder.parent.name
