"""The HTTP sender over TLS, against a real server."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from exporters.otlp.certificates import Certificates
from exporters.otlp.peers import HttpPeer
from exporters.otlp.settings_for import settings_for
from spanmill.clock import SystemClock
from spanmill.errors import StartError
from spanmill.exporters.otlp.http import HttpSender
from spanmill.exporters.otlp.sender import Delivered, Retry
from spanmill.exporters.otlp.settings import DestinationSettings, TlsSettings
from spanmill.testing import ManualClock

TIMEOUT = 20.0
SHORT = 0.2  # for peers that never answer


def secure(peer: HttpPeer, tls: TlsSettings, host: str = "localhost") -> DestinationSettings:
    return settings_for(f"https://{host}:{peer.port}", tls=tls)


def test_tls_with_a_named_authority(certificates: Certificates) -> None:
    peer = HttpPeer(certificates.server_context(ask_client=False))
    settings = secure(peer, TlsSettings(ca_file=certificates.file("server.pem")))
    assert HttpSender(settings, SystemClock()).send(b"x", TIMEOUT) == Delivered()
    assert peer.seen == [b"x"]
    peer.close()


def test_tls_that_is_not_trusted_is_said_and_may_be_tried_again(
    certificates: Certificates,
) -> None:
    peer = HttpPeer(certificates.server_context(ask_client=False))
    reply = HttpSender(secure(peer, TlsSettings()), SystemClock()).send(b"x", TIMEOUT)
    assert reply == Retry("TLS: self-signed certificate")
    assert peer.seen == []
    peer.close()


def test_tls_with_our_own_certificate(certificates: Certificates) -> None:
    peer = HttpPeer(certificates.server_context(ask_client=True))
    ours = TlsSettings(
        certificates.file("server.pem"),
        certificates.file("client.pem"),
        certificates.file("client.key"),
    )
    assert HttpSender(secure(peer, ours), SystemClock()).send(b"x", TIMEOUT) == Delivered()
    nameless = TlsSettings(certificates.file("server.pem"))
    reply = HttpSender(secure(peer, nameless), SystemClock()).send(b"x", TIMEOUT)
    assert isinstance(reply, Retry)
    assert peer.seen == [b"x"]
    peer.close()


def test_a_tls_handshake_that_is_never_answered_ends_in_time(certificates: Certificates) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"https://localhost:{deaf.getsockname()[1]}"
        tls = TlsSettings(certificates.file("server.pem"))
        reply = HttpSender(settings_for(url, tls=tls), SystemClock()).send(b"x", SHORT)
    assert isinstance(reply, Retry)
    assert "within 0.2 s" in reply.reason


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        (("missing.pem", None, None), r"tls\.ca_file: can't use .*missing\.pem: No such file"),
        (("server.key", None, None), r"tls\.ca_file: can't use .*server\.key"),
        ((None, "missing.pem", None), r"tls\.cert_file: can't use .*missing\.pem .*No such file"),
        ((None, "client.pem", "server.key"), r"tls\.cert_file: .*key values mismatch"),
        ((None, None, "client.key"), r"tls\.key_file: needs cert_file"),
    ],
)
def test_a_wrong_file_is_said_at_the_start(
    certificates: Certificates, files: tuple[str | None, ...], sentence: str
) -> None:
    ca, cert, key = (_path(certificates, name) for name in files)
    settings = settings_for("https://localhost:4318", tls=TlsSettings(ca, cert, key))
    with pytest.raises(StartError, match=rf"^exporters\.otlp_traces\.tempo\.{sentence}"):
        HttpSender(settings, ManualClock())


def _path(certificates: Certificates, name: str | None) -> Path | None:
    return certificates.file(name) if name is not None else None
