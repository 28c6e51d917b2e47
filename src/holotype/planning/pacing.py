"""Following the time of a budget: decisions on the length of trainings, written down as they are taken.

Every decision is a line of `decisions.jsonl`. A question that was decided before is answered from there, so a resumed
run trains the same networks, whatever the clock says.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from holotype.planning.replan import RemainingWork, replan

__all__ = ["DECISIONS_FILE", "BudgetPacer", "PacedNetwork", "read_decisions"]

WINDOW = 0.04  # share of the budget over which the speed is measured
DECISIONS_FILE = "decisions.jsonl"
"""One decision per line: `network`, `taken`, `target`, `slowdown`, `elapsed`."""


@dataclass(frozen=True)
class PacedNetwork:
    """Planned training of one network.

    Args:
        label: Of its training job.
        steps: Planned training steps.
        step_seconds: Planned seconds per step.
        other_seconds: Planned seconds besides the training: building, predictions.
        min_steps: Fewest steps.
        max_steps: Steps beyond which nothing is gained.
    """

    label: str
    steps: int
    step_seconds: float
    other_seconds: float
    min_steps: int
    max_steps: int


@dataclass
class BudgetPacer:
    """Time keeper of a run with a budget.

    Args:
        networks: In the order of their training; empty answers from earlier decisions only.
        closing_seconds: Planned seconds of scores and report.
        seconds: Time in which the whole command should end.
        began: Start of that time, by `clock`.
        folder: Receives the decisions; the file is created by the first.
        earlier: Folders with decisions of earlier runs.
        clock: Seconds; equal in all processes of a machine.
    """

    networks: Sequence[PacedNetwork]
    closing_seconds: float
    seconds: float
    began: float
    folder: Path
    earlier: tuple[Path, ...] = ()
    clock: Callable[[], float] = time.perf_counter
    _decided: dict[tuple[str, int], int] = field(default_factory=dict)
    _network: str = ""
    _marks: list[tuple[float, int]] = field(default_factory=list)
    _slowdown: float = 1.0

    def __post_init__(self) -> None:
        """Read the earlier decisions; their time counts as spent."""
        records = read_decisions(*self.earlier, self.folder)
        self._decided = {(record["network"], record["taken"]): record["target"] for record in records}
        if records:
            self.began -= records[-1]["elapsed"]
            self._slowdown = records[-1]["slowdown"]

    def decide(self, network: str, taken: int, target: int) -> int:
        """Decide the total training steps of a network."""
        earlier = self._decided.get((network, taken))
        if earlier is not None:
            return earlier
        labels = [planned.label for planned in self.networks]
        if network not in labels:
            return target
        index = labels.index(network)
        current, later = self.networks[index], self.networks[index + 1 :]
        now = self.clock()
        step_seconds = self._measure_pace(current, taken, now)
        slowdown = step_seconds / current.step_seconds
        training_seconds = current.steps * current.step_seconds
        fixed = current.other_seconds + sum(planned.other_seconds for planned in later) + self.closing_seconds
        decided = replan(
            RemainingWork(
                seconds=self.seconds - (now - self.began),
                step_seconds=step_seconds,
                taken=taken,
                target=target,
                later_networks=sum(planned.steps * planned.step_seconds for planned in later) / training_seconds,
                fixed_seconds=slowdown * fixed,
                min_steps=current.min_steps,
                max_steps=current.max_steps,
            )
        )
        self._slowdown = slowdown
        elapsed = round(now - self.began, 3)
        self._record(network=network, taken=taken, target=decided, slowdown=slowdown, elapsed=elapsed)
        return decided

    def _measure_pace(self, planned: PacedNetwork, taken: int, now: float) -> float:
        """Seconds per step over the latest part of the time; until it is known, by the last network, or as planned."""
        if planned.label != self._network:
            self._network, self._marks = planned.label, []
        self._marks.append((now, taken))
        old = [mark for mark in self._marks if now - mark[0] >= WINDOW * self.seconds]
        since, steps = old[-1] if old else self._marks[0]
        if taken > steps and now > since:
            return (now - since) / (taken - steps)
        return self._slowdown * planned.step_seconds

    def _record(self, *, network: str, taken: int, target: int, slowdown: float, elapsed: float) -> None:
        self._decided[network, taken] = target
        record = {"network": network, "taken": taken, "target": target}
        line = json.dumps({**record, "slowdown": slowdown, "elapsed": elapsed}, ensure_ascii=False)
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
