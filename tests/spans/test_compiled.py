"""The compiled decoder: what it reads itself, what it adds, and what it keeps."""

from __future__ import annotations

import gc
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from spanmill.errors import UndecodableError
from spanmill.spans import compiled
from spanmill.spans.batch import SpanBatch
from spanmill.spans.compiled import CompiledDecoder
from spanmill.spans.reference import ReferenceDecoder
from spanmill.spans.rewrite import regroup
from spans.both_decoders import compiled_decoder
from spans.fuzz.difference import difference
from spans.fuzz.grouping import Grouping
from spans.generated import ATTRIBUTES, KINDS, TEXTS, TIMES, an_id, field, key_values, randoms
from spans.test_bad_requests import IDS, in_span, nested
from spans.test_reference import request_of, span

REAL = ("http.route", "http.method", "rpc.service", "http.status_code", "db.statement", "nowhere")


@pytest.fixture
def decoder() -> CompiledDecoder:
    return compiled_decoder(ATTRIBUTES, ATTRIBUTES[:2])


def check(decoder: CompiledDecoder, body: bytes, attributes: tuple[str, ...] = ATTRIBUTES) -> None:
    """The kernel reads it itself, and as the reference does."""
    irregular = decoder.irregular_requests
    found = decoder.decode(body)
    assert difference(ReferenceDecoder(attributes).decode(body), found) is None
    assert decoder.irregular_requests == irregular
    assert Grouping(attributes[:2]).difference(found.batch) is None


def one_resource(*fields: bytes) -> bytes:
    return field(1, b"".join(fields))


def resource_field(service: str) -> bytes:
    attributes = [KeyValue(key="service.name", value=AnyValue(string_value=service))]
    return field(1, Resource(attributes=attributes).SerializeToString())


def scope_field(*spans: Span) -> bytes:
    return field(2, ScopeSpans(spans=spans).SerializeToString())


@pytest.mark.parametrize("batch_size", [None, 1, 10, 512, 8192])
def test_real_spans_need_no_reference(
    batch_size: int | None, astronomy_requests: list[bytes]
) -> None:
    decoder = compiled_decoder(REAL, REAL[:2])
    bodies = astronomy_requests[:: 40 if batch_size == 1 else 1]
    if batch_size is not None:
        requests = map(ExportTraceServiceRequest.FromString, bodies)
        bodies = [batch.SerializeToString() for batch in regroup(requests, batch_size)]
    for body in bodies[:: 20 if batch_size in (1, 10) else 1]:
        check(decoder, body, REAL)


@st.composite
def plain_requests(draw: st.DrawFn) -> bytes:
    """Requests as real senders write them, with all that OTLP has."""
    random = draw(randoms())
    request = ExportTraceServiceRequest()
    for _ in range(random.randrange(3)):
        attributes = key_values(random, random.randrange(4))
        resource_spans = request.resource_spans.add(resource=Resource(attributes=attributes))
        for _ in range(random.randrange(3)):
            scope = InstrumentationScope(
                name=random.choice(TEXTS), attributes=key_values(random, random.randrange(2))
            )
            scope_spans = resource_spans.scope_spans.add(scope=scope)
            scope_spans.spans.extend(plain_span(random) for _ in range(random.randrange(6)))
    return request.SerializeToString()


def plain_span(random: Random) -> Span:
    event = Span.Event(name=random.choice(TEXTS), attributes=key_values(random, 2))
    link = Span.Link(
        trace_id=an_id(random, 16), span_id=an_id(random, 8), attributes=key_values(random, 1)
    )
    return Span(
        trace_id=random.choice([an_id(random, 16)] * 9 + [b"short"]),
        span_id=random.choice([an_id(random, 8)] * 9 + [bytes(8)]),
        trace_state=random.choice(["", "", "vendor=1", "ot=th:8", "ot=rv:01;th:c"]),
        name=random.choice(TEXTS),
        kind=random.choice(KINDS),
        start_time_unix_nano=random.choice(TIMES),
        end_time_unix_nano=random.choice(TIMES),
        attributes=key_values(random, random.randrange(5), depth=3),
        events=[event] * random.randrange(3),
        links=[link] * random.randrange(2),
        status=random.choice([None, Status(), Status(code=random.choice(KINDS), message="é")]),
        flags=random.choice([0, 1, 2**32 - 1]),
        dropped_events_count=random.choice([0, 2**32 - 1]),
    )


@given(plain_requests())
@settings(max_examples=300)
def test_any_plain_request_is_read_without_the_reference(body: bytes) -> None:
    check(compiled_decoder(ATTRIBUTES, ATTRIBUTES[:2]), body)


