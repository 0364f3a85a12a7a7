"""A serialised request of metrics split into smaller ones, down to single points."""

from __future__ import annotations

from itertools import accumulate
from typing import Final

from spanmill.points.wire import DATA_POINT, METRIC_DATA
from spanmill.spans.split import Enclosure, Part, Splitter, Unit
from spanmill.spans.wire import Layout, find_metrics, read_length, read_tag, skip_field

_DATA_TAGS: Final = frozenset(METRIC_DATA)


def count_points(payload: bytes) -> int:
    """How many points a serialised request holds."""
    return _points_before(payload, find_metrics(payload))[-1]


def split_metrics(payload: bytes, max_bytes: int) -> list[Part]:
    """The request in parts of at most `max_bytes`, with the points in their order.

    As `split_request` of spans, and one step further: a metric that is too large is split
    between its points, each part with the metric's name, unit and kind. A point that is too
    large by itself with what encloses it is a part with `oversize`, and so is a metric that
    has its points in several messages, of which the protobuf library makes one.
    """
    layout = find_metrics(payload)
    points_before = _points_before(payload, layout)
    if len(payload) <= max_bytes:
        return [Part(payload, points_before[-1], oversize=False)]
    return _MetricSplitter(payload, max_bytes, layout, points_before).parts()


class _MetricSplitter(Splitter):
    def split_leaf(self, metric: Unit, enclosure: Enclosure) -> None:
        """Split a metric between its points."""
        tag_end, begin, end = _content(self._payload, metric.begin)
        data = _fields(self._payload, begin, end, _DATA_TAGS)
        if len(data) > 1:
            self.pack([metric], enclosure, None)
            return
        inside = enclosure.inside(
            self._payload[metric.begin : tag_end], self.rest(begin, end, data)
        )
        (content,) = data
        tag_end, begin, end = _content(self._payload, content.begin)
        points = _fields(self._payload, begin, end, {DATA_POINT})
        tag = self._payload[content.begin : tag_end]
        self.pack(points, inside.inside(tag, self.rest(begin, end, points)), None)


def _points_before(payload: bytes, layout: Layout) -> list[int]:
    """How many points stand before each metric, and at the end how many there are."""
    rows = zip(layout.span_begin, layout.span_end, strict=True)
    return list(accumulate((_points(payload, *row) for row in rows), initial=0))


def _points(payload: bytes, begin: int, end: int) -> int:
    """The points of a metric: of its kinds of data the last one counts, in all its pieces."""
    points = kind = 0
    for data in _fields(payload, begin, end, _DATA_TAGS):
        tag, _ = read_tag(payload, data.begin, data.end)
        _, inside, inside_end = _content(payload, data.begin)
        if tag != kind:
            kind, points = tag, 0
        points += len(_fields(payload, inside, inside_end, {DATA_POINT}))
    return points


def _fields(payload: bytes, begin: int, end: int, tags: frozenset[int] | set[int]) -> list[Unit]:
    """The fields of a message that have one of these tags."""
    found: list[Unit] = []
    position = begin
    while position < end:
        field_start = position
        tag, position = read_tag(payload, position, end)
        position = skip_field(payload, tag, position, end)
        if tag in tags:
            found.append(Unit(field_start, position, 1, len(found)))
    return found


def _content(payload: bytes, field_start: int) -> tuple[int, int, int]:
    """Where a field's tag ends, and its content begins and ends."""
    _, tag_end = read_tag(payload, field_start, len(payload))
    begin, end = read_length(payload, tag_end, len(payload))
    return tag_end, begin, end
