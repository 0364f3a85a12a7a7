"""Generated requests, down to how their bytes are written.

A request is a tree of pieces of bytes and of messages. It can be rendered as it is, or without
the spans that must be rejected: what the decoder must make of the first. Fields come in any
order, with unknown ones among them, split up where protobuf merges, under overlong varints.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    ArrayValue,
    InstrumentationScope,
    KeyValue,
    KeyValueList,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

ATTRIBUTES = ("http.route", "k", "é")
"""The attributes that generated spans often have."""


def varint(value: int, padding: int = 0) -> bytes:
    """A varint with this many bytes more than it needs (at most 5 in all)."""
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    for _ in range(min(padding, 5 - len(encoded))):
        encoded[-1] |= 0x80
        encoded.append(0)
    return bytes(encoded)


def field(number: int, content: bytes) -> bytes:
    """A length-delimited field."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def group(number: int, content: bytes) -> bytes:
    """A field of the group wire types."""
    return varint(number << 3 | 3) + content + varint(number << 3 | 4)


@dataclass(frozen=True)
class Message:
    """A length-delimited field that holds other pieces."""

    number: int
    pieces: Sequence[bytes | Message]
    tag_padding: int = 0
    length_padding: int = 0
    rejected: bool = False

    def render(self, cut: bool) -> bytes:
        content = b"".join(_rendered(piece, cut) for piece in self.pieces)
        # The length around what was cut is written anew, in the shortest form.
        padding = 0 if cut and _has_rejected(self) else self.length_padding
        tag = varint(self.number << 3 | 2, self.tag_padding)
        return tag + varint(len(content), padding) + content


@dataclass(frozen=True)
class Request:
    """A generated request; `received` are its bytes, `accepted` those that must be left."""

    pieces: Sequence[bytes | Message]

    @property
    def received(self) -> bytes:
        return b"".join(_rendered(piece, cut=False) for piece in self.pieces)

    @property
    def accepted(self) -> bytes:
        return b"".join(_rendered(piece, cut=True) for piece in self.pieces)


def _rendered(piece: bytes | Message, cut: bool) -> bytes:
    if isinstance(piece, bytes):
        return piece
    return b"" if cut and piece.rejected else piece.render(cut)


def _has_rejected(message: Message) -> bool:
    return any(
        isinstance(piece, Message) and (piece.rejected or _has_rejected(piece))
        for piece in message.pieces
    )


# Hypothesis draws the structure, and a seed for each span and envelope: drawing every value of
# every span by itself takes a second for one request.

TEXTS = ["", "GET /", "http.route", "a", "é", "\u202eright to left", "nul\0", "\U0001f980"]
NUMBERS = [0, 1, -1, 200, 2**53 + 1, 2**63 - 1, -(2**63)]
DOUBLES = [0.0, -0.0, 1.0, -2.5, 5e-324, float("nan"), float("inf"), float("-inf")]
TIMES = [0, 1, 10**18, 10**18 + 7, 4_102_444_800 * 10**9, 2**63, 2**64 - 1]
KINDS = [*range(-1, 8), 99, 2**31 - 1, -(2**31)]
INVALID_IDS = [bytes(n) for n in (0, 7, 8, 15, 16)] + [b"\1" * 17, b"\1" * 32]


def any_value(random: Random, depth: int = 2) -> AnyValue:
    kinds: list[Callable[[], AnyValue]] = [
        AnyValue,
        lambda: AnyValue(string_value=random.choice(TEXTS)),
        lambda: AnyValue(bool_value=random.choice([True, False])),
        lambda: AnyValue(int_value=random.choice(NUMBERS)),
        lambda: AnyValue(double_value=random.choice(DOUBLES)),
        lambda: AnyValue(bytes_value=random.randbytes(random.randrange(3))),
        lambda: AnyValue(string_value_strindex=1),
        lambda: AnyValue(
            array_value=ArrayValue(
                values=[any_value(random, depth - 1) for _ in range(random.randrange(3))]
            )
        ),
        lambda: AnyValue(
            kvlist_value=KeyValueList(values=key_values(random, random.randrange(3), depth - 1))
        ),
    ]
    return random.choice(kinds if depth else kinds[:7])()


def key_values(random: Random, count: int, depth: int = 2) -> list[KeyValue]:
    return [
        KeyValue(
            key=random.choice([*ATTRIBUTES, "service.name", *TEXTS]),
            value=any_value(random, depth) if random.random() < 0.9 else None,
        )
        for _ in range(count)
    ]


