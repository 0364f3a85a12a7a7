"""Compressed requests, inflated within a bound on memory."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from typing import Final, Literal

from spanmill.errors import TooLargeError, UndecodableError

GZIP_MAGIC: Final = b"\x1f\x8b"
"""How every gzip body begins, and no OTLP request does (field 3 with the wire type 7)."""

_GZIP_WINDOW = 16 + zlib.MAX_WBITS
_INPUT_BYTES = 64 * 1024
_OUTPUT_BYTES = 256 * 1024
_GRANTED_BYTES = 1 << 20
_MAX_MEMBERS = 10_000


def inflate_gzip(
    body: bytes,
    limit: int,
    *,
    members: Literal["one", "many"],
    grow: Callable[[int], None] | None = None,
) -> bytes:
    """The inflated body of at most `limit` bytes; `members` says how many may follow each other.

    It works in small steps: neither a bomb nor a long body costs more memory than the result.
    Before each MiB of it `grow` is asked for the bytes that it takes then, and may raise.
    Raises TooLargeError over the limit, and UndecodableError where the body is cut short, is
    followed by something else, contradicts its own checksum, or has more than 10,000 members
    (each costs time, even an empty one).
    """
    inflated = _Inflated(limit, grow)
    view = memoryview(body)
    position = _inflate_member(view, 0, inflated)
    if members == "one" and position < len(body):
        raise UndecodableError("the gzip body is followed by more bytes")
    members_read = 1
    while position < len(body):
        if members_read == _MAX_MEMBERS:
            raise UndecodableError(f"the gzip body has more than {_MAX_MEMBERS} members")
        position = _inflate_member(view, position, inflated)
        members_read += 1
    return inflated.getvalue()


class _Inflated(io.BytesIO):
    """What was inflated so far, within the limit and within what it was granted."""

    def __init__(self, limit: int, grow: Callable[[int], None] | None) -> None:
        super().__init__()
        self._limit = limit
        self._grow = grow
        self._size = 0
        self._granted = 0

    def add(self, output: bytes) -> None:
        """Take the next bytes in; raises TooLargeError, and what `grow` raises."""
        self._size += len(output)
        if self._size > self._limit:
            raise TooLargeError(self._limit, "the inflated body")
        if self._size > self._granted and self._grow is not None:
            self._granted = self._size + _GRANTED_BYTES
            # The buffer grows by an eighth at a time, and moves.
            self._grow(2 * self._granted)
        self.write(output)


def _inflate_member(body: memoryview, begin: int, inflated: _Inflated) -> int:
    """Append one gzip member to `inflated`; returns where it ends."""
    member = zlib.decompressobj(_GZIP_WINDOW)
    try:
        for position in range(begin, len(body), _INPUT_BYTES):
            piece: bytes | memoryview = body[position : position + _INPUT_BYTES]
            # A full output means that there may be more of it without any further input.
            full = True
            while not member.eof and (piece or full):
                output = member.decompress(piece, _OUTPUT_BYTES)
                inflated.add(output)
                full = len(output) == _OUTPUT_BYTES
                piece = member.unconsumed_tail
            if member.eof:
                return min(position + _INPUT_BYTES, len(body)) - len(member.unused_data)
    except zlib.error as error:
        raise UndecodableError(f"the body is not what gzip makes: {error}") from error
    raise UndecodableError("the gzip body is cut short")