@given(plain_requests(), st.data())
@settings(max_examples=300)
def test_damage_is_found_as_the_reference_finds_it(body: bytes, data: st.DataObject) -> None:
    decoder, reference = compiled_decoder(ATTRIBUTES), ReferenceDecoder(ATTRIBUTES)
    damaged = bytearray(body or b"\0")
    at = data.draw(st.integers(0, len(damaged) - 1))
    damaged[at] = data.draw(st.integers(0, 255))
    try:
        expected = reference.decode(bytes(damaged))
    except UndecodableError:
        with pytest.raises(UndecodableError):
            decoder.decode(bytes(damaged))
    else:
        assert difference(expected, decoder.decode(bytes(damaged))) is None


WRITTEN_OUT = {
    "numbers of 0": b"\x30\x00" + b"\x50\x00" + b"\x60\x00" + b"\x70\x00",
    "times of 0": b"\x39" + bytes(8) + b"\x41" + bytes(8),
    "flags of 0": b"\x85\x01" + bytes(4),
    "empty texts": field(3, b"") + field(5, b""),
    "no parent": field(4, b""),
    "an unset status": field(15, b"\x12\x00\x18\x00"),
    "an empty key": field(9, field(1, b"") + field(2, field(1, b"v"))),
    "an empty key in an event": field(11, field(3, field(1, b"") + field(2, b"\x10\x01"))),
    "a key without a value": field(9, field(1, b"k")),
    "an empty value": field(9, field(1, b"k") + field(2, b"")),
    "an empty text as value": field(9, field(1, b"k") + field(2, field(1, b""))),
    "a value of 0": field(9, field(1, b"k") + field(2, b"\x18\x00")),
    "a value of no": field(9, field(1, b"k") + field(2, b"\x10\x00")),
    "a value before its key": field(9, field(2, field(1, b"v")) + field(1, b"k")),
    "a length that shrinks by a byte": field(15, field(2, b"m" * 125) + b"\x18\x00"),
    "unknown fields": field(99, b"x") + b"\x98\x06\x05" + field(9, field(7, b"x") + field(1, b"k")),
    "known fields of other types": b"\x28\x05" + field(6, b"x") + b"\x3d" + bytes(4),
    "negative numbers": b"\x30" + b"\xff" * 9 + b"\x01",
    "a value nested 20 deep": nested(6),
}


@pytest.mark.parametrize("content", WRITTEN_OUT.values(), ids=WRITTEN_OUT.keys())
def test_what_some_senders_write_out_is_read_by_the_kernel(
    content: bytes, decoder: CompiledDecoder
) -> None:
    check(decoder, in_span(IDS + content))
    check(decoder, in_span(content + IDS))


def test_a_late_resource_and_scope_are_read_by_the_kernel(decoder: CompiledDecoder) -> None:
    scope = field(1, InstrumentationScope(name="lib", version="1").SerializeToString())
    late_scope = field(2, field(2, span().SerializeToString()) + scope)
    body = one_resource(late_scope, scope_field(span()), resource_field("late"))
    check(decoder, body + one_resource(scope_field(span())))
    batch = decoder.decode(body).batch
    assert [batch.resource.value(row) for row in (0, 1)] == [batch.resource.values[0]] * 2
    assert batch.resource.values[0].attributes == {"service.name": "late"}


IRREGULAR = {
    "a name twice": in_span(IDS + field(5, b"a") + field(5, b"b")),
    "a status in two pieces": in_span(IDS + field(15, b"\x18\x01") + field(15, field(2, b"m"))),
    "two choices of a value": in_span(
        IDS + field(9, field(1, b"k") + field(2, b"\x18\x01\x10\x01"))
    ),
    "a resource in two pieces": one_resource(
        resource_field("a"), resource_field("b"), scope_field(span())
    ),
    "an overlong length": b"\x0a\x80\x00",
    "an overlong number": in_span(IDS + b"\x30\x81\x00"),
    "a number over 32 bits": in_span(IDS + b"\x30\x80\x80\x80\x80\x10"),
    "a group": in_span(IDS + b"\x9b\x06\x9c\x06"),
    "scopes before OTLP 0.15": field(1, field(1000, field(2, span().SerializeToString()))),
    "values nested 30 deep": in_span(IDS + nested(10)),
}


@pytest.mark.parametrize("body", IRREGULAR.values(), ids=IRREGULAR.keys())
def test_what_goes_to_the_reference_is_counted(body: bytes, decoder: CompiledDecoder) -> None:
    found = decoder.decode(body)
    assert difference(ReferenceDecoder(ATTRIBUTES).decode(body), found) is None
    assert decoder.irregular_requests == 1


def test_bytes_behind_a_request_are_not_read() -> None:
    # A piece of memory that goes on as the request would: the end of the bytes is the end.
    decoder = compiled_decoder(())
    whole = request_of(span(name="n" * 40))
    for length in range(len(whole)):
        piece = bytes(memoryview(whole)[:length])
        if length:
            with pytest.raises(UndecodableError):
                decoder.decode(piece)
    assert len(decoder.decode(whole).batch) == 1


