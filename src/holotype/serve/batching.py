"""Dynamic batching: one thread predicts all waiting images together, without waiting for a full batch."""

from __future__ import annotations

import time
import traceback
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from threading import Condition, Thread
from typing import Any

from holotype.core.errors import HolotypeError, InputError, first_line
from holotype.serve.errors import api_error
from holotype.serve.limits import Limits
from holotype.serve.metrics import ServerMetrics
from holotype.serve.predictor import DecodedImage, ImagePrediction, Predictor

RETRY_AFTER_SECONDS = "1"  # seconds after which a caller may come back


@dataclass(eq=False)
class _PendingImage:
    question: DecodedImage
    nearest: int
    future: Future[ImagePrediction] = field(default_factory=Future)


@dataclass(eq=False)
class _Job:
    work: Callable[[], Any]
    future: Future[Any] = field(default_factory=Future)


class Batcher:
    """Prediction thread with a queue."""

    def __init__(self, predictor: Predictor, limits: Limits, measures: ServerMetrics) -> None:
        self.predictor, self.limits, self.measures = predictor, limits, measures
        self.why = "the models are loading"
        self._waiting: deque[_PendingImage | _Job] = deque()
        self._changed = Condition()
        self._reserved, self._coming, self._ending = 0, 0, False
        self._began: float | None = None  # when the work began that is under way
        self._thread = Thread(target=self._run, name="holotype-answers", daemon=True)

    @property
    def ready(self) -> bool:
        """True if images can be predicted."""
        return not self.why

    @property
    def stuck(self) -> str:
        """Reason why predictions do not arrive; empty if they do."""
        began = self._began
        if not self.why and self._thread.ident is not None and not self._thread.is_alive():
            return "the prediction thread has ended; restart the server"
        seconds = 0.0 if began is None else time.monotonic() - began
        return f"one batch has taken {seconds:,.0f} seconds so far" if seconds > 2 * self.limits.seconds else ""

    def start(self) -> None:
        """Start the thread and open the predictor."""
        self._thread.start()

    def close(self) -> None:
        """Finish the queue, then end."""
        with self._changed:
            self._ending = True
            self.why = "the server is shutting down"
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(self.limits.seconds)

    def reserve(self, images: int) -> None:
        """Reserve slots in the queue. Raises ApiError if the queue is full, or the predictor is not ready."""
        if self.why:
            raise api_error(503, self.why, "server", "poll /health until it is ready", Retry_After=RETRY_AFTER_SECONDS)
        with self._changed:
            if self._reserved and self._reserved + images > self.limits.queue:
                what = f"the queue is full: {self._reserved:,} images are waiting, the limit is {self.limits.queue:,}"
                raise api_error(429, what, "queue", "retry in a moment", Retry_After=RETRY_AFTER_SECONDS)
            self._reserved += images
            self.measures.queue.set(self._reserved)

    def release(self, images: int) -> None:
        """Release slots of the queue."""
        with self._changed:
            self._reserved -= images
            self.measures.queue.set(self._reserved)

    def announce(self, images: int) -> None:
        """Announce images that will be submitted, so that a batch may wait for them."""
        with self._changed:
            self._coming += images
            self._changed.notify_all()

    def submit(self, question: DecodedImage, nearest: int) -> Future[ImagePrediction]:
        """Queue an announced image."""
        pending = _PendingImage(question, nearest)
        with self._changed:
            self._coming -= 1
            self._waiting.append(pending)
            self._changed.notify_all()
        return pending.future

    def run_job(self, work: Callable[[], Any]) -> Future[Any]:
        """Run a function on the prediction thread."""
        job = _Job(work)
        with self._changed:
            self._waiting.append(job)
            self._changed.notify_all()
        return job.future

    def _run(self) -> None:
        try:
            self.predictor.open()
        except BaseException as error:  # noqa: BLE001  (/health reports it)
            if not isinstance(error, HolotypeError):
                traceback.print_exc()
            self.why = f"the run cannot be opened: {first_line(error)}"
            return
        with self._changed:
            self.why = self.why if self._ending else ""
        busy = True  # background work is left
        while True:
            with self._changed:
                while not (self._waiting or self._ending or busy):
                    self._changed.wait()
                if self._ending and not self._waiting:
                    return
                batch = self._next_batch()
            self._began = time.monotonic()
            if not batch:
                busy = self._run_background_work()
            elif isinstance(batch[0], _Job):
                _complete_future(batch[0].future, batch[0].work)
            else:
                self._predict_batch([item for item in batch if isinstance(item, _PendingImage)])
            self._began = None

    def _next_batch(self) -> list[_PendingImage | _Job]:
        """Next batch: waiting images of one form; announced ones are awaited for a short time."""
        if not self._waiting or isinstance(self._waiting[0], _Job):
            return [self._waiting.popleft()] if self._waiting else []
        until = time.monotonic() + self.limits.wait / 1e3
        while self._coming > 0 and len(self._waiting) < self.limits.batch and not self._ending:
            left = until - time.monotonic()
            if left <= 0 or not self._changed.wait(left):
                break
        form = self._waiting[0].question.form  # type: ignore[union-attr]
        same_form = [item for item in self._waiting if isinstance(item, _PendingImage) and item.question.form == form]
        # Batch sizes are powers of two: a convolution of a new size is planned again, which is slow.
        size = 1 << (min(len(same_form), self.limits.batch).bit_length() - 1)
        for item in same_form[:size]:
            self._waiting.remove(item)
        return list(same_form[:size])

    def _predict_alone(self, item: _PendingImage) -> ImagePrediction:
        return self.predictor.predict([item.question], item.nearest)[0]

    def _predict_batch(self, batch: list[_PendingImage]) -> None:
        batch = [item for item in batch if item.future.set_running_or_notify_cancel()]
        if not batch:
            return
        began = time.perf_counter()
        most = max(item.nearest for item in batch)
        try:
            answers = self.predictor.predict([item.question for item in batch], most)
        except BaseException as error:  # noqa: BLE001  (passed to the caller)
            if len(batch) == 1:
                batch[0].future.set_exception(error)
                return
            for item in batch:  # one bad image must not fail the others
                alone = partial(self._predict_alone, item)
                _complete_future(item.future, alone, begun=True)
            return
        self.measures.batches.observe(len(batch))
        self.measures.batch_seconds.observe(time.perf_counter() - began)
        self.measures.images.inc(len(batch))
        self.measures.unusual.inc(sum(bool(answer.ood_reasons) for answer in answers))
        for item, answer in zip(batch, answers, strict=True):
            item.future.set_result(answer)

    def _run_background_work(self) -> bool:
        try:
            return self.predictor.work()
        except InputError:
            return False
        except BaseException:  # noqa: BLE001  (predictions do not depend on it)
            traceback.print_exc()
            return False


def _complete_future(future: Future[Any], work: Callable[[], Any], begun: bool = False) -> None:
    if not begun and not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(work())
    except BaseException as error:  # noqa: BLE001  (passed to the caller)
        future.set_exception(error)
