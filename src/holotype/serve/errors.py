"""Errors as answers: JSON with what is wrong, where, what is allowed and the way out; never a 5xx for bad input."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from starlette.responses import Response

from holotype.core.errors import InputError, truncate

__all__ = ["ApiError", "ErrorDetail", "ErrorResponse", "api_error", "error_responses", "shortage"]

SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.ENOMEM})

STATUS_DESCRIPTIONS = {
    400: "The request is no multipart form, or was cut off.",
    401: "The token is missing or wrong.",
    403: "The request comes from a page of another site.",
    404: "There is no such thing.",
    408: "The upload did not go on in time.",
    413: "The request is larger than this server allows.",
    415: "The request is no multipart form.",
    421: "The request was meant for another host.",
    422: "Something that was handed in is wrong; the words name it.",
    429: "Too many images wait already; come back after the seconds that `Retry-After` names.",
    500: "A mistake of ours.",
    503: "Not ready yet, short of disk or memory, or going down.",
    504: "The answer was not ready in time.",
}


class ErrorDetail(BaseModel):
    """What is wrong, and the way out."""

    what: str
    """In words."""
    field: str
    """Which part of the request: a file's name, a parameter, or the request itself."""
    value: str | None = None
    """What was found there."""
    allowed: list[str] = []
    """What would be right."""
    remedy: str = ""
    """What to do."""


class ErrorResponse(BaseModel):
    """An error."""

    error: ErrorDetail


class ApiError(Exception):
    """A request that is not answered as it wished.

    Args:
        status: Of HTTP.
        detail: What is wrong.
        headers: Beside the usual ones.
    """

    def __init__(self, status: int, detail: ErrorDetail, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail.what)
        self.status, self.detail, self.headers = status, detail, dict(headers or {})

    @classmethod
    def from_input_error(cls, error: InputError, names: Mapping[str, str] | None = None) -> ApiError:
        """What was handed in is wrong.

        Args:
            error: Says what.
            names: What stands in its words, and what the caller knows it by.
        """

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
        """As it is sent."""
        content = ErrorResponse(error=self.detail).model_dump_json()
        return Response(content, self.status, headers=self.headers, media_type="application/json")


def api_error(status: int, what: str, field: str = "request", remedy: str = "", **headers: str) -> ApiError:
    """A refusal in a few words.

    Args:
        status: Of HTTP.
        what: What is wrong.
        field: Where.
        remedy: What to do.
        **headers: Beside the usual ones, with `_` for `-`.
    """
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return ApiError(status, ErrorDetail(what=what, field=field, remedy=remedy), named)


def shortage(error: OSError) -> ApiError | None:
    """The refusal of a request for which the server lacks room on its disk, memory or descriptors.

    Args:
        error: Of the system.

    Returns:
        None where the error is another.
    """
    if error.errno not in SHORTAGES:
        return None
    what = f"the server cannot store the request: {error.strerror}"
    return api_error(503, what, "server", "come back in a moment, or send fewer files at a time", Retry_After="5")


def error_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Errors as the OpenAPI document lists them.

    Args:
        *statuses: Of HTTP.
    """
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorResponse"}}}
    return {status: {"content": content, "description": STATUS_DESCRIPTIONS[status]} for status in statuses}
