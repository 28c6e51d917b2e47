"""Prediction service: decoding off the event loop, prediction in batches."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from holotype.core.errors import InputError
from holotype.serve.batching import Batcher
from holotype.serve.decoding import DecodingPool
from holotype.serve.errors import ApiError, api_error
from holotype.serve.limits import Limits
from holotype.serve.metrics import ServerMetrics
from holotype.serve.predictor import DecodedImage, Predictor
from holotype.serve.schemas import Prediction, Predictions, prediction_of
from holotype.serve.upload_folder import RequestFolder, UploadFolder
from holotype.serve.uploads import NO_FORM, Group, Groups, Upload, uploads


@dataclass(frozen=True)
class RequestOptions:
    """Options of a prediction request."""

    nearest: int = 0
    picture: bool = False


class Service:
    """Requests answered with a predictor."""

    def __init__(self, predictor: Predictor, limits: Limits, processes: int) -> None:
        self.predictor, self.limits, self.measures = predictor, limits, ServerMetrics()
        self.batcher = Batcher(predictor, limits, self.measures)
        self.upload_folder = UploadFolder(round(limits.uploads * 1e6))
        self.decoding = DecodingPool(predictor.make_reader, processes, limits)
        self.drawing = ThreadPoolExecutor(2, thread_name_prefix="holotype-draws")

    def start(self) -> None:
        """Start decoding and open the predictor."""
        self.upload_folder.open()
        self.decoding.start()
        self.batcher.start()

    def close(self) -> None:
        """Finish requests in progress, then end."""
        self.decoding.close()
        self.batcher.close()
        self.drawing.shutdown(wait=False, cancel_futures=True)
        self.upload_folder.close()

    @property
    def why(self) -> str:
        """Reason why images cannot be predicted; empty if they can."""
        return self.batcher.why or self.batcher.stuck or self.decoding.why

    async def predict(self, request: Request, options: RequestOptions) -> Predictions:
        """Predict all images of a multipart request.

        Raises ApiError if the request is invalid, or there is no room or time for it.
        """
        with self.upload_folder.folder() as folder:
            groups = await self._receive(request, folder)
            self.batcher.reserve(len(groups))
            try:
                tasks = [asyncio.ensure_future(self.predict_one(group, options)) for group in groups]
                answers = await self._with_timeout(_gather_or_cancel(tasks))
            finally:
                self.batcher.release(len(groups))
        return Predictions(run=self.predictor.about.run, predictions=answers)

    async def explain(self, request: Request, name: str) -> bytes:
        """Grad-CAM heat map of one image.

        Raises ApiError if the request is invalid, or there is no room or time for it.
        """
        if name not in self.predictor.about.classes:
            error = InputError(
                "there is no such class", field="class", value=name, allowed=self.predictor.about.classes
            )
            raise ApiError.from_input_error(error)
        with self.upload_folder.folder() as folder:
            groups = await self._receive(request, folder)
            if len(groups) > 1:
                what = f"{len(groups):,} images were sent, but only one can be explained per request"
                raise api_error(422, what, "images", "send the files of one image")
            self.batcher.reserve(1)
            try:
                question = await self._with_timeout(self._read(groups[0], RequestOptions()))
                work = self.batcher.run_job(lambda: self.predictor.explain(question, name))
                return await self._with_timeout(asyncio.wrap_future(work))  # type: ignore[no-any-return]
            except InputError as error:
                raise ApiError.from_input_error(error, _names_of_paths(groups[0])) from error
            finally:
                self.batcher.release(1)

    async def predict_one(self, group: Group, options: RequestOptions) -> Prediction:
        """Predict one image that has a slot in the queue. Raises ApiError if the image cannot be read."""
        self.batcher.announce(1)
        try:
            question = await self._read(group, options)
        except BaseException:
            self.batcher.announce(-1)
            raise
        try:
            answer = await asyncio.wrap_future(self.batcher.submit(question, options.nearest))
        except InputError as error:
            raise ApiError.from_input_error(error, _names_of_paths(group)) from error
        files = [file.name for file in group.files]
        return prediction_of(self.predictor.about, group.id, files, question, answer)

    async def _read(self, group: Group, options: RequestOptions) -> DecodedImage:
        try:
            return await self.decoding.read([file.path for file in group.files], options.picture)
        except InputError as error:
            refusal = ApiError.from_input_error(error, _names_of_paths(group))
            refusal.detail.field = group.files[0].name if refusal.detail.field == "images" else refusal.detail.field
            raise refusal from error

    async def _receive(self, request: Request, folder: RequestFolder) -> list[Group]:
        self.batcher.reserve(0)
        groups, complete = Groups(self.predictor), []
        endings, max_files, seconds = self.predictor.about.endings, self.limits.files, self.limits.seconds
        async for item in uploads(request, folder, endings, max_files, seconds):
            if not isinstance(item, Upload):
                raise item
            group = _add_upload(groups, item)
            if group is not None:
                complete.append(group)
        for _, error in groups.unfinished():
            raise ApiError.from_input_error(error)
        if not complete:
            raise api_error(422, "there is no file in the request", "images", NO_FORM)
        return complete

    async def _with_timeout(self, work: Any) -> Any:
        try:
            return await asyncio.wait_for(work, self.limits.seconds)
        except TimeoutError:
            what = f"the prediction was not ready after {self.limits.seconds:g} seconds"
            raise api_error(504, what, "request", "send fewer images per request") from None


async def _gather_or_cancel(tasks: Sequence[asyncio.Future[Prediction]]) -> list[Prediction]:
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        over = [task for task in tasks if task.done()]
        for task in over:
            task.result()  # raises the first error in order
        return [task.result() for task in over]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _add_upload(groups: Groups, upload: Upload) -> Group | None:
    try:
        return groups.add(upload)
    except InputError as error:
        raise ApiError.from_input_error(error) from error


def _names_of_paths(group: Group) -> dict[str, str]:
    paths = {str(file.path): file.name for file in group.files}
    return paths | {file.path.name: file.name for file in group.files}
