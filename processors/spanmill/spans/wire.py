"""Where the spans stand in the bytes of a request: a walk over protobuf's wire format.

Source: protobuf.dev/programming-guides/encoding. The limits are those of upb, the parser under
the protobuf library: a tag is a varint of at most 5 bytes and 32 bits, a length one of at most
5 bytes and 31 bits, any other varint has at most 10 bytes.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import Final

from spanmill.errors import TooManyMessagesError, UndecodableError

MAX_MESSAGES: Final = 1 << 18
"""How many spans, scopes and resources a request may have together.

An empty one takes two bytes, and the protobuf library 170 bytes for it. 64 MiB of the smallest
spans that clients send (275 bytes) are fewer.
"""

VARINT: Final = 0
FIXED64: Final = 1
LENGTH: Final = 2
GROUP_START: Final = 3
GROUP_END: Final = 4
FIXED32: Final = 5

REQUEST_RESOURCE_SPANS: Final = (1 << 3) | LENGTH
RESOURCE_SCOPE_SPANS: Final = (2 << 3) | LENGTH
RESOURCE_DEPRECATED_SCOPE_SPANS: Final = (1000 << 3) | LENGTH
SCOPE_SPAN: Final = (2 << 3) | LENGTH

_TAG_BYTES: Final = 5
_TAG_LIMIT: Final = 1 << 32
_LENGTH_BYTES: Final = 5
_LENGTH_LIMIT: Final = 1 << 31
_VARINT_BYTES: Final = 10


def _offsets() -> array[int]:
    return array("I")  # 32 bits do: protobuf messages end at 2 GiB


@dataclass(frozen=True, slots=True)
class Enclosures:
    """The messages of one level, in the order of the bytes; all columns have one row for each.

    The field's tag begins at `tag`, its length at `length`; the content is `begin` to `end`.
    `last` is where the rows of the level below that belong to it end (they begin where those
    of the row before end).
    """

    tag: array[int] = field(default_factory=_offsets)
    length: array[int] = field(default_factory=_offsets)
    begin: array[int] = field(default_factory=_offsets)
    end: array[int] = field(default_factory=_offsets)
    last: array[int] = field(default_factory=_offsets)

    def __len__(self) -> int:
        return len(self.tag)


@dataclass(frozen=True, slots=True)
class Layout:
    """Where resources, scopes and spans stand in a serialised `ExportTraceServiceRequest`.

    An `ExportMetricsServiceRequest` has the same shape, with metrics for spans.

    `resources` are its ResourceSpans, `scopes` their ScopeSpans. A span's field begins at
    `span_tag`, its content is `span_begin` to `span_end`. `deprecated` holds the rows of
    `resources` whose scopes were found in `instrumentation_library_spans` (field 1000), the
    name of `scope_spans` before OTLP 0.15: it is read where `scope_spans` is empty.
    """

    resources: Enclosures = field(default_factory=Enclosures)
    scopes: Enclosures = field(default_factory=Enclosures)
    span_tag: array[int] = field(default_factory=_offsets)
    span_begin: array[int] = field(default_factory=_offsets)
    span_end: array[int] = field(default_factory=_offsets)
    deprecated: set[int] = field(default_factory=set)

    def __len__(self) -> int:
        return len(self.span_tag)


def read_varint(body: bytes, position: int, end: int, most: int = _VARINT_BYTES) -> tuple[int, int]:
    """A varint of at most `most` bytes, and where it ends; UndecodableError if there is none."""
    value = shift = 0
    for at in range(position, min(end, position + most)):
        byte = body[at]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at + 1
        shift += 7
    raise UndecodableError(f"byte {position}: a varint is cut short or longer than {most} bytes")


def read_tag(body: bytes, position: int, end: int, lowest: int = 1) -> tuple[int, int]:
    """The tag of a field (number and wire type), and where it ends."""
    tag, after = read_varint(body, position, end, _TAG_BYTES)
    if not lowest << 3 <= tag < _TAG_LIMIT:
        raise UndecodableError(f"byte {position}: {tag >> 3} is no field number")
    return tag, after


def read_length(body: bytes, position: int, end: int) -> tuple[int, int]:
    """Where the content of a length-delimited field begins and ends."""
    length, begin = read_varint(body, position, end, _LENGTH_BYTES)
    if length >= _LENGTH_LIMIT or begin + length > end:
        raise UndecodableError(f"byte {position}: a length of {length} runs past the end")
    return begin, begin + length


def skip_field(body: bytes, tag: int, position: int, end: int) -> int:
    """Where the field ends whose tag was read up to `position`; groups are skipped whole."""
    groups: list[int] = []
    while True:
        wire_type = tag & 7
        if wire_type == LENGTH:
            _, position = read_length(body, position, end)
        elif wire_type == VARINT:
            _, position = read_varint(body, position, end)
        elif wire_type == FIXED64:
            position += 8
        elif wire_type == FIXED32:
            position += 4
        elif wire_type == GROUP_START:
            groups.append(tag >> 3)
        elif wire_type != GROUP_END or not groups or groups.pop() != tag >> 3:
            raise UndecodableError(f"byte {position}: a field has no valid wire type")
        if position > end:
            raise UndecodableError(f"byte {end}: a field is cut short")
        if not groups:
            return position
        # upb reads unknown groups without a look at the numbers of their fields.
        tag, position = read_tag(body, position, end, lowest=0)


def find_spans(body: bytes) -> Layout:
    """Where the spans stand in a request, which need not be valid.

    Raises UndecodableError where the bytes are no protobuf as far as they are walked, and
    TooManyMessagesError as soon as there are more than `MAX_MESSAGES`.
    """
    return _find(body, RESOURCE_DEPRECATED_SCOPE_SPANS)


def find_metrics(body: bytes) -> Layout:
    """Where the metrics stand in a request of metrics, as far as `find_spans` finds spans.

    Its resources never had a field 1000 that held scopes under another name. Raises the same.
    """
    return _find(body, None)


def _find(body: bytes, deprecated_tag: int | None) -> Layout:
    layout = Layout()
    resources = layout.resources
    position, end = 0, len(body)
    while position < end:
        field_start = position
        tag, position = read_tag(body, position, end)
        if tag != REQUEST_RESOURCE_SPANS:
            position = skip_field(body, tag, position, end)
            continue
        resources.tag.append(field_start)
        resources.length.append(position)
        begin, position = read_length(body, position, end)
        resources.begin.append(begin)
        resources.end.append(position)
        _find_in_resource(body, begin, position, layout, deprecated_tag)
        resources.last.append(len(layout.scopes))
    return layout


def _most_spans(layout: Layout) -> int:
    """How many spans there may be beside so many resources and scopes."""
    most = MAX_MESSAGES - len(layout.resources) - len(layout.scopes)
    if len(layout) > most:
        raise TooManyMessagesError(MAX_MESSAGES)
    return most


def _find_in_resource(
    body: bytes, begin: int, end: int, layout: Layout, deprecated_tag: int | None
) -> None:
    current: list[tuple[int, int]] = []
    deprecated: list[tuple[int, int]] = []
    most_scopes = _most_spans(layout) - len(layout)
    position = begin
    while position < end:
        field_start = position
        tag, position = read_tag(body, position, end)
        if max(len(current), len(deprecated)) > most_scopes:
            raise TooManyMessagesError(MAX_MESSAGES)
        if tag == RESOURCE_SCOPE_SPANS:
            current.append((field_start, position))
        elif tag == deprecated_tag:
            deprecated.append((field_start, position))
        position = skip_field(body, tag, position, end)
    if deprecated and not current:
        layout.deprecated.add(len(layout.resources.last))
    scopes = layout.scopes
    for field_start, length_at in current or deprecated:
        scope_begin, scope_end = read_length(body, length_at, end)
        scopes.tag.append(field_start)
        scopes.length.append(length_at)
        scopes.begin.append(scope_begin)
        scopes.end.append(scope_end)
        _find_in_scope(body, scope_begin, scope_end, layout)
        scopes.last.append(len(layout.span_tag))


def _find_in_scope(body: bytes, begin: int, end: int, layout: Layout) -> None:
    # Runs once for each span of a request: the usual tag and lengths are read in place.
    add_tag = layout.span_tag.append
    add_begin = layout.span_begin.append
    add_end = layout.span_end.append
    tags = layout.span_tag
    most_spans = _most_spans(layout)
    position = begin
    while position < end:
        field_start = position
        tag = body[position]
        if tag == SCOPE_SPAN:
            position += 1
        else:
            tag, position = read_tag(body, position, end)
            if tag != SCOPE_SPAN:
                position = skip_field(body, tag, position, end)
                continue
        if position + 1 < end and body[position] >= 0x80 > body[position + 1]:
            span_begin = position + 2
            position = span_begin + (body[position] & 0x7F | body[position + 1] << 7)
            if position > end:
                raise UndecodableError(f"byte {field_start}: a span runs past the end")
        else:
            span_begin, position = read_length(body, position, end)
        if len(tags) == most_spans:
            raise TooManyMessagesError(MAX_MESSAGES)
        add_tag(field_start)
        add_begin(span_begin)
        add_end(position)
