"""Server process: bind address, access policy, graceful shutdown."""

from __future__ import annotations

import ipaddress
import math
import os
import signal
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import uvicorn

from holotype.core.errors import InputError
from holotype.serve.access import LOOPBACK, AccessPolicy
from holotype.serve.app import make_app
from holotype.serve.connections import ACCEPTED_AT_ONCE, bounded_protocol
from holotype.serve.limits import Limits
from holotype.serve.predictor import Predictor
from holotype.serve.service import Service

TOKEN = "HOLOTYPE_TOKEN"
QUEUED_CONNECTIONS = 512  # by the system, until they are accepted


@dataclass(frozen=True)
class BindAddress:
    """Bind address of the server.

    Args:
        port: 0 takes a free one.
        anonymous: Allow other machines without a token.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    anonymous: bool = False
    hosts: Sequence[str] = ()

    @property
    def is_private(self) -> bool:
        """True if only this machine can connect."""
        try:
            return self.host in LOOPBACK or ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def access_policy(bind_address: BindAddress, token: str | None) -> AccessPolicy:
    """Access policy of a server.

    Raises InputError if anyone on the network could call the server, and this was not allowed explicitly.
    """
    if not bind_address.is_private and not token and not bind_address.anonymous:
        raise InputError(
            f"anyone who can reach {bind_address.host} could use this server",
            field="--host",
            value=bind_address.host,
            remedy=f"set {TOKEN} to require a bearer token, or pass --allow-anonymous",
        )
    named = [name.lower() for name in bind_address.hosts]
    hosts = sorted({*LOOPBACK, bind_address.host.lower(), *named}) if bind_address.is_private or named else None
    return AccessPolicy(token or None, hosts, named)


def serve(
    predictor: Predictor,
    bind_address: BindAddress,
    limits: Limits,
    processes: int,
    announce: Callable[[str, str], None],
) -> None:
    """Serve until a signal; requests in progress are finished first.

    `announce`: receives the address and the access rule once the server listens. Raises InputError if the server may
    not or cannot listen there.
    """
    rules = access_policy(bind_address, os.environ.get(TOKEN))
    listening = _listen(bind_address)
    _set_send_timeout(listening, limits.seconds)
    app = make_app(Service(predictor, limits, processes), rules)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        lifespan="on",
        server_header=False,
        proxy_headers=False,
        ws="none",
        http=bounded_protocol(limits),
        timeout_keep_alive=math.ceil(limits.headers),
        backlog=ACCEPTED_AT_ONCE,
        timeout_graceful_shutdown=int(limits.seconds) + 5,
    )
    port = listening.getsockname()[1]
    host_text = f"[{bind_address.host}]" if ":" in bind_address.host else bind_address.host
    who = "bearer token required" if rules.token else "no token required"
    announce(f"http://{host_text}:{port}/", who)
    # uvicorn finishes requests in progress and raises the signal again, which would set the exit status.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    _Server(config).run(sockets=[listening])


class _Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listening in sockets or ():
            listening.listen(QUEUED_CONNECTIONS)  # asyncio has one number for both, the backlog


def _set_send_timeout(listening: socket.socket, seconds: float) -> None:
    """Let the system close connections whose other end reads nothing; accepted sockets inherit it."""
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(seconds * 1e3))


def _listen(bind_address: BindAddress) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            bind_address.host, bind_address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(QUEUED_CONNECTIONS)
    except (OSError, OverflowError) as error:
        what = (
            f"{bind_address.host}:{bind_address.port} cannot be used to listen: "
            f"{getattr(error, 'strerror', None) or error}"
        )
        raise InputError(
            what, field="--port", value=bind_address.port, remedy="choose another --port or --host"
        ) from error
    return listening
