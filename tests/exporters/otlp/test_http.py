"""The HTTP sender against a real server."""

from __future__ import annotations

import math
import socket
import threading
from collections.abc import Callable
from dataclasses import replace
from email.utils import formatdate
from typing import Any

import pytest
from google.rpc.status_pb2 import Status
from urllib3 import HTTPResponse

from exporters.otlp.peers import (
    Answer,
    Drip,
    GrpcPeer,
    Hang,
    HttpPeer,
    Repeat,
    Reset,
    no_one,
    partial,
)
from exporters.otlp.settings_for import settings_for
from spanmill.clock import SystemClock
from spanmill.exporters.otlp.http import HttpSender
from spanmill.exporters.otlp.sender import Delivered, Permanent, Reply, Retry, TooLarge

TIMEOUT = 20.0
SHORT = 0.2  # for peers that never answer


def sender_to(peer: HttpPeer, **settings: object) -> HttpSender:
    return HttpSender(settings_for(peer.port, **settings), SystemClock())  # type: ignore[arg-type]  # by name


@pytest.fixture
def sender(http_peer: HttpPeer) -> HttpSender:
    return sender_to(http_peer)


def test_a_request_arrives_as_it_is(http_peer: HttpPeer, sender: HttpSender) -> None:
    assert sender.send(b"\x0a\x00", TIMEOUT) == Delivered()
    assert http_peer.seen == [b"\x0a\x00"]
    assert http_peer.paths == ["/v1/traces"]
    headers = http_peer.headers[0]
    assert headers["content-type"] == "application/x-protobuf"
    assert headers["content-length"] == "2"
    assert headers["user-agent"] == "spanmill/test"
    assert "content-encoding" not in headers


@pytest.mark.parametrize(
    ("path", "expected"),
    [("", "/v1/traces"), ("/", "/v1/traces"), ("/otlp", "/otlp/v1/traces")],
)
def test_the_traces_path_goes_behind_the_endpoint(
    http_peer: HttpPeer, path: str, expected: str
) -> None:
    settings = settings_for(f"http://127.0.0.1:{http_peer.port}{path}")
    assert HttpSender(settings, SystemClock()).send(b"", TIMEOUT) == Delivered()
    assert http_peer.paths == [expected]


def test_headers_go_with_every_request(http_peer: HttpPeer) -> None:
    sender = sender_to(http_peer, headers={"X-Scope-OrgID": "shop", "User-Agent": "mine"})
    for _ in range(2):
        sender.send(b"", TIMEOUT)
    assert [h["x-scope-orgid"] for h in http_peer.headers] == ["shop", "shop"]
    assert http_peer.headers[0]["user-agent"] == "mine"


def test_gzip_wraps_the_whole_body(http_peer: HttpPeer) -> None:
    body = b"spans " * 1000
    assert sender_to(http_peer, compression="gzip").send(body, TIMEOUT) == Delivered()
    assert http_peer.seen == [body]
    assert http_peer.headers[0]["content-encoding"] == "gzip"
    assert int(http_peer.headers[0]["content-length"]) < 200


def test_one_connection_serves_many_requests(http_peer: HttpPeer, sender: HttpSender) -> None:
    http_peer.script.extend([Answer(), Answer(503), Answer(400, b"no"), Answer(413), Answer()])
    for _ in range(5):
        sender.send(b"x", TIMEOUT)
    assert len(http_peer.connections) == 1


def test_a_kept_connection_that_the_peer_closed_is_replaced_at_once(
    http_peer: HttpPeer, sender: HttpSender
) -> None:
    http_peer.script.extend([Answer(), Reset(), Answer()])
    assert sender.send(b"a", TIMEOUT) == Delivered()
    assert sender.send(b"b", TIMEOUT) == Delivered()
    assert http_peer.seen == [b"a", b"b", b"b"]


SUCCESSES: list[tuple[Answer, Reply]] = [
    (Answer(200), Delivered()),
    (Answer(204), Delivered()),
    (Answer(200, partial(3, "three were bad")), Delivered(3, "three were bad")),
    (Answer(200, partial(0, "slow down")), Delivered(0, "slow down")),
    (Answer(200, partial(-5)), Delivered(0)),
    (Answer(200, b"<html>welcome</html>"), Delivered(unreadable=True)),
    (Answer(200, b"\x0a\x05\x08\x01"), Delivered(unreadable=True)),
    (Answer(200, partial(1, "x" * 70_000)), Delivered(unreadable=True)),
    (
        Answer(200, b"5\r\nabc", {"transfer-encoding": "chunked", "connection": "close"}),
        Delivered(unreadable=True),
    ),
]


@pytest.mark.parametrize(("answer", "reply"), SUCCESSES)
def test_a_success_is_understood(
    http_peer: HttpPeer, sender: HttpSender, answer: Answer, reply: Reply
) -> None:
    http_peer.script.append(answer)
    assert sender.send(b"x", TIMEOUT) == reply
    assert sender.send(b"y", TIMEOUT) == Delivered()


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_these_answers_may_be_tried_again(
    http_peer: HttpPeer, sender: HttpSender, status: int
) -> None:
    http_peer.script.append(Answer(status))
    assert sender.send(b"x", TIMEOUT) == Retry(f"answered {status}")


