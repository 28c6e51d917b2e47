"""Pool of decoding processes with limits on time and memory."""

from __future__ import annotations

import asyncio
import atexit
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from holotype.core.errors import InputError, first_line
from holotype.serve.errors import api_error
from holotype.serve.limits import Limits
from holotype.serve.predictor import DecodedImage, MakeReader
from holotype.serve.process import STARTING_SECONDS, Worker, WorkerDiedError, memory_limit_text, over_limit

MAX_PROCESSES = 16
FORGIVEN = 2  # times that an image is decoded again after its process was killed from outside
GRACE_SECONDS = 10.0  # beyond the limit, after which a decoding that has not been stopped is reported as stuck


class DecodingPool:
    """Pool of processes that decode images; a stopped process is replaced."""

    def __init__(self, make_reader: MakeReader, processes: int, limits: Limits) -> None:
        self.make_reader, self.limits = make_reader, limits
        self.count = max(1, min(processes, MAX_PROCESSES))
        self.threads = ThreadPoolExecutor(self.count, thread_name_prefix="holotype-decodes")
        self._lock = threading.Lock()
        self._idle: list[Worker] = []
        self._workers: set[Worker] = set()
        self._busy: dict[int, float] = {}  # thread to when it began
        self._failure, self._starting, self._has_begun, self._closed = "", 0, False, False

    @property
    def seconds(self) -> float:
        """Maximum time to decode one image."""
        return min(self.limits.decoding, self.limits.seconds)

    @property
    def why(self) -> str:
        """Reason why no image can be decoded; empty if images can."""
        now = time.monotonic()
        with self._lock:
            longest = max((now - began for began in self._busy.values()), default=0.0)
            working = any(worker.is_ready and worker.is_alive for worker in self._workers)
            failure, starting, has_begun = self._failure, self._starting, self._has_begun
        if longest > self.seconds + STARTING_SECONDS + GRACE_SECONDS:
            return f"decoding of an image has taken {longest:,.0f} seconds and cannot be stopped"
        if working:
            return ""
        if not starting:
            self._start_worker()  # replace processes killed from outside before the next request
        return failure or ("" if has_begun else "the decoding processes are starting")

    def start(self) -> None:
        """Start the processes."""
        atexit.register(
            self.close
        )  # before multiprocessing's own handler, which waits for processes that ignore SIGTERM
        for _ in range(self.count):
            self._start_worker()

    def close(self) -> None:
        """Kill the processes."""
        atexit.unregister(self.close)
        with self._lock:
            self._closed = True
            workers = list(self._workers)
        for worker in workers:
            worker.process.kill()  # a waiting caller gets WorkerDiedError
        self.threads.shutdown(wait=True, cancel_futures=True)
        for worker in workers:
            worker.stop()

    async def read(self, files: Sequence[Path], picture: bool) -> DecodedImage:
        """Decode one image."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.threads, self._read, list(files), picture)

    def _read(self, files: list[Path], picture: bool) -> DecodedImage:
        thread = threading.get_ident()
        with self._lock:
            self._busy[thread] = time.monotonic()
        request = (files, self.limits.pixels, picture)
        try:
            reply, killed = None, 0
            while reply is None:
                worker = self._take_worker()
                reply = self._decode(worker, request, forgiven=killed < FORGIVEN)
                killed += worker.was_killed
        finally:
            with self._lock:
                del self._busy[thread]
        if isinstance(reply, InputError):
            raise reply
        return reply

    def _decode(self, worker: Worker, request: Any, forgiven: bool) -> DecodedImage | InputError | None:
        """Decoded image or its error; None if the process had ended before, or was killed from outside."""
        try:
            if not worker.accepts(request):
                self._drop(worker)
                return None
            reply = worker.answer(self.seconds)
        except TimeoutError:
            self._replace(worker)
            return over_limit(f"took longer than {self.seconds:g} seconds", "decoding")
        except WorkerDiedError as error:
            self._replace(worker)
            if worker.was_killed and forgiven:
                return None
            what = (
                f"crashed the decoding process ({error}): the file is damaged, or needs "
                f"{memory_limit_text(self.limits)}"
            )
            return over_limit(what, "memory")
        if reply.retires:
            self._replace(worker)
        else:
            self._return_worker(worker)
        return reply.content

    def _return_worker(self, worker: Worker) -> None:
        with self._lock:
            if len(self._idle) < self.count and not self._closed:
                self._idle.append(worker)
                return
        self._drop(worker)

    def _replace(self, worker: Worker) -> None:
        self._drop(worker)
        self._start_worker()

    def _take_worker(self) -> Worker:
        with self._lock:
            worker = self._idle.pop() if self._idle else None
        worker = worker or self._start_process()
        if worker is None:
            raise api_error(
                503, self._failure or "the server is shutting down", "server", "poll /health", Retry_After="5"
            )
        return worker

    def _start_worker(self) -> None:
        def begin() -> None:
            worker = self._start_process()
            if worker is not None:
                self._return_worker(worker)

        with self._lock:
            if self._closed:
                return
            self._starting += 1
        try:
            begun = self.threads.submit(begin)
        except RuntimeError:  # the server is shutting down
            return

        def over(_: Any) -> None:
            with self._lock:
                self._starting -= 1

        begun.add_done_callback(over)

    def _start_process(self) -> Worker | None:
        worker = None
        try:
            worker = Worker(self.make_reader, self.limits)
            with self._lock:
                self._workers.add(worker)
            worker.wait_until_ready()
        except Exception as error:  # noqa: BLE001  (any reason is reported)
            if worker is not None:
                self._drop(worker)
            with self._lock:
                self._failure = f"no decoding process can be started: {first_line(error)}"
            return None
        with self._lock:
            self._failure, self._has_begun = "", True
            if not self._closed:
                return worker
        self._drop(worker)
        return None

    def _drop(self, worker: Worker) -> None:
        worker.stop()
        with self._lock:
            self._workers.discard(worker)
