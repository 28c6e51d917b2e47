"""Stages of one run: taken from the store where they are there, made where they are not, and logged either way."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from holotype.errors import HolotypeError
from holotype.progress import Progress
from holotype.store.codec import read_value, write_value
from holotype.store.memory import PeakMemory
from holotype.store.store import FACTS, StageKey, Store

__all__ = ["Forecast", "NotForeseenError", "RunLog", "Stages"]

Value = TypeVar("Value")


class NotForeseenError(HolotypeError):
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
        text = json.dumps(line, ensure_ascii=False, default=str) + "\n"
        with self.path.open("ab+") as stream:
            stream.seek(max(stream.seek(0, os.SEEK_END) - 1, 0))
            torn = stream.read(1) not in {b"", b"\n"}  # a kill may have ended the last line early
            stream.write(("\n" + text if torn else text).encode())

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
        peaks: Measures the largest resident memory of this process.
    """

    store: Store
    log: RunLog
    progress: Progress
    makes = True
    seconds: dict[str, float] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    costs: dict[str, dict[str, float]] = field(default_factory=dict)
    peaks: PeakMemory = field(default_factory=PeakMemory, repr=False)

    def folder(self, key: StageKey, write: Callable[[Path], object]) -> Path:
        """The folder of a stage.

        Args:
            key: What it is made from.
            write: Writes its files into a folder, if it must be made.
        """
        started = time.perf_counter()
        if self._is_there(key):
            self._note(key, "reused", self.store.cost(key))
            return self.store.place(key)
        resumed = self.store.workspace(key).is_dir()
        self.log.write("begin", stage=key.stage, resumed=resumed)
        stretch = self.peaks.begin()

        def cost() -> dict[str, float]:
            peak = self.peaks.so_far(stretch)
            spent = {"seconds": round(time.perf_counter() - started, 3)}
            return spent if peak is None else spent | {"peak_mb": round(peak, 1)}

        called: list[bool] = []

        def write_once(folder: Path) -> None:
            called.append(True)
            write(folder)

        try:
            place = self.store.make(
                key, write_once, cost,
                lambda: self.progress.say(f"{key.stage}: another run is making it; waiting for that"),
            )  # fmt: skip
            if called:
                self._note(key, "resumed" if resumed else "made", cost())
            else:
                self._note(key, "reused", self.store.cost(key))
        finally:
            self.peaks.end(stretch)
        return place

    def _is_there(self, key: StageKey) -> bool:
        """Whether a stage is in the store; a damaged artefact is named and counts as not there."""
        place = self.store.place(key)
        if not (place / FACTS).is_file():
            return False
        fault = self.store.damage(place)
        if fault:
            sentence = f"note: {key.stage}: what the store holds is damaged, and is made again: {place}: {fault}"
            self.log.write("damaged", stage=key.stage, fault=fault)
            self.progress.say(sentence)
            return False
        with suppress(OSError):  # somebody else's store, or a read-only one
            os.utime(place / FACTS)  # when it was last used, for `holotype cache prune`
        return True

    def value(
        self, kind: type[Value], key: StageKey, make: Callable[[], Value], parts: dict[str, type[Any]] | None = None
    ) -> Value:
        """The value of a stage; the digest of its content is kept in `digests`.

        Args:
            kind: Its type, a dataclass.
            key: What it is made from.
            make: Computes it, if it must be made.
            parts: The dataclasses of fields that hold one.
        """
        place = self.folder(key, lambda folder: write_value(make(), folder))
        self.digests[key.stage] = self.store.content_digest(key)
        return read_value(kind, place, parts)

    def _note(self, key: StageKey, state: str, cost: dict[str, float]) -> None:
        """Write down how a stage came about, and what its making took, by this run or by the one that made it."""
        self.costs[key.stage], self.states[key.stage] = cost, state
        self.seconds[key.stage] = 0.0 if state == "reused" else cost["seconds"]
        seconds = self.seconds[key.stage]
        took = {"took": cost} if state == "reused" else {name: cost[name] for name in cost if name != "seconds"}
        self.log.write("stage", stage=key.stage, state=state, seconds=seconds, **took, key=key.digest, parts=key.parts)
        if state != "made":
            self.progress.say(f"{key.stage}: {'taken from the store' if state == 'reused' else 'resumed and finished'}")


@dataclass
class Forecast(Stages):
    """Makes nothing: notes which stages would run, and what each is made from.

    Args:
        missing: The keys of stages that would run, in order.
        present: The keys of stages that would not.
    """

    makes = False
    missing: list[StageKey] = field(default_factory=list)
    present: list[StageKey] = field(default_factory=list)

    def folder(self, key: StageKey, write: Callable[[Path], object]) -> Path:
        """Note whether a stage would run.

        Args:
            key: What it is made from.
            write: Not called.
        """
        (self.present if self.store.holds(key, read=False) else self.missing).append(key)
        return self.store.place(key)

    def value(
        self, kind: type[Value], key: StageKey, make: Callable[[], Value], parts: dict[str, type[Any]] | None = None
    ) -> Value:
        """The value of a stage that would not run.

        Args:
            kind: Its type, a dataclass.
            key: What it is made from.
            make: Not called.
            parts: The dataclasses of fields that hold one.

        Raises:
            NotForeseenError: The stage would run, and nothing behind it can be foreseen.
        """
        if not self.store.holds(key):  # its files are read anyway
            self.missing.append(key)
            raise NotForeseenError(key.stage)
        self.present.append(key)
        place = self.store.place(key)
        self.digests[key.stage] = self.store.content_digest(key)
        return read_value(kind, place, parts)
