"""Following the time of a budget: decisions on the length of trainings, written down as they are taken.

Every decision is a line of `decisions.jsonl`. A question that was decided before is answered from there, so a resumed
run trains the same networks, whatever the clock says.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from holotype.planning.replan import RemainingWork, replan

__all__ = ["BudgetPacer", "PacedWork", "read_decisions"]

WINDOW = 0.04  # share of the budget over which the speed is measured
DECISIONS_FILE = "decisions.jsonl"


@dataclass(frozen=True)
class PacedWork:
    """Planned work of a run, which its time keeper compares with the clock.

    Args:
        networks: Labels of the networks in the order of their training.
        steps: Planned training steps of a network.
        step_seconds: Planned seconds per step.
        network_seconds: Planned seconds of a network besides its training: building, features, predictions.
        closing_seconds: Planned seconds of scores and report.
        min_steps: Fewest steps of a network.
        max_steps: Steps beyond which a network gains nothing.
    """

    networks: tuple[str, ...]
    steps: int
    step_seconds: float
    network_seconds: float
    closing_seconds: float
    min_steps: int
    max_steps: int


@dataclass
class BudgetPacer:
    """Time keeper of a run with a budget.

    Args:
        work: The plan; None answers from earlier decisions only.
        seconds: Time in which the whole command should end.
        began: Start of that time, by `clock`.
        folder: Holds the decisions; the file is created by the first.
        clock: Seconds; equal in all processes of a machine.
    """

    work: PacedWork | None
    seconds: float
    began: float
    folder: Path
    clock: Callable[[], float] = time.monotonic
    _decided: dict[tuple[str, int], int] = field(default_factory=dict)
    _network: str = ""
    _marks: list[tuple[float, int]] = field(default_factory=list)
    _step_seconds: float | None = None

    def __post_init__(self) -> None:
        """Read the earlier decisions; their time counts as spent."""
        records = read_decisions(self.folder)
        self._decided = {(record["network"], record["taken"]): record["target"] for record in records}
        if records:
            self.began -= records[-1]["elapsed"]
            self._step_seconds = records[-1]["step_seconds"]

    def decide(self, network: str, taken: int, target: int) -> int:
        """Decide the total training steps of a network."""
        earlier = self._decided.get((network, taken))
        if earlier is not None or self.work is None:
            return target if earlier is None else earlier
        now = self.clock()
        step_seconds = self._measure_pace(self.work, network, taken, now)
        later = self._count_later(self.work, network)
        slowdown = step_seconds / self.work.step_seconds
        fixed = (later + 1) * self.work.network_seconds + self.work.closing_seconds
        decided = replan(
            RemainingWork(
                seconds=self.seconds - (now - self.began),
                step_seconds=step_seconds,
                taken=taken,
                target=target,
                later_networks=later,
                fixed_seconds=slowdown * fixed,
                min_steps=self.work.min_steps,
                max_steps=self.work.max_steps,
            )
        )
        elapsed = round(now - self.began, 3)
        self._record(network=network, taken=taken, target=decided, step_seconds=step_seconds, elapsed=elapsed)
        return decided

    def _measure_pace(self, work: PacedWork, network: str, taken: int, now: float) -> float:
        """Seconds per step over the latest part of the time; until it is known, the last one, or the planned one."""
        if network != self._network:
            self._network, self._marks = network, []
        self._marks.append((now, taken))
        old = [mark for mark in self._marks if now - mark[0] >= WINDOW * self.seconds]
        since, steps = old[-1] if old else self._marks[0]
        if taken > steps and now > since:
            self._step_seconds = (now - since) / (taken - steps)
        return work.step_seconds if self._step_seconds is None else self._step_seconds

    def _count_later(self, work: PacedWork, network: str) -> int:
        index = work.networks.index(network) if network in work.networks else len(work.networks) - 1
        return len(work.networks) - index - 1

    def _record(self, *, network: str, taken: int, target: int, step_seconds: float, elapsed: float) -> None:
        self._decided[network, taken] = target
        record = {"network": network, "taken": taken, "target": target}
        line = json.dumps({**record, "step_seconds": step_seconds, "elapsed": elapsed}, ensure_ascii=False)
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / DECISIONS_FILE).open("ab") as stream:  # on the disk before anything depends on it
            stream.write(f"\n{line}".encode() if stream.tell() else line.encode())
            stream.flush()
            os.fsync(stream.fileno())


def read_decisions(*folders: Path) -> list[dict[str, Any]]:
    """Read the decisions of a run, oldest first; a line that a kill cut short is skipped."""
    records = []
    for folder in folders:
        path = folder / DECISIONS_FILE
        for line in path.read_bytes().split(b"\n") if path.is_file() else ():
            try:
                records.append(json.loads(line))
            except ValueError:
                continue
    return records
