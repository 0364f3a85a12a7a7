"""The protobuf wire format, as far as the exposition writes it."""

from __future__ import annotations

import struct
from typing import Final

import numpy as np
import numpy.typing as npt

VARINT: Final = 0
FIXED64: Final = 1
LENGTH: Final = 2

_ONE_BYTE: Final = [bytes((n,)) for n in range(128)]

pack_double: Final = struct.Struct("<d").pack


def key(number: int, wire_type: int) -> bytes:
    """The key before a field: one byte for field numbers 1 to 15, two up to 2047."""
    return varint(number << 3 | wire_type)


def varint(number: int) -> bytes:
    """An unsigned number, 0 to 2^64 - 1."""
    if number < 128:
        return _ONE_BYTE[number]
    if number < 1 << 14:  # most counts end here, and a loop takes three times as long
        return bytes((number & 127 | 128, number >> 7))
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def zigzag(number: int) -> int:
    """A signed number as an unsigned one, small where its absolute value is (sint32)."""
    return number << 1 if number >= 0 else ~(number << 1)


def packed_sint64(numbers: npt.NDArray[np.int64]) -> bytes:
    """Signed numbers of shape (n,) one after the other, without keys."""
    unsigned = (numbers << 1) ^ (numbers >> 63)
    if unsigned.max(initial=0) < 128:
        return unsigned.astype(np.uint8).tobytes()
    return b"".join(map(varint, unsigned.tolist()))


def length_delimited(field_key: bytes, content: bytes) -> bytes:
    """A string, bytes, message or packed field."""
    return b"%b%b%b" % (field_key, varint(len(content)), content)
