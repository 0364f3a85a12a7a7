"""Requests of metrics, made with the protobuf library."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.metrics.v1 import metrics_pb2 as pb
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

SECOND = 1_000_000_000
NOW = 1_700_000_000 * SECOND
"""Nanoseconds: when points are taken unless a test says otherwise."""

DELTA = pb.AGGREGATION_TEMPORALITY_DELTA
CUMULATIVE = pb.AGGREGATION_TEMPORALITY_CUMULATIVE
NOT_RECORDED = pb.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK

SHOP = {"service.name": "shop"}

Scalar = str | bool | int | float | bytes


def pairs(attributes: Mapping[str, Scalar | None]) -> list[KeyValue]:
    return [KeyValue(key=key, value=any_value(value)) for key, value in attributes.items()]


def any_value(value: Scalar | None) -> AnyValue:
    if isinstance(value, str):
        return AnyValue(string_value=value)
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    return AnyValue() if value is None else AnyValue(bytes_value=value)


def number(
    value: float | None,
    *,
    time: int = NOW,
    start: int = 0,
    flags: int = 0,
    attributes: Mapping[str, Scalar | None] | None = None,
    exemplars: Sequence[pb.Exemplar] = (),
) -> pb.NumberDataPoint:
    point = pb.NumberDataPoint(
        time_unix_nano=time,
        start_time_unix_nano=start,
        flags=flags,
        attributes=pairs(attributes or {}),
        exemplars=exemplars,
    )
    if isinstance(value, int):
        point.as_int = value
    elif value is not None:
        point.as_double = value
    return point


def exemplar(
    value: float,
    time: int = NOW,
    trace: bytes = b"\x01" * 16,
    attributes: Mapping[str, Scalar | None] | None = None,
) -> pb.Exemplar:
    return pb.Exemplar(
        as_double=value,
        time_unix_nano=time,
        trace_id=trace,
        span_id=trace[:8],
        filtered_attributes=pairs(attributes or {}),
    )


def gauge(*points: pb.NumberDataPoint, name: str = "g", unit: str = "") -> pb.Metric:
    return pb.Metric(name=name, unit=unit, gauge=pb.Gauge(data_points=points))


def counter(
    *points: pb.NumberDataPoint,
    name: str = "c",
    unit: str = "",
    temporality: pb.AggregationTemporality.ValueType = CUMULATIVE,
    monotonic: bool = True,
) -> pb.Metric:
    data = pb.Sum(data_points=points, aggregation_temporality=temporality, is_monotonic=monotonic)
    return pb.Metric(name=name, unit=unit, sum=data)


def histogram(
    *points: pb.HistogramDataPoint,
    name: str = "h",
    unit: str = "",
    temporality: pb.AggregationTemporality.ValueType = CUMULATIVE,
) -> pb.Metric:
    data = pb.Histogram(data_points=points, aggregation_temporality=temporality)
    return pb.Metric(name=name, unit=unit, histogram=data)


def exponential(
    *points: pb.ExponentialHistogramDataPoint,
    name: str = "e",
    temporality: pb.AggregationTemporality.ValueType = CUMULATIVE,
) -> pb.Metric:
    data = pb.ExponentialHistogram(data_points=points, aggregation_temporality=temporality)
    return pb.Metric(name=name, exponential_histogram=data)


def summary(*points: pb.SummaryDataPoint, name: str = "s") -> pb.Metric:
    return pb.Metric(name=name, summary=pb.Summary(data_points=points))


def buckets(
    bounds: Sequence[float],
    counts: Sequence[int],
    *,
    time: int = NOW,
    start: int = 0,
    total: float | None = 1.0,
    attributes: Mapping[str, Scalar | None] | None = None,
    exemplars: Sequence[pb.Exemplar] = (),
) -> pb.HistogramDataPoint:
    """A point of an explicit histogram with the sum `total`."""
    return pb.HistogramDataPoint(
        time_unix_nano=time,
        start_time_unix_nano=start,
        explicit_bounds=bounds,
        bucket_counts=counts,
        count=sum(counts),
        sum=total,
        attributes=pairs(attributes or {}),
        exemplars=exemplars,
    )


def native(
    positive: Sequence[int],
    *,
    scale: int = 0,
    offset: int = 0,
    negative: Sequence[int] = (),
    negative_offset: int = 0,
    zeros: int = 0,
    threshold: float = 0.0,
    time: int = NOW,
    start: int = 0,
    exemplars: Sequence[pb.Exemplar] = (),
) -> pb.ExponentialHistogramDataPoint:
    """A point of an exponential histogram."""
    side = pb.ExponentialHistogramDataPoint.Buckets
    return pb.ExponentialHistogramDataPoint(
        time_unix_nano=time,
        start_time_unix_nano=start,
        scale=scale,
        positive=side(offset=offset, bucket_counts=positive),
        negative=side(offset=negative_offset, bucket_counts=negative),
        zero_count=zeros,
        zero_threshold=threshold,
        count=sum(positive) + sum(negative) + zeros,
        sum=1.0,
        exemplars=exemplars,
    )


def quantiles(
    values: Iterable[tuple[float, float]], *, count: int = 1, total: float = 1.0, time: int = NOW
) -> pb.SummaryDataPoint:
    """A point of a summary."""
    at = pb.SummaryDataPoint.ValueAtQuantile
    return pb.SummaryDataPoint(
        time_unix_nano=time,
        count=count,
        sum=total,
        quantile_values=[at(quantile=quantile, value=value) for quantile, value in values],
    )


def request(
    *metrics: pb.Metric,
    resource: Mapping[str, Scalar | None] = SHOP,
    scope: InstrumentationScope | None = None,
) -> bytes:
    """A serialised request of one resource and one scope."""
    scope_metrics = pb.ScopeMetrics(scope=scope, metrics=metrics)
    return ExportMetricsServiceRequest(
        resource_metrics=[
            pb.ResourceMetrics(
                resource=Resource(attributes=pairs(resource)), scope_metrics=[scope_metrics]
            )
        ]
    ).SerializeToString()
