"""One process that decodes images: how it is started, asked and stopped, and what it does."""

from __future__ import annotations

import multiprocessing
import signal
import sys
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from holotype.core.errors import DataError, HolotypeError, InputError, first_line
from holotype.serve.limits import Limits
from holotype.serve.predictor import DecodedImage, MakeReader, Reader

__all__ = ["STARTING_SECONDS", "LimitError", "Reply", "Worker", "WorkerDiedError", "memory_limit_text", "over_limit"]

STARTING_SECONDS = 120.0  # that a process may take until it can decode: it may have to load torch
RETIRED_BYTES = 500_000_000  # of memory that a process has not given back, beyond which another takes its place


class LimitError(DataError):
    """An image that takes more time or memory than decoding may."""


class WorkerDiedError(Exception):
    """A process that ended."""


@dataclass(frozen=True)
class Reply:
    """What a process says of an image.

    Args:
        content: The image, or what is wrong with it.
        retires: Whether the process should be replaced.
    """

    content: DecodedImage | InputError
    retires: bool = False


class Worker:
    """One process that decodes, as the server sees it.

    Args:
        make_reader: Makes what decodes, in the process; it can be pickled.
        limits: What decoding one image may cost.
    """

    def __init__(self, make_reader: MakeReader, limits: Limits) -> None:
        context = _make_context(make_reader)
        self.connection, other = context.Pipe()
        self.process = context.Process(
            target=_decode, args=(other, make_reader, limits), name="holotype-decodes", daemon=True
        )
        self.process.start()
        other.close()
        self.is_ready = False

    @property
    def is_alive(self) -> bool:
        """Whether the process can be asked."""
        return self.process.is_alive()

    @property
    def was_killed(self) -> bool:
        """Whether another process ended it for good: that need not be the fault of the image in it."""
        return self.process.exitcode == -getattr(signal, "SIGKILL", 9)

    def wait_until_ready(self) -> None:
        """Wait until the process can decode.

        Raises:
            RuntimeError: It cannot.
        """
        try:
            failure = self.answer(STARTING_SECONDS)
        except TimeoutError:
            failure = f"it did not begin in {STARTING_SECONDS:g} seconds"
        except WorkerDiedError as error:
            failure = f"it ended by {error}"
        if failure:
            raise RuntimeError(failure)
        self.is_ready = True

    def accepts(self, request: Any) -> bool:
        """Hand an image over; false where the process had ended before.

        Args:
            request: What the reader takes.
        """
        try:
            if self.connection.poll():  # it owes no answer, so that this is its end
                return False
            self.connection.send(request)
        except OSError:
            return False
        return True

    def answer(self, seconds: float) -> Any:
        """What the process sends next.

        Args:
            seconds: That it may take.

        Raises:
            TimeoutError: It takes longer.
        """
        try:
            came = self.connection.poll(seconds)
            content = self.connection.recv() if came else None
        except (EOFError, OSError) as error:
            raise WorkerDiedError(self._describe_exit()) from error
        if not came:
            raise TimeoutError
        return content

    def _describe_exit(self) -> str:
        self.process.join(1)
        code = self.process.exitcode
        return f"signal {-code}" if code is not None and code < 0 else f"status {code}"

    def stop(self) -> None:
        """End the process; it holds nothing that would have to be put in order."""
        self.process.kill()
        self.process.join(5)
        self.connection.close()


def _make_context(make_reader: MakeReader) -> Any:
    """How processes are started: never by forking this one, whose threads may hold locks of torch or of a decoder.

    A fork server, where there is one, loads what decoding needs once, so that a stopped process is soon replaced.
    """
    kind = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    context = multiprocessing.get_context(kind)
    if kind == "forkserver":
        function = make_reader.func if isinstance(make_reader, partial) else make_reader
        context.set_forkserver_preload([function.__module__])
    return context


def _decode(connection: Connection, make_reader: MakeReader, limits: Limits) -> None:
    """What a process does: decode one image after another until nobody asks any more."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the server ends its processes when it has finished
    try:
        read = make_reader()
    except BaseException as error:  # noqa: BLE001  (whatever it is, the server says it)
        connection.send(first_line(error))
        return
    before = _resident_bytes()
    most_before = _most_resident()
    _limit_memory(round(limits.memory * 1e6))
    connection.send("")
    while True:
        try:
            request = connection.recv()
        except (EOFError, OSError):
            return
        _end_after(min(limits.decoding, limits.seconds) + 1)  # even where the server is no more
        content = _read(read, request, limits)
        _end_after(0)
        grew = _most_resident() - most_before > RETIRED_BYTES and _resident_bytes() - before > RETIRED_BYTES
        connection.send(Reply(content, grew))
        del content, request


def _read(read: Reader, request: tuple[list[Path], int, bool], limits: Limits) -> DecodedImage | InputError:
    try:
        return read(*request)
    except InputError as error:
        return error
    except MemoryError:
        return over_limit(f"needs {memory_limit_text(limits)}", "memory")
    except HolotypeError as error:
        return DataError(error.what, field=error.field or "images", remedy=error.remedy)
    except BaseException as error:  # noqa: BLE001  (a decoder's own error, Rust's panic among them, is the file's fault)
        return DataError(f"the image cannot be read: {type(error).__name__}: {first_line(error)}", field="images")


def memory_limit_text(limits: Limits) -> str:
    """The memory that decoding may not take, in words.

    Args:
        limits: What decoding one image may cost.
    """
    return f"more than {limits.memory:,.10g} MB of memory"


def over_limit(what: str, limit: str) -> LimitError:
    """The refusal of an image that goes beyond a limit.

    Args:
        what: What decoding it does.
        limit: The name of the limit.
    """
    remedy = f"send a smaller image, or start the server with a larger --limit {limit}="
    return LimitError(f"decoding it {what}", field="images", remedy=remedy)


def _end_after(seconds: float) -> None:
    """Let the system end this process after some time, or never, where it can."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)


def _limit_memory(extra_bytes: int) -> None:
    """Let no more memory be taken from now on, where the system can hold a process to that."""
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        limit = pages * resource.getpagesize() + extra_bytes
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (limit if hard < 0 else min(limit, hard), hard))
    except (ImportError, OSError, ValueError):
        return  # not Linux: the limits on pixels and time remain


def _most_resident() -> int:
    """Bytes of memory that this process has held at most: asked before `_resident`, which opens a file."""
    if sys.platform != "linux":
        return 0
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _resident_bytes() -> int:
    """Bytes of memory that this process holds."""
    if sys.platform != "linux":
        return 0
    import resource

    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()
