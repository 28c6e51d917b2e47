"""Cached steps of a run: functions with `@step` beside them, read from the cache or executed, and logged."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Generic, TypeVar, TypeVarTuple, Unpack

from holotype.cache.codec import read_value, write_value
from holotype.cache.store import FACTS, StepKey, Store
from holotype.core.errors import HolotypeError
from holotype.core.progress import Progress
from holotype.core.registry import plugin_identities

Value = TypeVar("Value")
Item = TypeVar("Item")
First = TypeVar("First")
Second = TypeVar("Second")
Third = TypeVar("Third")
Arguments = TypeVarTuple("Arguments")


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


@dataclass(frozen=True)
class Reads:
    """Inputs of a step: everything that can change its result.

    Args:
        settings: The step's own settings, as plain values.
        digests: Digests of the other inputs, by name.
        label: Added to the step's name, to tell apart the steps of one kind in a run (`main 0`: model and fold).
    """

    settings: Any = None
    digests: dict[str, str] = field(default_factory=dict)
    label: str = ""


@dataclass(frozen=True)
class StepOutput:
    """Output folders of a step that is being executed.

    Args:
        folder: Takes the files of the result; it is renamed into the cache when the step has ended.
        workspace: Keeps unfinished work, which outlives a killed run.
    """

    folder: Path
    workspace: Path
    key: StepKey

    def write(self, value: object) -> None:
        """Write a dataclass as the result, for `StepResult.read`."""
        write_value(value, self.folder)


@dataclass(frozen=True)
class StepResult:
    """Result of a step in the cache."""

    key: StepKey
    store: Store

    @property
    def is_cached(self) -> bool:
        """True unless this is a dry run and the step would run."""
        return self.store.contains(self.key, read=False)

    @property
    def path(self) -> Path:
        """Folder that the result's files are in, or would be in after a run."""
        return self.store.path(self.key)

    @property
    def folder(self) -> Path:
        """Folder of the result's files.

        Raises:
            UnknownUntilRunError: In a dry run, if the step would run.
        """
        if not self.is_cached:
            raise UnknownUntilRunError(self.key.step)
        return self.path

    @property
    def digest(self) -> str:
        """Digest of the result's content: a step that reads it need not run again if it is unchanged."""
        return self.store.content_digest(self.key) if self.folder else ""

    def read(self, kind: type[Value], parts: dict[str, type[Any]] | None = None) -> Value:
        """Read the result as a dataclass.

        Args:
            parts: Types of the fields that hold dataclasses.
        """
        return read_value(kind, self.folder, parts)


@dataclass(frozen=True)
class Step(Generic[*Arguments]):
    """Cached step of the pipeline, made by `@step`: called with the steps of a run and its arguments.

    Args:
        reads: From the arguments: what can change the result.
        execute: Writes the files of the result.
    """

    name: str
    version: int
    reads: Callable[[Unpack[Arguments]], Reads]
    execute: Callable[[StepOutput, Unpack[Arguments]], object]

    def key(self, *args: *Arguments) -> StepKey:
        """Cache key of the step with these arguments; the code of plugin parts that its settings name belongs to it."""
        reads = self.reads(*args)
        code = {f"code of {name}": digest for name, digest in plugin_identities(reads.settings).items()}
        return StepKey(f"{self.name} {reads.label}".rstrip(), self.version, reads.settings, reads.digests | code)

    def __call__(self, steps: Steps, *args: *Arguments) -> StepResult:
        """Take the result from the cache, or execute the step."""
        key = self.key(*args)
        workspace = steps.store.workspace(key)
        return steps.take(key, lambda folder: self.execute(StepOutput(folder, workspace, key), *args))


def step(
    name: str, version: int, reads: Callable[[Unpack[Arguments]], Reads]
) -> Callable[[Callable[[StepOutput, Unpack[Arguments]], object]], Step[*Arguments]]:
    """Decorator of a function that computes a cached step.

    Args:
        name: Kind of step, one word.
        version: Increased when the function computes something else.
        reads: Takes the function's arguments after the first, and names everything among them that can change the
            result.
    """
    return lambda execute: Step(name, version, reads, execute)


@dataclass
class Steps:
    """Cached steps of one run.

    Args:
        seconds: Duration by step; 0 if its result was read from the cache.
        facts: Additional facts for the report, by name.
        states: `made`, `resumed` or `reused`, by step.
        costs: `seconds` and `peak_mb` of the execution of each step, in this run or an earlier one, if known.
        taken: Names and digests of the steps so far.
    """

    executes = True
    store: Store
    log: RunLog
    progress: Progress
    seconds: dict[str, float] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    costs: dict[str, dict[str, float]] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)

    def take(self, key: StepKey, write: Callable[[Path], object]) -> StepResult:
        """Take the result of a step from the cache, or execute it; only the first time in a run is logged.

        Args:
            write: Executes the step: writes its files into a folder.
        """
        started = time.perf_counter()
        result = StepResult(key, self.store)
        name = f"{key.step} {key.digest}"
        if name in self.taken and result.is_cached:
            return result
        self.taken.add(name)
        if self._is_stored(key):
            self._record(key, "reused", self.store.measured_cost(key))
            return result
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

        self.store.create(key, write_once, cost, wait)
        if called:
            self._record(key, "resumed" if resumed else "made", cost())
        else:
            self._record(key, "reused", self.store.measured_cost(key))
        return result

    def each(self, function: Callable[[Item], Value], items: Iterable[Item]) -> list[Value]:
        """Apply a function to every item; a dry run goes on after one that depends on a step that would run.

        Raises:
            UnknownUntilRunError: In a dry run, after all items, if any of them is unknown.
        """
        values, unknown = [], None
        for item in items:
            try:
                values.append(function(item))
            except UnknownUntilRunError as error:
                unknown = unknown or error
        if unknown is not None:
            raise unknown
        return values

    def all_of(
        self, first: Callable[[], First], second: Callable[[], Second], third: Callable[[], Third]
    ) -> tuple[First, Second, Third]:
        """Call functions that do not depend on each other, as `each` does."""
        return tuple(self.each(lambda function: function(), (first, second, third)))  # type: ignore[return-value]

    def repeat(self, key: StepKey, other: StepKey) -> None:
        """Store a result under a second key too: that of a step whose result is known in advance."""
        self.store.repeat(key, other)

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

    executes = False
    missing: list[StepKey] = field(default_factory=list)
    present: list[StepKey] = field(default_factory=list)

    def take(self, key: StepKey, write: Callable[[Path], object]) -> StepResult:
        """Note whether a step would run; its result refuses to be read if it would."""
        (self.present if self.store.contains(key, read=False) else self.missing).append(key)
        return StepResult(key, self.store)

    def repeat(self, key: StepKey, other: StepKey) -> None:
        """Store nothing."""


def _peak_memory() -> dict[str, float]:
    """`peak_mb`: the high-water mark of this process's resident memory in MiB; empty where the system has none."""
    if sys.platform == "win32":
        return {}
    import resource  # not on Windows

    unit = 1024**2 if sys.platform == "darwin" else 1024  # bytes on macOS, else KiB
    return {"peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, 1)}
