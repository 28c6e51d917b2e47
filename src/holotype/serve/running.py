"""A server from its beginning to its end: where it listens, who may ask, how it goes down."""

from __future__ import annotations

import ipaddress
import math
import os
import signal
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import uvicorn

from holotype.errors import InputError
from holotype.serve.answerer import Answerer
from holotype.serve.app import make_app
from holotype.serve.connections import ACCEPTED_AT_ONCE, bounded_protocol
from holotype.serve.guard import LOOPBACK, Rules
from holotype.serve.limits import Limits
from holotype.serve.service import Service

__all__ = ["TOKEN", "Place", "rules_for", "serve"]

TOKEN = "HOLOTYPE_TOKEN"
QUEUED_CONNECTIONS = 512  # by the system, until they are accepted


@dataclass(frozen=True)
class Place:
    """Where a server listens.

    Args:
        host: A name or an address.
        port: 0 takes any that is free.
        anonymous: Whether anybody who reaches another address than this machine's own may ask.
        hosts: More names by which it is called.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    anonymous: bool = False
    hosts: Sequence[str] = ()

    @property
    def is_private(self) -> bool:
        """Whether only this machine reaches it."""
        try:
            return self.host in LOOPBACK or ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def rules_for(place: Place, token: str | None) -> Rules:
    """Who may ask a server.

    Args:
        place: Where it listens.
        token: What callers must show.

    Raises:
        InputError: It would answer anybody on the network, and nobody said that it may.
    """
    if not place.is_private and not token and not place.anonymous:
        raise InputError(
            f"anybody who reaches {place.host} could ask this server", field="--host", value=place.host,
            remedy=f"set {TOKEN} to a secret that callers must show, or say --allow-anonymous",
        )  # fmt: skip
    named = [name.lower() for name in place.hosts]
    hosts = sorted({*LOOPBACK, place.host.lower(), *named}) if place.is_private or named else None
    return Rules(token or None, hosts, named)


def serve(
    answerer: Answerer, place: Place, limits: Limits, processes: int, announce: Callable[[str, str], None]
) -> None:
    """Serve until a signal says to end; what is under way is finished first.

    Args:
        answerer: Answers.
        place: Where to listen.
        limits: What a request may cost.
        processes: That decode images.
        announce: Receives its address and who may ask, as soon as it listens.

    Raises:
        InputError: It must not listen there, or cannot.
    """
    rules = rules_for(place, os.environ.get(TOKEN))
    listening = _listen(place)
    _give_up_after(listening, limits.seconds)
    app = make_app(Service(answerer, limits, processes), rules)
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, lifespan="on", server_header=False, proxy_headers=False, ws="none",
        http=bounded_protocol(limits), timeout_keep_alive=math.ceil(limits.headers),
        backlog=ACCEPTED_AT_ONCE, timeout_graceful_shutdown=int(limits.seconds) + 5,
    )  # fmt: skip
    port = listening.getsockname()[1]
    shown = f"[{place.host}]" if ":" in place.host else place.host
    who = "callers show a token" if rules.token else "anybody who reaches it may ask"
    announce(f"http://{shown}:{port}/", who)
    # uvicorn finishes what is under way and then raises the signal again, which would end us with its status.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    _Server(config).run(sockets=[listening])


class _Server(uvicorn.Server):
    """A server that accepts few connections at once, and lets the system queue more than that."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listening in sockets or ():
            listening.listen(QUEUED_CONNECTIONS)  # asyncio has one number for both, the backlog


def _give_up_after(listening: socket.socket, seconds: float) -> None:
    """Let the system end connections whose other end takes nothing; those that are accepted inherit it."""
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(seconds * 1e3))


def _listen(place: Place) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            place.host, place.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(QUEUED_CONNECTIONS)
    except (OSError, OverflowError) as error:
        what = f"{place.host}:{place.port} cannot be listened on: {getattr(error, 'strerror', None) or error}"
        raise InputError(what, field="--port", value=place.port, remedy="give another --port or --host") from error
    return listening
