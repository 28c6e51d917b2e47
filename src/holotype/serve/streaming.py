"""Very many images in one request: answers leave as they are ready, and nothing piles up in memory."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import BinaryIO

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from holotype.errors import InputError
from holotype.serve.process import LimitError
from holotype.serve.refusals import Fault, Refusal, refused
from holotype.serve.schemas import Line
from holotype.serve.scratch import RequestFolder
from holotype.serve.service import Service, Wish
from holotype.serve.uploads import FIELD, NO_FORM, Group, Groups, Upload, uploads

__all__ = ["NdjsonResponse", "answer_stream"]

AT_ONCE = 64  # lines' bytes in KiB that are handed on together
MOST_BEYOND = 3  # images of one upload that may go beyond the limits on decoding
PAUSE = 0.02  # seconds between two looks for a place in the queue


class NdjsonResponse(Response):
    """Lines that leave while the request still comes in.

    Args:
        lines: As they come.
        status_code: Of HTTP.
        seconds: That a caller may take none of them before it is taken to be gone.
    """

    media_type = "application/x-ndjson"

    def __init__(
        self, lines: AsyncGenerator[bytes, None] | None = None, status_code: int = 200, seconds: float = 60.0
    ) -> None:
        super().__init__(b"", status_code)
        self.lines, self.seconds = lines, seconds
        del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the lines; the request's body is left to whoever makes them.

        Args:
            scope: Of ASGI.
            receive: Of ASGI.
            send: Of ASGI.
        """
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        if self.lines is not None:
            async with aclosing(self.lines) as lines:
                async for line in lines:
                    body = {"type": "http.response.body", "body": line, "more_body": True}
                    try:
                        async with asyncio.timeout(self.seconds):
                            await send(body)
                    except TimeoutError:
                        return  # an answer without an end: what is held for this caller is let go
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def answer_stream(service: Service, request: Request, wish: Wish) -> NdjsonResponse:
    """Begin to answer for the images of a request as they come in.

    Args:
        service: Reads and answers.
        request: A multipart form.
        wish: What is wanted.

    Raises:
        Refusal: There is no room for it, or it is no form with a file.
    """
    service.batcher.reserve(0)
    folder = service.scratch.folder()
    files = uploads(request, folder, service.answerer.about.endings, None, service.limits.seconds)
    try:
        first = await anext(files, None)  # what is no form at all is refused before anything is answered
        if first is None:
            raise refused(422, "there is no file in the request", FIELD, NO_FORM)
    except BaseException:
        folder.cleanup()
        raise
    lines = _lines(service, _Upload(first, files, folder), wish)
    return NdjsonResponse(lines, seconds=service.limits.seconds)


@dataclass(frozen=True)
class _Upload:
    """An upload under way: what came first, what follows, and where it lies."""

    first: Upload | Refusal
    rest: AsyncIterator[Upload | Refusal]
    folder: RequestFolder

    async def files(self) -> AsyncIterator[Upload | Refusal]:
        yield self.first
        async for one in self.rest:
            yield one


async def _lines(service: Service, upload: _Upload, wish: Wish) -> AsyncGenerator[bytes, None]:
    """Answers by way of a file, so that a caller who sends everything before reading anything is served as well."""
    with upload.folder, tempfile.TemporaryFile(prefix="holotype-serve-") as spool:
        spooled = _Spool(spool)
        work = asyncio.create_task(_work(service, upload, wish, spooled))
        try:
            async for lines in spooled.lines():
                yield lines
            await work  # an answer that lacks lines is cut off, not ended
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)


class _TooDearError(Exception):
    """An upload of which several images went beyond the limits on decoding."""


@dataclass
class _Way:
    """What the images of one upload share.

    Args:
        room: How many are under way at once.
        spool: Where their lines go.
        folder: Where their files lie.
        beyond: How many went beyond the limits on decoding.
    """

    room: asyncio.Semaphore
    spool: _Spool
    folder: RequestFolder
    beyond: int = 0


