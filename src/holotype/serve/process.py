"""Decoding process: start, use and stop."""

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

STARTING_SECONDS = 120.0  # until a process must be ready; it may have to load torch
RETIRED_BYTES = 500_000_000  # of memory not returned after an image, above which the process is replaced


class LimitError(DataError):
    """Image that exceeds the time or memory limit of decoding."""


class WorkerDiedError(Exception):
    """Decoding process that has ended."""


@dataclass(frozen=True)
class Reply:
    """Reply of a decoding process."""

    content: DecodedImage | InputError
    retires: bool = False


class Worker:
    """Decoding process as the server sees it."""

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
        """True if the process runs."""
        return self.process.is_alive()

    @property
    def was_killed(self) -> bool:
        """True if the process was killed from outside, which need not be the fault of its image."""
        return self.process.exitcode == -getattr(signal, "SIGKILL", 9)

    def wait_until_ready(self) -> None:
        """Wait until the process can decode. Raises RuntimeError if it cannot."""
        try:
            failure = self.answer(STARTING_SECONDS)
        except TimeoutError:
            failure = f"it was not ready after {STARTING_SECONDS:g} seconds"
        except WorkerDiedError as error:
            failure = f"it ended with {error}"
        if failure:
            raise RuntimeError(failure)
        self.is_ready = True

    def accepts(self, request: Any) -> bool:
        """Send an image; False if the process had ended before."""
        try:
            if self.connection.poll():  # no answer is due, so this is the end of the process
                return False
            self.connection.send(request)
        except OSError:
            return False
        return True

    def answer(self, seconds: float) -> Any:
        """Next message of the process."""
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
        """Kill the process; it has no state to save."""
        self.process.kill()
        self.process.join(5)
        self.connection.close()


def _make_context(make_reader: MakeReader) -> Any:
    """Start method of the processes: never fork, because threads may hold locks of torch or of a decoder.

    A fork server preloads the decoder, so that a stopped process is quickly replaced.
    """
    kind = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    context = multiprocessing.get_context(kind)
    if kind == "forkserver":
        function = make_reader.func if isinstance(make_reader, partial) else make_reader
        context.set_forkserver_preload([function.__module__])
    return context


def _decode(connection: Connection, make_reader: MakeReader, limits: Limits) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the server ends its processes itself
    try:
        read = make_reader()
    except BaseException as error:  # noqa: BLE001  (the server reports it)
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
        _end_after(min(limits.decoding, limits.seconds) + 1)  # even if the server has died
        content = _read(read, request, limits)
        _end_after(0)
        grew = _most_resident() - most_before > RETIRED_BYTES and _resident_bytes() - before > RETIRED_BYTES
        connection.send(Reply(content, grew))
        del content, request


def _read(read: Reader, request: Any, limits: Limits) -> DecodedImage | InputError:
    try:
        return read(*request)
    except InputError as error:
        return error
    except MemoryError:
        return over_limit(f"needs {memory_limit_text(limits)}", "memory")
    except HolotypeError as error:
        return DataError(error.what, field=error.field or "images", remedy=error.remedy)
    except BaseException as error:  # noqa: BLE001  (any error of a decoder, even a Rust panic, is due to the file)
        return DataError(f"the image cannot be read: {type(error).__name__}: {first_line(error)}", field="images")


def memory_limit_text(limits: Limits) -> str:
    """Memory limit as text."""
    return f"more than {limits.memory:,.10g} MB of memory"


def over_limit(what: str, limit: str) -> LimitError:
    """Build the error of an image that exceeds a limit."""
    remedy = f"send a smaller image, or start the server with a larger --limit {limit}="
    return LimitError(f"decoding the image {what}", field="images", remedy=remedy)


def _end_after(seconds: float) -> None:
    """Ask the system to end this process after some seconds (0: never), where supported."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)


def _limit_memory(extra_bytes: int) -> None:
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        limit = pages * resource.getpagesize() + extra_bytes
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (limit if hard < 0 else min(limit, hard), hard))
    except (ImportError, OSError, ValueError):
        return  # not Linux: the limits on pixels and time remain


def _most_resident() -> int:
    """Peak resident memory in bytes; read before `_resident_bytes`, which opens a file."""
    if sys.platform != "linux":
        return 0
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _resident_bytes() -> int:
    if sys.platform != "linux":
        return 0
    import resource

    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()
