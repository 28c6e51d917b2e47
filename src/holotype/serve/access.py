"""Access control: host, origin, token and size checks before a request body is read."""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from holotype.core.errors import truncate
from holotype.serve.errors import ApiError, api_error
from holotype.serve.limits import Limits
from holotype.serve.metrics import ServerMetrics

PUBLIC_PATHS = frozenset({"/", "/health", "/page.css", "/page.js"})
"""Paths that need no token: readiness, and a page without data of the run."""
ENDPOINTS = PUBLIC_PATHS | {
    "/predict",
    "/predict/stream",
    "/explain",
    "/version",
    "/classes",
    "/metrics",
    "/specimen",
    "/openapi.json",
}
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
DRAIN_SECONDS = 10.0
HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
)


@dataclass(frozen=True)
class AccessPolicy:
    """Rules for callers of the server.

    Args:
        token: Required bearer token; None allows anyone.
        hosts: Allowed host names; None allows any.
    """

    token: str | None = None
    hosts: Sequence[str] | None = field(default=tuple(sorted(LOOPBACK)))
    proxies: Sequence[str] = ()


class AccessMiddleware:
    """ASGI middleware that enforces an `AccessPolicy` and counts requests."""

    def __init__(self, app: ASGIApp, rules: AccessPolicy, limits: Limits, measures: ServerMetrics) -> None:
        self.app, self.rules, self.limits, self.measures = app, rules, limits, measures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        max_bytes = self.limits.stream_bytes if scope["path"] == "/predict/stream" else self.limits.bytes
        counted = _CountedRequest(receive, send, max_bytes)
        began = time.perf_counter()
        try:
            refusal = self._reject(scope, max_bytes)
            if refusal is not None:
                await refusal.response()(scope, counted.receive, counted.send)
            else:
                await self.app(scope, counted.receive, counted.send)
        finally:
            path = scope["path"] if scope["path"] in ENDPOINTS else "other"
            method = scope["method"] if scope["method"] in {"GET", "POST", "HEAD"} else "other"
            self.measures.requests.labels(method, path, str(counted.status or 500)).inc()
            self.measures.seconds.labels(path).observe(time.perf_counter() - began)

    def _is_same_origin(self, origin: str, host: str) -> bool:
        """True if a page comes from this server (same name and port) or from a known proxy."""
        return bool(origin) and (origin == host or _host_name(origin) in self.rules.proxies)

    def _reject(self, scope: Scope, max_bytes: int) -> ApiError | None:
        headers = Headers(scope=scope)
        # Starlette's TrustedHostMiddleware would answer 400 as plain text, and splits IPv6 hosts at their first colon.
        hosts, host = self.rules.hosts, headers.get("host", "")
        if hosts is not None and _host_name(host) not in hosts:
            return api_error(
                421,
                f"unknown host name {truncate(_host_name(host))!r}",
                "Host",
                "use a name of this server, or start it with --allow-host NAME",
            )
        origin = headers.get("origin")
        if origin is not None and not self._is_same_origin(origin.partition("://")[2].lower(), host.lower()):
            return api_error(
                403,
                "requests from pages of other sites are not allowed",
                "Origin",
                "behind a proxy, start the server with --allow-host and the name of the proxy",
            )
        if self.rules.token is not None and scope["path"] not in PUBLIC_PATHS:
            kind, _, token = headers.get("authorization", "").partition(" ")
            right = hmac.compare_digest(token.strip().encode("latin-1", "replace"), self.rules.token.encode())
            if kind.lower() != "bearer" or not right:
                return api_error(
                    401,
                    "the token is missing or wrong",
                    "Authorization",
                    "send the header Authorization: Bearer TOKEN",
                    WWW_Authenticate="Bearer",
                )
        length = headers.get("content-length", "0")
        if not length.isdigit():
            return api_error(400, "Content-Length is not a number", "Content-Length")
        return _size_error(max_bytes) if int(length) > max_bytes else None


class _CountedRequest:
    """Request whose bytes are counted.

    A refused request is read to its end first, so that a caller who is still sending receives the answer.
    """

    def __init__(self, receive: Receive, send: Send, max_bytes: int) -> None:
        self._receive, self._send, self.max_bytes = receive, send, max_bytes
        self.bytes, self.ended, self.status = 0, False, 0

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self.bytes += len(message.get("body", b""))
            self.ended = not message.get("more_body", False)
            if self.bytes > self.max_bytes:
                raise _size_error(self.max_bytes)
        else:
            self.ended = True
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if self.status >= 400 and not self.ended:
                await self._drain()
            header_names = {name.lower() for name, _ in message.get("headers", [])}
            added = [pair for pair in HEADERS if pair[0] not in header_names]
            if b"cache-control" not in header_names:
                added.append((b"cache-control", b"no-store"))
            message = {**message, "headers": [*message.get("headers", []), *added]}
        await self._send(message)

    async def _drain(self) -> None:
        until = time.monotonic() + DRAIN_SECONDS
        while not self.ended and self.bytes <= 4 * self.max_bytes:
            try:
                message = await asyncio.wait_for(self._receive(), max(until - time.monotonic(), 0.01))
            except TimeoutError:
                return
            self.bytes += len(message.get("body", b""))
            self.ended = message["type"] != "http.request" or not message.get("more_body", False)


def _size_error(max_bytes: int) -> ApiError:
    what = f"the request is larger than {max_bytes / 1e6:,.10g} MB"
    return api_error(413, what, "request", "send fewer files per request, or start the server with a larger --limit")


def _host_name(host: str) -> str:
    host = host.lower()
    return host[1 : host.index("]")] if host.startswith("[") and "]" in host else host.partition(":")[0]
