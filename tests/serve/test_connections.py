"""Connections that never ask, or ask very slowly, take nothing from those that do."""

from __future__ import annotations

import resource
import socket
import threading
import time
from contextlib import ExitStack, contextmanager, suppress

import pytest
import uvicorn

from holotype.serve import AccessPolicy, Limits, Service, make_app
from holotype.serve.connections import bounded_protocol, max_connections

HALF = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "
WHOLE = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
FORM = (
    b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=x\r\n"
    b"Content-Length: 1000\r\n\r\n--x\r\n"
)


@contextmanager
def listening(answerer, limits):
    config = uvicorn.Config(
        make_app(Service(answerer, limits, 1), AccessPolicy()),
        port=0,
        log_level="error",
        http=bounded_protocol(limits),
        lifespan="on",
    )
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()
    finally:
        server.should_exit = True
        thread.join(60)


def send(address, text):
    connection = socket.create_connection(address, timeout=20)
    connection.sendall(text)
    return connection


def answer(connection):
    parts = []
    with suppress(ConnectionResetError):
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


def test_half_sent_headers_are_let_go_after_their_time(stand):
    with listening(stand, Limits(headers=0.3)) as address, send(address, HALF) as connection:
        for _ in range(4):  # a byte now and then does not begin the time anew
            time.sleep(0.05)
            connection.sendall(b"a")
        began = time.monotonic()
        assert answer(connection) == b""
        assert time.monotonic() - began < 10


def test_an_idle_connection_is_closed(stand):
    with listening(stand, Limits(headers=0.3)) as address, send(address, b"") as connection:
        assert connection.recv(100) == b""


@pytest.mark.parametrize("limits", [Limits(headers=600, connections=10), Limits(headers=600, address=10)])
def test_an_honest_request_is_answered_beside_very_many_half_sent_ones(stand, limits):
    with listening(stand, limits) as address, ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(send(address, HALF))
        with send(address, WHOLE) as connection:
            assert answer(connection).startswith((b"HTTP/1.1 200", b"HTTP/1.1 503"))


def test_a_connection_more_is_refused_where_all_are_at_work(stand):
    with listening(stand, Limits(address=3, seconds=5)) as address, ExitStack() as stack:
        while True:  # until the networks are read, nobody is at work for long
            with send(address, WHOLE) as connection:
                if answer(connection).startswith(b"HTTP/1.1 200"):
                    break
            time.sleep(0.05)
        working = [stack.enter_context(send(address, FORM)) for _ in range(3)]
        time.sleep(0.5)
        with socket.create_connection(address, timeout=20) as connection:
            assert answer(connection) == b""
        assert len(working) == 3


def test_uploads_that_hang_do_not_hold_up_the_end_of_a_server(stand):
    with ExitStack() as stack:
        with listening(stand, Limits(headers=0.3, seconds=60)) as address:
            while True:
                with send(address, WHOLE) as connection:
                    if answer(connection).startswith(b"HTTP/1.1 200"):
                        break
                time.sleep(0.05)
            for _ in range(3):
                stack.enter_context(send(address, FORM))
            time.sleep(0.5)
            began = time.monotonic()
        assert time.monotonic() - began < 30


def test_connections_leave_descriptors_to_the_requests(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 256))
    assert max_connections(Limits()) == 52
    assert max_connections(Limits(connections=5)) == 5
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1_000_000, 1_000_000))
    assert max_connections(Limits()) == 512
