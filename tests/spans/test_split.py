"""Requests are split to a size, and no span is lost, doubled, reordered or changed."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans

from spanmill.spans.split import Part, count_spans, split_request
from spans.generated import Request, field, requests
from spans.plain_rows import located_spans
from spans.test_reference import span


def spans_with_envelopes(payloads: Sequence[bytes]) -> list[tuple[bytes, ...]]:
    """Every span in order, with the resource, the scope and the schema URLs around it."""
    return [
        (
            resource_spans.resource.SerializeToString(),
            resource_spans.schema_url.encode(),
            scope_spans.scope.SerializeToString(),
            scope_spans.schema_url.encode(),
            found.SerializeToString(),
        )
        for payload in payloads
        for resource_spans, scope_spans, found in located_spans(
            ExportTraceServiceRequest.FromString(payload)
        )
    ]


def nested_request(resources: int, scopes: int, spans: int) -> bytes:
    return ExportTraceServiceRequest(
        resource_spans=[
            ResourceSpans(
                resource=Resource(attributes=[KeyValue(key=f"resource {r}")]),
                scope_spans=[
                    ScopeSpans(
                        scope=InstrumentationScope(name=f"scope {s}"),
                        spans=[span(name=f"{r}.{s}.{i}") for i in range(spans)],
                        schema_url="of the scope",
                    )
                    for s in range(scopes)
                ],
                schema_url="of the resource",
            )
            for r in range(resources)
        ]
    ).SerializeToString()


@given(requests(), st.integers(0, 3000))
@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
def test_parts_hold_the_same_spans_within_the_size(request: Request, max_bytes: int) -> None:
    body = request.received
    parts = split_request(body, max_bytes)
    assert spans_with_envelopes([p.payload for p in parts]) == spans_with_envelopes([body])
    for part in parts:
        assert part.items == count_spans(part.payload)
        assert part.oversize == (len(part.payload) > max_bytes)


def test_a_request_that_fits_is_its_own_only_part() -> None:
    body = nested_request(2, 2, 2)
    (part,) = split_request(body, len(body))
    assert part == Part(body, 8, oversize=False)
    assert part.payload is body


def test_it_is_split_between_resources_first() -> None:
    one = nested_request(1, 2, 3)
    parts = split_request(nested_request(3, 2, 3), 2 * len(one))
    assert [part.items for part in parts] == [12, 6]
    assert b"".join(part.payload for part in parts) == nested_request(3, 2, 3)


def test_it_is_split_between_scopes_where_a_resource_is_too_large() -> None:
    parts = split_request(nested_request(1, 4, 3), len(nested_request(1, 2, 3)))
    assert [part.items for part in parts] == [6, 6]
    assert spans_with_envelopes([parts[0].payload]) == spans_with_envelopes(
        [nested_request(1, 2, 3)]
    )


def test_it_is_split_between_spans_where_a_scope_is_too_large() -> None:
    parts = split_request(nested_request(1, 1, 10), len(nested_request(1, 1, 4)))
    assert [part.items for part in parts] == [4, 4, 2]
    assert spans_with_envelopes([parts[0].payload]) == spans_with_envelopes(
        [nested_request(1, 1, 4)]
    )


def test_unknown_fields_around_the_spans_are_repeated() -> None:
    spans = b"".join(field(2, span(name=name).SerializeToString()) for name in "abc")
    unknown = field(99, b"?")
    body = unknown + field(1, unknown + field(2, spans + unknown) + unknown)
    parts = split_request(body, len(body) - 20)
    assert [part.items for part in parts] == [2, 1]
    assert [part.payload.count(unknown) for part in parts] == [4, 4]


def test_a_span_that_is_too_large_by_itself_comes_alone_and_marked() -> None:
    spans = [span(name="a"), span(name="x" * 1000), span(name="b"), span(name="c")]
    body = ExportTraceServiceRequest(
        resource_spans=[ResourceSpans(scope_spans=[ScopeSpans(spans=spans)])]
    ).SerializeToString()
    parts = split_request(body, 500)
    assert [(part.items, part.oversize) for part in parts] == [(1, False), (1, True), (2, False)]


@pytest.mark.parametrize("body", [field(9, b"x" * 100), field(1, field(1, field(9, b"x" * 100)))])
def test_what_holds_no_span_and_is_too_large_is_one_marked_part(body: bytes) -> None:
    assert split_request(body, 50) == [Part(body, 0, oversize=True)]


def test_a_large_enclosure_of_many_spans_does_not_multiply_without_end() -> None:
    resource = ResourceSpans(resource=Resource(attributes=[KeyValue(key="x" * 10_000)]))
    spans = b"".join(field(2, span(name=str(i)).SerializeToString()) for i in range(1000))
    body = field(1, resource.SerializeToString() + field(2, spans))
    parts = split_request(body, 10_100)
    assert sum(len(part.payload) for part in parts) < 10 * len(body)
    assert sum(part.items for part in parts) == 1000
    assert [part.oversize for part in parts[:-1]] == [False] * (len(parts) - 1)
    assert parts[-1].oversize


def test_real_requests_are_split_without_loss(astronomy_requests: list[bytes]) -> None:
    for body in astronomy_requests[:5]:
        parts = split_request(body, 100_000)
        assert all(len(part.payload) <= 100_000 for part in parts)
        assert spans_with_envelopes([p.payload for p in parts]) == spans_with_envelopes([body])
