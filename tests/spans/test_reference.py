"""Both decoders give what a plain loop over the protobuf library's objects gives."""

from __future__ import annotations

import pytest
from google.protobuf.message import DecodeError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from spanmill.errors import UndecodableError
from spanmill.spans.batch import ABSENT
from spanmill.spans.decoder import DecodedRequest
from spans.both_decoders import BothDecoders
from spans.generated import ATTRIBUTES, Request, field, requests
from spans.plain_rows import batch_rows, located_spans, plain_rows

DECODER = BothDecoders(ATTRIBUTES)
TRACE_ID = bytes(range(1, 17))
SPAN_ID = bytes(range(1, 9))


def span(**fields: object) -> Span:
    ids = {"trace_id": TRACE_ID, "span_id": SPAN_ID, "name": "GET /"}
    return Span(**(ids | fields))  # type: ignore[arg-type]  # fields by name, as the test gives them


def request_of(*spans: Span) -> bytes:
    scope = ScopeSpans(spans=spans)
    return ExportTraceServiceRequest(
        resource_spans=[ResourceSpans(scope_spans=[scope])]
    ).SerializeToString()


def decode(*spans: Span) -> DecodedRequest:
    return DECODER.decode(request_of(*spans))


def check_against_library(body: bytes) -> None:
    """Accepted exactly when the library accepts, and then with the same rows."""
    try:
        expected = plain_rows(body, ATTRIBUTES)
    except DecodeError:
        with pytest.raises(UndecodableError):
            DECODER.decode(body)
    else:
        assert batch_rows(DECODER.decode(body).batch) == expected


def test_the_real_spans_are_those_of_a_plain_loop(astronomy_requests: list[bytes]) -> None:
    attributes = ("http.route", "http.method", "rpc.service", "http.status_code", "nowhere")
    decoder = BothDecoders(attributes)
    spans = 0
    for body in astronomy_requests:
        decoded = decoder.decode(body)
        assert decoded.batch.payload is body
        assert not decoded.rejected
        assert batch_rows(decoded.batch) == plain_rows(body, attributes)
        spans += len(decoded.batch)
    assert spans == 64_151


@given(requests())
@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
def test_any_request_gives_the_rows_of_a_plain_loop(request: Request) -> None:
    decoded = DECODER.decode(request.received)
    assert batch_rows(decoded.batch) == plain_rows(request.received, ATTRIBUTES)
    assert decoded.batch.payload == request.accepted
    received = located_spans(ExportTraceServiceRequest.FromString(request.received))
    assert decoded.rejected_spans + len(decoded.batch) == len(list(received))


@given(requests(), st.data())
@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
def test_damaged_requests_are_refused_exactly_when_the_library_refuses_them(
    request: Request, data: st.DataObject
) -> None:
    body = bytearray(request.received or b"\0")
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(body) - 1))
        body[at] ^= 1 << data.draw(st.integers(0, 7))
    check_against_library(bytes(body))


def test_an_empty_request_is_an_empty_batch() -> None:
    decoded = DECODER.decode(b"")
    assert len(decoded.batch) == 0
    assert decoded.batch.payload == b""
    assert decoded.batch.trace_id.shape == (0, 16)
    assert decoded.batch.span_id.shape == (0, 8)
    assert set(decoded.batch.attributes) == set(ATTRIBUTES)


def test_columns_have_the_documented_types() -> None:
    batch = decode(span(), span()).batch
    types = {
        "kind": ("uint8", (2,)),
        "status": ("uint8", (2,)),
        "start": ("uint64", (2,)),
        "end": ("uint64", (2,)),
        "duration": ("uint64", (2,)),
        "trace_id": ("uint8", (2, 16)),
        "span_id": ("uint8", (2, 8)),
        "parent_id": ("uint8", (2, 8)),
        "size": ("int64", (2,)),
        "weight": ("float64", (2,)),
        "span_start": ("int64", (2,)),
    }
    columns = {name: getattr(batch, name) for name in types}
    assert {name: (str(c.dtype), c.shape) for name, c in columns.items()} == types
    codes = [batch.resource.codes, batch.scope.codes, batch.name.codes]
    codes += [column.codes for column in batch.attributes.values()]
    assert {(str(column.dtype), column.shape) for column in codes} == {("int32", (2,))}


@pytest.mark.parametrize(
    ("start", "end", "duration"),
    [
        (5, 4, 0),
        (0, 0, 0),
        (0, 1, 1),
        (10, 4_102_444_800 * 10**9, 4_102_444_800 * 10**9 - 10),
        (2**64 - 1, 2**64 - 1, 0),
        (0, 2**64 - 1, 2**64 - 1),
        (2**64 - 1, 0, 0),
        (1, 2**53 + 2, 2**53 + 1),
    ],
)
def test_durations_are_exact_and_never_negative(start: int, end: int, duration: int) -> None:
    batch = decode(span(start_time_unix_nano=start, end_time_unix_nano=end)).batch
    assert [int(batch.start[0]), int(batch.end[0]), int(batch.duration[0])] == [
        start,
        end,
        duration,
    ]