@pytest.mark.parametrize("status", [400, 408, 422, 500])
def test_these_answers_are_about_the_content(
    http_peer: HttpPeer, sender: HttpSender, status: int
) -> None:
    http_peer.script.append(Answer(status))
    assert sender.send(b"x", TIMEOUT) == Permanent(f"answered {status}", by_content=True)


@pytest.mark.parametrize("status", [301, 307, 308, 401, 403, 404, 405, 415, 501])
def test_these_answers_would_be_the_same_for_any_content(
    http_peer: HttpPeer, sender: HttpSender, status: int
) -> None:
    http_peer.script.append(Answer(status, headers={"location": "/elsewhere"}))
    assert sender.send(b"x", TIMEOUT) == Permanent(f"answered {status}", by_content=False)
    assert http_peer.paths == ["/v1/traces"]


def test_too_large_is_its_own_answer(http_peer: HttpPeer, sender: HttpSender) -> None:
    http_peer.script.append(Answer(413))
    assert sender.send(b"x", TIMEOUT) == TooLarge("answered 413")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (Status(code=3, message="bad trace id").SerializeToString(), "bad trace id"),
        (b"trace ids must be 128 bit\n", "trace ids must be 128 bit"),
        (b"\x00\xff\x1b[31mred", "\ufffd [31mred"),
        (b"<p>" + b"long " * 1000, "<p>" + "long " * 59 + "l…"),
        (b"", ""),
    ],
)
def test_the_reason_is_the_peers_own_words(
    http_peer: HttpPeer, sender: HttpSender, body: bytes, words: str
) -> None:
    http_peer.script.append(Answer(400, body))
    reply = sender.send(b"x", TIMEOUT)
    assert reply == Permanent("answered 400" + (f": {words}" if words else ""))


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        (formatdate(1_000_000_030, usegmt=True), 30.0),
        (formatdate(1_000_000_030), 30.0),
        (formatdate(999_999_000, usegmt=True), 0.0),
        ("soon", None),
        ("-1", None),
        ("1e9", None),
        ("", None),
        ("Mon, 01 Jan 99999999999 00:00:00 GMT", None),
        ("Mon, 01 Jan 2030 00:00:00 +99999999999999", None),
        ("Mon, 01 Jan 0001 00:00:00 +2359", 0.0),
        ("9" * 400, math.inf),  # the back-off has a longest wait
    ],
)
def test_retry_after_is_seconds_or_a_date(
    http_peer: HttpPeer, value: str, seconds: float | None
) -> None:
    http_peer.script.append(Answer(503, headers={"retry-after": value}))
    sender = HttpSender(settings_for(http_peer.port), _ClockAt(1_000_000_000))
    reply = sender.send(b"x", TIMEOUT)
    assert isinstance(reply, Retry)
    assert reply.after == (pytest.approx(seconds) if seconds is not None else None)


class _ClockAt(SystemClock):
    def __init__(self, seconds: int) -> None:
        self._seconds = seconds

    def time_ns(self) -> int:
        return self._seconds * 10**9


def test_a_refused_connection_is_said_in_plain_words() -> None:
    with no_one() as port:
        reply = HttpSender(settings_for(port), SystemClock()).send(b"x", TIMEOUT)
    assert reply == Retry("connection refused")


def test_a_name_that_does_not_exist_is_said_in_plain_words() -> None:
    sender = HttpSender(settings_for("http://nowhere.invalid:4318"), SystemClock())
    assert sender.send(b"x", TIMEOUT) == Retry("the name nowhere.invalid can't be resolved")


def test_a_reset_connection_was_not_answered(http_peer: HttpPeer, sender: HttpSender) -> None:
    http_peer.otherwise = lambda body: Reset()
    assert sender.send(b"x", TIMEOUT) == Retry("connection reset by peer", unanswered=True)


SILENT = [
    Hang(),
    Drip(),
    Drip(b"HTTP/1.1 200 OK\r\nx-header: "),
    Drip(b"HTTP/1.1 503 Unavailable"),
]


@pytest.mark.parametrize("action", SILENT)
def test_one_time_limit_holds_for_the_whole_request(
    http_peer: HttpPeer, sender: HttpSender, action: Hang | Drip
) -> None:
    http_peer.script.append(action)
    reply = sender.send(b"x", SHORT)
    assert reply == Retry("no complete answer within 0.2 s", unanswered=True)
    assert sender.send(b"y", TIMEOUT) == Delivered()


def test_a_short_time_limit_holds_after_a_long_one_and_after_a_pause(
    http_peer: HttpPeer, sender: HttpSender
) -> None:
    late = Retry("no complete answer within 0.2 s", unanswered=True)
    http_peer.script.extend([Answer(), Drip(), Drip(), Answer()])
    assert sender.send(b"a", 1000) == Delivered()
    assert sender.send(b"b", SHORT) == late
    assert sender.send(b"c", SHORT) == late
    assert sender.send(b"d", TIMEOUT) == Delivered()


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 60000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\n",
    ],
)
def test_a_success_whose_body_never_ends_is_a_success(
    http_peer: HttpPeer, sender: HttpSender, head: bytes
) -> None:
    http_peer.script.append(Drip(head))
    assert sender.send(b"x", SHORT) == Delivered(unreadable=True)
    assert sender.send(b"y", TIMEOUT) == Delivered()