async def _work(service: Service, upload: _Upload, wish: Wish, spool: _Spool) -> None:
    groups, number = Groups(service.answerer), 0
    way = _Way(asyncio.Semaphore(max(1, min(service.limits.batch, service.limits.queue // 2))), spool, upload.folder)
    try:
        async with asyncio.TaskGroup() as tasks:
            try:
                async for one in upload.files():
                    group, counts = _group(groups, one, number, spool)
                    number += counts
                    if group is None:
                        continue
                    await way.room.acquire()
                    tasks.create_task(_one(service, group, number - 1, wish, way))
            except Refusal as refusal:
                spool.add(Line(number=number, id="", error=refusal.fault))
                number += 1
            for name, error in groups.unfinished():
                spool.add(Line(number=number, id=name, error=Refusal.of(error).fault))
                number += 1
    except* _TooDearError:
        what = "three images of this request took more time or memory than decoding may, and the rest is not looked at"
        fault = Fault(what=what, field="request", remedy="send it without them, one image at a time to learn which")
        spool.add(Line(number=number, id="", error=fault))
    finally:
        spool.end()


def _group(groups: Groups, one: Upload | Refusal, number: int, spool: _Spool) -> tuple[Group | None, bool]:
    """The image that a file completes, and whether it is an image more, answered for or refused."""
    try:
        if isinstance(one, Refusal):
            raise one
        group = groups.add(one)
    except InputError as error:
        fault = Refusal.of(error).fault
    except Refusal as refusal:
        fault = refusal.fault
    else:
        return group, group is not None
    spool.add(Line(number=number, id=fault.field, error=fault))
    return None, True


async def _one(service: Service, group: Group, number: int, wish: Wish, way: _Way) -> None:
    spool = way.spool
    try:
        await _place(service)
        try:
            prediction = await asyncio.wait_for(service.one(group, wish), service.limits.seconds)
        finally:
            service.batcher.release(1)
        spool.add(Line(number=number, id=group.id, prediction=prediction))
    except Refusal as refusal:
        spool.add(Line(number=number, id=group.id, error=refusal.fault))
        way.beyond += isinstance(refusal.__cause__, LimitError)
        if way.beyond >= MOST_BEYOND:
            raise _TooDearError from refusal
    except TimeoutError:
        fault = Fault(what=f"not ready after {service.limits.seconds:g} seconds", field=group.files[0].name)
        spool.add(Line(number=number, id=group.id, error=fault))
    except Exception as error:  # noqa: BLE001  (the other images of the stream are not to blame)
        fault = Fault(what=f"a mistake of ours: {type(error).__name__}", field=group.files[0].name)
        spool.add(Line(number=number, id=group.id, error=fault))
    finally:
        for file in group.files:
            way.folder.remove(file.path)
        way.room.release()


async def _place(service: Service) -> None:
    """A place in the queue, as soon as there is one: a stream holds none for images that have not come yet."""
    while True:
        try:
            return service.batcher.reserve(1)
        except Refusal as refusal:
            if refusal.status != 429:
                raise
        await asyncio.sleep(PAUSE)


class _Spool:
    """Lines on their way out, on the disk while nobody takes them."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.written = self.read = 0
        self.ended = False
        self.news = asyncio.Event()

    def add(self, line: Line) -> None:
        self.file.seek(self.written)
        self.file.write(line.model_dump_json().encode() + b"\n")
        self.written = self.file.tell()
        self.news.set()

    def end(self) -> None:
        self.ended = True
        self.news.set()

    async def lines(self) -> AsyncIterator[bytes]:
        while True:
            while self.read < self.written:
                self.file.seek(self.read)
                part = self.file.read(min(AT_ONCE * 1024, self.written - self.read))
                self.read += len(part)
                yield part
            if self.ended:
                return
            self.news.clear()
            await self.news.wait()
