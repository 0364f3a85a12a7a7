"""Single points of OTLP's JSON encoding, made protobuf's messages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    Exemplar,
    ExponentialHistogramDataPoint,
    HistogramDataPoint,
    NumberDataPoint,
    SummaryDataPoint,
)

from spanmill.points.json_schema import (
    JsonBuckets,
    JsonExemplar,
    JsonExponentialPoint,
    JsonHistogramPoint,
    JsonNumberPoint,
    JsonQuantile,
    JsonSummaryPoint,
)
from spanmill.spans.json_attributes import fill, fill_pair
from spanmill.spans.json_fields import (
    INT32,
    INT64,
    UINT32,
    UINT64,
    FieldError,
    double,
    identifier,
    integer,
)
from spanmill.spans.json_schema import JsonDouble, JsonInteger

J = TypeVar("J")
V = TypeVar("V")


def number_point(source: JsonNumberPoint) -> NumberDataPoint:
    """A point of a gauge or a sum; raises FieldError, as all of these do."""
    point = NumberDataPoint(
        start_time_unix_nano=_start(source.start_time_unix_nano),
        time_unix_nano=_time(source.time_unix_nano),
        flags=_flags(source.flags),
    )
    _fill_value(point, source)
    fill(point.attributes, source.attributes, "attributes", fill_pair)
    fill(point.exemplars, source.exemplars, "exemplars", _fill_exemplar)
    return point


def histogram_point(source: JsonHistogramPoint) -> HistogramDataPoint:
    """A point of an explicit histogram."""
    point = HistogramDataPoint(
        start_time_unix_nano=_start(source.start_time_unix_nano),
        time_unix_nano=_time(source.time_unix_nano),
        count=integer(source.count, "count", UINT64),
        sum=_optional(source.sum, "sum"),
        bucket_counts=_each(source.bucket_counts, "bucketCounts", _count),
        explicit_bounds=_each(source.explicit_bounds, "explicitBounds", double),
        flags=_flags(source.flags),
        min=_optional(source.min, "min"),
        max=_optional(source.max, "max"),
    )
    fill(point.attributes, source.attributes, "attributes", fill_pair)
    fill(point.exemplars, source.exemplars, "exemplars", _fill_exemplar)
    return point


def exponential_point(source: JsonExponentialPoint) -> ExponentialHistogramDataPoint:
    """A point of an exponential histogram."""
    point = ExponentialHistogramDataPoint(
        start_time_unix_nano=_start(source.start_time_unix_nano),
        time_unix_nano=_time(source.time_unix_nano),
        count=integer(source.count, "count", UINT64),
        sum=_optional(source.sum, "sum"),
        scale=integer(source.scale, "scale", INT32),
        zero_count=integer(source.zero_count, "zeroCount", UINT64),
        positive=_buckets(source.positive, "positive"),
        negative=_buckets(source.negative, "negative"),
        flags=_flags(source.flags),
        min=_optional(source.min, "min"),
        max=_optional(source.max, "max"),
        zero_threshold=double(source.zero_threshold, "zeroThreshold"),
    )
    fill(point.attributes, source.attributes, "attributes", fill_pair)
    fill(point.exemplars, source.exemplars, "exemplars", _fill_exemplar)
    return point


def summary_point(source: JsonSummaryPoint) -> SummaryDataPoint:
    """A point of a summary."""
    point = SummaryDataPoint(
        start_time_unix_nano=_start(source.start_time_unix_nano),
        time_unix_nano=_time(source.time_unix_nano),
        count=integer(source.count, "count", UINT64),
        sum=double(source.sum, "sum"),
        flags=_flags(source.flags),
    )
    fill(point.attributes, source.attributes, "attributes", fill_pair)
    fill(point.quantile_values, source.quantile_values, "quantileValues", _fill_quantile)
    return point


def _fill_value(target: NumberDataPoint | Exemplar, source: JsonNumberPoint | JsonExemplar) -> None:
    if source.as_double is not None and source.as_int is not None:
        raise FieldError("the value has several kinds: as_double, as_int")
    if source.as_double is not None:
        target.as_double = double(source.as_double, "asDouble")
    elif source.as_int is not None:
        target.as_int = integer(source.as_int, "asInt", INT64)


def _fill_exemplar(exemplar: Exemplar, source: JsonExemplar) -> None:
    exemplar.time_unix_nano = _time(source.time_unix_nano)
    exemplar.span_id = identifier(source.span_id, "spanId")
    exemplar.trace_id = identifier(source.trace_id, "traceId")
    _fill_value(exemplar, source)
    fill(exemplar.filtered_attributes, source.filtered_attributes, "filteredAttributes", fill_pair)


def _fill_quantile(quantile: SummaryDataPoint.ValueAtQuantile, source: JsonQuantile) -> None:
    quantile.quantile = double(source.quantile, "quantile")
    quantile.value = double(source.value, "value")


def _buckets(
    source: JsonBuckets | None, field: str
) -> ExponentialHistogramDataPoint.Buckets | None:
    if source is None:
        return None
    try:
        return ExponentialHistogramDataPoint.Buckets(
            offset=integer(source.offset, "offset", INT32),
            bucket_counts=_each(source.bucket_counts, "bucketCounts", _count),
        )
    except FieldError as error:
        raise error.under(field) from error


def _each(values: Sequence[J] | None, field: str, read: Callable[[J, str], V]) -> list[V]:
    return [read(value, f"{field}[{row}]") for row, value in enumerate(values or ())]


def _count(value: JsonInteger, field: str) -> int:
    return integer(value, field, UINT64)


def _optional(value: JsonDouble, field: str) -> float | None:
    return None if value is None else double(value, field)


def _start(value: JsonInteger) -> int:
    return integer(value, "startTimeUnixNano", UINT64)


def _time(value: JsonInteger) -> int:
    return integer(value, "timeUnixNano", UINT64)


def _flags(value: JsonInteger) -> int:
    return integer(value, "flags", UINT32)
