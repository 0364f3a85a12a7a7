"""Clients that are slower than their answers."""

from __future__ import annotations

import asyncio
import threading

from http_server.connections import GET, Serve, answer, connect
from spanmill.http_server import ConnectionLimits, Receive, Scope, Send
from spanmill.http_server.connection import LimitedConnection
from waiting import Eventually


def test_a_client_that_takes_nothing_of_its_answer_is_cut(
    serve: Serve, eventually: Eventually
) -> None:
    ended = threading.Event()

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while (await poll(receive)) != "http.disconnect":
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
        ended.set()

    server = serve(endless, limits=ConnectionLimits(write=0.05))
    with connect(server, GET):
        eventually(ended.is_set, "the application hears that the client is gone")


async def poll(receive: Receive) -> str:
    """What has come by now, or nothing."""
    try:
        message = await asyncio.wait_for(receive(), 0.001)
    except TimeoutError:
        return ""
    return str(message["type"])


def test_a_client_that_takes_its_answer_too_slowly_is_cut(
    serve: Serve, eventually: Eventually
) -> None:
    ended = threading.Event()

    async def long(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while (await poll(receive)) != "http.disconnect":
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
        ended.set()

    def ended_while_reading() -> bool:
        if not ended.is_set():
            connection.recv(65536)
        return ended.is_set()

    # It reads all the time: the limit for clients that take nothing at all is never reached.
    server = serve(long, limits=ConnectionLimits(write=20, answer=0.05))
    with connect(server, GET) as connection:
        eventually(ended_while_reading, "the application hears that the client is cut off")


def test_the_time_for_an_answer_ends_with_the_answer(serve: Serve, eventually: Eventually) -> None:
    async def large(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, b"x" * 20_000_000)

    server = serve(large, limits=ConnectionLimits(answer=60))
    with connect(server) as connection:
        for _ in range(2):
            connection.sendall(GET)
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += connection.recv(1)
            left = 20_000_000
            while left:
                left -= len(connection.recv(min(left, 1 << 20)))
        (protocol,) = server._server.server_state.connections
        assert isinstance(protocol, LimitedConnection)
        eventually(lambda: protocol._answer_deadline is None, "the clock of the answer is stopped")
