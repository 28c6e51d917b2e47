"""What a store holds, whether it is whole, and what of it can go."""

from __future__ import annotations

import json
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import Timeout

from holotype.cache.store import FACTS, Store

__all__ = ["StoredArtifact", "find_damaged", "list_stored_artifacts", "prune", "size_of"]

DAY = 24 * 3600


@dataclass(frozen=True)
class StoredArtifact:
    """An artefact of a store.

    Args:
        folder: Where it lies.
        stage: The stage that made it first.
        bytes: Its size.
        idle_days: Days since it was last used.
    """

    folder: Path
    stage: str
    bytes: int
    idle_days: float


def list_stored_artifacts(store: Store) -> list[StoredArtifact]:
    """The artefacts of a store, the largest first.

    Args:
        store: The store.
    """
    now = time.time()
    artifacts = []
    for folder in store.list_artifacts():
        with suppress(OSError):  # another process is removing it
            idle = (now - (folder / FACTS).stat().st_mtime) / DAY
            artifacts.append(StoredArtifact(folder, _read_stage(folder), size_of(folder), max(idle, 0.0)))
    return sorted(artifacts, key=lambda artifact: (-artifact.bytes, str(artifact.folder)))


def size_of(folder: Path) -> int:
    """The bytes of every file below a folder.

    Args:
        folder: The folder; 0 where it is not there.
    """
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):
            total += path.stat().st_size if path.is_file() else 0
    return total


def find_damaged(store: Store) -> list[tuple[Path, str]]:
    """The artefacts whose files are not what was stored, with what is wrong; every file of the store is read.

    Args:
        store: The store.
    """
    damages = [(folder, store.describe_damage(folder, reread=True)) for folder in store.list_artifacts()]
    return [(folder, fault) for folder, fault in damages if fault]


def prune(store: Store, days: float | None = None) -> int:
    """Remove what no run needs: damaged artefacts, what killed runs left, and what was not used for some days.

    Unfinished trainings that killed runs could go on with count as unused from the time they were last written.

    Args:
        store: The store.
        days: Artefacts and unfinished work that were not used for so long go; all of them stay where none are given.

    Returns:
        How many bytes there are fewer.
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


def _read_stage(folder: Path) -> str:
    try:
        return str(json.loads((folder / FACTS).read_text(encoding="utf-8"))["stage"])
    except (OSError, ValueError, KeyError, TypeError):
        return folder.parent.name
