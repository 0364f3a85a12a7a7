"""Spans cut out of a serialised request, every other byte left as it was received."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from spanmill.spans.wire import Enclosures, Layout

_Edit = tuple[int, int, bytes]
"""The bytes from here to there give way to these."""


def encode_varint(value: int) -> bytes:
    """The shortest varint of a number that is not negative."""
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def cut_spans(body: bytes, layout: Layout, cut: Sequence[int]) -> bytes:
    """The request without the spans of these rows (ascending) of its layout.

    The lengths of the messages that enclosed a cut span are written anew; every other byte,
    unknown fields and their order included, stays. With nothing to cut it is `body` itself.
    """
    if not cut:
        return body
    edits: list[_Edit] = []
    scopes = _relength(layout.scopes, _cut_sizes(layout, cut), edits)
    _relength(layout.resources, scopes, edits)
    edits += _cut_ranges(layout, cut)
    edits.sort()
    view = memoryview(body)
    pieces: list[bytes | memoryview] = []
    position = 0
    for begin, end, replacement in edits:
        pieces += (view[position:begin], replacement)
        position = end
    pieces.append(view[position:])
    return b"".join(pieces)


def _cut_sizes(layout: Layout, cut: Iterable[int]) -> Iterator[tuple[int, int]]:
    for row in cut:
        yield row, layout.span_tag[row] - layout.span_end[row]


def _cut_ranges(layout: Layout, cut: Iterable[int]) -> Iterator[_Edit]:
    # Neighbours are one range: a million cut spans may stand in one row.
    begin = end = 0
    for row in cut:
        if layout.span_tag[row] != end:
            if end:
                yield begin, end, b""
            begin = layout.span_tag[row]
        end = layout.span_end[row]
    yield begin, end, b""


def _relength(
    level: Enclosures, changes: Iterable[tuple[int, int]], edits: list[_Edit]
) -> list[tuple[int, int]]:
    """Write anew the lengths of the messages around changed rows of the level below.

    `changes` are (row of the level below, growth in bytes), ascending. The result is the same
    for this level, with the growth of its own length counted in.
    """
    growths: dict[int, int] = {}
    row = 0
    for below, growth in changes:
        while level.last[row] <= below:
            row += 1
        growths[row] = growths.get(row, 0) + growth
    changed: list[tuple[int, int]] = []
    for row, growth in growths.items():
        length_at, begin = level.length[row], level.begin[row]
        length = encode_varint(level.end[row] - begin + growth)
        edits.append((length_at, begin, length))
        changed.append((row, growth + len(length) - (begin - length_at)))
    return changed
