"""Small applications, and clients that speak HTTP by hand."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable

from spanmill.http_server import HttpServer, Message, Receive, Scope, Send

Serve = Callable[..., HttpServer]
"""Starts a server for an application that is stopped after the test."""

OK = b"HTTP/1.1 200 OK\r\n"
GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
LAST_GET = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the body of the request."""
    body = b""
    message: Message = {"more_body": True}
    while message["more_body"]:
        message = await receive()
        body += message["body"]
    await answer(send, body)


async def answer(send: Send, body: bytes) -> None:
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Held:
    """An application whose answers wait until they are let go."""

    def __init__(self) -> None:
        self.running = 0
        self.released = threading.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.running += 1
        while not self.released.is_set():
            await asyncio.sleep(0.005)
        await answer(send, b"held")


def connect(server: HttpServer, request: bytes = b"") -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    connection.sendall(request)
    return connection


def read_to_end(connection: socket.socket) -> bytes:
    received = b""
    try:
        while data := connection.recv(65536):
            received += data
    except ConnectionResetError:  # the answer came before we had sent all: the rest is refused
        pass
    return received


def exchange(server: HttpServer, request: bytes) -> bytes:
    """Send a request and read until the server closes."""
    with connect(server, request) as connection:
        return read_to_end(connection)


def read_answer(connection: socket.socket) -> bytes:
    """Read one answer of a connection that stays open."""
    received = b""
    while b"\r\n\r\n" not in received:
        data = connection.recv(1)
        assert data, f"closed after {received!r}"
        received += data
    length = int(received.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    for _ in range(length):
        received += connection.recv(1)
    return received
