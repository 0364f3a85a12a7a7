"""Compressed requests, inflated within a bound on memory."""

from __future__ import annotations

import io
import zlib
from typing import Final, Literal

from spanmill.errors import TooLargeError, UndecodableError

GZIP_MAGIC: Final = b"\x1f\x8b"
"""How every gzip body begins, and no OTLP request does (field 3 with the wire type 7)."""

_GZIP_WINDOW = 16 + zlib.MAX_WBITS
_INPUT_BYTES = 64 * 1024
_OUTPUT_BYTES = 256 * 1024
_MAX_MEMBERS = 10_000


def inflate_gzip(body: bytes, limit: int, *, members: Literal["one", "many"]) -> bytes:
    """The inflated body of at most `limit` bytes; `members` says how many may follow each other.

    It works in small steps: neither a bomb nor a long body costs more memory than the result.
    Raises TooLargeError over the limit, and UndecodableError where the body is cut short, is
    followed by something else, contradicts its own checksum, or has more than 10,000 members
    (each costs time, even an empty one).
    """
    inflated = io.BytesIO()
    view = memoryview(body)
    position = _inflate_member(view, 0, inflated, limit)
    if members == "one" and position < len(body):
        raise UndecodableError("the gzip body is followed by more bytes")
    members_read = 1
    while position < len(body):
        if members_read == _MAX_MEMBERS:
            raise UndecodableError(f"the gzip body has more than {_MAX_MEMBERS} members")
        position = _inflate_member(view, position, inflated, limit)
        members_read += 1
    return inflated.getvalue()


def _inflate_member(body: memoryview, begin: int, inflated: io.BytesIO, limit: int) -> int:
    """Append one gzip member to `inflated`; returns where it ends."""
    member = zlib.decompressobj(_GZIP_WINDOW)
    try:
        for position in range(begin, len(body), _INPUT_BYTES):
            piece: bytes | memoryview = body[position : position + _INPUT_BYTES]
            # A full output means that there may be more of it without any further input.
            full = True
            while not member.eof and (piece or full):
                output = member.decompress(piece, _OUTPUT_BYTES)
                if inflated.tell() + len(output) > limit:
                    raise TooLargeError(limit, "the inflated body")
                inflated.write(output)
                full = len(output) == _OUTPUT_BYTES
                piece = member.unconsumed_tail
            if member.eof:
                return min(position + _INPUT_BYTES, len(body)) - len(member.unused_data)
    except zlib.error as error:
        raise UndecodableError(f"the body is not what gzip makes: {error}") from error
    raise UndecodableError("the gzip body is cut short")
