"""A trace that is read back from a real Jaeger or Tempo is the one that was sent."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator

import pytest
import urllib3
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from components.chain import Chain
from components.process import wait_until
from components.trace_content import (
    SpanContent,
    SpanWithContext,
    content_of_json,
    content_sent,
    spans_with_context,
)

pytestmark = pytest.mark.components

ARRIVAL_DEADLINE = 30.0


def spans(request: ExportTraceServiceRequest) -> Iterator[Span]:
    for resource_spans in request.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            yield from scope_spans.spans


@pytest.fixture(scope="module")
def real_trace(astronomy_requests: list[bytes]) -> ExportTraceServiceRequest:
    """The first of the recorded traces with the most spans, moved to now."""
    requests = [ExportTraceServiceRequest.FromString(request) for request in astronomy_requests]
    sizes = Counter(span.trace_id for request in requests for span in spans(request))
    trace_id, _ = sizes.most_common(1)[0]
    trace = ExportTraceServiceRequest()
    for request in requests:
        for resource_spans in request.resource_spans:
            for scope_spans in resource_spans.scope_spans:
                kept = [span for span in scope_spans.spans if span.trace_id == trace_id]
                if kept:
                    copy = trace.resource_spans.add(resource=resource_spans.resource)
                    copy.scope_spans.add(scope=scope_spans.scope, spans=kept)
    move_to_now(trace)
    return trace


def move_to_now(trace: ExportTraceServiceRequest) -> None:
    shift = time.time_ns() - max(span.end_time_unix_nano for span in spans(trace))
    for span in spans(trace):
        span.start_time_unix_nano += shift
        span.end_time_unix_nano += shift
        for event in span.events:
            event.time_unix_nano += shift


@pytest.fixture(scope="module")
def trace_of_every_kind() -> ExportTraceServiceRequest:
    """Two spans that hold all that OTLP can express."""
    values = {
        "text": AnyValue(string_value='quotes "", a newline\n, ünïcode, \u202eright to left'),
        "empty text": AnyValue(string_value=""),
        "yes": AnyValue(bool_value=True),
        "no": AnyValue(bool_value=False),
        "large": AnyValue(int_value=2**63 - 1),
        "negative": AnyValue(int_value=-(2**63)),
        "fraction": AnyValue(double_value=1.5),
        "bytes": AnyValue(bytes_value=bytes(range(256))),
        "nothing": AnyValue(),
    }
    values["array"] = AnyValue()
    values["array"].array_value.values.extend([values["yes"], AnyValue(string_value="second")])
    values["map"] = AnyValue()
    values["map"].kvlist_value.values.add(key="nested", value=values["array"])
    trace = ExportTraceServiceRequest()
    resource_spans = trace.resource_spans.add(schema_url="https://example.org/resource")
    resource_spans.resource.attributes.add(key="service.name", value=AnyValue(string_value="shop"))
    resource_spans.resource.attributes.add(key="cpus", value=AnyValue(int_value=4))
    scope_spans = resource_spans.scope_spans.add(schema_url="https://example.org/scope")
    scope_spans.scope.name, scope_spans.scope.version = "checkout", "1.2.3"
    trace_id, now = time.time_ns().to_bytes(16, "big"), time.time_ns()
    root = scope_spans.spans.add(
        trace_id=trace_id,
        span_id=b"rootspan",
        trace_state="vendor=1,other=2",
        flags=0x101,
        name="every kind of value",
        kind=Span.SPAN_KIND_SERVER,
        start_time_unix_nano=now - 2_000_001,
        end_time_unix_nano=now,
        dropped_attributes_count=3,
    )
    for key, value in values.items():
        root.attributes.add(key=key, value=value)
    child = scope_spans.spans.add(
        trace_id=trace_id,
        span_id=b"childspn",
        parent_span_id=b"rootspan",
        name="child",
        kind=Span.SPAN_KIND_PRODUCER,
        start_time_unix_nano=now - 1_000_001,
        end_time_unix_nano=now - 1,
        dropped_events_count=1,
    )
    child.status.code, child.status.message = child.status.STATUS_CODE_ERROR, "card declined"
    event = child.events.add(time_unix_nano=now - 500_000, name="exception")
    event.attributes.add(key="exception.type", value=AnyValue(string_value="CardDeclined"))
    link = child.links.add(trace_id=bytes(range(1, 17)), span_id=bytes(range(1, 9)))
    link.attributes.add(key="why", value=AnyValue(string_value="retried"))
    return trace


@pytest.fixture(scope="module", params=["real_trace", "trace_of_every_kind"])
def sent(request: pytest.FixtureRequest, chain: Chain) -> ExportTraceServiceRequest:
    """A trace that has been sent."""
    trace: ExportTraceServiceRequest = request.getfixturevalue(request.param)
    answer = urllib3.request(
        "POST",
        chain.traces_url,
        body=trace.SerializeToString(),
        headers={"Content-Type": "application/x-protobuf"},
    )
    assert answer.status == 200, answer.data
    return trace


def test_jaeger_gives_back_every_attribute(chain: Chain, sent: ExportTraceServiceRequest) -> None:
    expected = content_sent(sent)
    trace_id = next(spans(sent)).trace_id.hex()

    def read_back() -> dict[str, SpanContent]:
        found = chain.jaeger.trace(trace_id)
        return content_of_json(found) if found else {}

    wait_until(lambda: len(read_back()) == len(expected), ARRIVAL_DEADLINE, "Jaeger has all spans")
    found = read_back()
    for span_id, content in expected.items():
        assert found[span_id] == content


def test_tempo_gives_back_every_field(chain: Chain, sent: ExportTraceServiceRequest) -> None:
    tempo = chain.tempo
    if tempo is None:
        pytest.skip("needs a Tempo: name one in SPANMILL_TEMPO or put it in PATH")
    expected = spans_with_context(sent.resource_spans)
    trace_id = next(spans(sent)).trace_id.hex()

    def read_back() -> dict[bytes, SpanWithContext]:
        found = tempo.trace(trace_id)
        return spans_with_context(found.resource_spans) if found else {}

    wait_until(lambda: len(read_back()) == len(expected), ARRIVAL_DEADLINE, "Tempo has all spans")
    found = read_back()
    for span_id, content in expected.items():
        assert found[span_id] == content
