"""Recorded requests get other times, ids and sizes, and stay what they were otherwise."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from spanmill.spans.rewrite import IdMask, regroup, shift_request
from spans.generated import Request, requests
from spans.plain_rows import is_valid, located_spans
from spans.test_reference import request_of, span
from spans.test_split import nested_request, spans_with_envelopes

NO_MASK = IdMask(bytes(16), bytes(8))


def shifted(shift: int, mask: IdMask, *spans: Span) -> list[Span]:
    request = ExportTraceServiceRequest.FromString(request_of(*spans))
    shift_request(request, shift, mask)
    return [found for _, _, found in located_spans(request)]


def test_times_of_spans_and_events_move_together() -> None:
    (moved,) = shifted(
        -5,
        NO_MASK,
        span(
            start_time_unix_nano=10,
            end_time_unix_nano=20,
            events=[Span.Event(time_unix_nano=15), Span.Event()],
        ),
    )
    assert (moved.start_time_unix_nano, moved.end_time_unix_nano) == (5, 15)
    assert [event.time_unix_nano for event in moved.events] == [10, 0]


@pytest.mark.parametrize(
    ("time", "shift", "moved"),
    [(0, 5, 0), (3, -5, 0), (2**64 - 1, 1, 2**64 - 1), (2**64 - 1, -1, 2**64 - 2), (1, 2, 3)],
)
def test_times_stay_in_their_range_and_unset_ones_unset(time: int, shift: int, moved: int) -> None:
    (found,) = shifted(shift, NO_MASK, span(start_time_unix_nano=time))
    assert found.start_time_unix_nano == moved


def test_parents_and_links_stay_together() -> None:
    root = span(span_id=b"rootroot")
    child = span(
        span_id=b"childchi",
        parent_span_id=b"rootroot",
        links=[Span.Link(trace_id=root.trace_id, span_id=b"rootroot")],
    )
    moved_root, moved_child = shifted(0, IdMask.drawn(Random(1)), root, child)
    assert moved_root.trace_id == moved_child.trace_id != root.trace_id
    assert moved_child.parent_span_id == moved_root.span_id != root.span_id
    assert moved_root.parent_span_id == b""
    assert moved_child.links[0].trace_id == moved_root.trace_id
    assert moved_child.links[0].span_id == moved_root.span_id


@given(st.binary(min_size=8, max_size=8), st.binary(min_size=8, max_size=8), st.binary(max_size=9))
def test_valid_ids_stay_valid_and_apart(one: bytes, mask: bytes, other: bytes) -> None:
    id_mask = IdMask(bytes(16), mask)
    assert any(id_mask.span_id(one)) == any(one)
    assert any(id_mask.span_id(mask)) == any(mask)
    assert (id_mask.span_id(one) == id_mask.span_id(other)) == (one == other)


@pytest.mark.parametrize("given_id", [b"", b"\1" * 7, b"\1" * 15, bytes(16), b"\1" * 17])
def test_invalid_ids_stay_as_they_are(given_id: bytes) -> None:
    mask = IdMask.drawn(Random(1))
    assert mask.trace_id(given_id) == given_id


def test_one_seed_gives_one_mask() -> None:
    assert IdMask.drawn(Random(7)) == IdMask.drawn(Random(7)) != IdMask.drawn(Random(8))


@given(requests(), st.integers(-(2**64), 2**64))
@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
def test_any_request_can_be_shifted(request: Request, shift: int) -> None:
    message = ExportTraceServiceRequest.FromString(request.received)
    before = validity(message)
    shift_request(message, shift, IdMask.drawn(Random(3)))
    assert validity(message) == before


def validity(request: ExportTraceServiceRequest) -> list[bool]:
    return [is_valid(found) for _, _, found in located_spans(request)]


@pytest.mark.parametrize("batch_size", [1, 2, 5, 12, 13, 24, 1000])
def test_regrouped_requests_hold_the_same_spans_in_their_envelopes(batch_size: int) -> None:
    given = [nested_request(2, 2, 3), b"", nested_request(1, 1, 5), nested_request(1, 3, 0)]
    batches = list(regroup(map(ExportTraceServiceRequest.FromString, given), batch_size))
    payloads = [batch.SerializeToString() for batch in batches]
    assert spans_with_envelopes(payloads) == spans_with_envelopes(given)
    sizes = [len(spans_with_envelopes([payload])) for payload in payloads]
    assert set(sizes[:-1]) <= {batch_size}
    assert 0 < sizes[-1] <= batch_size