@pytest.mark.parametrize("number", [-1, 6, 7, 99, 256, 2**31 - 1, -(2**31)])
def test_unknown_kinds_and_statuses_read_as_zero(number: int) -> None:
    batch = decode(
        span(kind=number, status=Status(code=number))  # type: ignore[arg-type]  # an open enum
    ).batch
    assert (batch.kind[0], batch.status[0]) == (0, 0)
    assert Span.FromString(batch.span_bytes(0)).kind == number


@pytest.mark.parametrize("length", [0, 7, 8, 15, 17, 32])
def test_a_trace_id_of_another_length_rejects_its_span_alone(length: int) -> None:
    decoded = decode(span(name="before"), span(trace_id=b"\1" * length), span(name="after"))
    assert decoded.rejected == {"invalid_trace_id": 1}
    assert decoded.batch.payload == request_of(span(name="before"), span(name="after"))
    assert decoded.batch.name.value(1) == "after"


@pytest.mark.parametrize("span_id", [b"", b"\1" * 7, b"\1" * 9, b"\1" * 16, bytes(8)])
def test_a_wrong_span_id_rejects_its_span_alone(span_id: bytes) -> None:
    decoded = decode(span(name="before"), span(span_id=span_id), span(name="after"))
    assert decoded.rejected == {"invalid_span_id": 1}
    assert decoded.batch.payload == request_of(span(name="before"), span(name="after"))


def test_a_span_with_two_wrong_ids_is_counted_once() -> None:
    decoded = decode(span(trace_id=bytes(16), span_id=b""), span(span_id=b""))
    assert decoded.rejected == {"invalid_trace_id": 1, "invalid_span_id": 1}
    assert decoded.rejected_spans == 2
    assert len(decoded.batch) == 0


@pytest.mark.parametrize("parent_id", [b"\1" * 7, b"\1" * 9, b"\1" * 16])
def test_a_parent_id_of_another_length_reads_as_none_and_goes_on_as_it_came(
    parent_id: bytes,
) -> None:
    batch = decode(span(parent_span_id=parent_id)).batch
    assert batch.parent_id[0].tobytes() == bytes(8)
    assert batch.payload == request_of(span(parent_span_id=parent_id))


def test_own_parents_cycles_and_repeated_spans_are_taken_as_they_come() -> None:
    own = span(parent_span_id=SPAN_ID)
    other = span(span_id=b"\2" * 8, parent_span_id=SPAN_ID)
    cycle = span(parent_span_id=b"\2" * 8)
    assert len(decode(own, other, cycle, own).batch) == 4


def test_the_first_value_of_a_repeated_key_counts() -> None:
    values = [AnyValue(int_value=1), AnyValue(int_value=2)]
    batch = decode(span(attributes=[KeyValue(key="k", value=value) for value in values])).batch
    assert batch.attributes["k"].value(0) == 1


def test_an_empty_value_is_told_from_an_absent_one() -> None:
    batch = decode(span(attributes=[KeyValue(key="k")]), span()).batch
    column = batch.attributes["k"]
    assert column.codes[1] == ABSENT
    assert column.codes[0] != ABSENT
    assert column.values[column.codes[0]] is None


def test_values_that_python_calls_equal_keep_their_types() -> None:
    values = [
        AnyValue(int_value=1),
        AnyValue(double_value=1.0),
        AnyValue(bool_value=True),
        AnyValue(string_value="1"),
        AnyValue(bytes_value=b"1"),
    ]
    batch = decode(*(span(attributes=[KeyValue(key="k", value=value)]) for value in values)).batch
    seen = [batch.attributes["k"].value(row) for row in range(len(values))]
    assert [(type(value), value) for value in seen] == [
        (int, 1),
        (float, 1.0),
        (bool, True),
        (str, "1"),
        (bytes, b"1"),
    ]


def test_a_key_that_only_occurs_as_text_elsewhere_is_no_attribute() -> None:
    named = span(
        name="http.route",
        attributes=[KeyValue(key="http.route.x"), KeyValue(value=AnyValue(string_value="k"))],
        events=[Span.Event(attributes=[KeyValue(key="http.route")])],
    )
    batch = decode(named).batch
    assert {int(column.codes[0]) for column in batch.attributes.values()} == {ABSENT}


def test_the_deprecated_field_is_read_where_scope_spans_is_empty() -> None:
    scope = ScopeSpans(spans=[span(), span(span_id=b"")]).SerializeToString()
    left = ScopeSpans(spans=[span()]).SerializeToString()
    decoded = DECODER.decode(field(1, field(1000, scope)))
    assert decoded.batch.payload == field(1, field(1000, left))
    assert decoded.batch.name.value(0) == "GET /"
    assert decoded.rejected == {"invalid_span_id": 1}


def test_the_deprecated_field_is_ignored_beside_scope_spans() -> None:
    scope = ScopeSpans(spans=[span(name="old")]).SerializeToString()
    both = field(1, field(1000, scope) + field(2, ScopeSpans(spans=[span()]).SerializeToString()))
    decoded = DECODER.decode(both)
    assert decoded.batch.payload is both
    assert [decoded.batch.name.value(row) for row in range(len(decoded.batch))] == ["GET /"]


def test_a_broken_deprecated_field_is_refused_where_it_is_read() -> None:
    broken = field(1000, field(2, b"\x0a\xff"))
    with pytest.raises(UndecodableError):
        DECODER.decode(field(1, broken))
    assert len(DECODER.decode(field(1, broken + field(2, b""))).batch) == 0
