"""Reading a segment's records in order, and finding the next one behind damage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Protocol

from spanmill.journal.record_format import (
    ALIGNMENT,
    HEADER,
    MAGIC,
    MAX_META,
    Header,
    crc32c,
    decode_header,
)

_WINDOW: Final = 1 << 20
_HEADERS_WINDOW: Final = 16 * 1024
_LONGEST_HEAD: Final = HEADER + MAX_META


class Source(Protocol):
    """A segment's bytes, by their places in the segment when it was written."""

    def read(self, size: int, at: int) -> bytes:
        """Up to `size` bytes; fewer only at the end."""
        ...


@dataclass(frozen=True, slots=True)
class Found:
    """A record, and the place where it begins; `payload` is None where it wasn't asked for."""

    at: int
    header: Header
    payload: bytes | None


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes from `at` up to `end` that are no intact record.

    `position` is that of the record whose header is intact and whose payload isn't.
    """

    at: int
    end: int
    position: int | None


def scan(
    source: Source,
    salt: int,
    start: int,
    limit: int,
    *,
    payloads: bool,
    holes: Mapping[int, int] = MappingProxyType({}),
    full: bool = False,
) -> Iterator[Found | Damage]:
    """The records from `start` up to `limit`, and what lies between them where that is damaged.

    What follows the last record is shown as damage only where it is `full` of records. Without
    `payloads` these are neither read nor checked. `holes` are passed over in silence: where each
    begins, and where it ends. Memory: the largest record and 1 MiB.
    """
    window = _Window(source, limit, _WINDOW if payloads else _HEADERS_WINDOW)
    at = start
    damaged: int | None = None
    while at < limit:
        if at in holes:
            at = holes[at]
            continue
        header = window.header(at, salt)
        if header is None or at + header.length > limit:
            if damaged is None:
                damaged = at
            at = window.next_magic(at + ALIGNMENT)
            continue
        if damaged is not None:
            yield Damage(damaged, at, None)
            damaged = None
        payload = None
        end = at + header.length
        if payloads:
            payload = window.bytes(at + header.payload_at, header.payload_bytes)
            if len(payload) < header.payload_bytes or crc32c(payload) != header.payload_sum:
                # The length is right, but a torn write may have left records further in.
                yield Damage(at, end, header.position)
                at = end
                continue
        yield Found(at, header, payload)
        at = end
    if full and damaged is not None:
        yield Damage(damaged, limit, None)


class _Window:
    """A part of the source that is in memory."""

    def __init__(self, source: Source, limit: int, size: int) -> None:
        self._source = source
        self._limit = limit
        self._size = size
        self._at = 0
        self._content = b""

    def header(self, at: int, salt: int) -> Header | None:
        self._hold(at, HEADER)
        header = decode_header(self._content, at - self._at, salt)
        if header is None and self._content.startswith(MAGIC, at - self._at):
            self._hold(at, min(_LONGEST_HEAD, self._limit - at))
            header = decode_header(self._content, at - self._at, salt)
        return header

    def bytes(self, at: int, size: int) -> bytes:
        begin = at - self._at
        if begin + size > len(self._content):
            if size >= self._size:
                head = self._content[begin:]
                return head + self._source.read(size - len(head), at + len(head))
            self._hold(at, size)
            begin = at - self._at
        return self._content[begin : begin + size]

    def next_magic(self, at: int) -> int:
        """The next place where a record may begin, or the limit."""
        while at < self._limit:
            self._hold(at, min(self._limit - at, _HEADERS_WINDOW))
            found = self._content.find(MAGIC, at - self._at)
            if found >= 0:
                place = self._at + found
                if place % ALIGNMENT == 0:
                    return place
                at = place + 1
                continue
            end = self._at + len(self._content)
            if end <= at or end >= self._limit:
                break
            at = end - len(MAGIC) + 1
        return self._limit

    def _hold(self, at: int, size: int) -> None:
        """Have these bytes in the window, where the source has them."""
        if self._at <= at and at + size <= self._at + len(self._content):
            return
        self._at = at
        self._content = self._source.read(min(max(self._size, size), self._limit - at), at)
