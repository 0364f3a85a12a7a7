"""Bad use of the transports (part B of the OTLP contract): a clear answer, nobody else notices."""

from __future__ import annotations

import gzip
import tracemalloc

import pytest

from receivers.clients import JSON, PROTOBUF, Answer
from receivers.otlp_requests import good_body
from receivers.raw_http import RawHttp, post_head
from receivers.raw_http2 import RawConnection, framed
from receivers.receiver_pipeline import MIB, PipelineFactory, ReceiverPipeline
from receivers.sent_signals import BOTH_SIGNALS, METRICS, TRACES, SentSignal

pytestmark = pytest.mark.usefixtures("neighbours")

GOOD = good_body()
GZIPPED = gzip.compress(GOOD)
WRONG_CHECKSUM = GZIPPED[:-8] + bytes(4) + GZIPPED[-4:]
GZIP_ENCODING = [("grpc-encoding", "gzip")]
INVALID_ARGUMENT = 3


def over_http(
    pipeline: ReceiverPipeline, body: bytes, encoding: str = "gzip", signal: SentSignal = TRACES
) -> Answer:
    return pipeline.http_client(signal=signal).send_encoded(body, {"Content-Encoding": encoding})


@pytest.mark.parametrize(
    "body",
    [b"", GZIPPED[:1], GZIPPED[:-1], GZIPPED[: len(GZIPPED) // 2], GZIPPED + b"x", WRONG_CHECKSUM],
    ids=["nothing", "one byte", "cut", "half", "trailing garbage", "wrong checksum"],
)
def test_bad_input_31_damaged_gzip_over_http(pipeline: ReceiverPipeline, body: bytes) -> None:
    answer = over_http(pipeline, body)

    assert answer.code == 400
    assert "gzip" in answer.message


@pytest.mark.parametrize(
    "body",
    [GZIPPED[:-1], GZIPPED[: len(GZIPPED) // 2], GZIPPED + b"x", GZIPPED * 2, WRONG_CHECKSUM],
    ids=["cut", "half", "trailing garbage", "two members", "wrong checksum"],
)
def test_bad_input_31_damaged_gzip_over_grpc(pipeline: ReceiverPipeline, body: bytes) -> None:
    with RawConnection(pipeline.grpc.port) as connection:
        answer = connection.call(framed(body, flag=1), headers=GZIP_ENCODING)

        assert answer.status == INVALID_ARGUMENT
        assert "gzip" in answer.message
        assert connection.call(framed(GZIPPED, flag=1), headers=GZIP_ENCODING).status == 0


@BOTH_SIGNALS
def test_bad_input_31_two_gzip_members_are_right_over_http(
    pipeline: ReceiverPipeline, signal: SentSignal
) -> None:
    before = pipeline.items(signal.name, "accepted")

    assert over_http(pipeline, gzip.compress(signal.good(1)) * 2, signal=signal).ok
    assert pipeline.items(signal.name, "accepted") == before + 2


@pytest.mark.parametrize("transport", ["grpc", "http-protobuf"])
@BOTH_SIGNALS
def test_bad_input_31_a_gzip_bomb_costs_no_more_than_the_limit(
    start_pipeline: PipelineFactory, transport: str, signal: SentSignal
) -> None:
    limit = 4 * MIB
    pipeline = start_pipeline(max_request_size=limit)
    bomb = gzip.compress(bytes(100 * MIB), 1)
    assert len(bomb) < MIB
    client = pipeline.client(transport, signal)

    tracemalloc.start()
    answer = client.send(bomb) if transport == "grpc" else over_http(pipeline, bomb, signal=signal)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert answer.code in ("RESOURCE_EXHAUSTED", 413)
    assert str(limit) in answer.message
    assert peak < 2 * limit


def test_bad_input_32_a_content_length_that_is_too_long(pipeline: ReceiverPipeline) -> None:
    refused = pipeline.requests("http", "refused")
    with RawHttp(pipeline.http.port) as connection:
        connection.send(post_head(f"Content-Length: {len(GOOD) + 10}") + GOOD)

    assert pipeline.http_client().send(GOOD).ok
    assert pipeline.requests("http", "refused") == refused


def test_bad_input_32_a_content_length_that_is_too_short(pipeline: ReceiverPipeline) -> None:
    with RawHttp(pipeline.http.port) as connection:
        connection.send(post_head(f"Content-Length: {len(GOOD)}") + GOOD)
        assert connection.answer().ok

        connection.send(b"more\r\n\r\n")
        assert connection.status() == 400
        assert connection.receive() == b""


@pytest.mark.parametrize(
    "headers",
    [
        ["Content-Length: -1"],
        ["Content-Length: ten"],
        ["Content-Length: 18446744073709551616"],
        [f"Content-Length: {len(GOOD)}", "Content-Length: 1"],
        [f"Content-Length: {len(GOOD)}", "Transfer-Encoding: chunked"],
    ],
    ids=["negative", "a word", "over 64 bits", "two", "beside chunks"],
)
def test_bad_input_32_a_content_length_that_makes_no_sense(
    pipeline: ReceiverPipeline, headers: list[str]
) -> None:
    with RawHttp(pipeline.http.port) as connection:
        connection.send(post_head(*headers) + GOOD)

        assert connection.status() == 400


def test_bad_input_32_a_long_content_length_is_refused_before_the_body(
    pipeline: ReceiverPipeline,
) -> None:
    with RawHttp(pipeline.http.port) as connection:
        connection.send(post_head(f"Content-Length: {2**40}"))

        assert connection.answer().code == 413


def test_bad_input_32_who_asks_before_sending_is_told_and_hung_up_on(
    pipeline: ReceiverPipeline,
) -> None:
    with RawHttp(pipeline.http.port) as connection:
        connection.send(post_head(f"Content-Length: {2**40}", "Expect: 100-continue"))

        answer = connection.answer()
        assert answer.code == 413
        assert answer.headers["connection"] == "close"
        assert connection.receive() == b""


@pytest.mark.parametrize("media_type", [PROTOBUF, JSON])
@BOTH_SIGNALS
def test_bad_input_34_a_body_in_chunks_is_read(
    pipeline: ReceiverPipeline, media_type: str, signal: SentSignal
) -> None:
    good = signal.good(1)
    body = good if media_type == PROTOBUF else signal.to_json(good)
    head = post_head("Transfer-Encoding: chunked", path=signal.path, media_type=media_type)
    with RawHttp(pipeline.http.port) as connection:
        connection.send(head)
        for byte in body:
            connection.send(b"1\r\n%c\r\n" % byte)
        connection.send(b"0\r\n\r\n")

        assert connection.answer().ok


def test_bad_input_34_chunks_over_the_limit_are_refused_before_their_end(
    start_pipeline: PipelineFactory,
) -> None:
    pipeline = start_pipeline(max_request_size=1000)
    with RawHttp(pipeline.http.port) as connection:
        connection.send(post_head("Transfer-Encoding: chunked"))
        connection.send(b"3e9\r\n" + bytes(1001) + b"\r\n")

        assert connection.answer().code == 413


def test_bad_input_34_a_chunk_of_no_size_is_400(pipeline: ReceiverPipeline) -> None:
    with RawHttp(pipeline.http.port) as connection:
        connection.send(post_head("Transfer-Encoding: chunked") + b"many\r\n")

        assert connection.status() == 400


NO_REQUEST_IN_JSON = {
    "nothing": b"",
    "a list": b"[]",
    "a string": b'"resourceSpans"',
    "null": b"null",
    "10,000 brackets": b"[" * 10_000 + b"]" * 10_000,
    "10,000 braces": b'{"resourceSpans":' * 10_000 + b"1" + b"}" * 10_000,
    "10,000 brackets in an unknown field": b'{"x":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    "a cut object": b'{"resourceSpans":[',
    "two objects": b"{}{}",
    "another encoding": "{}".encode("utf-16"),
    "an array that is a number": b'{"resourceSpans":1}',
    "a number with 400 digits": b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"kind":%s}]}]}]}'
    % (b"9" * 400),
}


