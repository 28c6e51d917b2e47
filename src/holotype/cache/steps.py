"""Stages of one run: taken from the store where they are there, made where they are not, and logged either way."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from holotype.cache.codec import read_value, write_value
from holotype.cache.store import FACTS, StageKey, Store
from holotype.core.errors import HolotypeError
from holotype.core.progress import Progress

__all__ = ["DryRun", "RunLog", "Stages", "UnknownUntilRunError"]

Value = TypeVar("Value")


class UnknownUntilRunError(HolotypeError):
    """What comes next depends on what a stage that would run again would make."""


@dataclass(frozen=True)
class RunLog:
    """`log.jsonl`: one line an event, written before the next one begins.

    Args:
        path: The file.
    """

    path: Path

    def write(self, event: str, **facts: Any) -> None:
        """Append one line.

        Args:
            event: What happened.
            **facts: What JSON can hold.
        """
        line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event, **facts}
        text = json.dumps(line, ensure_ascii=False, default=str)
        with self.path.open("ab") as stream:  # the newline comes first: a line that a kill cut short spoils no other
            stream.write(f"\n{text}".encode() if stream.tell() else text.encode())

    def read(self, event: str) -> list[dict[str, Any]]:
        """The lines of one kind, oldest first; a line that a kill tore is passed over.

        Args:
            event: What happened.
        """
        lines: list[dict[str, Any]] = []
        for text in self.path.read_bytes().split(b"\n") if self.path.is_file() else ():
            try:
                line = json.loads(text)
            except ValueError:
                continue
            if line.get("event") == event:
                lines.append(line)
        return lines


@dataclass
class Stages:
    """The stages of one run.

    Args:
        store: Where artefacts lie.
        log: The run's log.
        progress: Where news goes.
        seconds: How long each stage took, by name; 0 where it was taken from the store.
        digests: The digest of each value's content, by the stage's name.
        facts: What the report should say beside, by name.
        states: `made`, `resumed` or `reused`, by the stage's name.
        costs: What the making of each took, whoever made it: `seconds` and `peak_mb`, where that is known.
    """

    store: Store
    log: RunLog
    progress: Progress
    is_dry_run = False
    seconds: dict[str, float] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    costs: dict[str, dict[str, float]] = field(default_factory=dict)

    def cached_folder(self, key: StageKey, write: Callable[[Path], object]) -> Path:
        """The folder of a stage.

        Args:
            key: What it is made from.
            write: Writes its files into a folder, if it must be made.
        """
        started = time.perf_counter()
        if self._is_stored(key):
            self._record(key, "reused", self.store.measured_cost(key))
            return self.store.path(key)
        resumed = self.store.workspace(key).is_dir()
        self.log.write("begin", stage=key.stage, resumed=resumed)

        def cost() -> dict[str, float]:
            return {"seconds": round(time.perf_counter() - started, 3)} | _peak_memory()

        called: list[bool] = []

        def write_once(folder: Path) -> None:
            called.append(True)
            write(folder)

        def wait() -> None:
            self.progress.info(f"{key.stage}: another run is making it; waiting for that")

        stage_folder = self.store.create(key, write_once, cost, wait)
        if called:
            self._record(key, "resumed" if resumed else "made", cost())
        else:
            self._record(key, "reused", self.store.measured_cost(key))
        return stage_folder

    def _is_stored(self, key: StageKey) -> bool:
        """Whether a stage is in the store; a damaged artefact is named and counts as not there."""
        stage_folder = self.store.path(key)
        if not (stage_folder / FACTS).is_file():
            return False
        damage = self.store.describe_damage(stage_folder)
        if damage:
            sentence = (
                f"note: {key.stage}: what the store holds is damaged, and is made again: {stage_folder}: {damage}"
            )
            self.log.write("damaged", stage=key.stage, fault=damage)
            self.progress.info(sentence)
            return False
        with suppress(OSError):  # somebody else's store, or a read-only one
            os.utime(stage_folder / FACTS)  # when it was last used, for `holotype cache prune`
        return True

    def cached_value(
        self, kind: type[Value], key: StageKey, make: Callable[[], Value], parts: dict[str, type[Any]] | None = None
    ) -> Value:
        """The value of a stage; the digest of its content is kept in `digests`.

        Args:
            kind: Its type, a dataclass.
            key: What it is made from.
            make: Computes it, if it must be made.
            parts: The dataclasses of fields that hold one.
        """
        stage_folder = self.cached_folder(key, lambda folder: write_value(make(), folder))
        self.digests[key.stage] = self.store.content_digest(key)
        return read_value(kind, stage_folder, parts)

    def _record(self, key: StageKey, state: str, cost: dict[str, float]) -> None:
        """Write down how a stage came about, and what its making took, by this run or by the one that made it."""
        self.costs[key.stage], self.states[key.stage] = cost, state
        self.seconds[key.stage] = 0.0 if state == "reused" else cost["seconds"]
        seconds = self.seconds[key.stage]
        took = {"took": cost} if state == "reused" else {name: cost[name] for name in cost if name != "seconds"}
        self.log.write("stage", stage=key.stage, state=state, seconds=seconds, **took, key=key.digest, parts=key.parts)
        if state != "made":
            self.progress.info(
                f"{key.stage}: {'taken from the store' if state == 'reused' else 'resumed and finished'}"
            )


@dataclass
class DryRun(Stages):
    """Makes nothing: notes which stages would run, and what each is made from.

    Args:
        missing: The keys of stages that would run, in order.
        present: The keys of stages that would not.
    """

    is_dry_run = True
    missing: list[StageKey] = field(default_factory=list)
    present: list[StageKey] = field(default_factory=list)

    def cached_folder(self, key: StageKey, write: Callable[[Path], object]) -> Path:
        """Note whether a stage would run.

        Args:
            key: What it is made from.
            write: Not called.
        """
        (self.present if self.store.contains(key, read=False) else self.missing).append(key)
        return self.store.path(key)

    def cached_value(
        self, kind: type[Value], key: StageKey, make: Callable[[], Value], parts: dict[str, type[Any]] | None = None
    ) -> Value:
        """The value of a stage that would not run.

        Args:
            kind: Its type, a dataclass.
            key: What it is made from.
            make: Not called.
            parts: The dataclasses of fields that hold one.

        Raises:
            UnknownUntilRunError: The stage would run, and nothing behind it can be foreseen.
        """
        if not self.store.contains(key):  # its files are read anyway
            self.missing.append(key)
            raise UnknownUntilRunError(key.stage)
        self.present.append(key)
        stage_folder = self.store.path(key)
        self.digests[key.stage] = self.store.content_digest(key)
        return read_value(kind, stage_folder, parts)


def _peak_memory() -> dict[str, float]:
    """`peak_mb`: the high-water mark of this process's resident memory in MiB; empty where the system has none."""
    if sys.platform == "win32":
        return {}
    import resource  # not on Windows

    unit = 1024**2 if sys.platform == "darwin" else 1024  # bytes on macOS, else KiB
    return {"peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, 1)}
