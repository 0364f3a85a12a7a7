"""The server that binds first, serves in its own thread and ends in time."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time

import pytest

from http_server.connections import (
    GET,
    LAST_GET,
    OK,
    Held,
    Serve,
    answer,
    connect,
    echo,
    exchange,
    read_answer,
    read_to_end,
)
from spanmill.errors import StartError
from spanmill.http_server import ConnectionLimits, HttpServer, Receive, Scope, Send
from waiting import Eventually


def test_a_taken_port_is_one_sentence_with_name_and_address(serve: Serve) -> None:
    port = serve().port
    second = HttpServer(echo, "127.0.0.1", port, "scrape endpoint")
    message = f"scrape endpoint 127.0.0.1:{port}: address already in use"
    with pytest.raises(StartError, match=f"^{message}$"):
        second.bind()


def test_a_port_is_taken_from_bind_on() -> None:
    first = HttpServer(echo, "127.0.0.1", 0, "first")
    first.bind()
    try:
        with pytest.raises(StartError, match="address already in use"):
            HttpServer(echo, "127.0.0.1", first.port, "second").bind()
    finally:
        first.stop(1)
    again = HttpServer(echo, "127.0.0.1", first.port, "third")
    again.bind()
    again.stop(1)


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("no-such-host.invalid", "the host's name can't be resolved"),
        ("192.0.2.1", "cannot assign requested address"),
    ],
)
def test_an_address_that_is_not_ours_is_a_start_error(host: str, reason: str) -> None:
    with pytest.raises(StartError, match=f"scrape endpoint {host}:80: {reason}"):
        HttpServer(echo, host, 80, "scrape endpoint").bind()


def test_port_0_finds_a_free_one_that_can_be_read(serve: Serve) -> None:
    server = serve()
    assert server.port > 0
    assert server.endpoint == f"127.0.0.1:{server.port}"
    assert exchange(server, LAST_GET).startswith(OK)


def test_an_ipv6_address_is_served_and_written_in_brackets() -> None:
    server = HttpServer(echo, "::1", 0, "test server")
    try:
        server.bind()
    except StartError:
        pytest.skip("this machine has no IPv6")
    server.start()
    try:
        assert server.endpoint == f"[::1]:{server.port}"
        with socket.create_connection(("::1", server.port), timeout=20) as connection:
            connection.sendall(LAST_GET)
            assert read_to_end(connection).startswith(OK)
    finally:
        server.stop(1)


def test_a_connection_serves_many_requests(serve: Serve) -> None:
    with connect(serve()) as connection:
        for _ in range(3):
            connection.sendall(GET)
            assert read_answer(connection).startswith(OK)


def test_an_offer_to_change_protocols_is_ignored_and_the_body_kept(serve: Serve) -> None:
    head = (
        b"POST / HTTP/1.1\r\nhost: x\r\nconnection: Upgrade, HTTP2-Settings\r\n"
        b"upgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\ncontent-length: 5\r\n\r\n"
    )
    server = serve()
    with connect(server, head + b"hello") as connection:
        assert read_answer(connection).endswith(b"\r\n\r\nhello")
        for byte in head + b"again":  # the same, in the smallest pieces there are
            connection.sendall(bytes((byte,)))
        assert read_answer(connection).endswith(b"\r\n\r\nagain")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64, b"400"),
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET / HTTP/9.9\r\n\r\n", b"400"),
        (b"GET /\xff HTTP/1.1\r\nhost: x\r\n\r\n", b"400"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: x\r\n\r\n", b"400"),
        (
            b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n"
            b"transfer-encoding: chunked\r\n\r\n",
            b"400",
        ),
        (b"CONNECT a:443 HTTP/1.1\r\nhost: a\r\n\r\n", b"501"),
        (b"GET / HTTP/1.1\r\nx: " + b"y" * 300_000, b"431"),
        (b"GET / HTTP/1.1\r\n" + b"x: yyyyyyyy\r\n" * 40_000, b"431"),
        (b"GET /" + b"y" * 300_000, b"431"),
    ],
)
def test_what_is_not_a_request_is_refused_quietly(
    serve: Serve, caplog: pytest.LogCaptureFixture, request_: bytes, status: bytes
) -> None:
    with caplog.at_level(logging.INFO):
        server = serve()
        assert exchange(server, request_).startswith(b"HTTP/1.1 " + status)
        assert exchange(server, LAST_GET).startswith(OK)
    assert caplog.records == []


def test_trailers_without_end_are_refused(serve: Serve) -> None:
    head = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n"
    received = exchange(serve(), head + b"x: yyyyyyyy\r\n" * 40_000)
    assert received.startswith(b"HTTP/1.1 431")


def test_headers_that_never_end_close_the_connection(serve: Serve) -> None:
    server = serve(limits=ConnectionLimits(header=0.05))
    assert exchange(server, b"") == b""
    assert exchange(server, b"GET / HTTP/1.1\r\nhost: ") == b""


def test_a_second_request_has_its_own_time_for_headers(serve: Serve) -> None:
    server = serve(limits=ConnectionLimits(header=0.05))
    with connect(server, GET) as connection:
        assert read_answer(connection).startswith(OK)
        connection.sendall(b"GET / HT")
        assert read_to_end(connection) == b""


def test_a_connection_that_is_idle_for_too_long_is_closed(serve: Serve) -> None:
    server = serve(limits=ConnectionLimits(keep_alive=0.05))
    with connect(server, GET) as connection:
        assert read_answer(connection).startswith(OK)
        assert read_to_end(connection) == b""


def test_a_new_connection_takes_the_place_of_the_longest_idle_one(serve: Serve) -> None:
    server = serve(max_connections=2)
    with connect(server) as first, connect(server) as second:
        for connection in (second, first):
            connection.sendall(GET)
            assert read_answer(connection).startswith(OK)
        assert exchange(server, LAST_GET).startswith(OK)
        assert read_to_end(second) == b""
        first.sendall(GET)
        assert read_answer(first).startswith(OK)


def test_thousands_of_silent_connections_keep_nobody_out(serve: Serve) -> None:
    server = serve(max_connections=20)
    silent = [connect(server) for _ in range(200)]
    try:
        assert exchange(server, LAST_GET).startswith(OK)
    finally:
        for connection in silent:
            connection.close()


def test_where_every_connection_is_busy_a_new_one_is_told_to_come_back(
    serve: Serve, eventually: Eventually
) -> None:
    app = Held()
    server = serve(app, max_connections=2)
    with connect(server, LAST_GET) as first, connect(server, LAST_GET) as second:
        eventually(lambda: app.running == 2, "both requests run")
        refused = exchange(server, b"")
        assert refused.startswith(b"HTTP/1.1 503")
        assert b"retry-after: 1" in refused
        app.released.set()
        assert read_to_end(first).startswith(OK)
        assert read_to_end(second).startswith(OK)


def test_an_exception_is_logged_and_answered_and_the_server_goes_on(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/boom":
            raise RuntimeError("boom")
        await answer(send, b"fine")

    server = serve(failing)
    boom = b"GET /boom HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    assert exchange(server, boom).startswith(b"HTTP/1.1 500")
    assert exchange(server, LAST_GET).endswith(b"fine")
    (record,) = caplog.records
    assert (record.getMessage(), record.levelname) == ("a request failed", "ERROR")
    assert record.exc_info is not None


def test_stopping_lets_a_running_request_end(eventually: Eventually) -> None:
    app = Held()
    server = HttpServer(app, "127.0.0.1", 0, "test server")
    server.start()
    with connect(server, GET) as connection:
        eventually(lambda: app.running, "the request runs")
        stopping = threading.Thread(target=server.stop, args=(20,))
        stopping.start()
        eventually(lambda: refuses(server.port), "new connections are refused")
        app.released.set()
        assert read_to_end(connection).endswith(b"held")
        stopping.join()


def refuses(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=20).close()
    except ConnectionRefusedError:
        return True
    return False


def test_stopping_cuts_what_does_not_end_in_time(
    eventually: Eventually, caplog: pytest.LogCaptureFixture
) -> None:
    app = Held()
    server = HttpServer(app, "127.0.0.1", 0, "test server")
    server.start()
    with connect(server, GET) as connection:
        eventually(lambda: app.running, "the request runs")
        begun = time.monotonic()
        server.stop(0.05)
        assert time.monotonic() - begun < 10
        assert not read_to_end(connection).endswith(b"held")
    assert [record for record in caplog.records if record.exc_info] == []
    assert "test server" not in {thread.name for thread in threading.enumerate()}


def test_what_does_not_end_in_time_may_still_answer(eventually: Eventually) -> None:
    running = []

    async def apologetic(scope: Scope, receive: Receive, send: Send) -> None:
        running.append(scope)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(0)  # an answer may take some turns of the loop
            await answer(send, b"come back later")
            raise

    server = HttpServer(apologetic, "127.0.0.1", 0, "test server")
    server.start()
    with connect(server, GET) as first, connect(server, GET) as second:
        eventually(lambda: len(running) == 2, "the requests run")
        server.stop(0.05)
        for connection in (first, second):
            assert read_to_end(connection).endswith(b"come back later")


def test_stopping_closes_idle_connections(serve: Serve) -> None:
    server = serve()
    with connect(server, GET) as connection:
        assert read_answer(connection).startswith(OK)
        server.stop(20)
        assert read_to_end(connection) == b""


def test_a_server_can_be_stopped_twice_and_before_it_starts() -> None:
    server = HttpServer(echo, "127.0.0.1", 0, "test server")
    server.stop(1)
    server.start()
    server.stop(1)
    server.stop(1)
