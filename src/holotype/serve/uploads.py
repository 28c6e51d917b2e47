"""Multipart uploads written to disk as they arrive, under generated names; uploaded names are never opened."""

from __future__ import annotations

import asyncio
import time
import unicodedata
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, MultipartState, parse_options_header
from starlette.requests import ClientDisconnect, Request

from holotype.core.errors import DataError, join_names
from holotype.serve.errors import ApiError, api_error, shortage
from holotype.serve.predictor import Predictor
from holotype.serve.upload_folder import RequestFolder

FIELD = "images"
MAX_NAME_LENGTH = 200
MAX_HEADER_BYTES = 16_000  # of one part
MIN_BYTES_PER_SECOND = 10_000  # minimum rate after the first `seconds`
NO_FORM = "send the files as multipart/form-data in the field `images`, as in curl -F images=@cell.png"


@dataclass(frozen=True)
class Upload:
    """Uploaded file."""

    name: str
    path: Path


@dataclass(frozen=True)
class Group:
    """Files of one image in channel order."""

    id: str
    files: tuple[Upload, ...]


def readable_name(raw_name: str) -> str:
    """Sanitized file name: no `..`, root, drive or control characters."""
    printable = "".join(letter for letter in raw_name if unicodedata.category(letter)[0] != "C")
    parts = [part.strip() for part in printable.replace("\\", "/").split("/")]
    safe_parts = [part for part in parts if part not in {"", ".", ".."} and not part.endswith(":")]
    return "/".join(safe_parts)[-MAX_NAME_LENGTH:].lstrip("/")


class Groups:
    """Groups of files by image."""

    def __init__(self, predictor: Predictor) -> None:
        self.predictor, self.size = predictor, predictor.files_per_image
        self._open: dict[str, dict[int, Upload]] = {}
        self._ids: set[str] = set()

    def add(self, upload: Upload) -> Group | None:
        """Add a file; returns the image that it completes."""
        name, channel = self.predictor.match_file(upload.name)
        if self.size == 1:
            return Group(self._unique_id(name, upload.name), (upload,))
        files_by_channel = self._open.setdefault(name, {})
        if channel in files_by_channel or name in self._ids:
            raise DataError(
                f"the image {name!r} has two files of this channel",
                field=upload.name,
                remedy="send each file once, or images of the same name in separate requests",
            )
        files_by_channel[channel] = upload
        if len(files_by_channel) < self.size:
            return None
        del self._open[name]
        self._ids.add(name)
        return Group(name, tuple(files_by_channel[number] for number in range(self.size)))

    def unfinished(self) -> list[tuple[str, DataError]]:
        """Images with missing files, each with its error."""
        channels, faults = self.predictor.about.channels, []
        for name, files_by_channel in self._open.items():
            lacking = join_names(channels[number] for number in range(self.size) if number not in files_by_channel)
            first = next(iter(files_by_channel.values())).name
            what = f"the image {name!r} has no file of {lacking}"
            faults.append((name, DataError(what, field=first, remedy="send the files of all channels")))
        return faults

    def _unique_id(self, stem: str, name: str) -> str:
        number, unique = 1, stem
        while unique in self._ids:
            unique, number = (name if number == 1 else f"{name} ({number})"), number + 1
        self._ids.add(unique)
        return unique