@pytest.mark.parametrize("body", NO_REQUEST_IN_JSON.values(), ids=NO_REQUEST_IN_JSON)
def test_bad_input_35_json_that_is_no_request(pipeline: ReceiverPipeline, body: bytes) -> None:
    answer = pipeline.http_client(JSON).send_encoded(body, {})

    assert answer.code == 400
    assert answer.message


NO_METRICS_IN_JSON = {
    "an array that is a number": b'{"resourceMetrics":1}',
    "10,000 braces": b'{"resourceMetrics":' * 10_000 + b"1" + b"}" * 10_000,
    "a number with 400 digits": b'{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"gauge":'
    b'{"dataPoints":[{"asInt":%s}]}}]}]}]}' % (b"9" * 400),
    "a metric of two kinds": b'{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"gauge":{},'
    b'"sum":{}}]}]}]}',
}


@pytest.mark.parametrize("body", NO_METRICS_IN_JSON.values(), ids=NO_METRICS_IN_JSON)
def test_bad_input_35_json_that_is_no_request_of_metrics(
    pipeline: ReceiverPipeline, body: bytes
) -> None:
    answer = pipeline.http_client(JSON, METRICS).send_encoded(body, {})

    assert answer.code == 400
    assert answer.message


@BOTH_SIGNALS
def test_bad_input_35_of_duplicate_keys_the_last_counts(
    pipeline: ReceiverPipeline, signal: SentSignal
) -> None:
    client = pipeline.http_client(JSON, signal)
    before = pipeline.items(signal.name, "accepted")
    name = b"resourceSpans" if signal.name == "traces" else b"resourceMetrics"
    items = signal.to_json(signal.good(1)).removeprefix(b"{").removesuffix(b"}")

    assert client.send_encoded(b'{"%s":[],%s}' % (name, items), {}).ok
    assert pipeline.items(signal.name, "accepted") == before + 1
    assert client.send_encoded(b'{%s,"%s":[]}' % (items, name), {}).ok
    assert pipeline.items(signal.name, "accepted") == before + 1


