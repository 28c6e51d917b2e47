"""Streaming predictions: results are sent as they are ready, with bounded memory."""

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

from holotype.core.errors import InputError
from holotype.serve.errors import ApiError, ErrorDetail, api_error
from holotype.serve.process import LimitError
from holotype.serve.schemas import StreamLine
from holotype.serve.service import RequestOptions, Service
from holotype.serve.upload_folder import RequestFolder
from holotype.serve.uploads import FIELD, NO_FORM, Group, Groups, Upload, uploads

CHUNK_KIB = 64  # lines' bytes in KiB that are handed on together
MAX_OVER_LIMIT = 3  # images of one upload that may go beyond the limits on decoding
POLL_SECONDS = 0.02  # seconds between two looks for a place in the queue


class NdjsonResponse(Response):
    """NDJSON response that is sent while the request is still received.

    Args:
        seconds: Time without progress after which the caller is considered gone.
    """

    media_type = "application/x-ndjson"

    def __init__(
        self, lines: AsyncGenerator[bytes, None] | None = None, status_code: int = 200, seconds: float = 60.0
    ) -> None:
        super().__init__(b"", status_code)
        self.lines, self.seconds = lines, seconds
        del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the lines; their generator reads the request body."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        if self.lines is not None:
            async with aclosing(self.lines) as lines:
                async for line in lines:
                    body = {"type": "http.response.body", "body": line, "more_body": True}
                    try:
                        async with asyncio.timeout(self.seconds):
                            await send(body)
                    except TimeoutError:
                        return  # the response stays incomplete; resources of this caller are released
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def answer_stream(service: Service, request: Request, options: RequestOptions) -> NdjsonResponse:
    """Start to predict the images of a multipart request as they are received."""
    service.batcher.reserve(0)
    folder = service.upload_folder.folder()
    files = uploads(request, folder, service.predictor.about.endings, None, service.limits.seconds)
    try:
        first = await anext(files, None)  # refuse an invalid form before the response starts
        if first is None:
            raise api_error(422, "there is no file in the request", FIELD, NO_FORM)
    except BaseException:
        folder.cleanup()
        raise
    lines = _stream_lines(service, _StreamedUpload(first, files, folder), options)
    return NdjsonResponse(lines, seconds=service.limits.seconds)


@dataclass(frozen=True)
class _StreamedUpload:
    first: Upload | ApiError
    rest: AsyncIterator[Upload | ApiError]
    folder: RequestFolder

    async def files(self) -> AsyncIterator[Upload | ApiError]:
        yield self.first
        async for item in self.rest:
            yield item


async def _stream_lines(
    service: Service, upload: _StreamedUpload, options: RequestOptions
) -> AsyncGenerator[bytes, None]:
    """Lines by way of a file, so that a caller who sends everything before reading is served too."""
    with upload.folder, tempfile.TemporaryFile(prefix="holotype-serve-") as spool:
        spooled = _Spool(spool)
        work = asyncio.create_task(_predict_uploads(service, upload, options, spooled))
        try:
            async for lines in spooled.lines():
                yield lines
            await work  # an incomplete response is cut off, not ended
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)


class _TooManyOverLimitError(Exception):
    """Several images of one upload exceed the limits of decoding."""


@dataclass
class _StreamState:
    slots: asyncio.Semaphore
    spool: _Spool
    folder: RequestFolder
    over_limit_count: int = 0


async def _predict_uploads(service: Service, upload: _StreamedUpload, options: RequestOptions, spool: _Spool) -> None:
    groups, number = Groups(service.predictor), 0
    state = _StreamState(
        asyncio.Semaphore(max(1, min(service.limits.batch, service.limits.queue // 2))), spool, upload.folder
    )
    try:
        async with asyncio.TaskGroup() as tasks:
            try:
                async for item in upload.files():
                    group, counts = _add_to_group(groups, item, number, spool)
                    number += counts
                    if group is None:
                        continue
                    await state.slots.acquire()
                    tasks.create_task(_predict_one(service, group, number - 1, options, state))
            except ApiError as refusal:
                spool.add(StreamLine(number=number, id="", error=refusal.detail))
                number += 1
            for name, error in groups.unfinished():
                spool.add(StreamLine(number=number, id=name, error=ApiError.from_input_error(error).detail))
                number += 1
    except* _TooManyOverLimitError:
        what = "three images of this request exceeded the limits of decoding; the rest was not read"
        fault = ErrorDetail(what=what, field="request", remedy="send the images one by one to find out which")
        spool.add(StreamLine(number=number, id="", error=fault))
    finally:
        spool.end()


def _add_to_group(groups: Groups, item: Upload | ApiError, number: int, spool: _Spool) -> tuple[Group | None, bool]:
    """Image that a file completes, and whether it counts as an image (predicted or refused)."""
    try:
        if isinstance(item, ApiError):
            raise item
        group = groups.add(item)
    except InputError as error:
        fault = ApiError.from_input_error(error).detail
    except ApiError as refusal:
        fault = refusal.detail
    else:
        return group, group is not None
    spool.add(StreamLine(number=number, id=fault.field, error=fault))
    return None, True


async def _predict_one(
    service: Service, group: Group, number: int, options: RequestOptions, state: _StreamState
) -> None:
    spool = state.spool
    try:
        await _reserve_slot(service)
        try:
            prediction = await asyncio.wait_for(service.predict_one(group, options), service.limits.seconds)
        finally:
            service.batcher.release(1)
        spool.add(StreamLine(number=number, id=group.id, prediction=prediction))
    except ApiError as refusal:
        spool.add(StreamLine(number=number, id=group.id, error=refusal.detail))
        state.over_limit_count += isinstance(refusal.__cause__, LimitError)
        if state.over_limit_count >= MAX_OVER_LIMIT:
            raise _TooManyOverLimitError from refusal
    except TimeoutError:
        fault = ErrorDetail(
            what=f"the prediction was not ready after {service.limits.seconds:g} seconds", field=group.files[0].name
        )
        spool.add(StreamLine(number=number, id=group.id, error=fault))
    except Exception as error:  # noqa: BLE001  (the other images of the stream go on)
        fault = ErrorDetail(what=f"internal server error: {type(error).__name__}", field=group.files[0].name)
        spool.add(StreamLine(number=number, id=group.id, error=fault))
    finally:
        for file in group.files:
            state.folder.remove(file.path)
        state.slots.release()


async def _reserve_slot(service: Service) -> None:
    """Reserve a slot of the queue as soon as one is free: a stream holds none for images not received yet."""
    while True:
        try:
            return service.batcher.reserve(1)
        except ApiError as refusal:
            if refusal.status != 429:
                raise
        await asyncio.sleep(POLL_SECONDS)


class _Spool:
    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.written = self.read = 0
        self.ended = False
        self.news = asyncio.Event()

    def add(self, line: StreamLine) -> None:
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
                part = self.file.read(min(CHUNK_KIB * 1024, self.written - self.read))
                self.read += len(part)
                yield part
            if self.ended:
                return
            self.news.clear()
            await self.news.wait()