def test_groups_are_those_of_their_values_and_keep_their_identity(
    decoder: CompiledDecoder,
) -> None:
    route = [KeyValue(key="http.route", value=AnyValue(string_value="/a"))]
    uncounted = [KeyValue(key="é", value=AnyValue(string_value="/a"))]
    spans = [
        span(),
        span(attributes=route),
        span(attributes=uncounted),  # not among those that tell groups apart
        span(kind=2),
        span(status=Status(code=Status.STATUS_CODE_ERROR)),
        span(name="other"),
        span(attributes=route),
    ]
    first = decoder.decode(request_of(*spans)).batch.groups
    again = decoder.decode(request_of(*reversed(spans))).batch.groups
    assert first is not None
    assert again is not None
    assert first.attributes == ATTRIBUTES[:2]
    assert first.codes.tolist() == [0, 1, 0, 2, 3, 4, 1]
    assert first.first.tolist() == [0, 1, 3, 4, 5]
    assert first.counts.tolist() == [2, 2, 1, 1, 1]
    assert first.identities is not None
    assert again.identities is not None
    assert len({tuple(row) for row in first.identities.tolist()}) == 5
    forward = first.identities[first.codes]
    assert np.array_equal(forward, again.identities[again.codes][::-1])


def identities(decoder: CompiledDecoder, body: bytes) -> list[list[int]]:
    groups = decoder.decode(body).batch.groups
    assert groups is not None
    assert groups.identities is not None
    found: list[list[int]] = groups.identities.tolist()
    return found


def test_identities_depend_on_a_random_key() -> None:
    body = request_of(span(), span(name="b"))
    fixed = [identities(compiled_decoder((), (), bytes(32)), body) for _ in range(2)]
    drawn = [identities(compiled_decoder(()), body) for _ in range(2)]
    assert fixed[0] == fixed[1]
    assert drawn[0] != drawn[1]


def test_many_distinct_values_have_codes_of_their_own(decoder: CompiledDecoder) -> None:
    spans = [
        span(name=f"{i}", attributes=[KeyValue(key="k", value=AnyValue(int_value=i % 7000))])
        for i in range(20_000)
    ]
    batch = decoder.decode(request_of(*spans)).batch
    assert [batch.name.value(row) for row in range(20_000)] == [f"{i}" for i in range(20_000)]
    assert len(batch.attributes["k"].values) == 7000
    assert batch.attributes["k"].value(19_999) == 19_999 % 7000
    assert batch.groups is not None
    assert len(batch.groups) == 20_000


def test_values_are_a_sequence(decoder: CompiledDecoder) -> None:
    values = decoder.decode(request_of(*(span(name=name) for name in "abc"))).batch.name.values
    assert list(values) == ["a", "b", "c"]
    assert (values[-1], values[1:], len(values)) == ("c", ["b", "c"], 3)
    with pytest.raises(IndexError):
        values[3]


def test_which_spans_have_links(decoder: CompiledDecoder) -> None:
    batch = decoder.decode(request_of(span(), span(links=[Span.Link()]))).batch
    assert batch.linked is not None
    assert batch.linked.tolist() == [False, True]


def services(batch: SpanBatch) -> list[object]:
    return [resource.attributes["service.name"] for resource in batch.resource.values]


def test_the_same_bytes_give_the_same_resource_in_all_requests(
    decoder: CompiledDecoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "MAX_RESOURCES", 2)
    shop, other, third = (
        one_resource(resource_field(name), scope_field(span())) for name in ("a", "b", "c")
    )
    first = decoder.decode(shop + other).batch
    assert decoder.decode(other + shop).batch.resource.values[1] is first.resource.values[0]
    assert services(decoder.decode(third).batch) == ["c"]  # there is no room: all are forgotten
    again = decoder.decode(shop).batch
    assert again.resource.values[0] is not first.resource.values[0]
    assert services(again) == ["a"]


def test_memory_is_given_back_after_a_huge_request(decoder: CompiledDecoder) -> None:
    attributes = [KeyValue(key="k", value=AnyValue(string_value="v" * 500))]
    body = request_of(*(span(name=f"{i}", attributes=attributes) for i in range(20_000)))
    decoder.decode(request_of(span()))
    gc.collect()
    tracemalloc.start()
    try:
        decoder.decode(body)
        gc.collect()
        left, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert left < 100_000
    assert peak < len(body)


def test_threads_decode_at_once_without_touching_each_other(decoder: CompiledDecoder) -> None:
    bodies = [request_of(*(span(name=f"{t}-{i}") for i in range(500))) for t in range(8)]

    def names(body: bytes) -> list[str]:
        return [name for _ in range(20) for name in decoder.decode(body).batch.name.values]

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(names, bodies))
    assert found == [[f"{t}-{i}" for i in range(500)] * 20 for t in range(8)]


def test_resource_spans_without_spans_leave_no_resource(decoder: CompiledDecoder) -> None:
    empty = ResourceSpans(resource=Resource(), scope_spans=[ScopeSpans()]).SerializeToString()
    batch = decoder.decode(field(1, empty) + request_of(span())).batch
    assert (len(batch.resource.values), len(batch.scope.values)) == (1, 1)
