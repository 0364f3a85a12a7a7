"""TLS and mutual TLS for OTLP, met by grpcio and by Python's own TLS."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
import urllib3

from certificate_files import Authority, Issued
from receivers.receiver_pipeline import PipelineFactory, ReceiverPipeline
from receivers.sent_signals import TRACES
from spanmill.clock import SystemClock
from spanmill.config.auth import OtlpAuthConfig
from spanmill.config.tls import HttpTlsConfig, ServerTlsConfig
from spanmill.errors import StartError
from spanmill.http_server.tls import contexts_of
from spanmill.receivers import grpc_tls
from spanmill.receivers.auth import clients_of
from spanmill.receivers.grpc import GrpcReceiver
from spanmill.receivers.http import HttpReceiver

BODY = TRACES.good(1)
MIB = 1 << 20


class SteppedClock(SystemClock):
    """Its monotonic time goes on by two seconds with each look."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        self.seconds += 2
        return self.seconds


class Encrypted:
    """Both receivers with one certificate, and clients of each."""

    def __init__(
        self, pipeline: ReceiverPipeline, authority: Authority, *, mutual: bool, token: str | None
    ) -> None:
        self.pipeline = pipeline
        self.authority = authority
        self.issued = authority.issue("server")
        files = {
            "cert_file": self.issued.cert,
            "key_file": self.issued.key,
            "client_ca_file": authority.cert if mutual else None,
        }
        auth = OtlpAuthConfig.model_validate({"tokens": {"shop": token}}) if token else None
        clients = clients_of(auth, SystemClock())
        clock = SteppedClock()
        for intake in pipeline.intakes:
            intake.clock = clock
        self.grpc = GrpcReceiver(
            pipeline.intakes,
            "127.0.0.1",
            0,
            MIB,
            handler_threads=4,
            clients=clients,
            tls=ServerTlsConfig.model_validate(files),
        )
        self.http = HttpReceiver(
            pipeline.intakes,
            "127.0.0.1",
            0,
            MIB,
            clients=clients,
            contexts=contexts_of(HttpTlsConfig.model_validate(files), clock, "http.tls"),
        )
        for receiver in (self.grpc, self.http):
            receiver.bind()
            receiver.start()

    def over_grpc(
        self, certificate: Issued | None = None, token: str | None = None
    ) -> grpc.StatusCode:
        credentials = grpc.ssl_channel_credentials(
            self.authority.cert.read_bytes(),
            certificate.key.read_bytes() if certificate else None,
            certificate.cert.read_bytes() if certificate else None,
        )
        if token is not None:
            credentials = grpc.composite_channel_credentials(
                credentials, grpc.access_token_call_credentials(token)
            )
        options = [("grpc.use_local_subchannel_pool", 1)]
        with grpc.secure_channel(f"localhost:{self.grpc.port}", credentials, options) as channel:
            return channel.unary_unary(TRACES.method, None, None).future(BODY, timeout=20).code()

    def over_http(self, certificate: Issued | None = None, token: str | None = None) -> int:
        headers = {"Content-Type": "application/x-protobuf"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        with urllib3.HTTPSConnectionPool(
            "localhost",
            self.http.port,
            ca_certs=str(self.authority.cert),
            cert_file=str(certificate.cert) if certificate else None,
            key_file=str(certificate.key) if certificate else None,
            retries=False,
            timeout=20,
        ) as pool:
            return pool.urlopen("POST", TRACES.path, body=BODY, headers=headers).status

    def served_certificate(self, port: int) -> bytes | None:
        context = ssl.create_default_context(cafile=self.authority.cert)
        context.set_alpn_protocols(["h2", "http/1.1"])
        plain = socket.create_connection(("127.0.0.1", port), timeout=20)
        with context.wrap_socket(plain, server_hostname="localhost") as connection:
            return connection.getpeercert(binary_form=True)

    def sources(self) -> list[str]:
        return [record.entry.source for record in self.pipeline.records]

    def stop(self) -> None:
        self.grpc.stop(5)
        self.http.stop(5)


Encrypt = Callable[..., Encrypted]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def encrypt(start_pipeline: PipelineFactory, authority: Authority) -> Iterator[Encrypt]:
    started: list[Encrypted] = []

    def start(*, mutual: bool = False, token: str | None = None) -> Encrypted:
        started.append(Encrypted(start_pipeline(), authority, mutual=mutual, token=token))
        return started[-1]

    yield start
    for encrypted in started:
        encrypted.stop()


def test_promise_25_requests_are_taken_over_tls(encrypt: Encrypt) -> None:
    encrypted = encrypt()
    assert encrypted.over_grpc() is grpc.StatusCode.OK
    assert encrypted.over_http() == 200
    assert encrypted.sources() == ["127.0.0.1", "127.0.0.1"]


def test_promise_25_a_client_certificate_is_the_identity_on_both_transports(
    encrypt: Encrypt, authority: Authority
) -> None:
    encrypted = encrypt(mutual=True)
    names = {
        "DNS:shop.example,URI:spiffe://example/shop": "certificate:spiffe://example/shop",
        "IP:127.0.0.1,DNS:shop.example": "certificate:shop.example",
        "IP:127.0.0.1": "certificate:client",
    }
    for alternative in names:
        client = authority.issue("client", alternative)
        assert encrypted.over_grpc(client) is grpc.StatusCode.OK
        assert encrypted.over_http(client) == 200
    assert encrypted.sources() == [each for name in names.values() for each in (name, name)]


def test_a_certificate_without_a_name_is_known_by_its_hash(
    encrypt: Encrypt, authority: Authority
) -> None:
    encrypted = encrypt(mutual=True)
    client = authority.issue("client", "IP:127.0.0.1", subject="/O=Example")
    encrypted.over_grpc(client)
    encrypted.over_http(client)
    over_grpc, over_http = encrypted.sources()
    assert over_grpc == over_http
    assert over_grpc.startswith("certificate:sha256:")


def test_promise_25_without_a_certificate_of_the_authority_nothing_is_taken(
    encrypt: Encrypt, authority: Authority, tmp_path: Path
) -> None:
    encrypted = encrypt(mutual=True)
    stranger = Authority(tmp_path, "stranger").issue("stranger-client")
    for certificate in (None, stranger, authority.issue("old", expired=True)):
        assert encrypted.over_grpc(certificate) is grpc.StatusCode.UNAVAILABLE
        with pytest.raises((urllib3.exceptions.HTTPError, OSError)):
            encrypted.over_http(certificate)
    assert encrypted.pipeline.journal.submitted == 0


def test_a_token_is_wanted_beside_the_certificate_and_names_the_client(
    encrypt: Encrypt, authority: Authority
) -> None:
    encrypted = encrypt(mutual=True, token="secret")
    client = authority.issue("client")
    assert encrypted.over_grpc(client) is grpc.StatusCode.UNAUTHENTICATED
    assert encrypted.over_http(client) == 401
    assert encrypted.over_grpc(client, "secret") is grpc.StatusCode.OK
    assert encrypted.over_http(client, "secret") == 200
    assert encrypted.sources() == ["token:shop", "token:shop"]


def test_promise_25_renewed_files_are_used_for_new_connections_at_once(
    encrypt: Encrypt, authority: Authority
) -> None:
    encrypted = encrypt()
    ports = (encrypted.grpc.port, encrypted.http.port)
    before = [encrypted.served_certificate(port) for port in ports]
    authority.issue("renewed").copy_to(encrypted.issued)
    after = [encrypted.served_certificate(port) for port in ports]
    assert after[0] == after[1]
    assert after[0] not in before


def test_promise_25_a_broken_renewal_leaves_the_old_certificate(encrypt: Encrypt) -> None:
    encrypted = encrypt()
    encrypted.issued.cert.write_text("rubbish")
    for _ in range(3):
        assert encrypted.over_grpc() is grpc.StatusCode.OK
        assert encrypted.over_http() == 200


def test_http2_is_agreed_upon_for_grpc_and_http1_for_http(
    encrypt: Encrypt, authority: Authority
) -> None:
    encrypted = encrypt()
    for port, protocol in ((encrypted.grpc.port, "h2"), (encrypted.http.port, "http/1.1")):
        context = ssl.create_default_context(cafile=authority.cert)
        context.set_alpn_protocols(["h2", "http/1.1"])
        plain = socket.create_connection(("127.0.0.1", port), timeout=20)
        with context.wrap_socket(plain, server_hostname="localhost") as connection:
            assert connection.selected_alpn_protocol() == protocol
            assert connection.version() == "TLSv1.3"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1:DeprecationWarning")  # what it is about
def test_promise_25_tls_1_1_is_refused(encrypt: Encrypt) -> None:
    encrypted = encrypt()
    for port in (encrypted.grpc.port, encrypted.http.port):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        plain = socket.create_connection(("127.0.0.1", port), timeout=20)
        with pytest.raises(OSError, match=r"(?i)ssl|tls|reset"):
            context.wrap_socket(plain, server_hostname="localhost")
        plain.close()


def test_promise_25_plain_text_on_the_encrypted_port_gets_no_answer(encrypt: Encrypt) -> None:
    encrypted = encrypt()
    with grpc.insecure_channel(f"127.0.0.1:{encrypted.grpc.port}") as channel:
        code = channel.unary_unary(TRACES.method, None, None).future(BODY, timeout=20).code()
    assert code is grpc.StatusCode.UNAVAILABLE
    assert encrypted.over_grpc() is grpc.StatusCode.OK


def test_a_silent_handshake_over_grpc_is_cut_and_holds_up_nobody(encrypt: Encrypt) -> None:
    encrypted = encrypt()
    with socket.create_connection(("127.0.0.1", encrypted.grpc.port), timeout=60) as silent:
        begun = time.monotonic()
        assert encrypted.over_grpc() is grpc.StatusCode.OK
        assert silent.recv(1) == b""
        assert time.monotonic() - begun < 60


def test_unusable_files_stop_the_start_with_a_sentence(authority: Authority) -> None:
    good, other = authority.issue("server"), authority.issue("other")
    tls = ServerTlsConfig.model_validate({"cert_file": good.cert, "key_file": other.key})
    with pytest.raises(StartError, match=r"^receivers\.otlp\.grpc\.tls\.cert_file: .*mismatch$"):
        grpc_tls.server_credentials(tls, SystemClock())
