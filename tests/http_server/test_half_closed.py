"""A client that closes its own side of the connection."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from http_server.connections import GET, OK, Held, connect, echo, read_to_end
from spanmill.http_server import App, HttpServer
from waiting import Eventually

POST = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n"


@contextmanager
def serving(app: App) -> Iterator[HttpServer]:
    server = HttpServer(app, "127.0.0.1", 0, "test server")
    server.start()
    try:
        yield server
    finally:
        server.stop(1)


def test_a_whole_request_is_answered_and_the_connection_closed(eventually: Eventually) -> None:
    app = Held()
    with serving(app) as server, connect(server, GET) as connection:
        connection.shutdown(socket.SHUT_WR)
        eventually(lambda: app.running, "the request runs")
        app.released.set()
        received = read_to_end(connection)
    assert received.startswith(OK)
    assert b"connection: close" in received
    assert received.endswith(b"held")


def test_every_whole_pipelined_request_is_answered(eventually: Eventually) -> None:
    app = Held()
    with serving(app) as server, connect(server, GET * 3) as connection:
        connection.shutdown(socket.SHUT_WR)
        eventually(lambda: app.running, "the first request runs")
        app.released.set()
        assert read_to_end(connection).count(OK) == 3


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nhost", POST, POST + b"half"])
def test_less_than_a_request_is_no_request(sent: bytes) -> None:
    with serving(echo) as server, connect(server, sent) as connection:
        connection.shutdown(socket.SHUT_WR)
        assert read_to_end(connection) == b""
