"""Values at which decoders go wrong: numbers, texts, ids, trace states, deep nesting."""

from __future__ import annotations

from random import Random
from typing import Final

from spanmill.spans.splice import encode_varint

NUMBERS: Final = (
    *range(-2, 9),
    127,
    128,
    16383,
    16384,
    2**31 - 1,
    2**31,
    -(2**31),
    2**32 - 1,
    2**32,
    2**32 + 2,
    2**63 - 1,
    -(2**63),
)
"""For varints: enum numbers known and unknown, borders of their lengths, signs."""

FIXED64: Final = (0, 1, 255, 10**18, 10**18 + 1, 2**63 - 1, 2**63, 2**64 - 1)
"""For times: of an epoch that began, of one that didn't, the last that there is."""

FIELD_NUMBERS: Final = (0, *range(1, 19), 31, 100, 999, 1000, 1001, 2**28, 2**29 - 1, 2**29)
"""Those the protocol has, has had and never had, and two that are none."""

LENGTHS: Final = (
    -9,
    -8,
    -2,
    -1,
    1,
    2,
    7,
    8,
    9,
    63,
    127,
    128,
    2**14,
    2**31 - 1,
    2**31,
    2**32,
    2**40,
)
"""How much a length may lie by."""

ID_LENGTHS: Final = (0, 1, 7, 8, 9, 15, 16, 17, 24, 32)

INVALID_UTF8: Final = (
    b"\x80",
    b"\xbf",
    b"\xc0\x80",  # an overlong NUL
    b"\xc1\xbf",  # overlong, 2 bytes
    b"\xc2",
    b"\xdf\x7f",
    b"\xe0\x80\x80",  # overlong, 3 bytes
    b"\xe0\x9f\xbf",
    b"\xe2\x82",
    b"\xed\xa0\x80",  # the first surrogate
    b"\xed\xbf\xbf",  # the last one
    b"\xed\xa0\xbd\xed\xb8\x80",  # a pair of them
    b"\xf0\x80\x80\x80",  # overlong, 4 bytes
    b"\xf0\x8f\xbf\xbf",
    b"\xf0\x9f\xa6",
    b"\xf4\x90\x80\x80",  # beyond U+10FFFF
    b"\xf5\x80\x80\x80",
    b"\xf8\x88\x80\x80\x80",
    b"\xfe",
    b"\xff",
)

VALID_UTF8: Final = (
    b"",
    b"\0",
    b"\x7f",
    b"\xc2\x80",
    b"\xdf\xbf",
    b"\xe0\xa0\x80",
    b"\xed\x9f\xbf",
    b"\xee\x80\x80",
    b"\xef\xbb\xbf",
    b"\xef\xbf\xbf",
    b"\xf0\x90\x80\x80",
    b"\xf4\x8f\xbf\xbf",
    "é".encode(),
    "\U0001f980".encode(),
    b"k",
    b"http.route",
)

_THRESHOLDS: Final = (
    "th:0",
    "th:8",
    "th:c",
    "th:ffffffffffffff",
    "th:fffffffffffffe",
    "th:fffffffffffff",
    "th:00000000000000",
    "th:00000000000001",
    "th:000000000000000",
    "th:F",
    "th:",
    "th:g",
    "th: 8",
    "th:8 ",
    "th:8\t",
    "th:8\n",
    "TH:8",
    "xth:8",
    "th:8x",
)


def text(random: Random) -> bytes:
    """A string, often invalid, often with what matters at the border of an 8-byte word."""
    pieces = INVALID_UTF8 if random.random() < 0.5 else VALID_UTF8
    before = random.choice((0, 0, 1, 5, 6, 7, 8, 9, 13, 14, 15, 16, 17, 31, 32, 33))
    return b"a" * before + random.choice(pieces) + b"b" * random.choice((0, 0, 1, 7, 8))


def trace_state(random: Random) -> bytes:
    """The header's list of members, with a threshold somewhere, right or wrong."""
    subkeys = [random.choice(_THRESHOLDS), random.choice(("", "rv:1", "th:4", "p:8"))]
    if random.random() < 0.3:
        subkeys.reverse()
    member = random.choice(("ot=", "ot=", "ot=", "Ot=", "xot=", "ot =", "t=")) + ";".join(subkeys)
    members = [member, random.choice(("", "a=b", "ot=th:4", " ", "vendor=x;th:8"))]
    if random.random() < 0.4:
        members.reverse()
    return random.choice((",", ", ", ",\t", ",,", " ,", ";")).join(members).encode()


def an_id(random: Random) -> bytes:
    """A trace or span id of any length, all zero at times."""
    length = random.choice(ID_LENGTHS)
    match random.randrange(4):
        case 0:
            return bytes(length)
        case 1 if length:
            return bytes(length - 1) + b"\1"
        case _:
            return random.randbytes(length)


def deep_value(random: Random) -> bytes:
    """The fields of an AnyValue around others, so deep that parsers give up or just don't."""
    value = random.choice((b"", b"\x0a\x01x", b"\x18\x01"))
    for _ in range(random.choice((1, 2, 3, 28, 29, 30, 31, 32, 44, 45, 46, 47, 48, 49, 50, 97))):
        if random.random() < 0.5:
            value = _field(b"\x2a", _field(b"\x0a", value))  # array_value: values
        else:
            value = _field(b"\x32", _field(b"\x0a", _field(b"\x12", value)))  # kvlist_value
    return value


def _field(tag: bytes, content: bytes) -> bytes:
    return tag + encode_varint(len(content)) + content
