"""Requests that would like to be large: taken in bounded memory, and nobody else notices."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from points.otlp_metrics import gauge, number
from points.otlp_metrics import request as metrics_request
from receivers.clients import JSON, PROTOBUF, Answer, Client, GrpcClient, HttpClient
from receivers.otlp_requests import good_body, request, span
from receivers.receiver_pipeline import MIB
from receivers.sent_signals import METRICS, TRACES, SentSignal
from receivers.separate_processor import SeparateProcessor
from spans.generated import field

MILLION = 1_000_000
PATIENCE = 120.0
"""Seconds to an answer. A million attributes take some 5 of one core: in JSON 2 to read them and
3 to count and compare them; other processes on the machine may make that many times as long."""
JSON_METRIC = b'{"resourceMetrics":[{"scopeMetrics":[{"metrics":[%s]}]}]}'


@pytest.fixture
def processor(tmp_path: Path) -> Iterator[SeparateProcessor]:
    """A processor that has not needed any memory yet."""
    processor = SeparateProcessor(tmp_path)
    yield processor
    processor.close()


def connect(processor: SeparateProcessor, transport: str, signal: SentSignal) -> Client:
    port = processor.port(transport)
    if transport == "grpc":
        return GrpcClient(port, signal, timeout=PATIENCE)
    media_type = JSON if transport == "http-json" else PROTOBUF
    return HttpClient(port, media_type, signal, timeout=PATIENCE)


def growth(
    processor: SeparateProcessor, transport: str, body: bytes, signal: SentSignal = TRACES
) -> tuple[Answer, int]:
    """The answer to a body as it goes over the wire, and how much more memory it took at most.

    Another client's requests are taken before and after it.
    """
    client = connect(processor, transport, signal)
    neighbour = connect(processor, transport, TRACES)
    assert neighbour.send(good_body()).ok
    before = processor.peak_resident_bytes
    answer = client.send_encoded(body, {}) if isinstance(client, HttpClient) else client.send(body)
    grown = processor.peak_resident_bytes - before
    assert neighbour.send(good_body()).ok
    for connection in (client, neighbour):
        connection.close()
    assert processor.alive
    return answer, grown


def test_bad_input_12_a_span_name_of_ten_megabytes(
    processor: SeparateProcessor, transport: str
) -> None:
    body = request(span("x" * 10_000_000)).SerializeToString()

    answer, grown = growth(
        processor, transport, TRACES.to_json(body) if transport == "http-json" else body
    )

    assert answer.ok
    assert not answer.message
    assert grown < 128 * MIB


def test_bad_input_13_a_million_attributes_on_one_span(
    processor: SeparateProcessor, transport: str
) -> None:
    if transport == "http-json":
        pair = b'{"key":"k","value":{"intValue":1}}'
        one = b'{"traceId":"%s","spanId":"%s","attributes":[%s]}' % (
            b"1" * 32,
            b"1" * 16,
            b",".join([pair] * MILLION),
        )
        body = b'{"resourceSpans":[{"scopeSpans":[{"spans":[%s]}]}]}' % one
    else:
        attributes = field(9, b"\x0a\x01k\x12\x02\x18\x01") * MILLION
        body = field(1, field(2, field(2, span().SerializeToString() + attributes)))

    answer, grown = growth(processor, transport, body)

    assert answer.ok
    assert answer.rejected == 0
    assert grown < (512 if transport == "http-json" else 256) * MIB  # of 33 MiB, and of 9 MiB


def test_bad_input_14_a_million_empty_spans(processor: SeparateProcessor, transport: str) -> None:
    if transport == "http-json":
        spans = b",".join([b"{}"] * MILLION)
        body = b'{"resourceSpans":[{"scopeSpans":[{"spans":[%s]}]}]}' % spans
    else:
        body = field(1, field(2, field(2, b"") * MILLION))

    answer, grown = growth(processor, transport, body)

    assert answer.code in (413, "RESOURCE_EXHAUSTED")
    assert answer.retry_after is None
    assert "more than 262144 spans, scopes and resources" in answer.message
    assert grown < (192 if transport == "http-json" else 64) * MIB  # of 3 MiB, and of 2 MiB


def test_bad_input_12_a_metric_name_of_ten_megabytes(
    processor: SeparateProcessor, transport: str
) -> None:
    body = metrics_request(gauge(number(1), name="x" * 10_000_000))

    answer, grown = growth(
        processor, transport, METRICS.to_json(body) if transport == "http-json" else body, METRICS
    )

    assert answer.ok
    assert answer.rejected == 0
    assert grown < 128 * MIB


def test_bad_input_13_a_million_attributes_on_one_point(
    processor: SeparateProcessor, transport: str
) -> None:
    if transport == "http-json":
        pair = b'{"key":"k","value":{"intValue":1}}'
        point = b'{"asInt":"1","attributes":[%s]}' % b",".join([pair] * MILLION)
        body = JSON_METRIC % (b'{"name":"m","gauge":{"dataPoints":[%s]}}' % point)
    else:
        body = METRICS.in_item(field(METRICS.attributes, b"\x0a\x01k\x12\x02\x18\x01") * MILLION)

    answer, grown = growth(processor, transport, body, METRICS)

    assert answer.ok
    assert answer.rejected == 0
    assert grown < (512 if transport == "http-json" else 384) * MIB  # of 33 MiB, and of 9 MiB


def test_bad_input_14_a_million_empty_points(processor: SeparateProcessor, transport: str) -> None:
    if transport == "http-json":
        points = b",".join([b"{}"] * MILLION)
        body = JSON_METRIC % (b'{"name":"m","gauge":{"dataPoints":[%s]}}' % points)
    else:
        body = field(1, field(2, field(2, field(5, field(1, b"") * MILLION))))

    answer, grown = growth(processor, transport, body, METRICS)

    assert answer.code in (413, "RESOURCE_EXHAUSTED")
    assert answer.retry_after is None
    assert "more than 262144 points" in answer.message
    assert grown < (192 if transport == "http-json" else 64) * MIB  # of 3 MiB, and of 2 MiB