class _FormParts:
    def __init__(self, folder: RequestFolder, endings: tuple[str, ...], max_files: int | None) -> None:
        self.folder, self.endings, self.max_files = folder, endings, max_files
        self.count, self._header_bytes = 0, 0
        self.done: list[Upload | ApiError] = []
        self._name, self._value, self._headers = b"", b"", {}  # type: tuple[bytes, bytes, dict[bytes, bytes]]
        self._file: BinaryIO | None = None
        self._upload: Upload | None = None

    def callbacks(self) -> Any:
        return {
            "on_part_begin": self._begin,
            "on_part_data": self._data,
            "on_part_end": self._end,
            "on_header_field": self._header_name,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._open,
        }

    def close(self) -> None:
        if self._file is not None:
            with suppress(OSError):  # unwritten data does not matter; the file is removed with its folder
                self._file.close()

    def _begin(self) -> None:
        self._headers, self._header_bytes = {}, 0

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._name = self._extend_header(self._name, data[start:end])

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value = self._extend_header(self._value, data[start:end])

    def _extend_header(self, before: bytes, more: bytes) -> bytes:
        self._header_bytes += len(more)
        if self._header_bytes > MAX_HEADER_BYTES:
            what = f"the headers of a part of the form are longer than {MAX_HEADER_BYTES:,} bytes"
            raise api_error(400, what, "request", NO_FORM)
        return before + more

    def _header_end(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name = self._value = b""

    def _open(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        field = options.get(b"name", b"").decode("utf-8", "replace")
        file_name = options.get(b"filename", b"").decode("utf-8", "replace")
        if field != FIELD:
            raise api_error(422, f"unknown form field {readable_name(field)!r}", "request", NO_FORM)
        if b"filename" not in options:
            raise api_error(422, f"the form field {FIELD!r} has no file", FIELD, NO_FORM)
        self.count += 1
        if self.max_files is not None and self.count > self.max_files:
            what = f"the request has more than {self.max_files:,} files"
            raise api_error(422, what, FIELD, "send fewer per request, or all of them to /predict/stream")
        name = readable_name(file_name) or f"file {self.count}"
        ending = Path(name).suffix.lower()
        if ending not in self.endings:
            details = {"field": name, "value": ending or "none", "remedy": "give the file the ending of its format"}
            error = DataError("the file ending is not that of an image", allowed=self.endings, **details)
            self.done.append(ApiError.from_input_error(error))
            return
        self._upload = Upload(name, self.folder.path / f"upload-{self.count:07d}{ending}")
        self._file = self._upload.path.open("wb")

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self.folder.take(end - start)
            self._file.write(data[start:end])

    def _end(self) -> None:
        if self._file is not None and self._upload is not None:
            self._file.close()
            self.done.append(self._upload)
        self._file = self._upload = None


async def uploads(
    request: Request, folder: RequestFolder, endings: tuple[str, ...], max_files: int | None, seconds: float
) -> AsyncIterator[Upload | ApiError]:
    """Iterate over the files of a multipart form, each as soon as it is complete.

    `seconds`: maximum time without data; the whole upload may take this long plus the time at 10 kB per second.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise api_error(422, "the request is not a multipart form", "request", NO_FORM)
    parts = _FormParts(folder, endings, max_files)
    try:
        parser = MultipartParser(options[b"boundary"], parts.callbacks())
        stream = request.stream()
        ended, left = False, seconds
        while not ended:
            began = time.monotonic()
            chunk = await _next_chunk(stream.__anext__, min(seconds, left), seconds)
            left += len(chunk or b"") / MIN_BYTES_PER_SECOND - (time.monotonic() - began)
            ended = chunk is None
            if chunk:
                parser.write(chunk)
            for item in parts.done:
                yield item
            parts.done.clear()
        parser.finalize()
        if parser.state != MultipartState.END:
            raise api_error(400, "the form is incomplete", "request", "send it again")
    except (FormParserError, ValueError) as error:
        raise api_error(400, f"the form cannot be read: {error}", "request", NO_FORM) from error
    except ClientDisconnect as error:
        raise api_error(400, "the caller disconnected", "request") from error
    except OSError as error:
        refusal = shortage(error)
        if refusal is None:
            raise
        raise refusal from error
    finally:
        parts.close()


async def _next_chunk(following: Callable[[], Any], left: float, seconds: float) -> bytes | None:
    try:
        async with asyncio.timeout(max(left, 0.0)):
            return await following()  # type: ignore[no-any-return]
    except StopAsyncIteration:
        return None
    except TimeoutError:
        what = f"no data for {seconds:g} seconds, or less than {MIN_BYTES_PER_SECOND / 1e3:g} kB per second"
        raise api_error(408, what, "request", "send it again") from None
