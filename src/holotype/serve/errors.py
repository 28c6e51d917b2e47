"""API errors as JSON: what is wrong, where, what is allowed, what to do; never a 5xx status for bad input."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from starlette.responses import Response

from holotype.core.errors import InputError, truncate

SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.ENOMEM})

STATUS_DESCRIPTIONS = {
    400: "The request is not a complete multipart form.",
    401: "The token is missing or wrong.",
    403: "The request comes from a page of another site.",
    404: "Not found.",
    408: "The upload stalled.",
    413: "The request is larger than this server allows.",
    415: "The request is not a multipart form.",
    421: "The host name is not one of this server.",
    422: "Invalid input; the error names it.",
    429: "The queue is full; retry after `Retry-After` seconds.",
    500: "Internal server error.",
    503: "Not ready yet, out of disk space or memory, or shutting down.",
    504: "The prediction was not ready in time.",
}


class ErrorDetail(BaseModel):
    """Description of an error."""

    what: str
    """Description of the error."""
    field: str
    """Part of the request: a file name, a parameter, or the request itself."""
    value: str | None = None
    """Invalid value."""
    allowed: list[str] = []
    """Allowed values."""
    remedy: str = ""
    """Advice for the caller."""


class ErrorResponse(BaseModel):
    """Error response."""

    error: ErrorDetail


class ApiError(Exception):
    """Request error with an HTTP status."""

    def __init__(self, status: int, detail: ErrorDetail, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail.what)
        self.status, self.detail, self.headers = status, detail, dict(headers or {})

    @classmethod
    def from_input_error(cls, error: InputError, names: Mapping[str, str] | None = None) -> ApiError:
        """Convert an input error to status 422."""

        def with_caller_names(text: str) -> str:
            for ours, theirs in (names or {}).items():
                text = text.replace(ours, theirs)
            return text

        value = None if error.value is None else with_caller_names(truncate(error.value, 200))
        detail = ErrorDetail(
            what=with_caller_names(error.what),
            field=with_caller_names(error.field) or "images",
            value=value,
            allowed=[with_caller_names(name) for name in error.allowed],
            remedy=with_caller_names(error.remedy),
        )
        return cls(422, detail)

    def response(self) -> Response:
        """JSON response of the error."""
        content = ErrorResponse(error=self.detail).model_dump_json()
        return Response(content, self.status, headers=self.headers, media_type="application/json")


def api_error(status: int, what: str, field: str = "request", remedy: str = "", **headers: str) -> ApiError:
    """Build an `ApiError`. `**headers`: additional response headers, with `_` for `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return ApiError(status, ErrorDetail(what=what, field=field, remedy=remedy), named)


def shortage(error: OSError) -> ApiError | None:
    """Error 503 if the server lacks disk space, memory or file descriptors; None for other errors."""
    if error.errno not in SHORTAGES:
        return None
    what = f"the server cannot store the request: {error.strerror}"
    return api_error(503, what, "server", "retry in a moment, or send fewer files per request", Retry_After="5")


def error_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI entries of the errors."""
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorResponse"}}}
    return {status: {"content": content, "description": STATUS_DESCRIPTIONS[status]} for status in statuses}
