"""Requests at which decoders differ, written on purpose: every one of a kind, not some."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from spanmill.spans.splice import encode_varint
from spanmill.spans.wire import FIXED32, FIXED64, GROUP_END, GROUP_START, LENGTH, VARINT
from spans.fuzz import odd_values
from spans.fuzz.fields import tag
from spans.generated import field, group, varint

IDS: Final = field(1, b"\1" * 16) + field(2, b"\2" * 8)
"""A span that is accepted, and has nothing else."""

_NUMBERS: Final = range(1, 19)


def in_span(content: bytes) -> bytes:
    """A request with one span."""
    return field(1, field(2, field(2, IDS + content)))


def attribute(key: bytes, value: bytes) -> bytes:
    """An attribute of a span; `value` are the fields of its AnyValue."""
    return field(9, field(1, key) + field(2, value))


def texts() -> Iterator[bytes]:
    """Valid and invalid UTF-8 at all places of three 8-byte words, in every kind of text."""
    for before in range(25):
        for piece in (*odd_values.INVALID_UTF8, *odd_values.VALID_UTF8):
            text = b"a" * before + piece
            yield in_span(field(5, text))
            yield in_span(field(5, text + b"b" * 9))
    for piece in (*odd_values.INVALID_UTF8, *odd_values.VALID_UTF8):
        yield in_span(attribute(piece, b"\x18\x01"))
        yield in_span(attribute(b"k", field(1, piece)))
        yield in_span(attribute(b"k", field(7, piece)))  # bytes: nothing is invalid
        yield in_span(field(3, piece) + field(15, field(2, piece)))
        yield in_span(field(11, field(2, piece)) + field(13, field(3, piece)))
        yield field(1, field(3, piece) + field(2, field(3, piece) + field(2, IDS)))
        yield field(1, field(2, field(1, field(1, piece) + field(2, piece)) + field(2, IDS)))
        yield field(1, field(1, field(1, field(1, piece))) + field(2, field(2, IDS)))


def depths() -> Iterator[bytes]:
    """Values nested up to and beyond what the kernel and what the library reads."""
    array = kvlist = mixed = b""
    for depth in range(110):
        array = field(5, field(1, array))
        kvlist = field(6, field(1, field(2, kvlist)))
        mixed = field(5, field(1, mixed)) if depth % 2 else field(6, field(1, field(2, mixed)))
        for value in (array, kvlist, mixed):
            yield in_span(attribute(b"k", value))
            yield in_span(attribute(b"other", value))
            yield in_span(field(11, field(3, field(2, value))))
            yield field(1, field(1, field(1, field(2, value))) + field(2, field(2, IDS)))
    groups = b""
    for _ in range(110):
        groups = group(100, groups)
        yield in_span(groups)
        yield groups


def wire_types() -> Iterator[bytes]:
    """Every known field, and some others, as every wire type, cut short and whole."""
    contents = {
        VARINT: b"\x01",
        FIXED64: bytes(range(8)),
        LENGTH: b"\x02ab",
        GROUP_START: b"",
        GROUP_END: b"",
        FIXED32: bytes(range(4)),
        6: b"",
        7: b"",
    }
    for number in (0, *_NUMBERS, 100, 1000, 2**29 - 1, 2**29):
        for wire_type, content in contents.items():
            whole = tag(number, wire_type) + content
            for cut in range(len(whole) + 1):
                piece = whole[:cut]
                yield in_span(piece)
                yield in_span(attribute(b"k", piece))
                yield field(1, field(2, field(2, IDS) + field(1, piece)))
                yield field(1, field(1, piece) + field(2, field(2, IDS)) + piece)
                yield field(1, field(2, field(2, IDS) + piece)) + piece


def varints() -> Iterator[bytes]:
    """Numbers of every kind of field, each in every length."""
    numbers = (*odd_values.NUMBERS, 2**64 - 1)
    for number in numbers:
        shortest = encode_varint(number & (1 << 64) - 1)
        for padding in range(12 - len(shortest)):
            value = shortest
            if padding:
                value = shortest[:-1] + bytes([shortest[-1] | 0x80]) + b"\x80" * (padding - 1)
                value += b"\0"
            for known in (6, 10, 12, 14):
                yield in_span(tag(known, VARINT) + value)
            yield in_span(field(15, b"\x18" + value))
            for kind in (2, 3, 8):
                yield in_span(attribute(b"k", tag(kind, VARINT) + value))
    yield in_span(b"\x30" + b"\xff" * 10 + b"\x01")
    for last in (0x02, 0x03, 0x7E, 0x7F):  # more bits than 64: the library drops them
        value = b"\xff" * 9 + bytes([last])
        for number in (*range(1, 17), 17, 100):  # known and unknown
            yield in_span(tag(number, VARINT) + value)
        for message in (11, 13, 15):
            for number in (1, 3, 4, 5, 100):
                yield in_span(field(message, tag(number, VARINT) + value))
        for kind in (2, 3, 8, 100):
            yield in_span(attribute(b"k", tag(kind, VARINT) + value))
        yield field(
            1, field(1, b"\x10" + value) + field(2, field(1, b"\x20" + value) + field(2, IDS))
        )


def lengths() -> Iterator[bytes]:
    """Lengths that are too short, too long, overlong and beyond what protobuf has."""
    name = b"abcdefgh"
    span = IDS + field(5, name)
    for lie in (*range(-8, 9), 127, 2**31 - 9, 2**31 - 8, 2**32 - 9, 2**32 - 8, 2**63 - 8):
        said = encode_varint(len(name) + lie)
        yield in_span(b"\x2a" + said + name)
        said = encode_varint(len(span) + lie)
        yield field(1, field(2, b"\x12" + said + span))
    for padding in range(5):
        yield field(1, field(2, b"\x12" + varint(len(span), padding) + span))
        yield in_span(varint(5 << 3 | LENGTH, padding) + field(5, name)[1:])


def shrinking_messages() -> Iterator[bytes]:
    """Default values written out where the message without them has a shorter length."""
    for size in (*range(120, 136), *range(16378, 16390)):
        for default in (b"\x22\0", b"\x38\0", b"\x38\0\x42\0"):
            rest = size - len(default) - 5
            padding = field(100, b"x" * (rest + 2 if rest < 126 else rest + 1))
            for message in (11, 13, 15):
                for known in (b"\x10\0", b"\x12\0", b"\x18\0", b"\x1a\0", b"\x20\0", default):
                    yield in_span(field(message, known + padding))
            yield in_span(field(9, field(1, b"k") + b"\x18\0" + padding))
            nested = field(6, field(1, field(1, b"k") + b"\x18\0" + padding))
            yield in_span(attribute(b"k", nested))


def ids() -> Iterator[bytes]:
    """Ids of all lengths, all zero, zero but for one byte; alone and among others."""
    for length in range(34):
        for one in (bytes(length), bytes(max(length - 1, 0)) + b"\1", b"\1" + bytes(length)):
            for span in (
                field(1, one) + field(2, b"\2" * 8),
                field(1, b"\1" * 16) + field(2, one),
                IDS + field(4, one),
            ):
                around = field(2, IDS + field(5, b"around"))
                yield field(1, field(2, field(2, span)))
                yield field(1, field(2, around + field(2, span) * 3 + around)) * 2


def twice() -> Iterator[bytes]:
    """Every field of a span, and every choice of a value, given twice."""
    span = {
        3: field(3, b"ot=th:8"),
        4: field(4, b"\3" * 8),
        5: field(5, b"name"),
        6: b"\x30\x02",
        7: tag(7, FIXED64) + b"\1" * 8,
        8: tag(8, FIXED64) + b"\2" * 8,
        9: attribute(b"k", b"\x18\x01"),
        15: field(15, b"\x18\x02"),
    }
    empty = {3: field(3, b""), 5: field(5, b""), 6: b"\x30\0", 15: field(15, b"")}
    for number, written in span.items():
        yield in_span(written * 2)
        default = empty.get(number, b"")
        yield in_span(written + default)
        yield in_span(default + written)
    choices = [
        field(1, b"text"),
        field(1, b""),
        b"\x10\x01",
        b"\x10\x00",
        b"\x18\x05",
        tag(4, FIXED64) + b"\0\0\0\0\0\0\xf8\x7f",
        field(5, field(1, b"\x18\x01")),
        field(6, field(1, field(1, b"x"))),
        field(7, b"\xff"),
        b"\x40\x01",
    ]
    for one in choices:
        yield in_span(attribute(b"k", one))
        for other in choices:
            yield in_span(attribute(b"k", one + other))
            yield in_span(attribute(b"k", one) + attribute(b"k", other))
            yield in_span(field(9, field(1, b"k") + field(2, one) + field(2, other)))
    yield in_span(field(9, field(1, b"x") + field(1, b"k") + field(2, choices[0])))


def resources() -> Iterator[bytes]:
    """Resources and scopes that come late, twice, empty or not at all; both names of scopes."""
    resource = field(1, field(1, field(1, b"service.name") + field(2, field(1, b"a"))))
    other = field(1, field(1, field(1, b"host.name") + field(2, field(1, b"b"))))
    scope, more = field(1, field(1, b"scope")), field(1, field(2, b"1.0"))
    span = field(2, IDS)
    for scopes in (span, scope + span, span + scope, scope + span + more + span, scope + more):
        for number in (2, 1000):
            spans = field(number, scopes)
            yield field(1, spans)
            yield field(1, resource + spans)
            yield field(1, spans + resource)
            yield field(1, resource + spans + other + spans)
            yield field(1, other + resource + spans) + field(1, resource + other + spans)
            yield field(1, field(1, b"") + spans)
        yield field(1, field(2, scopes) + field(1000, scopes))
        yield field(1, field(1000, scopes) + field(2, b""))


def trace_states() -> Iterator[bytes]:
    """Sampling thresholds as they should be written, and nearly so."""
    values = ["", "0", "8", "c", "f" * 14, "f" * 13, "0" * 14, "0" * 13 + "1", "f" * 15, "8 ", "F"]
    for value in values:
        for written in (
            f"ot=th:{value}",
            f"ot=rv:1;th:{value}",
            f"ot=th:{value};rv:1",
            f"a=b,ot=th:{value}",
            f"a=b, \tot=th:{value}",
            f"ot=th:{value},a=b",
            f"ot=th:{value}\n",
            f"ot=th:{value} \t",
            f"ot=th:{value}\u00a0",
            f"ot=xth:{value}",
            f"xot=th:{value}",
            f"ot=th:{value};th:4",
            f"ot=,ot=th:{value}",
            f"ot=;th:{value}",
            f"a=ot=th:{value}",
            f"\not=th:{value}",
        ):
            yield in_span(field(3, written.encode()))


DIRECTED: Final[dict[str, Callable[[], Iterator[bytes]]]] = {
    "texts": texts,
    "depths": depths,
    "wire types": wire_types,
    "varints": varints,
    "lengths": lengths,
    "messages that shrink": shrinking_messages,
    "ids": ids,
    "fields given twice": twice,
    "resources and scopes": resources,
    "trace states": trace_states,
}
"""The requests by their kind."""
