"""What services' series show at one moment."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from spanmill.points.batch import (
    Buckets,
    ExponentialPoint,
    HistogramPoint,
    NumberPoint,
    Point,
    SummaryPoint,
)
from spanmill.series.passed_through_series import PassedThroughSeries
from spanmill.series.snapshot import (
    Family,
    FamilySnapshot,
    Histograms,
    NativeBuckets,
    Summaries,
    Values,
)

DEFAULT_ZERO_THRESHOLD: Final = 1e-128
"""Of exponential histograms that have none, by OpenTelemetry's compatibility specification."""


def family_snapshots(
    family: Family, series: Iterable[PassedThroughSeries]
) -> Iterable[FamilySnapshot]:
    """The series of a family that have a value: a snapshot for each set of label names and shape.

    A shape is the type of the points with their bounds or quantiles.
    """
    blocks: dict[tuple[object, ...], list[PassedThroughSeries]] = {}
    for one in series:
        if one.point is not None:
            blocks.setdefault((one.labels.names, *_shape(one.point)), []).append(one)
    for block in blocks.values():
        yield FamilySnapshot(
            family=family,
            label_names=block[0].labels.names,
            labels=[one.labels.values for one in block],
            created=np.array([one.created_ns / 1e9 or np.nan for one in block]),
            data=_data(block),
        )


def _shape(point: Point) -> tuple[object, ...]:
    if isinstance(point, HistogramPoint):
        return (HistogramPoint, point.bounds)
    if isinstance(point, SummaryPoint):
        return (SummaryPoint, point.quantiles)
    return (type(point),)


def _data(block: Sequence[PassedThroughSeries]) -> Values | Histograms | Summaries:
    points = [one.point for one in block]
    if isinstance(points[0], NumberPoint):
        exemplars = {at: one.exemplars[0] for at, one in enumerate(block) if 0 in one.exemplars}
        return Values(_column(points, lambda point: point.value), exemplars)
    counts = _column(points, lambda point: point.total)
    sums = _column(points, lambda point: point.sum)
    if isinstance(points[0], SummaryPoint):
        values = np.array([point.values for point in points if isinstance(point, SummaryPoint)])
        quantiles = points[0].quantiles
        return Summaries(quantiles, values.reshape(len(points), len(quantiles)), counts, sums)
    by_bucket = {at: dict(one.exemplars) for at, one in enumerate(block) if one.exemplars}
    if isinstance(points[0], HistogramPoint):
        histograms = (point for point in points if isinstance(point, HistogramPoint))
        buckets = np.array([point.counts or (point.total,) for point in histograms], np.float64)
        return Histograms(points[0].bounds, buckets, counts, sums, None, by_bucket)
    native = [_native(point) for point in points if isinstance(point, ExponentialPoint)]
    return Histograms((), counts[:, np.newaxis], counts, sums, native, by_bucket)


def _column(
    points: Sequence[Point | None], read: Callable[[Any], float]
) -> npt.NDArray[np.float64]:
    return np.array([float(read(point)) for point in points])


def _native(point: ExponentialPoint) -> NativeBuckets:
    """An exponential histogram in Prometheus's terms: its index is OpenTelemetry's + 1."""
    return NativeBuckets(
        schema=point.scale,
        zero_count=float(point.zero_count),
        first=_first(point.positive),
        counts=np.array(point.positive.counts, np.float64),
        zero_threshold=point.zero_threshold or DEFAULT_ZERO_THRESHOLD,
        negative_first=_first(point.negative),
        negative_counts=np.array(point.negative.counts, np.float64),
    )


def _first(buckets: Buckets) -> int:
    return buckets.first + 1 if buckets.counts else 0