def test_an_error_whose_body_never_ends_is_that_error(
    http_peer: HttpPeer, sender: HttpSender
) -> None:
    http_peer.script.append(Drip(b"HTTP/1.1 503 Busy\r\nretry-after: 9\r\n\r\n"))
    reply = sender.send(b"x", SHORT)
    assert isinstance(reply, Retry)
    assert reply.reason.startswith("answered 503")
    assert reply.after == 9.0


def test_a_peer_that_does_not_read_is_given_up_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=1) as deaf:
        settings = settings_for(deaf.getsockname()[1])
        reply = HttpSender(settings, SystemClock()).send(bytes(50_000_000), SHORT)
    assert reply == Retry("no complete answer within 0.2 s", unanswered=True)


def test_an_answer_that_is_no_http_may_be_tried_again_and_its_connection_is_closed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(TIMEOUT)
        ended: list[bytes] = []

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.settimeout(TIMEOUT)
                connection.recv(65536)
                connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
                while received := connection.recv(65536):
                    pass
                ended.append(received)

        thread = threading.Thread(target=answer)
        thread.start()
        sender = HttpSender(settings_for(server.getsockname()[1]), SystemClock())
        reply = sender.send(b"x", TIMEOUT)
        thread.join()
        assert ended == [b""]
    assert reply == Retry("what answers there does not speak HTTP/1.1: SSH-2.0-OpenSSH_9.2")


def test_a_grpc_port_is_told_from_http_in_plain_words(grpc_peer: GrpcPeer) -> None:
    sender = HttpSender(settings_for(grpc_peer.port), SystemClock())
    words = "what answers there does not speak HTTP/1.1 (a gRPC port?)"
    assert sender.send(b"x", TIMEOUT) == Retry(words)


def test_a_grpc_port_that_stays_open_is_told_from_http(
    http_peer: HttpPeer, sender: HttpSender
) -> None:
    http_peer.script.append(Drip(b"\0\0\x06\x04\0\0\0\0\0"))
    words = "what answers there does not speak HTTP/1.1 (a gRPC port?)"
    assert sender.send(b"x", SHORT) == Retry(words)


@pytest.mark.parametrize(
    ("final", "expected"),
    [(Answer(), Delivered()), (Answer(503), Retry("answered 503"))],
)
def test_answers_before_the_final_one_are_passed_over(
    http_peer: HttpPeer, sender: HttpSender, final: Answer, expected: Reply
) -> None:
    hints = (b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n", b"HTTP/1.1 102 Wait\r\n\r\n")
    http_peer.script.extend([replace(final, interim=b"".join(hints)), Answer()])
    assert sender.send(b"x", TIMEOUT) == expected
    assert sender.send(b"y", TIMEOUT) == Delivered()
    assert len(http_peer.connections) == 1


def test_answers_before_the_final_one_without_end_end_in_time(
    http_peer: HttpPeer, sender: HttpSender
) -> None:
    http_peer.script.append(Repeat(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"))
    expected = Retry(f"no complete answer within {SHORT:g} s", unanswered=True)
    assert sender.send(b"x", SHORT) == expected
    assert sender.send(b"y", TIMEOUT) == Delivered()


def test_closing_ends_a_request_in_flight(
    http_peer: HttpPeer,
    sender: HttpSender,
    eventually: Callable[[Callable[[], object], str], None],
) -> None:
    http_peer.script.append(Hang())
    replies: list[Reply] = []
    thread = threading.Thread(target=lambda: replies.append(sender.send(b"x", 1000)))
    thread.start()
    eventually(lambda: http_peer.seen, "the request has arrived")
    sender.close()
    thread.join(TIMEOUT)
    assert replies == [Retry("the sender is closed")]
    assert sender.send(b"y", TIMEOUT) == Retry("the sender is closed")


def test_a_success_that_closing_cuts_short_is_none(
    http_peer: HttpPeer, sender: HttpSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    http_peer.script.append(Drip(b"HTTP/1.1 200 OK\r\ncontent-length: 60000\r\n\r\n"))
    headers_are_there = threading.Event()
    read = HTTPResponse.read

    def read_and_tell(response: HTTPResponse, *args: Any, **kwargs: Any) -> bytes:
        headers_are_there.set()
        return read(response, *args, **kwargs)

    monkeypatch.setattr(HTTPResponse, "read", read_and_tell)
    replies: list[Reply] = []
    thread = threading.Thread(target=lambda: replies.append(sender.send(b"x", 1000)))
    thread.start()
    assert headers_are_there.wait(TIMEOUT)
    sender.close()
    thread.join(TIMEOUT)
    assert replies == [Retry("the sender is closed")]
