"""Progress of long work: a bar with an ETA on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

SECONDS_BETWEEN_LINES = 10.0


def is_interactive(stream: TextIO) -> bool:
    """Return True if a stream is a terminal that can show progress bars.

    NO_COLOR (no-color.org) and TERM=dumb turn them off.
    """
    has_no_color = os.environ.get("NO_COLOR") or os.environ.get("TERM") in {"dumb", "unknown"}
    encoding = (getattr(stream, "encoding", None) or "utf-8").lower()
    return stream.isatty() and not has_no_color and encoding.startswith("utf")


class Task:
    """Task with a known number of units."""

    def __init__(self, label: str, total: int, unit: str) -> None:
        self.label, self.total, self.unit = label, total, unit
        self.done = 0
        self.note = ""
        self.started = time.perf_counter()

    def advance(self, units: int = 1, note: str = "") -> None:
        """Count finished units, and set the note beside the count, such as the loss."""
        self.done += units
        self.note = note or self.note

    @property
    def rate(self) -> float:
        """Units per second so far."""
        return self.done / max(time.perf_counter() - self.started, 1e-9)

    @property
    def remaining(self) -> float:
        """Estimated seconds to go."""
        return (self.total - self.done) / self.rate if self.done else float("inf")


class Progress:
    """Progress bars and messages on a stream, standard error by default."""

    def __init__(
        self, stream: TextIO | None = None, quiet: bool = False, listener: Callable[[str], None] | None = None
    ) -> None:
        self.stream = stream or sys.stderr
        self.quiet = quiet
        self.listener = listener

    def __reduce__(self) -> tuple[type[Progress], tuple[None, bool]]:
        return Progress, (None, self.quiet)

    def with_listener(self, listener: Callable[[str], None]) -> Progress:
        """Copy with a listener, such as a run's log."""
        return Progress(self.stream, self.quiet, listener)

    def info(self, sentence: str) -> None:
        """Write a message."""
        if self.listener is not None:
            self.listener(sentence)
        self._show(sentence)

    def _show(self, sentence: str) -> None:
        if not self.quiet:
            print(sentence, file=self.stream, flush=True)

    @contextmanager
    def task(self, label: str, total: int, unit: str = "images") -> Iterator[Task]:
        """Show a task from beginning to end."""
        if self.quiet:
            yield Task(label, total, unit)
        elif is_interactive(self.stream):
            with _open_bar(label, total, unit, self.stream) as task:
                yield task
        else:
            yield _LinesTask(label, total, unit, self)


class _LinesTask(Task):
    def __init__(self, label: str, total: int, unit: str, progress: Progress) -> None:
        super().__init__(label, total, unit)
        self.progress = progress
        self.last_line = self.started

    def advance(self, units: int = 1, note: str = "") -> None:
        super().advance(units, note)
        now = time.perf_counter()
        complete = self.done >= self.total
        if complete or now - self.last_line >= SECONDS_BETWEEN_LINES:
            self.last_line = now
            left = "" if complete else f", {self.remaining:.0f} s to go"
            facts = f" ({self.note})" if self.note else ""
            self.progress._show(
                f"{self.label}: {self.done:,} of {self.total:,} {self.unit}, {self.rate:.1f} {self.unit}/s{left}{facts}"
            )


@contextmanager
def _open_bar(label: str, total: int, unit: str, stream: TextIO) -> Iterator[Task]:
    from rich.console import Console  # slow, and `--help` does not need it
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=28),
        TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
        TextColumn("{task.fields[facts]}"),
        TimeRemainingColumn(),
    )
    with RichProgress(*columns, console=Console(file=stream)) as bars:
        bar = bars.add_task(label, total=total, facts="")

        class BarTask(Task):
            def advance(self, units: int = 1, note: str = "") -> None:
                super().advance(units, note)
                bars.update(bar, advance=units, facts=f"{self.rate:.0f} {unit}/s {self.note}")

        yield BarTask(label, total, unit)
