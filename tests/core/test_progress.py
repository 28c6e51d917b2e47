"""News of long work, on a terminal and off it."""

from __future__ import annotations

from io import StringIO

import pytest

import holotype.core.progress
from holotype.core.progress import Progress, Task
from holotype.core.runtime import Runtime


class Terminal(StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that moves when a test says so; it shows the last number of the list."""
    times = [100.0]
    monkeypatch.setattr(holotype.core.progress.time, "perf_counter", lambda: times[-1])
    return times


def test_off_a_terminal_a_line_comes_every_ten_seconds_and_at_the_end(clock):
    stream = StringIO()
    with Progress(stream).task("Reading images", 2000) as task:
        for now, note in ((101.0, ""), (110.0, "loss 0.5"), (115.0, ""), (120.0, "")):
            clock.append(now)
            task.advance(500, note)
    assert stream.getvalue().splitlines() == [
        "Reading images: 1,000 of 2,000 images, 100.0 images/s, 10 s to go (loss 0.5)",
        "Reading images: 2,000 of 2,000 images, 100.0 images/s (loss 0.5)",
    ]


def test_the_unit_is_the_one_that_was_named(clock):
    stream = StringIO()
    with Progress(stream).task("Copying", 3, "files") as task:
        clock.append(101.0)
        task.advance(3)
    assert stream.getvalue() == "Copying: 3 of 3 files, 3.0 files/s\n"


def test_rate_and_remaining_time_come_from_what_was_done(clock):
    task = Task("x", 40, "images")
    assert (task.rate, task.remaining) == (0.0, float("inf"))
    clock.append(105.0)
    task.advance(10)
    assert (task.rate, task.remaining) == (2.0, 15.0)


def test_quiet_shows_nothing_and_the_listener_hears_all_the_same():
    stream, heard = StringIO(), []
    progress = Progress(stream, quiet=True).with_listener(heard.append)
    progress.info("a note")
    with progress.task("Reading", 1) as task:
        task.advance()
    assert (stream.getvalue(), heard, task.done) == ("", ["a note"], 1)


def test_a_sentence_is_shown_and_heard_and_the_listener_hears_no_counts():
    stream, heard = StringIO(), []
    progress = Progress(stream).with_listener(heard.append)
    progress.info("a note")
    with progress.task("Reading", 1) as task:
        task.advance()
    assert stream.getvalue().splitlines()[0] == "a note"
    assert heard == ["a note"]
    Progress(stream).info("unheard")
    assert heard == ["a note"]


def test_on_a_terminal_a_bar_counts_to_the_end():
    stream = Terminal()
    with Progress(stream).task("main, fold 0: training", 1500) as task:
        for _ in range(3):
            task.advance(500, "epoch 1/2")
    shown = stream.getvalue()
    assert "main, fold 0: training" in shown
    assert "1,500/1,500" in shown
    assert "epoch 1/2" in shown
    assert (task.done, "\x1b[" in shown) == (1500, True)


@pytest.mark.parametrize("stream", [StringIO, Terminal])
def test_work_that_fails_or_has_nothing_to_do_ends_quietly(stream):
    progress = Progress(stream())
    with progress.task("Nothing", 0):
        pass

    def work() -> None:
        with progress.task("Failing", 3) as task:
            task.advance()
            raise KeyError("work")

    with pytest.raises(KeyError):
        work()


def test_a_progress_writes_to_standard_error_and_never_to_standard_output(capsys):
    Progress().info("here")
    assert tuple(capsys.readouterr()) == ("", "here\n")


def test_a_runtime_counts_every_core_unless_told(monkeypatch):
    assert Runtime(threads=3).thread_count == 3
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(holotype.core.runtime, "_read_cpu_quota", lambda _: None)
    monkeypatch.setattr(holotype.core.runtime.os, "sched_getaffinity", lambda _: {0, 1, 5}, raising=False)
    assert Runtime().thread_count == 3
    monkeypatch.delattr(holotype.core.runtime.os, "sched_getaffinity")
    monkeypatch.setattr(holotype.core.runtime.os, "cpu_count", lambda: 4)
    assert (Runtime().thread_count, Runtime(threads=2).thread_count) == (4, 2)  # of a machine that tells no affinity
