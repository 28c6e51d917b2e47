"""Questions in flight are brought together: one thread answers for all that wait, and nobody waits for a full batch."""

from __future__ import annotations

import time
import traceback
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Condition, Thread
from typing import Any

from holotype.errors import HolotypeError, InputError, first_line
from holotype.serve.answerer import Answer, Answerer, Question
from holotype.serve.limits import Limits
from holotype.serve.measures import Measures
from holotype.serve.refusals import refused

__all__ = ["Batcher"]

SOON = "1"  # seconds after which a caller may come back


@dataclass(eq=False)
class _Asked:
    question: Question
    nearest: int
    future: Future[Answer] = field(default_factory=Future)


@dataclass(eq=False)
class _Job:
    work: Callable[[], Any]
    future: Future[Any] = field(default_factory=Future)


class Batcher:
    """One thread that opens an answerer and asks it, batch after batch.

    Args:
        answerer: Is opened and asked on that thread alone.
        limits: How long the queue, how large a batch.
        measures: Counts what is done.
    """

    def __init__(self, answerer: Answerer, limits: Limits, measures: Measures) -> None:
        self.answerer, self.limits, self.measures = answerer, limits, measures
        self.why = "the networks are being read"
        self._waiting: deque[_Asked | _Job] = deque()
        self._changed = Condition()
        self._held, self._coming, self._ending = 0, 0, False
        self._began: float | None = None  # when the work began that is under way
        self._thread = Thread(target=self._run, name="holotype-answers", daemon=True)

    @property
    def ready(self) -> bool:
        """Whether questions are answered."""
        return not self.why

    @property
    def stuck(self) -> str:
        """Why the answers do not come though they should, or nothing where they do."""
        began = self._began
        if not self.why and self._thread.ident is not None and not self._thread.is_alive():
            return "what answers has ended; start the server again"
        seconds = 0.0 if began is None else time.monotonic() - began
        return f"a batch has been computed for {seconds:,.0f} seconds" if seconds > 2 * self.limits.seconds else ""

    def start(self) -> None:
        """Begin to open the answerer."""
        self._thread.start()

    def close(self) -> None:
        """Finish what waits, then end."""
        with self._changed:
            self._ending = True
            self.why = "the server is going down"
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(self.limits.seconds)

    def reserve(self, images: int) -> None:
        """Take places in the queue.

        Args:
            images: How many; more than the whole queue are let in where nobody else is there.

        Raises:
            Refusal: The queue has no room for them, or the answerer is not ready.
        """
        if self.why:
            raise refused(503, self.why, "server", "ask /health when it is ready", Retry_After=SOON)
        with self._changed:
            if self._held and self._held + images > self.limits.queue:
                what = f"{self._held:,} images wait already, and {self.limits.queue:,} may"
                raise refused(429, what, "queue", "come back in a moment", Retry_After=SOON)
            self._held += images
            self.measures.queue.set(self._held)

    def release(self, images: int) -> None:
        """Give places back.

        Args:
            images: As many as were taken.
        """
        with self._changed:
            self._held -= images
            self.measures.queue.set(self._held)

    def expect(self, images: int) -> None:
        """Say that questions are on their way, so that a batch may wait a moment for them.

        Args:
            images: How many; below zero where they do not come after all.
        """
        with self._changed:
            self._coming += images
            self._changed.notify_all()

    def ask(self, question: Question, nearest: int) -> Future[Answer]:
        """Put a question that was expected into the queue.

        Args:
            question: From the answerer's `read`.
            nearest: How many training specimens are to be named.
        """
        asked = _Asked(question, nearest)
        with self._changed:
            self._coming -= 1
            self._waiting.append(asked)
            self._changed.notify_all()
        return asked.future

    def do(self, work: Callable[[], Any]) -> Future[Any]:
        """Have something else done on the thread of the answers.

        Args:
            work: What to do.
        """
        job = _Job(work)
        with self._changed:
            self._waiting.append(job)
            self._changed.notify_all()
        return job.future

    def _run(self) -> None:
        try:
            self.answerer.open()
        except BaseException as error:  # noqa: BLE001  (whatever it is, /health says it)
            if not isinstance(error, HolotypeError):
                traceback.print_exc()
            self.why = f"the run cannot be opened: {first_line(error)}"
            return
        with self._changed:
            self.why = self.why if self._ending else ""
        busy = True  # with what can wait
        while True:
            with self._changed:
                while not (self._waiting or self._ending or busy):
                    self._changed.wait()
                if self._ending and not self._waiting:
                    return
                chosen = self._next()
            self._began = time.monotonic()
            if not chosen:
                busy = self._tidy()
            elif isinstance(chosen[0], _Job):
                _settle(chosen[0].future, chosen[0].work)
            else:
                self._answer([one for one in chosen if isinstance(one, _Asked)])
            self._began = None

    def _next(self) -> list[_Asked | _Job]:
        """The next batch: all that wait and are of one form; others are waited for while they are on their way."""
        if not self._waiting or isinstance(self._waiting[0], _Job):
            return [self._waiting.popleft()] if self._waiting else []
        until = time.monotonic() + self.limits.wait / 1e3
        while self._coming > 0 and len(self._waiting) < self.limits.batch and not self._ending:
            left = until - time.monotonic()
            if left <= 0 or not self._changed.wait(left):
                break
        form = self._waiting[0].question.form  # type: ignore[union-attr]
        alike = [one for one in self._waiting if isinstance(one, _Asked) and one.question.form == form]
        # Sizes of batches are powers of two: a convolution of a size not seen before is planned anew, which is dear.
        size = 1 << (min(len(alike), self.limits.batch).bit_length() - 1)
        for one in alike[:size]:
            self._waiting.remove(one)
        return list(alike[:size])

    def _answer(self, asked: list[_Asked]) -> None:
        asked = [one for one in asked if one.future.set_running_or_notify_cancel()]
        if not asked:
            return
        began = time.perf_counter()
        most = max(one.nearest for one in asked)
        try:
            answers = self.answerer.answer([one.question for one in asked], most)
        except BaseException as error:  # noqa: BLE001  (it belongs to whoever asked)
            if len(asked) == 1:
                asked[0].future.set_exception(error)
                return
            for one in asked:  # whoever is to blame, the others get their answers
                _settle(one.future, lambda one=one: self.answerer.answer([one.question], one.nearest)[0], begun=True)  # type: ignore[misc]
            return
        self.measures.batches.observe(len(asked))
        self.measures.batch_seconds.observe(time.perf_counter() - began)
        self.measures.images.inc(len(asked))
        self.measures.unusual.inc(sum(bool(answer.warned) for answer in answers))
        for one, answer in zip(asked, answers, strict=True):
            one.future.set_result(answer)

    def _tidy(self) -> bool:
        try:
            return self.answerer.work()
        except InputError:
            return False
        except BaseException:  # noqa: BLE001  (answers do not hang on it)
            traceback.print_exc()
            return False


def _settle(future: Future[Any], work: Callable[[], Any], begun: bool = False) -> None:
    if not begun and not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(work())
    except BaseException as error:  # noqa: BLE001  (it belongs to whoever asked)
        future.set_exception(error)
