"""Spans cut out of a serialised request, every other byte left as it was received."""

from __future__ import annotations

from collections.abc import Sequence

from spanmill.spans.wire import Enclosures, Layout


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
    edits = [(layout.span_tag[row], layout.span_end[row], b"") for row in cut]
    scopes = _shrink(layout.scopes, [(row, -_field_size(layout, row)) for row in cut], edits)
    _shrink(layout.resources, scopes, edits)
    edits.sort()
    view = memoryview(body)
    pieces: list[bytes | memoryview] = []
    position = 0
    for begin, end, replacement in edits:
        pieces += (view[position:begin], replacement)
        position = end
    pieces.append(view[position:])
    return b"".join(pieces)


def _field_size(layout: Layout, row: int) -> int:
    return layout.span_end[row] - layout.span_tag[row]


def _shrink(
    level: Enclosures, changes: Sequence[tuple[int, int]], edits: list[tuple[int, int, bytes]]
) -> list[tuple[int, int]]:
    """Write the lengths of the messages around changed rows of the level below.

    `changes` are (row of the level below, growth in bytes), ascending; the result is the same
    for this level, its own length's growth included.
    """
    grown: list[tuple[int, int]] = []
    row = 0
    position = 0
    while position < len(changes):
        while level.last[row] <= changes[position][0]:
            row += 1
        growth = 0
        while position < len(changes) and changes[position][0] < level.last[row]:
            growth += changes[position][1]
            position += 1
        length_at, begin = level.length[row], level.begin[row]
        length = encode_varint(level.end[row] - begin + growth)
        edits.append((length_at, begin, length))
        grown.append((row, growth + len(length) - (begin - length_at)))
    return grown
