"""Points of histograms and summaries, and which of them contradict themselves."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Final

from opentelemetry.proto.metrics.v1 import metrics_pb2 as pb

from spanmill.points.attributes import attribute_key
from spanmill.points.batch import (
    NO_BUCKETS,
    Buckets,
    ExponentialPoint,
    HistogramPoint,
    SummaryPoint,
)
from spanmill.points.exponential import (
    MAX_BUCKETS,
    MAX_SCALE,
    MIN_SCALE,
    in_range,
    lowered,
    steps_to_fit,
    trimmed,
)
from spanmill.points.numbers import NO_RECORDED_VALUE, canonical, read_exemplars

MOST_BUCKETS_SENT: Final = 16_384
"""Buckets of a point as it is sent, on either side of 0."""


def read_histogram(point: pb.HistogramDataPoint) -> HistogramPoint | str:
    """A point of an explicit histogram, or the reason of its rejection."""
    recorded = not point.flags & NO_RECORDED_VALUE
    bounds: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()
    if recorded:
        if len(point.bucket_counts) > MOST_BUCKETS_SENT:
            return "too_many_buckets"
        bounds, counts = tuple(point.explicit_bounds), tuple(point.bucket_counts)
        if len(counts) != len(bounds) + 1 and (counts or bounds):
            return "invalid_bounds"
        if bounds and bounds[-1] == math.inf:  # the bucket above it is empty
            bounds, counts = bounds[:-1], (*counts[:-2], counts[-2] + counts[-1])
        if not _ascending(bounds):
            return "invalid_bounds"
        if counts and sum(counts) != point.count:
            return "invalid_counts"
    return HistogramPoint(
        attribute_key(point.attributes),
        point.start_time_unix_nano,
        point.time_unix_nano,
        recorded,
        point.count,
        canonical(point.sum) if point.HasField("sum") else math.nan,
        bounds,
        counts,
        read_exemplars(point.exemplars),
    )


def read_histogram_change(point: pb.HistogramDataPoint) -> HistogramPoint | str:
    """A delta point of an explicit histogram, or the reason of its rejection."""
    return _finite_sum(point) or read_histogram(point)


def read_exponential(point: pb.ExponentialHistogramDataPoint) -> ExponentialPoint | str:
    """A point of an exponential histogram, or the reason of its rejection."""
    recorded = not point.flags & NO_RECORDED_VALUE
    scale = 0
    positive = negative = NO_BUCKETS
    if recorded:
        scale = point.scale
        if scale < MIN_SCALE or not 0 <= point.zero_threshold < math.inf:
            return "invalid_scale"
        sides = (point.positive, point.negative)
        if any(len(side.bucket_counts) > MOST_BUCKETS_SENT for side in sides):
            return "too_many_buckets"
        positive, negative = (trimmed(side.offset, side.bucket_counts) for side in sides)
        if not (in_range(positive, scale) and in_range(negative, scale)):
            return "invalid_scale"
        if point.zero_count + sum(positive.counts) + sum(negative.counts) != point.count:
            return "invalid_counts"
        scale, positive, negative = _at_kept_scale(scale, positive, negative)
    return ExponentialPoint(
        attribute_key(point.attributes),
        point.start_time_unix_nano,
        point.time_unix_nano,
        recorded,
        point.count,
        canonical(point.sum) if point.HasField("sum") else math.nan,
        scale,
        point.zero_count,
        point.zero_threshold,
        positive,
        negative,
        read_exemplars(point.exemplars),
    )


def read_exponential_change(point: pb.ExponentialHistogramDataPoint) -> ExponentialPoint | str:
    """A delta point of an exponential histogram, or the reason of its rejection."""
    return _finite_sum(point) or read_exponential(point)


def read_summary(point: pb.SummaryDataPoint) -> SummaryPoint | str:
    """A point of a summary, or the reason of its rejection."""
    recorded = not point.flags & NO_RECORDED_VALUE
    pairs = sorted((q.quantile, q.value) for q in point.quantile_values) if recorded else []
    quantiles = tuple(quantile for quantile, _ in pairs)
    if not _ascending(quantiles) or (quantiles and not 0 <= quantiles[0] <= quantiles[-1] <= 1):
        return "invalid_quantiles"
    return SummaryPoint(
        attribute_key(point.attributes),
        point.start_time_unix_nano,
        point.time_unix_nano,
        recorded,
        point.count,
        canonical(point.sum),
        quantiles,
        tuple(canonical(value) for _, value in pairs),
    )


def _finite_sum(point: pb.HistogramDataPoint | pb.ExponentialHistogramDataPoint) -> str:
    """Why a delta's sum can't be added up; empty where it can, or where there is none."""
    finite = math.isfinite(point.sum) or point.flags & NO_RECORDED_VALUE
    return "" if finite else "invalid_sum"


def _ascending(numbers: tuple[float, ...]) -> bool:
    return all(map(math.isfinite, numbers)) and all(low < high for low, high in pairwise(numbers))


def _at_kept_scale(
    scale: int, positive: Buckets, negative: Buckets
) -> tuple[int, Buckets, Buckets]:
    steps = max(0, scale - MAX_SCALE)
    positive, negative = lowered(positive, steps), lowered(negative, steps)
    fit = steps_to_fit(((positive,), (negative,)), MAX_BUCKETS)
    return scale - steps - fit, lowered(positive, fit), lowered(negative, fit)
