"""One series of a service's metric: its last point, or the sum of its deltas."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal

from spanmill.points.batch import (
    HistogramPoint,
    NumberPoint,
    Point,
    PointExemplar,
    SummaryPoint,
    Temporality,
)
from spanmill.points.merge import can_merge, merged
from spanmill.series.passed_through_labels import Labels, exposed_exemplar
from spanmill.series.snapshot import Exemplar

REMEMBERED_DELTAS: Final = 16
"""How many of its last delta points a series knows again when they are sent twice."""

_TOO_LARGE: Final = 1 << 63

Taken = Literal["counted", "duplicate", "late", "not_recorded"]
"""What became of a point."""


@dataclass(slots=True)
class PassedThroughSeries:
    """The state of one series.

    - `kind`, `temporality`, `accumulates`: what all of its points are; gauges and sums that may
      fall don't accumulate, so that nothing is known of resets.
    - `label_bytes`, `bytes`: what its labels, and all of it, take as the limit counts it.
    - `point`: what is shown, or None while the sender says that there is no value.
    - `order`: the time of the last point, not later than its arrival, and as it was sent.
    - `created_ns`: since when it counts, nanoseconds since the Unix epoch; 0 is unknown.
    - `used_ns`: the arrival of the last point that changed it.
    - `sent`: start and time of the last point, as they were sent.
    - `recent`: what is known of the last deltas, the oldest first.
    - `exemplars`: the latest of each bucket, by its position (0 for a counter).
    - `live`: false once it was removed.
    """

    labels: Labels
    kind: type[Point]
    temporality: Temporality
    accumulates: bool
    label_bytes: int = 0
    bytes: int = 0
    point: Point | None = None
    order: tuple[int, int] = (0, 0)
    created_ns: int = 0
    used_ns: int = 0
    sent: tuple[int, int] = (-1, -1)
    recent: tuple[int, ...] = ()
    exemplars: dict[int, Exemplar] = field(default_factory=dict)
    live: bool = True

    def take(self, point: Point, arrival_ns: int) -> Taken:
        """Take a point into account.

        Cumulative points and gauges: the one with the latest time stands, of two with the same
        start and time the first. Delta points are added up in any order, each once.
        """
        taken = (
            self._add(point, arrival_ns)
            if self.temporality == "delta"
            else self._replace(point, arrival_ns)
        )
        if taken == "counted":
            self.used_ns = arrival_ns
        return taken

    def keep_exemplars(self, exemplars: Iterable[PointExemplar], room: int) -> None:
        """Keep the latest exemplar of each bucket of the point that was counted last.

        At most `room` more buckets get one. A time after the point's arrival counts as that, so
        that a wrong clock keeps no later exemplar out; one without a time is the earliest.
        """
        bounds = self.point.bounds if isinstance(self.point, HistogramPoint) else ()
        before = len(self.exemplars)
        for exemplar in exemplars:
            position = bisect_left(bounds, exemplar.value)
            last = self.exemplars.get(position)
            if last is None and len(self.exemplars) - before >= room:
                continue
            seconds = min(exemplar.time, self.used_ns) / 1e9 if exemplar.time else math.nan
            if last is None or math.isnan(last.seconds) or last.seconds <= seconds:
                self.exemplars[position] = exposed_exemplar(exemplar, seconds)

    def _replace(self, point: Point, arrival_ns: int) -> Taken:
        time = point.time or arrival_ns
        sent = (point.start, time)
        if sent == self.sent:
            return "duplicate"
        # A clock that runs ahead must not keep later points out.
        order = (time if time < arrival_ns else arrival_ns, time)
        if order < self.order:
            return "late"
        if not point.recorded:
            return self._end(sent, order)
        if self.accumulates:
            self._follow(point, sent, arrival_ns)
        self.point = _without_exemplars(point)
        self.order = order
        self.sent = sent
        return "counted"

    def _follow(self, point: Point, sent: tuple[int, int], arrival_ns: int) -> None:
        """Find out since when the point counts, before it replaces the one that is there."""
        start, time = sent
        last = self.point
        if last is None or start != self.sent[0]:
            # Of a start that equals the time the data model says that it isn't known.
            self.created_ns = min(start, arrival_ns) if start < time else 0
            self.exemplars.clear()
        elif _total(point) < _total(last):
            self.created_ns = self.order[0]
            self.exemplars.clear()
        elif not _same_bounds(last, point):
            self.exemplars.clear()

    def _add(self, point: Point, arrival_ns: int) -> Taken:
        time = point.time or arrival_ns
        order = (min(time, arrival_ns), time)
        if self.point is None and order <= self.order:
            return "late"
        if not point.recorded:
            return "late" if order <= self.order else self._end((point.start, time), order)
        if self._is_known(hash((point.start, time))):
            return "duplicate"
        start = point.start if 0 < point.start < time else 0
        begun = min(start, arrival_ns) if start else 0
        if self.point is None or not can_merge(self.point, point) or _overflow(self.point, point):
            self.point = _without_exemplars(point)
            self.created_ns = begun or arrival_ns
            self.exemplars.clear()
        else:
            self.point = merged(self.point, point)
            self.created_ns = min(self.created_ns, begun) if begun else self.created_ns
        self.order = max(self.order, order)
        return "counted"

    def _end(self, sent: tuple[int, int], order: tuple[int, int]) -> Taken:
        """The sender says that there is no value any more: the series disappears at once."""
        self.sent = sent
        self.order = order
        if self.point is None:
            return "not_recorded"
        self.point = None
        self.exemplars.clear()
        return "counted"

    def _is_known(self, fingerprint: int) -> bool:
        """Whether a delta was taken before; remembers it if not."""
        if fingerprint in self.recent:
            return True
        self.recent = (*self.recent[1 - REMEMBERED_DELTAS :], fingerprint)
        return False


def _same_bounds(left: Point, right: Point) -> bool:
    if isinstance(left, HistogramPoint) and isinstance(right, HistogramPoint):
        return left.bounds == right.bounds
    return True


def _total(point: Point) -> float:
    """What only a reset can lower."""
    return point.value if isinstance(point, NumberPoint) else point.total


def _overflow(left: Point, right: Point) -> bool:
    """Whether the sum of two points is more than OTLP's whole numbers can say."""
    total = _total(left) + _total(right)
    return isinstance(total, int) and abs(total) >= _TOO_LARGE


def _without_exemplars(point: Point) -> Point:
    # They are kept apart; those of a point would take memory that nothing counts.
    if isinstance(point, SummaryPoint) or not point.exemplars:
        return point
    return point._replace(exemplars=())
