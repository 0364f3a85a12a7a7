"""On the real spans every figure equals a plain loop over the protobuf objects."""

from __future__ import annotations

import base64
import itertools
import json
from collections import defaultdict
from collections.abc import Callable, Iterator

import pytest
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from running_processor import RunningProcessor, Samples, Start

TEMPO_BOUNDS = [0.002 * 2**n for n in range(14)]
OTEL_BOUNDS = [2, 4, 6, 8, 10, 50, 100, 200, 400, 800, 1000, 1400, 2000, 5000, 10000, 15000]


def text(value: object) -> str:
    return getattr(value, "string_value", "")


def plain_loop(requests: list[bytes]) -> Samples:
    """The same figures by the shortest way."""
    found: Samples = defaultdict(float)
    for request in map(ExportTraceServiceRequest.FromString, requests):
        for resource in request.resource_spans:
            service = {a.key: text(a.value) for a in resource.resource.attributes}["service.name"]
            for span in itertools.chain.from_iterable(s.spans for s in resource.scope_spans):
                route = {a.key: text(a.value) for a in span.attributes}.get("http.route")
                labels = {
                    ("span_name", span.name),
                    ("span_kind", Span.SpanKind.Name(span.kind)),
                    ("status_code", Status.StatusCode.Name(span.status.code)),
                } | ({("http_route", route)} if route else set())
                tempo = frozenset(labels | {("service", service), ("job", service)})
                otel = frozenset(labels | {("service_name", service)})
                ns = max(0, span.end_time_unix_nano - span.start_time_unix_nano)
                found["traces_spanmetrics_calls_total", tempo] += 1
                found["traces_spanmetrics_size_total", tempo] += span.ByteSize()
                found["traces_span_metrics_calls_total", otel] += 1
                for name, key, value, bounds in (
                    ("traces_spanmetrics_latency", tempo, ns / 1e9, TEMPO_BOUNDS),
                    ("traces_span_metrics_duration_milliseconds", otel, ns / 1e6, OTEL_BOUNDS),
                ):
                    found[name + "_sum", key] += value
                    found[name + "_count", key] += 1
                    for bound in (*bounds, float("inf")):
                        le = "+Inf" if bound == float("inf") else repr(float(bound))
                        found[name + "_bucket", key | {("le", le)}] += value <= bound
    return found


def shown(samples: Samples) -> Samples:
    return {key: value for key, value in samples.items() if key[0].startswith("traces_span")}


def agree(samples: Samples, expected: Samples) -> None:
    got = shown(samples)
    assert got.keys() == expected.keys()
    for key, value in expected.items():
        if key[0].endswith("_sum"):
            assert got[key] == pytest.approx(value, rel=1e-12), key
        else:
            assert got[key] == value, key


def test_calls_errors_sizes_sums_and_buckets_equal_a_plain_loop(
    start: Start, astronomy_requests: list[bytes]
) -> None:
    processor = start()
    for request in astronomy_requests:
        assert processor.send_grpc(request) == b""
    expected = plain_loop(astronomy_requests)
    assert sum(v for k, v in expected.items() if k[0] == "traces_spanmetrics_calls_total") == 64151
    agree(processor.scrape(), expected)


def test_status_messages_are_those_of_the_errors(
    start: Start, astronomy_requests: list[bytes]
) -> None:
    processor = start(span_metrics={"status_message": True})
    expected: dict[str, float] = defaultdict(float)
    for body in astronomy_requests[:8]:
        processor.send_grpc(body)
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for span in itertools.chain.from_iterable(s.spans for s in resource.scope_spans):
                message = span.status.message if span.status.code == 2 else ""
                expected[message[:1024]] += 1
    got: dict[str, float] = defaultdict(float)
    for (name, labels), value in processor.scrape().items():
        if name == "traces_spanmetrics_calls_total":
            got[dict(labels).get("status_message", "")] += value
    assert got == expected
    assert len(expected) > 1


def as_json(body: bytes) -> bytes:
    """OTLP's JSON of a request, by way of the library's, whose ids are base64."""

    def hex_ids(node: object) -> object:
        if isinstance(node, list):
            return [hex_ids(element) for element in node]
        if not isinstance(node, dict):
            return node
        return {
            key: base64.b64decode(value).hex()
            if key in ("traceId", "spanId", "parentSpanId")
            else hex_ids(value)
            for key, value in node.items()
        }

    plain = MessageToDict(ExportTraceServiceRequest.FromString(body), use_integers_for_enums=True)
    return json.dumps(hex_ids(plain)).encode()


def one_span_each(body: bytes) -> Iterator[bytes]:
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                single = ExportTraceServiceRequest()
                of_resource = single.resource_spans.add()
                of_resource.resource.CopyFrom(resource.resource)
                of_resource.scope_spans.add().spans.add().CopyFrom(span)
                yield single.SerializeToString()


def by_http(processor: RunningProcessor, body: bytes) -> None:
    processor.send_http(body)


def by_json(processor: RunningProcessor, body: bytes) -> None:
    processor.send_http(as_json(body), "application/json")


def one_by_one(processor: RunningProcessor, body: bytes) -> None:
    for single in one_span_each(body):
        processor.send_grpc(single)


@pytest.mark.parametrize("send", [by_http, by_json, one_by_one])
def test_transport_encoding_and_batch_size_change_nothing(
    start: Start,
    astronomy_requests: list[bytes],
    send: Callable[[RunningProcessor, bytes], None],
) -> None:
    some = astronomy_requests[4:60]
    at_once, otherwise = start(), start()
    at_once.send_grpc(b"".join(some))
    for body in some:
        send(otherwise, body)
    agree(otherwise.scrape(), plain_loop(some))
    assert shown(otherwise.scrape()) == shown(at_once.scrape())
