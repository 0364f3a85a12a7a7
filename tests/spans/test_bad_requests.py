"""Bad protobuf: an UndecodableError or the library's own reading, in bounded memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from spanmill.errors import UndecodableError
from spans.both_decoders import BothDecoders
from spans.generated import field, group, varint
from spans.test_reference import DECODER, check_against_library, decode, request_of, span

FULL = request_of(
    span(
        kind=2,
        start_time_unix_nano=10**18,
        end_time_unix_nano=10**18 + 5,
        attributes=[
            KeyValue(key="http.route", value=AnyValue(string_value="/a/{é}")),
            KeyValue(key="k", value=AnyValue(double_value=1.5)),
        ],
    ),
    span(trace_id=b"\1" * 15),
    span(name="b", status=Status(code=Status.STATUS_CODE_ERROR)),
)


def in_span(content: bytes) -> bytes:
    """A request with one span of these bytes."""
    return field(1, field(2, field(2, content)))


def test_random_bytes() -> None:
    random = Random(1)
    for length in [*range(1, 40), 1000, 100_000]:
        check_against_library(random.randbytes(length))


BYTES = b"\x00\x01\x02\x04\x06\x08\x0a\x0b\x0c\x11\x12\x13\x14\x15\x1a\x7f\x80\xff"
WIRE = [*(bytes([byte]) for byte in BYTES), varint(1000 << 3 | 2), b"\x92\x00", b"\x8a\x80\x00"]


@given(st.lists(st.sampled_from(WIRE), max_size=25), st.sampled_from([(), (2,), (2, 2), (2, 1000)]))
@settings(max_examples=2000)
def test_any_mixture_of_tags_lengths_and_groups(tokens: list[bytes], around: Sequence[int]) -> None:
    body = b"".join(tokens)
    for number in around:
        body = field(number, body)
    check_against_library(field(1, body) if around else body)


def test_every_prefix_of_a_request() -> None:
    for length in range(len(FULL)):
        check_against_library(FULL[:length])


def test_every_flipped_bit_of_a_request() -> None:
    for bit in range(len(FULL) * 8):
        body = bytearray(FULL)
        body[bit // 8] ^= 1 << bit % 8
        check_against_library(bytes(body))


IDS = Span(trace_id=b"\1" * 16, span_id=b"\1" * 8).SerializeToString()


@pytest.mark.parametrize(
    ("body", "accepted"),
    {
        "a length that runs past the end": (b"\x0a\x7f", False),
        "a span's length that runs past its scope": (field(1, field(2, b"\x12\x7f") * 99), False),
        "a length of eleven bytes": (b"\x0a" + b"\x80" * 10 + b"\x00", False),
        "a length of six bytes": (b"\x0a\x80\x80\x80\x80\x80\x00", False),
        "a length of five bytes": (b"\x0a\x80\x80\x80\x80\x00", True),
        "a length of 2 GiB": (b"\x0a\xff\xff\xff\xff\x07", False),
        "a value of ten bytes": (in_span(IDS + b"\x30" + b"\xff" * 9 + b"\x01"), True),
        "a value of eleven bytes": (in_span(IDS + b"\x30" + b"\xff" * 10 + b"\x01"), False),
        "a value cut short": (b"\x78\xff", False),
        "a tag of five bytes": (b"\x8a\x80\x80\x80\x00\x00", True),
        "a tag of six bytes": (b"\x8a\x80\x80\x80\x80\x00\x00", False),
        "a tag over 32 bits": (b"\x8a\x80\x80\x80\x10\x00", False),
        "the highest field number": (varint((2**29 - 1) << 3) + b"\x00", True),
        "field number 0": (b"\x02\x00", False),
        "field number 0 in a scope": (field(1, field(2, b"\x02\x00")), False),
        "field number 0 in a group": (b"\x1b\x02\x00\x1c", True),
        "a group of number 0 in a group": (b"\x1b\x03\x04\x1c", True),
        "a group of number 0": (b"\x03\x04", False),
        "a group": (group(3, b""), True),
        "a group in the place of spans": (field(1, field(2, group(2, b"\x08\x01"))), True),
        "groups in a group": (group(3, group(1, group(4, b"\x08\x01"))), True),
        "a group that ends as another": (b"\x1b\x24", False),
        "a group that does not end": (b"\x1b", False),
        "a group that ends outside its message": (field(1, b"\x1b") + b"\x1c", False),
        "a group's end alone": (b"\x1c", False),
        "10,000 groups": (b"\x1b" * 10_000 + b"\x1c" * 10_000, False),
        "wire type 6": (b"\x1e", False),
        "wire type 7": (b"\x1f", False),
        "resource spans as a number": (b"\x08\x01", True),
        "scope spans as 64 bits": (field(1, b"\x11" + bytes(8)), True),
        "spans as 32 bits": (field(1, field(2, b"\x15" + bytes(4))), True),
        "a name as a number": (in_span(IDS + b"\x28\x01"), True),
        "a start as a number": (in_span(IDS + b"\x38\x01"), True),
        "invalid UTF-8 in a name": (in_span(IDS + field(5, b"\xff")), False),
        "a surrogate in a name": (in_span(IDS + field(5, b"\xed\xa0\x80")), False),
        "invalid UTF-8 in a key": (in_span(IDS + field(9, field(1, b"\xff"))), False),
        "invalid UTF-8 in a value": (in_span(IDS + field(9, field(2, field(1, b"\xff")))), False),
        "invalid UTF-8 in a rejected span": (in_span(field(5, b"\xff")), False),
        "invalid UTF-8 in a resource": (field(1, field(1, field(1, field(1, b"\xff")))), False),
        "a NUL in a name": (in_span(IDS + field(5, b"a\0b")), True),
        "JSON": (b'{"resourceSpans":[]}', False),
        "gzip": (b"\x1f\x8b\x08\x00", False),
    }.values(),
)
def test_directed_damage(body: bytes, accepted: bool) -> None:
    check_against_library(body)
    if accepted:
        DECODER.decode(body)
    else:
        with pytest.raises(UndecodableError):
            DECODER.decode(body)


def nested(depth: int) -> bytes:
    """A kvlist in a kvlist, so many times; lengths are built from the inside."""
    pieces: list[bytes] = []
    size = 0
    for _ in range(depth):
        for tag in (b"\x12", b"\x0a", b"\x32"):  # value, values, kvlist_value
            pieces.append(tag + varint(size))
            size += len(pieces[-1])
    return field(9, field(1, b"k") + b"\x12" + varint(size) + b"".join(reversed(pieces)))


@pytest.mark.parametrize("depth", [1, 30, 32, 33, 34, 100, 10_000])
def test_nested_values_as_deep_as_the_library_reads_them(depth: int) -> None:
    body = in_span(IDS + nested(depth))
    check_against_library(body)
    if depth >= 100:
        with pytest.raises(UndecodableError):
            DECODER.decode(body)


def test_a_name_of_ten_megabytes() -> None:
    name = "é" * 5_000_000
    assert decode(span(name=name)).batch.name.value(0) == name


def test_a_million_attributes() -> None:
    attributes = field(9, field(1, b"k")) * 1_000_000 + field(9, field(1, b"http.route"))
    batch = DECODER.decode(in_span(IDS + attributes)).batch
    assert batch.attributes["k"].codes[0] == 0
    assert batch.attributes["http.route"].codes[0] == 0


def test_many_empty_spans_are_rejected() -> None:
    decoded = DECODER.decode(field(1, field(2, b"\x12\x00" * 250_000)))
    assert decoded.rejected == {"invalid_trace_id": 250_000}
    assert decoded.batch.payload == field(1, field(2, b""))


@pytest.mark.parametrize(("kind", "most"), [("compiled", 200), ("reference", 50)])
def test_an_empty_span_takes_little_memory(kind: str, most: int) -> None:
    # The compiled decoder has room for every span; of a rejected one nothing is written there.
    decoder = DECODER.of_kind(kind)
    body = field(1, field(2, b"\x12\x00" * 50_000))
    tracemalloc.start()
    try:
        decoder.decode(body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Beside what the library takes for its own objects (170 bytes each, not traced).
    assert peak < 50_000 * most


def test_many_empty_scopes_and_resources() -> None:
    body = field(1, field(2, b"") * 100_000) + field(1, b"") * 100_000
    assert len(DECODER.decode(body).batch) == 0


def test_the_same_key_thousands_of_times_in_the_bytes_is_searched_once() -> None:
    # The key overlaps itself, stands in the resource, between spans and over the end of a span.
    decoder = BothDecoders(("aa",))
    filler = field(100, b"a" * 1_000_000)
    spans = field(2, IDS + field(5, b"aaaa")) + field(100, b"aaa") + field(2, IDS + field(5, b"a"))
    body = field(1, filler + field(2, spans + field(2, IDS + field(9, field(1, b"aa")))))
    batch = decoder.decode(body).batch
    assert batch.attributes["aa"].codes.tolist() == [-1, -1, 0]


def test_neighbouring_requests_are_not_touched_by_a_bad_one() -> None:
    before = DECODER.decode(FULL)
    with pytest.raises(UndecodableError):
        DECODER.decode(FULL[:-1])
    after = DECODER.decode(FULL)
    assert after.batch.payload == before.batch.payload
    assert after.rejected == before.rejected == {"invalid_trace_id": 1}


def test_the_message_says_what_was_expected() -> None:
    with pytest.raises(UndecodableError, match="not an ExportTraceServiceRequest in protobuf"):
        DECODER.decode(b"\xff")
