"""Who may send, on both transports, through the receivers that a user runs."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
import urllib3
from google.rpc import status_pb2
from grpc import StatusCode
from grpc_health.v1 import health_pb2, health_pb2_grpc

from receivers.receiver_pipeline import PipelineFactory, ReceiverPipeline
from receivers.sent_signals import TRACES
from spanmill.clock import SystemClock
from spanmill.config.auth import OtlpAuthConfig
from spanmill.errors import StartError
from spanmill.receivers.auth import Clients, clients_of
from spanmill.receivers.grpc import GrpcReceiver
from spanmill.receivers.http import HttpReceiver

TOKEN = "a-long-secret-token"
BODY = TRACES.good(1)
MIB = 1 << 20


class SteppedClock(SystemClock):
    """Its monotonic time goes on by two seconds with each look."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        self.seconds += 2
        return self.seconds


@dataclass
class Guarded:
    """Both receivers, which ask for a token."""

    pipeline: ReceiverPipeline
    grpc: GrpcReceiver
    http: HttpReceiver

    def over_grpc(self, *authorization: str, body: bytes = BODY) -> StatusCode:
        with grpc.insecure_channel(f"127.0.0.1:{self.grpc.port}") as channel:
            export = channel.unary_unary(TRACES.method, None, None)
            metadata = tuple(("authorization", value) for value in authorization)
            return export.future(body, timeout=20, metadata=metadata).code()

    def over_http(
        self, *authorization: str, body: bytes = BODY, path: str = TRACES.path
    ) -> urllib3.BaseHTTPResponse:
        headers = urllib3.HTTPHeaderDict({"Content-Type": "application/x-protobuf"})
        for value in authorization:
            headers.add("Authorization", value)
        url = f"http://127.0.0.1:{self.http.port}{path}"
        return urllib3.request("POST", url, body=body, headers=headers, retries=False, timeout=20)


Guard = Callable[..., Guarded]


@pytest.fixture
def guard(start_pipeline: PipelineFactory) -> Iterator[Guard]:
    started: list[GrpcReceiver | HttpReceiver] = []

    def start(clients: Clients | None = None) -> Guarded:
        pipeline = start_pipeline()
        clients = clients or clients_of(
            OtlpAuthConfig.model_validate({"tokens": {"shop": TOKEN, "cart": TOKEN + "2"}}),
            SystemClock(),
        )
        guarded = Guarded(
            pipeline,
            GrpcReceiver(pipeline.intakes, "127.0.0.1", 0, MIB, handler_threads=4, clients=clients),
            HttpReceiver(pipeline.intakes, "127.0.0.1", 0, MIB, clients=clients),
        )
        for receiver in (guarded.grpc, guarded.http):
            receiver.bind()
            receiver.start()
            started.append(receiver)
        return guarded

    yield start
    for receiver in started:
        receiver.stop(5)


def sources(guarded: Guarded) -> list[str]:
    return [record.entry.source for record in guarded.pipeline.records]


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer  "])
def test_the_name_of_the_token_is_the_client(guard: Guard, scheme: str) -> None:
    guarded = guard()
    assert guarded.over_grpc(f"{scheme} {TOKEN}") is StatusCode.OK
    assert guarded.over_http(f"{scheme} {TOKEN}2").status == 200
    assert sources(guarded) == ["token:shop", "token:cart"]


WRONG = {
    "missing": (),
    "wrong": ("Bearer nobody",),
    "empty": ("Bearer ",),
    "only a scheme": ("Bearer",),
    "cut short": (f"Bearer {TOKEN[:-1]}",),
    "longer": (f"Bearer {TOKEN}x",),
    "in capitals": (f"Bearer {TOKEN.upper()}",),
    "twice": (f"Bearer {TOKEN}", f"Bearer {TOKEN}"),
    "one right, one wrong": (f"Bearer {TOKEN}", "Bearer nobody"),
    "without a scheme": (TOKEN,),
    "of another scheme": (f"Basic {TOKEN}",),
    "a list": (f"Bearer {TOKEN}, Bearer {TOKEN}",),
}


@pytest.mark.parametrize("authorization", WRONG.values(), ids=WRONG.keys())
def test_promise_12_any_other_header_is_refused(
    guard: Guard, authorization: tuple[str, ...]
) -> None:
    guarded = guard()
    assert guarded.over_grpc(*authorization) is StatusCode.UNAUTHENTICATED
    answer = guarded.over_http(*authorization)
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="spanmill"'
    assert status_pb2.Status.FromString(answer.data).code == StatusCode.UNAUTHENTICATED.value[0]
    assert TOKEN.encode() not in answer.data
    assert guarded.pipeline.requests("grpc", "refused") == 1
    assert guarded.pipeline.requests("http", "refused") == 1
    assert guarded.pipeline.journal.submitted == 0


def test_bad_input_38_a_right_token_with_a_space_behind_it_is_refused(guard: Guard) -> None:
    guarded = guard()
    assert guarded.over_grpc(f"Bearer {TOKEN} ") is StatusCode.UNAUTHENTICATED
    assert guarded.over_http(f"Bearer {TOKEN} ").status == 401


