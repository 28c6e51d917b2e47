"""The store: what stages made, under the digest of what they were made from; complete, or not there at all.

Every artefact knows the digests of its files. They are compared when a process first uses it, and a damaged one counts
as not there. While an artefact is made, its lock is held, so that of two runs one makes it and the other waits.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from holotype.digest import digest_file, digest_value
from holotype.errors import StoreError, listing
from holotype.store.files import (
    file_digests,
    file_versions,
    flush_folder,
    flush_names,
    remedy_of,
    translated_disk_errors,
)

__all__ = ["FACTS", "StageKey", "Store"]

FACTS = "stage.json"
TEMPORARY = re.compile(r"[A-Za-z_]+-[0-9a-f]{16}")

_verified: dict[Path, dict[str, tuple[int, ...]]] = {}  # what this process has read and found undamaged


@dataclass(frozen=True)
class StageKey:
    """What an artefact is made from.

    Args:
        stage: The stage's name, unique within a run (`fit main 0`).
        version: Raised when the stage's code begins to compute something else.
        section: The stage's own part of the recipe, as plain values.
        inputs: Digests by name.
    """

    stage: str
    version: int
    section: Any = None
    inputs: dict[str, str] = field(default_factory=dict)

    @property
    def family(self) -> str:
        """The kind of stage: the first word of its name."""
        return self.stage.partition(" ")[0]

    @property
    def digest(self) -> str:
        """The artefact's address: two stages of one kind that are made from the same share it."""
        return digest_value([self.family, self.version, self.section, self.inputs])

    @property
    def parts(self) -> dict[str, str]:
        """Everything that counts, by name, for telling what changed."""
        section = self.section if isinstance(self.section, dict) else {"section": self.section}
        own = {f"recipe: {name}": digest_value(value) for name, value in section.items()}
        return {**own, **self.inputs, "version of the stage": str(self.version)}


