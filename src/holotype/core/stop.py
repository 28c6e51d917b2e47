"""Stop on a signal: SIGINT (Ctrl-C), SIGTERM and SIGUSR1, which schedulers send before they end a job.

Everything but a training stops at once: results in the cache are complete or absent. A training stops at its next step,
after it has saved its state. A second signal stops it at once too.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

STOPPED_STATUS = 75
"""Exit status of a command that was stopped and can be resumed: EX_TEMPFAIL of sysexits.h, "try again later"."""
SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name))


class StopRequested(KeyboardInterrupt):
    """Stop by a signal; the same command again resumes the work."""


class _Requests:
    """Signals so far, and how many blocks of work want to stop by themselves."""

    deferring = 0
    received = 0
    name = "a signal to another process"


def is_stop_requested() -> bool:
    """Return True if a signal has asked for a stop."""
    return _Requests.received > 0


def stop_if_requested() -> None:
    """Stop long work between two batches. Raises StopRequested."""
    if is_stop_requested():
        raise StopRequested(_Requests.name)


@contextmanager
def deferred_stop() -> Iterator[None]:
    """Let work stop by itself: in this block the first signal only sets what `is_stop_requested` returns."""
    _Requests.deferring += 1
    try:
        yield
    finally:
        _Requests.deferring -= 1


@contextmanager
def stopping_on_signals(announce: Callable[[str], object]) -> Iterator[None]:
    """Turn signals into `StopRequested`, in the main thread of a command.

    Args:
        announce: Called when a training will stop by itself, with a sentence for people.
    """
    if threading.current_thread() is not threading.main_thread():  # handlers can be set in the main thread only
        yield
        return

    def handle(number: int, _frame: FrameType | None) -> None:
        _Requests.received += 1
        name = _Requests.name = signal.Signals(number).name
        if _Requests.deferring and _Requests.received == 1:
            announce(f"{name}: the training saves its state and stops; a second signal stops it at once")
            return
        raise StopRequested(name)

    earlier = {number: signal.signal(number, handle) for number in SIGNALS}
    try:
        yield
    finally:
        _Requests.received = 0
        for number, handler in earlier.items():
            signal.signal(number, handler)
