"""Mutations that know nothing: bytes flipped, put in, taken out, cut off, moved."""

from __future__ import annotations

from random import Random
from typing import Final

_ODD_BYTES: Final = (0x00, 0x01, 0x07, 0x08, 0x0A, 0x0B, 0x0C, 0x12, 0x7F, 0x80, 0xC2, 0xED, 0xFF)


def havoc(body: bytes, random: Random) -> bytes:
    """The bytes with one to four such changes."""
    changed = bytearray(body)
    for _ in range(random.choice((1, 1, 1, 2, 3, 4))):
        _change(changed, random)
    return bytes(changed)


def _change(body: bytearray, random: Random) -> None:
    size = len(body)
    at = random.randrange(size + 1)
    match random.randrange(7):
        case 0 if at < size:
            body[at] ^= 1 << random.randrange(8)
        case 1 if at < size:
            body[at] = random.choice(_ODD_BYTES)
        case 2:
            body[at:at] = random.choice(_ODD_BYTES).to_bytes(1, "little")
        case 3:
            del body[at : at + random.choice((1, 1, 2, 8))]
        case 4:
            del body[at:]
        case 5:
            length = random.randrange(32)
            source = random.randrange(size + 1)
            body[at:at] = body[source : source + length]
        case _:
            body[at : at + 4] = random.randbytes(4)
