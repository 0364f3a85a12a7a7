"""Data points that are added up: deltas become cumulative.

A delta point says what happened between its start and its time; two of one series together say
what happened in both. So the sum of points is a point again, from the earliest start to the latest
time, whatever lies between. Merging is associative and commutative (sums of doubles up to their
rounding; exponential histograms where their zero thresholds are equal), so that points may come in
any order. Source: OpenTelemetry's metrics data model, "Sums: Delta-to-Cumulative" and
"ExponentialHistogram: Merge".
"""

from __future__ import annotations

import math
from typing import Final

from spanmill.points.batch import (
    Buckets,
    ExponentialPoint,
    HistogramPoint,
    NumberPoint,
    Point,
)
from spanmill.points.exponential import added, lowered, steps_to_fit, trimmed

MOST_BUCKETS_KEPT: Final = 160
"""On either side of 0; the scale of a sum is lowered until they do, as OpenTelemetry's SDKs do."""

_Distribution = HistogramPoint | ExponentialPoint


def can_merge(left: Point, right: Point) -> bool:
    """Whether the sum of two points says something.

    Histograms need the same bounds, and a sum each or neither of them: else their count and their
    sum would be of different intervals. One that observed nothing needs none.
    """
    if isinstance(left, HistogramPoint) and isinstance(right, HistogramPoint):
        same = left.bounds == right.bounds and len(left.counts) == len(right.counts)
        return same and _sums_agree(left, right)
    if isinstance(left, ExponentialPoint) and isinstance(right, ExponentialPoint):
        return _sums_agree(left, right)
    return isinstance(left, NumberPoint) and isinstance(right, NumberPoint)


def merged(left: Point, right: Point) -> Point:
    """The sum of two delta points of one series, for which `can_merge` holds.

    It carries no exemplars, and the attributes of the left one.
    """
    start, time = _start(left, right), max(left.time, right.time)
    if isinstance(left, NumberPoint) and isinstance(right, NumberPoint):
        return NumberPoint(left.attributes, start, time, True, left.value + right.value, ())
    if isinstance(left, HistogramPoint) and isinstance(right, HistogramPoint):
        return HistogramPoint(
            left.attributes,
            start,
            time,
            True,
            left.total + right.total,
            _sum(left, right),
            left.bounds,
            tuple(map(int.__add__, left.counts, right.counts)),
            (),
        )
    if isinstance(left, ExponentialPoint) and isinstance(right, ExponentialPoint):
        return _merged_exponential(left, right, start, time)
    raise TypeError("points of different types have no sum")


def _start(left: Point, right: Point) -> int:
    """The earlier of two starts, of which 0 is none."""
    return min(left.start, right.start) or max(left.start, right.start)


def _sums_agree(left: _Distribution, right: _Distribution) -> bool:
    one_lacks_it = math.isnan(left.sum) != math.isnan(right.sum)
    return not one_lacks_it or _is_silent(left) or _is_silent(right)


def _sum(left: _Distribution, right: _Distribution) -> float:
    if _is_silent(left):
        return right.sum
    return left.sum if _is_silent(right) else left.sum + right.sum


def _is_silent(point: _Distribution) -> bool:
    """Whether it has no sum since there is nothing to sum up."""
    return not point.total and math.isnan(point.sum)


def _merged_exponential(
    left: ExponentialPoint, right: ExponentialPoint, start: int, time: int
) -> ExponentialPoint:
    scale = min(left.scale, right.scale)
    sides = [
        [lowered(side, point.scale - scale) for point, side in pair]
        for pair in (
            ((left, left.positive), (right, right.positive)),
            ((left, left.negative), (right, right.negative)),
        )
    ]
    steps = steps_to_fit(sides, MOST_BUCKETS_KEPT)
    scale -= steps
    positive, negative = (added(lowered(one, steps), lowered(two, steps)) for one, two in sides)
    zero_count = left.zero_count + right.zero_count
    threshold = max(left.zero_threshold, right.zero_threshold)
    if left.zero_threshold != right.zero_threshold:
        threshold, inside, positive, negative = _widened(threshold, scale, positive, negative)
        zero_count += inside
    return ExponentialPoint(
        left.attributes,
        start,
        time,
        True,
        left.total + right.total,
        _sum(left, right),
        scale,
        zero_count,
        threshold,
        positive,
        negative,
        (),
    )


def _widened(
    threshold: float, scale: int, positive: Buckets, negative: Buckets
) -> tuple[float, int, Buckets, Buckets]:
    """Move the buckets below a zero threshold into the zero bucket.

    One that the threshold cuts goes with them, and the threshold becomes its upper bound.
    """
    inside = 0
    kept: list[Buckets] = []
    widest = threshold
    for side in (positive, negative):
        number = sum(
            1 for at in range(len(side.counts)) if _bound(side.first + at, scale) < threshold
        )
        below = side.counts[:number]
        inside += sum(below)
        if any(below):
            last = max(at for at, count in enumerate(below) if count)
            widest = max(widest, _bound(side.first + last + 1, scale))
        kept.append(trimmed(side.first + number, side.counts[number:]))
    return widest, inside, kept[0], kept[1]


def _bound(index: int, scale: int) -> float:
    """The lower bound of a bucket; infinite where it is beyond the doubles."""
    exponent = math.ldexp(index, -scale)
    return 2.0**exponent if exponent < 1024 else math.inf
