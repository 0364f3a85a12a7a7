"""Data points cut out of a serialised request, every other byte left as it was received."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from spanmill.points.wire import (
    DATA_POINT,
    METRIC_DATA,
    REQUEST_RESOURCE,
    RESOURCE_SCOPE,
    SCOPE_METRIC,
)
from spanmill.spans.splice import encode_varint
from spanmill.spans.wire import read_length, read_tag, skip_field

_LEVELS: Final = ((REQUEST_RESOURCE,), (RESOURCE_SCOPE,), (SCOPE_METRIC,), METRIC_DATA)
"""The fields to descend through, from the request down to a metric's data."""
_DATA_LEVEL: Final = 3


def cut_points(body: bytes, cut: Sequence[int]) -> bytes:
    """The request, which must be valid, without the points of these numbers (ascending).

    Points are numbered over the request in the order in which the protobuf library has them.
    The lengths of the messages that enclosed a cut point are written anew; every other byte,
    unknown fields and their order included, stays.
    """
    return _Cut(body, cut).message(0, len(body), 0) if cut else body


class _Cut:
    """One way through a request; `_number` is that of the next point."""

    def __init__(self, body: bytes, cut: Sequence[int]) -> None:
        self._body = body
        self._numbers = iter(cut)
        self._next_cut = next(self._numbers, -1)
        self._number = 0

    def message(self, begin: int, end: int, level: int) -> bytes:
        """The content of a message of this level without the points to cut."""
        fields = list(self._fields(begin, end, level))
        if level == _DATA_LEVEL:
            fields = _effective(fields)
        pieces: list[bytes] = []
        copied = begin
        for _, length_at, content, content_end in fields:
            inside = (
                self._points(content, content_end)
                if level == _DATA_LEVEL
                else self.message(content, content_end, level + 1)
            )
            if len(inside) == content_end - content:
                continue
            pieces += (self._body[copied:length_at], encode_varint(len(inside)), inside)
            copied = content_end
        pieces.append(self._body[copied:end])
        return b"".join(pieces)

    def _points(self, begin: int, end: int) -> bytes:
        pieces: list[bytes] = []
        copied = position = begin
        body = self._body
        while position < end:
            tag_at = position
            tag, position = read_tag(body, position, end)
            position = skip_field(body, tag, position, end)
            if tag != DATA_POINT:
                continue
            if self._number == self._next_cut:
                self._next_cut = next(self._numbers, -1)
                pieces.append(body[copied:tag_at])
                copied = position
            self._number += 1
        pieces.append(body[copied:end])
        return b"".join(pieces)

    def _fields(self, begin: int, end: int, level: int) -> Iterator[tuple[int, int, int, int]]:
        """Tag, where its length and its content begin, and where it ends, of each field."""
        position = begin
        while position < end:
            tag, position = read_tag(self._body, position, end)
            if tag in _LEVELS[level]:
                length_at = position
                content, position = read_length(self._body, position, end)
                yield tag, length_at, content, position
            else:
                position = skip_field(self._body, tag, position, end)


def _effective(fields: list[tuple[int, int, int, int]]) -> list[tuple[int, int, int, int]]:
    """The fields of a metric's data that the library keeps.

    They are a oneof: one of another type empties it, one of the same type adds to it.
    """
    first = len(fields)
    while first and fields[first - 1][0] == fields[-1][0]:
        first -= 1
    return fields[first:]
