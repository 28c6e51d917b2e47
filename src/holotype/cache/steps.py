"""Cached steps of a run: read from the cache or executed, and logged."""

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
from holotype.cache.store import FACTS, StepKey, Store
from holotype.core.errors import HolotypeError
from holotype.core.progress import Progress

__all__ = ["DryRun", "RunLog", "Steps", "UnknownUntilRunError"]

Value = TypeVar("Value")


class UnknownUntilRunError(HolotypeError):
    """Dry run that cannot continue, because the next steps depend on the result of one that would run."""


@dataclass(frozen=True)
class RunLog:
    """Append-only log of a run, `log.jsonl`, with one JSON object per line."""

    path: Path

    def write(self, event: str, **facts: Any) -> None:
        """Append an event.

        Args:
            **facts: JSON values.
        """
        line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event, **facts}
        text = json.dumps(line, ensure_ascii=False, default=str)
        with self.path.open("ab") as stream:  # the newline comes first: a line that a kill cut short spoils no other
            stream.write(f"\n{text}".encode() if stream.tell() else text.encode())

    def read(self, event: str) -> list[dict[str, Any]]:
        """Read the events of one kind, oldest first; incomplete lines are skipped."""
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
class Steps:
    """Cached steps of one run.

    Args:
        seconds: Duration by step; 0 if its result was read from the cache.
        digests: Digest of the content of each step's value.
        facts: Additional facts for the report, by name.
        states: `made`, `resumed` or `reused`, by step.
        costs: `seconds` and `peak_mb` of the execution of each step, in this run or an earlier one, if known.
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

    def cached_folder(self, key: StepKey, write: Callable[[Path], object]) -> Path:
        """Return the folder of a step's result.

        Args:
            write: Executes the step: writes its files into a folder.
        """
        started = time.perf_counter()
        if self._is_stored(key):
            self._record(key, "reused", self.store.measured_cost(key))
            return self.store.path(key)
        resumed = self.store.workspace(key).is_dir()
        self.log.write("begin", step=key.step, resumed=resumed)

        def cost() -> dict[str, float]:
            return {"seconds": round(time.perf_counter() - started, 3)} | _peak_memory()

        called: list[bool] = []

        def write_once(folder: Path) -> None:
            called.append(True)
            write(folder)

        def wait() -> None:
            self.progress.info(f"{key.step}: waiting for another run that is computing it")

        step_folder = self.store.create(key, write_once, cost, wait)
        if called:
            self._record(key, "resumed" if resumed else "made", cost())
        else:
            self._record(key, "reused", self.store.measured_cost(key))
        return step_folder

    def _is_stored(self, key: StepKey) -> bool:
        """Return True if a step's result is cached; a damaged one is reported and counts as missing."""
        step_folder = self.store.path(key)
        if not (step_folder / FACTS).is_file():
            return False
        damage = self.store.describe_damage(step_folder)
        if damage:
            sentence = (
                f"note: {key.step}: the cached result is damaged and will be computed again: {step_folder}: {damage}"
            )
            self.log.write("damaged", step=key.step, fault=damage)
            self.progress.info(sentence)
            return False
        with suppress(OSError):  # a cache that is read-only or belongs to another user
            os.utime(step_folder / FACTS)  # time of the last use, for `holotype cache prune`
        return True

    def cached_value(
        self, kind: type[Value], key: StepKey, make: Callable[[], Value], parts: dict[str, type[Any]] | None = None
    ) -> Value:
        """Return the value of a step, and put the digest of its content into `digests`.

        Args:
            kind: Dataclass of the value.
            make: Executes the step.
            parts: Types of the fields that hold dataclasses.
        """
        step_folder = self.cached_folder(key, lambda folder: write_value(make(), folder))
        self.digests[key.step] = self.store.content_digest(key)
        return read_value(kind, step_folder, parts)

    def _record(self, key: StepKey, state: str, cost: dict[str, float]) -> None:
        """Record how a step's result was obtained, and the cost of its execution in this run or an earlier one."""
        self.costs[key.step], self.states[key.step] = cost, state
        self.seconds[key.step] = 0.0 if state == "reused" else cost["seconds"]
        seconds = self.seconds[key.step]
        took = {"took": cost} if state == "reused" else {name: cost[name] for name in cost if name != "seconds"}
        self.log.write("step", step=key.step, state=state, seconds=seconds, **took, key=key.digest, parts=key.parts)
        if state != "made":
            self.progress.info(f"{key.step}: {'read from the cache' if state == 'reused' else 'resumed and finished'}")


@dataclass
class DryRun(Steps):
    """Dry run: notes which steps would run, without running them.

    Args:
        missing: Keys of the steps that would run, in order.
        present: Keys of the steps that are cached.
    """

    is_dry_run = True
    missing: list[StepKey] = field(default_factory=list)
    present: list[StepKey] = field(default_factory=list)

    def cached_folder(self, key: StepKey, write: Callable[[Path], object]) -> Path:
        """Note whether a step would run."""
        (self.present if self.store.contains(key, read=False) else self.missing).append(key)
        return self.store.path(key)

    def cached_value(
        self, kind: type[Value], key: StepKey, make: Callable[[], Value], parts: dict[str, type[Any]] | None = None
    ) -> Value:
        """Return the value of a cached step.

        Raises:
            UnknownUntilRunError: The step would run, and the next ones depend on its value.
        """
        if not self.store.contains(key):  # compares the digests too: the files are read anyway
            self.missing.append(key)
            raise UnknownUntilRunError(key.step)
        self.present.append(key)
        step_folder = self.store.path(key)
        self.digests[key.step] = self.store.content_digest(key)
        return read_value(kind, step_folder, parts)


def _peak_memory() -> dict[str, float]:
    """`peak_mb`: the high-water mark of this process's resident memory in MiB; empty where the system has none."""
    if sys.platform == "win32":
        return {}
    import resource  # not on Windows

    unit = 1024**2 if sys.platform == "darwin" else 1024  # bytes on macOS, else KiB
    return {"peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, 1)}
