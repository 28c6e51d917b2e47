"""Cache folder: results of steps under the digest of their inputs, complete or absent.

Every result has the digests of its files. They are checked when a process first uses it; a damaged result counts as
missing. A lock is held while a result is made, so that of two runs one makes it and the other waits.
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

from holotype.cache.files import file_digests, file_versions, suggest_remedy, translated_disk_errors
from holotype.core.digest import digest_file, digest_value
from holotype.core.disk import flush_folder, flush_names
from holotype.core.errors import StoreError, join_names

FACTS = "step.json"
TEMPORARY = re.compile(r"[A-Za-z_]+-[0-9a-f]{16}")

_verified: dict[Path, dict[str, tuple[int, ...]]] = {}  # versions that this process has read and found undamaged


@dataclass(frozen=True)
class StepKey:
    """Key of a step's result: everything that can change it.

    Args:
        step: Name of the step, unique within a run (`fit main 0`).
        version: Increased when the step's code computes something else.
        section: The step's settings, as plain values.
        inputs: Digests by name.
    """

    step: str
    version: int
    section: Any = None
    inputs: dict[str, str] = field(default_factory=dict)

    @property
    def family(self) -> str:
        """Kind of step: the first word of its name."""
        return self.step.partition(" ")[0]

    @property
    def digest(self) -> str:
        """Address of the result; steps of one kind with equal inputs share it."""
        return digest_value([self.family, self.version, self.section, self.inputs])

    @property
    def parts(self) -> dict[str, str]:
        """Digests of everything that counts, by name, to find out what changed."""
        section = self.section if isinstance(self.section, dict) else {"section": self.section}
        section_digests = {f"recipe: {name}": digest_value(value) for name, value in section.items()}
        return {**section_digests, **self.inputs, "version of the step": str(self.version)}


@dataclass(frozen=True)
class Store:
    """Cache folder."""

    root: Path

    def path(self, key: StepKey) -> Path:
        """Folder of a result, which may not exist yet."""
        return self.root / key.family / key.digest

    def contains(self, key: StepKey, read: bool = True) -> bool:
        """Return True if a result is there, complete and undamaged.

        Args:
            read: Compare the files with their digests, once per process; otherwise only their sizes.
        """
        folder = self.path(key)
        return (folder / FACTS).is_file() and not self.describe_damage(folder, read)

    def describe_damage(self, folder: Path, read: bool = True, reread: bool = False) -> str:
        """Damage of a result that is there; empty if it is intact.

        Args:
            read: As in `contains`.
            reread: Read the files even if this process has read them.
        """
        try:
            facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
            recorded = {str(name): (int(size), str(digest)) for name, (size, digest) in facts["files"].items()}
            versions = file_versions(folder, FACTS)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            return f"{FACTS} cannot be read ({type(error).__name__})"
        missing = sorted(recorded.keys() - versions.keys())
        if missing:
            return f"{join_names(missing, 3)} is missing"
        wrong = [name for name in recorded if versions[name][0] != recorded[name][0]]
        if not wrong and read and (reread or _verified.get(folder) != versions):
            wrong = [name for name in recorded if _digest_or_empty(folder / name) != recorded[name][1]]
            if not wrong:
                _verified[folder] = versions
        return f"{join_names(sorted(wrong), 3)} was changed after it was stored" if wrong else ""

    def list_artifacts(self, family: str = "*") -> list[Path]:
        """Folders of all results, complete or not, by kind and digest.

        Args:
            family: Kind of step; all by default.
        """
        reserved = {"locks", "temporary", "unfinished"}
        return sorted(path.parent for path in self.root.glob(f"{family}/*/{FACTS}") if path.parts[-3] not in reserved)

    def parts(self, folder: Path) -> dict[str, str]:
        """Digests of everything that a result was made from, by name; empty if it cannot be read."""
        try:
            return dict(json.loads((folder / FACTS).read_text(encoding="utf-8"))["parts"])
        except (OSError, ValueError, KeyError, TypeError):
            return {}

    def workspace(self, key: StepKey) -> Path:
        """Folder for the unfinished work of a step, which outlives a killed run."""
        return self.root / "unfinished" / key.family / key.digest

    def remove_key(self, key: StepKey) -> None:
        """Remove the result of a key, if there is one."""
        self.remove(self.path(key))

    def remove(self, folder: Path) -> None:
        """Remove a result; a run that has its files open keeps them until it closes them."""
        (folder / FACTS).unlink(missing_ok=True)  # without it, the result counts as missing
        shutil.rmtree(folder, ignore_errors=True)

    def content_digest(self, key: StepKey) -> str:
        """Digest of a result's content; steps that read it need not run again if it is unchanged."""
        facts = json.loads((self.path(key) / FACTS).read_text(encoding="utf-8"))
        return digest_value({name: digest for name, (_, digest) in facts["files"].items()})

    def measured_cost(self, key: StepKey) -> dict[str, float]:
        """Cost of the execution, as far as known: `seconds` and `peak_mb`."""
        try:
            facts = json.loads((self.path(key) / FACTS).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return {name: float(facts[name]) for name in ("seconds", "peak_mb") if facts.get(name) is not None}

    def create(
        self,
        key: StepKey,
        write: Callable[[Path], object],
        cost: Callable[[], dict[str, float]] = dict,
        waits: Callable[[], object] = lambda: None,
    ) -> Path:
        """Make a result in a temporary folder, and rename that when it is complete and on the disk.

        Args:
            write: Writes the files into a folder; not called if another run makes the result meanwhile.
            cost: Called when the files are written, for `measured_cost`.
            waits: Called before waiting for another run that is making the result.

        Raises:
            StoreError: The disk refuses.
        """
        with translated_disk_errors(lambda error: self._disk_refused_error(key, error)), self._locked(key, waits):
            if not self.contains(key):
                self._create(key, write, cost)
            return self.path(key)

    def repeat(self, key: StepKey, other: StepKey) -> None:
        """Copy a result to a second key: that of a step whose result is known in advance."""
        if not self.contains(other, read=False):
            source = self.path(key)
            ignored = shutil.ignore_patterns(FACTS)
            self.create(
                other,
                lambda into: shutil.copytree(source, into, ignore=ignored, dirs_exist_ok=True),
                lambda: self.measured_cost(key),
            )

    def _create(self, key: StepKey, write: Callable[[Path], object], cost: Callable[[], dict[str, float]]) -> None:
        self.sweep(except_name=_lock_name(key))
        temporary, folder = self.root / "temporary" / _lock_name(key), self.path(key)
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        try:
            write(temporary)
            digests = file_digests(temporary, FACTS)
            files = {name: ((temporary / name).stat().st_size, digest) for name, digest in digests.items()}
            facts = {"step": key.step, "version": key.version, "parts": key.parts, "files": files, **cost()}
            (temporary / FACTS).write_text(json.dumps(facts, indent=1), encoding="utf-8")
            flush_folder(temporary)
            folder.parent.mkdir(parents=True, exist_ok=True)
            if folder.exists():  # damaged or incomplete: renamed first, so that no run sees half of it
                folder.rename(self.root / "temporary" / f"{_lock_name(key)}.damaged")
            temporary.rename(folder)
            flush_names(folder.parent)
            _verified[folder] = file_versions(folder, FACTS)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
            shutil.rmtree(temporary.with_name(f"{_lock_name(key)}.damaged"), ignore_errors=True)
        shutil.rmtree(self.workspace(key), ignore_errors=True)

    @contextmanager
    def _locked(self, key: StepKey, waits: Callable[[], object]) -> Iterator[None]:
        """Hold the lock of a result: its temporary folder and workspace belong to one process at a time."""
        lock = self.lock(_lock_name(key))
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
        """Lock of a result and its unfinished work, by kind and digest: `fit-0123456789abcdef`."""
        folder = self.root / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        return FileLock(folder / f"{name}.lock")

    def _disk_refused_error(self, key: StepKey, error: OSError) -> StoreError:
        reason = error.strerror or str(error)
        where = Path(os.fsdecode(error.filename)) if error.filename else self.root
        if where.is_absolute() and not where.is_relative_to(self.root.absolute()):
            return StoreError(
                f"{key.step} failed: {where}: {reason}", remedy="fix that, then run the same command again"
            )
        return StoreError(f"{self.root} cannot be written: {reason}", remedy=suggest_remedy(error))

    def sweep(self, except_name: str = "") -> int:
        """Remove what killed processes left half made, on any machine that shares the cache, and count it.

        Live processes hold locks; folders with other names are somebody else's.
        """
        removed = 0
        for path in (self.root / "temporary").glob("*"):
            name = path.name.removesuffix(".damaged")
            if TEMPORARY.fullmatch(name) is None or name == except_name:
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


def _lock_name(key: StepKey) -> str:
    return f"{key.family}-{key.digest}"


def _digest_or_empty(path: Path) -> str:
    """Digest of a file; empty if it cannot be read."""
    try:
        return digest_file(path)
    except OSError:
        return ""
