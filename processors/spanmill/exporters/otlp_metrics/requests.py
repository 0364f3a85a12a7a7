"""A snapshot as requests of a bounded size, each encoded when its turn comes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Final

from spanmill.exporters.exposition.wire import LENGTH, key, length_delimited
from spanmill.exporters.otlp_metrics.attributes import Owner, attribute_fields, resource_message
from spanmill.exporters.otlp_metrics.metric import FIELDS, HistogramForm, Kind, Metric, kind_of
from spanmill.exporters.otlp_metrics.points import no_value_content, point_contents
from spanmill.exporters.otlp_metrics.shown import Shown
from spanmill.series.snapshot import FamilySnapshot, LabelValues
from spanmill.spans.split import Part

_DATA_POINT = key(1, LENGTH)
_RESOURCE = key(1, LENGTH)
_SCOPE_METRICS = key(2, LENGTH)
_METRIC = key(2, LENGTH)
_RESOURCE_METRICS = key(1, LENGTH)
_ENVELOPE: Final = 24
"""Bytes at most of the keys and lengths around a message at one place of a request."""

Points = Iterable[tuple[Owner, bytes]]


def encode(
    families: Sequence[FamilySnapshot],
    gone: Sequence[Shown],
    *,
    time_ns: int,
    histograms: HistogramForm,
    instance_id: str,
    max_bytes: int,
) -> Iterator[Part]:
    """The series of a snapshot, and those that are gone, in requests of at most `max_bytes`.

    One that is larger holds a single point, which is too large by itself (`oversize`). In memory
    there is one request at a time.
    """
    packer = _Packer(instance_id, max_bytes)
    for metric, points in _metrics(families, gone, histograms, time_ns):
        packer.begin(metric)
        for owner, point in points:
            if not packer.has_room(owner, point):
                yield packer.take()
            packer.add(owner, point)
    if packer.points:
        yield packer.take()


def _metrics(
    families: Sequence[FamilySnapshot],
    gone: Sequence[Shown],
    histograms: HistogramForm,
    time_ns: int,
) -> Iterator[tuple[Metric, Points]]:
    for snapshot in families:
        kind = kind_of(snapshot, histograms)
        contents = point_contents(snapshot, kind, time_ns)
        points = _points(kind, snapshot.label_names, snapshot.labels, contents)
        yield Metric(snapshot.family, kind), points
    for each in gone:
        content = no_value_content(each.kind, each.borders, time_ns)
        points = _points(each.kind, each.label_names, each.labels, repeat(content))
        yield Metric(each.family, each.kind), points


class _Packer:
    """Fills one request after the other."""

    def __init__(self, instance_id: str, max_bytes: int) -> None:
        self._instance_id = instance_id
        self._room = self._max_bytes = max_bytes
        self._resources: dict[Owner, _Resource] = {}
        self._metric: Metric | None = None
        self._open: dict[Owner, list[bytes]] = {}
        self.points = 0

    def begin(self, metric: Metric) -> None:
        """The next points are this metric's, which may be the one before, in its next slice."""
        if metric != self._metric:
            self._open = {}
        self._metric = metric

    def has_room(self, owner: Owner, point: bytes) -> bool:
        """Whether the point fits into the request; an empty one takes any."""
        needed = len(point)
        if owner not in self._open:
            needed += self._opening(owner)
        return needed <= self._room or not self.points

    def add(self, owner: Owner, point: bytes) -> None:
        """Put a point into the request."""
        points = self._open.get(owner)
        if points is None:
            points = self._begin_points(owner)
        points.append(point)
        self._room -= len(point)
        self.points += 1

    def take(self) -> Part:
        """The request, serialised; the next one begins empty."""
        payload = b"".join(map(_resource_metrics, self._resources.values()))
        part = Part(payload, self.points, oversize=len(payload) > self._max_bytes)
        self._resources = {}
        self._open = {}
        self._room = self._max_bytes
        self.points = 0
        return part

    def _opening(self, owner: Owner) -> int:
        """Bytes that the first point of the metric under a resource takes beside its own."""
        assert self._metric is not None, "begin() comes first"
        size = len(self._metric.header()) + _ENVELOPE
        if owner not in self._resources:
            size += len(resource_message(owner, self._instance_id)) + 2 * _ENVELOPE
        return size

    def _begin_points(self, owner: Owner) -> list[bytes]:
        assert self._metric is not None, "begin() comes first"
        self._room -= self._opening(owner)
        resource = self._resources.get(owner)
        if resource is None:
            message = resource_message(owner, self._instance_id)
            resource = self._resources[owner] = _Resource(message, [])
        points = self._open[owner] = []
        resource.metrics.append((self._metric, points))
        return points


@dataclass(frozen=True, slots=True)
class _Resource:
    """What one resource has in the request that is being filled."""

    message: bytes
    metrics: list[tuple[Metric, list[bytes]]]


def _points(
    kind: Kind,
    names: tuple[str, ...],
    labels: Sequence[LabelValues | None],
    contents: Iterable[bytes],
) -> Iterator[tuple[Owner, bytes]]:
    """Each point as a field, with the resource that it belongs under."""
    attributes = attribute_fields(FIELDS[kind].attributes, names, labels)
    # The contents of those that are gone are without end.
    for (owner, fields), content in zip(attributes, contents, strict=False):
        yield owner, length_delimited(_DATA_POINT, fields + content)


def _resource_metrics(resource: _Resource) -> bytes:
    """A `ResourceMetrics` field.

    The scope stays empty: some receivers make labels of its name and version, and a new version
    would begin every series anew.
    """
    metrics = b"".join(
        length_delimited(_METRIC, metric.message(points)) for metric, points in resource.metrics
    )
    return length_delimited(
        _RESOURCE_METRICS,
        length_delimited(_RESOURCE, resource.message) + length_delimited(_SCOPE_METRICS, metrics),
    )