def unknown_field(random: Random, known: Sequence[int], depth: int = 3) -> bytes:
    """A field that the protocol doesn't have, or one that it has with another wire type."""
    other = random.choice([100, 999, 2**29 - 1])
    number = random.choice([other, *known])
    match random.randrange(5):
        case 0:
            values = [b"\0", b"\x96\x01", b"\xff" * 9 + b"\x7f", b"\x80\x80\x80\0"]
            return varint(number << 3) + random.choice(values)
        case 1:
            return varint(other << 3 | 1) + random.randbytes(8)
        case 2:
            return varint(number << 3 | 5) + random.randbytes(4)
        case 3:
            return field(other, random.randbytes(random.randrange(200)))
        case _:
            return group(number, unknown_field(random, [], depth - 1) if depth else b"")


def mixed(
    random: Random, pieces: Sequence[bytes | Message], known: Sequence[int]
) -> list[bytes | Message]:
    extra = [unknown_field(random, known) for _ in range(random.choice([0, 0, 0, 1, 2]))]
    shuffled = [*pieces, *extra]
    random.shuffle(shuffled)
    return shuffled


def an_id(random: Random, length: int) -> bytes:
    return bytes([random.randrange(1, 4)]) + random.randbytes(length - 1)


def span(random: Random) -> Message:
    trace_id, span_id = an_id(random, 16), an_id(random, 8)
    match random.randrange(10):
        case 0:
            trace_id = random.choice(INVALID_IDS)
        case 1:
            span_id = random.choice(INVALID_IDS)
    parts = [
        Span(trace_id=trace_id),
        Span(span_id=span_id),
        Span(parent_span_id=random.choice([b"", an_id(random, 8), random.choice(INVALID_IDS)])),
        Span(name=random.choice(TEXTS)),
        Span(kind=random.choice(KINDS)),
        Span(start_time_unix_nano=random.choice(TIMES), end_time_unix_nano=random.choice(TIMES)),
        Span(attributes=key_values(random, random.randrange(4))),
        Span(attributes=key_values(random, random.randrange(2))),
        Span(events=[Span.Event(name="http.route")] * random.randrange(2)),
    ]
    for _ in range(random.randrange(3)):
        code = random.choice(KINDS)
        parts.append(Span(status=Status(code=code)))
        parts.append(Span(status=Status(message="m")))
    pieces: list[bytes] = [part.SerializeToString() for part in parts]
    return Message(
        number=2,
        pieces=mixed(random, pieces, [1, 5, 6, 15]),
        tag_padding=random.choice([0, 0, 0, 1, 4]),
        length_padding=random.choice([0, 0, 0, 1, 4]),
        rejected=not (len(trace_id) == 16 and any(trace_id) and len(span_id) == 8 and any(span_id)),
    )


def scope_fields(random: Random) -> list[bytes]:
    scopes = [
        InstrumentationScope(name=random.choice(TEXTS)),
        InstrumentationScope(version=random.choice(["", "1.0"])),
    ]
    parts = [ScopeSpans(scope=scope) for scope in random.sample(scopes, random.randrange(3))]
    parts.append(ScopeSpans(schema_url=random.choice(TEXTS)))
    return [part.SerializeToString() for part in parts]


def resource_fields(random: Random) -> list[bytes]:
    parts = [
        ResourceSpans(resource=Resource(attributes=key_values(random, random.randrange(4))))
        for _ in range(random.randrange(3))
    ]
    parts.append(ResourceSpans(schema_url=random.choice(TEXTS)))
    return [part.SerializeToString() for part in parts]


def randoms() -> st.SearchStrategy[Random]:
    return st.builds(Random, st.integers(0, 2**32))


@st.composite
def scope_spans(draw: st.DrawFn, number: int = 2) -> Message:
    random = draw(randoms())
    spans = draw(st.lists(st.builds(span, randoms()), max_size=5))
    return Message(
        number=number,
        pieces=mixed(random, [*spans, *scope_fields(random)], [1, 2, 3]),
        tag_padding=random.choice([0, 0, 1, 2]),
        length_padding=random.choice([0, 0, 1, 4]),
    )


@st.composite
def resource_spans(draw: st.DrawFn) -> Message:
    random = draw(randoms())
    pieces: list[bytes | Message] = [*resource_fields(random)]
    form = draw(st.sampled_from(["current", "current", "current", "deprecated", "both"]))
    if form == "deprecated":
        pieces += draw(st.lists(scope_spans(1000), max_size=3))
    else:
        pieces += draw(st.lists(scope_spans(), min_size=form == "both", max_size=3))
    if form == "both":  # the deprecated field is then no more than an unknown one
        pieces.append(draw(scope_spans(1000)).render(cut=False))
    return Message(
        number=1,
        pieces=mixed(random, pieces, [1, 2, 3, 1000]),
        tag_padding=random.choice([0, 0, 1, 2]),
        length_padding=random.choice([0, 0, 1, 4]),
    )


@st.composite
def requests(draw: st.DrawFn) -> Request:
    pieces: list[bytes | Message] = [*draw(st.lists(resource_spans(), max_size=4))]
    return Request(mixed(draw(randoms()), pieces, [1]))
