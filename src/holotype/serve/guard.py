"""Who may ask, from where, and how much: looked at before a request's body is read."""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from holotype.errors import shortened
from holotype.serve.limits import Limits
from holotype.serve.measures import Measures
from holotype.serve.refusals import Refusal, refused

__all__ = ["OPEN", "Guard", "Rules"]

OPEN = frozenset({"/", "/health", "/page.css", "/page.js"})
"""What anybody may see: whether the server is well, and a page that knows nothing."""
KNOWN = OPEN | {"/predict", "/predict/stream", "/explain", "/version", "/classes", "/metrics", "/specimen",
                "/openapi.json"}  # fmt: skip
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
DRAIN_SECONDS = 10.0
HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
)


@dataclass(frozen=True)
class Rules:
    """Who may ask.

    Args:
        token: That callers must show; none where anybody may ask.
        hosts: Names by which this server is called; none where any will do.
        proxies: Names that a proxy uses, whose pages may ask although it calls the server by another name.
    """

    token: str | None = None
    hosts: Sequence[str] | None = field(default=tuple(sorted(LOOPBACK)))
    proxies: Sequence[str] = ()


class Guard:
    """Stands before the application.

    Args:
        app: The application.
        rules: Who may ask.
        limits: How much.
        measures: Counts requests.
    """

    def __init__(self, app: ASGIApp, rules: Rules, limits: Limits, measures: Measures) -> None:
        self.app, self.rules, self.limits, self.measures = app, rules, limits, measures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it.

        Args:
            scope: Of ASGI.
            receive: Of ASGI.
            send: Of ASGI.
        """
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        most = self.limits.stream_bytes if scope["path"] == "/predict/stream" else self.limits.bytes
        visit = _Visit(receive, send, most)
        began = time.perf_counter()
        try:
            refusal = self._refusal(scope, most)
            if refusal is not None:
                await refusal.response()(scope, visit.receive, visit.send)
            else:
                await self.app(scope, visit.receive, visit.send)
        finally:
            path = scope["path"] if scope["path"] in KNOWN else "other"
            method = scope["method"] if scope["method"] in {"GET", "POST", "HEAD"} else "other"
            self.measures.requests.labels(method, path, str(visit.status or 500)).inc()
            self.measures.seconds.labels(path).observe(time.perf_counter() - began)

    def _is_own(self, origin: str, host: str) -> bool:
        """Whether a page comes from this server itself: the same name and the same port, or a proxy before it."""
        return bool(origin) and (origin == host or _name(origin) in self.rules.proxies)

    def _refusal(self, scope: Scope, most: int) -> Refusal | None:
        headers = Headers(scope=scope)
        hosts, host = self.rules.hosts, headers.get("host", "")
        if hosts is not None and _name(host) not in hosts:
            return refused(421, f"this server is not called {shortened(_name(host))!r}", "Host",
                           "ask for it by its own name, or start it with --allow-host")  # fmt: skip
        origin = headers.get("origin")
        if origin is not None and not self._is_own(origin.partition("://")[2].lower(), host.lower()):
            return refused(403, "pages of other sites may not ask this server", "Origin",
                           "behind a proxy, start it with --allow-host and the proxy's name")  # fmt: skip
        if self.rules.token is not None and scope["path"] not in OPEN:
            kind, _, shown = headers.get("authorization", "").partition(" ")
            right = hmac.compare_digest(shown.strip().encode("latin-1", "replace"), self.rules.token.encode())
            if kind.lower() != "bearer" or not right:
                return refused(401, "the token is missing or wrong", "Authorization",
                               "send the header Authorization: Bearer TOKEN", WWW_Authenticate="Bearer")  # fmt: skip
        length = headers.get("content-length", "0")
        if not length.isdigit():
            return refused(400, "Content-Length is no number", "Content-Length")
        return _too_large(most) if int(length) > most else None


class _Visit:
    """One request on its way through, its bytes counted.

    What is refused is read to its end first, so that a caller who is still sending gets to see the answer.
    """

    def __init__(self, receive: Receive, send: Send, most: int) -> None:
        self._receive, self._send, self.most = receive, send, most
        self.bytes, self.ended, self.status = 0, False, 0

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self.bytes += len(message.get("body", b""))
            self.ended = not message.get("more_body", False)
            if self.bytes > self.most:
                raise _too_large(self.most)
        else:
            self.ended = True
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if self.status >= 400 and not self.ended:
                await self._drain()
            known = {name.lower() for name, _ in message.get("headers", [])}
            added = [pair for pair in HEADERS if pair[0] not in known]
            if b"cache-control" not in known:
                added.append((b"cache-control", b"no-store"))
            message = {**message, "headers": [*message.get("headers", []), *added]}
        await self._send(message)

    async def _drain(self) -> None:
        until = time.monotonic() + DRAIN_SECONDS
        while not self.ended and self.bytes <= 4 * self.most:
            try:
                message = await asyncio.wait_for(self._receive(), max(until - time.monotonic(), 0.01))
            except TimeoutError:
                return
            self.bytes += len(message.get("body", b""))
            self.ended = message["type"] != "http.request" or not message.get("more_body", False)


def _too_large(most: int) -> Refusal:
    what = f"the request is larger than {most / 1e6:,.10g} MB"
    return refused(413, what, "request", "send fewer files at a time, or start the server with a larger --limit")


def _name(host: str) -> str:
    """A host without its port."""
    host = host.lower()
    return host[1 : host.index("]")] if host.startswith("[") and "]" in host else host.partition(":")[0]
