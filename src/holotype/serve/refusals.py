"""Errors as answers: JSON with what is wrong, where, what is allowed and the way out; never a 5xx for bad input."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from starlette.responses import Response

from holotype.errors import InputError, shortened

__all__ = ["Fault", "Problem", "Refusal", "documented", "refused", "shortage"]

SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.ENOMEM})

WORDS = {
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


class Fault(BaseModel):
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


class Problem(BaseModel):
    """An error."""

    error: Fault


class Refusal(Exception):  # noqa: N818  (it is an answer)
    """A request that is not answered as it wished.

    Args:
        status: Of HTTP.
        fault: What is wrong.
        headers: Beside the usual ones.
    """

    def __init__(self, status: int, fault: Fault, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(fault.what)
        self.status, self.fault, self.headers = status, fault, dict(headers or {})

    @classmethod
    def of(cls, error: InputError, names: Mapping[str, str] | None = None) -> Refusal:
        """What was handed in is wrong.

        Args:
            error: Says what.
            names: What stands in its words, and what the caller knows it by.
        """

        def said(text: str) -> str:
            for ours, theirs in (names or {}).items():
                text = text.replace(ours, theirs)
            return text

        value = None if error.value is None else said(shortened(error.value, 200))
        fault = Fault(what=said(error.what), field=said(error.field) or "images", value=value,
                      allowed=[said(one) for one in error.allowed], remedy=said(error.remedy))  # fmt: skip
        return cls(422, fault)

    def response(self) -> Response:
        """As it is sent."""
        content = Problem(error=self.fault).model_dump_json()
        return Response(content, self.status, headers=self.headers, media_type="application/json")


def refused(status: int, what: str, field: str = "request", remedy: str = "", **headers: str) -> Refusal:
    """A refusal in a few words.

    Args:
        status: Of HTTP.
        what: What is wrong.
        field: Where.
        remedy: What to do.
        **headers: Beside the usual ones, with `_` for `-`.
    """
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Refusal(status, Fault(what=what, field=field, remedy=remedy), named)


def shortage(error: OSError) -> Refusal | None:
    """The refusal of a request for which the server lacks room on its disk, memory or descriptors.

    Args:
        error: Of the system.

    Returns:
        None where the error is another.
    """
    if error.errno not in SHORTAGES:
        return None
    what = f"the server cannot store the request: {error.strerror}"
    return refused(503, what, "server", "come back in a moment, or send fewer files at a time", Retry_After="5")


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Errors as the OpenAPI document lists them.

    Args:
        *statuses: Of HTTP.
    """
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"content": content, "description": WORDS[status]} for status in statuses}