@dataclass(frozen=True)
class Store:
    """A folder of artefacts.

    Args:
        root: Its place.
    """

    root: Path

    def place(self, key: StageKey) -> Path:
        """Where an artefact lies, or would.

        Args:
            key: What it is made from.
        """
        return self.root / key.family / key.digest

    def holds(self, key: StageKey, read: bool = True) -> bool:
        """Whether an artefact is there, complete and undamaged.

        Args:
            key: What it is made from.
            read: Whether its files are read and compared with their digests, once a process; else their sizes are.
        """
        place = self.place(key)
        return (place / FACTS).is_file() and not self.damage(place, read)

    def damage(self, place: Path, read: bool = True, anew: bool = False) -> str:
        """What is wrong with an artefact that is there, in words; empty where nothing is.

        Args:
            place: Its folder.
            read: As in `holds`.
            anew: Whether they are read even where this process has read them.
        """
        try:
            facts = json.loads((place / FACTS).read_text(encoding="utf-8"))
            known = {str(name): (int(size), str(digest)) for name, (size, digest) in facts["files"].items()}
            versions = file_versions(place, FACTS)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            return f"{FACTS} cannot be read ({type(error).__name__})"
        lost = sorted(known.keys() - versions.keys())
        if lost:
            return f"{listing(lost, 3)} is missing"
        wrong = [name for name in known if versions[name][0] != known[name][0]]
        if not wrong and read and (anew or _verified.get(place) != versions):
            wrong = [name for name in known if _digest(place / name) != known[name][1]]
            if not wrong:
                _verified[place] = versions
        return f"{listing(sorted(wrong), 3)} is not what was stored" if wrong else ""

    def artefacts(self) -> list[Path]:
        """The folders of all artefacts, complete or not, by kind and name."""
        own = {"locks", "temporary", "unfinished"}
        return sorted(path.parent for path in self.root.glob(f"*/*/{FACTS}") if path.parts[-3] not in own)

    def workspace(self, key: StageKey) -> Path:
        """A folder for the unfinished work of a stage, which outlives a killed run.

        Args:
            key: What is being made.
        """
        return self.root / "unfinished" / key.family / key.digest

    def forget(self, key: StageKey) -> None:
        """Remove an artefact that turned out to be wrong; nothing happens where there is none.

        Args:
            key: What it is made from.
        """
        self.remove(self.place(key))

    def remove(self, place: Path) -> None:
        """Remove an artefact; a run that has its files open keeps them until it closes them.

        Args:
            place: Its folder.
        """
        (place / FACTS).unlink(missing_ok=True)  # from now on it is not there
        shutil.rmtree(place, ignore_errors=True)

    def content_digest(self, key: StageKey) -> str:
        """The digest of an artefact's content: stages that read it need not run again where it came out the same.

        Args:
            key: What it is made from.
        """
        facts = json.loads((self.place(key) / FACTS).read_text(encoding="utf-8"))
        return digest_value({name: digest for name, (_, digest) in facts["files"].items()})

    def cost(self, key: StageKey) -> dict[str, float]:
        """What the making of an artefact took, where that was written down: `seconds` and `peak_mb`.

        Args:
            key: What it is made from.
        """
        try:
            facts = json.loads((self.place(key) / FACTS).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return {name: float(facts[name]) for name in ("seconds", "peak_mb") if facts.get(name) is not None}

    def make(
        self,
        key: StageKey,
        write: Callable[[Path], object],
        cost: Callable[[], dict[str, float]] = dict,
        waits: Callable[[], object] = lambda: None,
    ) -> Path:
        """Make an artefact in a temporary folder and rename it when it is complete and on the disk.

        Args:
            key: What it is made from.
            write: Writes its files into a folder; not called where another run makes the artefact meanwhile.
            cost: Says when they are written what that took.
            waits: Called where another run is making the artefact, before this one waits for it.

        Raises:
            StoreError: The disk refuses.
        """
        with translated_disk_errors(lambda error: self._refused(key, error)), self._locked(key, waits):
            if not self.holds(key):
                self._make(key, write, cost)
            return self.place(key)

    def repeat(self, key: StageKey, other: StageKey) -> None:
        """Keep an artefact under a second key too: a stage whose result is known before it is asked for.

        Args:
            key: What it was made from.
            other: What would make the very same.
        """
        if not self.holds(other, read=False):
            source = self.place(key)
            ignored = shutil.ignore_patterns(FACTS)
            self.make(
                other,
                lambda into: shutil.copytree(source, into, ignore=ignored, dirs_exist_ok=True),
                lambda: self.cost(key),
            )

    def _make(self, key: StageKey, write: Callable[[Path], object], cost: Callable[[], dict[str, float]]) -> None:
        self.sweep(besides=_name(key))
        temporary, place = self.root / "temporary" / _name(key), self.place(key)
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        try:
            write(temporary)
            digests = file_digests(temporary, FACTS)
            files = {name: ((temporary / name).stat().st_size, digest) for name, digest in digests.items()}
            facts = {"stage": key.stage, "version": key.version, "parts": key.parts, "files": files, **cost()}
            (temporary / FACTS).write_text(json.dumps(facts, indent=1), encoding="utf-8")
            flush_folder(temporary)
            place.parent.mkdir(parents=True, exist_ok=True)
            if place.exists():  # damaged or torn: renamed first, so that no run sees half of it
                place.rename(self.root / "temporary" / f"{_name(key)}.damaged")
            temporary.rename(place)
            flush_names(place.parent)
            _verified[place] = file_versions(place, FACTS)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
            shutil.rmtree(temporary.with_name(f"{_name(key)}.damaged"), ignore_errors=True)
        shutil.rmtree(self.workspace(key), ignore_errors=True)

    @contextmanager
    def _locked(self, key: StageKey, waits: Callable[[], object]) -> Iterator[None]:
        """Hold the lock of an artefact: its temporary folder and its workspace belong to one process at a time."""
        lock = self.lock(_name(key))
        try:
            lock.acquire(blocking=False)
        except Timeout:
            waits()
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def lock(self, name: str) -> FileLock:
        """The lock of an artefact; who holds it may change the artefact and its unfinished work.

        Args:
            name: Kind and digest, as in `fit-0123456789abcdef`.
        """
        folder = self.root / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        return FileLock(folder / f"{name}.lock")

    def _refused(self, key: StageKey, error: OSError) -> StoreError:
        reason = error.strerror or str(error)
        where = Path(os.fsdecode(error.filename)) if error.filename else self.root
        if where.is_absolute() and not where.is_relative_to(self.root.absolute()):
            return StoreError(f"{key.stage} cannot be made: {where}: {reason}",
                              remedy="mend that, then run the same command again")  # fmt: skip
        return StoreError(f"{self.root} cannot be written: {reason}", remedy=remedy_of(error))

    def sweep(self, besides: str = "") -> int:
        """Remove what killed processes left half made, of any machine that shares the store.

        It may be as large as a pack. What a live process makes has its lock held; other names are somebody else's.

        Args:
            besides: A name that stays.

        Returns:
            How many folders were removed.
        """
        removed = 0
        for path in (self.root / "temporary").glob("*"):
            name = path.name.removesuffix(".damaged")
            if TEMPORARY.fullmatch(name) is None or name == besides:
                continue
            with suppress(Timeout, OSError):
                lock = self.lock(name)
                lock.acquire(blocking=False)
                try:
                    shutil.rmtree(path, ignore_errors=True)
                    removed += 1
                finally:
                    lock.release()
        return removed


def _name(key: StageKey) -> str:
    return f"{key.family}-{key.digest}"


def _digest(path: Path) -> str:
    """The digest of a file; of one that cannot be read no digest is."""
    try:
        return digest_file(path)
    except OSError:
        return ""
