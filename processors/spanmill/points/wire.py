"""Where data points stand in the bytes of a request, and a bound on what they would take.

The walk over protobuf's wire format is that of `spans.wire`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from spanmill.errors import TooManyMessagesError, UndecodableError
from spanmill.spans.wire import LENGTH, read_length, read_tag, skip_field

MAX_MESSAGES: Final = 1 << 18
"""How many points, metrics (each twice, for its data), scopes and resources a request may have."""

MAX_PARTS: Final = 1 << 21
"""How many messages it may have with attributes and exemplars; eight buckets count as one.

The protobuf library takes 50 to 170 bytes for a message, and 8 for a bucket that was 1 byte.
"""

_SMALLEST: Final = 2
"""Bytes of an empty message with its tag: fewer bytes than this a message can't hold too many."""

_Schema: TypeAlias = Mapping[int, "_Schema | None"]
"""The messages in a message: the tag of each field, and the messages in that one."""


def _tag(number: int) -> int:
    return number << 3 | LENGTH


REQUEST_RESOURCE: Final = _tag(1)
RESOURCE_SCOPE: Final = _tag(2)
SCOPE_METRIC: Final = _tag(2)
METRIC_DATA: Final = tuple(_tag(number) for number in (5, 7, 9, 10, 11))
"""Gauge, sum, histogram, exponential histogram, summary: of these the last one counts."""
DATA_POINT: Final = _tag(1)

_STRUCTURE: Final[_Schema] = {
    REQUEST_RESOURCE: {
        RESOURCE_SCOPE: {
            SCOPE_METRIC: {tag: {DATA_POINT: None} for tag in METRIC_DATA},
        }
    }
}


def _parts() -> _Schema:
    """All messages of a request, down to values inside of values."""
    value: dict[int, _Schema | None] = {}
    pair: _Schema = {_tag(2): value}
    value[_tag(5)] = {_tag(1): value}
    value[_tag(6)] = {_tag(1): pair}
    exemplar: _Schema = {_tag(7): pair}
    number: _Schema = {_tag(7): pair, _tag(5): exemplar}
    histogram: _Schema = {_tag(9): pair, _tag(8): exemplar}
    exponential: _Schema = {
        **{_tag(1): pair, _tag(11): exemplar},
        **{_tag(8): {_BUCKET_COUNTS: None}, _tag(9): {_BUCKET_COUNTS: None}},
    }
    summary: _Schema = {_tag(7): pair, _tag(6): None}
    points = (number, number, histogram, exponential, summary)
    data = {tag: {DATA_POINT: point} for tag, point in zip(METRIC_DATA, points, strict=True)}
    scope: _Schema = {_tag(1): {_tag(3): pair}, SCOPE_METRIC: {**data, _tag(12): pair}}
    resource: _Schema = {_tag(1): pair, _tag(3): None}
    return {REQUEST_RESOURCE: {_tag(1): resource, RESOURCE_SCOPE: scope}}


_BUCKET_COUNTS: Final = _tag(2)
_FIRST_TAG: Final = 1 << 3
_CONTINUES: Final = 0x80
_PARTS: Final = _parts()


def check_size(body: bytes) -> None:
    """Refuse a request of too many messages before an object is made for each.

    Raises TooManyMessagesError, and UndecodableError where the bytes are no protobuf as far as
    they are walked. A body too short to hold so many isn't walked at all.
    """
    if len(body) > MAX_MESSAGES * _SMALLEST:
        _count(body, _STRUCTURE, MAX_MESSAGES, "points, metrics, scopes and resources")
    if len(body) > MAX_PARTS * _SMALLEST:
        _count(body, _PARTS, MAX_PARTS, "attributes, exemplars, buckets and the like")


def _count(body: bytes, schema: _Schema, limit: int, what: str) -> None:
    count = 0
    waiting = [(0, len(body), schema)]
    while waiting:
        position, end, inside = waiting.pop()
        while position < end:
            # Runs once for each field: the usual tag and length are read in place.
            field_start = position
            tag = body[position]
            if _FIRST_TAG <= tag < _CONTINUES:
                position += 1
            else:
                tag, position = read_tag(body, position, end)
            if tag & 7 == LENGTH and position < end and body[position] < _CONTINUES:
                begin = position + 1
                position = begin + body[position]
                if position > end:
                    raise UndecodableError(f"byte {field_start}: a field runs past the end")
            elif tag in inside:
                begin, position = read_length(body, position, end)
            else:
                position = skip_field(body, tag, position, end)
                continue
            if tag not in inside:
                continue
            below = inside[tag]
            count += 1 if below is not None or tag != _BUCKET_COUNTS else (position - begin) // 8
            if count > limit:
                raise TooManyMessagesError(limit, what)
            if below is not None:
                waiting.append((begin, position, below))
