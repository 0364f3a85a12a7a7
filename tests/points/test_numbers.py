"""Which NaN is read: there are many, and some of them mean more."""

from __future__ import annotations

import math
import struct

from points.otlp_metrics import (
    buckets,
    counter,
    exemplar,
    exponential,
    gauge,
    histogram,
    native,
    number,
    quantiles,
    request,
    summary,
)
from spanmill.points.batch import NumberPoint, Point, SummaryPoint
from spanmill.points.decoder import decode_metrics

STALE_MARKER = struct.unpack("<d", (0x7FF0000000000002).to_bytes(8, "little"))[0]


def test_every_nan_is_the_same_since_prometheus_takes_one_for_the_end_of_a_series() -> None:
    stale = STALE_MARKER
    unknown = native([1])
    unknown.sum = stale
    body = request(
        gauge(number(stale), number(0.0, exemplars=[exemplar(stale)])),
        counter(number(stale), monotonic=False),
        histogram(buckets([1.0], [1, 2], total=stale)),
        exponential(unknown),
        summary(quantiles([(0.5, stale)], total=stale)),
    )
    assert (0x7FF0000000000002).to_bytes(8, "little") in body
    found = [
        nan
        for metric in decode_metrics(body).batch.metrics
        for point in metric.points
        for nan in nans_of(point)
    ]
    assert [struct.pack("<d", nan) for nan in found] == [struct.pack("<d", math.nan)] * 7


def nans_of(point: Point) -> list[float]:
    numbers: list[float]
    if isinstance(point, NumberPoint):
        numbers = [point.value, *(one.value for one in point.exemplars)]
    elif isinstance(point, SummaryPoint):
        numbers = [point.sum, *point.values]
    else:
        numbers = [point.sum]
    return [number for number in numbers if math.isnan(number)]
