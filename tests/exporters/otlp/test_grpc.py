"""The gRPC sender against a real server."""

from __future__ import annotations

import socket
import threading

import grpc
import pytest

from exporters.otlp.certificates import Certificates
from exporters.otlp.peers import METHOD, Abort, Answer, GrpcPeer, Hang, no_one, partial
from exporters.otlp.settings_for import settings_for
from spanmill.errors import StartError
from spanmill.exporters.otlp.grpc import GrpcSender
from spanmill.exporters.otlp.sender import Delivered, Permanent, Reply, Retry, TooLarge
from spanmill.exporters.otlp.settings import TlsSettings
from waiting import Eventually

TIMEOUT = 20.0
SHORT = 0.2  # for peers that never answer
Code = grpc.StatusCode


def sender_to(peer: GrpcPeer, **settings: object) -> GrpcSender:
    return GrpcSender(settings_for(peer.port, "grpc", **settings))  # type: ignore[arg-type]  # by name


@pytest.fixture
def sender(grpc_peer: GrpcPeer) -> GrpcSender:
    return sender_to(grpc_peer)


def test_a_request_arrives_as_it_is(grpc_peer: GrpcPeer, sender: GrpcSender) -> None:
    assert sender.send(b"\x0a\x00", TIMEOUT) == Delivered()
    assert grpc_peer.seen == [b"\x0a\x00"]
    assert grpc_peer.paths == [METHOD]
    assert grpc_peer.headers[0]["user-agent"].startswith("spanmill/test ")


def test_headers_go_as_metadata_under_lower_case_names(grpc_peer: GrpcPeer) -> None:
    headers = {"X-Scope-OrgID": "shop", "User-Agent": "mine", "Trace-Bin": "\x01raw"}
    assert sender_to(grpc_peer, headers=headers).send(b"", TIMEOUT) == Delivered()
    assert grpc_peer.headers[0]["x-scope-orgid"] == "shop"
    assert grpc_peer.headers[0]["trace-bin"] == "b'\\x01raw'"
    assert grpc_peer.headers[0]["user-agent"].startswith("mine ")


def test_gzip_arrives_inflated(grpc_peer: GrpcPeer) -> None:
    body = b"spans " * 1000
    assert sender_to(grpc_peer, compression="gzip").send(body, TIMEOUT) == Delivered()
    assert grpc_peer.seen == [body]


def test_requests_over_the_usual_limit_are_sent_and_one_connection_serves_all() -> None:
    peer = GrpcPeer(options={"grpc.max_receive_message_length": -1})
    sender = sender_to(peer)
    for _ in range(3):
        assert sender.send(bytes(10_000_000), TIMEOUT) == Delivered()
    assert [len(body) for body in peer.seen] == [10_000_000] * 3
    assert len(peer.connections) == 1
    peer.close()


@pytest.mark.parametrize(
    ("body", "reply"),
    [
        (b"", Delivered()),
        (partial(3, "three were bad"), Delivered(3, "three were bad")),
        (partial(0, "slow down"), Delivered(0, "slow down")),
        (b"<html>", Delivered(unreadable=True)),
        (partial(1, "x" * 70_000), Delivered(unreadable=True)),
    ],
)
def test_a_success_is_understood(
    grpc_peer: GrpcPeer, sender: GrpcSender, body: bytes, reply: Reply
) -> None:
    grpc_peer.script.append(Answer(body=body))
    assert sender.send(b"x", TIMEOUT) == reply
    assert sender.send(b"y", TIMEOUT) == Delivered()


@pytest.mark.parametrize(
    "code",
    [
        Code.CANCELLED,
        Code.ABORTED,
        Code.OUT_OF_RANGE,
        Code.UNAVAILABLE,
        Code.DATA_LOSS,
    ],
)
def test_these_codes_may_be_tried_again(
    grpc_peer: GrpcPeer, sender: GrpcSender, code: grpc.StatusCode
) -> None:
    grpc_peer.script.append(Abort(code, "later"))
    assert sender.send(b"x", TIMEOUT) == Retry(f"{code.name}: later")


@pytest.mark.parametrize(
    "code",
    [
        Code.INVALID_ARGUMENT,
        Code.NOT_FOUND,
        Code.ALREADY_EXISTS,
        Code.FAILED_PRECONDITION,
        Code.INTERNAL,
        Code.UNKNOWN,
        Code.RESOURCE_EXHAUSTED,
    ],
)
def test_these_codes_are_about_the_content(
    grpc_peer: GrpcPeer, sender: GrpcSender, code: grpc.StatusCode
) -> None:
    grpc_peer.script.append(Abort(code, "no"))
    assert sender.send(b"x", TIMEOUT) == Permanent(f"{code.name}: no", by_content=True)


@pytest.mark.parametrize("code", [Code.UNAUTHENTICATED, Code.PERMISSION_DENIED, Code.UNIMPLEMENTED])
def test_these_codes_would_be_the_same_for_any_content(
    grpc_peer: GrpcPeer, sender: GrpcSender, code: grpc.StatusCode
) -> None:
    grpc_peer.script.append(Abort(code, "no"))
    assert sender.send(b"x", TIMEOUT) == Permanent(f"{code.name}: no", by_content=False)


@pytest.mark.parametrize("code", [Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED])
def test_retry_info_is_honoured(
    grpc_peer: GrpcPeer, sender: GrpcSender, code: grpc.StatusCode
) -> None:
    grpc_peer.script.append(Abort(code, "full", retry_after=2.5))
    assert sender.send(b"x", TIMEOUT) == Retry(f"{code.name}: full", after=2.5)