def test_bad_input_38_a_token_of_a_megabyte_is_refused_and_neighbours_are_served(
    guard: Guard,
) -> None:
    guarded = guard()
    huge = "Bearer " + "x" * MIB
    assert guarded.over_grpc(huge) is not StatusCode.OK
    with socket.create_connection(("127.0.0.1", guarded.http.port), timeout=20) as connection:
        head = f"POST /v1/traces HTTP/1.1\r\nhost: x\r\nauthorization: {huge}\r\n\r\n"
        try:
            connection.sendall(head.encode())
            assert connection.recv(64).startswith(b"HTTP/1.1 431")
        except ConnectionError:
            pass  # it was refused before all of it was sent
    assert guarded.over_grpc(f"Bearer {TOKEN}") is StatusCode.OK
    assert guarded.over_http(f"Bearer {TOKEN}").status == 200


def test_promise_12_http_answers_before_the_body_has_come(guard: Guard) -> None:
    guarded = guard()
    with socket.create_connection(("127.0.0.1", guarded.http.port), timeout=20) as connection:
        connection.sendall(
            b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n"
            b"authorization: Bearer nobody\r\ncontent-length: 1000\r\n\r\n"
        )
        assert connection.recv(64).startswith(b"HTTP/1.1 401")


def test_promise_12_grpc_answers_before_the_message_has_come(guard: Guard) -> None:
    guarded = guard()
    answered = threading.Event()
    with grpc.insecure_channel(f"127.0.0.1:{guarded.grpc.port}") as channel:

        def never() -> Iterator[bytes]:
            answered.wait(20)
            yield BODY

        call = channel.stream_unary(TRACES.method, None, None).future(never(), timeout=20)
        assert call.code() is StatusCode.UNAUTHENTICATED
        answered.set()


def test_what_is_no_otlp_needs_no_token(guard: Guard) -> None:
    guarded = guard()
    with grpc.insecure_channel(f"127.0.0.1:{guarded.grpc.port}") as channel:
        check = health_pb2_grpc.HealthStub(channel).Check
        answer = check(health_pb2.HealthCheckRequest(), timeout=20)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        reflect = channel.stream_stream(
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", None, None
        )
        assert TRACES.method.split("/")[1].encode() in next(
            iter(reflect(iter([b":\x00"]), timeout=20))
        )
    assert guarded.over_http(path="/v1/logs").status == 404
    assert guarded.over_http(path="/nowhere").status == 404


def test_without_tokens_the_client_is_its_host(guard: Guard) -> None:
    guarded = guard(Clients(None, SystemClock()))
    assert guarded.over_grpc() is StatusCode.OK
    assert guarded.over_http("Bearer anything").status == 200
    assert sources(guarded) == ["127.0.0.1", "127.0.0.1"]


def test_a_token_file_is_read_again_when_it_changes(guard: Guard, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first\n\nsecond\n")
    guarded = guard(
        clients_of(OtlpAuthConfig.model_validate({"token_files": {"shop": file}}), SteppedClock())
    )
    assert guarded.over_http("Bearer first").status == 200
    assert guarded.over_http("Bearer second").status == 200
    file.write_text("second\nthird\n")
    assert guarded.over_http("Bearer first").status == 401
    assert guarded.over_grpc("Bearer third") is StatusCode.OK
    file.unlink()  # as half-way through a renewal
    assert guarded.over_http("Bearer third").status == 200
    assert set(sources(guarded)) == {"token:shop"}


@pytest.mark.parametrize("content", [b"", b"\n \n", b"two words\n", b"\xff\xfe", b"x" * 5000])
def test_a_token_file_that_cannot_be_used_stops_the_start(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)
    auth = OtlpAuthConfig.model_validate({"token_files": {"shop": file}})
    with pytest.raises(StartError, match=r"^receivers\.otlp\.auth\.token_files\.shop: ") as error:
        clients_of(auth, SystemClock())
    assert "words" not in str(error.value)


def test_a_section_without_a_token_stops_the_start() -> None:
    with pytest.raises(StartError, match="nobody could send"):
        clients_of(OtlpAuthConfig(), SystemClock())


def test_refusals_are_logged_once_a_minute_and_never_show_the_token(
    guard: Guard, caplog: pytest.LogCaptureFixture
) -> None:
    guarded = guard()
    with caplog.at_level(logging.DEBUG):
        for _ in range(3):
            guarded.over_http("Bearer almost-the-secret")
    records = [r for r in caplog.records if "token" in r.getMessage()]
    assert len(records) == 1
    assert all("almost-the-secret" not in str(vars(record)) for record in caplog.records)


def test_neither_the_configuration_nor_what_is_made_of_it_shows_a_token() -> None:
    auth = OtlpAuthConfig.model_validate({"tokens": {"shop": TOKEN}})
    clients = clients_of(auth, SystemClock())
    shown = repr(auth) + str(auth) + auth.model_dump_json() + repr(clients) + repr(vars(clients))
    assert TOKEN not in shown