@BOTH_SIGNALS
def test_bad_input_35_a_byte_order_mark_is_named(
    pipeline: ReceiverPipeline, signal: SentSignal
) -> None:
    body = b"\xef\xbb\xbf" + signal.to_json(signal.good(1))
    answer = pipeline.http_client(JSON, signal).send_encoded(body, {})

    assert answer.undecodable
    assert "byte-order mark" in answer.message


@BOTH_SIGNALS
def test_bad_input_36_a_call_without_a_message(
    pipeline: ReceiverPipeline, signal: SentSignal
) -> None:
    with RawConnection(pipeline.grpc.port) as connection:
        answer = connection.call(b"", path=signal.method)

    assert answer.status == INVALID_ARGUMENT
    assert "no whole message" in answer.message


@BOTH_SIGNALS
def test_bad_input_36_a_message_cut_short(pipeline: ReceiverPipeline, signal: SentSignal) -> None:
    with RawConnection(pipeline.grpc.port) as connection:
        body = signal.good(1)
        answer = connection.call(framed(body, length=len(body) + 1), path=signal.method)

    assert answer.status == INVALID_ARGUMENT
    assert "no whole message" in answer.message


@BOTH_SIGNALS
def test_bad_input_36_a_call_with_two_messages(
    pipeline: ReceiverPipeline, signal: SentSignal
) -> None:
    before = pipeline.items(signal.name, "accepted")
    with RawConnection(pipeline.grpc.port) as connection:
        answer = connection.call(framed(signal.good(1)) * 2, path=signal.method)

    assert answer.status == INVALID_ARGUMENT
    assert "more than one message" in answer.message
    assert pipeline.items(signal.name, "accepted") == before


def test_bad_input_36_a_compressed_flag_without_an_encoding(pipeline: ReceiverPipeline) -> None:
    before = pipeline.spans("accepted")
    with RawConnection(pipeline.grpc.port) as connection:
        answer = connection.call(framed(GOOD, flag=1))

        assert answer.status == 13  # INTERNAL
        assert answer.message
        assert connection.call(framed(GOOD)).status == 0
    assert pipeline.spans("accepted") == before + 1


@pytest.mark.parametrize("flag", [2, 255])
def test_bad_input_36_a_flag_that_does_not_exist_takes_nothing(
    pipeline: ReceiverPipeline, flag: int
) -> None:
    before = pipeline.spans("accepted")
    with RawConnection(pipeline.grpc.port) as connection:
        answer = connection.call(framed(GOOD, flag=flag))

        # grpcio's core hands over either no message or, as chance has it, an empty one, which
        # nothing tells apart from an empty request.
        assert answer.status in (0, INVALID_ARGUMENT)
        assert connection.call(framed(GOOD)).status == 0
    assert pipeline.spans("accepted") == before + 1


def test_bad_input_36_a_message_announced_over_the_limit_is_refused_at_once(
    pipeline: ReceiverPipeline,
) -> None:
    with RawConnection(pipeline.grpc.port) as connection:
        stream = connection.begin(framed(GOOD, length=2**32 - 1))
        answer = connection.answer(stream)

    assert answer.status == 8  # RESOURCE_EXHAUSTED
    assert str(64 * MIB) in answer.message


def test_bad_input_37_streams_that_are_reset_half_way(pipeline: ReceiverPipeline) -> None:
    refused = pipeline.requests("grpc", "refused")
    with RawConnection(pipeline.grpc.port) as connection:
        for _ in range(100):
            connection.reset(connection.begin(framed(GOOD)[:20]))
            connection.reset(connection.begin())
        assert connection.call(framed(GOOD)).status == 0

    assert pipeline.requests("grpc", "refused") == refused
    assert pipeline.requests("grpc", "accepted") == 2


def test_bad_input_37_connections_that_are_reset_half_way(pipeline: ReceiverPipeline) -> None:
    head = post_head(f"Content-Length: {len(GOOD)}")
    for sent in (b"", b"POST", head, head + GOOD[:10]):
        for _ in range(20):
            connection = RawHttp(pipeline.http.port)
            connection.send(sent)
            connection.reset()

    assert pipeline.http_client().send(GOOD).ok
    assert pipeline.requests("http", "refused") == 0


@pytest.mark.parametrize(
    "path",
    [
        "/v1%2Ftraces",
        "/v1%2ftraces",
        "/%76%31/traces",
        "/v1/../v1/traces",
        "/v1/./traces",
        "/../../etc/passwd",
        "/v1/traces/../metrics",
        "/v1/traces%00",
        "/v1/traces;x",
        "/v1\\traces",
    ],
)
def test_bad_input_39_other_ways_to_write_a_path_are_404(
    pipeline: ReceiverPipeline, path: str
) -> None:
    with RawHttp(pipeline.http.port) as connection:
        connection.send(post_head(f"Content-Length: {len(GOOD)}", path=path) + GOOD)

        assert connection.answer().code == 404
