"""TLS on the HTTP server, met by real TLS clients."""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from certificate_files import Authority, Issued
from http_server.connections import GET, LAST_GET, OK, Serve, answer, echo, read_to_end
from spanmill.clock import SystemClock
from spanmill.config.tls import HttpTlsConfig
from spanmill.errors import StartError
from spanmill.http_server import ConnectionLimits, HttpServer, Receive, Scope, Send
from spanmill.http_server.connection import CLIENT_CERTIFICATE
from spanmill.http_server.tls import http_contexts
from waiting import Eventually

KEY = "exporters.prometheus.tls"


class SteppedClock(SystemClock):
    """Its monotonic time goes on by a minute with each look."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        self.seconds += 60
        return self.seconds


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def server_files(authority: Authority) -> Issued:
    return authority.issue("server")


@pytest.fixture
def serve_tls(serve: Serve, server_files: Issued) -> Callable[..., HttpServer]:
    def start(app: object = echo, **options: object) -> HttpServer:
        tls = HttpTlsConfig.model_validate(
            {
                "cert_file": server_files.cert,
                "key_file": server_files.key,
                "client_ca_file": options.pop("client_ca_file", None),
                "min_version": options.pop("min_version", "1.2"),
            }
        )
        contexts = http_contexts(tls, SteppedClock(), KEY)
        return serve(app, contexts=contexts.current, **options)

    return start


def client_context(authority: Authority, certificate: Issued | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authority.cert)
    if certificate is not None:
        context.load_cert_chain(certificate.cert, certificate.key)
    return context


def connect_tls(server: HttpServer, context: ssl.SSLContext) -> ssl.SSLSocket:
    plain = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    return context.wrap_socket(plain, server_hostname="localhost")


def get(server: HttpServer, context: ssl.SSLContext) -> bytes:
    with connect_tls(server, context) as connection:
        connection.sendall(LAST_GET)
        return read_to_end(connection)


async def tell_who(scope: Scope, receive: Receive, send: Send) -> None:
    name = scope["extensions"].get(CLIENT_CERTIFICATE, "nobody")
    await answer(send, f"{scope['scheme']} {name}".encode())


def test_requests_are_answered_over_tls(
    serve_tls: Callable[..., HttpServer], authority: Authority
) -> None:
    got = get(serve_tls(tell_who), client_context(authority))
    assert got.startswith(OK)
    assert got.endswith(b"https nobody")


def test_a_large_body_and_its_echo_go_through(
    serve_tls: Callable[..., HttpServer], authority: Authority
) -> None:
    body = b"x" * 3_000_000
    with connect_tls(serve_tls(), client_context(authority)) as connection:
        head = b"POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
        connection.sendall(head % len(body) + body)
        assert read_to_end(connection).endswith(b"\r\n\r\n" + body)


def test_a_request_in_the_same_packet_as_the_end_of_the_handshake_is_read(
    serve_tls: Callable[..., HttpServer], authority: Authority
) -> None:
    server = serve_tls()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = client_context(authority).wrap_bio(incoming, outgoing, server_hostname="localhost")
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                connection.sendall(outgoing.read())
                incoming.write(connection.recv(65536))
        tls.write(LAST_GET)
        connection.sendall(outgoing.read())  # the client's last word and its request, in one
        incoming.write(read_to_end(connection))
        assert tls.read(65536).startswith(OK)


def test_plain_text_on_the_encrypted_port_is_cut(serve_tls: Callable[..., HttpServer]) -> None:
    server = serve_tls()
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(GET)
        assert OK not in read_to_end(connection)


@pytest.mark.parametrize(("version", "taken"), [("TLSv1_2", False), ("TLSv1_3", True)])
def test_the_oldest_version_can_be_chosen(
    serve_tls: Callable[..., HttpServer], authority: Authority, version: str, taken: bool
) -> None:
    server = serve_tls(min_version="1.3")
    context = client_context(authority)
    context.maximum_version = ssl.TLSVersion[version]
    if taken:
        assert get(server, context).startswith(OK)
    else:
        with pytest.raises(ssl.SSLError):
            get(server, context)


def test_a_client_of_the_authority_is_known_by_its_certificate(
    serve_tls: Callable[..., HttpServer], authority: Authority
) -> None:
    server = serve_tls(tell_who, client_ca_file=authority.cert)
    spiffe = authority.issue("client", "DNS:shop.example,URI:spiffe://example/shop")
    assert get(server, client_context(authority, spiffe)).endswith(b"https spiffe://example/shop")
    named = authority.issue("second", "DNS:shop.example")
    assert get(server, client_context(authority, named)).endswith(b"https shop.example")
    common = authority.issue("third", "")
    assert get(server, client_context(authority, common)).endswith(b"https third")


def test_a_client_without_a_certificate_of_the_authority_gets_nothing(
    serve_tls: Callable[..., HttpServer], authority: Authority, tmp_path: Path
) -> None:
    server = serve_tls(client_ca_file=authority.cert)
    stranger = Authority(tmp_path, "stranger").issue("other")
    for certificate in (None, stranger, authority.issue("old", expired=True)):
        try:
            got = get(server, client_context(authority, certificate))
        except OSError:
            got = b""
        assert got == b""


def test_a_renewed_certificate_is_shown_without_a_restart(
    serve_tls: Callable[..., HttpServer], authority: Authority, server_files: Issued
) -> None:
    server = serve_tls()
    old = connect_tls(server, client_context(authority))
    authority.issue("renewed").copy_to(server_files)
    with connect_tls(server, client_context(authority)) as new:
        assert new.getpeercert(binary_form=True) != old.getpeercert(binary_form=True)
    old.sendall(LAST_GET)  # who is connected stays connected
    assert read_to_end(old).startswith(OK)
    old.close()


def test_a_broken_renewal_is_logged_once_and_the_old_certificate_stays(
    serve_tls: Callable[..., HttpServer],
    authority: Authority,
    server_files: Issued,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = serve_tls()
    good_key = server_files.key.read_bytes()
    server_files.key.write_bytes(authority.issue("other").key.read_bytes())
    with caplog.at_level(logging.ERROR):
        for _ in range(4):
            assert get(server, client_context(authority)).startswith(OK)
    (record,) = caplog.records
    assert "mismatch" in record.reason  # type: ignore[attr-defined] # given as extra
    server_files.key.write_bytes(good_key)
    assert get(server, client_context(authority)).startswith(OK)


def test_a_certificate_without_its_key_for_a_moment_is_no_news(
    serve_tls: Callable[..., HttpServer],
    authority: Authority,
    server_files: Issued,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = serve_tls()
    renewed = authority.issue("renewed")
    with caplog.at_level(logging.ERROR):
        server_files.cert.write_bytes(renewed.cert.read_bytes())
        assert get(server, client_context(authority)).startswith(OK)
        server_files.key.write_bytes(renewed.key.read_bytes())
        assert get(server, client_context(authority)).startswith(OK)
    assert not caplog.records


def test_a_handshake_that_never_ends_is_cut_and_holds_up_nobody(
    serve_tls: Callable[..., HttpServer], authority: Authority
) -> None:
    server = serve_tls(limits=ConnectionLimits(header=0.3))
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as silent:
        assert get(server, client_context(authority)).startswith(OK)
        assert read_to_end(silent) == b""


def test_handshakes_count_as_connections_and_make_room(
    serve_tls: Callable[..., HttpServer], authority: Authority
) -> None:
    server = serve_tls(max_connections=3, limits=ConnectionLimits(header=600))
    silent = [socket.create_connection(("127.0.0.1", server.port), timeout=20) for _ in range(9)]
    assert get(server, client_context(authority)).startswith(OK)
    for connection in silent[:6]:
        assert read_to_end(connection) == b""
    for connection in silent:
        connection.close()


def test_a_server_that_stops_cuts_handshakes(
    serve: Serve, serve_tls: Callable[..., HttpServer], eventually: Eventually
) -> None:
    server = serve_tls(limits=ConnectionLimits(header=600))
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as silent:
        server.stop(5)
        assert read_to_end(silent) == b""


def refused(tls: dict[str, object]) -> str:
    with pytest.raises(StartError) as error:
        http_contexts(HttpTlsConfig.model_validate(tls), SystemClock(), KEY)
    return str(error.value)


def test_files_that_cannot_be_used_are_said_in_a_sentence(
    authority: Authority, server_files: Issued, tmp_path: Path
) -> None:
    good = {"cert_file": server_files.cert, "key_file": server_files.key}
    missing, rubbish = tmp_path / "missing", tmp_path / "rubbish"
    rubbish.write_text("-----BEGIN RUBBISH-----")
    other = authority.issue("other")
    old = authority.issue("old", expired=True)
    assert refused({**good, "key_file": missing}) == (
        f"{KEY}: can't read {missing}: No such file or directory"
    )
    assert refused({**good, "key_file": other.key}).endswith(": key values mismatch")
    assert refused({**good, "cert_file": rubbish}).startswith(f"{KEY}.cert_file: can't use")
    assert refused({"cert_file": old.cert, "key_file": old.key}) == (
        f"{KEY}.cert_file: can't use {old.cert}: certificate has expired"
    )
    assert refused({**good, "client_ca_file": rubbish}).startswith(
        f"{KEY}.client_ca_file: can't use {rubbish}"
    )
