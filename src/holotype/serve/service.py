"""From uploads to predictions: decoding off the event loop, answers by the batch."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from holotype.errors import InputError
from holotype.serve.answerer import Answerer, Question
from holotype.serve.batching import Batcher
from holotype.serve.decoding import DecodingPool
from holotype.serve.limits import Limits
from holotype.serve.measures import Measures
from holotype.serve.refusals import Refusal, refused
from holotype.serve.schemas import Prediction, Predictions, prediction_of
from holotype.serve.scratch import RequestFolder, Scratch
from holotype.serve.uploads import NO_FORM, Group, Groups, Upload, uploads

__all__ = ["Service", "Wish"]


@dataclass(frozen=True)
class Wish:
    """What a caller wants beside the labels.

    Args:
        nearest: How many training specimens.
        picture: Whether the picture, too.
    """

    nearest: int = 0
    picture: bool = False


class Service:
    """Answers requests by an answerer.

    Args:
        answerer: Says how images are read, and answers for them.
        limits: What a request may cost.
        processes: That decode images.
    """

    def __init__(self, answerer: Answerer, limits: Limits, processes: int) -> None:
        self.answerer, self.limits, self.measures = answerer, limits, Measures()
        self.batcher = Batcher(answerer, limits, self.measures)
        self.scratch = Scratch(round(limits.uploads * 1e6))
        self.decoding = DecodingPool(answerer.make_reader, processes, limits)
        self.drawing = ThreadPoolExecutor(2, thread_name_prefix="holotype-draws")

    def start(self) -> None:
        """Begin to open the answerer."""
        self.scratch.open()
        self.decoding.start()
        self.batcher.start()

    def close(self) -> None:
        """Finish what is under way, then end."""
        self.decoding.close()
        self.batcher.close()
        self.drawing.shutdown(wait=False, cancel_futures=True)
        self.scratch.close()

    @property
    def why(self) -> str:
        """Why images are not answered for, or nothing where they are."""
        return self.batcher.why or self.batcher.stuck or self.decoding.why

    async def predict(self, request: Request, wish: Wish) -> Predictions:
        """Answer for all images of a request.

        Args:
            request: A multipart form.
            wish: What is wanted.

        Raises:
            Refusal: Something is wrong with it, or there is no room or time for it.
        """
        with self.scratch.folder() as folder:
            groups = await self._received(request, folder)
            self.batcher.reserve(len(groups))
            try:
                tasks = [asyncio.ensure_future(self.one(group, wish)) for group in groups]
                answers = await self._in_time(_all_or_none(tasks))
            finally:
                self.batcher.release(len(groups))
        return Predictions(run=self.answerer.about.run, predictions=answers)

    async def explain(self, request: Request, name: str) -> bytes:
        """The heat map of one image.

        Args:
            request: A multipart form of one image.
            name: The class.

        Raises:
            Refusal: As above.
        """
        if name not in self.answerer.about.classes:
            error = InputError("there is no such class", field="class", value=name, allowed=self.answerer.about.classes)
            raise Refusal.of(error)
        with self.scratch.folder() as folder:
            groups = await self._received(request, folder)
            if len(groups) > 1:
                what = f"{len(groups):,} images were sent, and one is explained at a time"
                raise refused(422, what, "images", "send the files of one image")
            self.batcher.reserve(1)
            try:
                question = await self._in_time(self._read(groups[0], Wish()))
                work = self.batcher.do(lambda: self.answerer.explain(question, name))
                return await self._in_time(asyncio.wrap_future(work))  # type: ignore[no-any-return]
            except InputError as error:
                raise Refusal.of(error, _names(groups[0])) from error
            finally:
                self.batcher.release(1)

    async def one(self, group: Group, wish: Wish) -> Prediction:
        """Answer for one image that has its place in the queue.

        Args:
            group: Its files.
            wish: What is wanted.

        Raises:
            Refusal: It cannot be read.
        """
        self.batcher.expect(1)
        try:
            question = await self._read(group, wish)
        except BaseException:
            self.batcher.expect(-1)
            raise
        try:
            answer = await asyncio.wrap_future(self.batcher.ask(question, wish.nearest))
        except InputError as error:
            raise Refusal.of(error, _names(group)) from error
        files = [file.name for file in group.files]
        return prediction_of(self.answerer.about, group.id, files, question, answer)

    async def _read(self, group: Group, wish: Wish) -> Question:
        try:
            return await self.decoding.read([file.path for file in group.files], wish.picture)
        except InputError as error:
            refusal = Refusal.of(error, _names(group))
            refusal.fault.field = group.files[0].name if refusal.fault.field == "images" else refusal.fault.field
            raise refusal from error

    async def _received(self, request: Request, folder: RequestFolder) -> list[Group]:
        """All images of a request."""
        self.batcher.reserve(0)
        groups, found = Groups(self.answerer), []
        endings, most, seconds = self.answerer.about.endings, self.limits.files, self.limits.seconds
        async for one in uploads(request, folder, endings, most, seconds):
            if not isinstance(one, Upload):
                raise one
            group = _added(groups, one)
            if group is not None:
                found.append(group)
        for _, error in groups.unfinished():
            raise Refusal.of(error)
        if not found:
            raise refused(422, "there is no file in the request", "images", NO_FORM)
        return found

    async def _in_time(self, work: Any) -> Any:
        try:
            return await asyncio.wait_for(work, self.limits.seconds)
        except TimeoutError:
            what = f"the answer was not ready after {self.limits.seconds:g} seconds"
            raise refused(504, what, "request", "send fewer images at a time") from None


async def _all_or_none(tasks: Sequence[asyncio.Future[Prediction]]) -> list[Prediction]:
    """What all tasks give; the first that fails ends those that are still under way."""
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        over = [task for task in tasks if task.done()]
        for task in over:
            task.result()  # raises, and of several the first in order
        return [task.result() for task in over]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _added(groups: Groups, upload: Upload) -> Group | None:
    try:
        return groups.add(upload)
    except InputError as error:
        raise Refusal.of(error) from error


def _names(group: Group) -> dict[str, str]:
    """Our paths and what their files were called."""
    paths = {str(file.path): file.name for file in group.files}
    return paths | {file.path.name: file.name for file in group.files}
