"""Connection limits: a time limit for request headers, and limits in total and per address."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from holotype.serve.limits import Limits

RESERVED_DESCRIPTORS = 100  # for the program's own files, pipes and sockets
DESCRIPTORS_PER_CONNECTION = 3  # the connection, a file that is being received, and one that is being sent
ACCEPTED_AT_ONCE = 8  # before they are counted, or else a crowd takes all descriptors in one turn of the loop


def max_connections(limits: Limits) -> int:
    """Maximum number of open connections that leaves file descriptors for the requests themselves."""
    try:
        import resource

        descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    except (ImportError, OSError, ValueError):
        return limits.connections
    if descriptors < 0:
        return limits.connections
    return min(limits.connections, max(8, (descriptors - RESERVED_DESCRIPTORS) // DESCRIPTORS_PER_CONNECTION))


def bounded_protocol(limits: Limits) -> type[H11Protocol]:
    """HTTP protocol class for uvicorn with connection limits.

    A connection without a request in progress is idle: it has sent nothing, half of its headers, or is kept alive after
    an answer. Idle connections are closed after `limits.headers` seconds. If there are too many connections, those idle
    for longest are closed, and if none is idle the new one is refused.
    """
    table = _ConnectionTable(max_connections(limits), limits.address)

    class BoundedProtocol(_BoundedProtocol):
        def __init__(self, *arguments: Any, **keywords: Any) -> None:
            super().__init__(*arguments, **keywords)
            self.table, self.seconds = table, limits.headers

    return BoundedProtocol


class _ConnectionTable:
    def __init__(self, max_total: int, max_per_address: int) -> None:
        self.max_total, self.max_per_address = max_total, max_per_address
        self.open: dict[_BoundedProtocol, None] = {}
        self.by_address: dict[str, dict[_BoundedProtocol, None]] = {}

    def add(self, connection: _BoundedProtocol) -> bool:
        connections = self.by_address.setdefault(connection.address, {})
        room = len(connections) < self.max_per_address or self._close_idle(connections)
        room = room and (len(self.open) < self.max_total or self._close_idle(self.open))
        if room:
            self.open[connection] = connections[connection] = None
        elif not connections:
            del self.by_address[connection.address]
        return room

    def remove(self, connection: _BoundedProtocol) -> None:
        self.open.pop(connection, None)
        connections = self.by_address.get(connection.address, {})
        connections.pop(connection, None)
        if not connections:
            self.by_address.pop(connection.address, None)

    def is_last(self, connection: _BoundedProtocol) -> None:
        for connections in (self.open, self.by_address.get(connection.address, {})):
            if connection in connections:
                del connections[connection]
                connections[connection] = None

    def _close_idle(self, connections: dict[_BoundedProtocol, None]) -> bool:
        longest = next((connection for connection in connections if connection.is_idle), None)
        if longest is None:
            return False
        self.remove(longest)
        longest.transport.abort()
        return True


class _BoundedProtocol(H11Protocol):
    table: _ConnectionTable
    seconds: float
    address = ""
    _late: asyncio.TimerHandle | None = None
    _ends = False  # the server is going down

    @property
    def is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.address = self.client[0] if self.client else ""
        if not self.table.add(self):
            transport.abort()
            return
        self._restart_idle_timer()

    @property
    def is_awaited(self) -> bool:
        """True if an upload is expected while the server shuts down."""
        return self._ends and not self.is_idle and self.cycle.more_body and not self.flow.read_paused

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._ends:
            self._cancel_timer()
        self._restart_idle_timer()

    def shutdown(self) -> None:
        """Finish requests in progress; a stalled upload is not waited for."""
        super().shutdown()
        self._ends = True
        self._restart_idle_timer()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self.table.is_last(self)
        self._restart_idle_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self.table.remove(self)
        self._cancel_timer()
        super().connection_lost(exc)

    def _restart_idle_timer(self) -> None:
        """Start the timer of an idle connection; bytes that complete no headers do not restart it."""
        if self.transport.is_closing() or not (self.is_idle or self._ends):
            self._cancel_timer()
        elif self._late is None:
            self._late = self.loop.call_later(self.seconds, self._close_if_idle)

    def _cancel_timer(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _close_if_idle(self) -> None:
        self._late = None
        if self.is_idle or self.is_awaited:
            self.transport.abort()
        else:
            self._restart_idle_timer()
