"""Spans are cut out of the bytes, and nothing else is."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from spanmill.spans.splice import cut_spans, encode_varint
from spanmill.spans.wire import find_spans
from spans.generated import Request, field, requests, varint
from spans.test_reference import request_of, span


def remove_with_library(body: bytes, rows: set[int]) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest.FromString(body)
    row = 0
    for resource_spans in request.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            kept = []
            for received in scope_spans.spans:
                if row not in rows:
                    kept.append(received)
                row += 1
            del scope_spans.spans[:]
            scope_spans.spans.extend(kept)
    return request


@given(requests(), st.data())
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
def test_what_is_left_parses_as_if_the_library_had_removed_the_spans(
    request: Request, data: st.DataObject
) -> None:
    # Written anew, so that every scope stands in scope_spans, which the library can change.
    body = ExportTraceServiceRequest.FromString(request.received)
    for resource_spans in body.resource_spans:
        resource_spans.DiscardUnknownFields()
    plain = body.SerializeToString()
    layout = find_spans(plain)
    cut = {row for row in range(len(layout)) if data.draw(st.booleans())}
    left = cut_spans(plain, layout, sorted(cut))
    assert ExportTraceServiceRequest.FromString(left) == remove_with_library(plain, cut)


def test_nothing_to_cut_is_the_same_object() -> None:
    body = request_of(span())
    assert cut_spans(body, find_spans(body), []) is body


def test_lengths_that_shrink_by_a_byte_shrink_what_encloses_them() -> None:
    # 127 bytes are the most that a length of one byte can say.
    spans = [span(name="x" * length).SerializeToString() for length in (30, 40, 20)]
    body = field(1, field(2, b"".join(field(2, content) for content in spans)))
    left = cut_spans(body, find_spans(body), [1])
    assert left == field(1, field(2, field(2, spans[0]) + field(2, spans[2])))


def test_overlong_lengths_of_untouched_messages_stay() -> None:
    kept = b"\x12" + varint(len(span().SerializeToString()), 2) + span().SerializeToString()
    overlong = b"\x0a" + varint(len(field(2, kept)), 3) + field(2, kept)
    touched = field(1, field(2, field(2, b"") + kept) + field(99, b"unknown"))
    left = cut_spans(overlong + touched, find_spans(overlong + touched), [1])
    assert left == overlong + field(1, field(2, kept) + field(99, b"unknown"))


@given(st.integers(0, 2**63))
def test_varints_are_those_of_the_generator(value: int) -> None:
    assert encode_varint(value) == varint(value)