def test_two_destinations_at_one_address_have_a_connection_each(grpc_peer: GrpcPeer) -> None:
    senders = [sender_to(grpc_peer), sender_to(grpc_peer)]
    assert [sender.send(b"x", TIMEOUT) for sender in senders] == [Delivered()] * 2
    assert len(grpc_peer.connections) == 2


def test_a_proxy_in_the_environment_is_not_used(
    grpc_peer: GrpcPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_grpc_proxy", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with no_one() as port:
        for name in ("grpc_proxy", "http_proxy", "https_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
        assert sender_to(grpc_peer).send(b"x", TIMEOUT) == Delivered()


def test_a_peer_that_asks_for_patience_keeps_its_connection(
    grpc_peer: GrpcPeer, sender: GrpcSender
) -> None:
    grpc_peer.script.extend([Abort(Code.UNAVAILABLE, "full", retry_after=1)] * 3)
    for _ in range(4):
        sender.send(b"x", TIMEOUT)
    assert len(grpc_peer.connections) == 1


def test_a_message_over_the_peers_limit_is_too_large() -> None:
    peer = GrpcPeer(options={"grpc.max_receive_message_length": 1000})
    reply = sender_to(peer).send(bytes(1001), TIMEOUT)
    assert isinstance(reply, TooLarge)
    assert "1001 vs. 1000" in reply.reason
    assert peer.seen == []
    peer.close()


def test_the_go_servers_words_for_too_large_are_known(
    grpc_peer: GrpcPeer, sender: GrpcSender
) -> None:
    words = "grpc: received message larger than max (5000000 vs. 4194304)"
    grpc_peer.script.append(Abort(Code.RESOURCE_EXHAUSTED, words))
    assert isinstance(sender.send(b"x", TIMEOUT), TooLarge)


def test_a_peer_that_is_down_may_be_tried_again_and_is_found_as_soon_as_it_is_back(
    grpc_peer: GrpcPeer, sender: GrpcSender
) -> None:
    assert sender.send(b"a", TIMEOUT) == Delivered()
    grpc_peer.close()
    for _ in range(5):
        reply = sender.send(b"b", TIMEOUT)
        assert isinstance(reply, Retry)
        assert reply.reason.startswith("UNAVAILABLE: ")
    grpc_peer.open()
    assert sender.send(b"c", TIMEOUT) == Delivered()


def test_a_refused_connection_is_said() -> None:
    with no_one() as port:
        reply = GrpcSender(settings_for(port, "grpc")).send(b"x", TIMEOUT)
    assert isinstance(reply, Retry)
    assert "Connection refused" in reply.reason
    assert not reply.unanswered


def test_a_peer_that_never_answers_is_given_up_in_time_and_gets_a_new_connection(
    grpc_peer: GrpcPeer, sender: GrpcSender
) -> None:
    grpc_peer.script.append(Hang())
    assert sender.send(b"x", SHORT) == Retry("no answer within 0.2 s", unanswered=True)
    assert sender.send(b"y", TIMEOUT) == Delivered()
    assert len(grpc_peer.connections) == 2


def test_a_peer_that_accepts_and_says_nothing_is_given_up_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        reply = GrpcSender(settings_for(deaf.getsockname()[1], "grpc")).send(b"x", SHORT)
    assert isinstance(reply, Retry)


def test_a_peer_that_speaks_no_grpc_may_be_tried_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        reply = GrpcSender(settings_for(server.getsockname()[1], "grpc")).send(b"x", TIMEOUT)
        thread.join()
    assert isinstance(reply, Retry)


def test_closing_ends_a_request_in_flight(
    grpc_peer: GrpcPeer, sender: GrpcSender, eventually: Eventually
) -> None:
    grpc_peer.script.append(Hang())
    replies: list[Reply] = []
    thread = threading.Thread(target=lambda: replies.append(sender.send(b"x", 1000)))
    thread.start()
    eventually(lambda: grpc_peer.seen, "the request has arrived")
    sender.close()
    thread.join(TIMEOUT)
    assert len(replies) == 1
    assert isinstance(replies[0], Retry)
    assert sender.send(b"y", TIMEOUT) == Retry("the sender is closed")


def test_tls_with_a_named_authority_and_our_own_certificate(certificates: Certificates) -> None:
    peer = GrpcPeer(certificates.server_credentials(ask_client=True))
    url = f"https://localhost:{peer.port}"
    ours = TlsSettings(
        certificates.file("server.pem"),
        certificates.file("client.pem"),
        certificates.file("client.key"),
    )
    assert GrpcSender(settings_for(url, "grpc", tls=ours)).send(b"x", TIMEOUT) == Delivered()
    nameless = TlsSettings(certificates.file("server.pem"))
    reply = GrpcSender(settings_for(url, "grpc", tls=nameless)).send(b"x", TIMEOUT)
    assert isinstance(reply, Retry)
    assert peer.seen == [b"x"]
    peer.close()


def test_tls_that_is_not_trusted_may_be_tried_again(certificates: Certificates) -> None:
    peer = GrpcPeer(certificates.server_credentials(ask_client=False))
    settings = settings_for(f"https://localhost:{peer.port}", "grpc")
    reply = GrpcSender(settings).send(b"x", TIMEOUT)
    assert isinstance(reply, Retry)
    assert peer.seen == []
    peer.close()


def test_a_wrong_file_is_said_at_the_start(certificates: Certificates) -> None:
    tls = TlsSettings(ca_file=certificates.file("missing.pem"))
    with pytest.raises(StartError, match=r"tls\.ca_file: can't use .*missing\.pem"):
        GrpcSender(settings_for("https://localhost:4317", "grpc", tls=tls))
