"""What OTLP promises of a receiver's answers: promises 1 to 9, 11, 13 and 20."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable

import grpc
import pytest
from google.rpc import status_pb2

from points import otlp_metrics
from receivers.clients import JSON, PROTOBUF, Client, GrpcClient
from receivers.otlp_requests import good_body, request, span
from receivers.raw_http2 import RawConnection, framed
from receivers.receiver_pipeline import MIB, PipelineFactory, ReceiverPipeline
from receivers.sent_signals import BOTH_SIGNALS, METRICS_ONLY, TRACES, SentSignal

HTTP_TYPES = pytest.mark.parametrize("media_type", [PROTOBUF, JSON], ids=["protobuf", "json"])
IDENTITY_OR_GZIP = pytest.mark.parametrize("compressed", [False, True], ids=["identity", "gzip"])


def receiver_of(transport: str) -> str:
    return transport.partition("-")[0]


@BOTH_SIGNALS
def test_promise_01_an_empty_request_is_a_success(
    pipeline: ReceiverPipeline, client: Client, signal: SentSignal
) -> None:
    answer = client.send(b"")

    assert answer.ok
    assert (answer.rejected, answer.message) == (0, "")
    assert pipeline.requests(receiver_of(client.transport), "accepted", signal.name) == 1
    assert pipeline.journal.submitted == 0


@BOTH_SIGNALS
def test_promise_02_full_success_over_grpc_is_an_empty_message(
    pipeline: ReceiverPipeline, signal: SentSignal
) -> None:
    answer = pipeline.client("grpc", signal).send(signal.good(1))

    assert answer.ok
    assert answer.body == b""


@HTTP_TYPES
@BOTH_SIGNALS
def test_promise_03_http_answers_in_the_encoding_of_the_request(
    pipeline: ReceiverPipeline, media_type: str, signal: SentSignal
) -> None:
    answer = pipeline.http_client(media_type, signal).send(signal.good(1))

    assert answer.code == 200
    assert answer.headers["content-type"] == media_type
    assert answer.body == (b"{}" if media_type == JSON else b"")


def test_promise_03_a_charset_beside_the_content_type_changes_nothing(
    pipeline: ReceiverPipeline,
) -> None:
    answer = pipeline.http_client(JSON).send_encoded(
        TRACES.to_json(good_body()), {"Content-Type": "application/json; charset=utf-8"}
    )

    assert answer.code == 200
    assert answer.headers["content-type"] == JSON


@IDENTITY_OR_GZIP
@BOTH_SIGNALS
def test_promise_04_identity_and_gzip_are_read(
    pipeline: ReceiverPipeline, client: Client, compressed: bool, signal: SentSignal
) -> None:
    assert client.send(signal.good(50), compressed=compressed).ok

    assert pipeline.items(signal.name, "accepted") == 50


@pytest.mark.parametrize("encoding", ["deflate", "br", "zstd", "gzip, gzip", "gzip;q=1", "rot13"])
@HTTP_TYPES
@BOTH_SIGNALS
def test_promise_04_another_content_encoding_is_415(
    pipeline: ReceiverPipeline, media_type: str, encoding: str, signal: SentSignal
) -> None:
    answer = pipeline.http_client(media_type, signal).send_encoded(
        signal.good(1), {"Content-Encoding": encoding}
    )

    assert answer.code == 415
    assert "Content-Encoding" in answer.message
    assert pipeline.requests("http", "refused", signal.name) == 1


@pytest.mark.parametrize("encoding", ["identity", "GZIP", "x-gzip"])
def test_promise_04_names_of_content_encodings_have_no_case(
    pipeline: ReceiverPipeline, encoding: str
) -> None:
    body = good_body() if encoding == "identity" else gzip.compress(good_body())

    assert pipeline.http_client().send_encoded(body, {"Content-Encoding": encoding}).ok


def test_promise_04_another_compression_over_grpc_is_refused(pipeline: ReceiverPipeline) -> None:
    client = GrpcClient(pipeline.grpc.port)
    with pytest.raises(grpc.RpcError) as refused:
        client.export(good_body(), compression=grpc.Compression.Deflate)
    client.close()

    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert pipeline.spans("accepted") == 0


@BOTH_SIGNALS
def test_promise_05_grpc_messages_are_compressed_each_on_its_own(
    pipeline: ReceiverPipeline, signal: SentSignal
) -> None:
    compressed = framed(gzip.compress(signal.good(1)), flag=1)
    plain = framed(signal.good(1))
    with RawConnection(pipeline.grpc.port) as connection:
        for message in (compressed, plain, compressed):
            answer = connection.call(
                message, path=signal.method, headers=[("grpc-encoding", "gzip")]
            )
            assert answer.status == 0

    assert pipeline.items(signal.name, "accepted") == 3


def test_promise_05_a_client_that_offers_no_compression_gets_none(
    pipeline: ReceiverPipeline,
) -> None:
    bad = request(*(span(trace_id=b"") for _ in range(50))).SerializeToString()
    with RawConnection(pipeline.grpc.port) as connection:
        answer = connection.call(framed(bad))

    assert answer.status == 0
    assert answer.headers.get("grpc-encoding", "identity") == "identity"
    assert answer.data[0] == 0, "the answer has the flag of a compressed message"
    assert b"50 spans rejected" in answer.data


@BOTH_SIGNALS
def test_promise_06_a_partial_rejection_is_exact_and_says_why(
    pipeline: ReceiverPipeline, client: Client, signal: SentSignal
) -> None:
    answer = client.send(signal.rejected)

    assert answer.ok
    assert answer.rejected == 3
    assert answer.message == signal.reasons
    assert answer.retry_after is None
    assert pipeline.requests(receiver_of(client.transport), "partial", signal.name) == 1
    assert pipeline.items(signal.name, "accepted") == 2
    assert pipeline.items(signal.name, "invalid") == 3


def test_promise_06_a_request_of_rejected_spans_alone_is_still_a_success(
    pipeline: ReceiverPipeline, client: Client
) -> None:
    answer = client.send(request(span(span_id=b"")).SerializeToString())

    assert answer.ok
    assert answer.rejected == 1
    assert pipeline.spans("invalid") == 1


def test_promise_07_a_warning_rejects_nothing(pipeline: ReceiverPipeline, client: Client) -> None:
    backwards = span(start_time_unix_nano=2_000, end_time_unix_nano=1_000)

    answer = client.send(request(backwards, span(seed=2)).SerializeToString())

    assert answer.ok
    assert answer.rejected == 0
    assert answer.message == "1 span accepted with a duration of 0: the end is before the start"
    assert pipeline.requests(receiver_of(client.transport), "accepted") == 1
    assert pipeline.spans("accepted") == 2


@METRICS_ONLY
def test_promise_07_a_warning_rejects_no_point(pipeline: ReceiverPipeline, client: Client) -> None:
    answer = client.send(otlp_metrics.request(otlp_metrics.gauge(otlp_metrics.number(1, time=0))))

    assert answer.ok
    assert answer.rejected == 0
    assert "without a time" in answer.message
    assert pipeline.requests(receiver_of(client.transport), "accepted", "metrics") == 1
    assert pipeline.items("metrics", "accepted") == 1


@pytest.mark.parametrize("garbage", [None, b"\xff" * 20], ids=["invalid UTF-8", "no protobuf"])
@BOTH_SIGNALS
def test_promise_08_undecodable_bytes_are_refused_as_a_whole(
    pipeline: ReceiverPipeline, transport: str, garbage: bytes | None, signal: SentSignal
) -> None:
    not_utf_8 = b"GET\xff/"
    if transport == "http-json":
        body = signal.to_json(signal.good(1)).replace(b"GET /", garbage or not_utf_8)
        answer = pipeline.http_client(JSON, signal).send_encoded(body, {})
    else:
        # As long as it was, so that no length is wrong.
        body = garbage or signal.good(1).replace(b"GET /", not_utf_8)
        answer = pipeline.client(transport, signal).send(body)

    assert answer.code == ("INVALID_ARGUMENT" if transport == "grpc" else 400)
    assert answer.retry_after is None
    assert answer.message
    assert pipeline.requests(receiver_of(transport), "refused", signal.name) == 1
    assert pipeline.items(signal.name, "accepted") == 0
    assert pipeline.items(signal.name, "invalid") == 0
    assert pipeline.payload == b""


HTTP_ERRORS: dict[int, Callable[[str, bytes], tuple[str, str, bytes, dict[str, str]]]] = {
    400: lambda path, _: ("POST", path, b"\xff", {}),
    404: lambda _, body: ("POST", "/v1/elsewhere", body, {}),
    405: lambda path, body: ("PUT", path, body, {}),
    413: lambda path, _: ("POST", path, bytes(2 * MIB), {}),
    415: lambda path, body: ("POST", path, body, {"Content-Encoding": "br"}),
}


@pytest.mark.parametrize("status", HTTP_ERRORS)
@HTTP_TYPES
@BOTH_SIGNALS
def test_promise_09_http_errors_carry_a_status_in_the_encoding_of_the_request(
    start_pipeline: PipelineFactory, media_type: str, status: int, signal: SentSignal
) -> None:
    client = start_pipeline(max_request_size=MIB).http_client(media_type)
    method, path, body, headers = HTTP_ERRORS[status](signal.path, signal.good(1))

    answer = client.call(method, path, body, {"Content-Type": media_type, **headers})

    assert answer.code == status
    assert answer.headers["content-type"] == media_type
    if media_type == JSON:
        document = json.loads(answer.body)
        assert document.keys() == {"code", "message"}
        assert document["code"] > 0
    else:
        assert status_pb2.Status.FromString(answer.body).code > 0
    assert answer.message


@IDENTITY_OR_GZIP
@BOTH_SIGNALS
def test_promise_11_a_request_over_the_limit_is_refused_and_told_the_limit(
    start_pipeline: PipelineFactory, transport: str, compressed: bool, signal: SentSignal
) -> None:
    pipeline = start_pipeline(max_request_size=10_000)
    client = pipeline.client(transport, signal)

    answer = client.send(signal.good(2000), compressed=compressed)

    assert answer.code == ("RESOURCE_EXHAUSTED" if transport == "grpc" else 413)
    assert "10000" in answer.message
    assert answer.retry_after is None
    assert client.send(signal.good(1)).ok
    assert pipeline.items(signal.name, "accepted") == 1


@BOTH_SIGNALS
def test_promise_11_a_body_of_the_limit_itself_is_taken(
    start_pipeline: PipelineFactory, transport: str, signal: SentSignal
) -> None:
    body = signal.good(100)
    as_sent = len(signal.to_json(body)) if transport == "http-json" else len(body)

    def is_taken(limit: int) -> bool:
        return start_pipeline(max_request_size=limit).client(transport, signal).send(body).ok

    assert is_taken(as_sent)
    assert not is_taken(as_sent - 1)


@pytest.mark.parametrize(
    "path",
    ["/", "/v1", "/v1/trace", "/v1/traces/", "//v1/metrics", "/V1/metrics", "/v1/traces.json"],
)
def test_promise_13_a_wrong_path_is_404(pipeline: ReceiverPipeline, path: str) -> None:
    answer = pipeline.http_client().call("POST", path, good_body(), {"Content-Type": PROTOBUF})

    assert answer.code == 404
    assert "/v1/traces and /v1/metrics" in answer.message


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "PATCH"])
@BOTH_SIGNALS
def test_promise_13_a_wrong_method_is_405(
    pipeline: ReceiverPipeline, method: str, signal: SentSignal
) -> None:
    answer = pipeline.http_client().call(method, signal.path, b"", {})

    assert answer.code == 405
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize("media_type", ["", "text/plain", "application/grpc", "application/jsonp"])
@BOTH_SIGNALS
def test_promise_13_a_wrong_content_type_is_415(
    pipeline: ReceiverPipeline, media_type: str, signal: SentSignal
) -> None:
    headers = {"Content-Type": media_type} if media_type else {}

    answer = pipeline.http_client().call("POST", signal.path, signal.good(1), headers)

    assert answer.code == 415
    assert PROTOBUF in answer.message
    assert JSON in answer.message


@pytest.mark.parametrize(
    ("signal", "service"),
    [
        ("logs", "opentelemetry.proto.collector.logs.v1.LogsService"),
        ("profiles", "opentelemetry.proto.collector.profiles.v1development.ProfilesService"),
    ],
)
def test_promise_20_other_signals_are_unimplemented_over_grpc(
    pipeline: ReceiverPipeline, signal: str, service: str
) -> None:
    client = GrpcClient(pipeline.grpc.port)
    with pytest.raises(grpc.RpcError) as refused:
        client.method(f"/{service}/Export")(b"\x0a\x00", timeout=20)
    client.close()

    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert refused.value.details() == f"spanmill does not take {signal} yet"
    assert pipeline.requests("grpc", "refused", signal) == 1


@pytest.mark.parametrize(
    ("signal", "path"),
    [
        ("logs", "/v1/logs"),
        ("profiles", "/v1development/profiles"),
    ],
)
@HTTP_TYPES
def test_promise_20_other_signals_are_404_over_http(
    pipeline: ReceiverPipeline, media_type: str, signal: str, path: str
) -> None:
    client = pipeline.http_client(media_type)

    answer = client.call("POST", path, good_body(), {"Content-Type": media_type})

    assert answer.code == 404
    assert answer.message == f"spanmill does not take {signal} yet"
    assert pipeline.requests("http", "refused", signal) == 1
